//! Frames written (RFC 6455 section 5.2).
//!
//! A server's frames have no masking key; a client's, towards a backend, have a fresh random one
//! each (RFC 6455 section 5.3), which the caller draws.

use super::MessageType;
use super::close::{Close, write_close_payload};
use super::frame::{FIN, FrameHead, HEAD_LEN_MAX, LEN_16, LEN_64, MASKED, Opcode};
use super::mask::Mask;

impl MessageType {
    /// The opcode of the first frame of such a message.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

impl FrameHead {
    /// The head of an unmasked frame that is a whole message, not compressed.
    #[must_use]
    pub const fn whole(opcode: Opcode, payload_len: usize) -> Self {
        Self {
            opcode,
            is_final: true,
            rsv: 0,
            mask: None,
            payload_len: payload_len as u64,
        }
    }

    /// The bytes of this head; no allocation, for writes that gather.
    #[must_use]
    pub fn to_bytes(&self) -> HeadBytes {
        let mut bytes = HeadBytes {
            bytes: [0; HEAD_LEN_MAX],
            len: 0,
        };
        let fin = if self.is_final { FIN } else { 0 };
        bytes.push(&[fin | self.rsv | self.opcode.bits()]);
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match (
            u8::try_from(self.payload_len),
            u16::try_from(self.payload_len),
        ) {
            (Ok(len), _) if len < LEN_16 => bytes.push(&[masked | len]),
            (_, Ok(len)) => {
                bytes.push(&[masked | LEN_16]);
                bytes.push(&len.to_be_bytes());
            }
            (_, Err(_)) => {
                bytes.push(&[masked | LEN_64]);
                bytes.push(&self.payload_len.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            bytes.push(&key);
        }
        bytes
    }
}

/// A frame head as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadBytes {
    bytes: [u8; HEAD_LEN_MAX],
    len: u8,
}

impl HeadBytes {
    /// The bytes, 2 to [`HEAD_LEN_MAX`].
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn push(&mut self, piece: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(usize::from(self.len)).zip(piece) {
            *to = *from;
            self.len += 1;
        }
    }
}

/// Appends a frame with this head; its payload is masked if the head has a key. The head's payload
/// length must be that of `payload`.
pub fn frame(out: &mut Vec<u8>, head: &FrameHead, payload: &[u8]) {
    debug_assert_eq!(head.payload_len, payload.len() as u64);
    let bytes = head.to_bytes();
    out.reserve(bytes.as_slice().len() + payload.len());
    out.extend_from_slice(bytes.as_slice());
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = head.mask {
        Mask::new(key).apply(out.get_mut(start..).unwrap_or_default());
    }
}

/// Appends a whole message or control frame: one frame, not compressed.
pub fn message(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) {
    let head = FrameHead {
        mask,
        ..FrameHead::whole(opcode, payload.len())
    };
    frame(out, &head, payload);
}

/// Appends a Close frame; without `close` it has no payload. A reason that is too long is cut.
pub fn close(out: &mut Vec<u8>, close: Option<Close<'_>>, mask: Option<[u8; 4]>) {
    let mut payload = Vec::new();
    if let Some(close) = close {
        write_close_payload(&mut payload, close);
    }
    message(out, Opcode::Close, &payload, mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut out = Vec::new();
        message(&mut out, opcode, payload, mask);
        out
    }

    #[test]
    fn frames_look_as_the_reference_shows_them() {
        const KEY: Option<[u8; 4]> = Some([1, 2, 3, 4]);
        assert_eq!(
            written(Opcode::Text, b"hi", KEY),
            [0x81, 0x82, 1, 2, 3, 4, 0x69, 0x6b]
        );
        assert_eq!(written(Opcode::Text, b"hi", None), b"\x81\x02hi");
        assert_eq!(written(Opcode::Ping, b"", None), [0x89, 0]);
        assert_eq!(
            written(Opcode::Binary, b"\x00\x01\xff", None),
            [0x82, 3, 0, 1, 0xff]
        );
    }

    #[test]
    fn close_frames_look_as_the_reference_shows_them() {
        let bye = Some(Close {
            code: 4001,
            reason: "bye",
        });
        let mut out = Vec::new();
        close(&mut out, bye, None);
        assert_eq!(out, b"\x88\x05\x0f\xa1bye");
        out.clear();
        close(&mut out, bye, Some([1, 2, 3, 4]));
        assert_eq!(out, [0x88, 0x85, 1, 2, 3, 4, 0x0e, 0xa3, 0x61, 0x7d, 0x64]);
        out.clear();
        close(&mut out, None, None);
        assert_eq!(out, [0x88, 0]);
    }

    #[test]
    fn a_close_frame_never_outgrows_a_control_frame() {
        let reason = "x".repeat(124);
        let mut out = Vec::new();
        close(
            &mut out,
            Some(Close {
                code: 4321,
                reason: &reason,
            }),
            None,
        );
        assert_eq!(out.len(), 2 + 125);
    }

    #[test]
    fn lengths_take_the_fewest_bytes() {
        let cases: [(u64, &[u8]); 7] = [
            (0, &[0x82, 0]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (255, &[0x82, 126, 0, 255]),
            (256, &[0x82, 126, 1, 0]),
            (65535, &[0x82, 126, 0xff, 0xff]),
            (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ];
        for (payload_len, bytes) in cases {
            let head = FrameHead {
                payload_len,
                ..FrameHead::whole(Opcode::Binary, 0)
            };
            assert_eq!(head.to_bytes().as_slice(), bytes, "{payload_len}");
        }
    }
}
