//! The thread's loop: sleeps in libzmq until a peer or the control thread has something for it.
//! Each socket has its share of a turn, so that a flood on one does not hold up the others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;
use log::{debug, warn};

use super::commander::Commander;
use super::counters::ZeroMqCounters;
use super::input::Input;
use super::link::Change;
use super::stats::Stats;
use crate::io::wake::Wake;
use std::sync::atomic::AtomicBool;

/// The longest sleep, in milliseconds; everything that matters wakes the thread earlier.
const SLEEP_MAX_MS: i64 = 1_000;

/// Batches of subscriptions taken before the sockets have their turn.
const CHANGES_PER_TURN_MAX: usize = 4;

/// What the thread owns.
pub(super) struct Thread {
    pub(super) stats: Option<Stats>,
    pub(super) pull: Option<Input>,
    pub(super) sub: Option<Input>,
    pub(super) commander: Option<Commander>,
    pub(super) changes: Receiver<Vec<Change>>,
    pub(super) wake: Arc<Wake>,
    pub(super) is_paused: Arc<AtomicBool>,
    pub(super) counters: Arc<ZeroMqCounters>,
}

impl Thread {
    /// Runs until the control thread has gone and all packets are sent.
    pub(super) fn run(mut self) {
        let mut has_more = false;
        while !self.is_over() {
            self.sleep(has_more);
            has_more = self.turn();
        }
        debug!("the ZeroMQ thread ends");
    }

    fn is_over(&self) -> bool {
        self.wake.is_closed() && !self.stats.as_ref().is_some_and(Stats::has_packets)
    }

    /// Everything once; true if there may be more to do at once.
    fn turn(&mut self) -> bool {
        self.change_subscriptions();
        let mut has_more = false;
        if let Some(stats) = &mut self.stats {
            stats.turn();
        }
        if let Some(commander) = &mut self.commander {
            has_more |= commander.turn();
        }
        for input in [&mut self.pull, &mut self.sub].into_iter().flatten() {
            has_more |= input.read();
        }
        let is_paused = self.inputs().any(Input::is_paused);
        // Read behind a fence of the control thread's, see `Link::next_items`.
        self.is_paused.store(is_paused, Ordering::Relaxed);
        has_more
    }

    fn inputs(&self) -> impl Iterator<Item = &Input> {
        [&self.pull, &self.sub].into_iter().flatten()
    }

    /// Whether the control thread has said something that was not heard yet.
    fn has_work(&self) -> bool {
        !self.changes.is_empty()
            || self.stats.as_ref().is_some_and(Stats::has_packets)
            || self.commander.as_ref().is_some_and(Commander::has_answers)
            || self
                .inputs()
                .any(|input| input.is_paused() && input.has_room())
    }

    fn sleep(&self, has_more: bool) {
        // What lies in the queues already must not wait, what peers say must be seen all the same.
        let may_sleep = !has_more && self.wake.prepare_sleep(|| self.has_work());
        let mut items = Vec::with_capacity(5);
        items.push(zmq::PollItem::from_fd(self.wake.raw_fd(), zmq::POLLIN));
        let reads = self.inputs().filter(|input| input.has_room());
        let sockets = reads.map(Input::socket);
        let commander = self.commander.as_ref();
        let commander = commander.filter(|commander| commander.has_room());
        let sockets = sockets
            .chain(commander.map(Commander::socket))
            .chain(self.stats.as_ref().map(Stats::socket));
        items.extend(sockets.map(|socket| socket.as_poll_item(zmq::POLLIN)));
        match zmq::poll(&mut items, if may_sleep { SLEEP_MAX_MS } else { 0 }) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => warn!("waiting for ZeroMQ failed: {error}"),
        }
        if may_sleep {
            self.wake.awake();
        }
    }

    /// Tells publishers what is listened to.
    fn change_subscriptions(&self) {
        let Some(sub) = &self.sub else {
            return;
        };
        for _ in 0..CHANGES_PER_TURN_MAX {
            let Ok(changes) = self.changes.try_recv() else {
                return;
            };
            for change in &changes {
                self.change(sub.socket(), change);
            }
        }
    }

    fn change(&self, socket: &zmq::Socket, change: &Change) {
        let name = change.channel.as_bytes();
        let changed = match change.is_wanted {
            true => socket.set_subscribe(name),
            false => socket.set_unsubscribe(name),
        };
        match (changed, change.is_wanted) {
            (Ok(()), true) => self.counters.subscriptions.add(1),
            (Ok(()), false) => self.counters.subscriptions.sub(1),
            (Err(error), _) => warn!("[zmq] sub: channel {}: {error}", change.channel),
        }
    }
}
