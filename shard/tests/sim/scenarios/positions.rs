//! Positions: what a hold has missed is asked for, and nothing else is (grip-http.md sections 15.3
//! and 16).

use std::sync::Arc;

use shard::core::sequencer::Sequencer;

use super::links::{asked, content, count, page, positions, reply, streaming};
use super::streams::pass;
use crate::stage::{GET, OK, action, hold, stage};
use crate::world::{World, small_config};

const LINK: &str = "Grip-Link: </n>; rel=next\r\n";

/// Fields of a poll or stream with this channel.
fn on(mode: &str, channel: &str) -> String {
    format!("Grip-Hold: {mode}\r\nGrip-Channel: {channel}\r\n")
}

/// An item of channel `c` for polls and streams; its ids as JSON.
fn item(content: &str, ids: &str) -> String {
    format!(
        "{{\"items\":[{{\"channel\":\"c\",{ids}\"http-stream\":{{\"content\":\"{content}\"}},\
         \"http-response\":{{\"body\":\"{content}\"}}}}]}}"
    )
}

/// Ids of an item.
fn ids(id: &str, prev: &str) -> String {
    format!("\"id\":\"{id}\",\"prev-id\":\"{prev}\",")
}

/// Makes `id` the last one of a channel.
pub(super) fn set_last_id(world: &World, channel: &str, id: &str) {
    let body = format!(
        "{{\"items\":[{{\"channel\":\"{channel}\",\"id\":\"{id}\",\"http-stream\":{{\"content\":\"x\"}}}}]}}"
    );
    let item = proto::grip::parse_publish_body(body.as_bytes())
        .unwrap()
        .remove(0);
    let mut sequencer = Sequencer::new(5000, Arc::clone(&world.core.settings().last_ids));
    sequencer.sequence(0, Arc::new(item), |_| true, &mut Vec::new());
}

fn polling(world: &mut World, channel: &str) -> usize {
    streaming(world, "/a", &on("response", channel))
}

#[test]
fn a_poll_that_begins_behind_the_last_item_asks_again_at_once_and_is_then_held() {
    let mut world = stage();
    set_last_id(&world, "c", "5");
    let client = polling(&mut world, "c; prev-id=4");
    assert_eq!(count(&mut world), 2);
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=4"]);
    reply(&mut world, &page(&on("response", "c; prev-id=4"), "now"));
    pass(&mut world, 1000);
    assert_eq!(count(&mut world), 2);
    assert_eq!(world.counters.connections.held_long_polls.get(), 1);
    world.send_out(&item("five", &ids("5", "4")));
    assert_eq!(content(&world, client), "five");
}

#[test]
fn a_poll_that_begins_at_the_last_item_or_on_an_unknown_channel_is_held() {
    let mut world = stage();
    set_last_id(&world, "c", "5");
    polling(&mut world, "c; prev-id=5, d; prev-id=1, e");
    assert_eq!(count(&mut world), 1);
    assert_eq!(world.counters.connections.held_long_polls.get(), 1);
}

#[test]
fn a_poll_gets_no_item_that_does_not_follow_but_asks_again() {
    for (position, wrong) in [
        ("4", ids("7", "6")),
        ("8", "\"id\":\"9\",".to_owned()),
        ("8", String::new()),
    ] {
        let mut world = stage();
        let client = polling(&mut world, &format!("c; prev-id={position}"));
        world.send_out(&item("wrong", &wrong));
        assert_eq!(count(&mut world), 1, "there is time");
        pass(&mut world, 150);
        assert_eq!(count(&mut world), 2, "{wrong}");
        let (_, request) = asked(&mut world);
        assert_eq!(positions(&request), [format!("c; last-id={position}")]);
        reply(&mut world, OK);
        assert_eq!(content(&world, client), "ok");
    }
}

#[test]
fn a_poll_is_answered_with_the_item_that_follows_its_position() {
    let mut world = stage();
    let client = polling(&mut world, "c; prev-id=7");
    world.send_out(&item("eight", &ids("8", "7")));
    assert_eq!(content(&world, client), "eight");
    pass(&mut world, 1000);
    assert_eq!(count(&mut world), 1);
}

#[test]
fn an_item_without_prev_id_follows_a_poll_at_the_empty_id() {
    let mut world = stage();
    let client = polling(&mut world, "c; prev-id=");
    world.send_out(&item("first", "\"id\":\"1\","));
    assert_eq!(content(&world, client), "first");
}

