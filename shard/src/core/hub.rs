//! Channels and who holds a subscription to them (design.md sections 3 and 4).
//!
//! An entry exists once per (mode, channel name). It keeps the name once, a list of subscribers of
//! 8 bytes each, and, only while something is being delivered, a box with the groups under way.
//! A subscription is a pair of numbers that its connection keeps: leaving is O(1).
//!
//! Items are delivered in slices, so that a channel with a million subscribers does not keep the
//! others waiting, and the list may change between the slices. See [`Hub::release`] for the rule.
//!
//! Out of scope: filters, sequencing, what a payload means.

mod delivery;
mod index;
mod list;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use delivery::{Delivery, fill};
use index::Index;
use list::List;

use super::ConnKey;
use super::pages::Pages;

/// A queue with room for no more than this is not worth shrinking.
const QUEUE_KEPT: usize = 4096;

/// What a subscription waits for. The same channel name in two modes is two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mode {
    /// A held response (long-polling): one item ends the hold.
    Response,
    /// A held stream: items are appended to the response.
    Stream,
    /// A WebSocket connection.
    WebSocket,
}

/// What a connection keeps for each of its subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The entry: stays the same as long as the subscription lives.
    pub entry: u32,
    /// Index in the entry's list: changes when others leave (see [`Hub::unsubscribe`]).
    pub position: u32,
}

impl Subscription {
    /// The slot of a subscription that was given up.
    pub const NONE: Self = Self {
        entry: u32::MAX,
        position: u32::MAX,
    };

    /// Whether it is none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.entry == u32::MAX
    }
}

/// One subscriber in an entry's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscriber {
    /// The connection.
    pub conn: ConnKey,
    /// Which of the connection's subscriptions it is.
    pub slot: u32,
}

/// What [`Hub::next_slice`] handed out, beside the subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice<P> {
    /// The entry it was released to. A connection that was closed, or left, since the slice was
    /// taken is recognised by its subscription naming another entry.
    pub entry: u32,
    /// The entry's mode.
    pub mode: Mode,
    /// What is delivered.
    pub payload: P,
}

/// All channels of one shard. `P` is a group of items: a handle that is cheap to clone.
///
/// A channel costs, beside its list and the channel's name, 56 bytes for the entry, 16 bytes of
/// counts in front of the name, and 6 to 12 bytes in the index.
#[derive(Debug)]
pub struct Hub<P> {
    entries: Pages<Entry<P>>,
    index: Index,
    /// Entries with something to deliver, in the order of their turns. Each is in it once; some
    /// may have lost everyone who waited.
    ready: VecDeque<u32>,
    /// Entries whose number of subscribers changed since it was reported. Each is in it once.
    changed: VecDeque<u32>,
    /// Groups waiting or under way.
    pending: usize,
    /// Entries with subscribers.
    channels: usize,
}

#[derive(Debug)]
struct Entry<P> {
    name: Arc<str>,
    list: List,
    delivery: Option<Box<Delivery<P>>>,
    /// The number of subscribers that was last reported.
    reported: u32,
    mode: Mode,
    /// Whether it is in `Hub::ready`.
    ready: bool,
    /// Whether it is in `Hub::changed`.
    changed: bool,
}

