//! Next links: streams go on with what another request brings (grip-http.md section 12).

use super::streams::pass;
use crate::reader::Message;
use crate::stage::{GET, OK, item, stage};
use crate::world::{World, small_config};

/// Fields of a stream on channel `c`.
pub(super) const STREAM: &str = "Grip-Hold: stream\r\nGrip-Channel: c\r\n";

/// An answer of a backend.
pub(super) fn page(fields: &str, content: &str) -> String {
    let len = content.len();
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {len}\r\n\r\n{content}")
}

/// A stream whose backend has answered with these fields.
pub(super) fn streaming(world: &mut World, target: &str, fields: &str) -> usize {
    let client = world.client(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let backend = asked(world).0;
    world.say(backend, &page(fields, "now"));
    client
}

/// How many requests backends have got in all.
pub(super) fn count(world: &mut World) -> usize {
    accept(world);
    let wires = world.backends.clone();
    wires.iter().map(|wire| world.requests(*wire).len()).sum()
}

fn accept(world: &mut World) {
    for wire in world.backends.clone() {
        world.connected(wire, true);
    }
}

/// The connection that got the last request, and that request.
pub(super) fn asked(world: &mut World) -> (usize, Message) {
    accept(world);
    let wire = *world.written.last().unwrap();
    let request = world.requests(wire).last().unwrap().clone();
    (wire, request)
}

/// Lets a backend answer the last request.
pub(super) fn reply(world: &mut World, answer: &str) {
    let wire = asked(world).0;
    world.say(wire, answer);
}

pub(super) fn content(world: &World, client: usize) -> String {
    String::from_utf8(world.responses(client)[0].content.clone()).unwrap()
}

/// Values of `Grip-Last`, sorted.
pub(super) fn positions(request: &Message) -> Vec<&str> {
    let fields = request.fields.iter();
    let lasts = fields.filter(|(name, _)| name.eq_ignore_ascii_case("Grip-Last"));
    let mut values: Vec<&str> = lasts.map(|(_, value)| value.as_str()).collect();
    values.sort_unstable();
    values
}

fn stream_item(channel: &str, content: &str) -> String {
    format!(
        "{{\"items\":[{{\"channel\":\"{channel}\",\"http-stream\":{{\"content\":\"{content}\"}}}}]}}"
    )
}

#[test]
fn without_a_hold_the_next_link_is_appended_and_ends_the_response() {
    let mut world = stage();
    let client = streaming(&mut world, "/a/b", "Grip-Link: <../n1>; rel=next\r\n");
    let (_, request) = asked(&mut world);
    assert_eq!((request.method(), request.target()), ("GET", "/n1"));
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "nowok");
    assert!(world.responses(client)[0].is_complete);
    world.say(client, GET);
    reply(&mut world, OK);
    assert_eq!(world.statuses(client), [200, 200]);
}

#[test]
fn a_chain_of_links_is_followed_without_a_pause() {
    let mut world = stage();
    let client = streaming(&mut world, "/0", "Grip-Link: <1>; rel=next\r\n");
    for number in 1..20 {
        assert_eq!(asked(&mut world).1.target(), format!("/{number}"));
        let fields = format!("Grip-Link: <{}>; rel=next\r\n", number + 1);
        reply(&mut world, &page(&fields, ","));
    }
    reply(&mut world, OK);
    assert_eq!(content(&world, client), format!("now{}ok", ",".repeat(19)));
    assert_eq!(world.core.errands(), 0);
}

#[test]
fn a_fetch_has_nothing_of_the_client() {
    let mut world = stage();
    world.client("POST /a HTTP/1.1\r\nHost: h\r\nCookie: a\r\nUser-Agent: u\r\nX-Cli: 1\r\nContent-Length: 2\r\n\r\nhi");
    reply(&mut world, &page("Grip-Link: </n>; rel=next\r\n", "now"));
    let (_, request) = asked(&mut world);
    assert_eq!((request.method(), request.target()), ("GET", "/n"));
    assert_eq!(request.field("Host"), Some("h"));
    assert!(request.field("Grip-Feature").is_some());
    for name in [
        "Cookie",
        "User-Agent",
        "X-Cli",
        "Grip-Last",
        "Content-Length",
    ] {
        assert_eq!(request.field(name), None, "{name}");
    }
    assert!(request.content.is_empty());
}

