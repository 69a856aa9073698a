//! What is changed on a message's way through (proxy.md sections 5 and 9).

use std::borrow::Cow;
use std::net::IpAddr;

use config::{Config, ForwardedProtocol, Route};
use proto::grip::is_grip_name;
use proto::http::{self, Field};
use proto::http1::{RequestHead, encode};

use super::request::StoredRequest;

/// Prefix of copies of the client's own fields (`orig_headers`).
const MARK: &str = "eb9bf0f5-";

/// What the request's head does not say.
pub(super) struct RequestContext<'a> {
    pub(super) config: &'a Config,
    pub(super) route: &'a Route,
    pub(super) is_ssl: bool,
    pub(super) is_trusted: bool,
    /// The client's address, asked for only when a rule appends it.
    pub(super) peer: &'a dyn Fn() -> Option<IpAddr>,
}

/// Writes the request as the backend will get it into `out`, as far as it is the same for every
/// attempt.
pub(super) fn store_request(
    head: &RequestHead<'_, '_>,
    context: &RequestContext<'_>,
    out: &mut StoredRequest,
) {
    let path = http::normalize_path(head.target);
    let path = context.route.rewrite_path(&path);
    out.clear();
    let bytes = &mut out.bytes;
    encode::request_line(bytes, head.method, &path, http::Version::Http11);
    bytes.extend_from_slice(b"Host: ");
    out.host_start = len_u32(bytes);
    let set_host = context
        .route
        .headers
        .iter()
        .find(|(name, value)| name.eq_ignore_ascii_case("host") && !value.is_empty());
    match &context.route.as_host {
        _ if set_host.is_some() => {
            let host = set_host.map(|(_, value)| value.as_bytes());
            bytes.extend_from_slice(host.unwrap_or_default());
        }
        Some(host) => bytes.extend_from_slice(host.to_string().as_bytes()),
        None => {
            bytes.extend_from_slice(host_without_default_port(head.host, context.is_ssl).as_bytes())
        }
    }
    out.host_end = len_u32(bytes);
    bytes.extend_from_slice(b"\r\n");
    write_request_fields(head, context, bytes);
    out.head_end = len_u32(bytes);
}

fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The host as URI syntax normalises it: the scheme's own port is left out.
fn host_without_default_port(host: &str, is_ssl: bool) -> &str {
    host.strip_suffix(if is_ssl { ":443" } else { ":80" })
        .unwrap_or(host)
}

/// What becomes of a request field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    Grip,
    ForwardedFor,
    ForwardedProto,
    CdnLoop,
    PushpinRoute,
    Marked,
}

fn fate(name: &str) -> Fate {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let starts = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    match name.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'a') if is("accept-encoding") => Fate::Drop,
        Some(b'c') if is("content-length") => Fate::Drop,
        Some(b'c') if is("cdn-loop") => Fate::CdnLoop,
        Some(b'e') if is("expect") => Fate::Drop,
        Some(b'e') if starts(MARK) => Fate::Marked,
        Some(b'g') if is_grip_name(name) => Fate::Grip,
        Some(b'h') if is("host") => Fate::Drop,
        Some(b'p') if is("pushpin-route") => Fate::PushpinRoute,
        Some(b'x') if is("x-forwarded-for") => Fate::ForwardedFor,
        Some(b'x') if is("x-forwarded-proto") || is("x-forwarded-protocol") => Fate::ForwardedProto,
        Some(b'c' | b'k' | b'p' | b't' | b'u') if http::is_hop_by_hop(name) => Fate::Drop,
        _ => Fate::Pass,
    }
}

fn write_request_fields(
    head: &RequestHead<'_, '_>,
    context: &RequestContext<'_>,
    out: &mut Vec<u8>,
) {
    let proxy = &context.config.proxy;
    let connection = ConnectionTokens::of(head.fields);
    let replaces_proto = proxy.accept_x_forwarded_protocol
        || proxy.set_x_forwarded_protocol != ForwardedProtocol::Off;
    let is_set = |name: &str| {
        context
            .route
            .headers
            .iter()
            .any(|(set, _)| set.eq_ignore_ascii_case(name))
    };
    let mut has_forwarded_for = false;
    let mut marked = Vec::new();
    for field in head.fields {
        let passes = match fate(field.name) {
            Fate::Pass => !connection.names(field.name) && !is_set(field.name),
            Fate::Drop => false,
            Fate::Grip => context.is_trusted,
            Fate::ForwardedProto => !replaces_proto && !is_set(field.name),
            Fate::CdnLoop => proxy.cdn_loop.is_none() && !is_set(field.name),
            Fate::PushpinRoute => !proxy.accept_pushpin_route,
            Fate::ForwardedFor => {
                has_forwarded_for = true;
                false
            }
            Fate::Marked => {
                if context.route.orig_headers && !context.is_trusted {
                    marked.push(*field);
                }
                context.is_trusted
            }
        };
        if passes {
            encode::parsed_field(out, field);
        }
    }
    for (name, value) in &context.route.headers {
        // Framing and the fields of the hop are ours alone, and so is `Host` by now.
        let may_be_set = match fate(name) {
            Fate::Grip => context.is_trusted,
            Fate::Drop => name.eq_ignore_ascii_case("accept-encoding"),
            Fate::ForwardedFor => false,
            Fate::Pass
            | Fate::ForwardedProto
            | Fate::CdnLoop
            | Fate::PushpinRoute
            | Fate::Marked => true,
        };
        if !value.is_empty() && may_be_set {
            encode::field(out, name, value.as_bytes());
        }
    }
    if context.route.orig_headers && !context.is_trusted {
        write_marked(head, &marked, &proxy.orig_headers_need_mark, out);
    }
    write_cdn_loop(head, context, out);
    write_forwarded_proto(context, out);
    write_forwarded_for(head, context, has_forwarded_for, out);
}

