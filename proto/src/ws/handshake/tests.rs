use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn fields(lines: &'static str) -> Vec<Field<'static>> {
    lines
        .lines()
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            let value = value.trim().as_bytes();
            Field { name, value }
        })
        .collect()
}

const GOOD: &str = "Host: x\nUpgrade: WebSocket\nConnection: keep-alive, upgrade\n\
    Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

fn check_with(
    fields: &[Field<'static>],
    rules: &HandshakeRules,
) -> Result<&'static [u8], HandshakeError> {
    let request = HandshakeRequest {
        method: "GET",
        version: Version::Http11,
        fields,
        framing: Framing::None,
    };
    check_request(&request, rules)
}

fn check(lines: &'static str) -> Result<&'static [u8], HandshakeError> {
    check_with(&fields(lines), &HandshakeRules::STRICT)
}

#[test]
fn accept_values_are_those_of_the_rfc_and_the_reference() {
    assert_eq!(accept(KEY.as_bytes()), ACCEPT.as_bytes());
    assert_eq!(
        accept(b"cGluY3VzaGlvbi1rZXktMQ=="),
        b"JWCz215vsIHWpjoHBiSg2/jpUss=".as_slice()
    );
}

#[test]
fn websocket_is_asked_for_by_the_whole_value_in_any_case() {
    assert!(is_upgrade(&fields(GOOD)));
    assert!(is_upgrade(&fields("Upgrade: foo\nupgrade: websocket")));
    for lines in [
        "Host: x",
        "Upgrade: websocket, foo",
        "Upgrade: websocket/13",
        "Upgrade:",
    ] {
        assert!(!is_upgrade(&fields(lines)), "{lines}");
    }
}

#[test]
fn a_good_request_is_accepted() {
    assert_eq!(check(GOOD), Ok(KEY.as_bytes()));
}

#[test]
fn each_duty_of_the_client_is_checked() {
    let fields = fields(GOOD);
    let request = HandshakeRequest {
        method: "GET",
        version: Version::Http11,
        fields: &fields,
        framing: Framing::Length(0),
    };
    let strict = |request: &HandshakeRequest<'_, 'static>| {
        check_request(request, &HandshakeRules::STRICT).map(drop)
    };
    assert_eq!(strict(&request), Ok(()), "an empty content is none");
    for method in ["POST", "get", "HEAD"] {
        let request = HandshakeRequest { method, ..request };
        assert_eq!(strict(&request), Err(HandshakeError::Method), "{method}");
    }
    for framing in [Framing::Length(5), Framing::Chunked] {
        let request = HandshakeRequest { framing, ..request };
        assert_eq!(
            strict(&request),
            Err(HandshakeError::Content),
            "{framing:?}"
        );
    }
    let version = Version::Http10;
    let request = HandshakeRequest { version, ..request };
    assert_eq!(strict(&request), Err(HandshakeError::HttpVersion));
}

#[test]
fn another_version_is_told_ours() {
    for lines in [
        "Connection: Upgrade\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Connection: Upgrade\nSec-WebSocket-Version: 8\nSec-WebSocket-Key: x",
        "Connection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Version: 8",
        "Connection: Upgrade\nSec-WebSocket-Version: 13, 8",
    ] {
        let error = check(lines).unwrap_err();
        assert_eq!(
            (error, error.status()),
            (HandshakeError::Version, 426),
            "{lines}"
        );
    }
}

#[test]
fn keys_are_the_base64_of_sixteen_bytes() {
    for key in [
        "",
        "abc",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25jZTE=",
        "dGhlIHNhbXBsZSBub25jZTEy",
        "dGhlIHNhbXBsZ!Bub25jZQ==",
    ] {
        assert!(!is_key(key.as_bytes()), "{key}");
    }
    assert!(is_key(KEY.as_bytes()));
    let error = check("Connection: Upgrade\nSec-WebSocket-Version: 13").unwrap_err();
    assert_eq!((error, error.status()), (HandshakeError::Key, 400));
}

#[test]
fn connection_must_name_upgrade() {
    for lines in [
        "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Connection: close\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        assert_eq!(check(lines), Err(HandshakeError::Connection), "{lines}");
    }
}

#[test]
fn leniency_lets_pass_what_pushpin_does() {
    let lines = "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: abc";
    let key = check_with(&fields(lines), &HandshakeRules::LENIENT);
    assert_eq!(key, Ok(b"abc".as_slice()));
    let (fits, long) = ("k".repeat(220), "k".repeat(221));
    for (key, is_fine) in [(&fits, true), (&long, false)] {
        let fields = [
            Field {
                name: "Sec-WebSocket-Version",
                value: b"13",
            },
            Field {
                name: "Sec-WebSocket-Key",
                value: key.as_bytes(),
            },
        ];
        let request = HandshakeRequest {
            method: "GET",
            version: Version::Http10,
            fields: &fields,
            framing: Framing::None,
        };
        let checked = check_request(&request, &HandshakeRules::LENIENT);
        assert_eq!(checked.is_ok(), is_fine, "{}", key.len());
    }
}

#[test]
fn malformed_extension_lists_are_refused() {
    for value in ["foo,", "", "foo; =3"] {
        let mut fields = fields(GOOD);
        let value = value.as_bytes();
        fields.push(Field {
            name: "Sec-WebSocket-Extensions",
            value,
        });
        let checked = check_with(&fields, &HandshakeRules::STRICT);
        assert_eq!(
            checked,
            Err(HandshakeError::Extensions(ExtensionsError)),
            "{value:?}"
        );
    }
}

#[test]
fn our_own_request_and_answer_pass_our_own_checks() {
    let key = key(*b"the sample nonce");
    assert_eq!(key, KEY.as_bytes());
    let mut request = b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec();
    write_request_fields(&mut request, &key);
    request.extend_from_slice(b"\r\n");
    let limits = crate::http1::HeadLimits {
        head_len_max: 8192,
        fields_max: 64,
    };
    let mut slots = crate::http1::empty_slots();
    let crate::Parsed::Complete(head, _used) =
        crate::http1::parse_request(&request, &mut slots, &limits).unwrap()
    else {
        panic!("the head is complete");
    };
    assert!(is_upgrade(head.fields));
    let asked = HandshakeRequest {
        method: head.method,
        version: head.version,
        fields: head.fields,
        framing: head.framing,
    };
    assert_eq!(
        check_request(&asked, &HandshakeRules::STRICT),
        Ok(key.as_slice())
    );

    let mut answer = Vec::new();
    write_accept_fields(&mut answer, &key);
    let wanted =
        format!("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n");
    assert_eq!(answer, wanted.as_bytes());
}

#[test]
fn a_backends_answer_must_fit_our_key() {
    let key = key(*b"the sample nonce");
    let check = |lines| check_response(&fields(lines), &key);
    let cases = [
        (
            "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            Ok(()),
        ),
        (
            "Connection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            Err(ResponseError::Upgrade),
        ),
        (
            "Upgrade: websocket\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            Err(ResponseError::Connection),
        ),
        (
            "Upgrade: websocket\nConnection: Upgrade",
            Err(ResponseError::Accept),
        ),
        (
            "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: JWCz215vsIHWpjoHBiSg2/jpUss=",
            Err(ResponseError::Accept),
        ),
        (
            "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nSec-WebSocket-Extensions: grip;",
            Err(ResponseError::Extensions(ExtensionsError)),
        ),
    ];
    for (lines, wanted) in cases {
        assert_eq!(check(lines), wanted, "{lines}");
    }
}
