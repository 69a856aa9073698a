use super::*;
use crate::http1::testing::Random;
use crate::http1::{FIELDS_MAX, empty_slots};

const LIMITS: HeadLimits = HeadLimits {
    head_len_max: 8192,
    fields_max: 64,
};

/// Parses `input` and passes the head to `look` if it is complete.
fn with_head<T>(
    input: &[u8],
    limits: &HeadLimits,
    look: impl FnOnce(RequestHead<'_, '_>, usize) -> T,
) -> Result<Option<T>, RequestError> {
    match parse_request(input, &mut empty_slots(), limits)? {
        Parsed::Complete(head, used) => Ok(Some(look(head, used))),
        Parsed::NeedMore => Ok(None),
    }
}

/// The outcome of a head that is expected to be complete.
fn head<T>(input: &str, look: impl FnOnce(RequestHead<'_, '_>) -> T) -> Result<T, RequestError> {
    with_head(input.as_bytes(), &LIMITS, |head, _| look(head))
        .map(|looked| looked.unwrap_or_else(|| panic!("incomplete: {input:?}")))
}

/// The error of a head that is expected to be refused.
fn error(input: &str) -> RequestError {
    with_head(input.as_bytes(), &LIMITS, |_, _| ())
        .expect_err(&format!("accepted or incomplete: {input:?}"))
}

/// `POST / HTTP/1.1` with a host and these further lines.
fn post(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// `GET / HTTP/1.1` with exactly these lines.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\n{lines}\r\n")
}

#[test]
fn a_request_is_taken_apart() {
    // RFC 9112 section 2.1, RFC 9110 section 3.9.
    let input = b"GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\n\
        Accept-Language: \t en, mi \t\r\nX-Empty:\r\n\r\nbehind";
    let looked = with_head(input, &LIMITS, |head, used| {
        assert_eq!((head.method, head.target), ("GET", "/hello.txt"));
        assert_eq!(
            (head.version, head.host),
            (Version::Http11, "www.example.com")
        );
        assert_eq!((head.framing, head.persistent), (Framing::None, true));
        assert_eq!((head.expect_continue, head.upgrade), (false, None));
        assert_eq!(
            head.fields,
            [
                Field {
                    name: "User-Agent",
                    value: b"curl/7.64.1"
                },
                Field {
                    name: "Host",
                    value: b"www.example.com"
                },
                Field {
                    name: "Accept-Language",
                    value: b"en, mi"
                },
                Field {
                    name: "X-Empty",
                    value: b""
                },
            ]
        );
        assert_eq!(used, input.len() - b"behind".len());
    });
    assert_eq!(looked, Ok(Some(())));
}

#[test]
fn a_head_cut_anywhere_is_incomplete_not_wrong() {
    let input = post("Content-Length: 5\r\nUpgrade: x\r\nConnection: a, Upgrade\r\nX: \u{e4}\r\n");
    let input = [b"\r\n", input.as_bytes()].concat();
    for cut in 0..input.len() {
        let looked = with_head(&input[..cut], &LIMITS, |_, _| ());
        assert_eq!(looked, Ok(None), "cut at {cut}");
    }
    assert_eq!(
        with_head(&input, &LIMITS, |_, used| used),
        Ok(Some(input.len()))
    );
}

#[test]
fn empty_lines_before_a_request_are_skipped_and_counted() {
    let input = format!("\r\n\r\n{}", post(""));
    let looked = with_head(input.as_bytes(), &LIMITS, |head, used| {
        (head.method.to_owned(), used)
    });
    assert_eq!(looked, Ok(Some(("POST".to_owned(), input.len()))));
    let limits = HeadLimits {
        head_len_max: input.len() - 1,
        ..LIMITS
    };
    let looked = with_head(input.as_bytes(), &limits, |_, _| ());
    assert_eq!(
        looked,
        Err(RequestError::HeadTooLarge {
            max: input.len() - 1
        })
    );
}

