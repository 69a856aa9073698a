//! What this shard tells the control thread: who subscribed, who came and went.

use std::sync::Arc;

use crossbeam_channel::TrySendError;

use crate::core::{Core, Now};
use crate::io::conn_check::{ConnectionCheck, ConnectionId};
use crate::io::reports::{
    ConnectionEvent, ConnectionKind, ConnectionSeen, Report, ReportSender, StatsDemand,
    SubscriptionChange,
};
use crate::io::socket::Socket;

/// Milliseconds between two reports of a busy shard, so that changes within them are joined.
const REPORT_INTERVAL_MS: u64 = 10;

/// Channels in one report.
const CHANGES_PER_REPORT_MAX: usize = 4096;

/// Gathers and sends reports. What cannot be sent waits and grows by the same bounds.
#[derive(Debug)]
pub(super) struct Reporter {
    shard: u16,
    sender: ReportSender,
    demand: Arc<StatsDemand>,
    is_wanted: bool,
    announce_interval_ms: u64,
    announce_due_ms: u64,
    due_ms: u64,
    waiting: Option<Report>,
}

impl Reporter {
    pub(super) fn new(
        shard: u16,
        sender: ReportSender,
        demand: Arc<StatsDemand>,
        is_wanted: bool,
        ttl_s: u32,
    ) -> Self {
        Self {
            shard,
            sender,
            demand,
            is_wanted,
            // Listeners forget a connection that is not named again within its time to live.
            announce_interval_ms: u64::from(ttl_s) * 750,
            announce_due_ms: 0,
            due_ms: 0,
            waiting: None,
        }
    }

    /// Sends what there is, unless that was done a moment ago and the shard is busy. False: not
    /// everything could be sent.
    pub(super) fn flush(&mut self, core: &mut Core<Socket>, now: Now, is_quiet: bool) -> bool {
        if now.ms < self.due_ms && !is_quiet {
            return true;
        }
        self.due_ms = now.ms + REPORT_INTERVAL_MS;
        self.announce(core, now);
        if let Some(report) = self.waiting.take()
            && !self.send(report)
        {
            // The control thread is behind. It looks again soon, and so do we.
            return true;
        }
        let mut report = Report {
            shard: self.shard,
            ..Report::default()
        };
        let left = core.drain_changes(CHANGES_PER_REPORT_MAX, &mut |mode, channel, delta| {
            let channel = Arc::clone(channel);
            report.subscriptions.push(SubscriptionChange {
                mode,
                channel,
                delta,
            });
        });
        let shard = self.shard;
        report.connections.extend(core.take_seen().map(|seen| {
            let id = ConnectionId {
                shard,
                key: seen.conn,
                serial: seen.serial,
            };
            if seen.is_gone {
                return ConnectionEvent::Closed { id, route: None };
            }
            ConnectionEvent::Opened(ConnectionSeen {
                id,
                kind: ConnectionKind::Http,
                peer: seen.peer,
                is_ssl: seen.is_ssl,
                route: None,
            })
        }));
        report.is_empty() || (self.send(report) && left == 0)
    }

    fn announce(&mut self, core: &mut Core<Socket>, now: Now) {
        let is_wanted = self.is_wanted && self.demand.connections();
        core.set_announcing(is_wanted);
        if is_wanted && now.ms >= self.announce_due_ms {
            if self.announce_due_ms > 0 {
                core.announce_all();
            }
            self.announce_due_ms = now.ms + self.announce_interval_ms;
        }
    }

    fn send(&mut self, report: Report) -> bool {
        match self.sender.try_send(report) {
            Ok(()) => true,
            Err(TrySendError::Full(report)) => {
                self.waiting = Some(report);
                false
            }
            // The control thread has ended: nobody wants to know any more.
            Err(TrySendError::Disconnected(_)) => true,
        }
    }

    /// Says which connections of this shard are alive.
    pub(super) fn check(&self, check: &ConnectionCheck, core: &Core<Socket>) {
        check.answer(self.shard, |id| {
            core.socket(id.key)
                .is_some_and(|row| row.serial() == id.serial)
        });
    }

    /// When [`Reporter::flush`] has to be called again, in milliseconds.
    pub(super) fn due_in_ms(&self, now_ms: u64) -> u64 {
        match self.waiting {
            Some(_) => self.due_ms.saturating_sub(now_ms).max(1),
            None => u64::MAX,
        }
    }
}
