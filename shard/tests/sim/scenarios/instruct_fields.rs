//! What the fields of instructions do (grip-http.md sections 4 and 5).

use crate::stage::{GET, answer, item, relayed, stage};
use crate::world::World;

/// An item for streams of any channel.
fn stream_item(channel: &str, more: &str, content: &str) -> String {
    let channel = channel.replace('"', "\\\"");
    format!(
        r#"{{"items":[{{"channel":"{channel}",{more}"http-stream":{{"content":"{content}"}}}}]}}"#
    )
}

/// A stream held with these fields.
fn streaming(fields: &str) -> (World, usize) {
    let mut world = stage();
    let fields = format!("Grip-Hold: stream\r\n{fields}");
    let (client, _) = world.answered(GET, &answer(&fields, ""));
    assert_eq!(world.counters.connections.held_streams.get(), 1, "{fields}");
    (world, client)
}

fn content(world: &World, client: usize) -> String {
    String::from_utf8(world.responses(client)[0].content.clone()).unwrap()
}

#[test]
fn a_channel_may_have_the_empty_name() {
    let (mut world, client) = streaming("Grip-Channel: a,,b\r\n");
    assert_eq!(world.core.channels(), 3);
    world.send_out(&stream_item("", "", "one"));
    assert_eq!(content(&world, client), "one");
}

#[test]
fn a_channel_keeps_its_quotes() {
    let (mut world, client) = streaming("Grip-Channel: \"q, c\"\r\n");
    assert_eq!(world.core.channels(), 1);
    world.send_out(&stream_item("\"q, c\"", "", "one"));
    assert_eq!(content(&world, client), "one");
}

#[test]
fn a_stream_may_be_held_without_any_channel() {
    let (world, client) = streaming("Grip-Channel: t; prev-id=\"abc\r\n");
    assert_eq!(world.core.channels(), 0);
    assert!(!world.responses(client)[0].is_complete);
}

#[test]
fn five_unknown_filters_pass_everything() {
    let (mut world, client) =
        streaming("Grip-Channel: c; filter=a; filter=b; filter=c; filter=d; filter=e\r\n");
    world.send_out(&item("one"));
    assert_eq!(content(&world, client), "one");
}