#[test]
fn a_retry_names_the_position_on_every_channel() {
    let mut world = stage();
    polling(&mut world, "c; prev-id=1, d; prev-id=2, e");
    world.send_out(&item("wrong", &ids("7", "6")));
    pass(&mut world, 150);
    assert_eq!(
        positions(&asked(&mut world).1),
        ["c; last-id=1", "d; last-id=2"]
    );
}

#[test]
fn an_id_is_written_as_it_is() {
    let mut world = stage();
    polling(&mut world, "g; prev-id=\"b,c;d\", c");
    world.send_out(&action("http-response", "hint"));
    assert_eq!(positions(&asked(&mut world).1), ["g; last-id=b,c;d"]);
}

#[test]
fn a_stream_follows_ids_and_fetches_its_next_link_at_a_gap() {
    let mut world = stage();
    let client = streaming(
        &mut world,
        "/a",
        &format!("{}{LINK}", on("stream", "c; prev-id=10")),
    );
    world.send_out(&item("[11]", &ids("11", "10")));
    world.send_out(&item("[13]", &ids("13", "12")));
    assert_eq!(content(&world, client), "now[11]");
    assert_eq!(count(&mut world), 1, "there is time");
    pass(&mut world, 150);
    let (_, request) = asked(&mut world);
    assert_eq!(request.target(), "/n");
    assert_eq!(positions(&request), ["c; last-id=11"]);
    // The answer says what it has included.
    reply(
        &mut world,
        &page(
            &format!("{}{LINK}", on("stream", "c; prev-id=30")),
            "[12-30]",
        ),
    );
    world.send_out(&item("[31]", &ids("31", "30")));
    assert_eq!(content(&world, client), "now[11][12-30][31]");
    assert_eq!(count(&mut world), 2);
}

#[test]
fn what_a_fetch_has_included_is_not_sent_again_from_the_queue() {
    let mut world = stage();
    let fields =
        |position: &str| format!("{}{LINK}", on("stream", &format!("c; prev-id={position}")));
    let client = streaming(&mut world, "/a", &fields("1"));
    world.send_out(&item("[3]", &ids("3", "2")));
    world.send_out(&item("[4]", &ids("4", "3")));
    pass(&mut world, 150);
    world.send_out(&item("[5]", &ids("5", "4")));
    world.send_out(&item("[6]", &ids("6", "5")));
    reply(&mut world, &page(&fields("5"), "[2-5]"));
    pass(&mut world, 1000);
    assert_eq!(content(&world, client), "now[2-5][6]");
    assert_eq!(count(&mut world), 2);
}

#[test]
fn items_of_channels_that_were_given_up_do_not_end_the_skipping() {
    let mut world = stage();
    let client = streaming(
        &mut world,
        "/a",
        &format!("{}{LINK}", on("stream", "c; prev-id=1, d")),
    );
    world.send_out(&item("[3]", &ids("3", "2")));
    pass(&mut world, 150);
    world.send_out(r#"{"items":[{"channel":"d","http-stream":{"content":"[d]"}}]}"#);
    for (id, prev) in [("4", "3"), ("5", "4"), ("6", "5")] {
        world.send_out(&item(&format!("[{id}]"), &ids(id, prev)));
    }
    reply(
        &mut world,
        &page(&format!("{}{LINK}", on("stream", "c; prev-id=5")), "[2-5]"),
    );
    pass(&mut world, 1000);
    assert_eq!(content(&world, client), "now[2-5][6]");
    assert_eq!(count(&mut world), 2);
}

#[test]
fn a_gap_behind_what_was_skipped_is_fetched_too() {
    let mut world = stage();
    let fields =
        |position: &str| format!("{}{LINK}", on("stream", &format!("c; prev-id={position}")));
    let client = streaming(&mut world, "/a", &fields("1"));
    world.send_out(&item("[3]", &ids("3", "2")));
    pass(&mut world, 150);
    world.send_out(&item("[4]", &ids("4", "3")));
    world.send_out(&item("[6]", &ids("6", "5")));
    reply(&mut world, &page(&fields("3"), "[2-3]"));
    pass(&mut world, 150);
    assert_eq!(content(&world, client), "now[2-3][4]");
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=4"]);
    assert_eq!(count(&mut world), 3);
}

#[test]
fn a_stream_that_begins_behind_the_last_item_fetches_its_next_link() {
    let mut world = stage();
    set_last_id(&world, "c", "5");
    let fields = format!("{}{LINK}", on("stream", "c; prev-id=4"));
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 150);
    let (_, request) = asked(&mut world);
    assert_eq!(
        (request.target(), positions(&request)),
        ("/n", vec!["c; last-id=4"])
    );
    // Only the first hold of a session is compared with what was published before.
    reply(&mut world, &page(&fields, "."));
    pass(&mut world, 1000);
    assert_eq!(count(&mut world), 2);
    assert_eq!(content(&world, client), "now.");
}

