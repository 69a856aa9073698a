//! `Grip-Keep-Alive`: content with parameters, in one of three encodings.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::grammar::{Params, integer};
use super::instruct::{
    InstructError, KEEP_ALIVE_TIMEOUT_S_DEFAULT, KEEP_ALIVE_TIMEOUT_S_MIN, KeepAlive,
    KeepAliveMode, clamp_timeout_s,
};

/// Reads the value of a `Grip-Keep-Alive` field; `None` if it is to be ignored.
pub(super) fn parse(value: &[u8]) -> Result<Option<KeepAlive>, InstructError> {
    if value.trim_ascii().is_empty() {
        return Ok(None);
    }
    let (content, params) = Params::behind_first(value);
    if !params.are_closed() {
        return Ok(None);
    }
    if content.is_empty() {
        return Err(InstructError::KeepAliveEmpty);
    }
    let mode = match params.find(b"mode").as_deref() {
        None | Some(b"" | b"idle") => KeepAliveMode::Idle,
        Some(b"interval") => KeepAliveMode::Interval,
        Some(other) => {
            let mode = String::from_utf8_lossy(other).into_owned();
            return Err(InstructError::KeepAliveMode { mode });
        }
    };
    let timeout_s = match params.find(b"timeout") {
        Some(text) => seconds(&text)?,
        None => KEEP_ALIVE_TIMEOUT_S_DEFAULT,
    };
    let content = match params.find(b"format").as_deref() {
        None | Some(b"" | b"raw") => content.to_vec(),
        Some(b"cstring") => c_string(content).ok_or(InstructError::KeepAliveCstring)?,
        Some(b"base64") => lenient_base64(content),
        Some(other) => {
            let format = String::from_utf8_lossy(other).into_owned();
            return Err(InstructError::KeepAliveFormat { format });
        }
    };
    Ok(Some(KeepAlive {
        content,
        timeout_s,
        mode,
    }))
}

/// Decodes base64 as Qt does: bytes outside the alphabet are skipped, padding is not needed, and
/// what does not fill a byte is dropped.
pub(super) fn lenient_base64(text: &[u8]) -> Vec<u8> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    if let Ok(bytes) = LENIENT.decode(text) {
        return bytes;
    }
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut digits: Vec<u8> = text.iter().copied().filter(is_digit).collect();
    // A single digit left over holds six bits: no byte.
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    LENIENT.decode(&digits).unwrap_or_default()
}

fn seconds(text: &[u8]) -> Result<u32, InstructError> {
    let seconds = integer(text).ok_or(InstructError::KeepAliveTimeout)?;
    clamp_timeout_s(i64::from(seconds), KEEP_ALIVE_TIMEOUT_S_MIN)
        .ok_or(InstructError::KeepAliveTimeoutNegative)
}

/// Resolves `\\`, `\r`, `\n` and `\xHH`; other escapes vanish with their backslash. `None` if an
/// escape is cut short or nothing is left.
fn c_string(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => plain.push(b'\\'),
            b'r' => plain.push(b'\r'),
            b'n' => plain.push(b'\n'),
            b'x' => plain.push(hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?),
            _vanishes => {}
        }
    }
    (!plain.is_empty()).then_some(plain)
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep_alive(value: &str) -> KeepAlive {
        parse(value.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn content_keeps_quotes_and_commas() {
        let wanted = KeepAlive {
            content: br#""a, b""#.to_vec(),
            timeout_s: 55,
            mode: KeepAliveMode::Idle,
        };
        assert_eq!(keep_alive(r#""a, b""#), wanted);
    }

    #[test]
    fn parameters_have_the_last_word_only_when_they_are_whole() {
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(br#"a; timeout="10"#), Ok(None), "unclosed");
        assert_eq!(keep_alive("a; mode=; format=").mode, KeepAliveMode::Idle);
        assert_eq!(keep_alive("a; Mode=interval").mode, KeepAliveMode::Interval);
    }

    #[test]
    fn timeouts_are_clamped_at_both_ends() {
        let cases = [
            ("0", 1),
            ("1", 1),
            ("2", 2),
            ("2147483", 2_147_483),
            ("2147484", 2_147_483),
        ];
        for (text, wanted) in cases {
            assert_eq!(
                keep_alive(&format!("a; timeout={text}")).timeout_s,
                wanted,
                "{text}"
            );
        }
    }

    #[test]
    fn every_mistake_has_its_text() {
        let cases = [
            ("; timeout=10", "Grip-Keep-Alive cannot be empty"),
            ("a; mode=Idle", "no such Grip-Keep-Alive mode 'Idle'"),
            ("a; format=hex", "no such Grip-Keep-Alive format 'hex'"),
            (
                "a; timeout=x",
                "failed to parse Grip-Keep-Alive timeout value",
            ),
            (
                "a; timeout=",
                "failed to parse Grip-Keep-Alive timeout value",
            ),
            ("a; timeout=-1", "Grip-Keep-Alive timeout has invalid value"),
            (
                r"abc\; format=cstring",
                "failed to parse Grip-Keep-Alive cstring format",
            ),
            (
                r"abc\xzz; format=cstring",
                "failed to parse Grip-Keep-Alive cstring format",
            ),
            (
                r"abc\x4; format=cstring",
                "failed to parse Grip-Keep-Alive cstring format",
            ),
            (
                r"\t; format=cstring",
                "failed to parse Grip-Keep-Alive cstring format",
            ),
        ];
        for (value, wanted) in cases {
            assert_eq!(
                parse(value.as_bytes()).unwrap_err().to_string(),
                wanted,
                "{value:?}"
            );
        }
    }

    #[test]
    fn c_strings_know_four_escapes() {
        let content = keep_alive(r"\x41\r\n\\\q; format=cstring").content;
        assert_eq!(content, b"A\r\n\\");
    }

    #[test]
    fn base64_is_read_leniently() {
        let cases: [(&str, &[u8]); 7] = [
            ("AP8K", b"\x00\xff\n"),
            ("YQ==", b"a"),
            ("YQ", b"a"),
            ("Y!Q-=", b"a"),
            ("YWJj\nZA==", b"abcd"),
            ("YWJjZ", b"abc"),
            ("!", b""),
        ];
        for (text, wanted) in cases {
            assert_eq!(lenient_base64(text.as_bytes()), wanted, "{text:?}");
        }
    }
}
