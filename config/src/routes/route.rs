//! One rule of the routes file.

use std::borrow::Cow;
use std::fmt;

use super::Target;
use crate::key::Key;

/// The protocol a condition asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proto {
    /// `proto=http`.
    Http,
    /// `proto=ws`.
    WebSocket,
}

/// Which requests a route is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Condition {
    /// A domain name, `*` for any, or empty: reached by id only.
    pub domain: String,
    /// `proto=`: only requests of this protocol.
    pub proto: Option<Proto>,
    /// `ssl=`: only requests with TLS (true) or without (false).
    pub is_ssl: Option<bool>,
    /// `path_beg=`: what the encoded path must begin with; never empty.
    pub path_beg: Option<String>,
}

/// A host with an optional port, as written in `as_host=` and `host=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, if one was written.
    pub port: Option<u16>,
}

/// How the path is changed on its way to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathChange {
    /// Not at all.
    Keep,
    /// `path_rem=`, or `path_beg` with `replace_beg=`: bytes are taken off the front, then a text
    /// is put there.
    Replace {
        /// How many bytes are taken off.
        remove_len: usize,
        /// What is put in their place; may be empty.
        prefix: String,
    },
}

/// `sig_iss=` and `sig_key=`: what replaces the signature settings on this route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigOverride {
    /// The issuer; `None`: as in the settings.
    pub iss: Option<String>,
    /// The key; `None`: as in the settings.
    pub key: Option<Key>,
}

/// How JSON-P answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonpMode {
    /// Status, fields and content as an object.
    Extended,
    /// The content alone.
    Basic,
}

/// The `jsonp_…` options; they matter only where CORS and JSON-P are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jsonp {
    /// `jsonp_mode=`. Default: extended.
    pub mode: JsonpMode,
    /// `jsonp_cb=`: the query parameter that names the callback. Default: `callback`.
    pub callback: String,
    /// `jsonp_body=`: the query parameter with a JSON request body. `None`: `_body` is used, and
    /// no content type is set.
    pub body: Option<String>,
    /// `jsonp_defcb=`: the callback when only the body parameter is there.
    pub default_callback: Option<String>,
    /// `jsonp_defmethod=`: the method when `_method` is not given. Default: `GET` (extended) or
    /// `POST` (basic).
    pub default_method: String,
}

/// `sockjs=` and `sockjs_as_path=`: a path prefix answered as SockJS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SockJs {
    /// The path prefix.
    pub path: String,
    /// The path towards the backend.
    pub as_path: Option<String>,
}

/// One rule: whom it serves, what it changes, where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `id=`, or else an id made from the condition. See [`has_own_id`](Self::has_own_id).
    pub id: String,
    /// The id was written: the route has its own statistics and is named in logs.
    pub has_own_id: bool,
    /// The line it was written on, counted from 1.
    pub line: usize,
    /// Which requests it is for.
    pub condition: Condition,
    /// `sig_iss=`, `sig_key=`. `None`: as in the settings.
    pub sig: Option<SigOverride>,
    /// `prefix=`: put before every channel name of the backend. Default: empty.
    pub prefix: String,
    /// `as_host=`: the host of the request towards the backend.
    pub as_host: Option<HostPort>,
    /// `path_rem=`, `replace_beg=`. See [`rewrite_path`](Self::rewrite_path).
    pub path_change: PathChange,
    /// `header=`: fields to set on the request, in the order they have on the wire (the reverse of
    /// writing, as Pushpin does). All incoming fields of these names are removed first; one with
    /// an empty value is only removed.
    pub headers: Vec<(String, String)>,
    /// `orig_headers`: send marked copies of the client's fields.
    pub orig_headers: bool,
    /// `no_grip`: a plain proxy; not signed, no features announced, no instructions followed.
    pub no_grip: bool,
    /// `session`: use the session state service.
    pub session: bool,
    /// `debug`: informative error texts.
    pub debug: bool,
    /// `aco`: CORS fields and JSON-P.
    pub auto_cross_origin: bool,
    /// The `jsonp_…` options.
    pub jsonp: Jsonp,
    /// `sockjs=`.
    pub sockjs: Option<SockJs>,
    /// `log_level=`: the limit for this route's own log lines.
    pub log_level: Option<log::LevelFilter>,
    /// Where requests go, in the order they are tried; never empty.
    pub targets: Vec<Target>,
}

impl Route {
    /// The request target for the backend.
    ///
    /// `path_and_query` is the encoded path, with a query or without; the query is kept as it is.
    /// The result always begins with a slash.
    #[must_use]
    pub fn rewrite_path<'p>(&self, path_and_query: &'p str) -> Cow<'p, str> {
        let PathChange::Replace { remove_len, prefix } = &self.path_change else {
            return Cow::Borrowed(path_and_query);
        };
        let path_len = path_and_query.find('?').unwrap_or(path_and_query.len());
        // An encoded path is ASCII; should it not be, a cut within a character removes all.
        let cut_len = (*remove_len).min(path_len);
        let rest = path_and_query.get(cut_len..).unwrap_or_default();
        let begin = if prefix.is_empty() { rest } else { prefix };
        let slash = if begin.starts_with('/') { "" } else { "/" };
        if slash.is_empty() && prefix.is_empty() {
            return Cow::Borrowed(rest);
        }
        Cow::Owned([slash, prefix, rest].concat())
    }
}

impl Condition {
    /// Whether a request fits, its domain apart. `path` is the encoded path without the query.
    #[must_use]
    pub fn fits(&self, path: &str, is_ssl: bool, is_ws: bool) -> bool {
        let proto = if is_ws { Proto::WebSocket } else { Proto::Http };
        self.proto.is_none_or(|wanted| wanted == proto)
            && self.is_ssl.is_none_or(|wanted| wanted == is_ssl)
            && self.path_fits(path)
    }

    /// Whether the path begins as `path_beg` says; plain text, so `/foo` fits `/foobar`.
    #[must_use]
    pub fn path_fits(&self, path: &str) -> bool {
        self.path_beg
            .as_ref()
            .is_none_or(|prefix| path.starts_with(prefix))
    }

    /// How much the condition asks for; of several that fit, the greatest serves.
    ///
    /// A named protocol outranks everything, then the longer path, then a named `ssl`. Pushpin
    /// lets a later, shorter path win because of its `ssl`; that is not copied.
    #[must_use]
    pub fn rank(&self) -> (bool, usize, bool) {
        let path_len = self.path_beg.as_ref().map_or(0, String::len);
        (self.proto.is_some(), path_len, self.is_ssl.is_some())
    }

    /// The id of a route that was written without one.
    ///
    /// `ssl` and `no-ssl` are the wrong way round, as in Pushpin: backends may have stored them.
    #[must_use]
    pub fn generated_id(&self) -> String {
        let proto = match self.proto {
            None => "*",
            Some(Proto::Http) => "http",
            Some(Proto::WebSocket) => "ws",
        };
        let ssl = match self.is_ssl {
            None => "*",
            Some(true) => "no-ssl",
            Some(false) => "ssl",
        };
        let path = self.path_beg.as_deref().unwrap_or("*");
        format!("{},{proto},{ssl},{path}", self.domain)
    }
}

impl HostPort {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. `None` if it is none of these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        Some(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// As it stands in a `Host` field.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`; the port is 1 to 65535.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':')?)
                },
            )
        }
        None => match text.split_once(':') {
            None => (text, None),
            Some((host, port)) => (host, Some(port)),
        },
    };
    let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\\"<>".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_host) {
        return None;
    }
    let Some(port) = port else {
        return Some((host, None));
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some((host, Some(port)))
}