#[test]
fn a_head_fits_up_to_the_limit_and_what_follows_does_not_count() {
    let whole = get("Host: a\r\n");
    let input = format!("{whole}{}", "b".repeat(1000));
    for (max, fits) in [
        (whole.len() - 1, false),
        (whole.len(), true),
        (whole.len() + 1, true),
        (0, false),
    ] {
        let limits = HeadLimits {
            head_len_max: max,
            ..LIMITS
        };
        let expected = if fits {
            Ok(Some(whole.len()))
        } else {
            Err(RequestError::HeadTooLarge { max })
        };
        assert_eq!(
            with_head(input.as_bytes(), &limits, |_, used| used),
            expected,
            "{max}"
        );
    }
}

#[test]
fn a_head_without_end_is_too_large_as_soon_as_the_limit_is_reached() {
    for start in ["a", "GET /a", "GET / HTTP/1.1\r\nHost: a\r\nX: a"] {
        for (len, expected) in [
            (8191, Ok(None)),
            (8192, Err(RequestError::HeadTooLarge { max: 8192 })),
            (60_000, Err(RequestError::HeadTooLarge { max: 8192 })),
        ] {
            let input = format!("{start}{}", "a".repeat(len - start.len()));
            assert_eq!(
                with_head(input.as_bytes(), &LIMITS, |_, _| ()),
                expected,
                "{start} {len}"
            );
        }
    }
}

#[test]
fn fields_are_taken_up_to_the_limit() {
    for (limit, count, max) in [
        (64, 63, None),
        (64, 64, None),
        (64, 65, Some(64)),
        (FIELDS_MAX, FIELDS_MAX, None),
        (FIELDS_MAX + 1, FIELDS_MAX + 1, Some(FIELDS_MAX)),
        (1, 1, None),
        (1, 2, Some(1)),
        (0, 1, Some(0)),
    ] {
        let limits = HeadLimits {
            fields_max: limit,
            ..LIMITS
        };
        let input = get(&format!("Host: a\r\n{}", "X-A: a\r\n".repeat(count - 1)));
        let expected = max.map_or(Ok(Some(count)), |max| {
            Err(RequestError::TooManyFields { max })
        });
        let looked = with_head(input.as_bytes(), &limits, |head, _| head.fields.len());
        assert_eq!(looked, expected, "{count} of {limit}");
    }
}

#[test]
fn broken_request_lines_are_refused() {
    for (line, expected) in [
        ("GET /a", RequestError::InvalidToken),
        ("GET", RequestError::InvalidToken),
        ("GET  / HTTP/1.1", RequestError::InvalidToken),
        ("GET /  HTTP/1.1", RequestError::InvalidVersion),
        ("GET / HTTP/1.1 ", RequestError::InvalidNewLine),
        (" GET / HTTP/1.1", RequestError::InvalidToken),
        ("GET\t/ HTTP/1.1", RequestError::InvalidToken),
        ("G@T\x7f / HTTP/1.1", RequestError::InvalidToken),
        ("GET /a\0 HTTP/1.1", RequestError::InvalidToken),
        ("GET /a\x7f HTTP/1.1", RequestError::InvalidToken),
        ("GET /a b HTTP/1.1", RequestError::InvalidVersion),
        ("GET /\u{e4} HTTP/1.1", RequestError::InvalidTarget),
        ("GET / HTTP/x.y", RequestError::InvalidVersion),
        ("GET / HTTP/1.2", RequestError::InvalidVersion),
        ("GET / HTTP/2.0", RequestError::InvalidVersion),
        ("GET / http/1.1", RequestError::InvalidVersion),
        ("PRI * HTTP/2.0", RequestError::InvalidVersion),
        ("GET * HTTP/1.1", RequestError::InvalidTarget),
        ("GET a HTTP/1.1", RequestError::InvalidTarget),
        ("CONNECT a:80 HTTP/1.1", RequestError::UnsupportedMethod),
        ("\x16\x03\x01\x02", RequestError::InvalidToken),
        ("\r\n\0\x01", RequestError::InvalidToken),
    ] {
        assert_eq!(
            error(&format!("{line}\r\nHost: a\r\n\r\n")),
            expected,
            "{line:?}"
        );
    }
    assert_eq!(error("GET /\r\n\r\n"), RequestError::InvalidToken);
}

