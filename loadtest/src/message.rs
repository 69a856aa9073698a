//! What is published: a line with a sequence number and the time of its publishing.
//!
//! `SSSSSSSS TTTTTTTTTTTTTTTT xxxx…\n`, both numbers in hexadecimal. The receiver needs nothing else
//! to count what was lost or doubled and how long it took.

/// The shortest message, in bytes: both numbers, two blanks, the line end.
pub(crate) const SIZE_MIN: usize = 27;

/// The longest message, in bytes; a server need not take larger publish bodies.
pub(crate) const SIZE_MAX: usize = 65_536;

/// Length of a client's name, [`user`], in bytes: all the same, so that messages are too.
pub(crate) const USER_LEN: usize = 9;

/// Where a name stands in a message that has one: right behind the numbers.
const USER_START: usize = 26;

/// What a message says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Its place in the order of publishing, from 0.
    pub(crate) seq: u32,
    /// When it was published, on the monotonic clock, in nanoseconds.
    pub(crate) sent_ns: u64,
}

/// Appends the message of `size` bytes (at least [`SIZE_MIN`]) to `out`, line end included.
pub(crate) fn write(out: &mut Vec<u8>, stamp: Stamp, size: usize) {
    out.extend_from_slice(format!("{:08x} {:016x} ", stamp.seq, stamp.sent_ns).as_bytes());
    out.resize(out.len() + size.saturating_sub(SIZE_MIN), b'x');
    out.push(b'\n');
}

/// Appends the message with `word` in front of its filling; `word` counts as [`USER_LEN`] bytes of
/// `size` whatever its length, since a filter puts a name in its place.
pub(crate) fn write_with(out: &mut Vec<u8>, stamp: Stamp, size: usize, word: &str) {
    out.extend_from_slice(format!("{:08x} {:016x} {word}", stamp.seq, stamp.sent_ns).as_bytes());
    let filling = size.saturating_sub(SIZE_MIN + USER_LEN);
    out.resize(out.len() + filling, b'x');
    out.push(b'\n');
}

/// The name of client number `index`.
pub(crate) fn user(index: usize) -> String {
    format!("u{:08}", index % 100_000_000)
}

/// Whether a line without its line end is of `size` bytes with it, and carries the name of client
/// number `index`. Without making the name anew: it is asked for every message of a fan-out.
pub(crate) fn is_for(line: &[u8], index: usize, size: usize) -> bool {
    let name = line.get(USER_START..USER_START + USER_LEN);
    let Some([b'u', digits @ ..]) = name else {
        return false;
    };
    let number = digits.iter().try_fold(0, |number: usize, digit| {
        let value = digit.is_ascii_digit().then(|| usize::from(digit - b'0'))?;
        Some(number * 10 + value)
    });
    line.len() + 1 == size && number == Some(index % 100_000_000)
}

/// Reads a line without its line end; `None` when it is no message.
pub(crate) fn parse(line: &[u8]) -> Option<Stamp> {
    let seq = line.get(..8)?;
    let sent = line.get(9..25)?;
    if line.get(8) != Some(&b' ') {
        return None;
    }
    Some(Stamp {
        seq: u32::try_from(hexadecimal(seq)?).ok()?,
        sent_ns: hexadecimal(sent)?,
    })
}

/// A number of lower-case hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, &digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(number << 4 | u64::from(value))
    })
}

/// Splits content that arrives in pieces into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Gives every line that `content` completes, without its line end, to `each`.
    pub(crate) fn feed(&mut self, mut content: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = memchr::memchr(b'\n', content) {
            let (line, rest) = content.split_at(end);
            if self.partial.is_empty() {
                each(line);
            } else {
                self.partial.extend_from_slice(line);
                each(&self.partial);
                // Not kept: with 100,000 streams their buffers would add up.
                self.partial = Vec::new();
            }
            content = rest.get(1..).unwrap_or_default();
        }
        self.partial.extend_from_slice(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_and_has_the_size_asked_for() {
        for size in [SIZE_MIN, 100, SIZE_MAX] {
            let stamp = Stamp {
                seq: 0xdead_beef,
                sent_ns: 123_456_789_012_345,
            };
            let mut out = Vec::new();
            write(&mut out, stamp, size);
            assert_eq!(out.len(), size);
            assert_eq!(out.pop(), Some(b'\n'));
            assert_eq!(parse(&out), Some(stamp), "size {size}");
        }
    }

    #[test]
    fn a_message_with_a_name_is_for_the_client_of_that_name_only() {
        let stamp = Stamp {
            seq: 5,
            sent_ns: 77,
        };
        for size in [SIZE_MIN + USER_LEN, 100] {
            let mut out = Vec::new();
            write_with(&mut out, stamp, size, &user(1234));
            assert_eq!((out.len(), out.pop()), (size, Some(b'\n')));
            assert_eq!(parse(&out), Some(stamp));
            assert!(is_for(&out, 1234, size));
            assert!(!is_for(&out, 1235, size));
            assert!(!is_for(&out, 1234, size + 1));
        }
    }

    #[test]
    fn a_placeholder_leaves_the_size_to_the_name_that_takes_its_place() {
        let (mut template, mut message) = (Vec::new(), Vec::new());
        let stamp = Stamp { seq: 1, sent_ns: 2 };
        write_with(&mut template, stamp, 100, "%(user)s");
        write_with(&mut message, stamp, 100, &user(7));
        let text = String::from_utf8(template).unwrap();
        assert_eq!(text.replace("%(user)s", &user(7)).as_bytes(), message);
    }

    #[test]
    fn other_lines_are_no_messages() {
        for line in [
            "",
            "open",
            "0000000g 0000000000000000 ",
            "00000000x0000000000000000 ",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn lines_come_out_whole_wherever_they_are_cut() {
        let text = b"one\n\ntwo and more\n";
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            let mut seen = Vec::new();
            lines.feed(&text[..cut], |line| seen.push(line.to_vec()));
            lines.feed(&text[cut..], |line| seen.push(line.to_vec()));
            assert_eq!(seen, [&b"one"[..], b"", b"two and more"], "cut at {cut}");
        }
    }
}
