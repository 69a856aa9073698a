//! The opening handshake, both ends of it (RFC 6455 sections 4.1 and 4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::extensions::{self, ExtensionsError};
use crate::http::{Field, Version, field_value, field_values, has_token};
use crate::http1::{Framing, encode};

/// The version of the protocol that we speak, as a field value.
pub const VERSION: &str = "13";
/// Length of a `Sec-WebSocket-Key`, in bytes.
pub const KEY_LEN: usize = 24;
/// Length of a `Sec-WebSocket-Accept`, in bytes.
pub const ACCEPT_LEN: usize = 28;
/// What a client is told with status code 400 (Pushpin's text).
pub const REFUSAL_TEXT: &str = "Request contained an Upgrade header with value \"websocket\" but the request was not a valid WebSocket request.\n";

/// Longest key that is accepted where keys are not checked, in bytes; Pushpin's bound.
const LENIENT_KEY_LEN_MAX: usize = 220;
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a request asks for WebSocket: an `Upgrade` field whose whole value is `websocket`, in
/// any case. A list that merely has it among others is passed on as plain HTTP, as Pushpin does.
#[must_use]
pub fn is_upgrade(fields: &[Field<'_>]) -> bool {
    field_values(fields, "Upgrade").any(is_websocket)
}

fn is_websocket(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"websocket")
}

/// How strict a server is with opening handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeRules {
    /// HTTP/1.1 is required.
    pub needs_http11: bool,
    /// `Connection: Upgrade` is required.
    pub needs_connection: bool,
    /// The key must be the base64 of 16 bytes.
    pub checks_key: bool,
}

impl HandshakeRules {
    /// RFC 6455 section 4.2.1 to the letter.
    pub const STRICT: Self = Self {
        needs_http11: true,
        needs_connection: true,
        checks_key: true,
    };
    /// What Pushpin lets pass.
    pub const LENIENT: Self = Self {
        needs_http11: false,
        needs_connection: false,
        checks_key: false,
    };
}

/// What an opening handshake is judged by.
#[derive(Debug, Clone, Copy)]
pub struct HandshakeRequest<'h, 'b> {
    /// The method of the request.
    pub method: &'b str,
    /// The version of the request line.
    pub version: Version,
    /// All fields.
    pub fields: &'h [Field<'b>],
    /// Where the request ends: it must have no content.
    pub framing: Framing,
}

/// Why an opening handshake is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Another method than `GET`.
    #[error("method is not GET")]
    Method,
    /// HTTP/1.0.
    #[error("HTTP version is below 1.1")]
    HttpVersion,
    /// The request has content.
    #[error("request has content")]
    Content,
    /// No `Connection: Upgrade`.
    #[error("no Upgrade in Connection")]
    Connection,
    /// Another version of the protocol, or none. Answered with 426 and ours.
    #[error("unsupported WebSocket version")]
    Version,
    /// No key, or one that is not the base64 of 16 bytes.
    #[error("invalid Sec-WebSocket-Key")]
    Key,
    /// A malformed extension list.
    #[error(transparent)]
    Extensions(#[from] ExtensionsError),
}

impl HandshakeError {
    /// The status code of the answer: 400, or 426, which must go with
    /// `Sec-WebSocket-Version: 13` (RFC 6455 section 4.4) and `Upgrade: websocket`.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Version => 426,
            Self::Method
            | Self::HttpVersion
            | Self::Content
            | Self::Connection
            | Self::Key
            | Self::Extensions(_) => 400,
        }
    }
}

