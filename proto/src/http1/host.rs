//! The authority of a request: `Host` field or URI (RFC 9110 section 7.2, RFC 3986 section 3.2).

use std::net::Ipv6Addr;

/// The `host[:port]` or `[v6][:port]` that `value` is, or `None` if it is no such thing.
///
/// Stricter than the grammar: of a name's characters only letters, digits and `-._~` are taken,
/// no percent-encoding and no user part, since none of them occurs in a name that resolves and
/// each of them has been used to make two programs see two hosts. An empty port is cut off.
pub(super) fn authority(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let (host, port) = split_port(text)?;
    let is_host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name_byte),
    };
    if !is_host {
        return None;
    }
    match port {
        None => Some(text),
        Some("") => Some(host),
        Some(port) => is_port(port).then_some(text),
    }
}

/// Cuts at the colon of the port, which is the first one behind a `]` if there is one.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let host_len = match text.find(']') {
        Some(bracket) => bracket + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at_checked(host_len)?;
    match rest {
        "" => Some((host, None)),
        _ => Some((host, Some(rest.strip_prefix(':')?))),
    }
}

const fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

fn is_port(port: &str) -> bool {
    // `parse` alone would take a sign.
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ports_are_taken() {
        for text in [
            "a",
            "example.com",
            "EXAMPLE.com:8080",
            "a_b-c~d.",
            "127.0.0.1:1",
            "[::1]",
            "[2001:db8::1]:443",
            "[::ffff:10.0.0.1]",
            "a:0",
            "a:65535",
        ] {
            assert_eq!(authority(text.as_bytes()), Some(text), "{text}");
        }
    }

    #[test]
    fn an_empty_port_is_cut_off() {
        assert_eq!(authority(b"example.com:"), Some("example.com"));
        assert_eq!(authority(b"[::1]:"), Some("[::1]"));
    }

    #[test]
    fn everything_else_is_no_authority() {
        for text in [
            "",
            ":80",
            "a b",
            "a,b",
            "a/b",
            "a@b",
            "u:p@a",
            "a?b",
            "a#b",
            "a\\b",
            "a%2eb",
            "a:b",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:1:2",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[a]",
            "[::1]a",
            "[::1%eth0]",
            "[v1.a]",
            "x[::1]",
            "[[::1]]",
            "ä",
            "a\0",
            "a\t",
            "<a>",
            "a\"",
            "'a'",
        ] {
            assert_eq!(authority(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(authority(b"\xff"), None);
    }
}
