//! The way of items into the broadcast ring.
//!
//! Whatever brings items calls [`Control::publish`]; what must be seen once per item happens here.
//! When the slowest shard is a full ring behind, the publisher is held back, in the order of
//! arrival. Nothing is dropped: either all items of a publish are taken, or it is refused.
//!
//! Ids are looked at in the moment in which there is room, and what is released then goes into
//! the ring before anything else can: the order of release is the order in the ring.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proto::grip::{Format, Item};

use super::refusal::Refusal;
use super::state::Control;
use crate::admin::packets::MessageSeen;
use crate::core::hub::Mode;
use crate::io::broadcast::Broadcast;

/// How long a publisher is held back before it is refused, in milliseconds.
pub(super) const HOLD_BACK_MAX_MS: u64 = 10_000;

/// How often those who are held back look for room.
const HOLD_BACK_LOOK: Duration = Duration::from_millis(1);

const FORMATS: [(Format, Mode); 3] = [
    (Format::Response, Mode::Response),
    (Format::Stream, Mode::Stream),
    (Format::Ws, Mode::WebSocket),
];

/// Who waits for room in the ring, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Gate {
    waiting: RefCell<VecDeque<u64>>,
    next: Cell<u64>,
}

/// A place in the queue; given up when dropped, also when its connection ends.
struct Place<'g> {
    gate: &'g Gate,
    number: u64,
}

impl Gate {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    fn enter(&self) -> Place<'_> {
        let number = self.next.get();
        self.next.set(number + 1);
        self.waiting.borrow_mut().push_back(number);
        Place { gate: self, number }
    }
}

impl Place<'_> {
    fn is_first(&self) -> bool {
        self.gate.waiting.borrow().front() == Some(&self.number)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate
            .waiting
            .borrow_mut()
            .retain(|number| *number != self.number);
    }
}

impl Control {
    /// Publishes items. When this returns, the shards have them in their rings, or they wait for
    /// those before them.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when there was no room for too long; then none was published.
    pub(super) async fn publish(&self, items: Vec<Item>) -> Result<(), Refusal> {
        if items.is_empty() {
            return Ok(());
        }
        if !self.room(Some(HOLD_BACK_MAX_MS)).await {
            self.count(|counts| counts.publishes_refused += 1);
            return Err(Refusal::Overloaded);
        }
        self.publish_now(items);
        Ok(())
    }

    /// Publishes items of somebody who is told nothing, and who is held back for as long as this
    /// takes.
    pub(super) async fn publish_in_time(&self, items: Vec<Item>) {
        if self.room(None).await {
            self.publish_now(items);
        }
    }

    /// Publishes items. There must be [room](Self::room).
    fn publish_now(&self, items: Vec<Item>) {
        let released = if self.order.borrow().concerns(&items) {
            self.arrange(items).into()
        } else {
            items.into_iter().map(Arc::new).collect()
        };
        self.release(released);
    }

    /// Releases items that have waited long enough for those before them. At most one call at a
    /// time: see [`Control::is_expiring`].
    pub(super) async fn publish_expired(&self) {
        if self.room(None).await {
            let released = self.order.borrow_mut().expire(self.clock.now_ms());
            self.release(released.into());
        }
        self.is_expiring.set(false);
    }

    /// Lets the holds of channels catch up that got their first subscriber a moment ago. At most
    /// one call at a time: see [`Control::is_updating`].
    pub(super) async fn update_firsts(&self) {
        if self.room(None).await {
            let now_ms = self.clock.now_ms();
            let interest = self.interest.borrow();
            let is_held = |channel: &str| interest.is_held(channel);
            let channels = self.firsts.borrow_mut().take(now_ms, is_held);
            if !channels.is_empty() {
                self.put(Broadcast::Update(channels.into()));
            }
        }
        self.is_updating.set(false);
    }

