//! permessage-deflate (RFC 7692): negotiation, and messages compressed and inflated.
//!
//! A zlib state takes tens to hundreds of kilobytes, far too much for a connection that is idle.
//! So the engines here belong to nobody: [`Deflater`] and [`Inflater`] serve one message after
//! another, whosever it is. What a connection with context takeover keeps is a [`History`]: the
//! last bytes of its messages, no more than the window that was negotiated, given to the engine as
//! a dictionary. A connection without context takeover keeps nothing.
//!
//! Off unless configured. Limits: a history's window; a message's length when inflated, counted
//! as it grows, so that a small bomb does not unfold.

mod compress;
mod history;
mod inflate;
mod negotiate;

pub use compress::{DeflateError, Deflater, LEVEL_DEFAULT};
pub use history::History;
pub use inflate::{InflateRules, InflateStep, Inflater, Progress};
pub use negotiate::{
    DeflateParams, DeflatePolicy, NAME, OfferError, SERVER_WINDOW_BITS_MIN, WINDOW_BITS_MAX,
    WINDOW_BITS_MIN,
};

/// What ends each compressed message and is not sent (RFC 7692 section 7.2.1): the end of an
/// empty block without compression.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

#[cfg(test)]
mod tests;
