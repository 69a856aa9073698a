//! Compresses messages (RFC 7692 section 7.2.1).

use flate2::{Compress, Compression, FlushCompress, Status};

use super::TAIL;
use super::history::History;
use super::negotiate::{SERVER_WINDOW_BITS_MIN, WINDOW_BITS_MAX};

/// Compression level that costs little and gets most of it.
pub const LEVEL_DEFAULT: u8 = 2;
const LEVEL_MAX: u8 = 9;

/// Room that a call must have, in bytes, so that its end of flush is never cut in two.
const ROOM_MIN: usize = 64;

/// The library refused to compress; nothing was appended. Answered with 1011.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("compression failed")]
pub struct DeflateError;

/// Compresses the messages of any number of connections, one after another.
#[derive(Debug)]
pub struct Deflater {
    engine: Compress,
    window_bits: u8,
}

impl Deflater {
    /// An engine for connections whose window is at least this large (9 to 15 bits; others are
    /// brought into this range). `level` is 1 to 9. Takes 250 to 380 KB of memory. With context
    /// takeover, most of the time of a short message goes into its history: 10 µs for one of 12
    /// bits, 60 µs for 15.
    #[must_use]
    pub fn new(window_bits: u8, level: u8) -> Self {
        let window_bits = window_bits.clamp(SERVER_WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        let level = Compression::new(u32::from(level.clamp(1, LEVEL_MAX)));
        Self {
            engine: Compress::new_with_window_bits(level, false, window_bits),
            window_bits,
        }
    }

    /// The window that the engine uses.
    #[must_use]
    pub const fn window_bits(&self) -> u8 {
        self.window_bits
    }

    /// Appends the compressed form of the next piece of a message; the message ends if `is_last`.
    /// Each piece can be sent at once, its last as the end of a final frame.
    ///
    /// Pieces refer to what `history` keeps of the connection and add to it. Without context
    /// takeover each piece stands alone, so that pieces of many connections may alternate.
    ///
    /// # Errors
    /// [`DeflateError`].
    pub fn compress(
        &mut self,
        history: &mut History,
        piece: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), DeflateError> {
        let start = out.len();
        let compressed = self.append(history, piece, out);
        if compressed.is_err() {
            out.truncate(start);
            return Err(DeflateError);
        }
        history.push(piece);
        if is_last && out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        Ok(())
    }

    fn append(
        &mut self,
        history: &History,
        piece: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), flate2::CompressError> {
        self.engine.reset();
        if !history.as_slice().is_empty() {
            self.engine.set_dictionary(history.as_slice())?;
        }
        // Nearly always enough for all of it.
        out.reserve(piece.len() / 2 + ROOM_MIN);
        loop {
            let used = usize::try_from(self.engine.total_in()).unwrap_or(usize::MAX);
            let rest = piece.get(used..).unwrap_or_default();
            let status = self.engine.compress_vec(rest, out, FlushCompress::Sync)?;
            // Room that is left means that all is out, and so is the end of the flush.
            if out.len() < out.capacity() || status == Status::BufError {
                return Ok(());
            }
            out.reserve(rest.len() / 2 + ROOM_MIN);
        }
    }
}
