//! Close payloads and close status codes (RFC 6455 sections 5.5.1 and 7.4).

use super::frame::CONTROL_LEN_MAX;

/// A reason, at most, in bytes: what a control frame has left beside the code.
pub const REASON_LEN_MAX: usize = CONTROL_LEN_MAX - size_of::<u16>();

/// The purpose of the connection is fulfilled.
pub const NORMAL: u16 = 1000;
/// An endpoint goes away.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// The payload is not what its type promises.
pub const INVALID_PAYLOAD: u16 = 1007;
/// The peer broke a rule of ours.
pub const POLICY_VIOLATION: u16 = 1008;
/// The message is too big.
pub const TOO_BIG: u16 = 1009;
/// Something failed on our side.
pub const INTERNAL_ERROR: u16 = 1011;
/// The service restarts; the client may come again (IANA registry).
pub const SERVICE_RESTART: u16 = 1012;
/// Try again later (IANA registry).
pub const TRY_AGAIN_LATER: u16 = 1013;
/// The backend did not answer or answered badly (IANA registry).
pub const BAD_GATEWAY: u16 = 1014;

/// What a Close frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'b> {
    /// Close status code; [`is_valid_code`].
    pub code: u16,
    /// For people; may be empty.
    pub reason: &'b str,
}

/// Why the payload of a Close frame is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// A single byte is no code.
    #[error("invalid close payload length")]
    Len,
    /// A code that must not be sent.
    #[error("invalid close status code")]
    Code {
        /// The code.
        code: u16,
    },
    /// A reason that is not UTF-8.
    #[error("close reason is not UTF-8")]
    Reason,
}

/// Whether `code` may stand in a Close frame: registered and not one of those that only stand for
/// the absence of a frame (1005, 1006, 1015), or within 3000 to 4999 (RFC 6455 section 7.4.2).
#[must_use]
pub const fn is_valid_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the payload of a Close frame; `None` if it names no code.
///
/// # Errors
/// [`CloseError`].
pub fn parse_close(payload: &[u8]) -> Result<Option<Close<'_>>, CloseError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (code, reason) = payload.split_first_chunk::<2>().ok_or(CloseError::Len)?;
    let code = u16::from_be_bytes(*code);
    if !is_valid_code(code) {
        return Err(CloseError::Code { code });
    }
    let reason = std::str::from_utf8(reason).map_err(|_bad| CloseError::Reason)?;
    Ok(Some(Close { code, reason }))
}

/// `reason`, cut to [`REASON_LEN_MAX`] bytes at the end of a character.
#[must_use]
pub fn fitting_reason(reason: &str) -> &str {
    let end = reason.floor_char_boundary(REASON_LEN_MAX);
    reason.get(..end).unwrap_or_default()
}

/// Appends the payload of a Close frame. A reason that is too long is cut.
pub fn write_close_payload(out: &mut Vec<u8>, close: Close<'_>) {
    out.extend_from_slice(&close.code.to_be_bytes());
    out.extend_from_slice(fitting_reason(close.reason).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_be_sent_are_valid() {
        let valid = [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
            4000, 4999,
        ];
        for code in valid {
            assert!(is_valid_code(code), "{code}");
        }
        for code in [
            0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ] {
            assert!(!is_valid_code(code), "{code}");
        }
    }

    #[test]
    fn payloads_are_read() {
        let close = |code, reason| Ok(Some(Close { code, reason }));
        assert_eq!(parse_close(b""), Ok(None));
        assert_eq!(parse_close(b"\x03\xe8"), close(1000, ""));
        assert_eq!(parse_close(b"\x0f\xa1bye"), close(4001, "bye"));
    }

    #[test]
    fn payloads_that_break_the_rules_are_refused() {
        assert_eq!(parse_close(b"\x03"), Err(CloseError::Len));
        assert_eq!(
            parse_close(b"\x03\xe7"),
            Err(CloseError::Code { code: 999 })
        );
        assert_eq!(
            parse_close(b"\x03\xee"),
            Err(CloseError::Code { code: 1006 })
        );
        assert_eq!(parse_close(b"\x03\xe8\xce"), Err(CloseError::Reason));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let close = Close {
            code: 4001,
            reason: "żegnaj",
        };
        let mut payload = Vec::new();
        write_close_payload(&mut payload, close);
        assert_eq!(parse_close(&payload), Ok(Some(close)));
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(fitting_reason(&"x".repeat(123)).len(), 123);
        assert_eq!(fitting_reason(&"x".repeat(124)).len(), 123);
        // 61 characters of two bytes fit, and half of the next one would.
        assert_eq!(fitting_reason(&"ż".repeat(100)), "ż".repeat(61));
    }
}
