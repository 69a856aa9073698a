//! What shards tell the control thread: who subscribed to what, which connections came and went.
//!
//! One bounded channel for all shards. A shard gathers what happens in a turn into one
//! [`Report`] and tries to send it; when the channel is full it keeps the batch, adds to it and
//! tries again in its next turn, so nothing is lost and nothing waits.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};

use super::conn_check::ConnectionId;
use super::wake::Wake;
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

/// A shard's end of the one channel from all shards to the control thread.
#[derive(Debug, Clone)]
pub struct ReportSender {
    queue: Sender<Report>,
    wake: Arc<Wake>,
}

/// The control thread's end.
#[derive(Debug)]
pub struct ReportReceiver {
    queue: Receiver<Report>,
    wake: Arc<Wake>,
}

/// The channel. To be made before any thread has a descriptor table of its own: both sides know the
/// wake's descriptor by its number.
///
/// # Errors
/// The kernel's: no eventfd.
pub fn channel() -> io::Result<(ReportSender, ReportReceiver)> {
    let wake = Wake::new()?;
    let (sender, receiver) = crossbeam_channel::bounded(REPORTS_QUEUED_MAX);
    let sender = ReportSender {
        queue: sender,
        wake: Arc::clone(&wake),
    };
    let queue = receiver;
    Ok((sender, ReportReceiver { queue, wake }))
}

impl ReportSender {
    /// Sends a report, and wakes the control thread if it waits for one.
    ///
    /// # Errors
    /// The report, when there is no room, or nobody to take it any more.
    pub fn try_send(&self, report: Report) -> Result<(), TrySendError<Report>> {
        self.queue.try_send(report)?;
        self.wake.wake();
        Ok(())
    }
}

impl ReportReceiver {
    /// The next report.
    ///
    /// # Errors
    /// That there is none at this moment, or that all shards have ended.
    pub fn try_recv(&self) -> Result<Report, TryRecvError> {
        self.queue.try_recv()
    }

    /// Says that whoever takes reports is about to sleep; with `false` it must not. Afterwards:
    /// [`Self::awake`].
    #[must_use]
    pub fn prepare_sleep(&self) -> bool {
        self.wake.prepare_sleep(|| !self.queue.is_empty())
    }

    /// Says that whoever takes reports no longer sleeps.
    pub fn awake(&self) {
        self.wake.awake();
    }

    /// Becomes readable when there is a report for a sleeper.
    ///
    /// # Errors
    /// The kernel's: no descriptor.
    pub fn wake_fd(&self) -> io::Result<OwnedFd> {
        self.wake.own_fd()
    }
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
        let (sender, _receiver) = channel().unwrap();
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
    fn a_report_ends_the_sleep_of_the_control_thread() {
        let (sender, receiver) = channel().unwrap();
        let wake = receiver.wake_fd().unwrap();
        let is_woken = || {
            let mut fds = [rustix::event::PollFd::new(
                &wake,
                rustix::event::PollFlags::IN,
            )];
            rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())).unwrap() == 1
        };
        sender.try_send(Report::default()).unwrap();
        assert!(!is_woken() && !receiver.prepare_sleep());
        receiver.try_recv().unwrap();
        assert!(receiver.prepare_sleep());
        sender.try_send(Report::default()).unwrap();
        assert!(is_woken());
        receiver.awake();
        assert!(!is_woken());
    }

    #[test]
    fn nobody_listens_at_the_start() {
        assert!(!StatsDemand::default().connections());
    }
}
