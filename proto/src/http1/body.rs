//! Message bodies (RFC 9112 sections 6 and 7.1), found piece by piece.
//!
//! No buffer and no copy: the reader says which part of the input is content. It keeps what it must
//! remember of a split chunk-size line in itself, so that the caller never has to keep any byte.

use super::{CONTENT_LEN_MAX, Framing};
use crate::http::fields;

/// A chunk-size line with its extensions, at most, in bytes without CRLF.
pub const CHUNK_LINE_LEN_MAX: u16 = 256;

/// A trailer section, at most, in bytes including its CRLFs.
pub const TRAILERS_LEN_MAX: u16 = 8192;

/// Reads one message body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyReader {
    /// `Content-Length`: `left` bytes of content are to come, at least one.
    Length {
        /// Bytes still to come.
        left: u64,
    },
    /// Chunked coding, somewhere within.
    Chunked(ChunkedState),
    /// All that comes is content.
    UntilClose,
    /// The message is complete; further input belongs to the next one.
    Done,
}

/// What [`BodyReader::step`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyStep {
    /// `input[start..end]` is content, not empty; `input[..end]` is used up.
    Data {
        /// Where the content begins.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// All input is used up and more is needed; there was no content in it.
    NeedMore {
        /// The length of the input.
        used: usize,
    },
    /// The message is complete; a trailer section was checked and dropped.
    End {
        /// Bytes used up; what follows belongs to the next message.
        used: usize,
    },
}

/// Why a body is refused. A request is answered with 400; the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A chunk-size line without digits, or with anything but an extension behind them.
    #[error("invalid chunk size")]
    InvalidChunkSize,
    /// A chunk size beyond [`CONTENT_LEN_MAX`].
    #[error("chunk too large")]
    ChunkTooLarge,
    /// No CRLF behind the data of a chunk.
    #[error("invalid chunk suffix")]
    InvalidChunkSuffix,
    /// A chunk-size line over its limit.
    #[error("chunk-size line is longer than {max} bytes")]
    ChunkLineTooLong {
        /// The limit, in bytes.
        max: u16,
    },
    /// A line of the trailer section that is no field line.
    #[error("invalid trailer")]
    InvalidTrailer,
    /// A trailer section over its limit.
    #[error("trailer section is longer than {max} bytes")]
    TrailersTooLarge {
        /// The limit, in bytes.
        max: u16,
    },
    /// The peer closed before the message was complete.
    #[error("message ended early")]
    Truncated,
}

/// Where in the chunked coding a [`BodyReader`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkedState {
    /// Bytes of the current chunk: as far as read in `Size`, still to come in `Data`.
    len: u64,
    /// Bytes of the current chunk-size line or trailer section so far.
    line_len: u16,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first digit of a chunk size.
    SizeStart,
    Size,
    Extension,
    /// Behind the CR of a chunk-size line.
    SizeLf,
    Data,
    /// Behind the data of a chunk.
    DataCr,
    DataLf,
    /// At the start of a line of the trailer section.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    /// Behind the CR of the empty line.
    EndLf,
    Done,
}

impl BodyReader {
    /// A reader at the start of a body that is framed like this.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(left) => Self::Length { left },
            Framing::Chunked => Self::Chunked(ChunkedState::START),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Whether the message is complete, so that no input is needed any more.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Finds the next piece of content in `input`, the unread bytes of the connection.
    ///
    /// Call again with the rest after [`BodyStep::Data`]. Once the message is complete, every call
    /// answers [`BodyStep::End`] and uses nothing.
    ///
    /// # Errors
    /// [`BodyError`] when the coding is broken or a limit is reached.
    pub fn step(&mut self, input: &[u8]) -> Result<BodyStep, BodyError> {
        match self {
            Self::Done => Ok(BodyStep::End { used: 0 }),
            Self::UntilClose if input.is_empty() => Ok(BodyStep::NeedMore { used: 0 }),
            Self::UntilClose => Ok(BodyStep::Data {
                start: 0,
                end: input.len(),
            }),
            Self::Length { .. } if input.is_empty() => Ok(BodyStep::NeedMore { used: 0 }),
            Self::Length { left } => {
                let end = take(left, input.len());
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(BodyStep::Data { start: 0, end })
            }
            Self::Chunked(state) => {
                let step = state.step(input)?;
                if matches!(step, BodyStep::End { .. }) {
                    *self = Self::Done;
                }
                Ok(step)
            }
        }
    }

    /// Whether a message may end here because the peer closed.
    ///
    /// # Errors
    /// [`BodyError::Truncated`] if content or the end of the coding is missing.
    pub const fn finish_at_eof(&self) -> Result<(), BodyError> {
        match self {
            Self::Done | Self::UntilClose => Ok(()),
            Self::Length { .. } | Self::Chunked(_) => Err(BodyError::Truncated),
        }
    }
}

