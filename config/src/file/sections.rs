//! What stands in each section: keys, types, ranges.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;

use toml::de::DeValue;

use super::octal_mode;
use super::section::{Section, integer};
use super::values::{
    BAD_SPEC, address, field_name, field_value, folder, loopback_address, metric_prefix,
    optional_path, optional_spec,
};
use crate::cores::{CoreSet, CoresError};
use crate::forwarded::ForwardedRule;
use crate::key::{Key, KeyUse};
use crate::model::{Config, ForwardedProtocol, Handler, Http, Proxy, SlowClient, StatsFormat};

/// Reads one section into the settings.
type ReadSection = fn(&mut Section<'_, '_, '_>, &mut Config);

/// All sections. The top level comes first: other sections need its folders.
pub(super) const ALL: &[(&str, ReadSection)] = &[
    ("", top),
    ("shards", shards),
    ("http", http),
    ("control", control),
    ("zmq", zmq),
    ("proxy", proxy),
    ("handler", handler),
];

/// Counts that only have to fit the machine's word.
const COUNT_MAX: i64 = 1_000_000_000;

/// Seconds that a time limit may have: a week.
const SECONDS_MAX: i64 = 604_800;

/// Bytes that a buffer of one connection may have: 1 GiB.
const BUFFER_MAX: i64 = 1_073_741_824;

/// The keys outside sections.
fn top(section: &mut Section<'_, '_, '_>, config: &mut Config) {
    let base_dir = config.base_dir.clone();
    section.parsed("run_dir", &mut config.run_dir, |text| {
        folder(&base_dir, text)
    });
    section.parsed("routes_file", &mut config.routes_file, |text| {
        Ok::<_, String>(optional_path(&base_dir, text))
    });
    if config.routes_file.is_some() {
        config.routes.clear();
    }
    let has_file = config.routes_file.is_some();
    section.list("routes", &mut config.routes, |text| match has_file {
        true => Err("give either routes or routes_file"),
        false => Ok(text.to_owned()),
    });
    for (name, _) in ALL.iter().filter(|(name, _)| !name.is_empty()) {
        section.value(name);
    }
}

/// `[shards]`.
fn shards(section: &mut Section<'_, '_, '_>, config: &mut Config) {
    let shards = &mut config.shards;
    if let Some(value) = section.value("cores") {
        let cores = match value.get_ref() {
            DeValue::String(text) => CoreSet::parse(text),
            DeValue::Array(items) => {
                let number = |item| integer(item).and_then(|number| usize::try_from(number).ok());
                let numbers = items.iter().map(number).collect::<Option<_>>();
                numbers
                    .ok_or(CoresError::BadList)
                    .and_then(CoreSet::from_numbers)
            }
            _ => Err(CoresError::BadList),
        };
        match cores {
            Ok(cores) => shards.cores = cores,
            Err(error) => section.wrong("cores", value, error),
        }
    }
    section.whole("per_core", 1..=64, "shards", &mut shards.per_core);
    section.flag("private_descriptors", &mut shards.private_descriptors);
    section.whole("queue", 16..=1_048_576, "messages", &mut shards.queue);
    let turn = &mut shards.deliveries_per_turn;
    section.whole("deliveries_per_turn", 1..=1_048_576, "deliveries", turn);
}

/// `[http]`.
fn http(section: &mut Section<'_, '_, '_>, config: &mut Config) {
    let base_dir = config.base_dir.clone();
    let http = &mut config.http;
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    section.list("listen", &mut http.listen, |text| address(text, any));
    section.list("https_listen", &mut http.https_listen, |text| {
        address(text, any)
    });
    section.list("local_listen", &mut http.local_listen, |text| {
        folder(&base_dir, text)
    });
    section.parsed("local_mode", &mut http.local_mode, optional_mode);
    section.parsed("cert_dir", &mut http.cert_dir, |text| {
        Ok::<_, String>(optional_path(&base_dir, text))
    });
    section.whole(
        "client_buffer_size",
        1024..=1_048_576,
        "bytes",
        &mut http.client_buffer_size,
    );
    section.whole(
        "client_maxconn",
        1..=COUNT_MAX,
        "connections",
        &mut http.client_maxconn,
    );
    section.flag("allow_compression", &mut http.allow_compression);
    http_limits(section, http);
}

/// The rest of `[http]`: time limits and sizes.
fn http_limits(section: &mut Section<'_, '_, '_>, http: &mut Http) {
    section.whole(
        "header_timeout",
        1..=SECONDS_MAX,
        "seconds",
        &mut http.header_timeout_s,
    );
    let body_idle = &mut http.body_idle_timeout_s;
    section.whole("body_idle_timeout", 1..=SECONDS_MAX, "seconds", body_idle);
    // 128 is what the codec has room for.
    section.whole("fields_max", 16..=128, "fields", &mut http.fields_max);
    let mut body_max = http.request_body_max.map_or(0, NonZeroU64::get);
    section.whole("request_body_max", 0..=i64::MAX, "bytes", &mut body_max);
    http.request_body_max = NonZeroU64::new(body_max);
    section.whole(
        "outbox_max",
        4096..=BUFFER_MAX,
        "bytes",
        &mut http.outbox_max,
    );
    section.whole(
        "outbox_items_max",
        1..=COUNT_MAX,
        "items",
        &mut http.outbox_items_max,
    );
    section.parsed("slow_client", &mut http.slow_client, |text| match text {
        "close" => Ok(SlowClient::Close),
        _ => Err("expected \"close\""),
    });
    section.whole(
        "drain_timeout",
        0..=SECONDS_MAX,
        "seconds",
        &mut http.drain_timeout_s,
    );
}

/// `[control]`.
fn control(section: &mut Section<'_, '_, '_>, config: &mut Config) {
    let control = &mut config.control;
    section.parsed("listen", &mut control.listen, loopback_address);
    section.parsed(
        "metrics_listen",
        &mut control.metrics_listen,
        loopback_address,
    );
    let head_max = &mut control.max_headers_size;
    section.whole("max_headers_size", 256..=BUFFER_MAX, "bytes", head_max);
    section.whole(
        "max_body_size",
        1..=BUFFER_MAX,
        "bytes",
        &mut control.max_body_size,
    );
    section.whole(
        "connections_max",
        1..=65_536,
        "connections",
        &mut control.connections_max,
    );
    section.whole(
        "idle_timeout",
        1..=SECONDS_MAX,
        "seconds",
        &mut control.idle_timeout_s,
    );
}

/// `[zmq]`.
fn zmq(section: &mut Section<'_, '_, '_>, config: &mut Config) {
    let zmq = &mut config.zmq;
    section.parsed("pull", &mut zmq.pull, optional_spec);
    section.list("sub", &mut zmq.sub, |text| {
        optional_spec(text)?.ok_or(BAD_SPEC)
    });
    section.flag("sub_connect", &mut zmq.sub_connect);
    section.parsed("command", &mut zmq.command, optional_spec);
    section.parsed("stats", &mut zmq.stats, optional_spec);
    section.parsed("ipc_file_mode", &mut zmq.ipc_file_mode, optional_mode);
}

/// Permissions; an empty text leaves them to the umask.
fn optional_mode(text: &str) -> Result<Option<u32>, &'static str> {
    match text {
        "" => Ok(None),
        _ => octal_mode(text)
            .map(Some)
            .ok_or("expected octal permissions such as \"660\""),
    }
}

