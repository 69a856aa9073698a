//! The stats socket: sends packets, and sees what listeners subscribe to.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use log::debug;

use super::demand::Topics;
use crate::io::reports::StatsDemand;

/// Packets sent before the other sockets have their turn.
const PACKETS_PER_TURN_MAX: usize = 1_024;

/// The socket, what is to be sent, and what is listened to.
pub(super) struct Stats {
    socket: zmq::Socket,
    packets: Receiver<Vec<u8>>,
    demand: Arc<StatsDemand>,
    topics: Topics,
}

impl Stats {
    pub(super) fn new(
        socket: zmq::Socket,
        packets: Receiver<Vec<u8>>,
        demand: Arc<StatsDemand>,
    ) -> Self {
        Self {
            socket,
            packets,
            demand,
            topics: Topics::default(),
        }
    }

    /// To be polled.
    pub(super) const fn socket(&self) -> &zmq::Socket {
        &self.socket
    }

    /// Whether packets wait to be sent.
    pub(super) fn has_packets(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Hears listeners, then sends packets.
    pub(super) fn turn(&mut self) {
        while let Ok(message) = self.socket.recv_bytes(zmq::DONTWAIT) {
            self.topics.note(&message);
        }
        self.demand.set_anything(self.topics.wants_anything());
        self.demand.set_connections(self.topics.wants_connections());
        for _ in 0..PACKETS_PER_TURN_MAX {
            let Ok(packet) = self.packets.try_recv() else {
                return;
            };
            // A publishing socket never blocks: for a listener who is too slow the packet is lost.
            if let Err(error) = self.socket.send(packet, zmq::DONTWAIT) {
                debug!("a stats packet was not sent: {error}");
            }
        }
    }
}
