//! What the clients of a herd ask for, and what an answer must be like.

use super::orders::Channels;
use crate::args::Filter;
use crate::http;
use crate::message;

/// What each client of a herd asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A stream.
    Stream,
    /// A stream with a filter on its channel, for a client with a name of its own.
    Filtered {
        /// The filter.
        filter: Filter,
        /// Bytes of each message.
        size: usize,
    },
    /// A page that is held as a long-poll: the same request from all, or told apart by a cookie.
    Page {
        /// Whether each client has a cookie of its own.
        distinct: bool,
    },
}

impl Ask {
    /// The request of client number `index`, filled up to `len` bytes.
    pub(super) fn request(self, index: usize, channels: Channels, len: usize) -> Vec<u8> {
        let channel = channels.name(index);
        let user = message::user(index);
        match self {
            Self::Stream => http::get_request(&format!("/stream?channel={channel}"), len),
            Self::Filtered { filter, .. } => {
                let filter = filter.name();
                let query = format!("channel={channel}&filter={filter}&user={user}");
                http::get_request(&format!("/filtered?{query}"), len)
            }
            Self::Page { distinct } => {
                let cookie = if distinct { user.as_str() } else { "all" };
                let more = format!("Cookie: session={cookie}\r\n");
                http::get_request_with(&format!("/page?channel={channel}"), &more, len)
            }
        }
    }

    /// Whether it is answered once, instead of held as a stream.
    pub(super) fn is_poll(self) -> bool {
        matches!(self, Self::Page { .. })
    }

    /// The client's number and the size that every message to it must have, if any.
    pub(super) fn expectation(self, index: usize) -> Option<(usize, usize)> {
        match self {
            Self::Filtered {
                filter: Filter::VarSubst,
                size,
            } => Some((index, size)),
            Self::Stream | Self::Filtered { .. } | Self::Page { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(ask: Ask, index: usize) -> String {
        String::from_utf8(ask.request(index, Channels::Shared, 150)).unwrap()
    }

    #[test]
    fn pages_differ_only_when_they_are_to() {
        let same = Ask::Page { distinct: false };
        assert_eq!(text_of(same, 1), text_of(same, 2));
        let distinct = Ask::Page { distinct: true };
        assert_ne!(text_of(distinct, 1), text_of(distinct, 2));
        assert!(text_of(distinct, 1).contains("\r\nCookie: session=u00000001\r\n"));
    }

    #[test]
    fn a_filtered_stream_names_its_filter_and_its_client() {
        let ask = Ask::Filtered {
            filter: Filter::SkipSelf,
            size: 100,
        };
        let text = text_of(ask, 12);
        let line = "GET /filtered?channel=all&filter=skip-self&user=u00000012 HTTP/1.1\r\n";
        assert!(text.starts_with(line), "{text}");
        assert_eq!(ask.expectation(12), None);
    }

    #[test]
    fn only_substitution_makes_the_content_a_clients_own() {
        let ask = Ask::Filtered {
            filter: Filter::VarSubst,
            size: 100,
        };
        assert_eq!(ask.expectation(3), Some((3, 100)));
        assert_eq!(Ask::Stream.expectation(3), None);
    }
}