/// `[proxy]`.
fn proxy(section: &mut Section<'_, '_, '_>, config: &mut Config) {
    let base_dir = config.base_dir.clone();
    let proxy = &mut config.proxy;
    section.flag("debug", &mut proxy.debug);
    section.flag("auto_cross_origin", &mut proxy.auto_cross_origin);
    section.flag(
        "accept_x_forwarded_protocol",
        &mut proxy.accept_x_forwarded_protocol,
    );
    forwarded_protocol(section, &mut proxy.set_x_forwarded_protocol);
    section.parsed(
        "x_forwarded_for",
        &mut proxy.x_forwarded_for,
        ForwardedRule::parse,
    );
    let trusted = &mut proxy.x_forwarded_for_trusted;
    section.parsed("x_forwarded_for_trusted", trusted, ForwardedRule::parse);
    need_mark(section, &mut proxy.orig_headers_need_mark);
    section.flag("accept_pushpin_route", &mut proxy.accept_pushpin_route);
    section.parsed("cdn_loop", &mut proxy.cdn_loop, field_value);
    section.flag("log_from", &mut proxy.log_from);
    section.flag("log_user_agent", &mut proxy.log_user_agent);
    section.optional_text("sig_iss", &mut proxy.sig_iss);
    let key = |text: &str, key_use| Key::parse(text, &base_dir, key_use);
    section.parsed("sig_key", &mut proxy.sig_key, |text| {
        key(text, KeyUse::Sign)
    });
    section.parsed("upstream_key", &mut proxy.upstream_key, |text| {
        key(text, KeyUse::Verify)
    });
    section.optional_text("sockjs_url", &mut proxy.sockjs_url);
    backend_limits(section, proxy);
}

