use super::*;
use crate::http1::empty_slots;
use crate::http1::testing::Random;

const LIMITS: HeadLimits = HeadLimits {
    head_len_max: 8192,
    fields_max: 64,
};

fn with_head<T>(
    input: &[u8],
    limits: &HeadLimits,
    request_was_head: bool,
    look: impl FnOnce(ResponseHead<'_, '_>, usize) -> T,
) -> Result<Option<T>, ResponseError> {
    match parse_response(input, &mut empty_slots(), limits, request_was_head)? {
        Parsed::Complete(head, used) => Ok(Some(look(head, used))),
        Parsed::NeedMore => Ok(None),
    }
}

/// The outcome of a head that is expected to be complete.
fn head<T>(input: &str, look: impl FnOnce(ResponseHead<'_, '_>) -> T) -> Result<T, ResponseError> {
    with_head(input.as_bytes(), &LIMITS, false, |head, _| look(head))
        .map(|looked| looked.unwrap_or_else(|| panic!("incomplete: {input:?}")))
}

fn error(input: &str) -> ResponseError {
    with_head(input.as_bytes(), &LIMITS, false, |_, _| ())
        .expect_err(&format!("accepted or incomplete: {input:?}"))
}

fn ok(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n")
}

#[test]
fn a_response_is_taken_apart() {
    let input = b"HTTP/1.1 404 Not  Here\r\nServer: x\r\nContent-Length: 2\r\n\r\nhi";
    let looked = with_head(input, &LIMITS, false, |head, used| {
        assert_eq!((head.version, head.status), (Version::Http11, 404));
        assert_eq!(head.reason, b"Not  Here");
        assert_eq!(head.fields.len(), 2);
        assert_eq!(
            head.fields[0],
            Field {
                name: "Server",
                value: b"x"
            }
        );
        assert_eq!((head.framing, head.persistent), (Framing::Length(2), true));
        assert_eq!(used, input.len() - 2);
    });
    assert_eq!(looked, Ok(Some(())));
}

#[test]
fn a_head_cut_anywhere_is_incomplete_not_wrong() {
    let input = ok("Transfer-Encoding: chunked\r\nX: \u{e4}\r\n");
    for cut in 0..input.len() {
        let looked = with_head(&input.as_bytes()[..cut], &LIMITS, false, |_, _| ());
        assert_eq!(looked, Ok(None), "cut at {cut}");
    }
    let looked = with_head(input.as_bytes(), &LIMITS, false, |_, used| used);
    assert_eq!(looked, Ok(Some(input.len())));
}

#[test]
fn reasons_may_be_empty_missing_or_beyond_ascii() {
    for (line, expected) in [
        ("HTTP/1.1 200 ", &b""[..]),
        ("HTTP/1.1 200", b""),
        ("HTTP/1.0 200 \u{e4}", b"\xc3\xa4"),
        ("HTTP/1.1 200 a\tb ", b"a\tb "),
    ] {
        let got = head(&format!("{line}\r\n\r\n"), |head| head.reason.to_vec());
        assert_eq!(got.as_deref(), Ok(expected), "{line:?}");
    }
}

#[test]
fn broken_heads_are_refused() {
    for (input, expected) in [
        ("HTTP/1.1 xyz OK\r\n\r\n", ResponseError::InvalidStatus),
        ("HTTP/1.1 20 OK\r\n\r\n", ResponseError::InvalidStatus),
        ("HTTP/1.1 2000 OK\r\n\r\n", ResponseError::InvalidStatus),
        ("HTTP/1.1 099 OK\r\n\r\n", ResponseError::InvalidStatus),
        ("HTTP/1.1  200 OK\r\n\r\n", ResponseError::InvalidStatus),
        ("HTTP/1.1 200 a\0\r\n\r\n", ResponseError::InvalidStatus),
        ("HTTP/1.1 200 a\rb\r\n\r\n", ResponseError::InvalidStatus),
        ("HTTP/2 200 OK\r\n\r\n", ResponseError::InvalidVersion),
        ("HTTP/1.2 200 OK\r\n\r\n", ResponseError::InvalidVersion),
        ("ICY 200 OK\r\n\r\n", ResponseError::InvalidVersion),
        ("HTTX", ResponseError::InvalidVersion),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", ResponseError::InvalidVersion),
        ("<html>", ResponseError::InvalidVersion),
        (
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            ResponseError::InvalidFieldName,
        ),
        (
            "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
            ResponseError::InvalidFieldName,
        ),
        (
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            ResponseError::InvalidFieldName,
        ),
        (
            "HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n",
            ResponseError::InvalidFieldValue,
        ),
        (
            "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
            ResponseError::InvalidFieldValue,
        ),
        ("HTTP/1.1 200 OK\n\r\n", ResponseError::InvalidNewLine),
        (
            "HTTP/1.1 200 OK\r\nX: a\n\r\n",
            ResponseError::InvalidNewLine,
        ),
        ("HTTP/1.1 200 OK\r\n\n", ResponseError::InvalidNewLine),
    ] {
        assert_eq!(error(input), expected, "{input:?}");
    }
}

