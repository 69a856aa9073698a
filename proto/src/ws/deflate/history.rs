//! What context takeover keeps between messages (RFC 7692 section 7.1.1).

/// The last bytes of the messages that went one way over a connection: what the next message may
/// refer back to. Allocates nothing while it is empty, or without context takeover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    bytes: Vec<u8>,
    len_max: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::none()
    }
}

impl History {
    /// For a direction without context takeover: keeps nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            bytes: Vec::new(),
            len_max: 0,
        }
    }

    /// For a direction with context takeover: keeps up to a window of `window_bits` (8 to 15).
    #[must_use]
    pub const fn window(window_bits: u8) -> Self {
        Self {
            bytes: Vec::new(),
            len_max: 1 << window_bits,
        }
    }

    /// Whether context is taken over at all.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.len_max > 0
    }

    /// The bytes, oldest first; at most a window.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends what was just sent or received, inflated.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let kept = piece.len().min(self.len_max);
        let piece = piece.get(piece.len() - kept..).unwrap_or_default();
        let excess = (self.bytes.len() + kept).saturating_sub(self.len_max);
        self.bytes.drain(..excess);
        if self.bytes.capacity() < self.bytes.len() + kept {
            // Doubling must not take it beyond its bound.
            let len_new = (self.bytes.len() + kept).next_power_of_two();
            let len_new = len_new.min(self.len_max);
            self.bytes.reserve_exact(len_new - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_window_is_kept_and_no_more_is_allocated() {
        let mut history = History::window(8);
        let mut all = Vec::new();
        for round in 0..100u8 {
            let piece = vec![round; usize::from(round) * 5];
            history.push(&piece);
            all.extend_from_slice(&piece);
            let window = &all[all.len().saturating_sub(256)..];
            assert_eq!(history.as_slice(), window, "round {round}");
            assert!(history.bytes.capacity() <= 256, "round {round}");
        }
    }

    #[test]
    fn nothing_is_kept_without_takeover() {
        let mut history = History::none();
        history.push(b"abc");
        assert_eq!(history, History::none());
        assert!(!history.is_kept());
        assert_eq!(history.bytes.capacity(), 0);
    }
}
