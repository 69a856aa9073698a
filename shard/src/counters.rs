//! What a shard counts. The shard alone writes; the control thread reads at any time.
//!
//! With a single writer an addition is a plain load and store: no read-modify-write, no bus lock.
//! Readers see each number whole, but not all numbers of one moment.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows (until it wraps at 2^64). One writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// A number that goes up and down. One writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Counter {
    /// Zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`. Only the shard that owns the counter may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    /// The sum so far.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`. Only the shard that owns the gauge may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    /// Takes `n` away, but never goes below 0. Only the shard that owns the gauge may call this.
    #[inline]
    pub fn sub(&self, n: u64) {
        let value = self.get();
        debug_assert!(
            n <= value,
            "a gauge of {value} lost {n}: something was counted once only"
        );
        self.set(value.saturating_sub(n));
    }

    /// Replaces the value. Only the shard that owns the gauge may call this.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters of one shard. Aligned so that no two shards write to one cache line, nor to the
/// neighbour that the processor fetches along with it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardCounters {
    /// Who is connected now.
    pub connections: Connections,
    /// Connections taken, refused, put off.
    pub accepts: Accepts,
    /// Requests and what came of them.
    pub requests: Requests,
    /// Requests that failed, by reason.
    pub errors: Errors,
    /// What is held and what is delivered to it.
    pub deliveries: Deliveries,
    /// Holds that ask again, links, filters.
    pub updates: Updates,
    /// Bytes for the stats report.
    pub bytes: Bytes,
    /// Turns of the shard's loop.
    pub turns: Counter,
    /// Connection steps that panicked; each cost its connection.
    pub panics: Counter,
    /// Messages in the broadcast ring that the shard has not taken yet.
    pub ring_lag: Gauge,
}

/// Connections that are open now, by kind. A client is in exactly one of the first four.
#[derive(Debug, Default)]
pub struct Connections {
    /// HTTP clients between two requests.
    pub clients_idle: Gauge,
    /// HTTP clients with a request that is being read, proxied or answered.
    pub clients_active: Gauge,
    /// Clients whose response is a held stream.
    pub held_streams: Gauge,
    /// Clients whose response is held until an item comes.
    pub held_long_polls: Gauge,
    /// Connections to backends, the idle ones included.
    pub backends: Gauge,
    /// Connections to backends that wait in a pool.
    pub backends_idle: Gauge,
}

/// What became of incoming connections.
#[derive(Debug, Default)]
pub struct Accepts {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections closed at once because the limit of clients was reached.
    pub refused_maxconn: Counter,
    /// Times accepting was put off, for want of descriptors or because of load.
    pub paused: Counter,
}

/// Requests of clients.
#[derive(Debug, Default)]
pub struct Requests {
    /// Request heads read.
    pub requests: Counter,
    /// Responses with a status code of 200 to 299.
    pub responses_2xx: Counter,
    /// Responses with a status code of 300 to 399.
    pub responses_3xx: Counter,
    /// Responses with a status code of 400 to 499.
    pub responses_4xx: Counter,
    /// Responses with a status code of 500 to 599.
    pub responses_5xx: Counter,
    /// Requests sent to a backend once more after a persistent connection had gone.
    pub backend_retries: Counter,
    /// Requests sent to another target of their route because one failed.
    pub failovers: Counter,
}

/// Why requests failed.
#[derive(Debug, Default)]
pub struct Errors {
    /// The request broke the rules of HTTP.
    pub bad_request: Counter,
    /// No route fits the request.
    pub route_not_found: Counter,
    /// No backend connection could be made.
    pub backend_connect_failed: Counter,
    /// The backend did not answer in time.
    pub backend_timeout: Counter,
    /// Requests refused because all connections to the backend were taken for too long.
    pub backend_busy: Counter,
    /// The backend closed before its response was complete.
    pub backend_broke_off: Counter,
    /// The backend's instruct could not be understood.
    pub instruct_invalid: Counter,
}

