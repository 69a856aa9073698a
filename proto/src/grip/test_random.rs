//! A small deterministic source of random numbers for the tests.

/// A xorshift generator.
pub(crate) struct Random(u64);

impl Random {
    /// Starts from `seed`, which must not be 0.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    /// One of `all`.
    pub(crate) fn pick<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    /// Damages `bytes`: cuts them, changes some, or inserts some.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _step in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            let byte = *self.pick(b"\"\\;,=<>{}[]:0#~\x00\xff\r\n x");
            match self.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => bytes[at] = byte,
                _ if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
    }
}