impl<P: Clone> Default for Hub<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Clone> Hub<P> {
    /// A hub without channels.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: Pages::new(),
            index: Index::new(),
            ready: VecDeque::new(),
            changed: VecDeque::new(),
            pending: 0,
            channels: 0,
        }
    }

    /// Adds a subscriber: `slot` is which of the connection's subscriptions it is. O(1).
    ///
    /// The same connection may subscribe twice to one channel; it then gets everything twice.
    pub fn subscribe(&mut self, mode: Mode, name: &str, conn: ConnKey, slot: u32) -> Subscription {
        let hash = self.index.hash(mode, name);
        let key = match self.find(hash, mode, name) {
            Some(key) => key,
            None => self.add_entry(hash, mode, name),
        };
        let mut position = 0;
        if let Some(entry) = self.entries.get_mut(key) {
            position = entry.list.len();
            entry.list.push(Subscriber { conn, slot });
            self.channels += usize::from(position == 0);
            note_change(&mut self.changed, key, entry);
        }
        Subscription {
            entry: key,
            position,
        }
    }

    /// Takes a subscriber out. O(1), plus one move per group waiting on the entry.
    ///
    /// Other subscribers may get another position: each is told as `moved(conn, slot, position)`.
    /// An unknown subscription is ignored.
    pub fn unsubscribe(&mut self, sub: Subscription, moved: &mut impl FnMut(ConnKey, u32, u32)) {
        let Some(entry) = self.entries.get_mut(sub.entry) else {
            return;
        };
        let len = entry.list.len();
        if sub.position >= len {
            return;
        }
        let mut hole = sub.position;
        if let Some(delivery) = &mut entry.delivery {
            hole = delivery.close_hole(&mut entry.list, hole, moved);
            self.pending -= delivery.drop_done();
            if delivery.is_done() {
                self.pending -= delivery.len();
                entry.delivery = None;
            }
        }
        fill(&mut entry.list, len - 1, hole, moved);
        entry.list.pop();
        self.channels -= usize::from(len == 1);
        note_change(&mut self.changed, sub.entry, entry);
    }

    /// The channel of an entry, as long as somebody is subscribed to it.
    #[must_use]
    pub fn name(&self, entry: u32) -> Option<&Arc<str>> {
        self.entries.get(entry).map(|entry| &entry.name)
    }

    /// The subscribers of a channel at this moment.
    #[must_use]
    pub fn subscribers_of(&self, mode: Mode, name: &str) -> &[Subscriber] {
        self.find(self.index.hash(mode, name), mode, name)
            .and_then(|key| self.entries.get(key))
            .map_or(&[], |entry| entry.list.as_slice())
    }

    /// Releases a group of items to everyone who is subscribed at this moment, and answers how
    /// many that are. With 0 nothing is kept and the payload is dropped.
    ///
    /// Rule (design.md section 4): who subscribes later does not get it, who left does not either,
    /// nobody gets it twice, and each entry's groups come in the order of their release.
    pub fn release(&mut self, mode: Mode, name: &str, payload: P) -> u32 {
        self.release_or_join(mode, name, |_| false, || payload)
    }

    /// As [`Hub::release`], but what is released may join the group before it: `join` is offered
    /// the last group, if no one has got it yet and a release at this moment would reach the very
    /// same subscribers, and says whether it has taken the new items in. If not, `make` makes a
    /// group of them.
    pub fn release_or_join(
        &mut self,
        mode: Mode,
        name: &str,
        join: impl FnOnce(&mut P) -> bool,
        make: impl FnOnce() -> P,
    ) -> u32 {
        let key = self.find(self.index.hash(mode, name), mode, name);
        let Some((key, entry)) = key.and_then(|key| Some((key, self.entries.get_mut(key)?))) else {
            return 0;
        };
        let len = entry.list.len();
        if len == 0 {
            return 0;
        }
        match &mut entry.delivery {
            Some(delivery) => {
                if delivery.last_waiting_mut(len).is_some_and(join) {
                    return len;
                }
                delivery.push(make(), len);
            }
            None => entry.delivery = Some(Box::new(Delivery::new(make(), len))),
        }
        if !mem::replace(&mut entry.ready, true) {
            self.ready.push_back(key);
        }
        self.pending += 1;
        len
    }

    /// The next slice to deliver: appends at most `max` subscribers to `out`, at least one. `None`
    /// when nothing is pending, or `max` is 0.
    ///
    /// Entries with something to deliver take turns, one slice each.
    pub fn next_slice(&mut self, max: usize, out: &mut Vec<Subscriber>) -> Option<Slice<P>> {
        if max == 0 {
            return None;
        }
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        while let Some(key) = pop(&mut self.ready) {
            let Some(entry) = self.entries.get_mut(key) else {
                continue;
            };
            entry.ready = false;
            let Some(delivery) = entry.delivery.take() else {
                self.drop_unused(key);
                continue;
            };
            let taken = delivery.take(&entry.list, max, out);
            self.pending -= taken.groups_done;
            entry.delivery = taken.rest;
            if entry.delivery.is_some() {
                entry.ready = true;
                self.ready.push_back(key);
            }
            return Some(Slice {
                entry: key,
                mode: entry.mode,
                payload: taken.payload,
            });
        }
        None
    }

    /// All subscribers with their places. Walks every list: for putting things in order after a
    /// defect, not for everyday use.
    #[must_use]
    pub fn subscribers(&self) -> Vec<(Subscription, Subscriber)> {
        let mut all = Vec::new();
        for (key, entry) in self.entries.iter() {
            let places = (0..).zip(entry.list.as_slice());
            all.extend(places.map(|(position, subscriber)| {
                let subscription = Subscription {
                    entry: key,
                    position,
                };
                (subscription, *subscriber)
            }));
        }
        all
    }

    /// How many groups wait or are under way, over all entries: for back-pressure.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.pending
    }

    /// Looks at up to `max` entries whose subscribers changed; where their number differs from
    /// the one last reported, calls `f(mode, name, delta)`. Answers how many entries still wait to
    /// be looked at.
    ///
    /// An entry without subscribers stays until it has been looked at; then its memory goes. So
    /// this must be called regularly even if no one wants to know.
    pub fn drain_changes(&mut self, max: usize, f: &mut impl FnMut(Mode, &Arc<str>, i32)) -> usize {
        for _ in 0..max {
            let Some(key) = pop(&mut self.changed) else {
                break;
            };
            let Some(entry) = self.entries.get_mut(key) else {
                continue;
            };
            entry.changed = false;
            let len = entry.list.len();
            let before = mem::replace(&mut entry.reported, len);
            if len != before {
                f(
                    entry.mode,
                    &entry.name,
                    len.wrapping_sub(before).cast_signed(),
                );
            }
            self.drop_unused(key);
        }
        self.changed.len()
    }

    /// The channel name of a subscription.
    #[must_use]
    pub fn entry_name(&self, sub: Subscription) -> Option<&Arc<str>> {
        Some(&self.entries.get(sub.entry)?.name)
    }

    /// How many subscribers a channel has.
    #[must_use]
    pub fn count(&self, mode: Mode, name: &str) -> u32 {
        let entry = self.find(self.index.hash(mode, name), mode, name);
        entry
            .and_then(|key| self.entries.get(key))
            .map_or(0, |entry| entry.list.len())
    }

    /// All channels that have subscribers, with their numbers. Walks every entry.
    pub fn channels(&self) -> impl Iterator<Item = (Mode, &Arc<str>, u32)> {
        let all = self.entries.iter();
        all.map(|(_, entry)| (entry.mode, &entry.name, entry.list.len()))
            .filter(|(.., len)| *len > 0)
    }

    /// How many channels have subscribers.
    #[must_use]
    pub const fn channel_count(&self) -> usize {
        self.channels
    }

    fn find(&self, hash: u64, mode: Mode, name: &str) -> Option<u32> {
        self.index.find(hash, |key| {
            self.entries
                .get(key)
                .is_some_and(|entry| entry.mode == mode && *entry.name == *name)
        })
    }

    fn add_entry(&mut self, hash: u64, mode: Mode, name: &str) -> u32 {
        let key = self.entries.insert(Entry {
            name: Arc::from(name),
            list: List::None,
            delivery: None,
            reported: 0,
            mode,
            ready: false,
            changed: false,
        });
        self.index
            .insert(hash, key, |key| key_of(&self.entries, key));
        key
    }

    /// Drops an entry that nothing refers to any more.
    fn drop_unused(&mut self, key: u32) {
        let Some(entry) = self.entries.get(key) else {
            return;
        };
        if entry.list.len() > 0 || entry.ready || entry.changed {
            return;
        }
        let hash = self.index.hash(entry.mode, &entry.name);
        self.index
            .remove(hash, key, |key| key_of(&self.entries, key));
        self.entries.remove(key);
    }
}

/// What the index must know of an entry. Entries of the index are always there.
fn key_of<P>(entries: &Pages<Entry<P>>, key: u32) -> (Mode, &str) {
    entries
        .get(key)
        .map_or((Mode::Response, ""), |entry| (entry.mode, &entry.name))
}

fn note_change<P>(changed: &mut VecDeque<u32>, key: u32, entry: &mut Entry<P>) {
    if !mem::replace(&mut entry.changed, true) {
        changed.push_back(key);
    }
}

/// The first of a queue. Gives the queue's memory back when a storm has passed.
fn pop(queue: &mut VecDeque<u32>) -> Option<u32> {
    let first = queue.pop_front()?;
    if queue.capacity() > QUEUE_KEPT && queue.len() < queue.capacity() / 4 {
        queue.shrink_to(queue.len() * 2);
    }
    Some(first)
}

#[cfg(test)]
mod tests;
