//! Publish bodies as a backend's author would send them, and the chunks they become.

use crate::args::Filter;
use crate::message::{self, Stamp};

/// Which kind of hold a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `http-stream`, the message as content.
    Stream,
    /// `http-response`, the message as body.
    Response,
}

/// Writes `{"items": […]}` with one item per stamp, all to `channel`, each of `size` bytes.
pub(crate) fn body(
    out: &mut Vec<u8>,
    channel: &str,
    format: Format,
    stamps: impl IntoIterator<Item = Stamp>,
    size: usize,
) {
    items(
        out,
        stamps.into_iter().map(|stamp| (channel, stamp)),
        format,
        size,
    );
}

/// The same with one item per channel, all with the same stamp.
pub(crate) fn body_of_channels(
    out: &mut Vec<u8>,
    channels: impl IntoIterator<Item = String>,
    format: Format,
    stamp: Stamp,
    size: usize,
) {
    items(
        out,
        channels.into_iter().map(|channel| (channel, stamp)),
        format,
        size,
    );
}

fn items(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = (impl AsRef<str>, Stamp)>,
    format: Format,
    size: usize,
) {
    let (name, key) = match format {
        Format::Stream => ("http-stream", "content"),
        Format::Response => ("http-response", "body"),
    };
    out.extend_from_slice(b"{\"items\":[");
    for (index, (channel, stamp)) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let channel = channel.as_ref();
        let front = format!("{{\"channel\":\"{channel}\",\"formats\":{{\"{name}\":{{\"{key}\":\"");
        out.extend_from_slice(front.as_bytes());
        message::write(out, stamp, size);
        end_of_item(out);
    }
    out.extend_from_slice(b"]}");
}

/// Writes a publish body for clients with a filter on `channel`: `sender` is what the items say of
/// their origin, and with `var-subst` the receiver's name is to come into each.
pub(crate) fn filtered_body(
    out: &mut Vec<u8>,
    channel: &str,
    filter: Filter,
    sender: &str,
    stamps: impl IntoIterator<Item = Stamp>,
    size: usize,
) {
    out.extend_from_slice(b"{\"items\":[");
    for (index, stamp) in stamps.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let front = format!(
            "{{\"channel\":\"{channel}\",\"meta\":{{\"sender\":\"{sender}\"}},\
             \"formats\":{{\"http-stream\":{{\"content\":\""
        );
        out.extend_from_slice(front.as_bytes());
        match filter {
            Filter::VarSubst => message::write_with(out, stamp, size, "%(user)s"),
            Filter::SkipSelf | Filter::None => message::write(out, stamp, size),
        }
        end_of_item(out);
    }
    out.extend_from_slice(b"]}");
}

/// Writes a publish body with one long-poll message, whose id is its number and whose `prev-id` is
/// the number before.
pub(crate) fn chained_body(out: &mut Vec<u8>, channel: &str, stamp: Stamp, size: usize) {
    let (id, prev_id) = (stamp.seq, stamp.seq.saturating_sub(1));
    let front = format!(
        "{{\"items\":[{{\"channel\":\"{channel}\",\"id\":\"{id}\",\"prev-id\":\"{prev_id}\",\
         \"formats\":{{\"http-response\":{{\"body\":\""
    );
    out.extend_from_slice(front.as_bytes());
    message::write(out, stamp, size);
    end_of_item(out);
    out.extend_from_slice(b"]}");
}

/// Writes a publish body with a hint to all long-polls of a channel.
pub(crate) fn hint_body(out: &mut Vec<u8>, channel: &str) {
    let text = format!(
        "{{\"items\":[{{\"channel\":\"{channel}\",\
         \"formats\":{{\"http-response\":{{\"action\":\"hint\"}}}}}}]}}"
    );
    out.extend_from_slice(text.as_bytes());
}

/// Ends a message within JSON, and the item around it.
fn end_of_item(out: &mut Vec<u8>) {
    // The message is plain ASCII but for its line end, which JSON wants escaped.
    out.pop();
    out.extend_from_slice(b"\\n\"}}}");
}

/// Appends content as one HTTP/1.1 chunk.
pub(crate) fn chunk(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", content.len()).as_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_and_carries_each_message() {
        for (format, name, key) in [
            (Format::Stream, "http-stream", "content"),
            (Format::Response, "http-response", "body"),
        ] {
            let stamps = (0..3).map(|seq| Stamp { seq, sent_ns: 7 });
            let mut out = Vec::new();
            body(&mut out, "ch", format, stamps, 100);
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let items = value["items"].as_array().unwrap();
            assert_eq!(items.len(), 3);
            for (seq, item) in (0..3).zip(items) {
                assert_eq!(item["channel"], "ch");
                let content = item["formats"][name][key].as_str().unwrap();
                assert_eq!(content.len(), 100);
                let line = content.trim_end().as_bytes();
                assert_eq!(message::parse(line), Some(Stamp { seq, sent_ns: 7 }));
            }
        }
    }

    #[test]
    fn an_item_for_a_filter_names_its_sender_and_the_variable() {
        for (filter, len, name) in [
            (Filter::VarSubst, 99, "%(user)s"),
            (Filter::SkipSelf, 100, "xxxxxxxx"),
        ] {
            let stamps = (3..5).map(|seq| Stamp { seq, sent_ns: 7 });
            let mut out = Vec::new();
            filtered_body(&mut out, "ch", filter, "nobody", stamps, 100);
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value["items"].as_array().unwrap().len(), 2);
            let item = &value["items"][1];
            assert_eq!(item["meta"]["sender"], "nobody");
            let content = item["formats"]["http-stream"]["content"].as_str().unwrap();
            assert_eq!(content.len(), len);
            assert_eq!(content.get(26..34), Some(name));
        }
    }

    #[test]
    fn a_chained_item_names_itself_and_the_one_before() {
        let mut out = Vec::new();
        let stamp = Stamp {
            seq: 12,
            sent_ns: 7,
        };
        chained_body(&mut out, "ch", stamp, 64);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let item = &value["items"][0];
        assert_eq!(
            (&item["id"], &item["prev-id"]),
            (&"12".into(), &"11".into())
        );
        let body = item["formats"]["http-response"]["body"].as_str().unwrap();
        assert_eq!(message::parse(body.trim_end().as_bytes()), Some(stamp));
    }

    #[test]
    fn a_hint_has_an_action_and_no_content() {
        let mut out = Vec::new();
        hint_body(&mut out, "ch");
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let item = &value["items"][0];
        assert_eq!(item["channel"], "ch");
        assert_eq!(item["formats"]["http-response"]["action"], "hint");
    }

    #[test]
    fn a_chunk_has_its_size_in_front() {
        let mut out = Vec::new();
        chunk(&mut out, &[b'x'; 26]);
        assert_eq!(out, [b"1a\r\n".as_slice(), &[b'x'; 26], b"\r\n"].concat());
    }
}
