use super::*;
use crate::grip::test_random::Random;

fn parsed(body: &[u8]) -> Result<Vec<Event<'_>>, EventsError> {
    events(body).collect()
}

const fn event(event_type: EventType, content: &[u8]) -> Event<'_> {
    Event {
        event_type,
        content,
    }
}

fn written(events: &[Event<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        let before = out.len();
        write_event(&mut out, *event);
        let len = event_len(event.event_type, event.content.len());
        assert_eq!(out.len() - before, len, "{event:?}");
    }
    out
}

use EventType::{Binary, Close, Disconnect, Open, Ping, Pong, Text};

#[test]
fn bodies_look_as_the_reference_shows_them() {
    let long = [b'x'; 300];
    let cases: [(&[Event<'_>], &[u8]); 8] = [
        (&[event(Open, b"")], b"OPEN\r\n"),
        (&[event(Text, b"hello pins")], b"TEXT a\r\nhello pins\r\n"),
        (
            &[event(Binary, b"\x00\xff\r\n")],
            b"BINARY 4\r\n\x00\xff\r\n\r\n",
        ),
        (&[event(Text, b""), event(Ping, b"")], b"TEXT\r\nPING\r\n"),
        (
            &[event(Text, b"ab"), event(Ping, b""), event(Pong, b"z")],
            b"TEXT 2\r\nab\r\nPING\r\nPONG 1\r\nz\r\n",
        ),
        (
            &[event(Close, b"\x0f\xa1bye")],
            b"CLOSE 5\r\n\x0f\xa1bye\r\n",
        ),
        (
            &[event(Close, b""), event(Disconnect, b"")],
            b"CLOSE\r\nDISCONNECT\r\n",
        ),
        (&[], b""),
    ];
    for (events, body) in cases {
        assert_eq!(written(events), body);
        assert_eq!(parsed(body).as_deref(), Ok(events));
    }
    let body = written(&[event(Text, &long)]);
    assert!(body.starts_with(b"TEXT 12c\r\nxxx"));
    assert_eq!(body.len(), 10 + 300 + 2);
}

#[test]
fn lengths_are_read_leniently() {
    for (len, content) in [
        ("0A", "0123456789"),
        ("0x2", "01"),
        ("0X2", "01"),
        (" 3", "012"),
        ("3 ", "012"),
        ("+1", "0"),
        ("000000001", "0"),
        ("0", ""),
        ("-0", ""),
    ] {
        let body = format!("TEXT {len}\r\n{content}\r\nPING\r\n");
        let expected = [event(Text, content.as_bytes()), event(Ping, b"")];
        assert_eq!(
            parsed(body.as_bytes()).as_deref(),
            Ok(&expected[..]),
            "{len:?}"
        );
    }
}

#[test]
fn lengths_that_are_none_spoil_the_body() {
    for len in [
        "zz",
        "",
        " ",
        "-1",
        "-8",
        "- 1",
        "+-1",
        "--1",
        "0x",
        "0x-1",
        "1.0",
        "1 2",
        "80000000",
        "ffffffffffffffffffff",
        "\u{e4}",
    ] {
        let body = format!("OPEN\r\nTEXT {len}\r\nhello\r\n");
        assert_eq!(
            check(body.as_bytes()),
            Err(EventsError::InvalidLen),
            "{len:?}"
        );
    }
    assert_eq!(
        check(b"TEXT 7fffffff\r\nhello"),
        Ok(1),
        "the largest length, cut"
    );
}

#[test]
fn every_event_line_must_end() {
    for body in [
        "OPEN",
        "OPEN\n",
        "OPEN\r",
        "OPEN\r\nTEXT 2",
        "TEXT 2\r\nab\r\nx",
    ] {
        assert_eq!(
            check(body.as_bytes()),
            Err(EventsError::NoLineEnd),
            "{body:?}"
        );
    }
}

#[test]
fn content_may_be_cut_and_what_follows_it_is_not_looked_at() {
    assert_eq!(parsed(b"TEXT 10\r\nhello"), Ok(vec![event(Text, b"hello")]));
    assert_eq!(parsed(b"TEXT 5\r\nhello"), Ok(vec![event(Text, b"hello")]));
    assert_eq!(
        parsed(b"TEXT 5\r\nhello\r"),
        Ok(vec![event(Text, b"hello")])
    );
    assert_eq!(
        parsed(b"TEXT 1\r\naXYPING\r\n"),
        Ok(vec![event(Text, b"a"), event(Ping, b"")])
    );
    assert_eq!(
        parsed(b"TEXT 0\r\n\r\nPING\r\n"),
        Ok(vec![event(Text, b""), event(Ping, b"")])
    );
}

#[test]
fn unknown_events_are_skipped_with_their_content() {
    assert_eq!(
        parsed(b"text 2\r\nxx\r\nNEW\r\n\r\nPING\r\n"),
        Ok(vec![event(Ping, b"")])
    );
    assert_eq!(check(b"NEW zz\r\n"), Err(EventsError::InvalidLen));
}

#[test]
fn nothing_comes_behind_an_error() {
    let mut events = events(b"PING\r\nTEXT zz\r\nPING\r\n");
    assert_eq!(events.next(), Some(Ok(event(Ping, b""))));
    assert_eq!(events.next(), Some(Err(EventsError::InvalidLen)));
    assert_eq!(events.next(), None);
}

#[test]
fn close_content_has_a_code_or_nothing() {
    assert_eq!(close_content(b""), None);
    assert_eq!(close_content(b"\x03"), None);
    assert_eq!(close_content(b"\x10\x04go"), Some((4100, b"go".as_slice())));
}

#[test]
fn keep_alive_intervals_have_a_minimum() {
    let cases: [(&str, KeepAliveInterval); 8] = [
        ("5", KeepAliveInterval::Seconds(20)),
        ("20", KeepAliveInterval::Seconds(20)),
        ("21", KeepAliveInterval::Seconds(21)),
        ("0", KeepAliveInterval::Off),
        ("-1", KeepAliveInterval::Off),
        ("junk", KeepAliveInterval::Off),
        ("", KeepAliveInterval::Off),
        ("9999999999", KeepAliveInterval::Off),
    ];
    for (value, interval) in cases {
        assert_eq!(keep_alive_interval(value.as_bytes()), interval, "{value:?}");
    }
}

#[test]
fn bytes_accepted_are_a_count_or_all() {
    for (value, bytes) in [
        ("0", Some(0)),
        ("12", Some(12)),
        ("-1", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(content_bytes_accepted(value.as_bytes()), bytes, "{value:?}");
    }
}

#[test]
fn meta_names_keep_their_spelling() {
    assert_eq!(set_meta_name("Set-Meta-User"), Some("User"));
    assert_eq!(set_meta_name("set-meta-two"), Some("two"));
    for name in ["Set-Meta-", "Set-Meta", "Meta-User", "", "sét-meta-x"] {
        assert_eq!(set_meta_name(name), None, "{name:?}");
    }
    for name in ["Connection-Id", "META-x", "accept"] {
        assert!(is_session_field(name), "{name}");
    }
    for name in ["Metal", "Cookie", "Content-Type", "Accept-Language", "é"] {
        assert!(!is_session_field(name), "{name}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let mut random = Random::new(18);
    let content: Vec<u8> = (0..40_000u32).map(|at| at.to_le_bytes()[0]).collect();
    for _round in 0..500 {
        let events: Vec<_> = (0..random.below(6))
            .map(|_| {
                let event_type = *random.pick(&EventType::ALL);
                let len = *random.pick(&[0, 0, 1, 9, 10, 15, 16, 17, 255, 256, 4096, 40_000]);
                event(event_type, &content[..len])
            })
            .collect();
        assert_eq!(parsed(&written(&events)), Ok(events));
    }
}

#[test]
fn damaged_bodies_never_panic_and_never_yield_more_than_they_have() {
    let mut random = Random::new(19);
    for _round in 0..20_000 {
        let mut body = written(&[
            event(Open, b""),
            event(Text, b"a 1\r\nb"),
            event(Close, b"\x03\xe8"),
        ]);
        random.damage(&mut body);
        let content: usize = events(&body)
            .flatten()
            .map(|event| event.content.len())
            .sum();
        assert!(content <= body.len());
    }
}
