//! Deadlines of connections: a hashed timing wheel whose links lie inside the rows.
//!
//! A timer costs the 12 bytes of its [`TimerLinks`] and nothing else. Setting, moving and
//! cancelling are O(1). A timer never fires early and at most one tick late.

use super::ConnKey;

/// Length of a tick, in milliseconds.
pub const TICK_MS: u64 = 50;

/// The wheel's part of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerLinks {
    prev: ConnKey,
    next: ConnKey,
    due: u32,
}

/// How the wheel reaches the rows.
pub trait Links {
    /// The links of row `key`; `None` when there is no such row.
    fn links(&mut self, key: ConnKey) -> Option<&mut TimerLinks>;
}

/// The wheel. Times are milliseconds of a clock that never goes back.
#[derive(Debug)]
pub struct Wheel {}

impl TimerLinks {
    /// Links of a row without a timer.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            prev: 0,
            next: 0,
            due: 0,
        }
    }

    /// Whether a timer is set.
    #[must_use]
    pub const fn is_scheduled(&self) -> bool {
        unimplemented!()
    }
}

impl Wheel {
    /// A wheel without timers that starts at `now_ms`.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        unimplemented!()
    }

    /// Sets the timer of row `key`, or moves it. A deadline that has passed fires at the next tick.
    pub fn schedule(&mut self, rows: &mut impl Links, key: ConnKey, due_ms: u64) {
        unimplemented!()
    }

    /// Takes the timer of row `key` out; nothing happens without one. Must be called before the
    /// row is removed.
    pub fn cancel(&mut self, rows: &mut impl Links, key: ConnKey) {
        unimplemented!()
    }

    /// Appends the rows whose time has come to `out`; their timers are no longer set. Looks at no
    /// more than `max` timers and answers whether it stopped for that reason: then the next call
    /// goes on.
    pub fn expire(
        &mut self,
        rows: &mut impl Links,
        now_ms: u64,
        max: usize,
        out: &mut Vec<ConnKey>,
    ) -> bool {
        unimplemented!()
    }

    /// No timer is due before this time, in milliseconds: how long the loop may wait. A lower
    /// bound. `None` without timers.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        unimplemented!()
    }

    /// How many timers are set.
    #[must_use]
    pub const fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether no timer is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        unimplemented!()
    }
}
