//! Who listens to what, over all shards: subscribers per (mode, channel), and what stats
//! listeners are to be told about it (the `sub` packets, control.md section 6.2 of the behaviour
//! reference).
//!
//! The first subscriber is told at once, later changes at most once per [`FOLD_MS`] and channel,
//! every channel again before its time to live is over. The end is told at once; for response
//! holds it lingers, so that a long-poller can come back.
//!
//! A row costs at most 120 bytes beside the name, which is the shards' own string, shared.

mod notice;

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

pub use notice::{Notice, NoticeKind};

use crate::core::hub::Mode;
use crate::core::pages::Pages;
use crate::core::wheel::{Links, TimerLinks, Wheel};
use crate::io::reports::SubscriptionChange;

/// Changes of one channel's number are told at most this often, in milliseconds.
pub const FOLD_MS: u64 = 100;

/// All modes, the likely ones first.
const MODES: [Mode; 3] = [Mode::Stream, Mode::Response, Mode::WebSocket];

/// How the table behaves; times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterestSettings {
    /// How long a channel of response holds stays known after its last subscriber.
    pub linger_ms: u64,
    /// How long listeners believe what they were told.
    pub ttl_ms: u64,
}

/// The table.
#[derive(Debug)]
pub struct Interest {
    settings: InterestSettings,
    rows: Pages<Row>,
    index: HashTable<u32>,
    hasher: RandomState,
    wheel: Wheel,
    expired: Vec<u32>,
}

/// One (mode, channel) with subscribers, or lingering without.
#[derive(Debug)]
struct Row {
    channel: Arc<str>,
    /// When listeners were last told, in milliseconds.
    told_ms: u64,
    /// When a row without subscribers goes; only meaningful while `count` is 0.
    gone_ms: u64,
    count: u32,
    /// The number that listeners know.
    told: u32,
    timer: TimerLinks,
    mode: Mode,
}

impl Links for Pages<Row> {
    fn links(&mut self, key: u32) -> Option<&mut TimerLinks> {
        self.get_mut(key).map(|row| &mut row.timer)
    }
}

impl Interest {
    /// A table without channels.
    #[must_use]
    pub fn new(settings: InterestSettings, now_ms: u64) -> Self {
        Self {
            settings,
            rows: Pages::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
            wheel: Wheel::new(now_ms),
            expired: Vec::new(),
        }
    }

    /// How many subscribers a channel has in a mode.
    #[must_use]
    pub fn count(&self, mode: Mode, channel: &str) -> u32 {
        self.find(mode, channel)
            .and_then(|key| self.rows.get(key))
            .map_or(0, |row| row.count)
    }

    /// Whether anybody listens to a channel in any mode, lingering ones included.
    #[must_use]
    pub fn is_known(&self, channel: &str) -> bool {
        MODES.iter().any(|mode| self.find(*mode, channel).is_some())
    }

    /// Whether a channel has subscribers in an HTTP mode at this moment.
    #[must_use]
    pub fn is_held(&self, channel: &str) -> bool {
        [Mode::Stream, Mode::Response]
            .iter()
            .any(|mode| self.count(*mode, channel) > 0)
    }

    /// How many (mode, channel) pairs are known, lingering ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no channel is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Books subscribers that came or went; appends what listeners must be told at once. Answers
    /// whether the channel was not known before, in any mode: it is its first subscription.
    ///
    /// Shards report in their own order, so the sum of a channel never falls below zero; should
    /// it ever, it counts as zero.
    pub fn apply(
        &mut self,
        now_ms: u64,
        change: &SubscriptionChange,
        out: &mut Vec<Notice>,
    ) -> bool {
        if change.delta == 0 {
            return false;
        }
        let known = self.rows.len();
        let Some(key) = self.row_of(now_ms, change) else {
            return false;
        };
        let is_first = self.rows.len() > known && !self.is_known_beside(change);
        let Some(row) = self.rows.get_mut(key) else {
            return false;
        };
        let before = row.count;
        row.count = before.saturating_add_signed(change.delta);
        let lingers = row.mode == Mode::Response && self.settings.linger_ms > 0;
        if row.count == 0 && !lingers {
            self.end(key, out);
            return false;
        }
        if row.count == 0 {
            row.gone_ms = now_ms.saturating_add(self.settings.linger_ms);
        }
        // Somebody who came first, or came back, is news; the rest may wait for its turn.
        let is_news = before == 0 && row.count > 0;
        if is_news || now_ms.saturating_sub(row.told_ms) >= FOLD_MS {
            row.tell(now_ms, out);
        }
        self.schedule(key);
        is_first
    }

