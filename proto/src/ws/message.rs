//! Messages over frames: fragmentation, text, limits, Close (RFC 6455 sections 5.4 to 8.1).
//!
//! Data comes out piece by piece, unmasked where it lies; a control frame comes out whole. A
//! compressed message comes out compressed: see [`deflate`](super::deflate).

mod violation;

use super::MessageType;
use super::close::{Close, parse_close};
use super::frame::{
    CONTROL_LEN_MAX, FrameHead, FrameReader, FrameRules, FrameStep, Masking, Opcode, RSV1,
};
use super::utf8::Utf8Check;

pub use violation::Violation;

/// What a compressed message may be longer than its content, in bytes, apart from a 256th of it:
/// blocks that are stored cost five bytes each, and writers may flush often.
const COMPRESSED_SLACK_LEN: u64 = 1024;

/// What the messages of a connection may look like. Passed to each step: connections share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRules {
    /// Who the peer is.
    pub masking: Masking,
    /// Whether permessage-deflate was negotiated: RSV1 marks a compressed message.
    pub deflate: bool,
    /// Whether text must be UTF-8. Without it, text is passed as it comes, as Pushpin does.
    pub checks_text: bool,
    /// A message, at most, in bytes. Of a compressed one this bounds each frame loosely; what
    /// counts is the length that the inflater finds.
    pub message_len_max: u64,
}

impl ReadRules {
    const fn frame_rules(&self) -> FrameRules {
        FrameRules {
            masking: self.masking,
            rsv_allowed: if self.deflate { RSV1 } else { 0 },
        }
    }
}

/// What [`MessageReader::step`] found, and how much of the input it took.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'r> {
    /// Bytes of the input that are used up.
    pub used: usize,
    /// What they were.
    pub event: Event<'r>,
}

