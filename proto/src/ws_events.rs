//! WebSocket-over-HTTP: bodies of type `application/websocket-events` and the fields around them.
//!
//! ```text
//! body   = *event
//! event  = type [ SP hexlen ] CRLF [ content CRLF ]
//! ```
//!
//! Written strictly, read as leniently as Pushpin does, but for negative lengths, on which it
//! dies. Events borrow from the body; nothing is allocated. The bound of a body is its reader's.

use memchr::memmem;

use crate::http1::encode::CRLF;
use crate::ws::MessageType;

/// The media type. A response counts only with exactly these bytes, without parameters.
pub const CONTENT_TYPE: &str = "application/websocket-events";
/// Shortest interval between empty requests, in seconds; shorter ones become this.
pub const KEEP_ALIVE_INTERVAL_S_MIN: u32 = 20;

const SET_META: &str = "set-meta-";

/// What an event is. Names compare with regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// The opening: asked for by us, granted by the backend.
    Open,
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// A Ping.
    Ping,
    /// A Pong.
    Pong,
    /// A Close; see [`close_content`].
    Close,
    /// The other end vanished.
    Disconnect,
}

impl EventType {
    const ALL: [Self; 7] = [
        Self::Open,
        Self::Text,
        Self::Binary,
        Self::Ping,
        Self::Pong,
        Self::Close,
        Self::Disconnect,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Text => "TEXT",
            Self::Binary => "BINARY",
            Self::Ping => "PING",
            Self::Pong => "PONG",
            Self::Close => "CLOSE",
            Self::Disconnect => "DISCONNECT",
        }
    }

    /// The type of the message that the event carries, if it does.
    #[must_use]
    pub const fn message_type(self) -> Option<MessageType> {
        match self {
            Self::Text => Some(MessageType::Text),
            Self::Binary => Some(MessageType::Binary),
            Self::Open | Self::Ping | Self::Pong | Self::Close | Self::Disconnect => None,
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|event_type| event_type.name().as_bytes() == name)
    }
}

impl From<MessageType> for EventType {
    fn from(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Text => Self::Text,
            MessageType::Binary => Self::Binary,
        }
    }
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'b> {
    /// What it is.
    pub event_type: EventType,
    /// Its content; no content and an empty one are the same.
    pub content: &'b [u8],
}

/// Why a body is refused, all of it: the events before the mistake are not to be acted on either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// An event line that does not end in CRLF.
    #[error("event line has no end")]
    NoLineEnd,
    /// A length that is no hexadecimal number, negative, or beyond 31 bits.
    #[error("invalid length of event content")]
    InvalidLen,
}

/// The events in `body`, which is complete; those of unknown types are skipped. Ends with the
/// first error; see [`check`].
pub fn events(body: &[u8]) -> impl Iterator<Item = Result<Event<'_>, EventsError>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            match next_event(rest) {
                Ok((event, behind)) => {
                    rest = behind;
                    if let Some(event) = event {
                        return Some(Ok(event));
                    }
                }
                Err(error) => {
                    rest = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    })
}

/// Checks all of `body`, so that its events can be acted on one by one; the result is how many
/// they are.
///
/// # Errors
/// [`EventsError`].
pub fn check(body: &[u8]) -> Result<usize, EventsError> {
    events(body).try_fold(0, |count, event| event.map(|_event| count + 1))
}

/// Reads one event, `None` if its type is unknown; the result has what follows it.
fn next_event(body: &[u8]) -> Result<(Option<Event<'_>>, &[u8]), EventsError> {
    let line_len = memmem::find(body, CRLF).ok_or(EventsError::NoLineEnd)?;
    let (line, rest) = body.split_at_checked(line_len).unwrap_or_default();
    let rest = rest.get(CRLF.len()..).unwrap_or_default();
    let name_len = memchr::memchr(b' ', line);
    let (name, len) = line
        .split_at_checked(name_len.unwrap_or(line.len()))
        .unwrap_or_default();
    let (content, rest) = if name_len.is_some() {
        let len = content_len(len)?;
        // Content that is cut is accepted, and so is anything in place of the CRLF behind it.
        let (content, rest) = rest.split_at(len.min(rest.len()));
        (content, rest.get(CRLF.len()..).unwrap_or_default())
    } else {
        (&[][..], rest)
    };
    let event = EventType::named(name).map(|event_type| Event {
        event_type,
        content,
    });
    Ok((event, rest))
}

