//! Control messages: what a WebSocket backend says to us, behind `c:` (GRIP; Pushpin's reading).
//!
//! JSON objects of eight types. There is no reply to any; what is wrong is ignored, but for too
//! many filters, which close the connection. `null` is a wrong type, never absence; unknown
//! members are ignored.

use super::instruct::{FILTERS_MAX, KEEP_ALIVE_TIMEOUT_S_DEFAULT, KeepAliveMode, TIMEOUT_S_MAX};
use super::item::WsType;
use super::keep_alive::lenient_base64;
use super::members::Object;
use super::shape::ShapeError;
use super::tree::parse_json;

/// How long a delayed message waits where the backend does not say, in seconds.
pub const DELAY_S_DEFAULT: u32 = 1;

/// What error texts call a control message.
const CONTROL: &str = "control message";

/// A control message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlMessage {
    /// Subscribes to a channel, or replaces the filters of a subscription.
    Subscribe {
        /// The channel without the route's prefix; not empty.
        channel: String,
        /// Names of filters, [`FILTERS_MAX`] at most; unknown ones do nothing.
        filters: Vec<String>,
    },
    /// Ends a subscription.
    Unsubscribe {
        /// The channel without the route's prefix; not empty.
        channel: String,
    },
    /// Keeps the client and lets the backend go.
    Detach,
    /// Sets or clears the id of the session for last-seen ids.
    Session {
        /// The id; never empty.
        id: Option<String>,
    },
    /// Sets or removes a variable for filters.
    SetMeta {
        /// Its name; not empty.
        name: String,
        /// Its value; absent: the variable is removed.
        value: Option<String>,
    },
    /// Sets a heartbeat towards the client; without one, ends it.
    KeepAlive(Option<WsKeepAlive>),
    /// Stores a message and sends it later.
    SendDelayed(WsDelayed),
    /// Sends the stored message now.
    FlushDelayed,
}

/// A message that a control message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlContent {
    /// Its type; text unless the backend says otherwise, also for content that came as base64.
    pub message_type: WsType,
    /// Its payload data. Not checked: text need not be UTF-8, a ping may be too long.
    pub content: Vec<u8>,
}

/// A heartbeat towards a WebSocket client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsKeepAlive {
    /// What is sent.
    pub message: ControlContent,
    /// After how long, in seconds; 1 to [`TIMEOUT_S_MAX`].
    pub timeout_s: u32,
    /// Whether other traffic towards the client puts it off.
    pub mode: KeepAliveMode,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsDelayed {
    /// What is sent; empty if the backend gave no content.
    pub message: ControlContent,
    /// After how long, in seconds; 1 to [`TIMEOUT_S_MAX`].
    pub timeout_s: u32,
}

/// Why a control message has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Not JSON, or a bare scalar. Ignored.
    #[error("control message is not valid JSON")]
    NotJson,
    /// A list instead of an object, or a member that is missing or wrong. Ignored.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// More filters than [`FILTERS_MAX`]: the client is closed with 1011. The text is the reason
    /// on routes with the `debug` option; else there is none.
    #[error("too many filters for channel '{channel}'")]
    TooManyFilters {
        /// The channel without the route's prefix.
        channel: String,
    },
}

impl ControlError {
    /// Whether the client's connection must be closed; else the message is merely ignored.
    #[must_use]
    pub const fn closes(&self) -> bool {
        matches!(self, Self::TooManyFilters { .. })
    }
}

