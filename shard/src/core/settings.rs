//! What a core needs to know of the configuration, computed once.

use std::sync::Arc;

use config::Config;
use proto::http1::HeadLimits;

use super::last_ids::LastIds;
use super::limiter::DeliveryRate;

/// Where clients come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Listener {
    /// Clients speak TLS.
    pub is_ssl: bool,
}

/// Settings of one shard's core.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The whole configuration.
    pub config: Arc<Config>,
    /// The listeners, by their number.
    pub listeners: Vec<Listener>,
    /// Client connections that this shard takes; the rest is refused with 503.
    pub clients_max: usize,
    /// The last id of each channel: one table for all shards and the sequencer. An empty one of
    /// its own at first.
    pub last_ids: Arc<LastIds>,
    /// `message_rate`, if it is set: one for all shards. One of its own at first.
    pub delivery_rate: Option<Arc<DeliveryRate>>,
    pub(super) request_limits: HeadLimits,
    pub(super) response_limits: HeadLimits,
    pub(super) header_timeout_ms: u64,
    pub(super) body_idle_timeout_ms: u64,
    pub(super) connect_timeout_ms: u64,
    pub(super) response_timeout_ms: u64,
    pub(super) body_timeout_ms: u64,
    pub(super) backend_keep_alive_ms: u64,
    pub(super) linger_ms: u64,
}

/// Milliseconds that a client gets to read its last bytes after we ended our side.
const LINGER_MS: u64 = 2_000;

impl Settings {
    /// Settings of one of `shards` shards.
    #[must_use]
    pub fn new(config: Arc<Config>, listeners: Vec<Listener>, shards: usize) -> Self {
        let ms = |s: u32| u64::from(s) * 1000;
        let (http, proxy) = (&config.http, &config.proxy);
        Self {
            listeners,
            clients_max: http.client_maxconn.div_ceil(shards.max(1)),
            last_ids: Arc::default(),
            delivery_rate: DeliveryRate::of(&config.handler),
            request_limits: HeadLimits {
                head_len_max: http.client_buffer_size,
                fields_max: http.fields_max,
            },
            response_limits: HeadLimits {
                head_len_max: proxy.response_head_max,
                fields_max: proto::http1::FIELDS_MAX,
            },
            header_timeout_ms: ms(http.header_timeout_s),
            body_idle_timeout_ms: ms(http.body_idle_timeout_s),
            connect_timeout_ms: ms(proxy.connect_timeout_s),
            response_timeout_ms: ms(proxy.response_timeout_s),
            body_timeout_ms: ms(proxy.body_timeout_s),
            backend_keep_alive_ms: ms(proxy.backend_keep_alive_s),
            linger_ms: LINGER_MS,
            config,
        }
    }
}
