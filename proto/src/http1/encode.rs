//! Writing messages (RFC 9112). Everything appends to a buffer and cannot fail.
//!
//! What would break a message in two never reaches the wire: CR, LF and NUL in values become
//! blanks (RFC 9110 section 5.5), and a field whose name is no token is left out.

use crate::http::{Field, Version, fields};

/// The last chunk and an empty trailer section.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The line end, also the empty line behind the fields.
pub const CRLF: &[u8] = b"\r\n";

/// Appends a request line. `target` is in origin form.
pub fn request_line(out: &mut Vec<u8>, method: &str, target: &str, version: Version) {
    text(out, method.as_bytes());
    out.push(b' ');
    text(out, target.as_bytes());
    out.push(b' ');
    out.extend_from_slice(version.as_str().as_bytes());
    out.extend_from_slice(CRLF);
}

/// Appends a status line. The blank before the reason is there even if that is empty.
pub fn status_line(out: &mut Vec<u8>, version: Version, code: u16, reason: &[u8]) {
    out.extend_from_slice(version.as_str().as_bytes());
    out.push(b' ');
    // Three digits, whatever comes.
    let code = code.min(999);
    for digit in [code / 100, code / 10 % 10, code % 10] {
        out.push(ascii_digit(u64::from(digit)));
    }
    out.push(b' ');
    text(out, reason);
    out.extend_from_slice(CRLF);
}

/// Appends a field as [`parse_request`](super::parse_request) or
/// [`parse_response`](super::parse_response) has found it: it was checked there, and checking it
/// again was a fifth of what passing a small request on costs.
pub fn parsed_field(out: &mut Vec<u8>, field: &Field<'_>) {
    debug_assert!(
        fields::is_token(field.name.as_bytes()),
        "not as parsed: {:?}",
        field.name
    );
    debug_assert!(
        fields::is_field_value(field.value),
        "not as parsed: {:?}",
        field.value
    );
    out.reserve(field.name.len() + field.value.len() + 4);
    out.extend_from_slice(field.name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(field.value);
    out.extend_from_slice(CRLF);
}

/// Appends a field line. A name that is no token is left out, and what would end a line early
/// becomes a blank.
pub fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !fields::is_token(name.as_bytes()) {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    text(out, value);
    out.extend_from_slice(CRLF);
}

/// Appends `Content-Length`.
pub fn content_length(out: &mut Vec<u8>, len: u64) {
    out.extend_from_slice(b"Content-Length: ");
    decimal(out, len);
    out.extend_from_slice(CRLF);
}

/// Appends `Transfer-Encoding: chunked`.
pub fn transfer_encoding_chunked(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
}

/// Appends the empty line that ends a head.
pub fn end_of_head(out: &mut Vec<u8>) {
    out.extend_from_slice(CRLF);
}

/// Appends a chunk-size line for a chunk of `len` bytes; the data and [`CRLF`] are to follow.
///
/// A `len` of 0 would end the message: use [`LAST_CHUNK`] for that.
pub fn chunk_head(out: &mut Vec<u8>, len: u64) {
    debug_assert!(len > 0, "an empty chunk ends the message");
    hexadecimal(out, len);
    out.extend_from_slice(CRLF);
}

/// Appends `content` as one chunk. Nothing is appended when it is empty.
pub fn chunk(out: &mut Vec<u8>, content: &[u8]) {
    if content.is_empty() {
        return;
    }
    out.reserve(content.len() + HEX_DIGITS_MAX + 2 * CRLF.len());
    chunk_head(out, content.len() as u64);
    out.extend_from_slice(content);
    out.extend_from_slice(CRLF);
}

/// Appends a number in decimal digits.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    let mut rest = number;
    loop {
        out.push(ascii_digit(rest % 10));
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    reverse_from(out, start);
}

/// Hexadecimal digits of a 64-bit number, at most.
const HEX_DIGITS_MAX: usize = 16;

fn hexadecimal(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    let mut rest = number;
    loop {
        out.push(ascii_digit(rest % 16));
        rest /= 16;
        if rest == 0 {
            break;
        }
    }
    reverse_from(out, start);
}

fn reverse_from(out: &mut [u8], start: usize) {
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

const fn ascii_digit(digit: u64) -> u8 {
    match digit {
        0..=9 => b'0' + digit.to_le_bytes()[0],
        _ => b'a' - 10 + digit.to_le_bytes()[0],
    }
}

/// Appends `value` with every byte that could end a line replaced by a blank.
fn text(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    out.extend_from_slice(value);
    if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
        return;
    }
    for b in out.get_mut(start..).unwrap_or_default() {
        if matches!(b, b'\r' | b'\n' | 0) {
            *b = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"|".to_vec();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn start_lines_are_written_as_the_rfc_has_them() {
        assert_eq!(
            written(|out| request_line(out, "GET", "/a?b", Version::Http11)),
            "|GET /a?b HTTP/1.1\r\n"
        );
        assert_eq!(
            written(|out| status_line(out, Version::Http10, 404, b"Not Found")),
            "|HTTP/1.0 404 Not Found\r\n"
        );
        assert_eq!(
            written(|out| status_line(out, Version::Http11, 7, b"")),
            "|HTTP/1.1 007 \r\n"
        );
        assert_eq!(
            written(|out| status_line(out, Version::Http11, 1000, b"")),
            "|HTTP/1.1 999 \r\n"
        );
    }

    #[test]
    fn fields_are_written_one_a_line() {
        assert_eq!(written(|out| field(out, "X-A", b"1, 2")), "|X-A: 1, 2\r\n");
        assert_eq!(written(|out| field(out, "X-A", b"")), "|X-A: \r\n");
        assert_eq!(
            written(|out| content_length(out, 0)),
            "|Content-Length: 0\r\n"
        );
        assert_eq!(
            written(|out| content_length(out, u64::MAX)),
            "|Content-Length: 18446744073709551615\r\n"
        );
        assert_eq!(
            written(transfer_encoding_chunked),
            "|Transfer-Encoding: chunked\r\n"
        );
        assert_eq!(written(end_of_head), "|\r\n");
    }

    #[test]
    fn nothing_can_split_a_message() {
        assert_eq!(
            written(|out| field(out, "X", b"a\r\nY: b\0")),
            "|X: a  Y: b \r\n"
        );
        assert_eq!(
            written(|out| status_line(out, Version::Http11, 200, b"OK\r\nX: y")),
            "|HTTP/1.1 200 OK  X: y\r\n"
        );
        for name in ["", "X: y\r\nZ", "a b", "a:"] {
            assert_eq!(written(|out| field(out, name, b"v")), "|", "{name:?}");
        }
    }

    #[test]
    fn chunks_carry_their_size_in_hexadecimal() {
        assert_eq!(written(|out| chunk_head(out, 1)), "|1\r\n");
        assert_eq!(written(|out| chunk_head(out, 0x1f0a)), "|1f0a\r\n");
        assert_eq!(
            written(|out| chunk_head(out, u64::MAX)),
            "|ffffffffffffffff\r\n"
        );
        assert_eq!(
            written(|out| chunk(out, b"hello world")),
            "|b\r\nhello world\r\n"
        );
        assert_eq!(written(|out| chunk(out, b"")), "|");
    }
}
