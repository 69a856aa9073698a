//! The shards' counters, added up, and what only the control thread can know.

use std::sync::Arc;

use super::packets::ReportSeen;
use crate::counters::ShardCounters;

/// Counters of all shards at one moment, as far as stats packets need them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Client connections that are open.
    pub connections: u64,
    /// Client connections ever accepted.
    pub accepted: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Requests made again.
    pub retries: u64,
    /// Deliveries.
    pub sent: u64,
    /// Bytes, in the order of [`BYTE_MEMBERS`].
    pub bytes: [u64; BYTE_MEMBERS.len()],
}

/// Names that `report` packets have for [`Totals::bytes`].
pub const BYTE_MEMBERS: [&str; 8] = [
    "client-header-bytes-received",
    "client-header-bytes-sent",
    "client-content-bytes-received",
    "client-content-bytes-sent",
    "server-header-bytes-received",
    "server-header-bytes-sent",
    "server-content-bytes-received",
    "server-content-bytes-sent",
];

impl Totals {
    /// Adds up.
    #[must_use]
    pub fn of(counters: &[Arc<ShardCounters>]) -> Self {
        let mut totals = Self::default();
        for shard in counters {
            totals.add(shard);
        }
        totals
    }

    fn add(&mut self, shard: &ShardCounters) {
        self.connections += open_clients(shard);
        self.accepted += shard.accepts.accepted.get();
        self.requests += shard.requests.requests.get();
        self.retries += shard.requests.backend_retries.get();
        self.sent += shard.deliveries.delivered.get();
        let bytes = &shard.bytes;
        let members = [
            &bytes.client_header_received,
            &bytes.client_header_sent,
            &bytes.client_content_received,
            &bytes.client_content_sent,
            &bytes.server_header_received,
            &bytes.server_header_sent,
            &bytes.server_content_received,
            &bytes.server_content_sent,
        ];
        for (sum, counter) in self.bytes.iter_mut().zip(members) {
            *sum += counter.get();
        }
    }
}

/// Client connections of a shard that are open.
#[must_use]
pub fn open_clients(shard: &ShardCounters) -> u64 {
    let open = &shard.connections;
    open.clients_idle.get()
        + open.clients_active.get()
        + open.held_streams.get()
        + open.held_long_polls.get()
}

/// Connection minutes (control.md section 6.3 of the behaviour reference), from samples: each
/// connection costs one minute when it opens and then one for each minute that it lasts.
///
/// Pushpin keeps a clock per connection; here the number of open connections is summed over time,
/// so that the fractions of connections add up instead of being cut off one by one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Minutes {
    connection_ms: u64,
    last_ms: u64,
}

const MINUTE_MS: u64 = 60_000;

impl Minutes {
    /// The start of the count.
    #[must_use]
    pub const fn new(now_ms: u64) -> Self {
        Self {
            connection_ms: 0,
            last_ms: now_ms,
        }
    }

    /// Books the time since the last sample for the connections that are open.
    pub fn sample(&mut self, now_ms: u64, connections: u64) {
        let passed_ms = now_ms.saturating_sub(self.last_ms);
        self.last_ms = now_ms;
        let added = passed_ms.saturating_mul(connections);
        self.connection_ms = self.connection_ms.saturating_add(added);
    }

    /// Minutes so far, when `accepted` connections were opened in all.
    #[must_use]
    pub const fn total(&self, accepted: u64) -> u64 {
        accepted.saturating_add(self.connection_ms / MINUTE_MS)
    }
}

/// Makes `report` packets out of totals.
#[derive(Debug, Clone, Default)]
pub struct Reporter {
    last: Snapshot,
    last_ms: u64,
    connections_max: u64,
    /// The last report was empty, so that the next one may be left out.
    is_silent: bool,
}

/// All that a report counts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The shards' part.
    pub totals: Totals,
    /// Connection minutes so far.
    pub minutes: u64,
    /// Items received.
    pub received: u64,
    /// Deliveries to held responses.
    pub responses_sent: u64,
    /// Blocks received, when blocks are counted.
    pub blocks_received: u64,
    /// Blocks for all receivers, when blocks are counted.
    pub blocks_sent: u64,
}

