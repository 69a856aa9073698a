//! The publish limiter (grip-http.md section 18 of the behaviour reference).

use std::num::NonZeroU32;

use crate::stage::{GET, action, hold, item, stage};
use crate::world::{World, small_config};

/// Two routes with ids of their own, and the others.
const ROUTES: &str = "*,path_beg=/x,id=x 127.0.0.1:1\n*,path_beg=/y,id=y 127.0.0.1:1\n\
    * 127.0.0.1:1\n";

fn limited(rate: u32, hwm: u32, block_size: u32) -> World {
    let mut config = small_config();
    config.handler.message_rate_per_s = NonZeroU32::new(rate);
    config.handler.message_hwm = NonZeroU32::new(hwm);
    config.handler.message_block_size = NonZeroU32::new(block_size);
    World::new(config, ROUTES)
}

/// Items of one letter each, in one request.
fn items(letters: &str) -> String {
    let item = |c| format!("{{\"channel\":\"c\",\"http-stream\":{{\"content\":\"{c}\"}}}}");
    let items: Vec<String> = letters.chars().map(item).collect();
    format!("{{\"items\":[{}]}}", items.join(","))
}

fn content(world: &World, client: usize) -> String {
    String::from_utf8(world.responses(client)[0].content.clone()).unwrap()
}

#[test]
fn below_forty_per_second_the_first_goes_at_once_and_then_one_by_one() {
    let mut world = limited(20, 0, 0);
    let (client, _) = world.held(GET, "stream", "");
    world.send_out(&items("abc"));
    assert_eq!(content(&world, client), "nowa");
    world.advance(49);
    assert_eq!(content(&world, client), "nowa");
    world.advance(1);
    assert_eq!(content(&world, client), "nowab");
    world.advance(50);
    assert_eq!(content(&world, client), "nowabc");
    assert_eq!(world.counters.deliveries.delivered.get(), 3);
}

#[test]
fn from_forty_per_second_on_a_batch_goes_every_25_ms() {
    let mut world = limited(100, 0, 0);
    let (client, _) = world.held(GET, "stream", "");
    world.send_out(&items("abcdefgh"));
    assert_eq!(content(&world, client), "nowabc");
    world.advance(25);
    assert_eq!(content(&world, client), "nowabcdef");
    world.advance(25);
    assert_eq!(content(&world, client), "nowabcdefgh");
}

#[test]
fn what_waits_is_due_when_the_rate_allows_it() {
    let mut world = limited(10, 0, 0);
    let (_client, _) = world.held(GET, "stream", "");
    world.send_out(&items("ab"));
    assert_eq!(world.core.next_due_ms(), Some(world.now_ms + 100));
    assert_eq!(world.counters.deliveries.limited_waiting.get(), 1);
    world.advance(100);
    assert_eq!(world.counters.deliveries.limited_waiting.get(), 0);
}

#[test]
fn each_hold_of_a_channel_counts() {
    let mut world = limited(1, 0, 0);
    let (first, _) = world.held(GET, "stream", "");
    let (second, _) = world.held(GET, "stream", "");
    world.send_out(&items("a"));
    world.advance(999);
    assert_eq!(world.counters.deliveries.delivered.get(), 1);
    world.advance(1);
    assert_eq!(content(&world, first), "nowa");
    assert_eq!(content(&world, second), "nowa");
}

/// Line 218 of the checklist.
#[test]
fn more_than_may_wait_is_dropped_by_weight() {
    let mut world = limited(1, 3, 1);
    let (client, _) = world.held(GET, "stream", "");
    let heavy = "{\"channel\":\"c\",\"size\":2,\"http-stream\":{\"content\":\"x\"}}";
    let all = [heavy; 8].join(",");
    world.send_out(&format!("{{\"items\":[{all}]}}"));
    world.advance(60_000);
    assert_eq!(content(&world, client), "nowx");
    assert_eq!(world.counters.deliveries.limited_dropped.get(), 7);
}

