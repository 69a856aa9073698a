//! Where a message ends (RFC 9112 section 6), and whether its connection lives on (section 9.3).

use super::{CONTENT_LEN_MAX, Framing};
use crate::http::{Version, fields};

/// What the framing fields of one head say, gathered field by field.
#[derive(Debug, Default)]
pub(super) struct FramingFields {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

/// Why the framing fields of a head cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FramingError {
    BadLength,
    UnsupportedCoding,
    LengthAndCoding,
}

impl FramingFields {
    /// Takes a `Content-Length` of a request: one field with one number, once.
    ///
    /// RFC 9112 section 6.3 lets a recipient accept equal values; senders have no reason to
    /// repeat them, smugglers have.
    pub(super) fn note_single_length(&mut self, value: &[u8]) -> Result<(), FramingError> {
        if self.length.is_some() {
            return Err(FramingError::BadLength);
        }
        self.length = Some(content_length(value)?);
        Ok(())
    }

    /// Takes a `Content-Length` of a response: may be repeated as long as all values are equal.
    pub(super) fn note_length(&mut self, value: &[u8]) -> Result<(), FramingError> {
        for member in value.split(|&b| b == b',') {
            let length = content_length(fields::trim_ows(member))?;
            if self.length.is_some_and(|earlier| earlier != length) {
                return Err(FramingError::BadLength);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    /// Takes a `Transfer-Encoding`: the one coding `chunked`, once.
    pub(super) fn note_coding(&mut self, value: &[u8]) -> Result<(), FramingError> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(FramingError::UnsupportedCoding);
        }
        self.chunked = true;
        Ok(())
    }

    /// Takes a `Connection` field.
    pub(super) fn note_connection(&mut self, value: &[u8]) {
        for option in fields::list_members(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// The framing, or `None` when no field speaks of it.
    pub(super) fn framing(&self, version: Version) -> Result<Option<Framing>, FramingError> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(FramingError::LengthAndCoding),
            // A 1.0 peer on the way may have passed on what it did not understand (section 6.1).
            (true, None) if version == Version::Http10 => Err(FramingError::UnsupportedCoding),
            (true, None) => Ok(Some(Framing::Chunked)),
            (false, length) => Ok(length.map(Framing::Length)),
        }
    }

    /// Whether the connection may carry another message after this one.
    pub(super) fn is_persistent(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// A decimal number of bytes: digits only, no sign, no blank, at most [`CONTENT_LEN_MAX`].
fn content_length(value: &[u8]) -> Result<u64, FramingError> {
    if value.is_empty() {
        return Err(FramingError::BadLength);
    }
    value
        .iter()
        .try_fold(0u64, |length, &b| {
            let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
            length.checked_mul(10)?.checked_add(digit)
        })
        .filter(|&length| length <= CONTENT_LEN_MAX)
        .ok_or(FramingError::BadLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_digits_up_to_the_limit() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("5", Ok(5)),
            ("005", Ok(5)),
            ("9223372036854775806", Ok(CONTENT_LEN_MAX - 1)),
            ("9223372036854775807", Ok(CONTENT_LEN_MAX)),
            ("9223372036854775808", Err(FramingError::BadLength)),
            ("18446744073709551615", Err(FramingError::BadLength)),
            ("18446744073709551621", Err(FramingError::BadLength)),
            ("99999999999999999999999999", Err(FramingError::BadLength)),
        ] {
            assert_eq!(content_length(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn anything_but_digits_is_no_length() {
        for text in [
            "", "+5", "-5", "0x5", "5abc", "5 ", " 5", "5.0", "1e3", "٥", "5\0", "1_0",
        ] {
            assert_eq!(
                content_length(text.as_bytes()),
                Err(FramingError::BadLength),
                "{text:?}"
            );
        }
    }
}