impl Reporter {
    /// Starts to count at `now_ms`.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            last_ms: now_ms,
            is_silent: true,
            ..Self::default()
        }
    }

    /// Notes how many connections are open, for the highest number of the interval.
    pub fn sample(&mut self, connections: u64) {
        self.connections_max = self.connections_max.max(connections);
    }

    /// The report since the last one. After one empty report follow none, until something is
    /// counted again.
    pub fn report(&mut self, now_ms: u64, now: &Snapshot) -> Option<ReportSeen> {
        let last = std::mem::replace(&mut self.last, *now);
        let since = |now: u64, then: u64| now.saturating_sub(then);
        let mut members = vec![
            ("connections", std::mem::take(&mut self.connections_max)),
            ("minutes", since(now.minutes, last.minutes)),
            ("received", since(now.received, last.received)),
            ("sent", since(now.totals.sent, last.totals.sent)),
            (
                "http-response-sent",
                since(now.responses_sent, last.responses_sent),
            ),
        ];
        for (name, count) in [
            (
                "blocks-received",
                since(now.blocks_received, last.blocks_received),
            ),
            ("blocks-sent", since(now.blocks_sent, last.blocks_sent)),
        ] {
            if count > 0 {
                members.push((name, count));
            }
        }
        let bytes = now.totals.bytes.iter().zip(last.totals.bytes);
        for (name, (now, then)) in BYTE_MEMBERS.into_iter().zip(bytes) {
            members.push((name, since(*now, then)));
        }
        let is_empty = members.iter().all(|(_, number)| *number == 0);
        let was_silent = std::mem::replace(&mut self.is_silent, is_empty);
        let duration_ms = since(now_ms, std::mem::replace(&mut self.last_ms, now_ms));
        (!(is_empty && was_silent)).then_some(ReportSeen {
            duration_ms,
            members,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(report: &ReportSeen, name: &str) -> Option<u64> {
        report
            .members
            .iter()
            .find(|(member, _)| *member == name)
            .map(|(_, number)| *number)
    }

    #[test]
    fn totals_are_sums_over_the_shards() {
        let shards = [
            Arc::new(ShardCounters::default()),
            Arc::new(ShardCounters::default()),
        ];
        shards[0].connections.held_streams.add(2);
        shards[1].connections.clients_idle.add(3);
        shards[1].deliveries.delivered.add(7);
        shards[0].bytes.server_content_sent.add(9);
        let totals = Totals::of(&shards);
        assert_eq!(
            (totals.connections, totals.sent, totals.bytes[7]),
            (5, 7, 9)
        );
    }

    #[test]
    fn a_connection_costs_a_minute_at_once_and_one_more_for_each_that_passes() {
        let mut minutes = Minutes::new(1_000);
        assert_eq!(minutes.total(1), 1);
        minutes.sample(1_000 + 59_999, 1);
        assert_eq!(minutes.total(1), 1);
        minutes.sample(1_000 + 60_000, 1);
        assert_eq!(minutes.total(1), 2);
    }

    #[test]
    fn reports_hold_differences_and_the_highest_number_of_connections() {
        let mut reporter = Reporter::new(0);
        reporter.sample(4);
        reporter.sample(2);
        let mut now = Snapshot {
            received: 5,
            ..Snapshot::default()
        };
        let report = reporter.report(10_000, &now).unwrap();
        assert_eq!(report.duration_ms, 10_000);
        assert_eq!(
            (number(&report, "connections"), number(&report, "received")),
            (Some(4), Some(5))
        );
        now.received = 6;
        let report = reporter.report(20_000, &now).unwrap();
        assert_eq!(
            (number(&report, "connections"), number(&report, "received")),
            (Some(0), Some(1))
        );
    }

    #[test]
    fn blocks_are_named_only_when_some_were_counted() {
        let mut reporter = Reporter::new(0);
        let now = Snapshot {
            blocks_sent: 4,
            received: 1,
            ..Snapshot::default()
        };
        let report = reporter.report(1, &now).unwrap();
        assert_eq!(
            (
                number(&report, "blocks-sent"),
                number(&report, "blocks-received")
            ),
            (Some(4), None)
        );
    }

    #[test]
    fn one_empty_report_is_followed_by_silence() {
        let mut reporter = Reporter::new(0);
        assert_eq!(reporter.report(1, &Snapshot::default()), None);
        let now = Snapshot {
            received: 1,
            ..Snapshot::default()
        };
        assert!(reporter.report(2, &now).is_some());
        assert!(reporter.report(3, &now).is_some());
        assert!(reporter.report(4, &now).is_none());
    }
}