/// Copies of the client's fields under marked names (proxy.md section 5.3).
fn write_marked(
    head: &RequestHead<'_, '_>,
    marked: &[Field<'_>],
    need_mark: &[String],
    out: &mut Vec<u8>,
) {
    for field in marked {
        encode::parsed_field(out, field);
    }
    for field in head.fields {
        let needs_mark = need_mark
            .iter()
            .any(|name| name.eq_ignore_ascii_case(field.name));
        if !needs_mark && fate(field.name) != Fate::Marked {
            encode::field(out, &format!("{MARK}{}", field.name), field.value);
        }
    }
}

fn write_cdn_loop(head: &RequestHead<'_, '_>, context: &RequestContext<'_>, out: &mut Vec<u8>) {
    let Some(own) = &context.config.proxy.cdn_loop else {
        return;
    };
    let mut value = Vec::new();
    for member in http::field_values(head.fields, "CDN-Loop").flat_map(http::list_members) {
        value.extend_from_slice(member);
        value.extend_from_slice(b", ");
    }
    value.extend_from_slice(own.as_bytes());
    encode::field(out, "CDN-Loop", &value);
}

fn write_forwarded_proto(context: &RequestContext<'_>, out: &mut Vec<u8>) {
    let set = context.config.proxy.set_x_forwarded_protocol;
    if !context.is_ssl || set == ForwardedProtocol::Off {
        return;
    }
    encode::field(out, "X-Forwarded-Proto", b"https");
    if set == ForwardedProtocol::Both {
        encode::field(out, "X-Forwarded-Protocol", b"https");
    }
}

fn write_forwarded_for(
    head: &RequestHead<'_, '_>,
    context: &RequestContext<'_>,
    is_there: bool,
    out: &mut Vec<u8>,
) {
    let proxy = &context.config.proxy;
    let rule = if context.is_trusted {
        &proxy.x_forwarded_for_trusted
    } else {
        &proxy.x_forwarded_for
    };
    // A value set by the route stands in for the client's.
    let set: Vec<&[u8]> = context
        .route
        .headers
        .iter()
        .filter(|(name, value)| fate(name) == Fate::ForwardedFor && !value.is_empty())
        .map(|(_, value)| value.as_bytes())
        .collect();
    if !is_there && set.is_empty() && !rule.append {
        return;
    }
    let values = if set.is_empty() {
        http::field_values(head.fields, "X-Forwarded-For").collect()
    } else {
        set
    };
    let peer = if rule.append { (context.peer)() } else { None };
    if let Some(value) = rule.apply(&values, peer) {
        encode::field(out, "X-Forwarded-For", &value);
    }
}

/// The field names that a message's `Connection` declares to be for this hop only.
pub(super) struct ConnectionTokens<'f> {
    fields: &'f [Field<'f>],
    is_any: bool,
}

impl<'f> ConnectionTokens<'f> {
    /// Of these fields. Cheap when `Connection` has nothing but the usual words.
    pub(super) fn of(fields: &'f [Field<'f>]) -> Self {
        let is_usual = |member: &[u8]| {
            [&b"keep-alive"[..], b"close", b"upgrade"]
                .iter()
                .any(|word| member.eq_ignore_ascii_case(word))
        };
        let is_any = http::field_values(fields, "Connection")
            .flat_map(http::list_members)
            .any(|member| !is_usual(member));
        Self { fields, is_any }
    }

    /// Whether a field of this name is for this hop only.
    pub(super) fn names(&self, name: &str) -> bool {
        self.is_any && http::has_token(self.fields, "Connection", name)
    }
}

/// Appends a response's fields as the client gets them, without those of framing and of the hop.
pub(super) fn write_response_fields(
    fields: &[Field<'_>],
    is_instruct: bool,
    keeps: &dyn Fn(&str) -> bool,
    out: &mut Vec<u8>,
) {
    let connection = ConnectionTokens::of(fields);
    for field in fields {
        let is_dropped = match field.name.as_bytes().first().map(u8::to_ascii_lowercase) {
            Some(b'c') if field.name.eq_ignore_ascii_case("content-length") => true,
            Some(b'g') if is_instruct => is_grip_name(field.name),
            Some(b'c' | b'k' | b'p' | b't' | b'u') => http::is_hop_by_hop(field.name),
            _ => false,
        };
        if !is_dropped && !connection.names(field.name) && keeps(field.name) {
            encode::parsed_field(out, field);
        }
    }
}

/// The absolute URL of a request, which relative links are resolved against.
pub(super) fn absolute_url(request: &StoredRequest, is_ssl: bool) -> String {
    let scheme = if is_ssl { "https" } else { "http" };
    let text = |bytes| -> Cow<'_, str> { String::from_utf8_lossy(bytes) };
    format!(
        "{scheme}://{}{}",
        text(request.host()),
        text(request.target())
    )
}