    /// Forgets the last ids and makes all held HTTP connections catch up.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when there was no room for too long; then nothing was done.
    pub(super) async fn recover(&self) -> Result<(), Refusal> {
        if !self.room(Some(HOLD_BACK_MAX_MS)).await {
            return Err(Refusal::Overloaded);
        }
        self.order.borrow().recover();
        self.put(Broadcast::Recover);
        Ok(())
    }

    /// Puts a message into the ring and wakes the shards that sleep; waits for room if need be,
    /// however long.
    pub(super) async fn broadcast(&self, message: Broadcast) {
        if self.room(None).await {
            self.put(message);
        }
    }

    /// Drops doubles and puts the rest in order, by what the shards have reported up to now.
    fn arrange(&self, items: Vec<Item>) -> Vec<Arc<Item>> {
        let now_ms = self.clock.now_ms();
        // A subscription made before this publish counts, whether or not a tick has seen it.
        self.take_reports(now_ms);
        let interest = self.interest.borrow();
        self.order.borrow_mut().arrange(now_ms, items, &interest)
    }

    /// Puts items into the ring. There must be [room](Self::room).
    fn release(&self, items: Arc<[Arc<Item>]>) {
        if items.is_empty() {
            return;
        }
        self.put(Broadcast::Items(Arc::clone(&items)));
        self.note_published(&items);
    }

    /// Waits for room in the ring, behind everyone who waits already. False: there was none for
    /// `wait_max_ms`. The room is there until the caller awaits something.
    pub(super) async fn room(&self, wait_max_ms: Option<u64>) -> bool {
        if self.gate.len() == 0 && self.publisher.borrow().has_room() {
            return true;
        }
        let place = self.gate.enter();
        let started_ms = self.clock.now_ms();
        loop {
            self.reactor.pause(HOLD_BACK_LOOK).await;
            if place.is_first() && self.publisher.borrow().has_room() {
                return true;
            }
            let waited_ms = self.clock.now_ms().saturating_sub(started_ms);
            if wait_max_ms.is_some_and(|max| waited_ms >= max) {
                return false;
            }
        }
    }

    /// Wakes at once: a wake costs a system call only for a shard that sleeps, and only once.
    pub(super) fn put(&self, message: Broadcast) {
        let mut publisher = self.publisher.borrow_mut();
        let is_put = publisher.try_publish(message).is_ok();
        debug_assert!(is_put, "there was room and nobody else publishes");
        publisher.wake();
    }

    /// Counts the items and tells listeners about them, after the shards have them.
    fn note_published(&self, items: &[Arc<Item>]) {
        for item in items {
            self.count(|counts| counts.received += 1);
            for (format, mode) in FORMATS {
                if item.has(format) {
                    self.note_format(item, format, mode);
                }
            }
        }
        self.stats.borrow_mut().wake();
    }

    fn note_format(&self, item: &Item, format: Format, mode: Mode) {
        let count = self.interest.borrow().count(mode, &item.channel);
        let blocks = self.config.handler.message_block_size.map(|size| {
            let len = u64::try_from(item.counted_len(format)).unwrap_or(u64::MAX);
            len.div_ceil(u64::from(size.get()))
        });
        self.count(|counts| {
            counts.blocks_received += blocks.unwrap_or(0);
            counts.blocks_sent += blocks.unwrap_or(0).saturating_mul(u64::from(count));
            if mode == Mode::Response {
                counts.responses_sent += u64::from(count);
            }
        });
        log::debug!("publish channel={} receivers={count}", item.channel);
        if count > 0 {
            let item_id = item.id.as_deref();
            let seen = MessageSeen {
                channel: &item.channel,
                item_id,
                mode,
                count,
                blocks,
            };
            self.stats.borrow_mut().message(&seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_first_in_the_order_of_arrival() {
        let gate = Gate::default();
        let (first, second, third) = (gate.enter(), gate.enter(), gate.enter());
        assert!(first.is_first() && !second.is_first());
        drop(second);
        assert!(!third.is_first());
        drop(first);
        assert!(third.is_first());
        assert_eq!(gate.len(), 1);
    }
}
