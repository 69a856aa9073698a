//! JSON-P: a GET whose query names a callback is answered with a script that calls it (proxy.md
//! section 11, grip-http.md section 19).
//!
//! The query says what is really asked for ([`read`]). A whole answer is wrapped by [`wrap`], one
//! that is relayed while it arrives by [`JsonpBody`]. Streams are not wrapped.

mod body;
mod query;
mod request;
mod text;

use std::collections::BTreeMap;

use config::JsonpMode;
use proto::http1::encode;

pub(super) use body::JsonpBody;
pub(super) use request::{JsonpRequest, read};

use super::cross_origin::fields_of;
use super::exchange::Answer;
use text::JsonText;

/// How one answer is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonpContext {
    /// The name to be called.
    callback: Box<str>,
    mode: JsonpMode,
}

/// Status code and reason of every script: a browser runs no other.
pub(super) const STATUS: (u16, &[u8]) = (200, b"OK");

impl JsonpContext {
    /// Appends the fields of the script whose content will be a relayed response with the field
    /// lines `lines`: of those only `Cache-Control` is about the script as well.
    pub(super) fn write_fields(&self, lines: &[u8], out: &mut Vec<u8>) {
        write_type(out);
        for (name, value) in fields_of(lines) {
            if name.eq_ignore_ascii_case("Cache-Control") {
                encode::field(out, name, value);
            }
        }
    }

    /// Appends what comes before the first argument. The comment keeps a callback from being the
    /// magic number of another file type.
    fn write_call(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"/**/");
        out.extend_from_slice(self.callback.as_bytes());
        out.push(b'(');
    }
}

/// What comes behind the argument.
const CALL_END: &[u8] = b");\n";

fn write_type(out: &mut Vec<u8>) {
    encode::field(out, "Content-Type", b"application/javascript");
}

/// Wraps a whole answer. Its fields stay, but for those that describe the content.
pub(super) fn wrap(context: &JsonpContext, answer: &Answer) -> Answer {
    let mut fields = Vec::with_capacity(answer.fields.len());
    for (name, value) in fields_of(&answer.fields) {
        let is_of_content = ["Content-Type", "Content-Encoding"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name));
        if !is_of_content {
            encode::field(&mut fields, name, value);
        }
    }
    write_type(&mut fields);
    let mut content = Vec::with_capacity(answer.content.len() + answer.content.len() / 8);
    context.write_call(&mut content);
    match context.mode {
        JsonpMode::Extended => {
            content.extend_from_slice(br#"{"body":"#);
            text::write_string(&mut content, &answer.content);
            content.extend_from_slice(br#","code":"#);
            encode::decimal(&mut content, u64::from(answer.status));
            content.extend_from_slice(br#","headers":"#);
            write_headers(&mut content, &answer.fields);
            content.extend_from_slice(br#","reason":"#);
            text::write_string(&mut content, &answer.reason);
            content.push(b'}');
        }
        JsonpMode::Basic => {
            let whole = &answer.content;
            let kept = whole.len() - text::line_end_len(whole);
            content.extend_from_slice(whole.get(..kept).unwrap_or_default());
        }
    }
    content.extend_from_slice(CALL_END);
    Answer {
        status: STATUS.0,
        reason: STATUS.1.to_vec(),
        fields,
        content,
    }
}

/// Appends fields as an object, sorted; those of one name are joined.
fn write_headers(out: &mut Vec<u8>, lines: &[u8]) {
    let mut fields: BTreeMap<String, (&str, Vec<u8>)> = BTreeMap::new();
    for (name, value) in fields_of(lines) {
        fields
            .entry(name.to_ascii_lowercase())
            .and_modify(|(_, joined)| {
                joined.extend_from_slice(b", ");
                joined.extend_from_slice(value);
            })
            .or_insert_with(|| (name, value.to_vec()));
    }
    out.push(b'{');
    for (number, (name, value)) in fields.into_values().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        text::write_string(out, name.as_bytes());
        out.push(b':');
        text::write_string(out, &value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(mode: JsonpMode) -> JsonpContext {
        JsonpContext {
            callback: "cb".into(),
            mode,
        }
    }

    fn answer(fields: &str, content: &[u8]) -> Answer {
        Answer {
            status: 404,
            reason: b"Nope".to_vec(),
            fields: fields.as_bytes().to_vec(),
            content: content.to_vec(),
        }
    }

    #[test]
    fn an_extended_answer_tells_all_in_one_object() {
        let fields = "Content-Type: text/plain\r\nX-B: 2\r\nVary: z\r\nvary: y\r\n";
        let wrapped = wrap(&context(JsonpMode::Extended), &answer(fields, b"hi\n"));
        assert_eq!((wrapped.status, &wrapped.reason[..]), (200, &b"OK"[..]));
        assert_eq!(
            String::from_utf8(wrapped.fields).unwrap(),
            "X-B: 2\r\nVary: z\r\nvary: y\r\nContent-Type: application/javascript\r\n"
        );
        assert_eq!(
            String::from_utf8(wrapped.content).unwrap(),
            "/**/cb({\"body\":\"hi\\n\",\"code\":404,\"headers\":{\"Content-Type\":\"text/plain\",\
             \"Vary\":\"z, y\",\"X-B\":\"2\"},\"reason\":\"Nope\"});\n"
        );
    }

    #[test]
    fn a_basic_answer_is_its_content_without_the_last_line_end() {
        for (content, expected) in [
            ("{}", "{}"),
            ("{}\n", "{}"),
            ("{}\r\n", "{}"),
            ("{}\n\n", "{}\n"),
            ("{}\r", "{}\r"),
            ("\n", ""),
            ("", ""),
        ] {
            let wrapped = wrap(&context(JsonpMode::Basic), &answer("", content.as_bytes()));
            let expected = format!("/**/cb({expected});\n");
            assert_eq!(wrapped.content, expected.as_bytes(), "{content:?}");
        }
    }

    #[test]
    fn a_coding_of_the_content_does_not_name_the_script() {
        let fields = "Content-Encoding: gzip\r\nX-A: 1\r\n";
        let wrapped = wrap(&context(JsonpMode::Extended), &answer(fields, b""));
        assert_eq!(
            wrapped.fields,
            b"X-A: 1\r\nContent-Type: application/javascript\r\n"
        );
    }

    #[test]
    fn of_a_relayed_response_only_caching_is_about_the_script() {
        let mut out = Vec::new();
        let lines = b"X-A: 1\r\nCache-Control: no-store\r\nContent-Type: a/b\r\n";
        context(JsonpMode::Extended).write_fields(lines, &mut out);
        assert_eq!(
            out,
            b"Content-Type: application/javascript\r\nCache-Control: no-store\r\n"
        );
    }
}
