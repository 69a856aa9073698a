//! Inflates messages (RFC 7692 section 7.2.2), never beyond their limit.

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;
use super::history::History;
use crate::ws::message::Violation;
use crate::ws::utf8::Utf8Check;

/// Room made at once in the output, at most, in bytes.
const ROOM_LEN: usize = 16 * 1024;

/// What the inflated messages of a connection may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflateRules {
    /// Whether the message must be UTF-8.
    pub checks_text: bool,
    /// The message when inflated, at most, in bytes.
    pub message_len_max: u64,
}

/// What [`Inflater::step`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflateStep {
    /// Bytes of the piece that are used up.
    pub used: usize,
    /// How it goes on.
    pub progress: Progress,
}

/// How the inflating of a message goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The piece is used up, and its content is all out.
    NeedMore,
    /// The output has reached its bound. Come again with the rest of the piece, be it empty.
    OutputFull,
    /// The message is complete and checked.
    End,
}

/// Inflates the messages of any number of connections, one after another.
///
/// Belongs to one message from [`Inflater::begin`] to [`Inflater::finish`]; a message whose pieces
/// are not all here keeps it that long. Takes about 48 KB of memory.
#[derive(Debug)]
pub struct Inflater {
    engine: Decompress,
    history: History,
    text: Option<Utf8Check>,
    len_left: u64,
    message_len_max: u64,
    /// Bytes of the tail that were fed already.
    tail_used: usize,
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Inflater {
    /// An engine for windows of any size.
    #[must_use]
    pub fn new() -> Self {
        Self {
            engine: Decompress::new(false),
            history: History::none(),
            text: None,
            len_left: 0,
            message_len_max: 0,
            tail_used: 0,
        }
    }

    /// Begins a message. The history is the connection's and comes back by [`Inflater::finish`].
    pub fn begin(&mut self, history: History, rules: &InflateRules) {
        self.history = history;
        self.text = rules.checks_text.then(Utf8Check::new);
        self.len_left = rules.message_len_max;
        self.message_len_max = rules.message_len_max;
        self.tail_used = 0;
        self.restart();
    }

    /// Ends a message, complete or not; the result is the connection's history.
    #[must_use]
    pub fn finish(&mut self) -> History {
        std::mem::take(&mut self.history)
    }

    /// Inflates the next piece of the message and appends to `out`, which is filled up to
    /// `out_len_max` bytes and no further. `is_last` says that the message ends with this piece.
    ///
    /// # Errors
    /// [`Violation::NotDeflate`], [`Violation::TooBig`] or [`Violation::NotUtf8`].
    pub fn step(
        &mut self,
        piece: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
        out_len_max: usize,
    ) -> Result<InflateStep, Violation> {
        let mut used = 0;
        loop {
            let room = out_len_max.saturating_sub(out.len());
            if room == 0 {
                let progress = Progress::OutputFull;
                return Ok(InflateStep { used, progress });
            }
            let rest = piece.get(used..).unwrap_or_default();
            let tail = TAIL.get(self.tail_used..).unwrap_or_default();
            let is_tail = rest.is_empty() && is_last;
            let source = if is_tail { tail } else { rest };
            let (taken, has_room_left) = self.inflate(source, out, room)?;
            if is_tail {
                self.tail_used += taken;
            } else {
                used += taken;
            }
            // With room left, the engine holds nothing back of what it took.
            if taken < source.len() || !has_room_left {
                continue;
            }
            if is_tail {
                if let Some(text) = &self.text {
                    text.finish()?;
                }
                let progress = Progress::End;
                return Ok(InflateStep { used, progress });
            }
            if !is_last {
                let progress = Progress::NeedMore;
                return Ok(InflateStep { used, progress });
            }
        }
    }

    /// Inflates once: how much of `source` was taken, and whether there was room left over.
    fn inflate(
        &mut self,
        source: &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<(usize, bool), Violation> {
        // One byte more than allowed, so that a message of just that length is told from a
        // longer one.
        let len_left = usize::try_from(self.len_left).unwrap_or(usize::MAX);
        let room = room.min(ROOM_LEN).min(len_left.saturating_add(1));
        let start = out.len();
        out.resize(start + room, 0);
        let taken_before = self.engine.total_in();
        let made_before = self.engine.total_out();
        let to = out.get_mut(start..).unwrap_or_default();
        let status = self.engine.decompress(source, to, FlushDecompress::Sync);
        let taken = usize::try_from(self.engine.total_in() - taken_before).unwrap_or(usize::MAX);
        let made = usize::try_from(self.engine.total_out() - made_before).unwrap_or(room);
        out.truncate(start + made);
        let status = status.map_err(|_corrupt| Violation::NotDeflate)?;
        self.take(out.get(start..).unwrap_or_default())?;
        match status {
            // A final block within a message: another stream follows (RFC 7692 section 7.2.3.4).
            Status::StreamEnd => self.restart(),
            Status::BufError if taken == 0 && made == 0 && !source.is_empty() => {
                return Err(Violation::NotDeflate);
            }
            Status::Ok | Status::BufError => {}
        }
        Ok((taken, made < room))
    }

    /// Counts, checks and remembers what was inflated.
    fn take(&mut self, inflated: &[u8]) -> Result<(), Violation> {
        let max = self.message_len_max;
        self.len_left = self
            .len_left
            .checked_sub(inflated.len() as u64)
            .ok_or(Violation::TooBig { max })?;
        if let Some(text) = &mut self.text {
            text.push(inflated)?;
        }
        self.history.push(inflated);
        Ok(())
    }

    fn restart(&mut self) {
        self.engine.reset(false);
        if !self.history.as_slice().is_empty() {
            // Only streams with a header can refuse a dictionary. If one were refused all the
            // same, the message would fail as corrupt.
            let _checksum = self.engine.set_dictionary(self.history.as_slice());
        }
    }
}
