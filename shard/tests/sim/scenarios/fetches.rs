//! Streams while their next link is being fetched: what comes meanwhile waits, who asks the same
//! shares, who leaves is not waited for (grip-http.md section 12).

use super::links::{STREAM, asked, content, count, page, reply, streaming};
use super::streams::pass;
use crate::stage::{GET, OK, action, item, stage};
use crate::world::{World, small_config};

#[test]
fn fetched_content_that_breaks_off_is_sent_as_far_as_it_came_and_ends_the_stream() {
    let mut config = small_config();
    config.proxy.debug = false;
    let mut world = World::new(config, "* 127.0.0.1:1\n");
    let client = streaming(&mut world, "/a", "Grip-Link: </n>; rel=next\r\n");
    let (wire, _) = asked(&mut world);
    world.say(wire, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart");
    world.end(wire);
    assert_eq!(content(&world, client), "nowpart");
    assert!(world.responses(client)[0].is_complete);
}

#[test]
fn the_keep_alive_goes_on_while_a_fetch_brings_nothing_and_rests_while_it_brings_content() {
    let mut world = stage();
    let fields = format!(
        "{STREAM}Grip-Keep-Alive: k; timeout=2\r\nGrip-Link: </n>; rel=next; timeout=1\r\n"
    );
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    let (wire, _) = asked(&mut world);
    pass(&mut world, 4000);
    let kept = content(&world, client);
    assert!(kept.starts_with("nowk"), "{kept}");
    world.say(
        wire,
        &format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\na"),
    );
    pass(&mut world, 5000);
    assert_eq!(content(&world, client), format!("{kept}a"));
    // Not read in between: the end of that is no reason to begin.
    world.wires[client].room = 1;
    world.say(wire, "bb");
    world.make_room(client, usize::MAX);
    pass(&mut world, 5000);
    assert_eq!(content(&world, client), format!("{kept}abb"));
    world.say(wire, "c");
    pass(&mut world, 2050);
    assert!(content(&world, client).starts_with(&format!("{kept}abbck")));
}

#[test]
fn items_that_come_during_a_fetch_follow_its_content() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    let (wire, _) = asked(&mut world);
    world.send_out(&item("one"));
    world.say(
        wire,
        &format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 8\r\n\r\nfetc"),
    );
    world.send_out(&item("two"));
    world.say(wire, "hed.");
    assert_eq!(content(&world, client), "nowfetched.onetwo");
    world.send_out(&item("three"));
    assert!(content(&world, client).ends_with("three"));
}

#[test]
fn a_close_that_comes_during_a_fetch_ends_the_stream_behind_it() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    world.send_out(&item("one"));
    world.send_out(&action("http-stream", "close"));
    world.send_out(&item("two"));
    reply(&mut world, &page(&fields, "."));
    assert_eq!(content(&world, client), "now.one");
    assert!(world.responses(client)[0].is_complete);
}

#[test]
fn fetches_that_differ_in_their_query_are_not_shared() {
    let mut world = stage();
    let first = streaming(&mut world, "/a", "Grip-Link: </sl?user=1>; rel=next\r\n");
    let (one, _) = asked(&mut world);
    let second = world.client(GET);
    let (other, _) = asked(&mut world);
    world.say(other, &page("Grip-Link: </sl?user=2>; rel=next\r\n", "now"));
    let (other, request) = asked(&mut world);
    assert_eq!(request.target(), "/sl?user=2");
    assert_ne!(one, other);
    world.say(one, &page("", "one"));
    world.say(other, &page("", "two"));
    assert_eq!(content(&world, first), "nowone");
    assert_eq!(content(&world, second), "nowtwo");
}

#[test]
fn equal_fetches_at_the_same_time_are_one_whoever_comes_later() {
    let mut world = stage();
    let fields = "Grip-Link: </n>; rel=next\r\n";
    let first = streaming(&mut world, "/a", fields);
    let (wire, _) = asked(&mut world);
    let old = world.client("GET /a HTTP/1.0\r\nHost: h\r\n\r\n");
    let (other, _) = asked(&mut world);
    assert_ne!(wire, other);
    world.say(wire, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none");
    world.say(other, &page(fields, "now"));
    let before = count(&mut world);
    world.say(wire, "two");
    assert_eq!(content(&world, first), "nowonetwo");
    assert!(world.heard(old).ends_with("\r\n\r\nnowonetwo"));
    assert!(world.wires[old].is_output_ended);
    assert_eq!(count(&mut world), before);
    assert_eq!(world.core.errands(), 0);
}

#[test]
fn a_fetch_goes_on_for_the_others_when_one_leaves() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=3\r\n");
    let leaver = streaming(&mut world, "/a", &fields);
    let stayer = streaming(&mut world, "/a", &fields);
    pass(&mut world, 3200);
    assert_eq!(count(&mut world), 3);
    world.reset(leaver);
    reply(&mut world, OK);
    assert_eq!(content(&world, stayer), "nowok");
}

