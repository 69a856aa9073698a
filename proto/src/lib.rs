//! Protocols as pure functions: bytes in, values out, and back.
//!
//! Everything that this proxy says or hears on a wire is read and written here, and nothing else
//! is done here. Whoever owns a socket passes in the bytes that it has; whoever wants to send
//! passes in a buffer to append to.
//!
//! # Map
//!
//! | Module | What it speaks |
//! | --- | --- |
//! | [`http`] | RFC 9110: versions, fields and lists, methods, status phrases, paths |
//! | [`http1`] | RFC 9112: request and response heads, bodies, chunked coding; encoders |
//! | [`grip`] | GRIP: instructs of backends, published items, control messages |
//! | [`ws`] | RFC 6455 and 7692: handshake, frames, messages, compression |
//! | [`ws_events`] | WebSocket-over-HTTP: events in request and response bodies |
//! | [`zhttp`] | tnetstrings and the ZHTTP packets made of them |
//!
//! # Rules
//!
//! - A decoder takes any prefix of the stream and answers [`Parsed::Complete`] with the bytes used,
//!   [`Parsed::NeedMore`], or an error that names the cause. It never panics on input.
//! - Parsed HTTP heads and bodies borrow from the input: no allocation, no copy.
//! - Every limit is an argument or a named constant.
//! - Encoders append to a `Vec<u8>` and cannot fail.
//! - A message that two implementations could read in two ways is refused.
//!
//! # What it refuses to do
//!
//! No IO, no clock, no runtime, no global state, no logging, no `unsafe`. It does not decide
//! what becomes of a message either: that is `shard::core`.
//!
//! # Example
//!
//! ```
//! use proto::Parsed;
//! use proto::http1::{self, BodyReader, BodyStep, HeadLimits};
//!
//! let input = b"POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello";
//! let limits = HeadLimits { head_len_max: 8192, fields_max: 64 };
//! let mut slots = http1::empty_slots();
//! let Parsed::Complete(head, used) = http1::parse_request(input, &mut slots, &limits)? else {
//!     panic!("the head is complete");
//! };
//! assert_eq!((head.method, head.target, head.host), ("POST", "/a", "example.com"));
//!
//! let mut body = BodyReader::new(head.framing);
//! assert_eq!(body.step(&input[used..])?, BodyStep::Data { start: 0, end: 5 });
//! assert!(body.is_done());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod grip;
pub mod http;
pub mod http1;
pub mod ws;
pub mod ws_events;
pub mod zhttp;

/// What a decoder made of the front of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<T> {
    /// A value, and how many bytes of the input it took.
    Complete(T, usize),
    /// The input is a prefix of something valid: come again with more.
    NeedMore,
}
