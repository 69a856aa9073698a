//! Frames on the wire (RFC 6455 section 5.2), read piece by piece.
//!
//! Nothing is buffered but a head that was cut, and payload data is unmasked where it lies. Which
//! frames may follow each other is for [`message`](super::message).

use super::mask::Mask;
use crate::Parsed;

/// A frame head, at most, in bytes.
pub const HEAD_LEN_MAX: usize = 14;

/// The payload of a control frame, at most, in bytes (RFC 6455 section 5.5).
pub const CONTROL_LEN_MAX: usize = 125;

/// The bit of [`FrameHead::rsv`] that marks a compressed message (RFC 7692 section 6).
pub const RSV1: u8 = 0x40;

pub(super) const FIN: u8 = 0x80;
pub(super) const MASKED: u8 = 0x80;
/// Values of the 7-bit length that announce a longer one.
pub(super) const LEN_16: u8 = 126;
pub(super) const LEN_64: u8 = 127;
const RSV: u8 = 0x70;
const OPCODE: u8 = 0x0f;

/// What a frame is for (RFC 6455 section 11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message that is open.
    Continuation = 0x0,
    /// The start of a text message.
    Text = 0x1,
    /// The start of a binary message.
    Binary = 0x2,
    /// The end of the connection.
    Close = 0x8,
    /// Asks for a Pong.
    Ping = 0x9,
    /// Answers a Ping, or is a heartbeat of its own.
    Pong = 0xa,
}

impl Opcode {
    /// Whether frames of this kind are control frames (RFC 6455 section 5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// The four bits as a head has them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }
}

/// Whether the peer must mask (RFC 6455 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masking {
    /// The peer is a client.
    Required,
    /// The peer is a server.
    Forbidden,
    /// Either way: lenient towards backends that mask, as Pushpin is.
    Any,
}

/// What the frames of a connection may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRules {
    /// Who the peer is.
    pub masking: Masking,
    /// The reserved bits that an extension gave a meaning, in place (`0x40`, `0x20`, `0x10`).
    pub rsv_allowed: u8,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// What the frame is for.
    pub opcode: Opcode,
    /// Whether it is the last of its message.
    pub is_final: bool,
    /// The reserved bits, in place; allowed ones only.
    pub rsv: u8,
    /// The masking key, if the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// Length of the payload, in bytes.
    pub payload_len: u64,
}

/// Why a frame is refused. All are protocol errors of the peer: 1002.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// An opcode that is not defined.
    #[error("invalid opcode")]
    Opcode {
        /// Its four bits.
        bits: u8,
    },
    /// A reserved bit that no extension has given a meaning, or any on a control frame.
    #[error("invalid reserved bits")]
    ReservedBits,
    /// A control frame that is not final.
    #[error("fragmented control frame")]
    FragmentedControl,
    /// A control frame of more than [`CONTROL_LEN_MAX`] bytes.
    #[error("control frame too long")]
    ControlTooLong,
    /// A client's frame that is not masked.
    #[error("frame is not masked")]
    NotMasked,
    /// A server's frame that is masked.
    #[error("frame is masked")]
    Masked,
    /// A length in more bytes than needed, or with the topmost bit set.
    #[error("invalid payload length")]
    InvalidLen,
}

/// Reads a frame head from the front of `buf`, which may hold any prefix of the stream.
///
/// # Errors
/// [`FrameError`] as soon as no further byte could make the head acceptable.
pub fn parse_head(buf: &[u8], rules: &FrameRules) -> Result<Parsed<FrameHead>, FrameError> {
    let Some((&first, rest)) = buf.split_first() else {
        return Ok(Parsed::NeedMore);
    };
    let opcode = first_byte(first, rules)?;
    let Some((&second, rest)) = rest.split_first() else {
        return Ok(Parsed::NeedMore);
    };
    let is_masked = second & MASKED != 0;
    match rules.masking {
        Masking::Required if !is_masked => return Err(FrameError::NotMasked),
        Masking::Forbidden if is_masked => return Err(FrameError::Masked),
        Masking::Required | Masking::Forbidden | Masking::Any => {}
    }
    let short_len = second & !MASKED;
    if opcode.is_control() && usize::from(short_len) > CONTROL_LEN_MAX {
        return Err(FrameError::ControlTooLong);
    }
    let Some((payload_len, rest)) = payload_len(short_len, rest)? else {
        return Ok(Parsed::NeedMore);
    };
    let (mask, rest) = match rest.split_first_chunk::<4>() {
        _ if !is_masked => (None, rest),
        Some((key, rest)) => (Some(*key), rest),
        None => return Ok(Parsed::NeedMore),
    };
    let head = FrameHead {
        opcode,
        is_final: first & FIN != 0,
        rsv: first & RSV,
        mask,
        payload_len,
    };
    Ok(Parsed::Complete(head, buf.len() - rest.len()))
}

