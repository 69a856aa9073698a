//! What a backend's response asks for: the decoded instruct, as plain data.
//!
//! Two writers fill it: `fields` (the `Grip-` fields) and `overlay` (the JSON content). Defaults
//! and clamps are applied here, once, so that both forms end the same way.

use std::borrow::Cow;

use super::{is_grip_name, shape::ShapeError};
use crate::http::reason_phrase;

/// Bytes of content that a response with instructions may have where all of it is gathered first,
/// and a request whose response has them.
pub const CONTENT_LEN_MAX: usize = 100_000;
/// Default of a response hold's timeout, in seconds.
pub const HOLD_TIMEOUT_S_DEFAULT: u32 = 55;
/// Shorter response timeouts become this many seconds.
pub const HOLD_TIMEOUT_S_MIN: u32 = 5;
/// Default of the keep-alive timeout, in seconds.
pub const KEEP_ALIVE_TIMEOUT_S_DEFAULT: u32 = 55;
/// Shorter keep-alive timeouts become this many seconds.
pub const KEEP_ALIVE_TIMEOUT_S_MIN: u32 = 1;
/// Default of a next link's timeout, in seconds. It has no minimum.
pub const NEXT_TIMEOUT_S_DEFAULT: u32 = 120;
/// Longer timeouts of any kind become this many seconds, so that they fit 31 bits of milliseconds.
pub const TIMEOUT_S_MAX: u32 = 2_147_483;
/// Filters that one channel may name, unknown names included.
pub const FILTERS_MAX: usize = 5;
/// Greatest status code that an instruct or an item may name.
pub const STATUS_CODE_MAX: u16 = 999;

/// Brings a timeout into its bounds; `None` if it is negative.
pub(super) fn clamp_timeout_s(seconds: i64, min: u32) -> Option<u32> {
    let seconds = u64::try_from(seconds).ok()?;
    Some(
        u32::try_from(seconds)
            .unwrap_or(TIMEOUT_S_MAX)
            .clamp(min, TIMEOUT_S_MAX),
    )
}

/// One channel of an instruct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The name without any route prefix; may be empty.
    pub name: String,
    /// Id of the last item that the backend has included in its answer; absent: no position.
    pub prev_id: Option<String>,
    /// Names of filters in the order they run, at most [`FILTERS_MAX`]; unknown names included.
    pub filters: Vec<String>,
}

/// How a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldMode {
    /// The response stays open and items are appended to it.
    Stream,
    /// Nothing is sent until one item or the timeout answers (long-poll).
    Response,
}

/// When a keep-alive is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAliveMode {
    /// After a time in which nothing was written.
    Idle,
    /// At a fixed pace, whatever is written in between.
    Interval,
}

/// Content written to a stream that would otherwise be silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAlive {
    /// The bytes to write; empty (JSON form without content) writes nothing.
    pub content: Vec<u8>,
    /// Seconds between two of them, clamped to at least [`KEEP_ALIVE_TIMEOUT_S_MIN`].
    pub timeout_s: u32,
    /// When it is due.
    pub mode: KeepAliveMode,
}

/// A link that continues a stream (`next`) or tells of its end (`gone`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The reference as the backend wrote it, absolute or relative; checked to resolve.
    pub url: String,
    /// Seconds of hold before a next link is fetched; without meaning for gone links.
    pub timeout_s: u32,
}

/// Everything that holding a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Stream or response.
    pub mode: HoldMode,
    /// Seconds until a response hold answers by itself, clamped.
    pub timeout_s: u32,
    /// The keep-alive of a stream hold, if any.
    pub keep_alive: Option<KeepAlive>,
    /// The channels in the order given, repeats included; may be empty.
    pub channels: Vec<Channel>,
    /// Subscription variables for filters, names unique; a name without value has `None`.
    pub meta: Vec<(String, Option<String>)>,
}

/// Status code and reason phrase of the response built from an instruct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// 0 to [`STATUS_CODE_MAX`].
    pub code: u16,
    /// The phrase given, or the standard one for `code`.
    pub reason: Cow<'static, [u8]>,
}

impl Status {
    /// `code` with `reason`, or with the standard phrase if that is absent or empty.
    pub(super) fn new(code: u16, reason: Option<Vec<u8>>) -> Self {
        let reason = reason
            .filter(|reason| !reason.is_empty())
            .map_or_else(|| Cow::Borrowed(reason_phrase(code).as_bytes()), Cow::Owned);
        Self { code, reason }
    }
}

/// Fields and content that the JSON form puts in place of those of the backend's response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstructResponse {
    /// Fields in order, duplicates kept; those of framing and of the hop are already removed,
    /// `Grip-` ones are not.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The content; empty if the instruct gave none.
    pub body: Vec<u8>,
}

/// The decoded instructions of one backend response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instruct {
    /// The hold, if one is asked for.
    pub hold: Option<Hold>,
    /// The channels named **without** a hold: only their filters matter. Empty with a hold.
    pub channels: Vec<Channel>,
    /// The subscription variables given **without** a hold. Empty with a hold.
    pub meta: Vec<(String, Option<String>)>,
    /// Replaces status code and reason phrase; absent: the backend's stay.
    pub status: Option<Status>,
    /// Names of the only fields of the backend that reach the client; absent: all of them.
    pub expose: Option<Vec<String>>,
    /// The next link (`rel=next`).
    pub next: Option<Link>,
    /// The gone link (`rel=gone`).
    pub gone: Option<Link>,
    /// JSON form only: takes the place of all fields and the content of the backend's response.
    pub response: Option<InstructResponse>,
}

