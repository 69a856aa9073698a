//! Packets of the stats stream (control.md section 6 of the behaviour reference): one frame each,
//! `<type> <letter><payload>`, where the letter is `T` for a tnetstring map or `J` for JSON.

mod writer;

use config::StatsFormat;

use self::writer::Packet;
use super::interest::{Notice, NoticeKind};
use crate::core::hub::Mode;
use crate::io::conn_check::ConnectionId;
use crate::io::reports::{ConnectionEvent, ConnectionKind};

/// What all packets of a process have in common.
#[derive(Debug, Clone)]
pub struct Packets {
    format: StatsFormat,
    /// Who sends: unique among the processes that a listener may hear.
    from: Box<str>,
    connection_ttl_s: u32,
    subscription_ttl_s: u32,
}

/// A publish as `message` packets tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageSeen<'a> {
    /// The channel.
    pub channel: &'a str,
    /// Id of the item.
    pub item_id: Option<&'a str>,
    /// How the receivers listen.
    pub mode: Mode,
    /// Receivers at that moment.
    pub count: u32,
    /// Blocks of one delivery, when blocks are counted.
    pub blocks: Option<u64>,
}

/// What happened since the report before, under the names of `report` packets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportSeen {
    /// Milliseconds since the report before.
    pub duration_ms: u64,
    /// Name and number; members that are absent do not apply.
    pub members: Vec<(&'static str, u64)>,
}

impl Packets {
    /// Packets of the process `from`, in the format and with the times of the settings.
    #[must_use]
    pub fn new(handler: &config::Handler, from: &str) -> Self {
        Self {
            format: handler.stats_format,
            from: from.into(),
            connection_ttl_s: handler.stats_connection_ttl_s,
            subscription_ttl_s: handler.stats_subscription_ttl_s,
        }
    }

    /// A `sub` packet.
    #[must_use]
    pub fn subscription<'a>(&'a self, notice: &'a Notice) -> Vec<u8> {
        let mut packet = self.packet("sub");
        packet.text("channel", &*notice.channel);
        packet.text("mode", mode_name(notice.mode));
        match notice.kind {
            NoticeKind::Subscribers(count) => {
                packet.number("subscribers", u64::from(count));
                packet.number("ttl", u64::from(self.subscription_ttl_s));
            }
            NoticeKind::Gone => packet.yes("unavailable"),
        }
        packet.finish(self.format)
    }

    /// A `conn` packet.
    #[must_use]
    pub fn connection<'a>(&'a self, event: &'a ConnectionEvent) -> Vec<u8> {
        let mut packet = self.packet("conn");
        let name = |id: ConnectionId| format!("{}:{id}", self.from);
        match event {
            ConnectionEvent::Opened(seen) | ConnectionEvent::Refreshed(seen) => {
                packet.text("id", name(seen.id));
                if let Some(peer) = seen.peer {
                    packet.text("peer-address", peer.to_string());
                }
                packet.route(seen.route.as_deref());
                if seen.is_ssl {
                    packet.yes("ssl");
                }
                packet.number("ttl", u64::from(self.connection_ttl_s));
                packet.text("type", kind_name(seen.kind));
            }
            ConnectionEvent::Closed { id, route } => {
                packet.text("id", name(*id));
                packet.route(route.as_deref());
                packet.yes("unavailable");
            }
        }
        packet.finish(self.format)
    }

    /// A `message` packet.
    #[must_use]
    pub fn message<'a>(&'a self, seen: &MessageSeen<'a>) -> Vec<u8> {
        let mut packet = self.packet("message");
        if let Some(blocks) = seen.blocks {
            packet.number("blocks", blocks.saturating_mul(u64::from(seen.count)));
        }
        packet.text("channel", seen.channel);
        packet.number("count", u64::from(seen.count));
        if let Some(id) = seen.item_id {
            packet.text("item-id", id);
        }
        packet.text("transport", transport_name(seen.mode));
        packet.finish(self.format)
    }

    /// A `report` packet.
    #[must_use]
    pub fn report(&self, seen: &ReportSeen) -> Vec<u8> {
        let mut packet = self.packet("report");
        packet.number("duration", seen.duration_ms);
        for (name, number) in &seen.members {
            packet.number(name, *number);
        }
        packet.finish(self.format)
    }

    /// An `activity` packet.
    #[must_use]
    pub fn activity(&self, count: u64) -> Vec<u8> {
        let mut packet = self.packet("activity");
        packet.number("count", count);
        packet.finish(self.format)
    }

    /// A `counts` packet.
    #[must_use]
    pub fn counts(&self, requests_received: u64) -> Vec<u8> {
        let mut packet = self.packet("counts");
        packet.number("requests-received", requests_received);
        packet.finish(self.format)
    }

    fn packet(&self, kind: &'static str) -> Packet<'_> {
        let mut packet = Packet::new(kind);
        packet.text("from", &*self.from);
        packet
    }
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Response => "response",
        Mode::Stream => "stream",
        Mode::WebSocket => "ws",
    }
}

const fn transport_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Response => "http-response",
        Mode::Stream => "http-stream",
        Mode::WebSocket => "ws-message",
    }
}

const fn kind_name(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Http => "http",
        ConnectionKind::Ws => "ws",
    }
}

#[cfg(test)]
mod tests;