#[test]
fn a_stream_that_got_an_item_without_id_takes_everything_from_then_on() {
    let mut world = stage();
    let client = streaming(
        &mut world,
        "/a",
        &format!("{}{LINK}", on("stream", "c; prev-id=1")),
    );
    world.send_out(&item("[2]", "\"prev-id\":\"1\","));
    world.send_out(&item("[9]", &ids("9", "8")));
    world.send_out(&item("[5]", &ids("5", "4")));
    pass(&mut world, 1000);
    assert_eq!(content(&world, client), "now[2][9][5]");
    assert_eq!(count(&mut world), 1);
    world.send_out(&action("http-stream", "hint"));
    assert!(positions(&asked(&mut world).1).is_empty());
}

#[test]
fn an_item_of_another_transport_is_a_gap_for_the_next_one() {
    for other in [
        r#""ws-message":{"content":"x"}"#,
        r#""http-response":{"body":"x"}"#,
    ] {
        let mut world = stage();
        let client = streaming(
            &mut world,
            "/a",
            &format!("{}{LINK}", on("stream", "c; prev-id=1")),
        );
        world.send_out(&format!(
            "{{\"items\":[{{\"channel\":\"c\",{}{other}}}]}}",
            ids("2", "1")
        ));
        world.send_out(&item("[3]", &ids("3", "2")));
        pass(&mut world, 150);
        assert_eq!(content(&world, client), "now", "{other}");
        assert_eq!(positions(&asked(&mut world).1), ["c; last-id=1"], "{other}");
    }
}

#[test]
fn backends_know_channels_without_the_prefix_of_the_route() {
    let mut world = World::new(small_config(), "*,prefix=p- 127.0.0.1:1,sub=imp\n");
    let client = streaming(
        &mut world,
        "/a",
        &format!("{}{LINK}", on("stream", "c; prev-id=1")),
    );
    let prefixed = |content: &str, ids: &str| item(content, ids).replace("\"c\"", "\"p-c\"");
    world.send_out(&prefixed("[2]", &ids("2", "1")));
    world.send_out(&prefixed("[4]", &ids("4", "3")));
    pass(&mut world, 150);
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=2"]);
    assert_eq!(content(&world, client), "now[2]");

    let client = polling(&mut world, "c; prev-id=1");
    world.send_out(&prefixed("[4]", &ids("4", "3")));
    pass(&mut world, 150);
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=1"]);
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "ok");

    set_last_id(&world, "p-c", "7");
    polling(&mut world, "c; prev-id=6");
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=6"]);
}

#[test]
fn the_first_subscription_of_a_channel_lets_its_holds_ask_again() {
    let mut world = stage();
    let poll = polling(&mut world, "c");
    let stream = streaming(&mut world, "/b", &format!("{}{LINK}", on("stream", "c")));
    streaming(&mut world, "/e", &on("stream", "c"));
    polling(&mut world, "d");
    world.core.update_channels(&["c".into()]);
    pass(&mut world, 50);
    assert_eq!(count(&mut world), 4);
    pass(&mut world, 100);
    assert_eq!(count(&mut world), 6);
    for wire in world.backends.clone() {
        world.say(wire, OK);
    }
    assert_eq!(content(&world, poll), "ok");
    assert_eq!(content(&world, stream), "nowok");
}

#[test]
fn a_hint_without_ids_is_a_gap_for_a_hold_with_a_position() {
    let mut world = stage();
    polling(&mut world, "c; prev-id=13");
    world.send_out(&action("http-response", "hint"));
    pass(&mut world, 150);
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=13"]);

    let mut world = stage();
    streaming(
        &mut world,
        "/a",
        &format!("{}{LINK}", on("stream", "c; prev-id=13")),
    );
    world.send_out(&action("http-stream", "hint"));
    pass(&mut world, 150);
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=13"]);
}

#[test]
fn a_hint_that_fits_does_not_move_the_position() {
    let hint = |format: &str| {
        format!(
            "{{\"items\":[{{\"channel\":\"c\",{}\"{format}\":{{\"action\":\"hint\"}}}}]}}",
            ids("1b", "1")
        )
    };
    let mut world = stage();
    polling(&mut world, "c; prev-id=1");
    world.send_out(&hint("http-response"));
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=1"]);
    assert_eq!(count(&mut world), 2, "at once");

    let mut world = stage();
    streaming(
        &mut world,
        "/a",
        &format!("{}{LINK}", on("stream", "c; prev-id=1")),
    );
    world.send_out(&hint("http-stream"));
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=1"]);
    assert_eq!(count(&mut world), 2, "at once");
}

