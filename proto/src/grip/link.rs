//! Resolves the references of links against the URL of the request (WHATWG URL, as far as http
//! and https need it).
//!
//! Not done: international host names (refused) and the odd spellings of IPv4 addresses
//! (refused as well). User names and passwords are dropped, and so are fragments.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Why a reference does not resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("invalid link")]
pub struct LinkError;

/// An absolute http or https URL, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// https.
    pub is_secure: bool,
    /// Host in lower case; IPv6 addresses in brackets.
    pub host: String,
    /// The port, if it is not the scheme's own.
    pub port: Option<u16>,
    /// The path with its leading slash, dot segments resolved.
    pub path: String,
    /// What follows the `?`, if there is one.
    pub query: Option<String>,
}

/// Resolves `reference` against the absolute http or https URL `base`; the value is an absolute,
/// normalised URL without fragment. An absolute reference of another scheme comes back as it is:
/// it is a valid link, only not one that can be fetched.
///
/// # Errors
/// [`LinkError`] if it is no valid URL, or relative to something that is none.
pub fn resolve(base: &str, reference: &str) -> Result<String, LinkError> {
    let reference = strip(reference);
    match split_scheme(&reference) {
        Some(("http" | "https", _)) | None => {
            resolve_http(base, &reference).map(|url| url.to_string())
        }
        Some(_) => Ok(reference),
    }
}

impl Url {
    /// Reads an absolute http or https URL.
    ///
    /// # Errors
    /// [`LinkError`] if it is no valid one, or of another scheme.
    pub fn parse(absolute: &str) -> Result<Self, LinkError> {
        let absolute = strip(absolute);
        let (is_secure, rest) = match split_scheme(&absolute) {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(LinkError),
        };
        Self::from_authority(is_secure, rest)
    }

    /// Reads what stands behind `http:`; any number of slashes may come first.
    fn from_authority(is_secure: bool, text: &str) -> Result<Self, LinkError> {
        let text = text.trim_start_matches(is_slash);
        let end = text
            .find(|c| is_slash(c) || c == '?' || c == '#')
            .unwrap_or(text.len());
        let (authority, rest) = text.split_at_checked(end).ok_or(LinkError)?;
        let host_port = authority.rsplit('@').next().unwrap_or(authority);
        let (host, port) = split_port(host_port)?;
        let mut url = Self {
            is_secure,
            host: parse_host(host)?,
            port: None,
            path: "/".into(),
            query: None,
        };
        url.port = match port.parse::<u16>() {
            _ if port.is_empty() => None,
            Ok(port) if port.to_string().len() <= 5 && port != url.default_port() => Some(port),
            Ok(_own) => None,
            Err(_) => return Err(LinkError),
        };
        url.set_target(rest);
        Ok(url)
    }

    /// The port to connect to.
    #[must_use]
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or_else(|| self.default_port())
    }

    /// Path and query: what a request line holds.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    const fn default_port(&self) -> u16 {
        if self.is_secure { 443 } else { 80 }
    }

    /// Takes path and query from `text`, whose path is absolute or empty.
    fn set_target(&mut self, text: &str) {
        let text = text.split('#').next().unwrap_or(text);
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        self.path = normalize(path);
        self.query = query.map(|query| {
            let mut encoded = String::with_capacity(query.len());
            query
                .chars()
                .for_each(|c| push_encoded(&mut encoded, c, "\"#<>'"));
            encoded
        });
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)?;
        match &self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

fn resolve_http(base: &str, reference: &str) -> Result<Url, LinkError> {
    let mut relative = reference;
    let base = Url::parse(base);
    if let Some((scheme, rest)) = split_scheme(reference) {
        let is_secure = scheme == "https";
        // `http:x` is relative to a base of the same scheme (WHATWG URL section 4.4).
        let same = base.as_ref().is_ok_and(|base| base.is_secure == is_secure);
        if !same || rest.starts_with("//") {
            return Url::from_authority(is_secure, rest);
        }
        relative = rest;
    }
    let mut url = base?;
    let mut chars = relative.chars();
    match (chars.next(), chars.next()) {
        (None | Some('#'), _) => {}
        (Some('?'), _) => {
            let target = format!("{}{relative}", url.path);
            url.set_target(&target);
        }
        (Some(first), Some(second)) if is_slash(first) && is_slash(second) => {
            return Url::from_authority(url.is_secure, relative);
        }
        (Some(first), _) if is_slash(first) => url.set_target(relative),
        _ => {
            let folder = url.path.rfind('/').and_then(|at| url.path.get(..=at));
            let target = format!("{}{relative}", folder.unwrap_or("/"));
            url.set_target(&target);
        }
    }
    Ok(url)
}

/// Without blanks and control characters at the ends, and without tabs and line ends anywhere.
fn strip(text: &str) -> String {
    let text = text.trim_matches(|c: char| c <= ' ');
    text.chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .collect()
}

/// The scheme, if it is http or https in lower case, else as written; and what follows its colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !is_scheme {
        return None;
    }
    let known = ["http", "https"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(scheme));
    Some((known.unwrap_or(scheme), rest))
}

/// Backslashes are slashes in http URLs (WHATWG URL).
const fn is_slash(c: char) -> bool {
    matches!(c, '/' | '\\')
}

fn split_port(host_port: &str) -> Result<(&str, &str), LinkError> {
    let port_at = match host_port.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host_port.find(':').unwrap_or(host_port.len()),
    };
    let (host, port) = host_port.split_at_checked(port_at).ok_or(LinkError)?;
    let port = match port.strip_prefix(':') {
        Some(port) => port,
        None if port.is_empty() => port,
        None => return Err(LinkError),
    };
    if port.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok((host, port))
    } else {
        Err(LinkError)
    }
}