#[test]
fn broken_fields_are_refused() {
    for (line, expected) in [
        ("X-A : 1", RequestError::InvalidFieldName),
        ("X-A\t: 1", RequestError::InvalidFieldName),
        (": 1", RequestError::InvalidFieldName),
        ("X-A", RequestError::InvalidFieldName),
        ("X A: 1", RequestError::InvalidFieldName),
        ("X-\u{e4}: 1", RequestError::InvalidFieldName),
        ("X\0: 1", RequestError::InvalidFieldName),
        (" folded", RequestError::InvalidFieldName),
        ("X-A: 1\r\n\tfolded", RequestError::InvalidFieldName),
        ("X-A:\r\n folded", RequestError::InvalidFieldName),
        ("X-A: a\0b", RequestError::InvalidFieldValue),
        ("X-A: a\x7f", RequestError::InvalidFieldValue),
        ("X-A: a\x1b[0m", RequestError::InvalidFieldValue),
        ("X-A: a\rb", RequestError::InvalidFieldValue),
        ("X-A: \rb", RequestError::InvalidFieldValue),
        ("X-A: a\r", RequestError::InvalidFieldValue),
    ] {
        assert_eq!(error(&post(&format!("{line}\r\n"))), expected, "{line:?}");
    }
}

#[test]
fn a_line_feed_alone_ends_no_line() {
    let proper = "\r\nGET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";
    for (at, _) in proper.match_indices("\r\n") {
        let input = format!("{}{}", &proper[..at], &proper[at + 1..]);
        assert_eq!(error(&input), RequestError::InvalidNewLine, "{at}");
    }
    assert_eq!(
        error("GET / HTTP/1.1\nHost: a\n\n"),
        RequestError::InvalidNewLine
    );
}

#[test]
fn a_carriage_return_alone_is_refused_wherever_it_stands() {
    let proper = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";
    for at in 0..proper.len() {
        let input = format!("{}\r{}", &proper[..at], &proper[at..]);
        let looked = with_head(input.as_bytes(), &LIMITS, |_, _| ());
        assert!(looked.is_err(), "{at}: {looked:?}");
    }
}

