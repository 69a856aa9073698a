//! Puts the items of a channel into their order (grip-http.md section 15.2 of the behaviour
//! reference). Once per process; items go in, items come out in the order of their release.
//!
//! An item names itself by its id and the item before it by its prev-id. One whose prev-id is not
//! the last id of its channel waits until the one before it has come, or for a fixed time.
//! Only channels that somebody listens to are put in order: for the others there is no last id.
//! The last ids themselves are in a table that shards read too ([`LastIds`]).
//!
//! Unlike Pushpin, items whose time is over come out in the order of arrival, and those that
//! follow each other in the order of their chain: the first of the chain is then released with
//! the one whose time is over, even when it came later.

mod waiting;

use std::sync::Arc;

use proto::grip::Item;

use super::last_ids::LastIds;
use waiting::Waiting;

/// Items that wait on one channel; further ones are dropped and counted.
pub const WAITING_PER_CHANNEL_MAX: usize = 100;

/// Items that wait on all channels; for one more, the one that arrived first is released before
/// its time and counted.
pub const WAITING_MAX: usize = 100_000;

/// Bytes of content that wait on all channels, with the same outcome.
pub const WAITING_LEN_MAX: usize = 256 << 20;

/// The order of items.
#[derive(Debug)]
pub struct Sequencer {
    wait_ms: u64,
    limits: Limits,
    last_ids: Arc<LastIds>,
    waiting: Waiting,
    counts: SequencerCounts,
}

/// What the sequencer did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SequencerCounts {
    /// Items released since their time was over.
    pub expired: u64,
    /// Items dropped since [`WAITING_PER_CHANNEL_MAX`] others waited on the channel.
    pub dropped_full: u64,
    /// Items dropped since another one waited for the same prev-id.
    pub dropped_rival: u64,
    /// Items released before their time, for want of room.
    pub released_early: u64,
}

/// Bounds; tests choose small ones.
#[derive(Debug, Clone, Copy)]
struct Limits {
    waiting_per_channel: usize,
    waiting: usize,
    waiting_len: usize,
}

impl Limits {
    const DEFAULT: Self = Self {
        waiting_per_channel: WAITING_PER_CHANNEL_MAX,
        waiting: WAITING_MAX,
        waiting_len: WAITING_LEN_MAX,
    };
}

impl Sequencer {
    /// A sequencer in which items wait up to `wait_ms` milliseconds, and which alone adds to
    /// `last_ids`.
    #[must_use]
    pub fn new(wait_ms: u64, last_ids: Arc<LastIds>) -> Self {
        Self::with_limits(wait_ms, last_ids, Limits::DEFAULT)
    }

    fn with_limits(wait_ms: u64, last_ids: Arc<LastIds>, limits: Limits) -> Self {
        Self {
            wait_ms,
            limits,
            last_ids,
            waiting: Waiting::default(),
            counts: SequencerCounts::default(),
        }
    }

    /// Takes an item; appends what is released by it: nothing, the item, or the item and those
    /// that waited for it. `is_subscribed` says whether somebody listens to a channel, lingering
    /// included; it is asked at most once.
    pub fn sequence(
        &mut self,
        now_ms: u64,
        item: Arc<Item>,
        is_subscribed: impl FnOnce(&str) -> bool,
        out: &mut Vec<Arc<Item>>,
    ) {
        let is_unnamed = item.id.is_none() && item.prev_id.is_none();
        if (is_unnamed && self.last_ids.is_empty()) || item.no_seq || !is_subscribed(&item.channel)
        {
            out.push(item);
            return;
        }
        let (id, prev_id) = (item.id.as_deref(), item.prev_id.as_deref());
        if self.last_ids.advance(&item.channel, prev_id, id) {
            self.follow(item, out);
        } else {
            self.hold(now_ms, item, out);
        }
    }

    /// Releases up to `max` items whose time is over, each with those that waited for it; answers
    /// whether there may be more.
    pub fn expire(&mut self, now_ms: u64, max: usize, out: &mut Vec<Arc<Item>>) -> bool {
        for _ in 0..max {
            if !self.is_due(now_ms) {
                return false;
            }
            self.counts.expired += self.release_first(out);
        }
        self.is_due(now_ms)
    }

    /// Whether an item has waited long enough.
    #[must_use]
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.waiting
            .next_due_ms()
            .is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// Forgets a channel, its waiting items included: nobody listens to it any more.
    pub fn forget(&mut self, channel: &str) {
        self.last_ids.forget(channel);
        if !self.waiting.is_empty() {
            self.waiting.forget(channel);
        }
    }

    /// Forgets the last ids of all channels, so that no item and no client conflicts with them.
    pub fn recover(&self) {
        self.last_ids.clear();
    }

    /// Whether neither last ids nor waiting items are kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last_ids.is_empty() && self.waiting.is_empty()
    }

    /// How many channels have a known last id.
    #[must_use]
    pub fn last_ids(&self) -> usize {
        self.last_ids.len()
    }

    /// How many items wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What was done so far.
    #[must_use]
    pub const fn counts(&self) -> SequencerCounts {
        self.counts
    }

    fn hold(&mut self, now_ms: u64, item: Arc<Item>, out: &mut Vec<Arc<Item>>) {
        if self.waiting.len_of(&item.channel) >= self.limits.waiting_per_channel {
            self.counts.dropped_full += 1;
            log::debug!(
                "too many items wait on channel {}: one dropped",
                item.channel
            );
            return;
        }
        if self.waiting.has(&item.channel, item.prev_id.as_deref()) {
            self.counts.dropped_rival += 1;
            log::debug!(
                "two items follow the same on channel {}: one dropped",
                item.channel
            );
            return;
        }
        self.waiting.add(now_ms.saturating_add(self.wait_ms), item);
        while self.waiting.len() > self.limits.waiting
            || self.waiting.content_len() > self.limits.waiting_len
        {
            self.counts.released_early += self.release_first(out);
        }
    }

    /// Releases the item that has waited longest and its whole chain; answers how many.
    fn release_first(&mut self, out: &mut Vec<Arc<Item>>) -> u64 {
        let before = out.len();
        if let Some(item) = self.waiting.take_first() {
            self.last_ids
                .advance(&item.channel, None, item.id.as_deref());
            self.follow(item, out);
        }
        u64::try_from(out.len() - before).unwrap_or(u64::MAX)
    }

    /// Releases an item whose id is its channel's last by now, and whatever waited for it.
    fn follow(&mut self, item: Arc<Item>, out: &mut Vec<Arc<Item>>) {
        let mut item = item;
        loop {
            // Without an id there is nothing that the next one could follow.
            let id = item.id.as_deref();
            let follower = id.and_then(|id| self.follower(&item.channel, id));
            out.push(item);
            let Some(next) = follower else {
                return;
            };
            self.last_ids
                .advance(&next.channel, None, next.id.as_deref());
            item = next;
        }
    }

    fn follower(&mut self, channel: &str, id: &str) -> Option<Arc<Item>> {
        if self.waiting.is_empty() {
            return None;
        }
        self.waiting.take_follower(channel, id)
    }
}

#[cfg(test)]
mod tests;
