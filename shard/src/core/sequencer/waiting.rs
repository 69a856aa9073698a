//! Items that wait for the one before them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ahash::RandomState;
use proto::grip::{Item, ResponseForm, StreamForm, WsForm};

/// The items that wait, by channel and in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// In the order of arrival within a channel; a channel has at most a hundred or so, so that
    /// looking at all of them is cheap.
    channels: HashMap<Arc<str>, Vec<Wait>, RandomState>,
    /// The channel of each arrival, and until when it waits.
    arrivals: BTreeMap<u64, Arrival>,
    arrived: u64,
    content_len: usize,
}

#[derive(Debug)]
struct Wait {
    arrival: u64,
    item: Arc<Item>,
}

#[derive(Debug)]
struct Arrival {
    channel: Arc<str>,
    due_ms: u64,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.arrivals.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// Bytes of content that wait.
    pub(super) const fn content_len(&self) -> usize {
        self.content_len
    }

    /// How many wait on a channel.
    pub(super) fn len_of(&self, channel: &str) -> usize {
        self.channels.get(channel).map_or(0, Vec::len)
    }

    /// Whether one waits for `prev_id` on a channel.
    pub(super) fn has(&self, channel: &str, prev_id: Option<&str>) -> bool {
        self.channels.get(channel).is_some_and(|waits| {
            waits
                .iter()
                .any(|wait| wait.item.prev_id.as_deref() == prev_id)
        })
    }

    pub(super) fn add(&mut self, due_ms: u64, item: Arc<Item>) {
        let arrival = self.arrived;
        self.arrived += 1;
        let channel = Arc::clone(&item.channel);
        self.content_len += content_len(&item);
        self.arrivals.insert(
            arrival,
            Arrival {
                channel: Arc::clone(&channel),
                due_ms,
            },
        );
        let waits = self.channels.entry(channel).or_default();
        waits.push(Wait { arrival, item });
    }

    /// Until when the item waits that arrived first.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.arrivals.values().next().map(|first| first.due_ms)
    }

    /// Takes the item that waits for `prev_id` on a channel.
    pub(super) fn take_follower(&mut self, channel: &str, prev_id: &str) -> Option<Arc<Item>> {
        let waits = self.channels.get(channel)?;
        let position = waits
            .iter()
            .position(|wait| wait.item.prev_id.as_deref() == Some(prev_id))?;
        self.take(channel, position)
    }

    /// Takes the item that arrived first or, when that one follows others that wait too, the
    /// first of their chain: whoever releases it and its followers keeps the chain's order.
    pub(super) fn take_first(&mut self) -> Option<Arc<Item>> {
        let channel = Arc::clone(&self.arrivals.values().next()?.channel);
        let waits = self.channels.get(&channel)?;
        // The oldest of the channel is the oldest of all.
        let mut position = 0;
        // Ids may go in a circle, so the steps are counted. Each is before the other then, and
        // any of them will do.
        for _ in 0..waits.len() {
            let Some(prev_id) = waits
                .get(position)
                .and_then(|wait| wait.item.prev_id.as_deref())
            else {
                break;
            };
            match waits
                .iter()
                .position(|wait| wait.item.id.as_deref() == Some(prev_id))
            {
                Some(before) => position = before,
                None => break,
            }
        }
        self.take(&channel, position)
    }

    /// Throws away what waits on a channel.
    pub(super) fn forget(&mut self, channel: &str) {
        for wait in self.channels.remove(channel).unwrap_or_default() {
            self.arrivals.remove(&wait.arrival);
            self.content_len -= content_len(&wait.item);
        }
        self.give_back();
    }

    fn take(&mut self, channel: &str, position: usize) -> Option<Arc<Item>> {
        let waits = self.channels.get_mut(channel)?;
        if position >= waits.len() {
            return None;
        }
        let wait = waits.remove(position);
        if waits.is_empty() {
            self.channels.remove(channel);
            self.give_back();
        }
        self.arrivals.remove(&wait.arrival);
        self.content_len -= content_len(&wait.item);
        Some(wait.item)
    }

    /// Lets the table go once nothing waits after a storm.
    fn give_back(&mut self) {
        if self.channels.is_empty() && self.channels.capacity() > 1_024 {
            self.channels.shrink_to_fit();
        }
    }
}

/// Bytes of content of an item, over its formats.
fn content_len(item: &Item) -> usize {
    let stream = match &item.stream {
        Some(StreamForm::Send(content)) => content.content().len(),
        _ => 0,
    };
    let response = match &item.response {
        Some(ResponseForm::Send(content)) => content.body.len(),
        _ => 0,
    };
    let ws = match &item.ws {
        Some(WsForm::Send(content)) => content.content.len(),
        _ => 0,
    };
    stream + response + ws
}
