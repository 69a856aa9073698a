//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692) and the GRIP extension.
//!
//! - [`handshake`]: both ends of the opening handshake; [`extensions`]: `Sec-WebSocket-Extensions`;
//!   [`subprotocol`]: `Sec-WebSocket-Protocol`
//! - [`frame`]: frames read piece by piece; [`mask`]: masking; [`encode`]: frames written
//! - [`message`]: the rules over frames, each violation with its close status code;
//!   [`close`]: Close payloads and codes; [`utf8`]: text checked piece by piece
//! - [`deflate`]: compression of messages; [`grip_extension`]: what a backend's message is for
//!
//! No buffer and no clock: payload data is unmasked where it lies, and whoever owns the socket is
//! told which part of its input it is. What becomes of a message is the shard's business.

pub mod close;
pub mod deflate;
pub mod encode;
pub mod extensions;
pub mod frame;
pub mod grip_extension;
pub mod handshake;
pub mod mask;
pub mod message;
pub mod subprotocol;
pub mod utf8;

/// What a data message is (RFC 6455 section 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}