/// Holds and deliveries.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Items written to held streams, and held responses answered with an item.
    pub delivered: Counter,
    /// Content of those items, in bytes.
    pub delivered_bytes: Counter,
    /// Bytes that wait in the outboxes of clients.
    pub queued_bytes: Gauge,
    /// Clients closed because they took their items too slowly.
    pub slow_clients_closed: Counter,
    /// Holds begun.
    pub holds_started: Counter,
    /// Held responses answered because their time was over.
    pub holds_timed_out: Counter,
    /// Keep-alives written to held streams.
    pub keep_alives_sent: Counter,
    /// Deliveries that wait for `message_rate`.
    pub limited_waiting: Gauge,
    /// Deliveries dropped since `message_hwm` was reached.
    pub limited_dropped: Counter,
}

/// Holds that ask their backend again, and what it takes to know that they must.
#[derive(Debug, Default)]
pub struct Updates {
    /// Items that did not follow what the client of a hold had.
    pub gaps: Counter,
    /// Holds that began with another position than the last id of their channel.
    pub conflicts: Counter,
    /// Requests made again, and links fetched, for the sake of holds.
    pub begun: Counter,
    /// Holds that shared the answer to such a request instead.
    pub joined: Counter,
    /// Next links fetched.
    pub links_fetched: Counter,
    /// Fetches of next links that failed.
    pub links_failed: Counter,
    /// Gone links told.
    pub gone_told: Counter,
    /// Questions of filters sent to backends.
    pub asks: Counter,
    /// Holds that shared a fetched link or the answer to a question.
    pub errands_joined: Counter,
    /// Links and questions without an answer.
    pub errands_failed: Counter,
    /// Items that a filter kept from a hold.
    pub filtered: Counter,
    /// Items that did not reach a hold because a filter failed.
    pub filter_errors: Counter,
    /// Items for which a busy hold had no room.
    pub queue_full: Counter,
    /// Streams that ended because of an error.
    pub streams_broken: Counter,
    /// Holds that wait for their turn to ask again.
    pub waiting: Gauge,
    /// Links and questions under way, and those that wait for room.
    pub errands: Gauge,
}

/// Bytes moved, framing not counted: head bytes and content bytes apart.
#[derive(Debug, Default)]
pub struct Bytes {
    /// Request heads from clients.
    pub client_header_received: Counter,
    /// Request content from clients.
    pub client_content_received: Counter,
    /// Response heads to clients.
    pub client_header_sent: Counter,
    /// Response content to clients.
    pub client_content_sent: Counter,
    /// Response heads from backends.
    pub server_header_received: Counter,
    /// Response content from backends.
    pub server_content_received: Counter,
    /// Request heads to backends.
    pub server_header_sent: Counter,
    /// Request content to backends.
    pub server_content_sent: Counter,
}

impl Requests {
    /// Counts a final response by its status code; 1xx and unknown classes are not counted.
    #[inline]
    pub fn count_response(&self, status_code: u16) {
        match status_code / 100 {
            2 => self.responses_2xx.add(1),
            3 => self.responses_3xx.add(1),
            4 => self.responses_4xx.add(1),
            5 => self.responses_5xx.add(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_thread_counts_another_reads() {
        let counters = ShardCounters::default();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for _ in 0..1000 {
                    counters.requests.requests.add(1);
                    counters.connections.clients_idle.add(2);
                    counters.connections.clients_idle.sub(1);
                }
            });
            let mut last = 0;
            while !writer.is_finished() {
                let now = counters.requests.requests.get();
                assert!(now >= last, "a counter went from {last} to {now}");
                last = now;
            }
        });
        assert_eq!(counters.requests.requests.get(), 1000);
        assert_eq!(counters.connections.clients_idle.get(), 1000);
    }

    #[test]
    fn responses_are_counted_by_class() {
        let requests = Requests::default();
        for status_code in [101, 200, 204, 304, 404, 499, 500, 599, 999] {
            requests.count_response(status_code);
        }
        assert_eq!(requests.responses_2xx.get(), 2);
        assert_eq!(requests.responses_3xx.get(), 1);
        assert_eq!(requests.responses_4xx.get(), 2);
        assert_eq!(requests.responses_5xx.get(), 2);
    }

    #[test]
    fn counters_of_two_shards_share_no_cache_line() {
        assert_eq!(align_of::<ShardCounters>(), 128);
        assert_eq!(size_of::<ShardCounters>() % 128, 0);
        assert!(
            size_of::<ShardCounters>() <= 640,
            "{}",
            size_of::<ShardCounters>()
        );
    }
}