#[test]
fn ambiguous_framing_is_refused() {
    use RequestError::{AmbiguousLength, InvalidContentLength, UnsupportedTransferEncoding};
    for (lines, expected) in [
        (
            "Content-Length: 6\r\nTransfer-Encoding: chunked",
            AmbiguousLength,
        ),
        (
            "Transfer-Encoding: chunked\r\ncontent-length: 6",
            AmbiguousLength,
        ),
        (
            "Transfer-Encoding:\tchunked\r\nContent-Length: 5",
            AmbiguousLength,
        ),
        (
            "Transfer-Encoding: \x0bchunked",
            RequestError::InvalidFieldValue,
        ),
        (
            "Transfer-Encoding : chunked",
            RequestError::InvalidFieldName,
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6",
            InvalidContentLength,
        ),
        (
            "Content-Length: 5\r\nContent-Length: 5",
            InvalidContentLength,
        ),
        ("Content-Length: 5, 6", InvalidContentLength),
        ("Content-Length: 5, 5", InvalidContentLength),
        ("Content-Length: 5,", InvalidContentLength),
        ("Content-Length: +5", InvalidContentLength),
        ("Content-Length: -1", InvalidContentLength),
        ("Content-Length: 0x5", InvalidContentLength),
        ("Content-Length: 5abc", InvalidContentLength),
        ("Content-Length: 5 5", InvalidContentLength),
        ("Content-Length: \"5\"", InvalidContentLength),
        ("Content-Length:", InvalidContentLength),
        ("Content-Length: 18446744073709551621", InvalidContentLength),
        (
            "Transfer-Encoding: chunked, identity",
            UnsupportedTransferEncoding,
        ),
        (
            "Transfer-Encoding: gzip, chunked",
            UnsupportedTransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked, chunked",
            UnsupportedTransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            UnsupportedTransferEncoding,
        ),
        ("Transfer-Encoding: chunked,", UnsupportedTransferEncoding),
        (
            "Transfer-Encoding: \"chunked\"",
            UnsupportedTransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked;a=b",
            UnsupportedTransferEncoding,
        ),
        ("Transfer-Encoding: xchunked", UnsupportedTransferEncoding),
        ("Transfer-Encoding: identity", UnsupportedTransferEncoding),
        ("Transfer-Encoding:", UnsupportedTransferEncoding),
    ] {
        assert_eq!(error(&post(&format!("{lines}\r\n"))), expected, "{lines:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error(old), UnsupportedTransferEncoding);
}

#[test]
fn clear_framing_is_taken() {
    for (lines, expected) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("CONTENT-LENGTH:  42 \r\n", Framing::Length(42)),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding:CHUNKED\t\r\n", Framing::Chunked),
    ] {
        assert_eq!(
            head(&post(lines), |head| head.framing),
            Ok(expected),
            "{lines:?}"
        );
    }
}

#[test]
fn hosts_are_required_single_and_valid() {
    use RequestError::{InvalidHost, MissingHost, SeveralHosts};
    for (lines, expected) in [
        ("", MissingHost),
        ("Host: a\r\nHost: a\r\n", SeveralHosts),
        ("Host: a\r\nhOST: b\r\n", SeveralHosts),
        ("Host: a b\r\n", InvalidHost),
        ("Host: a, b\r\n", InvalidHost),
        ("Host:\r\n", InvalidHost),
        ("Host: a/b\r\n", InvalidHost),
        ("Host: u@a\r\n", InvalidHost),
        ("Host: a:x\r\n", InvalidHost),
        ("Host: [::1\r\n", InvalidHost),
        ("Host: \u{e4}\r\n", InvalidHost),
    ] {
        assert_eq!(error(&get(lines)), expected, "{lines:?}");
    }
    for host in ["example.com", "a:81", "[::1]:81"] {
        let got = head(&get(&format!("Host: {host}\r\n")), |head| {
            head.host.to_owned()
        });
        assert_eq!(got, Ok(host.to_owned()));
    }
}

#[test]
fn http_1_0_needs_no_host() {
    let host = |lines| {
        head(&format!("GET / HTTP/1.0\r\n{lines}\r\n"), |h| {
            h.host.to_owned()
        })
    };
    assert_eq!(host(""), Ok("localhost".to_owned()));
    assert_eq!(host("Host: b\r\n"), Ok("b".to_owned()));
    assert_eq!(
        host("Host: b\r\nHost: b\r\n"),
        Err(RequestError::SeveralHosts)
    );
    assert_eq!(host("Host: b c\r\n"), Err(RequestError::InvalidHost));
}

#[test]
fn an_absolute_target_overrules_the_host_field() {
    let request = |target, lines| {
        head(&format!("GET {target} HTTP/1.1\r\n{lines}\r\n"), |head| {
            (head.host.to_owned(), head.target.to_owned())
        })
    };
    let expected = ("b:81".to_owned(), "/c?d".to_owned());
    assert_eq!(request("http://b:81/c?d", "Host: a\r\n"), Ok(expected));
    assert_eq!(
        request("http://b", "Host: a\r\n"),
        Ok(("b".to_owned(), "/".to_owned()))
    );
    assert_eq!(request("http://b/", ""), Err(RequestError::MissingHost));
    assert_eq!(
        request("http://b/", "Host: a b\r\n"),
        Err(RequestError::InvalidHost)
    );
    assert_eq!(
        request("http://u@b/", "Host: a\r\n"),
        Err(RequestError::InvalidHost)
    );
}

#[test]
fn persistence_follows_version_and_connection_options() {
    for (version, lines, expected) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: foo , CLOSE\r\n", false),
        ("1.1", "Connection: foo\r\nConnection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        (
            "1.0",
            "Connection: foo\r\nconnection: x, keep-alive\r\n",
            true,
        ),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
        assert_eq!(
            head(&input, |head| head.persistent),
            Ok(expected),
            "{version} {lines:?}"
        );
    }
}

#[test]
fn a_client_is_waited_for_only_if_it_has_content_to_send() {
    for (input, expected) in [
        (post("Expect: 100-continue\r\nContent-Length: 1\r\n"), true),
        (
            post("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n"),
            true,
        ),
        (post("Expect: 100-continue\r\nContent-Length: 0\r\n"), false),
        (post("Expect: 100-continue\r\n"), false),
        (post("Expect: 200-ok\r\nContent-Length: 1\r\n"), false),
        (
            "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n".into(),
            false,
        ),
    ] {
        assert_eq!(
            head(&input, |head| head.expect_continue),
            Ok(expected),
            "{input:?}"
        );
    }
}

