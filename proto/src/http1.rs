//! HTTP/1.0 and HTTP/1.1 messages on the wire (RFC 9112).
//!
//! [`parse_request`] and [`parse_response`] read a head, [`BodyReader`] finds the content behind
//! it, [`encode`] writes. The heads are split by `httparse`; all that decides where a message
//! ends and whom it is for is checked here, and what two implementations could read in two ways
//! is an error: a proxy that guesses is how requests get smuggled.

mod body;
pub mod encode;
mod framing;
mod head;
mod host;
mod request;
mod response;
mod target;
#[cfg(test)]
mod testing;

use std::mem::MaybeUninit;

use crate::http::Field;

pub use body::{
    BodyError, BodyReader, BodyStep, CHUNK_LINE_LEN_MAX, ChunkedState, TRAILERS_LEN_MAX,
};
pub use request::{RequestError, RequestHead, parse_request};
pub use response::{ResponseError, ResponseHead, parse_response};

/// Fields of one head, at most: no configuration allows more.
pub const FIELDS_MAX: usize = 128;

/// Content of one message or chunk, at most, in bytes.
///
/// Beyond this, implementations that count with signed numbers disagree with those that do not.
pub const CONTENT_LEN_MAX: u64 = i64::MAX.cast_unsigned();

/// What a head may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of a head, from the start of the buffer through its empty line, at most.
    pub head_len_max: usize,
    /// Field lines of a head, at most. More than [`FIELDS_MAX`] counts as that.
    pub fields_max: usize,
}

impl HeadLimits {
    fn slots_max(&self) -> usize {
        self.fields_max.min(FIELDS_MAX)
    }

    /// The part of `buf` that a head may occupy: what lies behind is not looked at.
    fn window<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        buf.get(..self.head_len_max).unwrap_or(buf)
    }
}

/// Room for the fields of one head; lives on the caller's stack, 4 KiB.
///
/// Not initialised, so that making it costs nothing; make a new one for each head.
#[derive(Debug)]
pub struct Slots<'b> {
    fields: [MaybeUninit<Field<'b>>; FIELDS_MAX],
}

impl Slots<'_> {
    /// Room for [`FIELDS_MAX`] fields.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            fields: [const { MaybeUninit::uninit() }; FIELDS_MAX],
        }
    }
}

impl Default for Slots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for the fields of one head; the same as [`Slots::new`].
#[must_use]
pub const fn empty_slots<'b>() -> Slots<'b> {
    Slots::new()
}

/// How the end of a message is found (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The message ends with its head.
    None,
    /// `Content-Length`: that many bytes follow.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The content goes on until the peer closes. Responses only.
    UntilClose,
}
