//! The bytes of one connection that were read and not used yet.

/// Room that a read gets, and all that an idle connection keeps, in bytes.
const ROOM_MIN: usize = 8_192;

/// A read that could bring less than this is not worth its call, in bytes.
const ROOM_LEAST: usize = 1_024;

/// What an emptied buffer may keep, in bytes; a bigger one is given back.
const KEPT_MAX: usize = 65_536;

/// A buffer that is filled at its end and used from its front.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// What was read and not used.
    pub(crate) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes `len` bytes off the front.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.bytes.len() > KEPT_MAX {
                self.bytes = Vec::new();
            }
        }
    }

    /// Room to read into, at least [`ROOM_LEAST`] bytes. Grows by doubling: what a peer announces costs nothing until
    /// it comes.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 && self.bytes.len() - self.end < ROOM_LEAST {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < ROOM_LEAST {
            let len = (self.bytes.len() * 2).max(ROOM_MIN);
            self.bytes.resize(len, 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that `len` bytes were read into [`Self::room`].
    pub(crate) fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &mut Input, bytes: &[u8]) {
        for piece in bytes.chunks(1_000) {
            input.room()[..piece.len()].copy_from_slice(piece);
            input.filled(piece.len());
        }
    }

    #[test]
    fn what_was_read_is_there_in_order() {
        let mut input = Input::default();
        read(&mut input, b"hello ");
        read(&mut input, b"world");
        input.consume(2);
        assert_eq!(input.unread(), b"llo world");
    }

    #[test]
    fn a_big_buffer_is_given_back_once_it_is_used() {
        let mut input = Input::default();
        read(&mut input, &vec![7; 300_000]);
        assert_eq!(input.unread().len(), 300_000);
        input.consume(300_000);
        assert!(input.bytes.is_empty());
    }

    #[test]
    fn used_bytes_make_room_again() {
        let mut input = Input::default();
        for _ in 0..1_000 {
            read(&mut input, &[1; 1_000]);
            input.consume(1_000);
            read(&mut input, &[2; 10]);
            input.consume(10);
        }
        assert!(input.bytes.len() <= 2 * ROOM_MIN, "{}", input.bytes.len());
    }
}