fn parse_host(host: &str) -> Result<String, LinkError> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(LinkError)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| LinkError)?;
        return Ok(format!("[{address}]"));
    }
    let is_host_byte = |byte: u8| byte.is_ascii_graphic() && !b"#%/:<>?@[\\]^|".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_host_byte) {
        return Err(LinkError);
    }
    let host = host.to_ascii_lowercase();
    let last_label = host
        .trim_end_matches('.')
        .rsplit('.')
        .next()
        .unwrap_or_default();
    let is_number = !last_label.is_empty() && last_label.bytes().all(|b| b.is_ascii_digit());
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(LinkError);
    }
    Ok(host)
}

/// Resolves dot segments and encodes what a path cannot hold.
fn normalize(path: &str) -> String {
    let path = path.strip_prefix(is_slash).unwrap_or(path);
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split(is_slash).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match dots(part) {
            0 => segments.push(part),
            dots => {
                if dots == 2 {
                    segments.pop();
                }
                if is_last {
                    segments.push("");
                }
            }
        }
    }
    let mut normal = String::with_capacity(path.len() + 1);
    for segment in segments {
        normal.push('/');
        segment
            .chars()
            .for_each(|c| push_encoded(&mut normal, c, "\"#<>?^`{}"));
    }
    normal
}

/// 1 or 2 for a dot segment of that many dots, encoded or not; else 0.
fn dots(segment: &str) -> usize {
    let mut rest = segment;
    let mut dots = 0;
    while !rest.is_empty() {
        let encoded = rest
            .get(..3)
            .filter(|head| head.eq_ignore_ascii_case("%2e"));
        match rest
            .strip_prefix('.')
            .or_else(|| encoded.and_then(|_dot| rest.get(3..)))
        {
            Some(behind) => rest = behind,
            None => return 0,
        }
        dots += 1;
    }
    if dots <= 2 { dots } else { 0 }
}

fn push_encoded(out: &mut String, c: char, reserved: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if c.is_ascii_graphic() && !reserved.contains(c) {
        out.push(c);
        return;
    }
    let mut utf8 = [0; 4];
    for byte in c.encode_utf8(&mut utf8).bytes() {
        out.push('%');
        for digit in [byte >> 4, byte & 15] {
            out.push(
                HEX.get(usize::from(digit))
                    .map_or('0', |hex| char::from(*hex)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_against_the_requests_url() {
        let base = "http://h.example:8080/a/n2?x=1";
        let cases = [
            ("n3?y=2", "http://h.example:8080/a/n3?y=2"),
            ("../n1", "http://h.example:8080/n1"),
            ("../../../n1", "http://h.example:8080/n1"),
            ("/x/./y/%2E%2e/z", "http://h.example:8080/x/z"),
            ("?z", "http://h.example:8080/a/n2?z"),
            ("#f", "http://h.example:8080/a/n2?x=1"),
            ("", "http://h.example:8080/a/n2?x=1"),
            (".", "http://h.example:8080/a/"),
            ("..", "http://h.example:8080/"),
            ("//o.example/y", "http://o.example/y"),
            ("\\\\o.example\\y", "http://o.example/y"),
            ("http:n4", "http://h.example:8080/a/n4"),
            ("HTTPS://O.example:443/q#f", "https://o.example/q"),
            ("http://o.example", "http://o.example/"),
            (
                "http://u:p@o.example:81?q=a b",
                "http://o.example:81/?q=a%20b",
            ),
            ("http://[::1]:80/é", "http://[::1]/%C3%A9"),
            ("http://127.0.0.1:7/", "http://127.0.0.1:7/"),
            ("a:b", "a:b"),
            ("./a:b", "http://h.example:8080/a/a:b"),
            ("...", "http://h.example:8080/a/..."),
        ];
        for (reference, wanted) in cases {
            assert_eq!(
                resolve(base, reference).as_deref(),
                Ok(wanted),
                "{reference:?}"
            );
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let base = "http://h/";
        for reference in [
            "http://[bad",
            "http://[bad]/",
            "http://[::1]x/",
            "http://",
            "http://a b/",
            "http://a:x/",
            "http://a:65536/",
            "http://1.2.3.256/",
            "https://:80/",
            "//",
            "http://é/",
            "http://a%00/",
        ] {
            assert_eq!(resolve(base, reference), Err(LinkError), "{reference:?}");
        }
        assert_eq!(resolve("nonsense", "/x"), Err(LinkError));
        assert_eq!(
            resolve("nonsense", "http://x/y").as_deref(),
            Ok("http://x/y")
        );
    }

    #[test]
    fn a_url_tells_where_to_connect_and_what_to_ask_for() {
        let url = Url::parse("https://Host:8443/a/../b?c#d").unwrap();
        assert_eq!((url.host.as_str(), url.effective_port()), ("host", 8443));
        assert_eq!((url.target().as_str(), url.is_secure), ("/b?c", true));
        assert_eq!(Url::parse("ftp://x/"), Err(LinkError));
    }

    #[test]
    fn resolving_twice_changes_nothing() {
        for reference in ["/a b/<>?\"'", "x/../y//z/", "?%zz", "/%2e/..%2f"] {
            let once = resolve("http://h/p/q", reference).unwrap();
            assert_eq!(
                resolve("http://other/", &once).unwrap(),
                once,
                "{reference:?}"
            );
        }
    }
}