/// Checks a request for which [`is_upgrade`] holds; the result is its key.
///
/// Of repeated keys and versions the last counts.
///
/// # Errors
/// [`HandshakeError`].
pub fn check_request<'b>(
    request: &HandshakeRequest<'_, 'b>,
    rules: &HandshakeRules,
) -> Result<&'b [u8], HandshakeError> {
    let fields = request.fields;
    if request.method != "GET" {
        return Err(HandshakeError::Method);
    }
    if rules.needs_http11 && request.version < Version::Http11 {
        return Err(HandshakeError::HttpVersion);
    }
    if !matches!(request.framing, Framing::None | Framing::Length(0)) {
        return Err(HandshakeError::Content);
    }
    if rules.needs_connection && !has_token(fields, "Connection", "upgrade") {
        return Err(HandshakeError::Connection);
    }
    if field_values(fields, "Sec-WebSocket-Version").last() != Some(VERSION.as_bytes()) {
        return Err(HandshakeError::Version);
    }
    let key = field_values(fields, "Sec-WebSocket-Key").last();
    let key = key.ok_or(HandshakeError::Key)?;
    let is_valid = if rules.checks_key {
        is_key(key)
    } else {
        key.len() <= LENIENT_KEY_LEN_MAX
    };
    if !is_valid {
        return Err(HandshakeError::Key);
    }
    extensions::check(fields)?;
    Ok(key)
}

/// Whether `key` is the base64 of 16 bytes.
fn is_key(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    key.len() == KEY_LEN && STANDARD.decode_slice(key, &mut nonce) == Ok(16)
}

/// The `Sec-WebSocket-Accept` for a key (RFC 6455 section 4.2.2, step 5.4).
#[must_use]
pub fn accept(key: &[u8]) -> [u8; ACCEPT_LEN] {
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key);
    sha1.update(GUID);
    let mut accept = [0; ACCEPT_LEN];
    let written = STANDARD.encode_slice(sha1.digest().bytes(), &mut accept);
    debug_assert_eq!(written, Ok(ACCEPT_LEN));
    accept
}

/// The `Sec-WebSocket-Key` of a nonce, which must be random and new for each connection
/// (RFC 6455 section 4.1).
#[must_use]
pub fn key(nonce: [u8; 16]) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    let written = STANDARD.encode_slice(nonce, &mut key);
    debug_assert_eq!(written, Ok(KEY_LEN));
    key
}

/// Appends the three fields that make a 101 an answer to `key`.
pub fn write_accept_fields(out: &mut Vec<u8>, key: &[u8]) {
    encode::field(out, "Upgrade", b"websocket");
    encode::field(out, "Connection", b"Upgrade");
    encode::field(out, "Sec-WebSocket-Accept", &accept(key));
}

/// Appends the four fields that make a `GET` an opening handshake with `key`.
pub fn write_request_fields(out: &mut Vec<u8>, key: &[u8; KEY_LEN]) {
    encode::field(out, "Upgrade", b"websocket");
    encode::field(out, "Connection", b"Upgrade");
    encode::field(out, "Sec-WebSocket-Version", VERSION.as_bytes());
    encode::field(out, "Sec-WebSocket-Key", key);
}

/// Why a backend's 101 is not the answer to our handshake. The client is told 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// No `Upgrade: websocket`.
    #[error("no websocket in Upgrade")]
    Upgrade,
    /// No `Connection: Upgrade`.
    #[error("no Upgrade in Connection")]
    Connection,
    /// `Sec-WebSocket-Accept` is missing or belongs to another key.
    #[error("invalid Sec-WebSocket-Accept")]
    Accept,
    /// A malformed extension list.
    #[error(transparent)]
    Extensions(#[from] ExtensionsError),
}

/// Checks the fields of a response with status code 101 to a handshake with `key`. Whether its
/// extensions were offered is for whoever offered them.
///
/// # Errors
/// [`ResponseError`].
pub fn check_response(fields: &[Field<'_>], key: &[u8; KEY_LEN]) -> Result<(), ResponseError> {
    if !is_upgrade(fields) {
        return Err(ResponseError::Upgrade);
    }
    if !has_token(fields, "Connection", "upgrade") {
        return Err(ResponseError::Connection);
    }
    if field_value(fields, "Sec-WebSocket-Accept") != Some(accept(key).as_slice()) {
        return Err(ResponseError::Accept);
    }
    Ok(extensions::check(fields)?)
}

#[cfg(test)]
mod tests;
