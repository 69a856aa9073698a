//! What a peer may do wrong, and what it is told (RFC 6455 section 7.1.7).

use crate::ws::close::{Close, CloseError, INVALID_PAYLOAD, PROTOCOL_ERROR, TOO_BIG};
use crate::ws::frame::FrameError;
use crate::ws::utf8::NotUtf8;

/// What a peer did that ends the connection, with what it is told in the Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A malformed frame: 1002.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A continuation without a message: 1002.
    #[error("unexpected continuation frame")]
    UnexpectedContinuation,
    /// A new message within another: 1002.
    #[error("message is not finished")]
    UnfinishedMessage,
    /// A continuation that claims to be compressed: 1002 (RFC 7692 section 6.1).
    #[error("compressed bit on a continuation frame")]
    CompressedContinuation,
    /// Text that is not UTF-8: 1007.
    #[error("invalid UTF-8")]
    NotUtf8,
    /// Data that cannot be inflated: 1007.
    #[error("invalid compressed data")]
    NotDeflate,
    /// A message over the limit: 1009.
    #[error("message too big")]
    TooBig {
        /// The limit, in bytes.
        max: u64,
    },
    /// A malformed Close frame: 1002, or 1007 for its reason.
    #[error(transparent)]
    Close(#[from] CloseError),
}

impl From<NotUtf8> for Violation {
    fn from(_: NotUtf8) -> Self {
        Self::NotUtf8
    }
}

impl Violation {
    /// The close status code that the peer is told.
    #[must_use]
    pub const fn close_code(&self) -> u16 {
        match self {
            Self::Frame(_)
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage
            | Self::CompressedContinuation
            | Self::Close(CloseError::Len | CloseError::Code { .. }) => PROTOCOL_ERROR,
            Self::NotUtf8 | Self::NotDeflate | Self::Close(CloseError::Reason) => INVALID_PAYLOAD,
            Self::TooBig { .. } => TOO_BIG,
        }
    }

    /// The reason that the peer is told; the same as the error's text.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Frame(error) => frame_reason(*error),
            Self::UnexpectedContinuation => "unexpected continuation frame",
            Self::UnfinishedMessage => "message is not finished",
            Self::CompressedContinuation => "compressed bit on a continuation frame",
            Self::NotUtf8 => "invalid UTF-8",
            Self::NotDeflate => "invalid compressed data",
            Self::TooBig { .. } => "message too big",
            Self::Close(CloseError::Len) => "invalid close payload length",
            Self::Close(CloseError::Code { .. }) => "invalid close status code",
            Self::Close(CloseError::Reason) => "close reason is not UTF-8",
        }
    }

    /// Code and reason as a Close frame says them.
    #[must_use]
    pub const fn as_close(&self) -> Close<'static> {
        Close {
            code: self.close_code(),
            reason: self.reason(),
        }
    }
}

const fn frame_reason(error: FrameError) -> &'static str {
    match error {
        FrameError::Opcode { .. } => "invalid opcode",
        FrameError::ReservedBits => "invalid reserved bits",
        FrameError::FragmentedControl => "fragmented control frame",
        FrameError::ControlTooLong => "control frame too long",
        FrameError::NotMasked => "frame is not masked",
        FrameError::Masked => "frame is masked",
        FrameError::InvalidLen => "invalid payload length",
    }
}
