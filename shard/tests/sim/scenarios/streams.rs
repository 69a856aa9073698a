//! Streams: how they open, what is written to them, what keeps them alive (grip-http.md section 11).

use crate::stage::{GET, action, hold, item, stage};
use crate::world::World;

/// Milliseconds of a step in [`pass`].
const STEP_MS: u64 = 50;

/// Lets time pass in small steps, as it does.
pub(super) fn pass(world: &mut World, ms: u64) {
    for _ in 0..ms / STEP_MS {
        world.advance(STEP_MS);
    }
}

fn content(world: &World, client: usize) -> String {
    String::from_utf8(world.responses(client)[0].content.clone()).unwrap()
}

/// When content came, in milliseconds from now on, for as long as this.
fn moments(world: &mut World, client: usize, ms: u64) -> Vec<u64> {
    let mut moments = Vec::new();
    let mut len = content(world, client).len();
    for step in 1..=ms / STEP_MS {
        world.advance(STEP_MS);
        let now_len = content(world, client).len();
        if now_len > len {
            moments.push(step * STEP_MS);
        }
        len = now_len;
    }
    moments
}

#[test]
fn a_stream_without_first_content_sends_its_head_at_once() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.say(
        backend,
        "HTTP/1.1 200 OK\r\nX-A: 1\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\nContent-Length: 0\r\n\r\n",
    );
    let heard = world.heard(client);
    assert!(
        heard.starts_with("HTTP/1.1 200 OK\r\nX-A: 1\r\n"),
        "{heard}"
    );
    assert!(
        heard.ends_with("Transfer-Encoding: chunked\r\n\r\n"),
        "{heard}"
    );
    assert_eq!(world.counters.connections.held_streams.get(), 1);
}

#[test]
fn an_item_without_content_writes_nothing() {
    for mode in [GET, "GET /a HTTP/1.0\r\nHost: h\r\n\r\n"] {
        for more in ["", "Grip-Link: </n>; rel=next\r\n"] {
            let mut world = stage();
            let (client, _) = world.held(mode, "stream", more);
            let before = world.heard(client);
            world.send_out(&item(""));
            assert_eq!(world.heard(client), before, "{mode} {more}");
            world.send_out(&item("x"));
            assert_ne!(world.heard(client), before, "{mode} {more}");
        }
    }
}

#[test]
fn nothing_is_written_behind_a_close_in_the_same_publish() {
    let one = r#"{"channel":"c","http-stream":{"content":"one"}}"#;
    let close = r#"{"channel":"c","http-stream":{"action":"close"}}"#;
    let two = r#"{"channel":"c","http-stream":{"content":"two"}}"#;
    for more in ["", "Grip-Link: </n>; rel=next\r\n"] {
        let mut world = stage();
        let (client, _) = world.held(GET, "stream", more);
        world.send_out(&format!("{{\"items\":[{one},{close},{two}]}}"));
        assert!(world.responses(client)[0].is_complete, "{more}");
        assert_eq!(content(&world, client), "nowone", "{more}");
        assert_eq!(world.core.channels(), 0, "{more}");
    }
}

#[test]
fn a_position_without_a_next_link_ends_the_stream_behind_its_first_content() {
    let more = "Grip-Channel: d; prev-id=1\r\n";
    let mut world = stage();
    let (client, _) = world.held(GET, "stream", more);
    assert_eq!(
        content(&world, client),
        "now\n\nchannel 'd' specifies prev-id, but no next link found\n"
    );
    assert_eq!(world.core.channels(), 0);

    let mut config = crate::world::small_config();
    config.proxy.debug = false;
    let mut world = World::new(config, "* 127.0.0.1:1\n");
    let (client, _) = world.held(GET, "stream", more);
    assert_eq!(world.statuses(client), [200]);
    assert_eq!(content(&world, client), "now", "only debug tells why");
}

#[test]
fn an_idle_keep_alive_waits_anew_after_each_item() {
    for more in ["", "Grip-Link: </n>; rel=next\r\n"] {
        let mut world = stage();
        let more = format!("Grip-Keep-Alive: k; timeout=2; mode=idle\r\n{more}");
        let (client, _) = world.held(GET, "stream", &more);
        for _ in 0..3 {
            pass(&mut world, 1000);
            world.send_out(&item("i"));
        }
        assert_eq!(content(&world, client), "nowiii", "{more}");
        let first = moments(&mut world, client, 2100)[0];
        assert!((1000..=2050).contains(&first), "{first} {more}");
    }
}

