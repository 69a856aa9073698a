//! Holds begin, get items, end.

use crate::stage::{GET, OK, action, hold, item, stage};

const OLD: &str = "GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n";

#[test]
fn a_stream_gets_what_is_published_while_it_is_held() {
    let mut world = stage();
    world.send_out(&item("before"));
    let (client, _) = world.held(GET, "stream", "");
    world.publish(&item("one"));
    world.publish(&item("two"));
    while world.deliver(1) {}
    world.send_out(&item("three"));
    assert_eq!(world.responses(client)[0].content, b"nowonetwothree");
    assert_eq!(world.counters.connections.held_streams.get(), 1);
}

#[test]
fn a_subscriber_that_comes_after_the_release_does_not_get_the_item() {
    let mut world = stage();
    let (first, _) = world.held(GET, "stream", "");
    world.publish(&item("one"));
    let (second, _) = world.held(GET, "stream", "");
    while world.deliver(1) {}
    assert_eq!(world.responses(first)[0].content, b"nowone");
    assert_eq!(world.responses(second)[0].content, b"now");
}

#[test]
fn an_old_client_gets_a_stream_without_chunks_that_ends_with_the_connection() {
    let mut world = stage();
    let (client, _) = world.held(OLD, "stream", "");
    world.send_out(&item("one"));
    world.send_out(&action("http-stream", "close"));
    assert!(
        world
            .heard(client)
            .ends_with("Connection: close\r\n\r\nnowone")
    );
    assert!(world.wires[client].is_output_ended);
}

#[test]
fn after_a_closed_stream_the_connection_serves_on() {
    let mut world = stage();
    let (client, backend) = world.held(GET, "stream", "");
    world.send_out(&action("http-stream", "close"));
    assert_eq!(world.statuses(client), [200]);
    world.say(client, GET);
    world.say(backend, OK);
    assert_eq!(world.statuses(client), [200, 200]);
}

#[test]
fn a_request_behind_a_long_poll_is_answered_after_it() {
    let mut world = stage();
    let (client, backend) = world.held(&GET.repeat(2), "response", "");
    assert_eq!(world.requests(backend).len(), 1);
    world.send_out(&item("one"));
    assert_eq!(world.requests(backend).len(), 2);
    world.say(backend, OK);
    let responses = world.responses(client);
    assert_eq!(responses[0].content, b"one");
    assert_eq!(responses[1].content, b"ok");
}

#[test]
fn a_request_behind_a_stream_is_answered_after_it() {
    let mut world = stage();
    let (client, backend) = world.held(&GET.repeat(2), "stream", "");
    world.send_out(&item("one"));
    assert_eq!(world.requests(backend).len(), 1);
    world.send_out(&action("http-stream", "close"));
    world.say(backend, OK);
    assert_eq!(world.statuses(client), [200, 200]);
}

#[test]
fn a_long_poll_gets_one_item_once() {
    let mut world = stage();
    let (client, _) = world.held(GET, "response", "");
    world.publish(&item("one"));
    world.publish(&item("two"));
    while world.deliver(1) {}
    world.send_out(&item("three"));
    assert_eq!(world.responses(client).len(), 1);
    assert_eq!(world.responses(client)[0].content, b"one");
    assert_eq!(world.counters.connections.held_long_polls.get(), 0);
}

