//! Masking of payload data (RFC 6455 section 5.3).

/// Masks or unmasks a payload that comes in pieces: the two are the same operation.
///
/// The key is kept turned so that its first byte belongs to the next byte of the payload; nothing
/// else has to be remembered between pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    key: [u8; 4],
}

impl Mask {
    /// The key that changes nothing: what an unmasked frame has.
    pub const NONE: Self = Self { key: [0; 4] };

    /// A mask at the start of a payload with this masking key.
    #[must_use]
    pub const fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// Masks the next piece of the payload, of any length, where it lies.
    pub fn apply(&mut self, piece: &mut [u8]) {
        if *self == Self::NONE {
            return;
        }
        let [a, b, c, d] = self.key;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, tail) = piece.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        for (byte, key) in tail.iter_mut().zip(self.key.iter().cycle()) {
            *byte ^= key;
        }
        // Whole words do not turn the key.
        self.key.rotate_left(tail.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grip::test_random::Random;

    #[test]
    fn the_example_of_the_rfc_is_unmasked() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        Mask::new([0x37, 0xfa, 0x21, 0x3d]).apply(&mut payload);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn pieces_cut_anywhere_at_any_offset_are_masked_like_the_whole() {
        let mut random = Random::new(11);
        for _round in 0..2_000 {
            let key = [0; 4].map(|_: u8| *random.pick(b"\x00\x01\x7f\xa5\xff"));
            let plain: Vec<u8> = (0..random.below(90))
                .map(|at| at.to_le_bytes()[0])
                .collect();
            let expected: Vec<u8> = plain
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect();
            let mut masked = plain.clone();
            let mut mask = Mask::new(key);
            let mut rest = masked.as_mut_slice();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at_mut(1 + random.below(rest.len()));
                mask.apply(piece);
                mask.apply(&mut []);
                rest = behind;
            }
            assert_eq!(masked, expected, "key {key:?}");
        }
    }
}