#[test]
fn an_upgrade_is_reported_with_or_without_a_connection_option() {
    let upgrade = |input: String| head(&input, |head| head.upgrade.map(<[u8]>::to_vec));
    assert_eq!(
        upgrade(post("Upgrade: WebSocket\r\n")),
        Ok(Some(b"WebSocket".to_vec()))
    );
    assert_eq!(
        upgrade(post("Upgrade: a\r\nUpgrade: b\r\n")),
        Ok(Some(b"a".to_vec()))
    );
    assert_eq!(upgrade(post("Connection: upgrade\r\n")), Ok(None));
    assert_eq!(
        upgrade("GET / HTTP/1.0\r\nUpgrade: a\r\n\r\n".to_owned()),
        Ok(None)
    );
}

#[test]
fn the_texts_are_those_that_clients_know() {
    for (error, text) in [
        (
            RequestError::HeadTooLarge { max: 8192 },
            "Request header size exceeded limit of 8192 bytes.",
        ),
        (RequestError::InvalidToken, "invalid token"),
        (RequestError::InvalidVersion, "invalid HTTP version"),
        (RequestError::InvalidFieldName, "invalid header name"),
        (RequestError::InvalidFieldValue, "invalid header value"),
        (RequestError::InvalidNewLine, "invalid new line"),
        (RequestError::TooManyFields { max: 64 }, "too many headers"),
        (RequestError::InvalidContentLength, "invalid content length"),
        (
            RequestError::UnsupportedTransferEncoding,
            "unsupported transfer encoding",
        ),
    ] {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.status(), 400);
    }
}

/// What must be true of every head that is let through, found without the parser's help.
fn assert_is_unambiguous(head: RequestHead<'_, '_>, bytes: &[u8]) {
    let text: String = bytes.iter().map(|&b| char::from(b)).collect();
    assert!(text.ends_with("\r\n\r\n"), "ends in an empty line");
    let lines: Vec<&str> = text.trim_start_matches("\r\n").split("\r\n").collect();
    assert_eq!(lines.len(), head.fields.len() + 3, "one line a field");
    assert!(
        !lines.concat().contains(['\r', '\n', '\0']),
        "no other line end"
    );
    assert!(
        head.target.starts_with('/') || head.target == "*",
        "{:?}",
        head.target
    );
    assert!(head.target.bytes().all(|b| b.is_ascii_graphic()));
    assert!(head.host.bytes().all(|b| b.is_ascii_graphic()) && !head.host.is_empty());
    let count = |name| fields::field_values(head.fields, name).count();
    assert!(count("host") <= 1 && count("content-length") + count("transfer-encoding") <= 1);
}

#[test]
fn whatever_is_let_through_after_damage_is_unambiguous() {
    const BASE: &[u8] = b"\r\nPOST http://a:1/b?c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
        X-B: c\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    const TELLING: &[u8] = b"\r\n\t\0 :,/?#@[]*\x7f\x80aH0";
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut input = BASE.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(input.len());
            let b = TELLING[random.below(TELLING.len())];
            match random.below(3) {
                0 => input[at] = b,
                1 => input.insert(at, b),
                _ => drop(input.remove(at)),
            }
        }
        let looked = with_head(&input, &LIMITS, |head, used| {
            assert_is_unambiguous(head, &input[..used]);
            used
        });
        if let Ok(Some(used)) = looked {
            let cut = random.below(used);
            let prefix = with_head(&input[..cut], &LIMITS, |_, _| ());
            assert_eq!(prefix, Ok(None), "seed {seed}, cut at {cut}");
        }
    }
}

#[test]
fn noise_is_never_let_through_and_never_panics() {
    for seed in 0..5000 {
        let mut random = Random::new(seed);
        let noise: Vec<u8> = (0..random.below(300)).map(|_| random.byte()).collect();
        assert!(
            !matches!(with_head(&noise, &LIMITS, |_, _| ()), Ok(Some(()))),
            "seed {seed}"
        );
    }
}