/// Reads a control message, without its `c:`.
///
/// # Errors
/// [`ControlError`]; nearly always to be ignored.
pub fn parse_control(text: &[u8]) -> Result<ControlMessage, ControlError> {
    let tree = parse_json(text).ok_or(ControlError::NotJson)?;
    let object = Object::new(&tree, CONTROL)?;
    let message_type = object.bytes("type")?;
    match message_type.ok_or_else(|| object.missing("'type'"))? {
        b"subscribe" => subscribe(&object),
        b"unsubscribe" => Ok(ControlMessage::Unsubscribe {
            channel: name(&object, "channel", "'channel'")?,
        }),
        b"detach" => Ok(ControlMessage::Detach),
        b"session" => {
            let id = object.text("id")?.filter(|id| !id.is_empty());
            Ok(ControlMessage::Session {
                id: id.map(Into::into),
            })
        }
        b"set-meta" => Ok(ControlMessage::SetMeta {
            name: name(&object, "name", "'name'")?,
            value: object.text("value")?.map(Into::into),
        }),
        b"keep-alive" => keep_alive(&object),
        b"send-delayed" => send_delayed(&object),
        b"flush-delayed" => Ok(ControlMessage::FlushDelayed),
        _unknown => Err(object.unknown("type").into()),
    }
}

fn subscribe(object: &Object<'_>) -> Result<ControlMessage, ControlError> {
    let channel = name(object, "channel", "'channel'")?;
    let filters = object.texts_in("filters", "filter")?.unwrap_or_default();
    if filters.len() > FILTERS_MAX {
        return Err(ControlError::TooManyFilters { channel });
    }
    Ok(ControlMessage::Subscribe { channel, filters })
}

/// A member that must be a string and not empty.
fn name(
    object: &Object<'_>,
    member: &'static str,
    quoted: &'static str,
) -> Result<String, ShapeError> {
    let name = object.text(member)?.ok_or_else(|| object.missing(quoted))?;
    if name.is_empty() {
        return Err(object.invalid(member));
    }
    Ok(name.into_owned())
}

fn keep_alive(object: &Object<'_>) -> Result<ControlMessage, ControlError> {
    let message_type = message_type(object)?;
    let mode = match object.bytes("mode")? {
        Some(b"interval") => KeepAliveMode::Interval,
        _ => KeepAliveMode::Idle,
    };
    let Some(content) = content(object)? else {
        return Ok(ControlMessage::KeepAlive(None));
    };
    Ok(ControlMessage::KeepAlive(Some(WsKeepAlive {
        message: ControlContent {
            message_type,
            content,
        },
        timeout_s: timeout_s(object, KEEP_ALIVE_TIMEOUT_S_DEFAULT)?,
        mode,
    })))
}

fn send_delayed(object: &Object<'_>) -> Result<ControlMessage, ControlError> {
    let message_type = message_type(object)?;
    let (content, timeout_s) = match content(object)? {
        Some(content) => (content, timeout_s(object, DELAY_S_DEFAULT)?),
        // The timeout is not even looked at.
        None => (Vec::new(), DELAY_S_DEFAULT),
    };
    Ok(ControlMessage::SendDelayed(WsDelayed {
        message: ControlContent {
            message_type,
            content,
        },
        timeout_s,
    }))
}

fn message_type(object: &Object<'_>) -> Result<WsType, ShapeError> {
    match object.bytes("message-type")? {
        None | Some(b"text") => Ok(WsType::Text),
        Some(b"binary") => Ok(WsType::Binary),
        Some(b"ping") => Ok(WsType::Ping),
        Some(b"pong") => Ok(WsType::Pong),
        Some(_unknown) => Err(object.unknown("message-type")),
    }
}

/// The content, in base64 or plain; the former wins.
fn content(object: &Object<'_>) -> Result<Option<Vec<u8>>, ShapeError> {
    match object.bytes("content-bin")? {
        Some(text) => Ok(Some(lenient_base64(text))),
        None => Ok(object.bytes("content")?.map(<[u8]>::to_vec)),
    }
}

/// The member `timeout`: 0 is the default, negative ones are refused.
fn timeout_s(object: &Object<'_>, default: u32) -> Result<u32, ShapeError> {
    match object.natural("timeout")? {
        None | Some(0) => Ok(default),
        Some(seconds) => Ok(u32::try_from(seconds)
            .unwrap_or(u32::MAX)
            .min(TIMEOUT_S_MAX)),
    }
}

#[cfg(test)]
mod tests;