#[test]
fn a_fetch_that_nobody_waits_for_any_more_ends() {
    let mut world = stage();
    let client = streaming(&mut world, "/a", "Grip-Link: </n>; rel=next\r\n");
    let (wire, _) = asked(&mut world);
    world.reset(client);
    world.say(wire, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none");
    assert_eq!(world.core.errands(), 0);
    assert!(world.is_closed(wire));
}

#[test]
fn a_client_that_does_not_read_makes_its_fetch_wait() {
    let mut world = stage();
    let client = streaming(&mut world, "/a", "Grip-Link: </n>; rel=next\r\n");
    let (wire, _) = asked(&mut world);
    world.wires[client].room = 5;
    world.say(wire, "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
    world.say(wire, &"x".repeat(1000));
    assert!(world.wires[wire].is_paused);
    world.make_room(client, usize::MAX);
    assert!(!world.wires[wire].is_paused);
    world.say(wire, &"x".repeat(2000));
    assert_eq!(content(&world, client).len(), 3003);
    assert!(world.responses(client)[0].is_complete);
}

#[test]
fn draining_ends_streams_that_are_being_fetched_for() {
    let mut world = stage();
    let client = streaming(&mut world, "/a", "Grip-Link: </n>; rel=next\r\n");
    let (wire, _) = asked(&mut world);
    world.drain(1000);
    assert!(world.responses(client)[0].is_complete);
    world.say(wire, OK);
    assert_eq!(content(&world, client), "now");
    assert_eq!(world.core.errands(), 0);
    pass(&mut world, 1100);
    assert!(world.core.is_drained());
}

#[test]
fn a_hundred_items_wait_for_a_fetch() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    for _ in 0..100 {
        world.send_out(&item("i"));
    }
    reply(&mut world, &page(&fields, "."));
    assert_eq!(content(&world, client), format!("now.{}", "i".repeat(100)));
}

#[test]
fn many_items_whose_filter_cannot_be_asked_are_skipped_one_after_the_other() {
    let mut config = small_config();
    config.proxy.debug = false;
    let mut world = World::new(config, "* 8.8.8.8:1,untrusted\n");
    let fields = "Grip-Hold: stream\r\nGrip-Channel: c; filter=http-check\r\n\
        Grip-Set-Meta: url=\"http://127.0.0.1:1/\"\r\nGrip-Link: </n>; rel=next; timeout=1\r\n";
    let client = streaming(&mut world, "/a", fields);
    pass(&mut world, 1200);
    for _ in 0..100 {
        world.send_out(&item("i"));
    }
    reply(&mut world, &page(fields, "."));
    pass(&mut world, 100);
    assert_eq!(content(&world, client), "now.");
    assert_eq!(world.core.errands(), 0);
    assert_eq!(world.counters.updates.filter_errors.get(), 100);
}

#[test]
fn a_fetch_that_waits_for_a_slow_reader_goes_on_when_another_joins_or_is_left() {
    let fields = "Grip-Link: </n>; rel=next\r\n";
    for is_reset in [true, false] {
        let mut world = stage();
        let slow = streaming(&mut world, "/a", fields);
        let (wire, _) = asked(&mut world);
        world.wires[slow].room = 2;
        world.say(wire, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none");
        world.say(wire, "two");
        assert!(world.wires[wire].is_paused);
        let quick = streaming(&mut world, "/a", fields);
        assert!(!world.wires[wire].is_paused);
        if is_reset {
            world.reset(slow);
        } else {
            world.make_room(slow, usize::MAX);
        }
        world.say(wire, "end");
        assert_eq!(content(&world, quick), "nowonetwoend");
        assert!(is_reset || content(&world, slow) == "nowonetwoend");
    }
}

#[test]
fn a_fetch_that_waits_for_a_slow_reader_ends_when_that_leaves() {
    let mut world = stage();
    let client = streaming(&mut world, "/a", "Grip-Link: </n>; rel=next\r\n");
    let (wire, _) = asked(&mut world);
    world.wires[client].room = 2;
    world.say(wire, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none");
    world.say(wire, "two");
    assert!(world.wires[wire].is_paused);
    world.reset(client);
    assert_eq!(world.core.errands(), 0);
    assert!(world.is_closed(wire));
}

#[test]
fn a_fetch_for_two_slow_readers_goes_at_the_pace_of_the_one_that_stays() {
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
    let mut world = stage();
    let leaver = streaming(&mut world, "/a", &fields);
    let stayer = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    let (wire, _) = asked(&mut world);
    world.say(wire, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none");
    world.wires[stayer].room = 2;
    world.say(wire, "two");
    assert!(!world.wires[wire].is_paused);
    world.reset(leaver);
    world.say(wire, "end");
    world.make_room(stayer, usize::MAX);
    assert_eq!(content(&world, stayer), "nowonetwoend");
    assert!(world.responses(stayer)[0].is_complete);
}
