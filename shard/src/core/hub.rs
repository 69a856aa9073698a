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

use std::sync::Arc;

use super::ConnKey;

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
#[derive(Debug)]
pub struct Hub<P> {
    payload: std::marker::PhantomData<P>,
}

impl<P: Clone> Hub<P> {
    /// A hub without channels.
    #[must_use]
    pub fn new() -> Self {
        unimplemented!()
    }

    /// Adds a subscriber: `slot` is which of the connection's subscriptions it is. O(1).
    ///
    /// The same connection may subscribe twice to one channel; it then gets everything twice.
    pub fn subscribe(&mut self, mode: Mode, name: &str, conn: ConnKey, slot: u32) -> Subscription {
        unimplemented!()
    }

    /// Takes a subscriber out. O(1), plus one move per group waiting on the entry.
    ///
    /// Other subscribers may get another position: each is told as `moved(conn, slot, position)`,
    /// possibly more than once; the last one counts. An unknown subscription is ignored.
    pub fn unsubscribe(&mut self, sub: Subscription, moved: &mut impl FnMut(ConnKey, u32, u32)) {
        unimplemented!()
    }

    /// Releases a group of items to everyone who is subscribed at this moment, and answers how
    /// many that are. With 0 nothing is kept and the payload is dropped.
    ///
    /// Rule (design.md section 4): who subscribes later does not get it, who left does not either,
    /// nobody gets it twice, and each entry's groups come in the order of their release.
    pub fn release(&mut self, mode: Mode, name: &str, payload: P) -> u32 {
        unimplemented!()
    }

    /// The last group released to the entry, when no one has got it yet and a release at this
    /// moment would reach the very same subscribers: the caller may join further items to it.
    pub fn last_waiting_mut(&mut self, mode: Mode, name: &str) -> Option<&mut P> {
        unimplemented!()
    }

    /// The next slice to deliver: appends at most `max` subscribers to `out`, at least one. `None`
    /// when nothing is pending, or `max` is 0.
    ///
    /// Entries with something to deliver take turns, one slice each.
    pub fn next_slice(&mut self, max: usize, out: &mut Vec<Subscriber>) -> Option<Slice<P>> {
        unimplemented!()
    }

    /// How many groups wait or are under way, over all entries: for back-pressure.
    #[must_use]
    pub fn pending(&self) -> usize {
        unimplemented!()
    }

    /// Reports up to `max` entries whose number of subscribers changed since it was last reported,
    /// as `f(mode, name, delta)`, and answers how many entries still wait to be looked at.
    ///
    /// An entry without subscribers stays until it has been reported; then its memory goes. So this
    /// must be called regularly even if no one wants to know.
    pub fn drain_changes(&mut self, max: usize, f: &mut impl FnMut(Mode, &Arc<str>, i32)) -> usize {
        unimplemented!()
    }

    /// The channel name of a subscription.
    #[must_use]
    pub fn entry_name(&self, sub: Subscription) -> Option<&Arc<str>> {
        unimplemented!()
    }

    /// How many subscribers a channel has.
    #[must_use]
    pub fn count(&self, mode: Mode, name: &str) -> u32 {
        unimplemented!()
    }

    /// All channels that have subscribers, with their numbers. Walks every entry.
    pub fn channels(&self) -> impl Iterator<Item = (Mode, &Arc<str>, u32)> {
        std::iter::empty()
    }

    /// How many channels have subscribers.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        unimplemented!()
    }
}
