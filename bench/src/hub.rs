//! Channels and subscribers: one channel for everyone, and one channel each.

use std::hint::black_box;

use shard::core::hub::{Hub, Mode, Subscriber, Subscription};

use crate::error::BenchError;
use crate::harness::{Harness, Step};

const SUBSCRIBERS: usize = 10_000;

/// Subscribers taken at a time, as the engine does.
const SLICE: usize = 256;

#[derive(Debug)]
struct State {
    hub: Hub<u32>,
    /// The channel of each connection.
    names: Vec<String>,
    /// What each connection keeps.
    subscriptions: Vec<Subscription>,
    slice: Vec<Subscriber>,
}

/// Measures the group.
///
/// # Errors
/// None of its own.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    let shared = vec!["room".to_owned(); SUBSCRIBERS];
    measure(harness, "one channel", shared, release_one)?;
    let own = (0..SUBSCRIBERS).map(|n| format!("room-{n}")).collect();
    measure(harness, "own channels", own, release_all)
}

fn measure(
    harness: &mut Harness,
    case: &str,
    names: Vec<String>,
    release: fn(&mut State) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    let mut state = State {
        hub: Hub::new(),
        names,
        subscriptions: Vec::with_capacity(SUBSCRIBERS),
        slice: Vec::with_capacity(SLICE),
    };
    let name = |what: &str| format!("{case}: {what}");
    harness.cycle(
        &mut state,
        &[
            Step::new(name("subscribe"), SUBSCRIBERS, subscribe),
            Step::new(
                name("release and slice, per subscriber"),
                SUBSCRIBERS,
                release,
            ),
            Step::new(name("unsubscribe"), SUBSCRIBERS, unsubscribe),
            Step::new(name("note changes"), SUBSCRIBERS, drain_changes),
        ],
    )
}

fn subscribe(state: &mut State) -> Result<(), BenchError> {
    state.subscriptions.clear();
    for (conn, name) in (0..).zip(&state.names) {
        let subscription = state.hub.subscribe(Mode::Stream, name, conn, 0);
        state.subscriptions.push(subscription);
    }
    Ok(())
}

fn release_one(state: &mut State) -> Result<(), BenchError> {
    if let Some(name) = state.names.first() {
        state.hub.release(Mode::Stream, name, 1);
    }
    take_slices(state)
}

fn release_all(state: &mut State) -> Result<(), BenchError> {
    for name in &state.names {
        state.hub.release(Mode::Stream, name, 1);
    }
    take_slices(state)
}

fn take_slices(state: &mut State) -> Result<(), BenchError> {
    let mut count = 0;
    loop {
        state.slice.clear();
        let Some(slice) = state.hub.next_slice(SLICE, &mut state.slice) else {
            break;
        };
        black_box(slice);
        count += state.slice.len();
    }
    if count == SUBSCRIBERS {
        Ok(())
    } else {
        Err(BenchError::Unexpected("a subscriber was left out"))
    }
}

fn unsubscribe(state: &mut State) -> Result<(), BenchError> {
    for conn in 0..SUBSCRIBERS {
        let Some(&subscription) = state.subscriptions.get(conn) else {
            continue;
        };
        let subscriptions = &mut state.subscriptions;
        state
            .hub
            .unsubscribe(subscription, &mut |conn, _slot, position| {
                if let Some(moved) = subscriptions.get_mut(conn as usize) {
                    moved.position = position;
                }
            });
    }
    if state.hub.channel_count() == 0 {
        Ok(())
    } else {
        Err(BenchError::Unexpected("subscribers are left"))
    }
}

fn drain_changes(state: &mut State) -> Result<(), BenchError> {
    state.hub.drain_changes(usize::MAX, &mut |_, name, delta| {
        black_box((name, delta));
    });
    Ok(())
}