#[test]
fn a_fetch_that_fails_is_tried_again_ever_later_and_after_the_sixth_time_the_stream_ends() {
    for failure in [
        "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 There\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        "no HTTP\r\n\r\n",
    ] {
        let mut world = stage();
        let client = streaming(&mut world, "/a", "Grip-Link: </n>; rel=next\r\n");
        assert_eq!(asked(&mut world).1.target(), "/n");
        for pause_ms in [1000, 2000, 4000, 8000, 16_000] {
            let before = count(&mut world);
            reply(&mut world, failure);
            pass(&mut world, pause_ms - 50);
            assert_eq!(count(&mut world), before, "{failure} {pause_ms}");
            pass(&mut world, 1050);
            assert_eq!(count(&mut world), before + 1, "{failure} {pause_ms}");
            assert_eq!(asked(&mut world).1.target(), "/n");
        }
        reply(&mut world, failure);
        assert_eq!(
            content(&world, client),
            "now\n\nFailed to retrieve next link.\n"
        );
        assert!(world.responses(client)[0].is_complete);
        assert_eq!(world.core.errands(), 0);
    }
}

#[test]
fn a_fetch_that_succeeds_makes_earlier_failures_forgotten() {
    let failure = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
    let mut world = stage();
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    for _ in 0..4 {
        for _ in 0..2 {
            reply(&mut world, failure);
            pass(&mut world, 3000);
        }
        reply(&mut world, &page(&fields, "."));
        pass(&mut world, 1200);
    }
    assert_eq!(content(&world, client), "now....");
}

#[test]
fn a_backend_that_is_away_for_a_moment_does_not_end_its_streams() {
    let mut world = stage();
    let client = streaming(&mut world, "/a", "Grip-Link: </n>; rel=next\r\n");
    let (wire, _) = asked(&mut world);
    world.reset(wire);
    // It was a pooled connection: the request goes out once more.
    let fresh = *world.backends.last().unwrap();
    world.connected(fresh, false);
    assert!(!world.responses(client)[0].is_complete);
    pass(&mut world, 2100);
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "nowok");
}

#[test]
fn instructions_that_no_stream_can_follow_end_it() {
    for fields in [
        "Grip-Hold: response\r\nGrip-Channel: c\r\n",
        "Grip-Hold: maybe\r\n",
        "Grip-Timeout: -1\r\n",
        "Content-Type: application/grip-instruct\r\n",
        "Grip-Hold: stream\r\nGrip-Channel: c; prev-id=1\r\n",
    ] {
        let mut world = stage();
        let first = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
        let client = streaming(&mut world, "/a", &first);
        pass(&mut world, 1200);
        reply(&mut world, &page(fields, "{}"));
        assert!(world.responses(client)[0].is_complete, "{fields}");
        assert_eq!(world.core.channels(), 0, "{fields}");
        assert_eq!(world.core.errands(), 0, "{fields}");
    }
}

#[test]
fn the_status_of_a_fetched_page_does_not_matter_as_long_as_it_is_good() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    reply(
        &mut world,
        &format!(
            "HTTP/1.1 201 Made\r\nGrip-Status: 404 No\r\nX-A: 1\r\n{STREAM}Content-Length: 4\r\n\r\nmore"
        ),
    );
    world.send_out(&item("one"));
    assert_eq!(content(&world, client), "nowmoreone");
    assert!(world.heard(client).starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(!world.heard(client).contains("X-A"));
    assert!(!world.responses(client)[0].is_complete);
}

#[test]
fn the_keep_alive_is_that_of_the_last_instructions() {
    let mut world = stage();
    let fields = format!(
        "{STREAM}Grip-Keep-Alive: old; timeout=9\r\nGrip-Link: </n>; rel=next; timeout=1\r\n"
    );
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    let link = "Grip-Link: </n>; rel=next; timeout=20\r\n";
    reply(
        &mut world,
        &page(
            &format!("{STREAM}Grip-Keep-Alive: new; timeout=3\r\n{link}"),
            "",
        ),
    );
    pass(&mut world, 3050);
    assert_eq!(content(&world, client), "nownew");
    pass(&mut world, 17_100);
    reply(&mut world, &page(&format!("{STREAM}{link}"), "."));
    let before = content(&world, client);
    assert!(before.ends_with('.'));
    pass(&mut world, 10_000);
    assert_eq!(content(&world, client), before, "none is left");
}

