//! `[proxy]`: the side of the backends.

use std::sync::Arc;

use crate::forwarded::ForwardedRule;
use crate::key::Key;

/// Which fields tell the backend that the client used TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedProtocol {
    /// `"false"` or empty: none.
    Off,
    /// `"proto-only"`: `X-Forwarded-Proto`.
    ProtoOnly,
    /// `"true"`: `X-Forwarded-Proto` and `X-Forwarded-Protocol`.
    Both,
}

/// `[proxy]`: the side of the backends. The first block has Pushpin's names and meanings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `debug`: informative error texts. Default: false.
    pub debug: bool,
    /// `auto_cross_origin`: CORS fields and JSON-P on all routes. Default: false.
    pub auto_cross_origin: bool,
    /// `accept_x_forwarded_protocol`: believe a client that says `https`. Default: false.
    pub accept_x_forwarded_protocol: bool,
    /// `set_x_forwarded_protocol`. Default: `"proto-only"`.
    pub set_x_forwarded_protocol: ForwardedProtocol,
    /// `x_forwarded_for`: the rule for ordinary clients. Default: pass.
    pub x_forwarded_for: ForwardedRule,
    /// `x_forwarded_for_trusted`: the rule for trusted clients. Default: pass.
    pub x_forwarded_for_trusted: ForwardedRule,
    /// `orig_headers_need_mark`: field names that `orig_headers` copies only if they came marked.
    /// A comma list or an array. Default: none.
    pub orig_headers_need_mark: Vec<String>,
    /// `accept_pushpin_route`: the `Pushpin-Route` field may choose a route by id. Default: false.
    pub accept_pushpin_route: bool,
    /// `cdn_loop`: the member added to `CDN-Loop`. Default: none.
    pub cdn_loop: Option<String>,
    /// `log_from`: name the client's address in the request log. Default: false.
    pub log_from: bool,
    /// `log_user_agent`: name the user agent in the request log. Default: false.
    pub log_user_agent: bool,
    /// `sig_iss`: the issuer in `Grip-Sig`. `None` (empty): nothing is signed.
    /// Default: `pincushion`.
    pub sig_iss: Option<String>,
    /// `sig_key`: the key of `Grip-Sig`. `None` (empty): nothing is signed. Default: `changeme`.
    pub sig_key: Option<Key>,
    /// `upstream_key`: whoever signs with it is trusted. Default: nobody.
    pub upstream_key: Option<Key>,
    /// `sockjs_url`: the script named by SockJS's iframe page. Default: none.
    pub sockjs_url: Option<String>,

    /// `connect_timeout`: seconds to connect to one address of a backend. Default 10.
    pub connect_timeout_s: u32,
    /// `response_timeout`: seconds from the sent request to the response head. Default 120, since
    /// backends that think for a long time are common.
    pub response_timeout_s: u32,
    /// `body_timeout`: seconds without a byte of a response body. Default 60.
    pub body_timeout_s: u32,
    /// `backend_keep_alive`: seconds an idle connection to a backend is kept. Default 55, below the
    /// 60 that many servers use, so that we close first.
    pub backend_keep_alive_s: u32,
    /// `backend_connections_max`: connections to one address of a backend, per shard; further
    /// requests wait. Default 1024.
    pub backend_connections_max: usize,
    /// `backend_waiting_max`: requests that may wait for one of them, per shard and for
    /// `connect_timeout` at most; more are refused with 503. Default 16,384.
    pub backend_waiting_max: usize,
    /// `backend_idle_max`: idle connections kept per target and shard. Default 512.
    pub backend_idle_max: usize,
    /// `response_head_max`: bytes a response head may have. Default 16,384.
    pub response_head_max: usize,
    /// `buffer_size`: bytes in flight per proxied request and direction. Default 524,288: fewer, larger
    /// pieces carry large bodies at less cost.
    pub buffer_size: usize,
    /// `replay_max`: bytes of a request body kept for the next target or a retry. Default 100,000.
    pub replay_max: usize,
    /// `dns_refresh`: seconds between two look-ups of the backends' names. Default 30.
    pub dns_refresh_s: u32,
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            debug: false,
            auto_cross_origin: false,
            accept_x_forwarded_protocol: false,
            set_x_forwarded_protocol: ForwardedProtocol::ProtoOnly,
            x_forwarded_for: ForwardedRule::default(),
            x_forwarded_for_trusted: ForwardedRule::default(),
            orig_headers_need_mark: Vec::new(),
            accept_pushpin_route: false,
            cdn_loop: None,
            log_from: false,
            log_user_agent: false,
            sig_iss: Some("pincushion".to_owned()),
            sig_key: Some(Key::Hmac(Arc::from(&b"changeme"[..]))),
            upstream_key: None,
            sockjs_url: None,
            connect_timeout_s: 10,
            response_timeout_s: 120,
            body_timeout_s: 60,
            backend_keep_alive_s: 55,
            backend_connections_max: 1024,
            backend_waiting_max: 16_384,
            backend_idle_max: 512,
            response_head_max: 16_384,
            buffer_size: 524_288,
            replay_max: 100_000,
            dns_refresh_s: 30,
        }
    }
}
