//! The way of items through the control thread, behind the parser and up to the rings of two
//! shards: doubles, order, one message for each publish. With ids and prev-ids in order, and the
//! same items without, in alternate rounds.

use std::sync::Arc;

use proto::grip::Item;
use shard::admin::interest::{Interest, InterestSettings};
use shard::core::hub::Mode;
use shard::core::id_cache::IdCache;
use shard::core::last_ids::LastIds;
use shard::core::sequencer::Sequencer;
use shard::io::broadcast::Broadcast;
use shard::io::bus::{Publisher, Subscriber, bus};
use shard::io::reports::SubscriptionChange;

use crate::clock::Watch;
use crate::error::BenchError;
use crate::harness::{Harness, median};
use crate::rig;

const SHARDS: usize = 2;

/// Items in one publish.
const BATCH: usize = 16;

/// Publishes before the shards take them: half of what a ring holds.
const BATCHES_AT_ONCE: usize = 512;

/// Items in a round.
const ITEMS: usize = 102_400;

/// Rounds of each way.
const ROUNDS: usize = 15;

/// Rounds before the first that counts: after them all tables have their size.
const WARM_UP: usize = 2;

/// Publishes in a millisecond of the clock that the tables see: 320,000 items/s.
const BATCHES_PER_MS: usize = 20;

/// The first id; all have one length.
const FIRST_ID: usize = 10_000_000;

/// What the control thread has for items.
struct Way {
    ids: IdCache,
    sequencer: Sequencer,
    interest: Interest,
    publisher: Publisher<Broadcast>,
    shards: Vec<Subscriber<Broadcast>>,
    now_ms: u64,
    batches: usize,
}

/// Items of some channels in turn, each behind the one before it on its channel.
struct Source {
    item: Arc<Item>,
    channels: Vec<String>,
    has_ids: bool,
    made: usize,
}

/// Measures the group.
///
/// # Errors
/// The kernel's, or items that are not released in order.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    for (case, channels) in [("one channel", 1), ("100000 channels", 100_000)] {
        let is_wanted = harness.wants(case);
        if is_wanted && harness.calls().is_none() {
            compare(harness, case, channels)?;
        }
    }
    Ok(())
}

/// Both ways in turn, each with tables of its own.
fn compare(harness: &mut Harness, case: &str, channels: usize) -> Result<(), BenchError> {
    let mut named_source = Source::new(channels, true)?;
    let mut plain_source = Source::new(channels, false)?;
    let mut named_way = Way::new(&named_source)?;
    let mut plain_way = Way::new(&plain_source)?;
    let (mut named, mut plain) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + WARM_UP {
        let named_ns = named_way.publish_all(named_source.next_round(), Way::arrange)?;
        let plain_ns = plain_way.publish_all(plain_source.next_round(), Way::pass)?;
        if round >= WARM_UP {
            named.push(named_ns as f64 / ITEMS as f64);
            plain.push(plain_ns as f64 / ITEMS as f64);
        }
    }
    let per_s = |ns: &[f64]| ns.iter().map(|ns| 1e9 / ns).collect();
    let ratio = median(&plain) / median(&named);
    let ratios = plain.iter().zip(&named).map(|(plain, named)| plain / named);
    let ratios = ratios.collect();
    harness.record(&format!("{case}: with ids"), "items/s", per_s(&named));
    harness.record(&format!("{case}: without ids"), "items/s", per_s(&plain));
    let name = format!("{case}: items/s, with ids to without");
    harness.record_ratio(&name, ratio, ratios);
    Ok(())
}

impl Source {
    fn new(channels: usize, has_ids: bool) -> Result<Self, BenchError> {
        Ok(Self {
            has_ids,
            item: rig::stream_item("any")?,
            channels: (0..channels).map(|n| format!("room-{n}")).collect(),
            made: 0,
        })
    }