impl Instruct {
    /// The channels named, with or without a hold.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        self.hold
            .as_ref()
            .map_or(&self.channels, |hold| &hold.channels)
    }

    /// The subscription variables given, with or without a hold.
    #[must_use]
    pub fn meta(&self) -> &[(String, Option<String>)] {
        self.hold.as_ref().map_or(&self.meta, |hold| &hold.meta)
    }

    /// Whether a field called `name` of the backend's response reaches the client: no `Grip-`
    /// field, no field of framing or of the hop, and none that the expose list leaves out.
    ///
    /// With [`Instruct::response`] no field of the backend does; that is the caller's to see.
    #[must_use]
    pub fn keeps_field(&self, name: &str) -> bool {
        if is_grip_name(name) || is_framing_name(name) {
            return false;
        }
        match &self.expose {
            Some(exposed) => exposed.iter().any(|other| other.eq_ignore_ascii_case(name)),
            None => true,
        }
    }
}

/// Whether `name` is a field that is computed anew for every response.
pub(super) fn is_framing_name(name: &str) -> bool {
    // The content's coding is dropped too while the content stays: safe only because the
    // request's Accept-Encoding was removed (Pushpin does so).
    const NAMES: [&str; 5] = [
        "connection",
        "keep-alive",
        "content-length",
        "content-encoding",
        "transfer-encoding",
    ];
    NAMES
        .iter()
        .any(|framing| framing.eq_ignore_ascii_case(name))
}

/// Why an instruct cannot be obeyed. The client gets a 502; the text is for debug mode and the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstructError {
    /// `Grip-Hold` has another value.
    #[error("Grip-Hold must be set to either 'response' or 'stream'")]
    HoldMode,
    /// More than [`FILTERS_MAX`] filters on one channel.
    #[error("too many filters for channel '{channel}'")]
    TooManyFilters {
        /// The channel's name.
        channel: String,
    },
    /// `Grip-Timeout` is no integer.
    #[error("failed to parse Grip-Timeout")]
    Timeout,
    /// `Grip-Timeout` is negative.
    #[error("Grip-Timeout has invalid value")]
    TimeoutNegative,
    /// `Grip-Keep-Alive` has parameters but no content.
    #[error("Grip-Keep-Alive cannot be empty")]
    KeepAliveEmpty,
    /// The `mode` of `Grip-Keep-Alive` is unknown.
    #[error("no such Grip-Keep-Alive mode '{mode}'")]
    KeepAliveMode {
        /// The mode as given.
        mode: String,
    },
    /// The `timeout` of `Grip-Keep-Alive` is no integer.
    #[error("failed to parse Grip-Keep-Alive timeout value")]
    KeepAliveTimeout,
    /// The `timeout` of `Grip-Keep-Alive` is negative.
    #[error("Grip-Keep-Alive timeout has invalid value")]
    KeepAliveTimeoutNegative,
    /// The `format` of `Grip-Keep-Alive` is unknown.
    #[error("no such Grip-Keep-Alive format '{format}'")]
    KeepAliveFormat {
        /// The format as given.
        format: String,
    },
    /// The content of `Grip-Keep-Alive` is no valid C string, or an empty one.
    #[error("failed to parse Grip-Keep-Alive cstring format")]
    KeepAliveCstring,
    /// `Grip-Set-Meta` has an empty member.
    #[error("Grip-Set-Meta cannot be empty")]
    SetMetaEmpty,
    /// The code of `Grip-Status` is no integer from 0 to [`STATUS_CODE_MAX`].
    #[error("Grip-Status contains invalid status code")]
    StatusCode,
    /// The reason of `Grip-Status` holds a line break or a NUL.
    #[error("Grip-Status contains invalid reason")]
    StatusReason,
    /// A `Grip-Link` does not start with a URL in angle brackets.
    #[error("failed to parse Grip-Link value")]
    Link,
    /// The URL of a `Grip-Link` neither is absolute nor resolves.
    #[error("Grip-Link contains invalid link")]
    LinkUrl,
    /// The `timeout` of a next link is no integer.
    #[error("failed to parse Grip-Link timeout value")]
    LinkTimeout,
    /// The `timeout` of a next link is negative.
    #[error("Grip-Link timeout has invalid value")]
    LinkTimeoutNegative,
    /// JSON form: the backend's status is not 200.
    #[error("response code for application/grip-instruct content must be 200")]
    JsonStatus,
    /// JSON form: the content is not JSON, or a bare scalar.
    #[error("failed to parse application/grip-instruct content as JSON")]
    Json,
    /// JSON form: the content is not an object.
    #[error("instruct must be an object")]
    NotObject,
    /// JSON form: the mode is unknown.
    #[error("hold 'mode' must be set to either 'response' or 'stream'")]
    JsonHoldMode,
    /// JSON form: a member is missing or has the wrong type or value.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}
