//! Metrics in Prometheus' text format (version 0.0.4): Pushpin's five names (control.md section
//! 7.1 of the behaviour reference), then ours.

use std::fmt::Write;
use std::sync::Arc;

use super::totals::open_clients;
use crate::counters::ShardCounters;

/// What only the control thread counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ControlNumbers {
    /// Connection minutes so far.
    pub minutes: u64,
    /// Items received by any way of publishing.
    pub received: u64,
    /// (mode, channel) pairs that are known.
    pub channels: u64,
    /// Stats packets dropped since the queue to the ZeroMQ thread was full.
    pub stats_dropped: u64,
    /// Publishers that are held back right now.
    pub publishers_waiting: u64,
    /// Publishes given up since the shards did not take them in time.
    pub publishes_refused: u64,
    /// Broadcasts that the slowest shard has not taken.
    pub broadcasts_waiting: u64,
    /// Connections to the control port right now.
    pub control_connections: u64,
    /// Channels told to catch up since they had got their first subscriber.
    pub first_updates: u64,
    /// Channels with a first subscriber that got no update, for want of room.
    pub first_updates_refused: u64,
    /// Doubles and order.
    pub order: OrderNumbers,
    /// What comes over ZeroMQ.
    pub zeromq: ZeroMqNumbers,
}

/// What comes over ZeroMQ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ZeroMqNumbers {
    /// Over PULL.
    pub pull: InputNumbers,
    /// Over SUB.
    pub sub: InputNumbers,
    /// Channels subscribed to at publishers.
    pub subscriptions: u64,
    /// Commands taken.
    pub commands: u64,
    /// Commands refused.
    pub commands_refused: u64,
}

/// What comes over one socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputNumbers {
    /// Items.
    pub received: u64,
    /// Messages that were no item.
    pub malformed: u64,
    /// Times reading was put off.
    pub paused: u64,
}

/// What became of items that carry ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderNumbers {
    /// Ids that are remembered to know doubles.
    pub ids: u64,
    /// Ids forgotten before their time, for want of room.
    pub ids_forgotten_early: u64,
    /// Items dropped since they had been seen.
    pub duplicates: u64,
    /// Channels whose last id is known.
    pub last_ids: u64,
    /// Items that wait for the one before them.
    pub waiting: u64,
    /// Items released since they had waited long enough.
    pub waits_expired: u64,
    /// Items released before that, for want of room.
    pub waits_ended_early: u64,
    /// Items dropped since too many waited on their channel.
    pub dropped_full: u64,
    /// Items dropped since another one with the same prev-id waited.
    pub dropped_rival: u64,
}

/// Appends all metrics, each name with `prefix` in front.
pub fn render(
    out: &mut String,
    prefix: &str,
    counters: &[Arc<ShardCounters>],
    control: &ControlNumbers,
) {
    for metric in PUSHPIN.iter().chain(OURS) {
        let value = match metric.source {
            Source::Shards(read) => counters.iter().map(|shard| read(shard)).sum(),
            Source::Control(read) => read(control),
        };
        let Metric {
            name, kind, help, ..
        } = metric;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}\n{prefix}{name} {value}\n"
        );
    }
}

struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    source: Source,
}

