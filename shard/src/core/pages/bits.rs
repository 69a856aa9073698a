//! A set of small numbers that finds its lowest member fast: bits, and one bit per word of bits.

/// The set. A member costs a bit while a higher one is, or recently was, in the set.
#[derive(Debug)]
pub(super) struct Bits {
    words: Vec<u64>,
    /// Bit `i` is set when `words[i]` is not 0.
    summary: Vec<u64>,
}

impl Bits {
    pub(super) const fn new() -> Self {
        Self {
            words: Vec::new(),
            summary: Vec::new(),
        }
    }

    /// Adds a number.
    pub(super) fn set(&mut self, number: usize) {
        set_in(&mut self.words, number);
        set_in(&mut self.summary, number / 64);
    }

    /// Takes a number out.
    pub(super) fn clear(&mut self, number: usize) {
        if clear_in(&mut self.words, number) {
            clear_in(&mut self.summary, number / 64);
        }
    }

    /// The lowest number in the set: one step per 4,096 numbers below it.
    pub(super) fn first(&self) -> Option<usize> {
        let high = lowest(&self.summary)?;
        let word = self.words.get(high)?;
        Some(high * 64 + word.trailing_zeros() as usize)
    }

    /// Gives back what numbers from `bound` on needed; they must not be in the set.
    pub(super) fn shrink(&mut self, bound: usize) {
        let words = bound.div_ceil(64);
        self.words.truncate(words);
        self.words.shrink_to_fit();
        self.summary.truncate(words.div_ceil(64));
        self.summary.shrink_to_fit();
    }
}

fn set_in(words: &mut Vec<u64>, number: usize) {
    let at = number / 64;
    if at >= words.len() {
        words.resize(at + 1, 0);
    }
    if let Some(word) = words.get_mut(at) {
        *word |= 1 << (number % 64);
    }
}

/// Clears a bit; answers whether its word is 0 now.
fn clear_in(words: &mut [u64], number: usize) -> bool {
    words.get_mut(number / 64).is_some_and(|word| {
        *word &= !(1 << (number % 64));
        *word == 0
    })
}

/// The lowest bit that is set.
fn lowest(words: &[u64]) -> Option<usize> {
    let at = words.iter().position(|word| *word != 0)?;
    Some(at * 64 + words.get(at)?.trailing_zeros() as usize)
}
