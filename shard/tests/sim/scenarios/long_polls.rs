//! Long-polls: what answers them, and with what (grip-http.md section 10).

use crate::reader::Message;
use crate::stage::{GET, OK, action, answer, hold, item, response_item, stage};
use crate::world::World;

/// Fields of an answer that holds.
const POLL: &str = "Grip-Hold: response\r\nGrip-Channel: c\r\n";

/// The answer to a poll whose backend gave these fields besides, after this item.
fn polled(fields: &str, form: &str) -> Message {
    let mut world = stage();
    let (client, _) = world.answered(GET, &answer(&format!("{POLL}{fields}"), "now"));
    world.send_out(&response_item(form));
    let responses = world.responses(client);
    assert_eq!(responses.len(), 1, "{fields} {form}");
    responses[0].clone()
}

#[test]
fn a_poll_waits_in_silence_and_at_least_five_seconds_by_default_fifty_five() {
    for (fields, wanted_ms) in [
        ("Grip-Timeout: 1\r\n", 5000),
        ("Grip-Timeout: 0\r\n", 5000),
        ("Grip-Timeout: 6\r\n", 6000),
        ("", 55_000),
    ] {
        let mut world = stage();
        let (client, _) = world.held(GET, "response", fields);
        world.advance(wanted_ms - 60);
        assert_eq!(world.heard(client), "", "{fields:?}");
        world.advance(120);
        assert_eq!(world.statuses(client), [200], "{fields:?}");
    }
}

#[test]
fn a_poll_that_times_out_has_the_status_and_fields_of_its_backend() {
    let mut world = stage();
    let fields = format!("{POLL}Grip-Status: 204 Nada\r\nGrip-Timeout: 5\r\nETag: \"1\"\r\n");
    let (client, _) = world.answered(GET, &answer(&fields, "now"));
    world.advance(5100);
    let response = &world.responses(client)[0];
    assert_eq!(response.start, "HTTP/1.1 204 Nada");
    assert_eq!(response.field("ETag"), Some("\"1\""));
    assert_eq!(response.content, b"");
}

#[test]
fn a_poll_outlives_the_time_limits_of_idle_connections() {
    let mut world = stage();
    let (client, _) = world.held(GET, "response", "Grip-Timeout: 5000\r\n");
    world.advance(4_990_000);
    assert!(!world.is_closed(client));
    world.advance(20_000);
    assert_eq!(world.statuses(client), [200]);
}

#[test]
fn an_item_inherits_the_fields_of_the_poll() {
    let response = polled("ETag: \"1\"\r\nContent-Type: a/b\r\n", r#"{"body":"news"}"#);
    assert_eq!(response.start, "HTTP/1.1 200 OK");
    assert_eq!(response.field("ETag"), Some("\"1\""));
    assert_eq!(response.field("Content-Type"), Some("a/b"));
    assert_eq!(response.content, b"news");
}

#[test]
fn the_fields_of_an_item_take_the_place_of_inherited_ones() {
    let one = polled(
        "X-Foo: backend\r\n",
        r#"{"headers":{"x-foo":"item"},"body":""}"#,
    );
    assert_eq!(one.values("X-Foo"), ["item"]);
    let two = polled(
        "X-D: backend\r\n",
        r#"{"headers":[["X-D","1"],["X-D","2"]],"body":""}"#,
    );
    assert_eq!(two.values("X-D"), ["1", "2"]);
}

#[test]
fn fields_of_grip_and_framing_are_not_taken_from_an_item() {
    let form = r#"{"headers":[["Grip-Foo","x"],["Content-Length","77"],["Connection","close"],
        ["Transfer-Encoding","chunked"],["X-A","1"]],"body":"four"}"#;
    let response = polled("", form);
    assert_eq!(response.values("Content-Length"), ["4"]);
    assert_eq!(response.field("X-A"), Some("1"));
    for name in ["Grip-Foo", "Connection", "Transfer-Encoding"] {
        assert_eq!(response.field(name), None, "{name}");
    }
}

