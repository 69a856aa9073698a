//! UTF-8 checked piece by piece (RFC 6455 section 8.1, RFC 3629).

/// Longest encoding of one character, in bytes.
const CHAR_LEN_MAX: usize = 4;

/// Bytes that no continuation could make UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid UTF-8")]
pub struct NotUtf8;

/// Checks a text that comes in pieces, and says so at the first byte that is wrong.
///
/// Keeps the bytes of a character that was cut, at most three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Utf8Check {
    cut: [u8; CHAR_LEN_MAX - 1],
    cut_len: u8,
}

impl Utf8Check {
    /// A check at the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            cut: [0; CHAR_LEN_MAX - 1],
            cut_len: 0,
        }
    }

    /// Checks the next piece of the text.
    ///
    /// # Errors
    /// [`NotUtf8`] if the text so far is not the start of any UTF-8 text.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NotUtf8> {
        let rest = self.complete(piece)?;
        let Err(error) = std::str::from_utf8(rest) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(NotUtf8);
        }
        self.keep(rest.get(error.valid_up_to()..).unwrap_or_default())
    }

    /// Whether the text may end here.
    ///
    /// # Errors
    /// [`NotUtf8`] in the middle of a character.
    pub const fn finish(&self) -> Result<(), NotUtf8> {
        if self.cut_len == 0 {
            Ok(())
        } else {
            Err(NotUtf8)
        }
    }

    /// Completes the cut character with the start of `piece`; the result is the rest of it.
    fn complete<'b>(&mut self, mut piece: &'b [u8]) -> Result<&'b [u8], NotUtf8> {
        while self.cut_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                break;
            };
            piece = rest;
            let len = usize::from(self.cut_len);
            let mut joined = [0; CHAR_LEN_MAX];
            for (to, from) in joined.iter_mut().zip(self.cut.iter().take(len)) {
                *to = *from;
            }
            if let Some(next) = joined.get_mut(len) {
                *next = byte;
            }
            let joined = joined.get(..=len).unwrap_or_default();
            match std::str::from_utf8(joined) {
                Ok(_) => self.cut_len = 0,
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                Err(_) => self.keep(joined)?,
            }
        }
        Ok(piece)
    }

    /// Remembers the bytes of a cut character.
    fn keep(&mut self, cut: &[u8]) -> Result<(), NotUtf8> {
        let kept = self.cut.get_mut(..cut.len()).ok_or(NotUtf8)?;
        kept.copy_from_slice(cut);
        self.cut_len = u8::try_from(cut.len()).map_err(|_longer| NotUtf8)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grip::test_random::Random;

    fn check<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<(), NotUtf8> {
        let mut check = Utf8Check::new();
        for piece in pieces {
            check.push(piece)?;
        }
        check.finish()
    }

    #[test]
    fn texts_cut_at_every_byte_are_judged_like_whole_ones() {
        let texts: [&[u8]; 12] = [
            "κόσμε".as_bytes(),
            "a\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}".as_bytes(),
            b"",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xf0\x80\x80\x80",
            b"a\xce",
            b"\xf0\x9f\x98",
            b"\x80",
            b"\xe2\x28\xa1",
            b"\xff",
        ];
        for text in texts {
            let whole = std::str::from_utf8(text).map(drop).map_err(|_| NotUtf8);
            for cut in 0..=text.len() {
                let (left, right) = text.split_at(cut);
                assert_eq!(check([left, b"", right]), whole, "{text:x?} cut at {cut}");
            }
            assert_eq!(check(text.chunks(1)), whole, "{text:x?} byte by byte");
        }
    }

    #[test]
    fn a_wrong_byte_is_seen_at_once() {
        // Autobahn 6.4: the text cannot become valid any more, so there is no point in waiting.
        let mut check = Utf8Check::new();
        assert_eq!(check.push(b"\xce\xba\xf4"), Ok(()));
        assert_eq!(check.push(b"\x90"), Err(NotUtf8));
    }

    #[test]
    fn random_bytes_in_random_pieces_are_judged_like_std_does() {
        let mut random = Random::new(12);
        let alphabet = b"az\x80\x8f\x90\x9f\xa0\xbf\xc0\xc2\xdf\xe0\xe2\xed\xef\xf0\xf4\xf5\xff";
        for _round in 0..20_000 {
            let text: Vec<u8> = (0..random.below(7))
                .map(|_| *random.pick(alphabet))
                .collect();
            let whole = std::str::from_utf8(&text).map(drop).map_err(|_| NotUtf8);
            let size = 1 + random.below(4);
            assert_eq!(check(text.chunks(size)), whole, "{text:x?} by {size}");
        }
    }
}