fn first_byte(first: u8, rules: &FrameRules) -> Result<Opcode, FrameError> {
    let bits = first & OPCODE;
    let opcode = Opcode::from_bits(bits).ok_or(FrameError::Opcode { bits })?;
    // No extension of ours touches control frames (RFC 7692 section 6.1).
    let rsv_allowed = if opcode.is_control() {
        0
    } else {
        rules.rsv_allowed
    };
    if first & RSV & !rsv_allowed != 0 {
        return Err(FrameError::ReservedBits);
    }
    if opcode.is_control() && first & FIN == 0 {
        return Err(FrameError::FragmentedControl);
    }
    Ok(opcode)
}

/// The payload length and what follows it; `None` if it is cut.
fn payload_len(short_len: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, FrameError> {
    let (len, rest, len_min) = match short_len {
        LEN_16 => match rest.split_first_chunk::<2>() {
            Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest, u64::from(LEN_16)),
            None => return Ok(None),
        },
        LEN_64 => match rest.split_first_chunk::<8>() {
            Some((len, rest)) => (u64::from_be_bytes(*len), rest, 1 << 16),
            None => return Ok(None),
        },
        _ => (u64::from(short_len), rest, 0),
    };
    if len < len_min || len > i64::MAX.cast_unsigned() {
        return Err(FrameError::InvalidLen);
    }
    Ok(Some((len, rest)))
}

/// What [`FrameReader::step`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameStep {
    /// All input is used up and more is needed.
    NeedMore {
        /// The length of the input.
        used: usize,
    },
    /// A frame begins. Its payload follows, unless it is empty.
    Head {
        /// The head.
        head: FrameHead,
        /// The bytes of it that were in this input.
        used: usize,
    },
    /// `input[..len]` is payload data of that frame, unmasked now, and not empty.
    Payload {
        /// How many bytes.
        len: usize,
        /// Whether the frame ends with them.
        is_end: bool,
    },
}

/// Reads frames one after another from a stream that comes in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameReader {
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before or within a head, of which `len` bytes are here.
    Head { len: u8, bytes: [u8; HEAD_LEN_MAX] },
    /// Within a payload, of which `left` bytes are to come, at least one.
    Payload { left: u64, mask: Mask },
}

impl Place {
    const START: Self = Self::Head {
        len: 0,
        bytes: [0; HEAD_LEN_MAX],
    };
}

// One per WebSocket connection, idle ones too.
const _: () = assert!(size_of::<FrameReader>() <= 16);

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameReader {
    /// A reader before the first frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            place: Place::START,
        }
    }

    /// Whether the stream may end here: between two frames.
    #[must_use]
    pub const fn is_between_frames(&self) -> bool {
        matches!(self.place, Place::Head { len: 0, .. })
    }

    /// Finds the next head or piece of payload at the front of `input`, the unread bytes of the
    /// connection, and unmasks it. Call again with the rest of the input.
    ///
    /// # Errors
    /// [`FrameError`]; the stream cannot be read on after it.
    pub fn step(&mut self, input: &mut [u8], rules: &FrameRules) -> Result<FrameStep, FrameError> {
        match &mut self.place {
            Place::Head { len: 0, .. } => match parse_head(input, rules)? {
                Parsed::Complete(head, used) => Ok(self.begin(head, used)),
                Parsed::NeedMore => Ok(self.keep_cut_head(input)),
            },
            Place::Head { .. } => self.complete_head(input, rules),
            Place::Payload { .. } if input.is_empty() => Ok(FrameStep::NeedMore { used: 0 }),
            Place::Payload { left, mask } => {
                // What does not fit into `usize` is more than any input has.
                let len = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                mask.apply(input.get_mut(..len).unwrap_or_default());
                *left -= len as u64;
                let is_end = *left == 0;
                if is_end {
                    self.place = Place::START;
                }
                Ok(FrameStep::Payload { len, is_end })
            }
        }
    }

    fn begin(&mut self, head: FrameHead, used: usize) -> FrameStep {
        self.place = match head.payload_len {
            0 => Place::START,
            left => Place::Payload {
                left,
                mask: head.mask.map_or(Mask::NONE, Mask::new),
            },
        };
        FrameStep::Head { head, used }
    }

    fn keep_cut_head(&mut self, input: &[u8]) -> FrameStep {
        let mut bytes = [0; HEAD_LEN_MAX];
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(input) {
            *to = *from;
            len += 1;
        }
        self.place = Place::Head { len, bytes };
        FrameStep::NeedMore { used: input.len() }
    }

    fn complete_head(&mut self, input: &[u8], rules: &FrameRules) -> Result<FrameStep, FrameError> {
        let Place::Head { len, bytes } = &mut self.place else {
            return Ok(FrameStep::NeedMore { used: 0 });
        };
        let len_before = usize::from(*len);
        for (to, from) in bytes.iter_mut().skip(len_before).zip(input) {
            *to = *from;
            *len += 1;
        }
        let so_far = bytes.get(..usize::from(*len)).unwrap_or_default();
        match parse_head(so_far, rules)? {
            Parsed::Complete(head, used) => Ok(self.begin(head, used - len_before)),
            // A head never needs more than the array holds, so all of the input went into it.
            Parsed::NeedMore => Ok(FrameStep::NeedMore { used: input.len() }),
        }
    }
}

#[cfg(test)]
mod tests;
