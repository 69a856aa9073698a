//! Field names, values and lists (RFC 9110 section 5).
//!
//! Names and tokens compare without regard to ASCII case.

use super::Field;

/// The value of the first field called `name`.
#[must_use]
pub fn field_value<'b>(fields: &[Field<'b>], name: &str) -> Option<&'b [u8]> {
    field_values(fields, name).next()
}

/// The values of all fields called `name`, in the order of the message.
pub fn field_values<'f, 'b>(
    fields: &'f [Field<'b>],
    name: &'f str,
) -> impl Iterator<Item = &'b [u8]> + use<'f, 'b> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|f| f.value)
}

/// Whether any member of the list fields called `name` is `token`.
///
/// Several fields of one name are one list (RFC 9110 section 5.3).
#[must_use]
pub fn has_token(fields: &[Field<'_>], name: &str, token: &str) -> bool {
    field_values(fields, name).any(|value| list_has_token(value, token))
}

/// Whether any member of one list value is `token`.
#[must_use]
pub fn list_has_token(value: &[u8], token: &str) -> bool {
    list_members(value).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

/// The members of a list value: cut at commas outside double quotes, trimmed, empty ones skipped.
///
/// RFC 9110 section 5.6.1. Inside quotes a backslash takes the next byte along; a quote that is
/// never closed makes the rest one member.
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    Members { rest: Some(value) }
        .map(trim_ows)
        .filter(|member| !member.is_empty())
}

/// `value` without the optional whitespace (SP, HTAB) at both ends.
#[must_use]
pub fn trim_ows(value: &[u8]) -> &[u8] {
    let is_ows = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !is_ows(b)).unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|b| !is_ows(b))
        .map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// Whether `bytes` is a token (RFC 9110 section 5.6.2): what a method or field name must be.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_token_byte(b))
}

/// Whether `bytes` may stand in a field value (RFC 9110 section 5.5): no control byte but HTAB.
#[must_use]
pub fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| is_field_value_byte(b))
}

/// Whether a field concerns one connection only, so that a proxy must not pass it on.
///
/// RFC 9110 section 7.6.1. `Proxy-*` is treated alike as a whole. Fields named in `Connection` are
/// the caller's to drop, see [`has_token`].
#[must_use]
pub fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    const PROXY: &str = "proxy-";
    name.get(..PROXY.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PROXY))
        || NAMES.iter().any(|hop| hop.eq_ignore_ascii_case(name))
}

pub(crate) const fn is_token_byte(b: u8) -> bool {
    matches!(b,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\''
        | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

pub(crate) const fn is_field_value_byte(b: u8) -> bool {
    matches!(b, b'\t' | b' '..=b'~' | 0x80..)
}

/// Pieces of a list value as they stand, blanks and empty ones included.
struct Members<'b> {
    rest: Option<&'b [u8]>,
}

impl<'b> Iterator for Members<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let rest = self.rest.take()?;
        let Some(comma) = unquoted_comma(rest) else {
            return Some(rest);
        };
        self.rest = rest.get(comma + 1..);
        rest.get(..comma)
    }
}

fn unquoted_comma(value: &[u8]) -> Option<usize> {
    // Nearly every list is free of quotes, and then the first comma it is.
    let first = memchr::memchr2(b',', b'"', value)?;
    if value.get(first) == Some(&b',') {
        return Some(first);
    }
    let (mut quoted, mut escaped) = (false, false);
    value.iter().position(|&b| {
        let is_end = b == b',' && !quoted;
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        is_end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(value: &str) -> Vec<String> {
        list_members(value.as_bytes())
            .map(|member| String::from_utf8(member.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn lists_are_cut_at_commas_and_trimmed() {
        assert_eq!(members("a, b\t,c"), ["a", "b", "c"]);
        assert_eq!(members(" ,a,, ,b,"), ["a", "b"]);
        assert_eq!(members(""), [""; 0]);
    }

    #[test]
    fn commas_in_quotes_do_not_cut() {
        assert_eq!(members(r#"a="1,2", b"#), [r#"a="1,2""#, "b"]);
        assert_eq!(members(r#""x\",y", z"#), [r#""x\",y""#, "z"]);
        assert_eq!(members(r#"a, "b, c"#), ["a", r#""b, c"#]);
        // Outside quotes a backslash is an ordinary byte.
        assert_eq!(members(r#"a\"b,c", d"#), [r#"a\"b,c""#, "d"]);
    }

    #[test]
    fn fields_are_found_in_any_case_and_first_wins() {
        let fields = [
            Field {
                name: "X-A",
                value: b"1",
            },
            Field {
                name: "connection",
                value: b"foo, Upgrade",
            },
            Field {
                name: "x-a",
                value: b"2",
            },
            Field {
                name: "Connection",
                value: b"close",
            },
        ];
        assert_eq!(field_value(&fields, "x-A"), Some(&b"1"[..]));
        assert_eq!(
            field_values(&fields, "x-a").collect::<Vec<_>>(),
            [b"1", b"2"]
        );
        assert_eq!(field_value(&fields, "x"), None);
        for token in ["upgrade", "FOO", "Close"] {
            assert!(has_token(&fields, "CONNECTION", token), "{token}");
        }
        assert!(!has_token(&fields, "connection", "up"));
    }

    #[test]
    fn hop_by_hop_fields_are_known_in_any_case() {
        for name in [
            "Connection",
            "KEEP-ALIVE",
            "Proxy-Connection",
            "proxy-authorization",
            "TE",
            "Trailer",
            "transfer-encoding",
            "Upgrade",
        ] {
            assert!(is_hop_by_hop(name), "{name}");
        }
        for name in [
            "Host",
            "Content-Length",
            "Prox",
            "Proxy",
            "T",
            "",
            "ü-proxy",
        ] {
            assert!(!is_hop_by_hop(name), "{name}");
        }
    }

    #[test]
    fn tokens_and_values_have_their_alphabets() {
        assert!(is_token(b"X-a_1!#$%&'*+.^`|~"));
        for bad in [
            "", "a b", "a:", "\"", "a/b", "\u{e4}", "a\r", "(", "@", "\x7f",
        ] {
            assert!(!is_token(bad.as_bytes()), "{bad:?}");
        }
        assert!(is_field_value(b"\ta b~\x80\xff"));
        for bad in [0u8, 10, 13, 0x1f, 0x7f] {
            assert!(!is_field_value(&[b'a', bad]), "{bad}");
        }
    }

    #[test]
    fn trimming_takes_blanks_and_tabs_only() {
        assert_eq!(trim_ows(b" \ta b\t "), b"a b");
        assert_eq!(trim_ows(b" \t "), b"");
        assert_eq!(trim_ows(b"\x0ba"), b"\x0ba");
    }
}
