//! How many deliveries the whole process may make: the one thing about them that shards share.
//!
//! A shard with something to deliver reserves its share of the time ahead and delivers when that
//! has come: one atomic exchange per batch, and shards that want more than there is are served in
//! the order in which they asked.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use config::Handler;

/// Batches per second from [`BATCHED_RATE_MIN`] on.
const BATCHES_PER_S: u32 = 40;

/// From this rate on deliveries go in batches (GRIP; Pushpin does so).
const BATCHED_RATE_MIN: u32 = BATCHES_PER_S;

const NS_PER_MS: u64 = 1_000_000;

/// `message_rate`, for all shards together (grip-http.md section 18 of the behaviour reference).
#[derive(Debug)]
pub struct DeliveryRate {
    /// Weight of one batch.
    batch: u64,
    /// How long one batch lasts, in nanoseconds.
    period_ns: u64,
    /// Until when the time is reserved, on the clock that all shards read.
    reserved_until_ns: AtomicU64,
}

/// A share of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct Slot {
    /// When it begins.
    pub(in crate::core) at_ms: u64,
    /// Weight that may be delivered in it.
    pub(in crate::core) weight: u64,
}

impl DeliveryRate {
    /// The rate of the settings, if they set one.
    #[must_use]
    pub fn of(handler: &Handler) -> Option<Arc<Self>> {
        handler
            .message_rate_per_s
            .map(|rate| Arc::new(Self::new(rate)))
    }

    /// A rate of so many deliveries per second.
    #[must_use]
    pub fn new(rate_per_s: NonZeroU32) -> Self {
        let rate = rate_per_s.get();
        let (batch, period_ms) = if rate >= BATCHED_RATE_MIN {
            (rate.div_ceil(BATCHES_PER_S), 1000 / BATCHES_PER_S)
        } else {
            (1, 1000 / rate)
        };
        Self {
            batch: u64::from(batch),
            period_ns: u64::from(period_ms) * NS_PER_MS,
            reserved_until_ns: AtomicU64::new(0),
        }
    }

    /// Reserves time for deliveries that weigh `weight` together: for one batch at most.
    pub(in crate::core) fn reserve(&self, now_ms: u64, weight: u64) -> Slot {
        let weight = weight.clamp(1, self.batch);
        let now_ns = now_ms.saturating_mul(NS_PER_MS);
        let cost_ns = self.cost_ns(weight);
        let begin = |until_ns: u64| until_ns.max(now_ns);
        let until_ns =
            self.reserved_until_ns
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until_ns| {
                    Some(begin(until_ns).saturating_add(cost_ns))
                });
        let (Ok(until_ns) | Err(until_ns)) = until_ns;
        Slot {
            at_ms: begin(until_ns).div_ceil(NS_PER_MS),
            weight,
        }
    }

    /// Books what was delivered beyond a slot's weight, so that the next slots begin later.
    pub(in crate::core) fn charge(&self, weight: u64) {
        let cost_ns = self.cost_ns(weight);
        let _ =
            self.reserved_until_ns
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until_ns| {
                    Some(until_ns.saturating_add(cost_ns))
                });
    }

    fn cost_ns(&self, weight: u64) -> u64 {
        weight.saturating_mul(self.period_ns) / self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_s: u32) -> DeliveryRate {
        DeliveryRate::new(NonZeroU32::new(per_s).unwrap())
    }

    /// (when, how much) of the first slots for somebody with much to deliver.
    fn slots(per_s: u32) -> Vec<(u64, u64)> {
        let rate = rate(per_s);
        let slots = (0..4).map(|_| rate.reserve(1000, 1_000_000));
        slots.map(|slot| (slot.at_ms, slot.weight)).collect()
    }

    #[test]
    fn from_forty_per_second_on_a_batch_goes_every_25_ms() {
        assert_eq!(slots(40), [(1000, 1), (1025, 1), (1050, 1), (1075, 1)]);
        assert_eq!(
            slots(2500),
            [(1000, 63), (1025, 63), (1050, 63), (1075, 63)]
        );
    }

    #[test]
    fn below_forty_per_second_they_go_one_by_one() {
        assert_eq!(slots(39), [(1000, 1), (1025, 1), (1050, 1), (1075, 1)]);
        assert_eq!(slots(3), [(1000, 1), (1333, 1), (1666, 1), (1999, 1)]);
        assert_eq!(slots(1), [(1000, 1), (2000, 1), (3000, 1), (4000, 1)]);
    }

    #[test]
    fn who_needs_less_than_a_batch_leaves_the_rest_to_others() {
        let rate = rate(4000);
        assert_eq!(rate.reserve(0, 20).at_ms, 0);
        assert_eq!(rate.reserve(0, 100).at_ms, 5);
        assert_eq!(rate.reserve(0, 1).at_ms, 30);
    }

    #[test]
    fn time_in_which_nobody_delivered_is_not_made_up_for() {
        let rate = rate(1);
        assert_eq!(rate.reserve(0, 1).at_ms, 0);
        assert_eq!(rate.reserve(60_000, 1).at_ms, 60_000);
        assert_eq!(rate.reserve(60_000, 1).at_ms, 61_000);
    }

    #[test]
    fn what_goes_beyond_a_slot_delays_the_next_one() {
        let rate = rate(2);
        assert_eq!(rate.reserve(0, 7).weight, 1);
        rate.charge(6);
        assert_eq!(rate.reserve(0, 1).at_ms, 3500);
    }

    #[test]
    fn the_highest_rate_and_weight_do_not_overflow() {
        let rate = rate(u32::MAX);
        assert_eq!(rate.reserve(1000, u64::MAX).weight, 107_374_183);
        rate.charge(u64::MAX);
        rate.charge(u64::MAX);
        assert!(rate.reserve(1000, 1).at_ms > 1000);
    }
}
