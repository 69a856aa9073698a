//! The way of items into the broadcast ring.
//!
//! Whatever brings items calls [`Control::publish`]; what must be seen once per item happens here.
//! When the slowest shard is a full ring behind, the publisher is held back, in the order of
//! arrival. Nothing is dropped: either all items of a publish are in the ring, or it is refused.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use glommio::timer::sleep;
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
    /// Publishes items. When this returns, the shards have them in their rings.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when there was no room for too long; then none was published.
    pub(super) async fn publish(&self, items: Vec<Item>) -> Result<(), Refusal> {
        if items.is_empty() {
            return Ok(());
        }
        let items: Arc<[Arc<Item>]> = items.into_iter().map(Arc::new).collect();
        let message = Broadcast::Items(Arc::clone(&items));
        if self
            .broadcast(message, Some(HOLD_BACK_MAX_MS))
            .await
            .is_err()
        {
            self.count(|counts| counts.publishes_refused += 1);
            return Err(Refusal::Overloaded);
        }
        self.note_published(&items);
        Ok(())
    }

    /// Puts a message into the ring and wakes the shards that sleep; waits for room if need be.
    ///
    /// # Errors
    /// The message, when there was no room for `wait_max_ms`.
    pub(super) async fn broadcast(
        &self,
        message: Broadcast,
        wait_max_ms: Option<u64>,
    ) -> Result<(), Broadcast> {
        let mut message = message;
        if self.gate.len() == 0 {
            match self.try_broadcast(message) {
                Ok(()) => return Ok(()),
                Err(back) => message = back,
            }
        }
        let place = self.gate.enter();
        let started_ms = self.clock.now_ms();
        loop {
            sleep(HOLD_BACK_LOOK).await;
            if place.is_first() {
                match self.try_broadcast(message) {
                    Ok(()) => return Ok(()),
                    Err(back) => message = back,
                }
            }
            let waited_ms = self.clock.now_ms().saturating_sub(started_ms);
            if wait_max_ms.is_some_and(|max| waited_ms >= max) {
                return Err(message);
            }
        }
    }

    /// Wakes at once: a wake costs a system call only for a shard that sleeps, and only once.
    fn try_broadcast(&self, message: Broadcast) -> Result<(), Broadcast> {
        let mut publisher = self.publisher.borrow_mut();
        publisher.try_publish(message)?;
        publisher.wake();
        Ok(())
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
