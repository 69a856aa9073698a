//! The timing wheel.

use shard::core::ConnKey;
use shard::core::wheel::{Links, TimerLinks, Wheel};

use crate::error::BenchError;
use crate::harness::{Harness, Step};

/// Timers, all set at a time.
const TIMERS: u32 = 100_000;

/// Deadlines are spread over this time, in milliseconds.
const SPREAD_MS: u64 = 60_000;

#[derive(Debug)]
struct Rows(Vec<TimerLinks>);

impl Links for Rows {
    fn links(&mut self, key: ConnKey) -> Option<&mut TimerLinks> {
        self.0.get_mut(key as usize)
    }
}

#[derive(Debug)]
struct State {
    wheel: Wheel,
    rows: Rows,
    now_ms: u64,
    expired: Vec<ConnKey>,
}

/// Measures the group.
///
/// # Errors
/// None of its own.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    let count = TIMERS as usize;
    let mut state = State {
        wheel: Wheel::new(0),
        rows: Rows(vec![TimerLinks::new(); count]),
        now_ms: 0,
        expired: Vec::with_capacity(count),
    };
    harness.cycle(
        &mut state,
        &[
            Step::new("set", count, set),
            Step::new("move", count, set_later),
            Step::new("cancel", count, cancel),
            Step::silent(set),
            Step::new("expire", count, expire),
        ],
    )?;
    harness.each("look, nothing due", || {
        state.now_ms += 1;
        state.expired.clear();
        state.wheel.expire(
            &mut state.rows,
            state.now_ms,
            usize::MAX,
            &mut state.expired,
        );
    });
    Ok(())
}

fn set(state: &mut State) -> Result<(), BenchError> {
    schedule(state, 1);
    Ok(())
}

fn set_later(state: &mut State) -> Result<(), BenchError> {
    schedule(state, 5_000);
    Ok(())
}

fn schedule(state: &mut State, ahead_ms: u64) {
    let from_ms = state.now_ms + ahead_ms;
    for key in 0..TIMERS {
        let due_ms = from_ms + u64::from(key) * 7_919 % SPREAD_MS;
        state.wheel.schedule(&mut state.rows, key, due_ms);
    }
}

fn cancel(state: &mut State) -> Result<(), BenchError> {
    for key in 0..TIMERS {
        state.wheel.cancel(&mut state.rows, key);
    }
    Ok(())
}

fn expire(state: &mut State) -> Result<(), BenchError> {
    state.expired.clear();
    state.now_ms += SPREAD_MS + 100;
    state.wheel.expire(
        &mut state.rows,
        state.now_ms,
        usize::MAX,
        &mut state.expired,
    );
    if state.expired.len() == TIMERS as usize {
        Ok(())
    } else {
        Err(BenchError::Unexpected("not all timers have fired"))
    }
}