enum Source {
    Shards(fn(&ShardCounters) -> u64),
    Control(fn(&ControlNumbers) -> u64),
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

const fn shards(
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    read: fn(&ShardCounters) -> u64,
) -> Metric {
    Metric {
        name,
        kind,
        help,
        source: Source::Shards(read),
    }
}

const fn control(
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    read: fn(&ControlNumbers) -> u64,
) -> Metric {
    Metric {
        name,
        kind,
        help,
        source: Source::Control(read),
    }
}

/// Names, types, texts and order as Pushpin has them.
const PUSHPIN: &[Metric] = &[
    shards(
        "request_received",
        COUNTER,
        "Number of requests received",
        |shard| shard.requests.requests.get(),
    ),
    shards(
        "connection_connected",
        GAUGE,
        "Number of concurrent connections",
        open_clients,
    ),
    control(
        "connection_minute",
        COUNTER,
        "Number of minutes clients have been connected",
        |control| control.minutes,
    ),
    control(
        "message_received",
        COUNTER,
        "Number of messages received by the publish API",
        |control| control.received,
    ),
    shards(
        "message_sent",
        COUNTER,
        "Number of messages sent to clients",
        |shard| shard.deliveries.delivered.get(),
    ),
];

#[rustfmt::skip]
const OURS: &[Metric] = &[
    shards("pincushion_clients_idle", GAUGE, "Clients between two requests", |s| s.connections.clients_idle.get()),
    shards("pincushion_clients_active", GAUGE, "Clients with a request under way", |s| s.connections.clients_active.get()),
    shards("pincushion_held_streams", GAUGE, "Held streams", |s| s.connections.held_streams.get()),
    shards("pincushion_held_long_polls", GAUGE, "Held responses", |s| s.connections.held_long_polls.get()),
    shards("pincushion_backends", GAUGE, "Connections to backends", |s| s.connections.backends.get()),
    shards("pincushion_backends_idle", GAUGE, "Connections to backends that wait in a pool", |s| s.connections.backends_idle.get()),
    shards("pincushion_accepted_total", COUNTER, "Client connections accepted", |s| s.accepts.accepted.get()),
    shards("pincushion_refused_maxconn_total", COUNTER, "Client connections refused for want of room", |s| s.accepts.refused_maxconn.get()),
    shards("pincushion_accept_paused_total", COUNTER, "Times accepting was put off", |s| s.accepts.paused.get()),
    shards("pincushion_responses_2xx_total", COUNTER, "Responses with a 2xx status", |s| s.requests.responses_2xx.get()),
    shards("pincushion_responses_3xx_total", COUNTER, "Responses with a 3xx status", |s| s.requests.responses_3xx.get()),
    shards("pincushion_responses_4xx_total", COUNTER, "Responses with a 4xx status", |s| s.requests.responses_4xx.get()),
    shards("pincushion_responses_5xx_total", COUNTER, "Responses with a 5xx status", |s| s.requests.responses_5xx.get()),
    shards("pincushion_backend_retries_total", COUNTER, "Requests sent once more on a new connection", |s| s.requests.backend_retries.get()),
    shards("pincushion_failovers_total", COUNTER, "Requests sent to another target", |s| s.requests.failovers.get()),
    shards("pincushion_bad_requests_total", COUNTER, "Requests that broke the rules of HTTP", |s| s.errors.bad_request.get()),
    shards("pincushion_route_not_found_total", COUNTER, "Requests without a route", |s| s.errors.route_not_found.get()),
    shards("pincushion_backend_connect_failed_total", COUNTER, "Backend connections that could not be made", |s| s.errors.backend_connect_failed.get()),
    shards("pincushion_backend_timeout_total", COUNTER, "Backends that did not answer in time", |s| s.errors.backend_timeout.get()),
    shards("pincushion_backend_busy_total", COUNTER, "Requests refused because all connections to the backend were taken", |s| s.errors.backend_busy.get()),
    shards("pincushion_backend_broke_off_total", COUNTER, "Backends that closed within a response", |s| s.errors.backend_broke_off.get()),
    shards("pincushion_instruct_invalid_total", COUNTER, "Instructs that could not be understood", |s| s.errors.instruct_invalid.get()),
    shards("pincushion_delivered_bytes_total", COUNTER, "Content delivered, in bytes", |s| s.deliveries.delivered_bytes.get()),
    shards("pincushion_queued_bytes", GAUGE, "Bytes that wait for slow clients", |s| s.deliveries.queued_bytes.get()),
    shards("pincushion_slow_clients_closed_total", COUNTER, "Clients closed for being too slow", |s| s.deliveries.slow_clients_closed.get()),
    shards("pincushion_holds_started_total", COUNTER, "Holds begun", |s| s.deliveries.holds_started.get()),
    shards("pincushion_holds_timed_out_total", COUNTER, "Held responses whose time was over", |s| s.deliveries.holds_timed_out.get()),
    shards("pincushion_keep_alives_sent_total", COUNTER, "Keep-alives sent to held streams", |s| s.deliveries.keep_alives_sent.get()),
    shards("pincushion_deliveries_waiting", GAUGE, "Deliveries that wait for message_rate", |s| s.deliveries.limited_waiting.get()),
    shards("pincushion_deliveries_dropped_total", COUNTER, "Deliveries dropped since message_hwm was reached", |s| s.deliveries.limited_dropped.get()),
    shards("pincushion_gaps_total", COUNTER, "Items that did not follow what the client of a hold had", |s| s.updates.gaps.get()),
    shards("pincushion_conflicts_total", COUNTER, "Holds whose position was not the last id of their channel", |s| s.updates.conflicts.get()),
    shards("pincushion_updates_total", COUNTER, "Requests made again and links fetched for holds that had to catch up", |s| s.updates.begun.get()),
    shards("pincushion_updates_shared_total", COUNTER, "Holds that shared such a request's answer", |s| s.updates.joined.get()),
    shards("pincushion_updates_waiting", GAUGE, "Holds that wait for their turn to catch up", |s| s.updates.waiting.get()),
    shards("pincushion_links_fetched_total", COUNTER, "Next links fetched", |s| s.updates.links_fetched.get()),
    shards("pincushion_links_failed_total", COUNTER, "Fetches of next links that failed", |s| s.updates.links_failed.get()),
    shards("pincushion_gone_links_total", COUNTER, "Gone links told", |s| s.updates.gone_told.get()),
    shards("pincushion_filter_requests_total", COUNTER, "Questions of filters sent to backends", |s| s.updates.asks.get()),
    shards("pincushion_errands_shared_total", COUNTER, "Holds that shared a fetched link or an answer to a filter", |s| s.updates.errands_joined.get()),
    shards("pincushion_errands_failed_total", COUNTER, "Links and questions of filters without an answer", |s| s.updates.errands_failed.get()),
    shards("pincushion_errands", GAUGE, "Requests of the shards' own that are under way or wait", |s| s.updates.errands.get()),
    shards("pincushion_items_filtered_total", COUNTER, "Items that a filter kept from a hold", |s| s.updates.filtered.get()),
    shards("pincushion_filter_errors_total", COUNTER, "Items that did not reach a hold since a filter failed", |s| s.updates.filter_errors.get()),
    shards("pincushion_hold_queue_full_total", COUNTER, "Items for which a busy hold had no room", |s| s.updates.queue_full.get()),
    shards("pincushion_streams_broken_total", COUNTER, "Streams that ended because of an error", |s| s.updates.streams_broken.get()),
    shards("pincushion_turns_total", COUNTER, "Turns of the shards", |s| s.turns.get()),
    shards("pincushion_panics_total", COUNTER, "Connection steps that panicked", |s| s.panics.get()),
    control("pincushion_channels", GAUGE, "Channels known, counted per mode", |c| c.channels),
    control("pincushion_broadcasts_waiting", GAUGE, "Broadcasts that the slowest shard has not taken", |c| c.broadcasts_waiting),
    control("pincushion_publishers_waiting", GAUGE, "Publishers held back", |c| c.publishers_waiting),
    control("pincushion_publishes_refused_total", COUNTER, "Publishes refused since the shards did not keep up", |c| c.publishes_refused),
    control("pincushion_first_subscription_updates_total", COUNTER, "Channels told to catch up after their first subscription", |c| c.first_updates),
    control("pincushion_first_subscription_updates_refused_total", COUNTER, "Channels that got no such update for want of room", |c| c.first_updates_refused),
    control("pincushion_duplicates_dropped_total", COUNTER, "Items dropped since their id was seen a moment ago", |c| c.order.duplicates),
    control("pincushion_ids_remembered", GAUGE, "Ids remembered to know doubles", |c| c.order.ids),
    control("pincushion_ids_forgotten_early_total", COUNTER, "Ids forgotten before their time for want of room", |c| c.order.ids_forgotten_early),
    control("pincushion_last_ids", GAUGE, "Channels whose last id is known", |c| c.order.last_ids),
    control("pincushion_items_waiting", GAUGE, "Items that wait for the one before them", |c| c.order.waiting),
    control("pincushion_waits_expired_total", COUNTER, "Items released since they had waited long enough", |c| c.order.waits_expired),
    control("pincushion_waits_ended_early_total", COUNTER, "Items released before their wait was over for want of room", |c| c.order.waits_ended_early),
    control("pincushion_waits_refused_full_total", COUNTER, "Items dropped since too many waited on their channel", |c| c.order.dropped_full),
    control("pincushion_waits_refused_rival_total", COUNTER, "Items dropped since one with the same prev-id waited", |c| c.order.dropped_rival),
    control("pincushion_zmq_pull_items_total", COUNTER, "Items received over ZeroMQ PULL", |c| c.zeromq.pull.received),
    control("pincushion_zmq_pull_malformed_total", COUNTER, "Messages over ZeroMQ PULL that were no item", |c| c.zeromq.pull.malformed),
    control("pincushion_zmq_pull_paused_total", COUNTER, "Times ZeroMQ PULL was not read since the shards did not keep up", |c| c.zeromq.pull.paused),
    control("pincushion_zmq_sub_items_total", COUNTER, "Items received over ZeroMQ SUB", |c| c.zeromq.sub.received),
    control("pincushion_zmq_sub_malformed_total", COUNTER, "Messages over ZeroMQ SUB that were no item", |c| c.zeromq.sub.malformed),
    control("pincushion_zmq_sub_paused_total", COUNTER, "Times ZeroMQ SUB was not read since the shards did not keep up", |c| c.zeromq.sub.paused),
    control("pincushion_zmq_subscriptions", GAUGE, "Channels subscribed to at publishers", |c| c.zeromq.subscriptions),
    control("pincushion_zmq_commands_total", COUNTER, "Commands received", |c| c.zeromq.commands),
    control("pincushion_zmq_commands_refused_total", COUNTER, "Commands that were wrong, unknown or could not be done", |c| c.zeromq.commands_refused),
    control("pincushion_stats_dropped_total", COUNTER, "Stats packets dropped", |c| c.stats_dropped),
    control("pincushion_control_connections", GAUGE, "Connections to the control port", |c| c.control_connections),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(prefix: &str) -> String {
        let shards = [
            Arc::new(ShardCounters::default()),
            Arc::new(ShardCounters::default()),
        ];
        shards[0].requests.requests.add(40);
        shards[1].requests.requests.add(2);
        shards[1].connections.held_streams.add(3);
        let mut out = String::new();
        let control = ControlNumbers {
            received: 7,
            ..ControlNumbers::default()
        };
        render(&mut out, prefix, &shards, &control);
        out
    }

    #[test]
    fn pushpins_five_come_first_with_their_texts() {
        let expected = "# HELP request_received Number of requests received\n\
            # TYPE request_received counter\n\
            request_received 42\n\
            # HELP connection_connected Number of concurrent connections\n\
            # TYPE connection_connected gauge\n\
            connection_connected 3\n\
            # HELP connection_minute Number of minutes clients have been connected\n\
            # TYPE connection_minute counter\n\
            connection_minute 0\n\
            # HELP message_received Number of messages received by the publish API\n\
            # TYPE message_received counter\n\
            message_received 7\n\
            # HELP message_sent Number of messages sent to clients\n\
            # TYPE message_sent counter\n\
            message_sent 0\n";
        assert!(rendered("").starts_with(expected), "{}", rendered(""));
    }

    #[test]
    fn every_name_carries_the_prefix() {
        for line in rendered("acc_").lines() {
            let name = line
                .trim_start_matches("# HELP ")
                .trim_start_matches("# TYPE ");
            assert!(name.starts_with("acc_"), "{line}");
        }
    }

    #[test]
    fn every_name_is_there_once() {
        let mut names: Vec<_> = PUSHPIN
            .iter()
            .chain(OURS)
            .map(|metric| metric.name)
            .collect();
        let len = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), len);
    }

    #[test]
    fn sums_end_in_total_and_states_do_not() {
        for metric in OURS {
            let is_sum = metric.name.ends_with("_total");
            assert_eq!(is_sum, metric.kind == COUNTER, "{}", metric.name);
        }
    }
}