/// Reads a length: hexadecimal in either case, with blanks around it, a sign and `0x` allowed.
fn content_len(text: &[u8]) -> Result<usize, EventsError> {
    let text = std::str::from_utf8(text.trim_ascii()).map_err(|_bad| EventsError::InvalidLen)?;
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
        .unwrap_or(digits);
    // The number's own parser would take one more sign.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(EventsError::InvalidLen);
    }
    let len = i32::from_str_radix(digits, 16).map_err(|_bad| EventsError::InvalidLen)?;
    match usize::try_from(len) {
        Ok(len) if len == 0 || !is_negative => Ok(len),
        _ => Err(EventsError::InvalidLen),
    }
}

/// Appends an event. Without content it is its bare name.
pub fn write_event(out: &mut Vec<u8>, event: Event<'_>) {
    out.extend_from_slice(event.event_type.name().as_bytes());
    if !event.content.is_empty() {
        out.push(b' ');
        write_hex(out, event.content.len());
        out.extend_from_slice(CRLF);
        out.extend_from_slice(event.content);
    }
    out.extend_from_slice(CRLF);
}

/// How many bytes [`write_event`] appends for an event with so much content.
#[must_use]
pub const fn event_len(event_type: EventType, content_len: usize) -> usize {
    let line_len = event_type.name().len() + CRLF.len();
    if content_len == 0 {
        return line_len;
    }
    line_len + " ".len() + hex_len(content_len) + content_len + CRLF.len()
}

/// Digits of `len` in hexadecimal; at least one.
const fn hex_len(len: usize) -> usize {
    let bits = usize::BITS - len.leading_zeros();
    let digits = bits.div_ceil(4);
    if digits == 0 { 1 } else { digits as usize }
}

fn write_hex(out: &mut Vec<u8>, len: usize) {
    for digit in (0..hex_len(len)).rev() {
        let digit = u32::try_from(len >> (digit * 4) & 0xf).ok();
        let digit = digit.and_then(|digit| char::from_digit(digit, 16));
        out.extend(digit.and_then(|digit| u8::try_from(digit).ok()));
    }
}

/// Code and reason in the content of a `CLOSE` event; `None` if it names no code. Neither is
/// checked: see [`ws::close`](crate::ws::close) for what a client may be told.
#[must_use]
pub fn close_content(content: &[u8]) -> Option<(u16, &[u8])> {
    let (code, reason) = content.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*code), reason))
}

/// What `Keep-Alive-Interval` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAliveInterval {
    /// No empty requests any more: 0, negative, or no number.
    Off,
    /// An empty request after so many seconds, [`KEEP_ALIVE_INTERVAL_S_MIN`] at least.
    Seconds(u32),
}

/// Reads the value of `Keep-Alive-Interval`. A response without the field changes nothing.
#[must_use]
pub fn keep_alive_interval(value: &[u8]) -> KeepAliveInterval {
    match integer(value).map(u32::try_from) {
        Some(Ok(seconds)) if seconds > 0 => {
            KeepAliveInterval::Seconds(seconds.max(KEEP_ALIVE_INTERVAL_S_MIN))
        }
        _ => KeepAliveInterval::Off,
    }
}

/// Reads the value of `Content-Bytes-Accepted`; `None` means all: negative, or no number.
#[must_use]
pub fn content_bytes_accepted(value: &[u8]) -> Option<u32> {
    integer(value).and_then(|bytes| u32::try_from(bytes).ok())
}

/// A decimal number of 31 bits, as Pushpin reads it.
fn integer(value: &[u8]) -> Option<i32> {
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

/// The name behind `Set-Meta-` (any case) in the name of a field, as it is spelled there.
#[must_use]
pub fn set_meta_name(field_name: &str) -> Option<&str> {
    let (prefix, name) = field_name.split_at_checked(SET_META.len())?;
    (prefix.eq_ignore_ascii_case(SET_META) && !name.is_empty()).then_some(name)
}

/// Whether a client's field must not reach the backend because it would stand among the session's
/// own: `Connection-Id`, `Accept`, `Meta-*`.
#[must_use]
pub fn is_session_field(field_name: &str) -> bool {
    const META: &str = "meta-";
    ["connection-id", "accept"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(field_name))
        || field_name
            .get(..META.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(META))
}

#[cfg(test)]
mod tests;