#[test]
fn an_interval_keep_alive_does_not_mind_items() {
    for more in ["", "Grip-Link: </n>; rel=next\r\n"] {
        let mut world = stage();
        let more = format!("Grip-Keep-Alive: k; timeout=2; mode=interval\r\n{more}");
        let (client, _) = world.held(GET, "stream", &more);
        let mut since_ms = 0;
        for _ in 0..100 {
            let before = content(&world, client).matches('k').count();
            world.send_out(&item("i"));
            pass(&mut world, 100);
            let is_new = content(&world, client).matches('k').count() > before;
            since_ms = if is_new { 0 } else { since_ms + 100 };
            assert!(since_ms <= 2100, "{more}");
        }
        let count = content(&world, client).matches('k').count();
        assert!((5..=10).contains(&count), "{count} {more}");
    }
}

#[test]
fn a_keep_alive_without_time_comes_every_second() {
    let mut world = stage();
    let (client, _) = world.held(GET, "stream", "Grip-Keep-Alive: k; timeout=0\r\n");
    let moments = moments(&mut world, client, 10_000);
    assert!((9..=20).contains(&moments.len()), "{moments:?}");
}

#[test]
fn a_stream_is_kept_alive_for_hours_and_needs_no_limit() {
    let mut world = stage();
    let (kept, _) = world.held(GET, "stream", "Grip-Keep-Alive: k; timeout=60\r\n");
    let (silent, _) = world.held(GET, "stream", "");
    for _ in 0..100 {
        world.advance(60_000);
    }
    assert_eq!(content(&world, kept).matches('k').count(), 100);
    world.send_out(&item("one"));
    assert!(content(&world, silent).ends_with("one"));
}

#[test]
fn an_item_of_any_size_arrives_whole() {
    let mut world = stage();
    let (client, _) = world.held(GET, "stream", "");
    let long = "0123456789".repeat(90_000);
    world.send_out(&item(&long));
    assert_eq!(content(&world, client), format!("now{long}"));
}

#[test]
fn binary_content_arrives_as_it_is() {
    let mut world = stage();
    let (client, _) = world.held(GET, "stream", "");
    world.send_out(r#"{"items":[{"channel":"c","http-stream":{"content-bin":"AP8K"}}]}"#);
    assert_eq!(world.responses(client)[0].content, b"now\x00\xff\x0a");
}

#[test]
fn a_stream_that_is_not_read_is_closed_rather_than_left_with_a_silent_gap() {
    let mut world = stage();
    let (client, _) = world.held(GET, "stream", "");
    world.wires[client].room = 10;
    for _ in 0..600 {
        if !world.is_closed(client) {
            world.send_out(&item(&"x".repeat(20_000)));
        }
    }
    assert!(world.is_closed(client));
    assert_eq!(world.counters.deliveries.slow_clients_closed.get(), 1);
}

#[test]
fn a_stream_that_was_not_read_for_a_while_gets_its_keep_alive_again() {
    for more in ["", "Grip-Link: </n>; rel=next; timeout=900\r\n"] {
        let mut world = stage();
        let more = format!("Grip-Keep-Alive: k; timeout=2\r\n{more}");
        let (client, _) = world.held(GET, "stream", &more);
        world.wires[client].room = 3;
        world.send_out(&item("item"));
        pass(&mut world, 5000);
        world.make_room(client, usize::MAX);
        assert!(!content(&world, client).contains('k'), "{more}");
        pass(&mut world, 2100);
        assert!(content(&world, client).ends_with("itemk"), "{more}");
    }
}

#[test]
fn a_hint_means_nothing_to_a_stream_without_a_link() {
    let mut world = stage();
    let (client, backend) = world.held(GET, "stream", "");
    world.send_out(&action("http-stream", "hint"));
    world.send_out(&action("http-stream", "refresh"));
    pass(&mut world, 1000);
    world.send_out(&item("one"));
    assert_eq!(content(&world, client), "nowone");
    assert_eq!(world.requests(backend).len(), 1);
}

#[test]
fn the_fields_of_a_stream_are_those_of_its_backend_in_their_order() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.say(backend, &hold("stream", "X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n"));
    assert!(
        world
            .heard(client)
            .contains("X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n")
    );
}