impl ChunkedState {
    const START: Self = Self {
        len: 0,
        line_len: 0,
        place: Place::SizeStart,
    };

    fn step(&mut self, input: &[u8]) -> Result<BodyStep, BodyError> {
        for (at, &b) in input.iter().enumerate() {
            if self.place == Place::Data {
                let end = at + take(&mut self.len, input.len() - at);
                if self.len == 0 {
                    self.place = Place::DataCr;
                }
                return Ok(BodyStep::Data { start: at, end });
            }
            self.place = self.next(b)?;
            if self.place == Place::Done {
                return Ok(BodyStep::End { used: at + 1 });
            }
        }
        Ok(BodyStep::NeedMore { used: input.len() })
    }

    /// Takes one byte that is not content.
    fn next(&mut self, b: u8) -> Result<Place, BodyError> {
        match self.place {
            Place::SizeStart | Place::Size | Place::Extension | Place::SizeLf => self.size_line(b),
            Place::DataCr if b == b'\r' => Ok(Place::DataLf),
            Place::DataLf if b == b'\n' => Ok(self.restart(Place::SizeStart)),
            Place::DataCr | Place::DataLf => Err(BodyError::InvalidChunkSuffix),
            Place::TrailerStart
            | Place::TrailerName
            | Place::TrailerValue
            | Place::TrailerLf
            | Place::EndLf => self.trailer(b),
            // Content and what follows the message are never passed here.
            Place::Data | Place::Done => Ok(self.place),
        }
    }

    fn size_line(&mut self, b: u8) -> Result<Place, BodyError> {
        match (self.place, b) {
            (Place::SizeLf, b'\n') if self.len == 0 => {
                return Ok(self.restart(Place::TrailerStart));
            }
            (Place::SizeLf, b'\n') => return Ok(Place::Data),
            (Place::Size | Place::Extension, b'\r') => return Ok(Place::SizeLf),
            _ => {}
        }
        self.count(CHUNK_LINE_LEN_MAX)
            .ok_or(BodyError::ChunkLineTooLong {
                max: CHUNK_LINE_LEN_MAX,
            })?;
        match self.place {
            Place::SizeStart | Place::Size => match hex_digit(b) {
                Some(digit) => self.push_digit(digit).map(|()| Place::Size),
                None if b == b';' && self.place == Place::Size => Ok(Place::Extension),
                None => Err(BodyError::InvalidChunkSize),
            },
            Place::Extension if fields::is_field_value_byte(b) => Ok(Place::Extension),
            _ => Err(BodyError::InvalidChunkSize),
        }
    }

    fn trailer(&mut self, b: u8) -> Result<Place, BodyError> {
        self.count(TRAILERS_LEN_MAX)
            .ok_or(BodyError::TrailersTooLarge {
                max: TRAILERS_LEN_MAX,
            })?;
        match (self.place, b) {
            (Place::TrailerStart, b'\r') => Ok(Place::EndLf),
            (Place::EndLf, b'\n') => Ok(Place::Done),
            (Place::TrailerName, b':') => Ok(Place::TrailerValue),
            (Place::TrailerStart | Place::TrailerName, _) if fields::is_token_byte(b) => {
                Ok(Place::TrailerName)
            }
            (Place::TrailerValue, b'\r') => Ok(Place::TrailerLf),
            (Place::TrailerValue, _) if fields::is_field_value_byte(b) => Ok(Place::TrailerValue),
            (Place::TrailerLf, b'\n') => Ok(Place::TrailerStart),
            _ => Err(BodyError::InvalidTrailer),
        }
    }

    fn restart(&mut self, place: Place) -> Place {
        (self.len, self.line_len) = (0, 0);
        place
    }

    /// Counts a byte of a line or section; `None` when that is one too many.
    fn count(&mut self, max: u16) -> Option<()> {
        self.line_len = self.line_len.checked_add(1).filter(|len| *len <= max)?;
        Some(())
    }

    fn push_digit(&mut self, digit: u8) -> Result<(), BodyError> {
        self.len = self
            .len
            .checked_mul(16)
            .and_then(|len| len.checked_add(u64::from(digit)))
            .filter(|len| *len <= CONTENT_LEN_MAX)
            .ok_or(BodyError::ChunkTooLarge)?;
        Ok(())
    }
}

/// Takes up to `available` bytes off `left`; the result is how many.
fn take(left: &mut u64, available: usize) -> usize {
    // What does not fit into `usize` is more than any input has.
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
    *left -= taken as u64;
    taken
}

const fn hex_digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
