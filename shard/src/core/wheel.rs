//! Deadlines of connections: a hashed timing wheel whose links lie inside the rows.
//!
//! A timer costs the 12 bytes of its [`TimerLinks`] and nothing else. Setting, moving and
//! cancelling are O(1). A timer never fires early and at most one tick late.
//!
//! Each slot of the wheel holds the timers of one tick of every round, and knows the earliest of
//! them: a slot whose timers are all due in later rounds is passed without a look at its rows.

use std::mem;

use super::ConnKey;

/// Length of a tick, in milliseconds.
pub const TICK_MS: u64 = 50;

/// Slots of the wheel: one round is 204.8 s.
const SLOTS: usize = 4096;

/// Longest time ahead, in ticks (about 3 years). A later deadline is taken for this one.
const AHEAD_MAX: u64 = (1 << 31) - 1;

/// End of a slot's list.
const NONE: ConnKey = ConnKey::MAX;

/// In `prev`: no timer is set.
const UNSET: ConnKey = ConnKey::MAX - 1;

/// The wheel's part of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerLinks {
    prev: ConnKey,
    next: ConnKey,
    /// Low half of the number of the tick in which it fires.
    due: u32,
}

/// How the wheel reaches the rows.
pub trait Links {
    /// The links of row `key`; `None` when there is no such row.
    fn links(&mut self, key: ConnKey) -> Option<&mut TimerLinks>;
}

/// The wheel. Times are milliseconds of a clock that never goes back. Row keys are below
/// `ConnKey::MAX - 1`.
#[derive(Debug)]
pub struct Wheel {
    /// Always [`SLOTS`] of them.
    slots: Box<[Slot]>,
    /// Number of the first tick that is not done: every timer is due in it or later.
    tick: u64,
    /// No timer is due before this tick. `u64::MAX` when there is none.
    earliest: u64,
    /// While the slot of `tick` is only partly done: the row to go on with.
    cursor: Option<ConnKey>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    head: ConnKey,
    /// Low half of a tick before which none of the slot's timers is due. Means nothing when the
    /// slot is empty.
    earliest: u32,
}

impl Default for TimerLinks {
    fn default() -> Self {
        Self::new()
    }
}

impl TimerLinks {
    /// Links of a row without a timer.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            prev: UNSET,
            next: NONE,
            due: 0,
        }
    }

    /// Whether a timer is set.
    #[must_use]
    pub const fn is_scheduled(&self) -> bool {
        self.prev != UNSET
    }
}

