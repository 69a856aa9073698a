//! What goes to stats listeners; nothing at all when stats are off.

use config::Handler;

use crate::admin::interest::Notice;
use crate::admin::packets::{MessageSeen, Packets, ReportSeen};
use crate::io::reports::ConnectionEvent;
use crate::io::zeromq::StatsSender;

/// The way to stats listeners.
#[derive(Debug)]
pub(super) struct Stats {
    packets: Packets,
    sender: Option<StatsSender>,
    sends_connections: bool,
}

impl Stats {
    pub(super) fn new(handler: &Handler, sender: Option<StatsSender>) -> Self {
        let packets = Packets::new(handler, &instance());
        Self {
            packets,
            sender,
            sends_connections: handler.stats_connection_send,
        }
    }

    /// Packets dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.sender.as_ref().map_or(0, StatsSender::dropped)
    }

    pub(super) fn subscription(&mut self, notice: &Notice) {
        self.send(|packets| packets.subscription(notice));
    }

    pub(super) fn connection(&mut self, event: &ConnectionEvent) {
        if self.sends_connections {
            self.send(|packets| packets.connection(event));
        }
    }

    pub(super) fn message(&mut self, seen: &MessageSeen<'_>) {
        self.send(|packets| packets.message(seen));
    }

    pub(super) fn report(&mut self, seen: &ReportSeen) {
        self.send(|packets| packets.report(seen));
    }

    pub(super) fn counts(&mut self, activity: u64, requests: u64) {
        self.send(|packets| packets.activity(activity));
        if requests > 0 {
            self.send(|packets| packets.counts(requests));
        }
    }

    /// Wakes the ZeroMQ thread after a batch.
    pub(super) fn wake(&mut self) {
        if let Some(sender) = &mut self.sender {
            sender.wake();
        }
    }

    fn send(&mut self, packet: impl FnOnce(&Packets) -> Vec<u8>) {
        if let Some(sender) = self.sender.as_mut().filter(|sender| sender.is_listened()) {
            sender.send(packet(&self.packets));
        }
    }
}

/// What this process calls itself: before the ids of its connections, and in all packets.
pub(super) fn instance() -> String {
    format!("pincushion_{}", std::process::id())
}
