//! Instructions as JSON content, and what becomes of the fields beside them (grip-http.md sections
//! 6 and 7).

use crate::reader::Message;
use crate::stage::{GET, answer, item, stage};
use crate::world::World;

/// A client whose backend has answered with this JSON, and with these fields besides.
fn instructed(fields: &str, json: &str) -> (World, usize) {
    let mut world = stage();
    let fields = format!("Content-Type: application/grip-instruct\r\nX-Orig: 1\r\n{fields}");
    let (client, _) = world.answered(GET, &answer(&fields, json));
    (world, client)
}

/// The complete answer to such a client.
fn answered(fields: &str, json: &str) -> Message {
    let (world, client) = instructed(fields, json);
    let responses = world.responses(client);
    assert_eq!(responses.len(), 1, "{json}");
    assert!(responses[0].is_complete, "{json}");
    responses[0].clone()
}

fn lines(message: &Message) -> Vec<String> {
    let own = message.fields.iter();
    let own = own.filter(|(name, _)| name != "Content-Length");
    own.map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

#[test]
fn a_mistake_is_a_502_that_tells_it_in_debug_mode() {
    for (json, why) in [
        (
            "5",
            "failed to parse application/grip-instruct content as JSON",
        ),
        ("[]", "instruct must be an object"),
        (
            r#"{"hold":{"mode":null,"channels":[]}}"#,
            "hold contains 'mode' with wrong type",
        ),
        (
            r#"{"response":{"code":"abc"}}"#,
            "response contains 'code' with wrong type",
        ),
    ] {
        let response = answered("", json);
        assert_eq!(response.start, "HTTP/1.1 502 Bad Gateway", "{json}");
        let wanted = format!("Failed to parse accept instructions: {why}\n");
        assert_eq!(response.content, wanted.as_bytes(), "{json}");
    }
}

#[test]
fn nothing_or_an_empty_body_is_an_empty_answer() {
    for (json, status) in [
        ("{}", "200 OK"),
        (r#"{"response":{"body":""}}"#, "200 OK"),
        (r#"{"response":{"code":204}}"#, "204 No Content"),
    ] {
        let response = answered("", json);
        assert_eq!(response.start, format!("HTTP/1.1 {status}"), "{json}");
        assert_eq!(response.content, b"", "{json}");
    }
}

#[test]
fn a_stream_without_channels_is_held_open() {
    let (world, client) = instructed("", r#"{"hold":{"mode":"stream","channels":[]}}"#);
    assert!(!world.responses(client)[0].is_complete);
    assert_eq!(world.counters.connections.held_streams.get(), 1);
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn a_hold_without_mode_is_a_poll() {
    let (mut world, client) = instructed("", r#"{"hold":{"channels":[{"name":"c"}]}}"#);
    assert_eq!(world.heard(client), "");
    world.send_out(&item("one"));
    assert_eq!(world.responses(client)[0].content, b"one");
}

#[test]
fn the_fields_of_the_answer_are_those_of_the_json() {
    let object = answered("", r#"{"response":{"headers":{"X-B":"1","X-A":"2"}}}"#);
    assert_eq!(lines(&object), ["X-A: 2", "X-B: 1"], "by name");
    let list = answered(
        "",
        r#"{"response":{"headers":[["X-B","1"],["Grip-Foo","2"],["X-B","3"]]}}"#,
    );
    let wanted = ["X-B: 1", "Grip-Foo: 2", "X-B: 3"];
    assert_eq!(lines(&list), wanted, "as they were given");
}

#[test]
fn binary_content_wins() {
    let json = r#"{"response":{"body":"x","body-bin":"Y*WI"}}"#;
    assert_eq!(answered("", json).content, b"ab");
}

#[test]
fn code_and_reason_go_before_those_of_the_fields() {
    let status = "Grip-Status: 404 Nope\r\n";
    for (fields, json, wanted) in [
        (status, r#"{"response":{"body":"x"}}"#, "404 Nope"),
        (status, r#"{"response":{"code":201}}"#, "201 Created"),
        ("", r#"{"response":{"reason":"Yo"}}"#, "200 Yo"),
        (
            "",
            r#"{"response":{"code":404.6}}"#,
            "405 Method Not Allowed",
        ),
        ("", r#"{"response":{"code":"404"}}"#, "404 Not Found"),
    ] {
        let response = answered(fields, json);
        assert_eq!(response.start, format!("HTTP/1.1 {wanted}"), "{json}");
    }
}

fn stream_item(channel: &str) -> String {
    format!(
        r#"{{"items":[{{"channel":"{channel}","http-stream":{{"content":"on {channel},"}}}}]}}"#
    )
}

#[test]
fn channels_of_fields_and_json_are_both_subscribed() {
    let fields = "Grip-Hold: response\r\nGrip-Channel: j1\r\n";
    let json = r#"{"hold":{"mode":"stream","channels":[{"name":"j2"}]}}"#;
    let (mut world, client) = instructed(fields, json);
    world.send_out(&stream_item("j1"));
    world.send_out(&stream_item("j2"));
    let response = &world.responses(client)[0];
    assert_eq!(response.content, b"on j1,on j2,");
    assert!(!response.is_complete);
}

#[test]
fn a_hold_of_the_fields_stays_without_one_in_the_json() {
    let fields = "Grip-Hold: stream\r\nGrip-Channel: c\r\n";
    let (mut world, client) = instructed(fields, r#"{"response":{"body":"first,"}}"#);
    world.send_out(&item("one"));
    assert_eq!(world.responses(client)[0].content, b"first,one");
}

#[test]
fn keep_alive_comes_at_a_fixed_pace_although_items_come_more_often() {
    let json = r#"{"hold":{"mode":"stream","channels":[{"name":"c"}],
        "keep-alive":{"content":"k","timeout":2}}}"#;
    let (mut world, client) = instructed("", json);
    for _ in 0..10 {
        world.advance(1000);
        world.send_out(&item("i"));
    }
    let content = world.responses(client)[0].content.clone();
    let count = content.iter().filter(|byte| **byte == b'k').count();
    assert!((5..=10).contains(&count), "{count} within ten seconds");
}