#[test]
fn a_page_without_hold_and_link_ends_a_held_stream() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "nowok");
    assert!(world.responses(client)[0].is_complete);
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn a_page_that_names_other_channels_moves_the_stream_to_them() {
    let mut world = stage();
    let link = "Grip-Link: </n>; rel=next; timeout=1\r\n";
    let client = streaming(
        &mut world,
        "/a",
        &format!("Grip-Hold: stream\r\nGrip-Channel: c, d, e\r\n{link}"),
    );
    pass(&mut world, 1200);
    reply(
        &mut world,
        &page("Grip-Hold: stream\r\nGrip-Channel: f, d\r\n", ""),
    );
    for channel in ["c", "d", "e", "f"] {
        world.send_out(&stream_item(channel, channel));
    }
    assert_eq!(content(&world, client), "nowdf");
    assert_eq!(world.core.channels(), 2);
    world.reset(client);
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn streams_that_share_channels_keep_them_when_one_moves() {
    let mut world = stage();
    let link = "Grip-Link: </n>; rel=next; timeout=1\r\n";
    let all = "Grip-Hold: stream\r\nGrip-Channel: c, d, e\r\n";
    let moving = streaming(&mut world, "/a", &format!("{all}{link}"));
    let staying = streaming(&mut world, "/b", all);
    let last = streaming(&mut world, "/c", all);
    pass(&mut world, 1200);
    reply(
        &mut world,
        &page("Grip-Hold: stream\r\nGrip-Channel: e\r\n", ""),
    );
    world.reset(staying);
    for channel in ["c", "d", "e"] {
        world.send_out(&stream_item(channel, channel));
    }
    assert_eq!(content(&world, moving), "nowe");
    assert_eq!(content(&world, last), "nowcde");
}

#[test]
fn channels_of_the_target_are_never_given_up() {
    let mut world = World::new(small_config(), "*,prefix=p- 127.0.0.1:1,sub=imp\n");
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=1\r\n");
    let client = streaming(&mut world, "/a", &fields);
    pass(&mut world, 1200);
    reply(
        &mut world,
        &page("Grip-Hold: stream\r\nGrip-Channel: d\r\n", ""),
    );
    for channel in ["imp", "p-c", "p-d", "p-imp"] {
        world.send_out(&stream_item(channel, channel));
    }
    assert_eq!(content(&world, client), "nowimpp-d");
}

#[test]
fn a_link_without_time_is_fetched_about_every_hundred_milliseconds() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=0\r\n");
    streaming(&mut world, "/a", &fields);
    let mut fetches = 0;
    for _ in 0..100 {
        let before = count(&mut world);
        pass(&mut world, 50);
        if count(&mut world) > before {
            fetches += 1;
            reply(&mut world, &page(&fields, ""));
        }
    }
    assert!((30..=51).contains(&fetches), "{fetches}");
}

#[test]
fn a_period_in_which_every_channel_was_active_is_forgiven() {
    let link = "Grip-Link: </n>; rel=next; timeout=3\r\n";
    for channels in ["c", "c, d"] {
        let mut world = stage();
        streaming(
            &mut world,
            "/a",
            &format!("Grip-Hold: stream\r\nGrip-Channel: {channels}\r\n{link}"),
        );
        pass(&mut world, 1500);
        for channel in channels.split(", ") {
            world.send_out(&stream_item(channel, "i"));
        }
        pass(&mut world, 4400);
        assert_eq!(count(&mut world), 1, "{channels}");
        pass(&mut world, 300);
        assert_eq!(count(&mut world), 2, "{channels}: at 6 seconds");
    }
}

#[test]
fn a_period_in_which_only_one_of_two_channels_was_active_is_not_forgiven() {
    let mut world = stage();
    let link = "Grip-Link: </n>; rel=next; timeout=3\r\n";
    streaming(
        &mut world,
        "/a",
        &format!("Grip-Hold: stream\r\nGrip-Channel: c, d\r\n{link}"),
    );
    pass(&mut world, 1500);
    world.send_out(&stream_item("c", "i"));
    pass(&mut world, 1700);
    assert_eq!(count(&mut world), 2);
}

#[test]
fn streams_with_the_same_link_are_fetched_together_however_late_they_join() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next; timeout=3\r\n");
    let first = streaming(&mut world, "/a", &fields);
    pass(&mut world, 2000);
    let second = streaming(&mut world, "/a", &fields);
    pass(&mut world, 950);
    assert_eq!(count(&mut world), 2);
    pass(&mut world, 250);
    assert_eq!(count(&mut world), 3);
    reply(&mut world, &page(&fields, "."));
    assert_eq!(content(&world, first), "now.");
    assert_eq!(content(&world, second), "now.");
    pass(&mut world, 3200);
    assert_eq!(count(&mut world), 4, "and so on");
}

#[test]
fn a_hint_fetches_at_once_and_forgets_what_waits() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: </n>; rel=next\r\n");
    let client = streaming(&mut world, "/a", &fields);
    let hint = r#"{"channel":"c","http-stream":{"action":"hint"}}"#;
    let one = r#"{"channel":"c","http-stream":{"content":"one"}}"#;
    world.send_out(&format!("{{\"items\":[{hint},{one}]}}"));
    assert_eq!(asked(&mut world).1.target(), "/n");
    reply(&mut world, &page(&fields, "."));
    assert_eq!(content(&world, client), "now.one");
    assert_eq!(count(&mut world), 2);
}
