//! What the tests of this module share: a source of repeatable chance.

/// A xorshift generator: the same seed gives the same numbers on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Zero would stay zero for ever.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(super) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// `input` cut into pieces of random size, empty ones included.
    pub(super) fn pieces<'i>(&mut self, input: &'i [u8]) -> Vec<&'i [u8]> {
        let mut pieces = Vec::new();
        let mut rest = input;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(self.below(rest.len().min(20) + 1));
            pieces.push(piece);
            rest = behind;
        }
        pieces
    }
}
