//! Says what is wrong with messages, but not once for each: a flood of garbage must not become a
//! flood of log lines.

use std::fmt::Display;

use crate::io::clock::Clock;

/// At most one line within this time, for each socket.
const QUIET_MS: u64 = 1_000;

/// What is wrong at one socket.
#[derive(Debug)]
pub(super) struct Complaints {
    key: &'static str,
    clock: Clock,
    quiet_until_ms: u64,
    unsaid: u64,
}

impl Complaints {
    pub(super) const fn new(key: &'static str, clock: Clock) -> Self {
        Self {
            key,
            clock,
            quiet_until_ms: 0,
            unsaid: 0,
        }
    }

    /// A message was no good.
    pub(super) fn note(&mut self, reason: &dyn Display) {
        let now_ms = self.clock.now_ms();
        if now_ms < self.quiet_until_ms {
            self.unsaid += 1;
            return;
        }
        self.quiet_until_ms = now_ms + QUIET_MS;
        match std::mem::take(&mut self.unsaid) {
            0 => log::warn!("[zmq] {}: message skipped: {reason}", self.key),
            others => log::warn!(
                "[zmq] {}: message skipped: {reason}; {others} others since the last line",
                self.key
            ),
        }
    }
}