#[test]
fn an_item_that_exposes_fields_keeps_only_these() {
    let form = r#"{"headers":{"Grip-Expose-Headers":"X-D, X-E","X-D":"1","X-F":"1"},"body":""}"#;
    let response = polled("X-E: 1\r\nX-G: 1\r\n", form);
    for (name, wanted) in [
        ("X-D", Some("1")),
        ("X-E", Some("1")),
        ("X-F", None),
        ("X-G", None),
    ] {
        assert_eq!(response.field(name), wanted, "{name}");
    }
}

#[test]
fn an_item_has_its_own_status_and_a_phrase_for_it() {
    let odd = polled("Grip-Status: 201 Made\r\n", r#"{"code":299,"body":"x"}"#);
    assert_eq!(odd.start, "HTTP/1.1 299 Undefined Reason");
    let empty = polled("", r#"{"code":204,"body":"not to be seen"}"#);
    assert_eq!(empty.start, "HTTP/1.1 204 No Content");
    assert_eq!(empty.content, b"");
}

#[test]
fn a_long_answer_has_a_length_whatever_the_version() {
    for version in ["1.1", "1.0"] {
        let mut world = stage();
        let request = format!("GET /a HTTP/{version}\r\nHost: h\r\n\r\n");
        let (client, _) = world.held(&request, "response", "");
        world.send_out(&item(&"x".repeat(20_000)));
        let response = &world.responses(client)[0];
        assert!(response.is_complete, "{version}");
        assert_eq!(response.content.len(), 20_000, "{version}");
        assert_eq!(response.field("Content-Length"), Some("20000"), "{version}");
        let is_old = version == "1.0";
        assert_eq!(world.wires[client].is_output_ended, is_old, "{version}");
    }
}

#[test]
fn items_that_are_no_answer_leave_the_poll_alone() {
    let stream = r#"{"items":[{"channel":"c","http-stream":{"content":"x"}}]}"#;
    for body in [
        &action("http-response", "close"),
        &action("http-response", "refresh"),
        stream,
    ] {
        let mut world = stage();
        let (client, backend) = world.held(GET, "response", "");
        world.send_out(body);
        world.advance(1000);
        assert_eq!(world.heard(client), "", "{body}");
        assert_eq!(world.requests(backend).len(), 1, "{body}");
        world.send_out(&item("one"));
        assert_eq!(world.responses(client)[0].content, b"one", "{body}");
    }
}

#[test]
fn of_two_items_in_one_request_the_first_answers() {
    let mut world = stage();
    let (client, _) = world.held(GET, "response", "");
    let form = |body| format!(r#"{{"channel":"c","http-response":{{"body":"{body}"}}}}"#);
    let both = format!(r#"{{"items":[{},{}]}}"#, form("first"), form("second"));
    world.send_out(&both);
    assert_eq!(world.responses(client).len(), 1);
    assert_eq!(world.responses(client)[0].content, b"first");
}

#[test]
fn after_an_answer_the_connection_serves_on() {
    let mut world = stage();
    let (client, backend) = world.held(GET, "response", "");
    world.send_out(&item("one"));
    world.say(client, GET);
    world.say(backend, &hold("response", ""));
    world.send_out(&item("two"));
    world.say(client, GET);
    world.say(backend, OK);
    let responses = world.responses(client);
    let contents: Vec<_> = responses.iter().map(|r| r.content.as_slice()).collect();
    assert_eq!(contents, [b"one".as_slice(), b"two", b"ok"]);
}

#[test]
fn a_client_that_asks_to_close_is_answered_and_closed() {
    let mut world = stage();
    let request = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let (client, _) = world.held(request, "response", "");
    world.send_out(&item("one"));
    let response = &world.responses(client)[0];
    assert!(response.says_close());
    assert_eq!(response.content, b"one");
    assert!(world.wires[client].is_output_ended);
}

/// Nobody is subscribed to anything any more.
fn nobody_listens(world: &mut World) -> bool {
    world.count_subscribers();
    world.core.channels() == 0 && world.subscribers.is_empty()
}

#[test]
fn a_poll_whose_client_has_left_receives_nothing() {
    let mut world = stage();
    let (client, _) = world.held(GET, "response", "");
    world.reset(client);
    assert!(nobody_listens(&mut world));
    world.send_out(&item("one"));
    assert_eq!(world.heard(client), "");
}

#[test]
fn a_poll_whose_client_has_ended_its_side_is_gone_without_an_error() {
    let mut world = stage();
    let (client, _) = world.held(GET, "response", "");
    world.end(client);
    assert!(world.is_closed(client));
    assert!(nobody_listens(&mut world));
    assert_eq!(world.heard(client), "");
}

#[test]
fn the_answer_to_a_polling_head_has_no_content() {
    let mut world = stage();
    let request = "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n";
    let (client, backend) = world.answered(request, &format!("HTTP/1.1 200 OK\r\n{POLL}\r\n"));
    world.send_out(&item("one"));
    let heard = world.heard(client);
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\n"), "{heard}");
    world.say(client, GET);
    world.say(backend, OK);
    let heard = world.heard(client);
    assert_eq!(heard.matches("HTTP/1.1 200 OK").count(), 2, "{heard}");
    assert!(heard.ends_with("\r\n\r\nok"), "{heard}");
}

#[test]
fn a_poll_never_fetches_its_next_link() {
    let mut world = stage();
    let link = "Grip-Link: </n>; rel=next; timeout=2\r\n";
    let (client, backend) = world.held(GET, "response", link);
    for _ in 0..54 {
        world.advance(1000);
    }
    assert_eq!(world.requests(backend).len(), 1);
    assert_eq!(world.heard(client), "");
    world.advance(1100);
    assert_eq!(world.responses(client)[0].content, b"now");
    assert_eq!(world.requests(backend).len(), 1);
}

#[test]
fn an_item_with_seventy_fields_arrives_whole() {
    let fields: Vec<_> = (0..70).map(|n| format!(r#"["X-{n}","{n}"]"#)).collect();
    let form = format!(r#"{{"headers":[{}],"body":"x"}}"#, fields.join(","));
    let response = polled("", &form);
    assert_eq!(response.field("X-69"), Some("69"));
    assert_eq!(response.content, b"x");
}

/// What a poll with this content of its own is answered with after this patch.
fn patched(own: &str, patch: &str) -> String {
    let mut world = stage();
    let (client, _) = world.answered(GET, &answer(POLL, own));
    world.send_out(&response_item(&format!(r#"{{"body-patch":{patch}}}"#)));
    let response = &world.responses(client)[0];
    assert_eq!(response.status(), 200, "{patch}");
    String::from_utf8(response.content.clone()).unwrap()
}

#[test]
fn a_patch_changes_the_polls_own_content() {
    let own = "{\"a\": 1, \"z\":[1,2,3]}\n";
    for (patch, wanted) in [
        (
            r#"[{"op":"replace","path":"/a","value":2}]"#,
            "{\"a\":2,\"z\":[1,2,3]}\n",
        ),
        (
            r#"[{"op":"add","path":"/z/0","value":9},{"op":"add","path":"/z/-","value":4}]"#,
            "{\"a\":1,\"z\":[9,2,3,4]}\n",
        ),
        ("[]", "{\"a\":1,\"z\":[1,2,3]}\n"),
    ] {
        assert_eq!(patched(own, patch), wanted, "{patch}");
    }
    let sorted = patched(r#"{"b": 1.50, "a": null}"#, "[]");
    assert_eq!(sorted, r#"{"a":null,"b":1.5}"#);
}

#[test]
fn a_patch_that_fails_answers_with_empty_content() {
    for (own, patch) in [
        ("{}", r#"[{"op":"replace","path":"/a","value":2}]"#),
        ("no json", "[]"),
        ("{}", r#"[{"op":"replace","path":"","value":{}}]"#),
        ("{}", r#"[{"op":"replace","path":"/","value":1}]"#),
    ] {
        assert_eq!(patched(own, patch), "", "{own} {patch}");
    }
}

#[test]
fn a_patch_tests_exactly() {
    let own = r#"{"f":1.2,"n":1,"u":null}"#;
    for (path, value, is_equal) in [
        ("/f", "1.4", false),
        ("/f", "1.2", true),
        ("/n", "\"1\"", false),
        ("/u", "null", true),
    ] {
        let patch = format!(r#"[{{"op":"test","path":"{path}","value":{value}}}]"#);
        let wanted = if is_equal { own } else { "" };
        assert_eq!(patched(own, &patch), wanted, "{patch}");
    }
}
