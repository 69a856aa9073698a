//! Time: one monotonic clock, deadlines, and the only place that sleeps.

use std::time::Duration;

use nix::time::ClockId;

/// Nanoseconds of the machine's monotonic clock; comparable between processes.
pub(crate) fn now_ns() -> u64 {
    ClockId::CLOCK_MONOTONIC
        .now()
        .map_or(0, |time| nanoseconds(&time))
}

/// The nanoseconds in a time specification; negative parts count as zero.
pub(crate) fn nanoseconds(time: &nix::sys::time::TimeSpec) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Nanoseconds as seconds.
pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// A point in time after which a wait gives up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// The deadline `ms` milliseconds from now.
    pub(crate) fn after_ms(ms: u64) -> Self {
        Self(now_ns().saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// The earlier of this deadline and one `ms` milliseconds from now.
    pub(crate) fn or_after_ms(self, ms: u64) -> Self {
        Self(self.0.min(Self::after_ms(ms).0))
    }

    /// Whether the point has passed.
    pub(crate) fn passed(self) -> bool {
        now_ns() >= self.0
    }
}

/// Sleeps. For waits on things that send no event: another process's memory or exit.
#[expect(
    clippy::disallowed_methods,
    reason = "a process under test gives no event to wait for"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Checks `done` every few milliseconds until it holds; false when the deadline passes first.
pub(crate) fn wait_until(deadline: Deadline, mut done: impl FnMut() -> bool) -> bool {
    while !done() {
        if deadline.passed() {
            return false;
        }
        pause(Duration::from_millis(5));
    }
    true
}
