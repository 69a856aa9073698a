//! The request target in its forms (RFC 9112 section 3.2).

use super::RequestError;
use super::host;
use crate::http::method;

/// A request target, reduced to what is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'b> {
    /// Origin form (path and query), or `*`.
    pub(super) path: &'b str,
    /// The authority of an absolute form, which overrules `Host` (section 3.2.2).
    pub(super) host: Option<&'b str>,
}

/// Reads the target of a request that is not `CONNECT`.
pub(super) fn parse<'b>(method: &str, target: &'b str) -> Result<Target<'b>, RequestError> {
    // A fragment is never sent (RFC 9110 section 4.2.5): some would cut it off, some would not.
    let is_clean = target.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if !is_clean {
        return Err(RequestError::InvalidTarget);
    }
    match target {
        _ if target.starts_with('/') => Ok(Target {
            path: target,
            host: None,
        }),
        "*" if method == method::OPTIONS => Ok(Target {
            path: "*",
            host: None,
        }),
        _ => absolute(method, target),
    }
}

fn absolute<'b>(method: &str, target: &'b str) -> Result<Target<'b>, RequestError> {
    let (scheme, rest) = target
        .split_once("://")
        .ok_or(RequestError::InvalidTarget)?;
    let is_known = ["http", "https", "ws", "wss"]
        .iter()
        .any(|s| s.eq_ignore_ascii_case(scheme));
    if !is_known {
        return Err(RequestError::InvalidTarget);
    }
    let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest
        .split_at_checked(authority_len)
        .ok_or(RequestError::InvalidTarget)?;
    let host = host::authority(authority.as_bytes()).ok_or(RequestError::InvalidHost)?;
    let path = match path {
        // RFC 9112 section 3.2.4.
        "" if method == method::OPTIONS => "*",
        "" => "/",
        _ if path.starts_with('/') => path,
        // `http://host?query`: there is no origin form of it without writing a byte.
        _ => return Err(RequestError::InvalidTarget),
    };
    Ok(Target {
        path,
        host: Some(host),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(method: &str, target: &str) -> Option<(String, Option<String>)> {
        parse(method, target)
            .ok()
            .map(|t| (t.path.to_owned(), t.host.map(str::to_owned)))
    }

    #[test]
    fn origin_form_passes_unchanged() {
        for target in [
            "/",
            "/a//b?c=/../d",
            "/%zz",
            "//host/a",
            "/a|b\"<>\\^`{}",
            "/?",
        ] {
            assert_eq!(
                path("GET", target),
                Some((target.to_owned(), None)),
                "{target}"
            );
        }
    }

    #[test]
    fn absolute_form_is_cut_into_host_and_path() {
        for (target, host, expected) in [
            ("http://a/b?c", "a", "/b?c"),
            ("HTTPS://a:1/b", "a:1", "/b"),
            ("http://[::1]:80/", "[::1]:80", "/"),
            ("http://a", "a", "/"),
            ("ws://a/http://b/", "a", "/http://b/"),
        ] {
            let got = path("GET", target);
            assert_eq!(
                got,
                Some((expected.to_owned(), Some(host.to_owned()))),
                "{target}"
            );
        }
    }

    #[test]
    fn the_asterisk_is_for_options() {
        assert_eq!(path("OPTIONS", "*"), Some(("*".to_owned(), None)));
        assert_eq!(
            path("OPTIONS", "http://a"),
            Some(("*".to_owned(), Some("a".to_owned())))
        );
        assert_eq!(path("GET", "*"), None);
    }

    #[test]
    fn other_targets_are_refused() {
        for target in [
            "",
            "a",
            "a:80",
            "ftp://a/",
            "://a/",
            "http:/a",
            "http://",
            "http:///a",
            "http://?a",
            "http://a?b",
            "http://u@a/",
            "http://a b/",
            "http://a#/",
            "/a#b",
            "/a\u{e9}",
            "/\0",
            "/a\x7f",
            "/a\tb",
            "**",
            "?a",
        ] {
            assert_eq!(path("GET", target), None, "{target:?}");
        }
    }
}
