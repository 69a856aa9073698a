//! Gone links: told of the end of a session (grip-http.md section 13).

use super::links::{STREAM, asked, content, count, page, reply, streaming};
use super::streams::pass;
use crate::reader::Message;
use crate::stage::{GET, OK, action, item, stage};
use crate::world::World;

const GONE: &str = "Grip-Link: <gone?x=1>; rel=gone\r\n";
const POLL: &str = "Grip-Hold: response\r\nGrip-Channel: c\r\n";

fn is_told(request: &Message) {
    assert_eq!((request.method(), request.target()), ("POST", "/gone?x=1"));
    assert_eq!(request.field("Content-Length"), Some("0"));
    assert_eq!(request.field("Host"), Some("h"));
    for name in ["Cookie", "User-Agent", "X-Cli", "Grip-Last"] {
        assert_eq!(request.field(name), None, "{name}");
    }
}

fn held(world: &mut World, fields: &str) -> usize {
    let client = world
        .client("GET /a HTTP/1.1\r\nHost: h\r\nCookie: a\r\nUser-Agent: u\r\nX-Cli: 1\r\n\r\n");
    reply(world, &page(fields, "now"));
    client
}

#[test]
fn a_client_that_leaves_is_told_of() {
    for mode in [STREAM, POLL] {
        let mut world = stage();
        let client = held(&mut world, &format!("{mode}{GONE}"));
        world.reset(client);
        is_told(&asked(&mut world).1);
        reply(&mut world, &page("", ""));
        assert_eq!(world.core.errands(), 0);
        assert_eq!(world.core.channels(), 0);
    }
}

#[test]
fn a_closed_stream_and_an_answered_poll_are_told_of() {
    let mut world = stage();
    let client = held(&mut world, &format!("{STREAM}{GONE}"));
    world.send_out(&action("http-stream", "close"));
    assert!(world.responses(client)[0].is_complete);
    is_told(&asked(&mut world).1);

    let mut world = stage();
    let client = held(&mut world, &format!("{POLL}{GONE}"));
    world.send_out(&item("one"));
    assert_eq!(content(&world, client), "one");
    is_told(&asked(&mut world).1);

    let mut world = stage();
    let client = held(&mut world, &format!("{POLL}Grip-Timeout: 5\r\n{GONE}"));
    pass(&mut world, 5100);
    assert_eq!(content(&world, client), "now");
    is_told(&asked(&mut world).1);
}

#[test]
fn a_poll_asks_again_after_its_end_was_told() {
    for answer in [
        page("", ""),
        page("", "content"),
        "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ] {
        let mut world = stage();
        let client = held(&mut world, &format!("{POLL}{GONE}"));
        world.send_out(&action("http-response", "hint"));
        is_told(&asked(&mut world).1);
        assert_eq!(count(&mut world), 2, "the retry waits");
        reply(&mut world, &answer);
        let (_, request) = asked(&mut world);
        assert_eq!((request.method(), request.target()), ("GET", "/a"));
        assert_eq!(request.field("X-Cli"), Some("1"));
        reply(&mut world, OK);
        assert_eq!(content(&world, client), "ok");
        assert_eq!(count(&mut world), 3);
    }
}

#[test]
fn a_poll_whose_gone_link_leads_nowhere_asks_again_all_the_same() {
    let mut world = stage();
    let client = held(
        &mut world,
        &format!("{POLL}Grip-Link: <http://other/gone>; rel=gone\r\n"),
    );
    world.send_out(&action("http-response", "hint"));
    world.resolve(0, &[]);
    assert_eq!(asked(&mut world).1.target(), "/a");
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "ok");
}

#[test]
fn a_client_that_leaves_while_its_end_is_told_is_told_of_once() {
    let mut world = stage();
    let client = held(&mut world, &format!("{POLL}{GONE}"));
    world.send_out(&action("http-response", "hint"));
    assert_eq!(count(&mut world), 2);
    world.reset(client);
    reply(&mut world, &page("", ""));
    assert_eq!(count(&mut world), 2);
    assert_eq!((world.core.errands(), world.core.channels()), (0, 0));
}

#[test]
fn a_poll_that_began_after_the_told_one_does_not_ask_again_for_it() {
    let mut world = stage();
    let client = held(&mut world, &format!("{POLL}Grip-Timeout: 5\r\n{GONE}"));
    world.send_out(&action("http-response", "hint"));
    let (gone, _) = asked(&mut world);
    pass(&mut world, 5100);
    assert_eq!(world.statuses(client), [200], "its own time was over first");
    world.say(client, GET);
    reply(&mut world, &page(POLL, "now"));
    let before = count(&mut world);
    world.say(gone, &page("", ""));
    assert_eq!(count(&mut world), before);
}

#[test]
fn without_a_hold_there_is_nobody_to_be_gone() {
    let mut world = stage();
    let client = held(&mut world, GONE);
    assert_eq!(content(&world, client), "now");
    world.reset(client);
    assert_eq!(count(&mut world), 1);
}

#[test]
fn an_answer_with_content_is_not_asked_for_again() {
    let mut world = stage();
    let client = held(&mut world, &format!("{STREAM}{GONE}"));
    world.reset(client);
    reply(&mut world, &page("", "content"));
    pass(&mut world, 60_000);
    assert_eq!(count(&mut world), 2);
    assert_eq!(world.core.errands(), 0);
}

#[test]
fn the_gone_link_of_the_first_instructions_stays() {
    let mut world = stage();
    let link = "Grip-Link: </n/m>; rel=next; timeout=1\r\n";
    let client = streaming(&mut world, "/a", &format!("{STREAM}{GONE}{link}"));
    pass(&mut world, 1200);
    reply(
        &mut world,
        &page(
            &format!("{STREAM}Grip-Link: </other>; rel=gone\r\n{link}"),
            "",
        ),
    );
    world.reset(client);
    is_told(&asked(&mut world).1);
}

#[test]
fn an_item_whose_client_leaves_while_a_filter_asks_is_dropped() {
    for is_reset in [true, false] {
        let mut world = stage();
        let fields = "Grip-Hold: response\r\nGrip-Timeout: 5\r\nGrip-Channel: c; filter=http-check\r\nGrip-Set-Meta: url=\"/check\"\r\n";
        let client = held(&mut world, &format!("{fields}{GONE}"));
        world.send_out(&item("one"));
        let (check, request) = asked(&mut world);
        assert_eq!((request.method(), request.target()), ("POST", "/check"));
        if is_reset {
            world.reset(client);
        } else {
            pass(&mut world, 5100);
            assert_eq!(content(&world, client), "now");
        }
        is_told(&asked(&mut world).1);
        reply(&mut world, &page("", ""));
        world.say(check, &page("", ""));
        assert!(!world.heard(client).contains("one"));
        assert_eq!((world.core.errands(), world.core.channels()), (0, 0));
    }
}

#[test]
fn draining_waits_until_ends_are_told() {
    let mut world = stage();
    let client = held(&mut world, &format!("{STREAM}{GONE}"));
    world.drain(10_000);
    is_told(&asked(&mut world).1);
    world.end(client);
    assert!(!world.core.is_drained());
    reply(&mut world, &page("", ""));
    assert!(world.core.is_drained());
}
