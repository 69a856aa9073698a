//! What shards tell the control thread: who subscribed to what, which connections came and went.
//!
//! One bounded channel for all shards. A shard gathers what happens in a turn into one
//! [`Report`] and tries to send it; when the channel is full it keeps the batch, adds to it and
//! tries again in its next turn, so nothing is lost and nothing waits.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::conn_check::ConnectionId;
use crate::core::hub::Mode;

/// Reports that may wait for the control thread, over all shards. A shard whose report does not
/// fit keeps it and tries again.
pub const REPORTS_QUEUED_MAX: usize = 1_024;

/// What one shard saw since its last report.
#[derive(Debug, Default)]
pub struct Report {
    /// Index of the shard.
    pub shard: u16,
    /// Subscriptions added and removed; entries for the same channel may be joined.
    pub subscriptions: Vec<SubscriptionChange>,
    /// Connections that came, were seen again or went. Empty while nobody listens, see
    /// [`StatsDemand::connections`].
    pub connections: Vec<ConnectionEvent>,
}

impl Report {
    /// Whether there is nothing in it worth sending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty() && self.connections.is_empty()
    }
}

/// Subscribers gained or lost on one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// How the subscribers listen.
    pub mode: Mode,
    /// The channel, route prefix included. The shard's own string, shared.
    pub channel: Arc<str>,
    /// Subscribers gained, negative: lost.
    pub delta: i32,
}

/// What kind of connection a packet speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// A held HTTP response or stream.
    Http,
    /// A WebSocket, or one of its substitutes.
    Ws,
}

/// Something a stats listener may want to know about one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// A connection came.
    Opened(ConnectionSeen),
    /// A connection is still there: said again before the listener's time to live is over, and
    /// for every connection when a listener appears.
    Refreshed(ConnectionSeen),
    /// A connection went.
    Closed {
        /// The id it was opened with.
        id: ConnectionId,
        /// Id of its route, when the route has an explicit one.
        route: Option<Arc<str>>,
    },
}

/// A live connection as stats listeners see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSeen {
    /// Unique within the process for as long as it runs.
    pub id: ConnectionId,
    /// What kind it is.
    pub kind: ConnectionKind,
    /// The logical address of the client (after `X-Forwarded-For` rules); `None` for local
    /// sockets.
    pub peer: Option<IpAddr>,
    /// Whether the client came over TLS.
    pub is_ssl: bool,
    /// Id of its route, when the route has an explicit one.
    pub route: Option<Arc<str>>,
}

/// The one channel from all shards to the control thread.
#[must_use]
pub fn channel() -> (Sender<Report>, Receiver<Report>) {
    crossbeam_channel::bounded(REPORTS_QUEUED_MAX)
}

/// Whether anybody listens to stats, so that shards need not make events that nobody wants.
///
/// Written by the ZeroMQ thread, read by shards once per turn. Relaxed on purpose: nothing else
/// is ordered by it, and a turn more or less does not matter.
#[derive(Debug, Default)]
pub struct StatsDemand {
    anything: AtomicBool,
    connections: AtomicBool,
}

impl StatsDemand {
    /// Whether somebody listens to `conn` packets. When a shard sees this turn from false to
    /// true it announces its connections again, as [`ConnectionEvent::Refreshed`].
    #[must_use]
    pub fn connections(&self) -> bool {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether somebody listens to anything: if not, no packet need be made.
    #[must_use]
    pub fn anything(&self) -> bool {
        self.anything.load(Ordering::Relaxed)
    }

    /// Says whether somebody listens to anything.
    pub fn set_anything(&self, wanted: bool) {
        self.anything.store(wanted, Ordering::Relaxed);
    }

    /// Says whether somebody listens to `conn` packets.
    pub fn set_connections(&self, wanted: bool) {
        self.connections.store(wanted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_gives_the_report_back() {
        let (sender, _receiver) = channel();
        for _ in 0..REPORTS_QUEUED_MAX {
            sender.try_send(Report::default()).unwrap();
        }
        let kept = sender
            .try_send(Report {
                shard: 7,
                ..Report::default()
            })
            .unwrap_err();
        assert_eq!(kept.into_inner().shard, 7);
    }

    #[test]
    fn nobody_listens_at_the_start() {
        assert!(!StatsDemand::default().connections());
    }
}
