//! `[handler]`: holds, channels and statistics.

use std::num::NonZeroU32;

/// How packets on the statistics socket are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsFormat {
    /// `"tnetstring"`.
    Tnetstring,
    /// `"json"`.
    Json,
}

/// `[handler]`: Pushpin's names and meanings (its `[handler]` and `[global]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// `message_rate`: deliveries per second, all routes together. 0 or less: `None`, no limit.
    /// Default: no limit.
    pub message_rate_per_s: Option<NonZeroU32>,
    /// `message_hwm`: deliveries that may wait for the rate, per route and shard; what is beyond
    /// is dropped. 0 or less: `None`, nothing is dropped and publishers wait. Default: `None`.
    pub message_hwm: Option<NonZeroU32>,
    /// `message_block_size`: bytes that count as one delivery. 0 or less: `None`, each item counts
    /// as one. Default: `None`.
    pub message_block_size: Option<NonZeroU32>,
    /// `message_wait`: milliseconds an item waits for the one before it. Default 5000.
    pub message_wait_ms: u32,
    /// `id_cache_ttl`: seconds an item's id is remembered to drop doubles. 0: off. Default 60.
    pub id_cache_ttl_s: u32,
    /// `update_on_first_subscription`: bring a channel's first subscriber up to date.
    /// Default: true.
    pub update_on_first_subscription: bool,
    /// `share_all`: identical requests (GET, method and URL) of clients share one answer.
    /// Default: false.
    pub share_all: bool,
    /// `connection_subscription_max`: channels per connection. Default 20.
    pub connection_subscription_max: usize,
    /// `subscription_linger`: seconds a channel stays known after its last subscriber. Default 60.
    pub subscription_linger_s: u32,
    /// `stats_connection_ttl`: seconds a connection report is good for. Default 120.
    pub stats_connection_ttl_s: u32,
    /// `stats_connection_send`: report single connections. Default: true.
    pub stats_connection_send: bool,
    /// `stats_subscription_ttl`: seconds a subscription report is good for. Default 60.
    pub stats_subscription_ttl_s: u32,
    /// `stats_report_interval`: seconds between two reports. 0: off. Default 10.
    pub stats_report_interval_s: u32,
    /// `stats_format`. Default: tnetstring.
    pub stats_format: StatsFormat,
    /// `prometheus_prefix`: put before every metric's name. Default: empty.
    pub prometheus_prefix: String,
}

impl Default for Handler {
    fn default() -> Self {
        Self {
            message_rate_per_s: None,
            message_hwm: None,
            message_block_size: None,
            message_wait_ms: 5000,
            id_cache_ttl_s: 60,
            update_on_first_subscription: true,
            share_all: false,
            connection_subscription_max: 20,
            subscription_linger_s: 60,
            stats_connection_ttl_s: 120,
            stats_connection_send: true,
            stats_subscription_ttl_s: 60,
            stats_report_interval_s: 10,
            stats_format: StatsFormat::Tnetstring,
            prometheus_prefix: String::new(),
        }
    }
}