impl Wheel {
    /// A wheel without timers that starts at `now_ms`.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        let slots = vec![
            Slot {
                head: NONE,
                earliest: 0
            };
            SLOTS
        ]
        .into_boxed_slice();
        Self {
            slots,
            tick: now_ms / TICK_MS,
            earliest: u64::MAX,
            cursor: None,
            len: 0,
        }
    }

    /// Sets the timer of row `key`, or moves it. A deadline that has passed fires within a tick.
    /// Nothing happens when there is no such row.
    pub fn schedule(&mut self, rows: &mut impl Links, key: ConnKey, due_ms: u64) {
        debug_assert!(key < UNSET, "the highest two keys are marks");
        // Up, never down: a timer must not fire early.
        let due_tick = self.reachable(due_ms.div_ceil(TICK_MS));
        let Some(&mut old) = rows.links(key) else {
            return;
        };
        if old.is_scheduled() {
            if old.due == low(due_tick) {
                return;
            }
            self.unlink(rows, key, old);
        }
        self.link(rows, key, due_tick);
    }

    /// Takes the timer of row `key` out; nothing happens without one. Must be called before the
    /// row is removed.
    pub fn cancel(&mut self, rows: &mut impl Links, key: ConnKey) {
        let Some(links) = rows.links(key) else {
            return;
        };
        let old = mem::take(links);
        if old.is_scheduled() {
            self.unlink(rows, key, old);
        }
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
        let now_tick = now_ms / TICK_MS;
        let mut left = max;
        if self.earliest <= now_tick {
            loop {
                if self.cursor.is_none() {
                    self.seek();
                }
                if self.earliest > now_tick {
                    break;
                }
                self.tick = self.earliest;
                if !self.walk(rows, &mut left, out) {
                    return true;
                }
            }
        }
        // Nothing is due in between.
        self.tick = self.tick.max(now_tick + 1);
        self.earliest = self.earliest.max(self.tick);
        false
    }

    /// No timer is due before this time, in milliseconds: how long the loop may wait. A lower
    /// bound: it may be too early after a cancellation, until the next [`Self::expire`], and for
    /// timers that are more than a round away. `None` without timers.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        (self.len > 0).then(|| self.earliest.saturating_mul(TICK_MS))
    }

    /// How many timers are set.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The tick in which a timer for `due_tick` will fire.
    fn reachable(&self, due_tick: u64) -> u64 {
        // A slot that is partly done takes no more for this tick: rows are added at its head,
        // which the cursor has passed.
        let first = self.tick + u64::from(self.cursor.is_some());
        due_tick.clamp(first, self.tick + AHEAD_MAX)
    }

    /// Finds the next tick in which a timer is due, from `earliest` on, but no more than a round
    /// ahead: what is due later will be found when that time comes.
    fn seek(&mut self) {
        if self.len == 0 {
            self.earliest = u64::MAX;
            return;
        }
        let first = self.earliest.max(self.tick);
        let (before, from) = self.slots.split_at(position(low(first)));
        let mut due = (first..).zip(from.iter().chain(before));
        let found = due.find(|(tick, slot)| slot.head != NONE && slot.earliest == low(*tick));
        self.earliest = found.map_or(first + SLOTS as u64, |(tick, _)| tick);
    }

    /// Fires the timers of `tick` as long as `left` lasts, and answers whether the tick is done.
    fn walk(&mut self, rows: &mut impl Links, left: &mut usize, out: &mut Vec<ConnKey>) -> bool {
        let now = low(self.tick);
        let mut key = match self.cursor.take() {
            Some(key) => key,
            None => self.begin(now),
        };
        while key != NONE {
            if *left == 0 {
                self.cursor = Some(key);
                return false;
            }
            *left -= 1;
            let Some(links) = rows.links(key) else {
                debug_assert!(false, "row {key} was removed with its timer set");
                break;
            };
            let TimerLinks { next, due, .. } = *links;
            if due == now {
                let old = mem::take(links);
                self.unlink(rows, key, old);
                out.push(key);
            } else {
                self.keep(due);
            }
            key = next;
        }
        self.tick += 1;
        self.earliest = self.tick;
        true
    }

    /// Begins the slot of tick `now`: its earliest timer is counted anew by [`Self::keep`].
    fn begin(&mut self, now: u32) -> ConnKey {
        let Some(slot) = self.slots.get_mut(position(now)) else {
            return NONE;
        };
        slot.earliest = now.wrapping_add(low(AHEAD_MAX));
        slot.head
    }

    /// Notes that its slot holds a timer for `due`.
    fn keep(&mut self, due: u32) {
        let now = low(self.tick);
        if let Some(slot) = self.slots.get_mut(position(due)) {
            // Distances, since tick numbers wrap.
            if slot.head == NONE || due.wrapping_sub(now) < slot.earliest.wrapping_sub(now) {
                slot.earliest = due;
            }
        }
    }

    /// Puts a row without a timer at the head of its slot.
    fn link(&mut self, rows: &mut impl Links, key: ConnKey, due_tick: u64) {
        let due = low(due_tick);
        self.keep(due);
        self.earliest = self.earliest.min(due_tick);
        let Some(slot) = self.slots.get_mut(position(due)) else {
            return;
        };
        let next = mem::replace(&mut slot.head, key);
        if next != NONE
            && let Some(links) = rows.links(next)
        {
            links.prev = key;
        }
        if let Some(links) = rows.links(key) {
            *links = TimerLinks {
                prev: NONE,
                next,
                due,
            };
        }
        self.len += 1;
    }

    /// Takes the row `key`, whose links were `old`, out of its slot. Its own links stay as they
    /// are.
    fn unlink(&mut self, rows: &mut impl Links, key: ConnKey, old: TimerLinks) {
        if self.cursor == Some(key) {
            self.cursor = Some(old.next);
        }
        if old.prev == NONE {
            if let Some(slot) = self.slots.get_mut(position(old.due)) {
                slot.head = old.next;
            }
        } else if let Some(links) = rows.links(old.prev) {
            links.next = old.next;
        }
        if old.next != NONE
            && let Some(links) = rows.links(old.next)
        {
            links.prev = old.prev;
        }
        self.len -= 1;
    }
}

/// The half of a tick's number that the links keep.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn low(tick: u64) -> u32 {
    tick as u32
}

/// The slot of a tick.
const fn position(tick: u32) -> usize {
    tick as usize % SLOTS
}

#[cfg(test)]
mod tests;
