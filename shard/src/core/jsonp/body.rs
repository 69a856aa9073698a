//! The script around a response that is relayed while it arrives.
//!
//! Nothing is gathered but what a cut leaves open: the start of a character, or a line end that
//! may be the last. A piece becomes at most six times as long (`\u0000`), so what the caller has
//! to queue for one read is bounded by that.

use config::JsonpMode;
use proto::http1::encode;

use super::text::line_end_len;
use super::{CALL_END, JsonText, JsonpContext, write_headers};
use crate::core::exchange::ReplyFraming;

/// A script under way.
#[derive(Debug)]
pub(in crate::core) struct JsonpBody {
    /// How the script is framed: chunked or to the end of the connection.
    framing: ReplyFraming,
    argument: Argument,
}

/// The part of the script that the content becomes.
#[derive(Debug)]
enum Argument {
    /// A string within an object.
    Extended(JsonText),
    /// The content itself; a line end at the end of what has come is kept back.
    Basic { kept_back: Vec<u8> },
}

impl JsonpBody {
    /// Appends the start of the script: all that is known before the content comes. `status` is
    /// the response's own code and reason, `lines` are its field lines.
    pub(in crate::core) fn begin(
        context: &JsonpContext,
        framing: ReplyFraming,
        status: (u16, &[u8]),
        lines: &[u8],
        out: &mut Vec<u8>,
    ) -> Self {
        let mut start = Vec::new();
        context.write_call(&mut start);
        let argument = match context.mode {
            JsonpMode::Extended => {
                write_object_start(status, lines, &mut start);
                Argument::Extended(JsonText::default())
            }
            JsonpMode::Basic => Argument::Basic {
                kept_back: Vec::new(),
            },
        };
        let body = Self { framing, argument };
        body.put(&start, out);
        body
    }

    /// Appends what the next piece of content becomes.
    pub(in crate::core) fn piece(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let mut piece = Vec::with_capacity(content.len());
        match &mut self.argument {
            Argument::Extended(text) => text.piece(content, &mut piece),
            Argument::Basic { kept_back } => {
                piece.append(kept_back);
                piece.extend_from_slice(content);
                // A CR may be the first half of the line end.
                let kept_len = match piece.last() {
                    Some(b'\r') => 1,
                    _ => line_end_len(&piece),
                };
                *kept_back = piece.split_off(piece.len() - kept_len);
            }
        }
        self.put(&piece, out);
    }

    /// Appends the end of the script and of its framing.
    pub(in crate::core) fn end(mut self, out: &mut Vec<u8>) {
        let mut end = Vec::new();
        match &mut self.argument {
            Argument::Extended(text) => {
                text.end(&mut end);
                end.extend_from_slice(b"\"}");
            }
            Argument::Basic { kept_back } if kept_back == b"\r" => end.append(kept_back),
            Argument::Basic { .. } => {}
        }
        end.extend_from_slice(CALL_END);
        self.put(&end, out);
        if self.framing == ReplyFraming::Chunked {
            out.extend_from_slice(encode::LAST_CHUNK);
        }
    }

    fn put(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.framing {
            ReplyFraming::Chunked => encode::chunk(out, bytes),
            ReplyFraming::None | ReplyFraming::Length | ReplyFraming::UntilClose => {
                out.extend_from_slice(bytes);
            }
        }
    }
}

/// In another order than that of whole answers, because the content comes last.
fn write_object_start((code, reason): (u16, &[u8]), lines: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"code": "#);
    encode::decimal(out, u64::from(code));
    out.extend_from_slice(br#", "reason": "#);
    super::text::write_string(out, reason);
    out.extend_from_slice(br#", "headers": "#);
    write_headers(out, lines);
    out.extend_from_slice(br#", "body": ""#);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(mode: JsonpMode) -> JsonpContext {
        JsonpContext {
            callback: "f".into(),
            mode,
        }
    }

    fn script(mode: JsonpMode, framing: ReplyFraming, pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let status = (404, &b"No\"pe"[..]);
        let lines = b"X-A: 1\r\nx-a: 2\r\nB: 3\r\n";
        let mut body = JsonpBody::begin(&context(mode), framing, status, lines, &mut out);
        for piece in pieces {
            body.piece(piece, &mut out);
        }
        body.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_extended_script_ends_with_the_content() {
        assert_eq!(
            script(
                JsonpMode::Extended,
                ReplyFraming::UntilClose,
                &[b"a\"", b"b\n"]
            ),
            "/**/f({\"code\": 404, \"reason\": \"No\\\"pe\", \
             \"headers\": {\"B\":\"3\",\"X-A\":\"1, 2\"}, \"body\": \"a\\\"b\\n\"});\n"
        );
    }

    #[test]
    fn a_chunked_script_has_a_chunk_for_each_piece_and_an_end() {
        assert_eq!(
            script(JsonpMode::Basic, ReplyFraming::Chunked, &[b"ab", b"\n"]),
            "6\r\n/**/f(\r\n2\r\nab\r\n3\r\n);\n\r\n0\r\n\r\n"
        );
    }

    #[test]
    fn cuts_anywhere_change_nothing() {
        for content in ["{\"a\": 1}\r\n", "x\n\n", "x\r", "x\r\r\n", "\n", ""] {
            let whole = [content.as_bytes()];
            let expected = script(JsonpMode::Basic, ReplyFraming::UntilClose, &whole);
            let bytes = content.as_bytes();
            for cut in 0..=bytes.len() {
                let pieces = [&bytes[..cut], &bytes[cut..]];
                let got = script(JsonpMode::Basic, ReplyFraming::UntilClose, &pieces);
                assert_eq!(got, expected, "{content:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_script_under_way_is_what_the_whole_one_would_be() {
        for content in ["", "x", "x\n", "x\r\n", "x\n\n", "x\r"] {
            let answer = crate::core::exchange::Answer {
                content: content.as_bytes().to_vec(),
                ..Default::default()
            };
            let whole = super::super::wrap(&context(JsonpMode::Basic), &answer);
            let pieces = [content.as_bytes()];
            let got = script(JsonpMode::Basic, ReplyFraming::UntilClose, &pieces);
            assert_eq!(got.as_bytes(), whole.content, "{content:?}");
        }
    }
}