#[test]
fn a_hint_sends_the_request_to_its_backend_again() {
    let mut world = stage();
    let post = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
    let (client, backend) = world.held(post, "response", "");
    world.send_out(&action("http-response", "hint"));
    assert_eq!(world.requests(backend).len(), 2);
    assert_eq!(world.requests(backend)[1].content, b"hi");
    world.say(backend, OK);
    assert_eq!(world.responses(client)[0].content, b"ok");
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn to_recover_makes_polls_ask_again_a_moment_later_and_leaves_streams_alone() {
    let mut world = stage();
    let (_poll, backend) = world.held(GET, "response", "");
    let (_stream, other) = world.held(GET, "stream", "");
    assert_eq!(backend, other, "the connection is used again");
    world.core.recover();
    world.advance(50);
    assert_eq!(world.requests(backend).len(), 2);
    world.advance(100);
    assert_eq!(world.requests(backend).len(), 3);
    assert_eq!(world.counters.connections.held_streams.get(), 1);
}

#[test]
fn a_hint_can_lead_to_the_next_hold() {
    let mut world = stage();
    let (client, backend) = world.held(GET, "response", "");
    world.send_out(&action("http-response", "hint"));
    world.say(backend, &hold("response", ""));
    world.send_out(&item("one"));
    assert_eq!(world.responses(client)[0].content, b"one");
}

#[test]
fn the_answer_to_head_is_not_held_as_a_stream() {
    let mut world = stage();
    let (client, backend) = world.asking("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
    world.say(
        backend,
        "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\n\r\n",
    );
    world.send_out(&item("one"));
    assert!(!world.heard(client).contains("one"));
    assert_eq!(world.counters.connections.held_streams.get(), 0);
    world.say(client, GET);
    assert_eq!(world.requests(backend).len(), 2);
}

#[test]
fn a_stream_without_content_is_held_in_silence() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.say(
        backend,
        "HTTP/1.1 204 No\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\n\r\n",
    );
    world.send_out(&item("one"));
    assert_eq!(
        world.heard(client),
        "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n",
        "its end is the connection's"
    );
    assert_eq!(world.counters.connections.held_streams.get(), 1);
    world.send_out(&action("http-stream", "close"));
    assert!(world.wires[client].is_output_ended);
}

#[test]
fn nobody_is_held_who_has_already_ended_its_side() {
    for mode in ["stream", "response"] {
        let mut world = stage();
        let (client, backend) = world.asking(GET);
        world.end(client);
        assert!(
            !world.is_closed(client),
            "a plain answer would still be wanted"
        );
        world.say(backend, &hold(mode, ""));
        assert!(world.is_closed(client), "{mode}");
        assert_eq!(world.core.channels(), 0, "{mode}");
        assert_eq!(
            world.core.timers(),
            1,
            "{mode}: that of the idle backend connection"
        );
    }
}

#[test]
fn a_held_client_that_ends_its_side_is_gone() {
    let mut world = stage();
    let (client, _) = world.held(GET, "stream", "");
    world.publish(&item("one"));
    world.end(client);
    assert!(world.is_closed(client));
    while world.deliver(1) {}
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn a_hold_needs_the_whole_request_at_hand() {
    let mut world = stage();
    let long = format!(
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6000\r\n\r\n{}",
        "x".repeat(100)
    );
    let (client, backend) = world.asking(&long);
    world.say(client, &"x".repeat(5900));
    world.say(backend, &hold("response", ""));
    assert_eq!(world.statuses(client), [400]);
}

#[test]
fn an_old_route_is_kept_for_its_holds() {
    let mut world = stage();
    let (client, _) = world.held(GET, "response", "");
    world.core.replace_routes(crate::world::table("* test"));
    world.send_out(&action("http-response", "hint"));
    assert_eq!(world.core.routes_kept(), 2);
    world.reset(client);
    assert_eq!(world.core.routes_kept(), 1);
}

#[test]
fn a_channel_named_twice_is_one_subscription() {
    let mut world = stage();
    let (client, _) = world.held(GET, "stream", "Grip-Channel: c\r\nGrip-Channel: d\r\n");
    world.send_out(&item("one"));
    assert_eq!(world.responses(client)[0].content, b"nowone");
    assert_eq!(world.core.channels(), 2);
}

#[test]
fn a_stream_cut_before_its_first_content_is_complete_never_begins() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.say(
        backend,
        "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\nContent-Length: 5\r\n\r\nno",
    );
    world.reset(backend);
    assert!(world.is_closed(client));
    assert_eq!(world.core.channels(), 0);
}
