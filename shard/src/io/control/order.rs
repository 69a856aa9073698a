//! Once per item, before it goes into the ring: doubles are dropped, and the rest is put in
//! order. A publish is looked at only when the ring has room for it, so one that is refused
//! leaves no trace here and can be repeated.

use std::sync::Arc;

use config::Handler;
use proto::grip::Item;

use crate::admin::interest::Interest;
use crate::admin::metrics::OrderNumbers;
use crate::core::id_cache::IdCache;
use crate::core::last_ids::LastIds;
use crate::core::sequencer::Sequencer;

/// Outdated ids dropped in one tick.
const IDS_PER_TICK_MAX: usize = 8_192;

/// Chains released at once because their time is over; the rest waits for the next tick.
const EXPIRED_AT_ONCE_MAX: usize = 1_024;

/// Id cache and sequencer.
#[derive(Debug)]
pub(super) struct Order {
    ids: IdCache,
    sequencer: Sequencer,
    duplicates: u64,
}

impl Order {
    pub(super) fn new(handler: &Handler, last_ids: Arc<LastIds>) -> Self {
        Self {
            ids: IdCache::new(u64::from(handler.id_cache_ttl_s) * 1_000),
            sequencer: Sequencer::new(u64::from(handler.message_wait_ms), last_ids),
            duplicates: 0,
        }
    }

    /// Whether ids play a part: if not, the items go out as they are.
    pub(super) fn concerns(&self, items: &[Item]) -> bool {
        self.sequencer.last_ids() > 0
            || items
                .iter()
                .any(|item| item.id.is_some() || item.prev_id.is_some())
    }

    /// Takes items; answers what is released by them, in order.
    pub(super) fn arrange(
        &mut self,
        now_ms: u64,
        items: Vec<Item>,
        interest: &Interest,
    ) -> Vec<Arc<Item>> {
        let mut released = Vec::with_capacity(items.len());
        for item in items {
            if let Some(id) = &item.id
                && !self.ids.is_new(now_ms, &item.channel, id)
            {
                self.duplicates += 1;
                log::debug!("item {id} of channel {} came again: dropped", item.channel);
                continue;
            }
            let is_known = |channel: &str| interest.is_known(channel);
            self.sequencer
                .sequence(now_ms, Arc::new(item), is_known, &mut released);
        }
        released
    }

    /// Drops outdated ids; answers whether waiting items are due.
    pub(super) fn tick(&mut self, now_ms: u64) -> bool {
        self.ids.expire(now_ms, IDS_PER_TICK_MAX);
        self.sequencer.is_due(now_ms)
    }

    /// Releases items whose time is over.
    pub(super) fn expire(&mut self, now_ms: u64) -> Vec<Arc<Item>> {
        let mut released = Vec::new();
        self.sequencer
            .expire(now_ms, EXPIRED_AT_ONCE_MAX, &mut released);
        released
    }

    /// Nobody listens to a channel any more.
    pub(super) fn forget(&mut self, channel: &str) {
        self.sequencer.forget(channel);
    }

    /// Forgets all last ids.
    pub(super) fn recover(&self) {
        self.sequencer.recover();
    }

    /// Whether there is nothing that could be forgotten.
    pub(super) fn is_empty(&self) -> bool {
        self.sequencer.is_empty()
    }

    pub(super) fn numbers(&self) -> OrderNumbers {
        let wide = |number| u64::try_from(number).unwrap_or(u64::MAX);
        let counts = self.sequencer.counts();
        OrderNumbers {
            ids: wide(self.ids.len()),
            ids_forgotten_early: self.ids.forgotten_early(),
            duplicates: self.duplicates,
            last_ids: wide(self.sequencer.last_ids()),
            waiting: wide(self.sequencer.waiting()),
            waits_expired: counts.expired,
            waits_ended_early: counts.released_early,
            dropped_full: counts.dropped_full,
            dropped_rival: counts.dropped_rival,
        }
    }
}
