//! Tests of the fake backend's answers.

use super::*;

fn response_of(desk: &mut Desk, target: &str) -> (String, usize) {
    let mut out = Vec::new();
    let Reply::Now { filling } = desk.respond(target, &mut out) else {
        panic!("{target} is answered later");
    };
    (String::from_utf8(out).unwrap(), filling)
}

fn response_to(target: &str) -> (String, usize) {
    response_of(&mut Desk::default(), target)
}

#[test]
fn a_stream_is_held_on_the_channel_of_its_path() {
    let (text, filling) = response_to("/stream?channel=abc");
    assert!(
        text.contains("\r\nGrip-Hold: stream\r\nGrip-Channel: abc\r\n"),
        "{text}"
    );
    assert!(text.ends_with("Content-Length: 5\r\n\r\nopen\n"), "{text}");
    assert_eq!(filling, 0);
}

#[test]
fn a_filtered_stream_has_its_filter_and_a_user() {
    let (text, _) = response_to("/filtered?channel=abc&filter=skip-self&user=u1");
    assert!(
        text.contains("\r\nGrip-Channel: abc; filter=skip-self\r\nGrip-Set-Meta: user=u1\r\n"),
        "{text}"
    );
}

#[test]
fn a_poll_is_held_with_a_timeout() {
    let (text, _) = response_to("/poll?channel=abc");
    assert!(
        text.contains("\r\nGrip-Hold: response\r\nGrip-Channel: abc\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\nGrip-Timeout: 55\r\n"), "{text}");
}

#[test]
fn a_page_is_held_at_once_until_it_is_watched() {
    let mut desk = Desk::default();
    let (text, _) = response_of(&mut desk, "/page?channel=abc");
    assert!(text.contains("\r\nGrip-Hold: response\r\n"), "{text}");
    response_of(&mut desk, "/watch?answer=0&delay_ms=5");
    let reply = desk.respond("/page?channel=abc", &mut Vec::new());
    assert_eq!(reply, Reply::Later("abc".to_owned()));
}

#[test]
fn a_watched_page_is_answered_when_the_watch_says_so() {
    let mut desk = Desk::default();
    let mut out = Vec::new();
    response_of(&mut desk, "/watch?answer=1&delay_ms=0");
    desk.page("abc", &mut out);
    let text = String::from_utf8(out).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("Grip"), "{head}");
    let stamp = message::parse(body.trim_end().as_bytes()).unwrap();
    assert_eq!((stamp.seq, body.len()), (0, PAGE_MESSAGE_LEN));
}

#[test]
fn a_poll_is_held_at_the_place_its_client_names_or_told_what_it_missed() {
    let mut desk = Desk::default();
    let (text, _) = response_of(&mut desk, "/items?channel=abc&last=0");
    assert!(
        text.contains("\r\nGrip-Hold: response\r\nGrip-Channel: abc; prev-id=0\r\n"),
        "{text}"
    );
    let (text, _) = response_of(&mut desk, "/put?seq=1&sent_ns=9&size=50");
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let (text, _) = response_of(&mut desk, "/items?channel=abc&last=0");
    assert!(!text.contains("Grip"), "{text}");
    assert!(
        text.contains("\r\n\r\n00000001 0000000000000009 x"),
        "{text}"
    );
    let (text, _) = response_of(&mut desk, "/items?channel=abc&last=1");
    assert!(text.contains("; prev-id=1\r\n"), "{text}");
    assert!(response_of(&mut desk, "/stats").0.contains("\"held\":1"));
}

#[test]
fn a_plain_body_has_the_length_asked_for() {
    for len in [0, 1, 100, 4096, 4097, PLAIN_LEN_MAX] {
        let (text, filling) = response_to(&format!("/plain/{len}"));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {len}")), "{head}");
        assert_eq!(body.len() + filling, len);
    }
}

#[test]
fn unknown_paths_and_huge_bodies_are_not_found() {
    for target in [
        "/",
        "",
        "/plain/x",
        &format!("/plain/{}", PLAIN_LEN_MAX + 1),
    ] {
        assert!(
            response_to(target).0.starts_with("HTTP/1.1 404 "),
            "{target}"
        );
    }
}