#[test]
fn ambiguous_framing_is_refused() {
    use ResponseError::{AmbiguousLength, InvalidContentLength, UnsupportedTransferEncoding};
    for (lines, expected) in [
        (
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            AmbiguousLength,
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            InvalidContentLength,
        ),
        ("Content-Length: 5, 6\r\n", InvalidContentLength),
        ("Content-Length: 5,\r\n", InvalidContentLength),
        ("Content-Length: +5\r\n", InvalidContentLength),
        ("Content-Length:\r\n", InvalidContentLength),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            UnsupportedTransferEncoding,
        ),
        (
            "Transfer-Encoding: identity\r\n",
            UnsupportedTransferEncoding,
        ),
    ] {
        assert_eq!(error(&ok(lines)), expected, "{lines:?}");
    }
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error(old), UnsupportedTransferEncoding);
}

#[test]
fn equal_lengths_are_one_length() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
    ] {
        assert_eq!(
            head(&ok(lines), |head| head.framing),
            Ok(Framing::Length(5)),
            "{lines:?}"
        );
    }
}

#[test]
fn some_responses_have_no_content_whatever_their_fields_say() {
    for status in [100, 101, 103, 199, 204, 304] {
        let input = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(
            head(&input, |head| head.framing),
            Ok(Framing::None),
            "{status}"
        );
    }
    for lines in [
        "",
        "Content-Length: 500\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        let looked = with_head(ok(lines).as_bytes(), &LIMITS, true, |head, _| {
            (head.framing, head.persistent)
        });
        assert_eq!(looked, Ok(Some((Framing::None, true))), "{lines:?}");
    }
}

#[test]
fn without_framing_fields_a_response_ends_with_its_connection() {
    for status in [200, 206, 301, 404, 500, 999] {
        let input = format!("HTTP/1.1 {status} x\r\nConnection: keep-alive\r\n\r\n");
        let got = head(&input, |head| (head.framing, head.persistent));
        assert_eq!(got, Ok((Framing::UntilClose, false)), "{status}");
    }
}

#[test]
fn persistence_follows_version_and_connection_options() {
    for (version, lines, expected) in [
        ("1.1", "", true),
        ("1.1", "Connection: Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ] {
        let input = format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{lines}\r\n");
        assert_eq!(
            head(&input, |head| head.persistent),
            Ok(expected),
            "{version} {lines:?}"
        );
    }
}

#[test]
fn a_head_fits_up_to_the_limits() {
    let whole = ok("A: b\r\nC: d\r\n");
    let input = format!("{whole}{}", "x".repeat(100));
    for (max, fits) in [
        (whole.len() - 1, false),
        (whole.len(), true),
        (whole.len() + 1, true),
    ] {
        let limits = HeadLimits {
            head_len_max: max,
            ..LIMITS
        };
        let expected = if fits {
            Ok(Some(whole.len()))
        } else {
            Err(ResponseError::HeadTooLarge { max })
        };
        assert_eq!(
            with_head(input.as_bytes(), &limits, false, |_, used| used),
            expected,
            "{max}"
        );
    }
    for (max, expected) in [
        (1, Err(ResponseError::TooManyFields { max: 1 })),
        (2, Ok(Some(2))),
        (3, Ok(Some(2))),
    ] {
        let limits = HeadLimits {
            fields_max: max,
            ..LIMITS
        };
        let looked = with_head(input.as_bytes(), &limits, false, |head, _| {
            head.fields.len()
        });
        assert_eq!(looked, expected, "{max}");
    }
}

#[test]
fn noise_is_never_let_through_and_never_panics() {
    for seed in 0..5000 {
        let mut random = Random::new(seed);
        let mut noise = b"HTTP/1.1 200 OK\r\n".to_vec();
        noise.truncate(random.below(noise.len() + 1));
        noise.extend((0..random.below(200)).map(|_| random.byte()));
        let looked = with_head(&noise, &LIMITS, false, |_, used| used);
        if let Ok(Some(used)) = looked {
            // Chance can end a head only at an empty line.
            assert!(noise[..used].ends_with(b"\r\n\r\n"), "seed {seed}");
        }
    }
}