/// What a peer says.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'r> {
    /// Nothing complete: all input is used up and more is needed.
    NeedMore,
    /// A piece of a data message.
    Data(Data<'r>),
    /// A Ping with its payload.
    Ping(&'r [u8]),
    /// A Pong with its payload.
    Pong(&'r [u8]),
    /// A Close frame; `None` if it names no code. All further input is ignored
    /// (RFC 6455 section 1.4).
    Close(Option<Close<'r>>),
}

/// A piece of a data message. Its pieces have nothing to do with frames.
#[derive(Debug, PartialEq, Eq)]
pub struct Data<'r> {
    /// What the message is.
    pub message_type: MessageType,
    /// Whether the payload must be inflated; text is then not checked yet.
    pub is_compressed: bool,
    /// Whether the message begins with this piece.
    pub is_first: bool,
    /// Whether the message ends with this piece.
    pub is_last: bool,
    /// The payload, unmasked, within the input; empty only where a message begins or ends.
    pub payload: &'r mut [u8],
}

/// Reads messages from a stream that comes in pieces.
#[derive(Debug)]
pub struct MessageReader {
    frames: FrameReader,
    /// Bytes announced so far by the frames of the open message.
    message_len: u64,
    /// A control frame that came in pieces. Rare, so it is no part of every connection.
    cut_control: Option<Box<CutControl>>,
    text: Utf8Check,
    open: Option<Open>,
    place: Place,
}

/// The message that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    message_type: MessageType,
    is_compressed: bool,
    is_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BetweenFrames,
    /// Within a frame of the open message.
    Data {
        is_final: bool,
    },
    Control(Opcode),
    /// Behind a Close frame.
    Closed,
}

#[derive(Debug)]
struct CutControl {
    bytes: [u8; CONTROL_LEN_MAX],
    len: usize,
}

// One per WebSocket connection, idle ones too.
const _: () = assert!(size_of::<MessageReader>() <= 48);

impl Default for MessageReader {
    fn default() -> Self {
        Self::new()
    }
}

impl MessageReader {
    /// A reader before the first frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            frames: FrameReader::new(),
            message_len: 0,
            cut_control: None,
            text: Utf8Check::new(),
            open: None,
            place: Place::BetweenFrames,
        }
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub const fn is_within_message(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a Close frame has been read.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.place, Place::Closed)
    }

    /// Finds the next event at the front of `input`, the unread bytes of the connection. Call
    /// again with the rest until [`Event::NeedMore`].
    ///
    /// # Errors
    /// [`Violation`]; the stream cannot be read on after it.
    pub fn step<'r>(
        &'r mut self,
        input: &'r mut [u8],
        rules: &ReadRules,
    ) -> Result<Step<'r>, Violation> {
        if self.place == Place::BetweenFrames {
            self.cut_control = None;
        }
        let mut used = 0;
        loop {
            if self.place == Place::Closed {
                let used = input.len();
                return Ok(Step {
                    used,
                    event: Event::NeedMore,
                });
            }
            let rest = input.get_mut(used..).unwrap_or_default();
            let (len, is_end) = match self.frames.step(rest, &rules.frame_rules())? {
                FrameStep::NeedMore { used: more } => {
                    used += more;
                    return Ok(Step {
                        used,
                        event: Event::NeedMore,
                    });
                }
                FrameStep::Head {
                    head,
                    used: head_len,
                } => {
                    used += head_len;
                    self.begin_frame(&head, rules)?;
                    if head.payload_len > 0 || self.says_nothing(&head) {
                        continue;
                    }
                    (0, true)
                }
                FrameStep::Payload { len, is_end } => (len, is_end),
            };
            let start = used;
            used += len;
            match self.place {
                Place::Control(opcode) if is_end => {
                    let piece = input.get(start..used).unwrap_or_default();
                    let event = self.end_control(opcode, piece)?;
                    return Ok(Step { used, event });
                }
                Place::Control(_) => {
                    self.keep_control(input.get(start..used).unwrap_or_default());
                }
                Place::Data { is_final } => {
                    let payload = input.get_mut(start..used).unwrap_or_default();
                    let event = self.data(payload, is_end, is_final, rules)?;
                    return Ok(Step { used, event });
                }
                // Neither has a payload; the loop's start sees to them.
                Place::BetweenFrames | Place::Closed => {}
            }
        }
    }

    /// Whether the frame that just began is empty and tells nobody anything: not even that a
    /// message begins or ends.
    fn says_nothing(&mut self, head: &FrameHead) -> bool {
        let is_silent = head.opcode == Opcode::Continuation && !head.is_final;
        if is_silent {
            self.place = Place::BetweenFrames;
        }
        is_silent
    }

    fn begin_frame(&mut self, head: &FrameHead, rules: &ReadRules) -> Result<(), Violation> {
        let begun = match head.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.place = Place::Control(head.opcode);
                return Ok(());
            }
            Opcode::Continuation => None,
            Opcode::Text => Some(MessageType::Text),
            Opcode::Binary => Some(MessageType::Binary),
        };
        let is_marked = head.rsv & RSV1 != 0;
        let open = match (self.open, begun) {
            (Some(_), Some(_)) => return Err(Violation::UnfinishedMessage),
            (None, None) => return Err(Violation::UnexpectedContinuation),
            (Some(_), None) if is_marked => return Err(Violation::CompressedContinuation),
            (Some(open), None) => open,
            (None, Some(message_type)) => {
                self.message_len = 0;
                self.text = Utf8Check::new();
                Open {
                    message_type,
                    is_compressed: is_marked,
                    is_first: true,
                }
            }
        };
        self.count(head.payload_len, open.is_compressed, rules)?;
        self.open = Some(open);
        self.place = Place::Data {
            is_final: head.is_final,
        };
        Ok(())
    }

    /// Counts a frame before any of its payload is read.
    fn count(&mut self, len: u64, is_compressed: bool, rules: &ReadRules) -> Result<(), Violation> {
        let max = rules.message_len_max;
        if is_compressed {
            let frame_len_max = max.saturating_add(max / 256 + COMPRESSED_SLACK_LEN);
            return if len > frame_len_max {
                Err(Violation::TooBig { max })
            } else {
                Ok(())
            };
        }
        self.message_len = self.message_len.saturating_add(len);
        if self.message_len > max {
            return Err(Violation::TooBig { max });
        }
        Ok(())
    }

    fn data<'r>(
        &mut self,
        payload: &'r mut [u8],
        is_frame_end: bool,
        is_final: bool,
        rules: &ReadRules,
    ) -> Result<Event<'r>, Violation> {
        let Some(open) = self.open else {
            return Err(Violation::UnexpectedContinuation);
        };
        let is_last = is_frame_end && is_final;
        if open.message_type == MessageType::Text && !open.is_compressed && rules.checks_text {
            self.text.push(payload)?;
            if is_last {
                self.text.finish()?;
            }
        }
        if is_frame_end {
            self.place = Place::BetweenFrames;
        }
        self.open = (!is_last).then_some(Open {
            is_first: false,
            ..open
        });
        Ok(Event::Data(Data {
            message_type: open.message_type,
            is_compressed: open.is_compressed,
            is_first: open.is_first,
            is_last,
            payload,
        }))
    }

    fn keep_control(&mut self, piece: &[u8]) {
        let cut = self.cut_control.get_or_insert_with(|| {
            Box::new(CutControl {
                bytes: [0; CONTROL_LEN_MAX],
                len: 0,
            })
        });
        // The head was checked, so that it all fits.
        for (to, from) in cut.bytes.iter_mut().skip(cut.len).zip(piece) {
            *to = *from;
        }
        cut.len += piece.len();
    }

    fn end_control<'r>(
        &'r mut self,
        opcode: Opcode,
        piece: &'r [u8],
    ) -> Result<Event<'r>, Violation> {
        self.place = if opcode == Opcode::Close {
            Place::Closed
        } else {
            Place::BetweenFrames
        };
        if self.cut_control.is_some() {
            self.keep_control(piece);
        }
        let payload = match &self.cut_control {
            Some(cut) => cut.bytes.get(..cut.len).unwrap_or_default(),
            None => piece,
        };
        Ok(match opcode {
            Opcode::Close => Event::Close(parse_close(payload)?),
            Opcode::Pong => Event::Pong(payload),
            // Data frames never come here.
            Opcode::Ping | Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                Event::Ping(payload)
            }
        })
    }
}

#[cfg(test)]
mod tests;