#[test]
fn an_item_behind_a_hint_in_the_same_publish_does_not_answer() {
    let hint = r#"{"channel":"c","http-response":{"action":"hint"}}"#;
    let one = r#"{"channel":"c","id":"2","prev-id":"1","http-response":{"body":"one"}}"#;
    let mut world = stage();
    let client = polling(&mut world, "c");
    world.send_out(&format!("{{\"items\":[{hint},{one}]}}"));
    assert_eq!(count(&mut world), 2);
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "ok");

    let hint = r#"{"channel":"c","id":"1b","prev-id":"1","http-response":{"action":"hint"}}"#;
    let mut world = stage();
    let client = polling(&mut world, "c; prev-id=1");
    world.send_out(&format!("{{\"items\":[{hint},{one}]}}"));
    assert_eq!(count(&mut world), 2);
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "ok");
}

#[test]
fn a_retry_names_only_the_channels_of_the_last_instructions() {
    let mut world = stage();
    polling(&mut world, "c; prev-id=1");
    world.send_out(&action("http-response", "hint"));
    pass(&mut world, 150);
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=1"]);
    reply(&mut world, &page(&on("response", "d; prev-id=2"), "now"));
    world.core.recover();
    pass(&mut world, 150);
    assert_eq!(positions(&asked(&mut world).1), ["d; last-id=2"]);
    reply(&mut world, &page(&on("response", "e"), "now"));
    world.core.recover();
    pass(&mut world, 150);
    assert!(positions(&asked(&mut world).1).is_empty());
    assert_eq!(count(&mut world), 4);
}

#[test]
fn the_next_request_of_a_connection_has_no_positions_of_the_one_before() {
    let mut world = stage();
    let client = polling(&mut world, "c; prev-id=1");
    world.core.recover();
    pass(&mut world, 150);
    reply(&mut world, OK);
    world.say(client, GET);
    assert!(positions(&asked(&mut world).1).is_empty());
}

#[test]
fn to_recover_updates_polls_and_streams_with_a_link_within_a_moment() {
    let mut world = stage();
    let poll = polling(&mut world, "c");
    let stream = streaming(&mut world, "/b", &format!("{}{LINK}", on("stream", "d")));
    let plain = streaming(&mut world, "/e", &on("stream", "d"));
    world.core.recover();
    pass(&mut world, 150);
    assert_eq!(count(&mut world), 5);
    for wire in world.backends.clone() {
        world.say(wire, OK);
    }
    assert_eq!(content(&world, poll), "ok");
    assert_eq!(content(&world, stream), "nowok");
    assert_eq!(content(&world, plain), "now");
}

#[test]
fn a_retry_is_the_clients_request_as_it_was() {
    let mut world = stage();
    let (_, backend) = world.asking(
        "PUT /a?b=c HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nX-Cli: 1\r\nContent-Length: 4\r\n\r\nbody",
    );
    world.say(backend, &hold("response", ""));
    world.core.recover();
    pass(&mut world, 150);
    let requests = world.requests(backend);
    let [first, again] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(first.start, again.start);
    assert_eq!(first.content, again.content);
    assert_eq!(first.fields, again.fields);
    assert_eq!(again.method(), "PUT");
    assert_eq!(again.field("Cookie"), Some("a=b"));
}

#[test]
fn whatever_answers_a_retry_is_the_clients_answer() {
    let mut world = stage();
    let client = polling(&mut world, "c");
    world.send_out(&action("http-response", "hint"));
    reply(&mut world, &page(&on("stream", "c"), "stream"));
    world.send_out(&item("one", ""));
    assert_eq!(content(&world, client), "streamone");

    let mut world = stage();
    let client = polling(&mut world, "c");
    world.send_out(&action("http-response", "hint"));
    reply(&mut world, "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(world.statuses(client), [500]);

    let mut world = stage();
    let client = polling(&mut world, "c");
    world.send_out(&action("http-response", "hint"));
    let (wire, _) = asked(&mut world);
    world.end(wire);
    // It was a pooled connection, which may have been closed before: once more on a fresh one.
    let (wire, _) = asked(&mut world);
    world.end(wire);
    assert_eq!(world.statuses(client), [502]);
    assert_eq!(world.core.channels(), 0);
}
