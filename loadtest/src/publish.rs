//! Publish bodies as a backend's author would send them, and the chunks they become.

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
        // The message is plain ASCII but for its line end, which JSON wants escaped.
        out.pop();
        out.extend_from_slice(b"\\n\"}}}");
    }
    out.extend_from_slice(b"]}");
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
    fn a_chunk_has_its_size_in_front() {
        let mut out = Vec::new();
        chunk(&mut out, &[b'x'; 26]);
        assert_eq!(out, [b"1a\r\n".as_slice(), &[b'x'; 26], b"\r\n"].concat());
    }
}