    /// Does what is due: folded changes, repeats, ends of lingering. Looks at no more than `max`
    /// rows and answers whether it stopped for that reason.
    pub fn expire(&mut self, now_ms: u64, max: usize, out: &mut Vec<Notice>) -> bool {
        let mut expired = std::mem::take(&mut self.expired);
        let more = self.wheel.expire(&mut self.rows, now_ms, max, &mut expired);
        for key in expired.drain(..) {
            let Some(row) = self.rows.get_mut(key) else {
                continue;
            };
            if row.count == 0 && row.gone_ms <= now_ms {
                self.end(key, out);
                continue;
            }
            row.tell(now_ms, out);
            self.schedule(key);
        }
        self.expired = expired;
        more
    }

    fn find(&self, mode: Mode, channel: &str) -> Option<u32> {
        let hash = self.hasher.hash_one((mode, channel));
        self.index
            .find(hash, |key| is_row(&self.rows, *key, mode, channel))
            .copied()
    }

    /// Whether the change's channel is known in another mode.
    fn is_known_beside(&self, change: &SubscriptionChange) -> bool {
        MODES
            .iter()
            .any(|mode| *mode != change.mode && self.find(*mode, &change.channel).is_some())
    }

    /// The row of the change's channel. None is made for subscribers that leave.
    fn row_of(&mut self, now_ms: u64, change: &SubscriptionChange) -> Option<u32> {
        let Self {
            rows,
            index,
            hasher,
            ..
        } = self;
        let (mode, channel) = (change.mode, &*change.channel);
        let hash = hasher.hash_one((mode, channel));
        let entry = index.entry(
            hash,
            |key| is_row(rows, *key, mode, channel),
            |key| {
                rows.get(*key)
                    .map_or(0, |row| hasher.hash_one((row.mode, &*row.channel)))
            },
        );
        match entry {
            Entry::Occupied(entry) => Some(*entry.get()),
            Entry::Vacant(_) if change.delta < 0 => None,
            Entry::Vacant(entry) => {
                let channel = Arc::clone(&change.channel);
                let key = *entry.insert(rows.vacant_key()).get();
                rows.insert(Row {
                    channel,
                    told_ms: now_ms,
                    gone_ms: 0,
                    count: 0,
                    told: 0,
                    timer: TimerLinks::new(),
                    mode,
                });
                Some(key)
            }
        }
    }

    /// Sets the row's timer to whatever comes first.
    fn schedule(&mut self, key: u32) {
        let Some(row) = self.rows.get(key) else {
            return;
        };
        let mut due_ms = row.told_ms.saturating_add(self.repeat_ms(key));
        if row.told != row.count {
            due_ms = due_ms.min(row.told_ms.saturating_add(FOLD_MS));
        }
        if row.count == 0 {
            due_ms = due_ms.min(row.gone_ms);
        }
        self.wheel.schedule(&mut self.rows, key, due_ms);
    }

    /// Between half and three quarters of the time to live, so that a million channels that came
    /// together are not repeated together.
    fn repeat_ms(&self, key: u32) -> u64 {
        // Fibonacci hashing: neighbouring keys land far apart.
        let spread = u64::from(key.wrapping_mul(0x9E37_79B9) >> 16);
        let half = self.settings.ttl_ms / 2;
        (half + half / 2 * spread / 0xFFFF).max(FOLD_MS)
    }

    fn end(&mut self, key: u32, out: &mut Vec<Notice>) {
        self.wheel.cancel(&mut self.rows, key);
        let Some(row) = self.rows.remove(key) else {
            return;
        };
        let hash = self.hasher.hash_one((row.mode, &*row.channel));
        if let Ok(entry) = self.index.find_entry(hash, |candidate| *candidate == key) {
            entry.remove();
        }
        self.give_back();
        out.push(Notice {
            mode: row.mode,
            channel: row.channel,
            kind: NoticeKind::Gone,
        });
    }

    /// Lets the index shrink after a storm; by half at a time, so that it does not swing.
    fn give_back(&mut self) {
        if self.index.capacity() > 1_024 && self.index.len() < self.index.capacity() / 4 {
            let Self {
                rows,
                index,
                hasher,
                ..
            } = self;
            index.shrink_to(index.len() * 2, |key| {
                rows.get(*key)
                    .map_or(0, |row| hasher.hash_one((row.mode, &*row.channel)))
            });
        }
    }
}

impl Row {
    fn tell(&mut self, now_ms: u64, out: &mut Vec<Notice>) {
        self.told = self.count;
        self.told_ms = now_ms;
        out.push(Notice {
            mode: self.mode,
            channel: Arc::clone(&self.channel),
            kind: NoticeKind::Subscribers(self.count),
        });
    }
}

fn is_row(rows: &Pages<Row>, key: u32, mode: Mode, channel: &str) -> bool {
    rows.get(key)
        .is_some_and(|row| row.mode == mode && &*row.channel == channel)
}

#[cfg(test)]
mod tests;