    /// As many items as a round takes, as the parser would hand them over.
    fn next_round(&mut self) -> Vec<Vec<Item>> {
        let batches = (0..ITEMS / BATCH).map(|_| {
            let batch = (0..BATCH).map(|_| self.next_item());
            batch.collect()
        });
        batches.collect()
    }

    fn next_item(&mut self) -> Item {
        let mut item = (*self.item).clone();
        let count = self.channels.len();
        if let Some(channel) = self.channels.get(self.made % count) {
            item.channel = Arc::from(channel.as_str());
        }
        if self.has_ids {
            let id = FIRST_ID + self.made / count;
            item.prev_id = Some((id - 1).to_string().into());
            item.id = Some(id.to_string().into());
        }
        self.made += 1;
        item
    }
}

impl Way {
    fn new(source: &Source) -> Result<Self, BenchError> {
        let settings = config::Handler::default();
        let mut interest = Interest::new(
            InterestSettings {
                linger_ms: 60_000,
                ttl_ms: 60_000,
            },
            0,
        );
        for channel in &source.channels {
            let change = SubscriptionChange {
                mode: Mode::Stream,
                channel: Arc::from(channel.as_str()),
                delta: 1,
            };
            interest.apply(0, &change, &mut Vec::new());
        }
        let (publisher, shards) = bus(SHARDS, 2 * BATCHES_AT_ONCE)?;
        Ok(Self {
            ids: IdCache::new(u64::from(settings.id_cache_ttl_s) * 1_000),
            sequencer: Sequencer::new(
                u64::from(settings.message_wait_ms),
                Arc::new(LastIds::default()),
            ),
            interest,
            publisher,
            shards,
            now_ms: 0,
            batches: 0,
        })
    }

    /// CPU time of publishing all of these; what the shards do with them does not count.
    fn publish_all(
        &mut self,
        batches: Vec<Vec<Item>>,
        arrange: fn(&mut Self, Vec<Item>) -> Vec<Arc<Item>>,
    ) -> Result<u64, BenchError> {
        let mut cpu_ns = 0;
        let mut batches = batches.into_iter();
        while batches.len() > 0 {
            let watch = Watch::start();
            let count = batches.len().min(BATCHES_AT_ONCE);
            for batch in batches.by_ref().take(count) {
                let released = arrange(self, batch);
                let message = Broadcast::Items(released.into());
                if self.publisher.try_publish(message).is_err() {
                    return Err(BenchError::Unexpected("a ring is full"));
                }
                self.publisher.wake();
            }
            cpu_ns += watch.lap().cpu_ns;
            self.take(count * BATCH)?;
        }
        Ok(cpu_ns)
    }

    /// What `control::order` does.
    fn arrange(&mut self, items: Vec<Item>) -> Vec<Arc<Item>> {
        self.batches += 1;
        self.now_ms += u64::from(self.batches.is_multiple_of(BATCHES_PER_MS));
        let mut released = Vec::with_capacity(items.len());
        for item in items {
            if let Some(id) = &item.id
                && !self.ids.is_new(self.now_ms, &item.channel, id)
            {
                continue;
            }
            let interest = &self.interest;
            let is_known = |channel: &str| interest.is_known(channel);
            self.sequencer
                .sequence(self.now_ms, Arc::new(item), is_known, &mut released);
        }
        released
    }

    /// What is done with items while no ids are in use.
    fn pass(&mut self, items: Vec<Item>) -> Vec<Arc<Item>> {
        self.batches += 1;
        items.into_iter().map(Arc::new).collect()
    }

    fn take(&self, expected: usize) -> Result<(), BenchError> {
        for shard in &self.shards {
            let mut count = 0;
            while let Some(message) = shard.try_recv() {
                if let Broadcast::Items(items) = message {
                    count += items.len();
                }
            }
            if count != expected {
                return Err(BenchError::Unexpected("items are missing"));
            }
        }
        Ok(())
    }
}