#[test]
fn what_may_wait_is_counted_by_route() {
    let mut world = limited(1, 2, 0);
    let (x, _) = world.held("GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "stream", "");
    let (y, _) = world.held("GET /y HTTP/1.1\r\nHost: h\r\n\r\n", "stream", "");
    world.send_out(&items("abc"));
    for _ in 0..9 {
        world.advance(1000);
    }
    assert_eq!(content(&world, x), "nowab");
    assert_eq!(content(&world, y), "nowab");
    assert_eq!(world.counters.deliveries.limited_dropped.get(), 2);
}

#[test]
fn routes_are_served_in_turn() {
    let mut world = limited(1, 0, 0);
    let (x, _) = world.held("GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "stream", "");
    world.send_out(&items("abcdefghi"));
    let (other, _) = world.held(GET, "stream", "");
    world.send_out(&items("j"));
    world.advance(1000);
    world.advance(1000);
    assert_eq!(content(&world, other), "nowj");
    assert_eq!(content(&world, x), "nowab");
}

#[test]
fn a_heavy_delivery_takes_the_time_of_many() {
    let mut world = limited(10, 0, 10);
    let (client, _) = world.held(GET, "stream", "");
    world.send_out(&item("thirty bytes are three of them"));
    world.send_out(&items("a"));
    world.advance(299);
    assert!(!content(&world, client).ends_with('a'));
    world.advance(1);
    assert!(content(&world, client).ends_with('a'));
}

#[test]
fn a_dropped_delivery_is_a_gap_for_a_hold_with_a_position() {
    let mut world = limited(1, 1, 0);
    let channel = "Grip-Channel: c; prev-id=1\r\nGrip-Link: </n>; rel=next\r\n";
    let (_client, backend) = world.asking(GET);
    let answer =
        format!("HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\n{channel}Content-Length: 0\r\n\r\n");
    world.say(backend, &answer);
    let numbered = |id: u32| {
        format!(
            "{{\"items\":[{{\"channel\":\"c\",\"id\":\"{id}\",\"prev-id\":\"{}\",\
             \"http-stream\":{{\"content\":\"{id}\"}}}}]}}",
            id - 1
        )
    };
    world.send_out(&numbered(2));
    world.publish(&numbered(3));
    world.send_out(&numbered(4));
    world.advance(1000);
    assert_eq!(world.counters.updates.gaps.get(), 0, "3 has come");
    world.send_out(&numbered(5));
    world.advance(1000);
    assert_eq!(world.counters.updates.gaps.get(), 1, "4 was dropped");
}

#[test]
fn what_waits_for_a_hold_does_not_reach_the_next_one_of_its_connection() {
    let mut world = limited(1, 0, 0);
    let (client, backend) = world.held(GET, "response", "");
    world.publish(&item("one"));
    world.send_out(&item("two"));
    assert_eq!(world.responses(client)[0].content, b"one");
    world.say(client, GET);
    world.say(backend, &hold("response", ""));
    world.advance(1000);
    assert_eq!(world.responses(client).len(), 1);
    world.send_out(&item("three"));
    world.advance(1000);
    assert_eq!(world.responses(client)[1].content, b"three");
}

#[test]
fn what_waits_for_a_client_that_has_gone_takes_no_time() {
    let mut world = limited(1, 0, 0);
    let (first, _) = world.held(GET, "stream", "");
    let (second, _) = world.held(GET, "stream", "");
    world.send_out(&items("abcd"));
    world.advance(1000);
    world.reset(first);
    world.reset(second);
    let (third, _) = world.held(GET, "stream", "");
    world.send_out(&items("e"));
    world.advance(1000);
    assert_eq!(content(&world, third), "nowe");
}

#[test]
fn what_waits_for_nobody_any_more_is_not_counted() {
    let mut world = limited(1, 0, 0);
    let (client, _) = world.held(GET, "stream", "");
    world.send_out(&items("abcd"));
    world.reset(client);
    world.advance(1000);
    assert_eq!(world.counters.deliveries.limited_waiting.get(), 0);
    assert_ne!(world.core.next_due_ms(), Some(0), "nothing is due");
}

#[test]
fn a_close_waits_behind_what_comes_before_it() {
    let mut world = limited(1, 0, 1);
    let (client, _) = world.held(GET, "stream", "");
    world.publish(&items("ab"));
    world.send_out(&action("http-stream", "close"));
    assert_eq!(world.statuses(client), [0u16; 0]);
    world.advance(1000);
    assert_eq!(content(&world, client), "nowab");
    world.advance(1000);
    assert_eq!(world.statuses(client), [200]);
}

#[test]
fn without_a_limit_for_what_waits_the_rest_stays_in_the_hub() {
    let mut world = limited(1, 0, 0);
    let (client, _) = world.held(GET, "stream", "");
    let sixty_four = items(&"x".repeat(64));
    for _ in 0..1030 {
        world.publish(&sixty_four);
    }
    while world.core.has_deliveries() {
        world.deliver(256);
    }
    assert_eq!(world.core.pending(), 1030 * 64 - 65_536);
    world.advance(1000);
    assert_eq!(content(&world, client), "nowx");
    assert!(world.core.has_deliveries());
}

#[test]
fn without_a_rate_items_join_and_nothing_waits() {
    let mut world = stage();
    let (client, _) = world.held(GET, "stream", "");
    world.send_out(&items("abc"));
    assert_eq!(content(&world, client), "nowabc");
    assert_eq!(world.counters.deliveries.limited_waiting.get(), 0);
}
