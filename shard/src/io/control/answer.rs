//! Answers of the control server: what they say, and how they look on the wire.

use proto::http::{Version, reason_phrase};
use proto::http1::encode;

/// Media types that the server answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    /// Plain text.
    Text,
    /// JSON.
    Json,
    /// Prometheus' text format.
    Metrics,
}

impl ContentType {
    const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Text => b"text/plain",
            Self::Json => b"application/json",
            Self::Metrics => b"text/plain; version=0.0.4",
        }
    }
}

/// How the answer has to look because of the request, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// The version of the request; the status line follows it.
    pub(crate) version: Version,
    /// Whether the connection carries on.
    pub(crate) persistent: bool,
    /// Whether the content is left out: a HEAD request.
    pub(crate) head_only: bool,
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// Its status code.
    pub(crate) status: u16,
    /// The methods that would have worked, for 405.
    pub(crate) allow: Option<&'static str>,
    /// When to come again, in seconds, for 503.
    pub(crate) retry_after_s: Option<u64>,
    /// What the content is.
    pub(crate) content_type: ContentType,
    /// The content.
    pub(crate) content: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Plain text.
    pub(crate) const fn text(status: u16, text: &'a str) -> Self {
        Self {
            status,
            allow: None,
            retry_after_s: None,
            content_type: ContentType::Text,
            content: text.as_bytes(),
        }
    }

    /// JSON, with status 200.
    pub(crate) const fn json(text: &'a str) -> Self {
        Self {
            content_type: ContentType::Json,
            ..Self::text(200, text)
        }
    }

    /// Appends the answer as it goes over the wire.
    pub(crate) fn write(&self, manner: Manner, out: &mut Vec<u8>) {
        let reason = reason_phrase(self.status).as_bytes();
        encode::status_line(out, manner.version, self.status, reason);
        if let Some(allow) = self.allow {
            encode::field(out, "Allow", allow.as_bytes());
        }
        if let Some(seconds) = self.retry_after_s {
            encode::field(out, "Retry-After", seconds.to_string().as_bytes());
        }
        encode::field(out, "Content-Type", self.content_type.as_bytes());
        match (manner.persistent, manner.version) {
            (false, Version::Http10 | Version::Http11) => {
                encode::field(out, "Connection", b"close");
            }
            // A 1.0 client that asked for it must be told that it got it.
            (true, Version::Http10) => encode::field(out, "Connection", b"keep-alive"),
            (true, Version::Http11) => {}
        }
        encode::content_length(out, u64::try_from(self.content.len()).unwrap_or(u64::MAX));
        encode::end_of_head(out);
        if !manner.head_only {
            out.extend_from_slice(self.content);
        }
    }
}

/// Appends the interim answer that a client waits for before it sends its content.
pub(crate) fn write_continue(out: &mut Vec<u8>) {
    encode::status_line(out, Version::Http11, 100, b"Continue");
    encode::end_of_head(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer<'_>, manner: Manner) -> String {
        let mut out = Vec::new();
        answer.write(manner, &mut out);
        String::from_utf8(out).unwrap()
    }

    const LAST: Manner = Manner {
        version: Version::Http11,
        persistent: false,
        head_only: false,
    };

    #[test]
    fn fields_come_in_the_order_of_the_reference() {
        let answer = Answer {
            allow: Some("POST"),
            ..Answer::text(405, "x\n")
        };
        let expected = "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\n\
            Content-Type: text/plain\r\nConnection: close\r\nContent-Length: 2\r\n\r\nx\n";
        assert_eq!(written(&answer, LAST), expected);
    }

    #[test]
    fn close_is_said_only_when_it_is_meant() {
        let answer = Answer::text(200, "");
        for (version, persistent, said) in [
            (Version::Http11, true, None),
            (Version::Http11, false, Some("close")),
            (Version::Http10, true, Some("keep-alive")),
            (Version::Http10, false, Some("close")),
        ] {
            let text = written(
                &answer,
                Manner {
                    version,
                    persistent,
                    head_only: false,
                },
            );
            let expected = said.map(|said| format!("Connection: {said}\r\n"));
            let got = text
                .split_inclusive("\r\n")
                .find(|line| line.starts_with("Connection"));
            assert_eq!(got, expected.as_deref(), "{version:?} {persistent}");
            assert!(text.starts_with(version.as_str()));
        }
    }

    #[test]
    fn an_answer_to_head_has_the_length_but_not_the_content() {
        let text = written(
            &Answer::text(200, "abc"),
            Manner {
                head_only: true,
                ..LAST
            },
        );
        assert!(text.ends_with("Content-Length: 3\r\n\r\n"), "{text}");
    }

    #[test]
    fn the_interim_answer_is_an_empty_head() {
        let mut out = Vec::new();
        write_continue(&mut out);
        assert_eq!(out, b"HTTP/1.1 100 Continue\r\n\r\n");
    }
}
