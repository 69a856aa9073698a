//! Which answers are instructions, and how large they may be (grip-http.md section 3).

use crate::stage::{GET, ROUTES, answer, item, relayed, stage};
use crate::world::{World, small_config};

const STREAM: &str = "Grip-Hold: stream\r\nGrip-Channel: c\r\n";
const POLL: &str = "Grip-Hold: response\r\nGrip-Channel: c\r\n";

/// Bytes that the content of instructions may have, and that of a request that is held.
const CONTENT_MAX: usize = 100_000;

#[test]
fn an_answer_that_only_names_a_channel_is_plain() {
    let mut world = stage();
    let (client, _) = world.answered(GET, &answer("Grip-Channel: c\r\nX-A: 1\r\n", "plain"));
    let response = &world.responses(client)[0];
    assert!(response.is_complete);
    assert_eq!(response.content, b"plain");
    assert_eq!(response.field("X-A"), Some("1"));
    assert_eq!(response.field("Grip-Channel"), None);
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn the_json_type_in_other_letters_is_plain_content() {
    let kind = "Application/Grip-Instruct";
    let response = relayed(&format!("Content-Type: {kind}\r\n"), "{");
    assert!(response.is_complete);
    assert_eq!(response.content, b"{");
    assert_eq!(response.field("Content-Type"), Some(kind));
}

#[test]
fn the_json_type_may_have_parameters() {
    let fields = "Content-Type: application/grip-instruct; charset=utf-8\r\n";
    let response = relayed(fields, r#"{"response":{"body":"x"}}"#);
    assert_eq!(response.content, b"x");
}

#[test]
fn instructions_may_have_100_000_bytes_of_content_and_no_more() {
    let mut config = small_config();
    config.proxy.debug = false;
    let mut world = World::new(config, ROUTES);
    let (most, _) = world.answered(GET, &answer(POLL, &"x".repeat(CONTENT_MAX)));
    assert_eq!(world.counters.connections.held_long_polls.get(), 1);
    world.send_out(&item("one"));
    assert_eq!(world.responses(most)[0].content, b"one");

    let (over, _) = world.answered(GET, &answer(POLL, &"x".repeat(CONTENT_MAX + 1)));
    let response = &world.responses(over)[0];
    assert_eq!(response.start, "HTTP/1.1 502 Bad Gateway");
    assert_eq!(response.content, b"Error while proxying to origin.\n");
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn a_large_stream_is_relayed_whole_and_then_held() {
    let more = "Content-Type: a/b\r\nX-Q: 1\r\nGrip-Status: 201 Made\r\n\
                Grip-Expose-Headers: X-Q\r\n";
    let mut world = stage();
    let first = "x".repeat(150_000);
    let (client, _) = world.answered(GET, &answer(&format!("{STREAM}{more}"), &first));
    world.send_out(&item("one"));
    let response = &world.responses(client)[0];
    assert_eq!(response.start, "HTTP/1.1 201 Made");
    assert!(!response.is_complete && response.content.ends_with(b"xone"));
    assert_eq!(response.content.len(), 150_003);
    assert_eq!(response.field("X-Q"), Some("1"));
    assert_eq!(response.field("Content-Type"), None, "as in small answers");
}

#[test]
fn a_mistake_in_a_large_stream_is_told_before_it_begins() {
    for mistake in ["Grip-Status: abc\r\n", "Grip-Timeout: abc\r\n"] {
        let fields = format!("{STREAM}{mistake}");
        let response = relayed(&fields, &"x".repeat(120_000));
        assert!(response.is_complete);
        assert_eq!(response.status(), 502, "{mistake}");
    }
}

#[test]
fn large_content_that_has_to_be_gathered_is_refused() {
    let filtered = "Grip-Hold: stream\r\nGrip-Channel: c; filter=build-id\r\n";
    let json = "Content-Type: application/grip-instruct\r\n";
    for fields in [filtered, json, POLL] {
        let response = relayed(fields, &"x".repeat(150_000));
        assert_eq!(response.status(), 502, "{fields}");
        let why = "GRIP instruct response too large from 127.0.0.1:1\n";
        assert_eq!(response.content, why.as_bytes(), "{fields}");
    }
}

#[test]
fn a_large_answer_that_holds_nothing_is_relayed() {
    let response = relayed("Grip-Channel: c\r\n", &"x".repeat(150_000));
    assert!(response.is_complete);
    assert_eq!((response.status(), response.content.len()), (200, 150_000));
}

/// A client whose upload of so many bytes is answered like this; what the client gets.
fn uploaded(len: usize, answer: &str) -> (World, usize) {
    let mut config = small_config();
    config.proxy.replay_max = CONTENT_MAX;
    let mut world = World::new(config, ROUTES);
    let upload = "x".repeat(len);
    let request = format!("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n{upload}");
    let (client, backend) = world.asking(&request);
    world.read_all(client);
    assert_eq!(world.requests(backend)[0].content.len(), len);
    world.say(backend, answer);
    (world, client)
}

#[test]
fn a_request_of_100_000_bytes_can_be_held() {
    let (mut world, client) = uploaded(CONTENT_MAX, &answer(POLL, "now"));
    assert_eq!(world.heard(client), "");
    world.send_out(&item("one"));
    assert_eq!(world.responses(client)[0].content, b"one");
}

#[test]
fn a_larger_request_cannot_be_held_but_be_answered() {
    for fields in [POLL, STREAM] {
        let (world, client) = uploaded(CONTENT_MAX + 1, &answer(fields, "now"));
        let response = &world.responses(client)[0];
        assert_eq!(response.status(), 400, "{fields}");
        let text = b"Request too large to accept GRIP instruct.\n";
        assert_eq!(response.content, text, "{fields}");
        assert_eq!(world.core.channels(), 0, "{fields}");
    }
    let (world, client) = uploaded(CONTENT_MAX + 1, &answer("Grip-Status: 201\r\n", "made"));
    assert_eq!(world.responses(client)[0].status(), 201);
}

#[test]
fn a_mistake_is_a_502_with_or_without_a_hold_and_told_in_debug_mode() {
    for (is_debug, text) in [
        (
            true,
            "Failed to parse accept instructions: Grip-Timeout has invalid value\n",
        ),
        (false, "Error while proxying to origin.\n"),
    ] {
        let mut config = small_config();
        config.proxy.debug = is_debug;
        let mut world = World::new(config, ROUTES);
        for fields in [POLL, STREAM, ""] {
            let fields = format!("{fields}Grip-Timeout: -1\r\n");
            let (client, _) = world.answered(GET, &answer(&fields, "now"));
            let response = &world.responses(client)[0];
            assert_eq!(response.start, "HTTP/1.1 502 Bad Gateway", "{fields}");
            assert_eq!(response.field("Content-Type"), Some("text/plain"));
            assert_eq!(response.content, text.as_bytes(), "{fields}");
            assert_eq!(world.core.channels(), 0, "{fields}");
        }
    }
}