/// The rest of `[proxy]`: time limits and sizes.
fn backend_limits(section: &mut Section<'_, '_, '_>, proxy: &mut Proxy) {
    section.whole(
        "connect_timeout",
        1..=SECONDS_MAX,
        "seconds",
        &mut proxy.connect_timeout_s,
    );
    section.whole(
        "response_timeout",
        1..=SECONDS_MAX,
        "seconds",
        &mut proxy.response_timeout_s,
    );
    section.whole(
        "body_timeout",
        1..=SECONDS_MAX,
        "seconds",
        &mut proxy.body_timeout_s,
    );
    let keep_alive = &mut proxy.backend_keep_alive_s;
    section.whole("backend_keep_alive", 0..=SECONDS_MAX, "seconds", keep_alive);
    section.whole(
        "backend_connections_max",
        1..=COUNT_MAX,
        "connections",
        &mut proxy.backend_connections_max,
    );
    section.whole(
        "backend_waiting_max",
        0..=COUNT_MAX,
        "requests",
        &mut proxy.backend_waiting_max,
    );
    section.whole(
        "backend_idle_max",
        0..=COUNT_MAX,
        "connections",
        &mut proxy.backend_idle_max,
    );
    section.whole(
        "response_head_max",
        1024..=1_048_576,
        "bytes",
        &mut proxy.response_head_max,
    );
    section.whole(
        "buffer_size",
        4096..=BUFFER_MAX,
        "bytes",
        &mut proxy.buffer_size,
    );
    section.whole("replay_max", 0..=BUFFER_MAX, "bytes", &mut proxy.replay_max);
    section.whole(
        "dns_refresh",
        1..=SECONDS_MAX,
        "seconds",
        &mut proxy.dns_refresh_s,
    );
}

/// `[handler]`.
fn handler(section: &mut Section<'_, '_, '_>, config: &mut Config) {
    let handler = &mut config.handler;
    section.limit(
        "message_rate",
        "deliveries per second",
        &mut handler.message_rate_per_s,
    );
    section.limit("message_hwm", "deliveries", &mut handler.message_hwm);
    section.limit(
        "message_block_size",
        "bytes",
        &mut handler.message_block_size,
    );
    let wait_max = SECONDS_MAX * 1000;
    section.whole(
        "message_wait",
        0..=wait_max,
        "milliseconds",
        &mut handler.message_wait_ms,
    );
    section.whole(
        "id_cache_ttl",
        0..=SECONDS_MAX,
        "seconds",
        &mut handler.id_cache_ttl_s,
    );
    section.flag(
        "update_on_first_subscription",
        &mut handler.update_on_first_subscription,
    );
    section.flag("share_all", &mut handler.share_all);
    let channels_max = &mut handler.connection_subscription_max;
    section.whole(
        "connection_subscription_max",
        1..=COUNT_MAX,
        "channels",
        channels_max,
    );
    let linger = &mut handler.subscription_linger_s;
    section.whole("subscription_linger", 0..=SECONDS_MAX, "seconds", linger);
    stats(section, handler);
}

/// The rest of `[handler]`: statistics.
fn stats(section: &mut Section<'_, '_, '_>, handler: &mut Handler) {
    let connection_ttl = &mut handler.stats_connection_ttl_s;
    section.whole(
        "stats_connection_ttl",
        1..=SECONDS_MAX,
        "seconds",
        connection_ttl,
    );
    section.flag("stats_connection_send", &mut handler.stats_connection_send);
    let subscription_ttl = &mut handler.stats_subscription_ttl_s;
    section.whole(
        "stats_subscription_ttl",
        1..=SECONDS_MAX,
        "seconds",
        subscription_ttl,
    );
    let interval = &mut handler.stats_report_interval_s;
    section.whole(
        "stats_report_interval",
        0..=SECONDS_MAX,
        "seconds",
        interval,
    );
    section.parsed(
        "stats_format",
        &mut handler.stats_format,
        |text| match text {
            "tnetstring" => Ok(StatsFormat::Tnetstring),
            "json" => Ok(StatsFormat::Json),
            _ => Err("expected \"tnetstring\" or \"json\""),
        },
    );
    section.parsed(
        "prometheus_prefix",
        &mut handler.prometheus_prefix,
        metric_prefix,
    );
}

/// `set_x_forwarded_protocol`: a text as in `pushpin.conf`, or a plain flag.
fn forwarded_protocol(section: &mut Section<'_, '_, '_>, protocol: &mut ForwardedProtocol) {
    let key = "set_x_forwarded_protocol";
    let Some(value) = section.value(key) else {
        return;
    };
    *protocol = match (value.get_ref(), value.get_ref().as_str()) {
        (DeValue::Boolean(true), _) | (_, Some("true")) => ForwardedProtocol::Both,
        (DeValue::Boolean(false), _) | (_, Some("false" | "")) => ForwardedProtocol::Off,
        (_, Some("proto-only")) => ForwardedProtocol::ProtoOnly,
        _ => {
            section.wrong(key, value, "expected \"proto-only\", \"true\" or \"false\"");
            return;
        }
    };
}

/// `orig_headers_need_mark`: a comma list as in `pushpin.conf`, or an array.
fn need_mark(section: &mut Section<'_, '_, '_>, names: &mut Vec<String>) {
    let key = "orig_headers_need_mark";
    let Some(value) = section.value(key) else {
        return;
    };
    if value.get_ref().is_array() {
        section.list(key, names, field_name);
        return;
    }
    section.parsed(key, names, |text| {
        let members = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        members.map(field_name).collect()
    });
}
