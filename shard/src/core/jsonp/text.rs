//! JSON strings out of bytes that come in pieces (RFC 8259 section 7).

/// What stands for bytes that are no UTF-8, as Pushpin has it.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The inside of a JSON string, written while its text arrives.
#[derive(Debug, Default)]
pub(super) struct JsonText {
    /// The start of a character whose end has not come: up to three bytes.
    cut_off: Vec<u8>,
}

impl JsonText {
    /// Appends the next piece of the text.
    pub(super) fn piece(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let joined;
        let bytes = if self.cut_off.is_empty() {
            bytes
        } else {
            self.cut_off.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.cut_off);
            joined.as_slice()
        };
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            write_escaped(out, chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_cut_off(invalid) {
                self.cut_off = invalid.to_vec();
            } else if !invalid.is_empty() {
                out.extend_from_slice(REPLACEMENT);
            }
        }
    }

    /// Appends what is left when nothing follows.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if !self.cut_off.is_empty() {
            self.cut_off.clear();
            out.extend_from_slice(REPLACEMENT);
        }
    }
}

/// Appends a whole string with its quotes.
pub(super) fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut text = JsonText::default();
    text.piece(bytes, out);
    text.end(out);
    out.push(b'"');
}

/// The length of the line end that `bytes` end with: CRLF, LF, or none.
pub(super) fn line_end_len(bytes: &[u8]) -> usize {
    match bytes {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    }
}

/// Whether these bytes are the start of a character, rather than no UTF-8 at all.
fn is_cut_off(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Appends `text` as it stands in a JSON string that is part of a script.
fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        if let Some(special) = chars.next() {
            write_escape(out, special);
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The line separators end a string literal in scripts before ECMAScript 2019.
fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}')
}

fn write_escape(out: &mut Vec<u8>, c: char) {
    let short = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        _ => {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            return;
        }
    };
    out.extend_from_slice(short.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write_string(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_comes_back_from_a_json_reader() {
        let text: String = (0..=0x2100).filter_map(char::from_u32).collect();
        let text = format!("{text}\u{1f600}</script>");
        let read: String = serde_json::from_str(&written(text.as_bytes())).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn what_would_end_a_literal_is_escaped() {
        assert_eq!(
            written("a\"\\\n\u{1}\u{2028}\u{2029}é/".as_bytes()),
            "\"a\\\"\\\\\\n\\u0001\\u2028\\u2029é/\""
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(written(b"a\xffb\xc3"), "\"a\u{fffd}b\u{fffd}\"");
        assert_eq!(written(b"\xe2\x82a"), "\"\u{fffd}a\"");
    }

    #[test]
    fn cuts_anywhere_change_nothing() {
        let bytes = "aé\u{20ac}\u{1f600}\"\u{2028}z".as_bytes();
        let bytes = [bytes, b"\xf0\x9f\x98q\xff\xe2\x82"].concat();
        let whole = written(&bytes);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let (mut text, mut out) = (JsonText::default(), b"\"".to_vec());
                text.piece(&bytes[..first], &mut out);
                text.piece(&bytes[first..second], &mut out);
                text.piece(&bytes[second..], &mut out);
                text.end(&mut out);
                out.push(b'"');
                assert_eq!(out, whole.as_bytes(), "cut at {first} and {second}");
            }
        }
    }
}