#[test]
fn a_filter_parameter_in_other_letters_is_none() {
    for (name, wanted) in [("Filter", "own"), ("filter", "")] {
        let fields = format!("Grip-Channel: c; {name}=skip-self\r\nGrip-Set-Meta: user=al\r\n");
        let (mut world, client) = streaming(&fields);
        world.send_out(&stream_item("c", r#""meta":{"sender":"al"},"#, "own"));
        assert_eq!(content(&world, client), wanted, "{name}");
    }
}

#[test]
fn meta_values_in_quotes_are_variables() {
    let fields = "Grip-Channel: c; filter=var-subst\r\n\
                  Grip-Set-Meta: user=\"a\\\"b, c\", x=1; y=2\r\n";
    let (mut world, client) = streaming(fields);
    world.send_out(&stream_item("c", "", "%(user)s %(x)s"));
    assert_eq!(content(&world, client), "a\"b, c 1");
}

#[test]
fn a_position_is_told_to_the_backend_as_it_is_when_an_item_does_not_follow_it() {
    for (parameter, wanted) in [
        ("Prev-ID=a", "g; last-id=a"),
        ("prev-id=\"b,c;d\"", "g; last-id=b,c;d"),
    ] {
        let mut world = stage();
        let fields = format!("Grip-Hold: response\r\nGrip-Channel: g; {parameter}\r\n");
        let (client, backend) = world.answered(GET, &answer(&fields, "now"));
        world.send_out(
            r#"{"items":[{"channel":"g","id":"9","prev-id":"8","http-response":{"body":"x"}}]}"#,
        );
        world.advance(200);
        assert_eq!(world.heard(client), "", "{parameter}");
        let requests = world.requests(backend);
        assert_eq!(requests.len(), 2, "{parameter}");
        assert_eq!(requests[1].field("Grip-Last"), Some(wanted), "{parameter}");
    }
}

#[test]
fn a_position_without_value_is_none_and_an_empty_one_waits_for_the_first_item() {
    for (parameter, ids) in [
        ("prev-id", r#""id":"9","prev-id":"8","#),
        ("prev-id=", r#""id":"1","#),
        ("prev-id=", r#""id":"1","prev-id":"","#),
    ] {
        let mut world = stage();
        let fields = format!("Grip-Hold: response\r\nGrip-Channel: c; {parameter}\r\n");
        let (client, backend) = world.answered(GET, &answer(&fields, "now"));
        let item =
            format!(r#"{{"items":[{{"channel":"c",{ids}"http-response":{{"body":"one"}}}}]}}"#);
        world.send_out(&item);
        assert_eq!(content(&world, client), "one", "{parameter} {ids}");
        assert_eq!(world.requests(backend).len(), 1, "{parameter} {ids}");
    }
}

#[test]
fn exposed_names_decide_which_fields_reach_the_client() {
    for (list, wanted) in [
        ("x-a, Foo", vec!["X-A"]),
        ("", vec!["X-A", "X-B", "Content-Type"]),
        (",", vec![]),
    ] {
        let own = "X-A: 1\r\nX-B: 1\r\nContent-Type: a/b\r\n";
        let response = relayed(&format!("{own}Grip-Expose-Headers: {list}\r\n"), "x");
        let names = response.fields.iter().map(|(name, _)| name.as_str());
        let names: Vec<_> = names.filter(|name| *name != "Content-Length").collect();
        assert_eq!(names, wanted, "{list:?}");
    }
}

#[test]
fn fields_of_one_hop_and_the_coding_are_not_relayed_with_instructions() {
    let fields = "Grip-Channel: c\r\nKeep-Alive: timeout=5\r\nContent-Encoding: x\r\n\
                  Connection: keep-alive\r\n";
    let response = relayed(fields, "x");
    for name in ["Keep-Alive", "Content-Encoding", "Connection"] {
        assert_eq!(response.field(name), None, "{name}");
    }
}

#[test]
fn repeated_fields_of_a_stream_are_all_relayed_in_order() {
    let response = relayed(
        "Grip-Hold: stream\r\nSet-Cookie: a=1\r\nX-A: 1\r\nSet-Cookie: b=2\r\n",
        "x",
    );
    assert_eq!(response.values("Set-Cookie"), ["a=1", "b=2"]);
}

#[test]
fn a_status_is_given_without_a_hold_too() {
    for (value, wanted) in [
        ("404", "HTTP/1.1 404 Not Found"),
        ("404 Foo Bar", "HTTP/1.1 404 Foo Bar"),
        ("599", "HTTP/1.1 599 Undefined Reason"),
    ] {
        let response = relayed(&format!("Grip-Status: {value}\r\n"), "x");
        assert_eq!(response.start, wanted);
        assert!(response.is_complete);
    }
}

#[test]
fn a_link_without_a_known_relation_leaves_an_answer_plain() {
    for link in ["</x>", "</x>; rel=foo", "</x>; timeout=3"] {
        let response = relayed(&format!("Grip-Link: {link}\r\n"), "x");
        assert!(response.is_complete, "{link}");
        assert_eq!(response.content, b"x", "{link}");
    }
}

#[test]
fn keep_alive_content_is_written_as_decoded() {
    for (value, wanted) in [
        (r"\x41\r\n\\\q; format=cstring; timeout=1", "A\r\n\\"),
        ("Y!W-I=; format=base64; timeout=1", "ab"),
        ("\"a, b\"; timeout=1", "\"a, b\""),
    ] {
        let fields = format!("Grip-Channel: c\r\nGrip-Keep-Alive: {value}\r\n");
        let (mut world, client) = streaming(&fields);
        world.advance(1100);
        assert_eq!(content(&world, client), wanted, "{value}");
    }
}

#[test]
fn a_keep_alive_that_is_empty_or_not_closed_is_none() {
    for value in ["", "a; timeout=\"1"] {
        let fields = format!("Grip-Channel: c\r\nGrip-Keep-Alive: {value}\r\n");
        let (mut world, client) = streaming(&fields);
        world.advance(60_000);
        assert_eq!(content(&world, client), "", "{value:?}");
    }
}
