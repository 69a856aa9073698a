//! The thread's loop: sleeps in libzmq until a packet or a listener comes.

use std::sync::Arc;

use log::{debug, warn};

use super::demand::Topics;
use super::queue::StatsReceiver;
use crate::io::reports::StatsDemand;

/// Packets sent before listeners are looked at again.
const PACKETS_PER_TURN_MAX: usize = 1_024;

/// The longest sleep, in milliseconds; everything that matters wakes the thread earlier.
const SLEEP_MAX_MS: i64 = 1_000;

/// What the thread owns.
pub(super) struct Thread {
    socket: zmq::Socket,
    receiver: StatsReceiver,
    demand: Arc<StatsDemand>,
    topics: Topics,
}

impl Thread {
    pub(super) fn new(
        socket: zmq::Socket,
        receiver: StatsReceiver,
        demand: Arc<StatsDemand>,
    ) -> Self {
        Self {
            socket,
            receiver,
            demand,
            topics: Topics::default(),
        }
    }

    /// Runs until the sender has gone and everything is sent.
    pub(super) fn run(mut self) {
        while !self.receiver.is_over() {
            self.sleep();
            self.read_topics();
            self.send_packets();
        }
        debug!("the ZeroMQ thread ends");
    }

    fn sleep(&self) {
        // What lies in the queue already must not wait, what listeners say must be seen all the
        // same.
        let timeout_ms = if self.receiver.prepare_sleep() {
            SLEEP_MAX_MS
        } else {
            0
        };
        let mut items = [
            self.socket.as_poll_item(zmq::POLLIN),
            zmq::PollItem::from_fd(self.receiver.wake_fd(), zmq::POLLIN),
        ];
        match zmq::poll(&mut items, timeout_ms) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => warn!("waiting for ZeroMQ failed: {error}"),
        }
        self.receiver.awake();
    }

    fn read_topics(&mut self) {
        while let Ok(message) = self.socket.recv_bytes(zmq::DONTWAIT) {
            self.topics.note(&message);
        }
        self.demand.set_anything(self.topics.wants_anything());
        self.demand.set_connections(self.topics.wants_connections());
    }

    fn send_packets(&self) {
        for _ in 0..PACKETS_PER_TURN_MAX {
            let Some(packet) = self.receiver.try_recv() else {
                return;
            };
            // A publishing socket never blocks: for a listener who is too slow the packet is lost.
            if let Err(error) = self.socket.send(packet, zmq::DONTWAIT) {
                debug!("a stats packet was not sent: {error}");
            }
        }
    }
}
