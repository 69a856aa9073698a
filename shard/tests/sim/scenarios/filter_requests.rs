//! Filters that ask a backend (grip-http.md section 17.2, lines 211 to 214 of its checklist).

use super::filters::{filtered, silent, tagged, with_meta};
use super::links::{asked, content, count, page, positions, reply};
use crate::stage::{GET, ROUTES, item, stage};
use crate::world::{World, small_config};

/// An answer with this status, field and content.
fn answer(status: u16, field: &str, content: &str) -> String {
    let len = content.len();
    format!("HTTP/1.1 {status} X\r\n{field}Content-Length: {len}\r\n\r\n{content}")
}

/// Line 211.
#[test]
fn http_check_asks_with_both_metas_and_without_content() {
    let mut world = stage();
    let client = filtered(&mut world, "stream", "http-check", "url=/check, user=al");
    world.send_out(&with_meta("one", "k", "v"));
    let (_, request) = asked(&mut world);
    assert_eq!((request.method(), request.target()), ("POST", "/check"));
    assert_eq!(request.content, b"");
    assert_eq!(request.field("Content-Length"), Some("0"));
    assert_eq!(
        request.field("Sub-Meta"),
        Some(r#"{"url":"/check","user":"al"}"#)
    );
    assert_eq!(request.field("Pub-Meta"), Some(r#"{"k":"v"}"#));
    assert!(request.field("Grip-Feature").is_some());
    assert_eq!(content(&world, client), "now");
    reply(&mut world, &answer(200, "", "ignored"));
    assert_eq!(content(&world, client), "nowone");
    world.send_out(&item("two"));
    let (_, request) = asked(&mut world);
    assert_eq!(request.field("Pub-Meta"), Some("{}"));
    reply(&mut world, &answer(200, "Action: drop\r\n", ""));
    assert_eq!(content(&world, client), "nowone");
    assert_eq!(world.counters.updates.filtered.get(), 1);
}

#[test]
fn http_check_holds_a_poll_back_until_it_is_answered() {
    let mut world = stage();
    let client = filtered(&mut world, "response", "http-check", "url=/check");
    world.send_out(&item("one"));
    reply(&mut world, &answer(204, "Action: drop\r\n", ""));
    assert_eq!(world.statuses(client), [0u16; 0]);
    world.send_out(&item("two"));
    assert_eq!(world.statuses(client), [0u16; 0]);
    reply(&mut world, &answer(204, "", ""));
    assert_eq!(content(&world, client), "two");
}

/// Line 212.
#[test]
fn http_modify_takes_over_the_content_of_a_200_and_nothing_else() {
    let (long, longer) = ("x".repeat(100_000), "x".repeat(100_001));
    let cases = [
        (200, "new", "new"),
        (204, "", "one"),
        (500, "no", ""),
        (302, "no", ""),
        (200, &*long, &*long),
        (200, &*longer, ""),
    ];
    for (status, body, heard) in cases {
        let mut config = small_config();
        config.proxy.debug = false;
        config.http.outbox_max = 1 << 20;
        let mut world = World::new(config, ROUTES);
        let client = filtered(&mut world, "stream", "http-modify", "url=/m");
        world.make_room(client, 1 << 20);
        world.send_out(&item("one"));
        let (_, request) = asked(&mut world);
        assert_eq!(request.content, b"one");
        let answered = if status == 204 {
            "HTTP/1.1 204 X\r\n\r\n".to_owned()
        } else {
            answer(status, "", body)
        };
        reply(&mut world, &answered);
        let what = format!("{status} with {} bytes", body.len());
        assert!(content(&world, client) == format!("now{heard}"), "{what}");
        assert!(!world.responses(client)[0].is_complete, "{what}");
    }
}

#[test]
fn debug_mode_tells_of_a_filter_that_was_not_answered() {
    let mut world = stage();
    let stream = filtered(&mut world, "stream", "http-check", "url=/check");
    let poll = filtered(&mut world, "response", "http-check", "url=/check");
    world.send_out(&item("one"));
    reply(&mut world, &answer(500, "", "no"));
    let text = "filter error: unexpected network request status: code=500";
    assert_eq!(content(&world, stream), format!("now\n\n{text}\n"));
    assert_eq!(content(&world, poll), format!("{text}\n"));
    assert_eq!(world.statuses(poll), [502]);
}

#[test]
fn a_filter_that_is_not_answered_in_ten_seconds_fails() {
    let mut world = stage();
    let client = filtered(&mut world, "stream", "http-check", "url=/check");
    world.send_out(&item("one"));
    asked(&mut world);
    world.advance(9_900);
    assert_eq!(content(&world, client), "now");
    world.advance(200);
    let text = "filter error: network request failed: request timed out";
    assert_eq!(content(&world, client), format!("now\n\n{text}\n"));
}

#[test]
fn a_filter_without_an_url_fails() {
    for (meta, text) in [
        ("user=al", "missing url value"),
        ("url=\"http://[bad\"", "invalid url value"),
    ] {
        let mut world = stage();
        let client = filtered(&mut world, "stream", "http-check", meta);
        world.send_out(&item("one"));
        let text = format!("filter error: {text}");
        assert_eq!(
            content(&world, client),
            format!("now\n\n{text}\n"),
            "{meta}"
        );
    }
}

/// Line 213, and what a failed filter leaves of the position (grip-http.md section 17.3).
#[test]
fn a_filter_is_asked_with_positions_which_its_failure_does_not_move() {
    let mut world = silent();
    let fields = "Grip-Hold: stream\r\nGrip-Channel: c; prev-id=7; filter=http-modify\r\n\
        Grip-Set-Meta: url=/m\r\nGrip-Link: </n>; rel=next\r\n";
    let (client, _) = world.answered(GET, &page(fields, "now"));
    world.send_out(&tagged("one", "\"id\":\"8\",\"prev-id\":\"7\""));
    let (_, request) = asked(&mut world);
    assert_eq!(request.target(), "/m");
    assert_eq!(positions(&request), ["c; last-id=7"]);
    reply(&mut world, &answer(500, "", ""));
    assert_eq!(content(&world, client), "now");
    world.send_out(&tagged("two", "\"id\":\"9\",\"prev-id\":\"8\""));
    world.advance(200);
    let (_, request) = asked(&mut world);
    assert_eq!(request.target(), "/n", "the next item does not follow 7");
    assert_eq!(positions(&request), ["c; last-id=7"]);
}

#[test]
fn an_item_that_a_filter_has_dropped_moves_the_position() {
    let mut world = silent();
    let fields = "Grip-Hold: stream\r\nGrip-Channel: c; prev-id=7; filter=http-check\r\n\
        Grip-Set-Meta: url=/m\r\nGrip-Link: </n>; rel=next\r\n";
    let (client, _) = world.answered(GET, &page(fields, "now"));
    world.send_out(&tagged("one", "\"id\":\"8\",\"prev-id\":\"7\""));
    reply(&mut world, &answer(200, "Action: drop\r\n", ""));
    world.send_out(&tagged("two", "\"id\":\"9\",\"prev-id\":\"8\""));
    let (_, request) = asked(&mut world);
    assert_eq!(positions(&request), ["c; last-id=8"]);
    reply(&mut world, &answer(200, "", ""));
    assert_eq!(content(&world, client), "nowtwo");
}

/// Line 214.
#[test]
fn a_slow_filter_keeps_items_in_order_and_is_asked_one_by_one() {
    let mut world = stage();
    let client = filtered(&mut world, "stream", "http-check", "url=/check");
    for text in ["one", "two", "three"] {
        world.send_out(&item(text));
    }
    for (number, heard) in [(2, "nowone"), (3, "nowonetwo"), (4, "nowonetwothree")] {
        assert_eq!(count(&mut world), number, "one question at a time");
        world.advance(1000);
        reply(&mut world, &answer(200, "", ""));
        assert_eq!(content(&world, client), heard);
    }
}

#[test]
fn filters_go_on_with_what_a_backend_has_made_of_the_content() {
    let mut world = stage();
    let fields = "Grip-Hold: stream\r\n\
        Grip-Channel: c; filter=var-subst; filter=http-modify; filter=http-check; filter=var-subst\r\n\
        Grip-Set-Meta: url=/m, user=al\r\n";
    let (client, _) = world.answered(GET, &page(fields, "now"));
    world.send_out(&item("%(user)s"));
    let (_, request) = asked(&mut world);
    assert_eq!(request.content, b"al");
    reply(&mut world, &answer(200, "", "%(user)s!"));
    let (_, request) = asked(&mut world);
    assert_eq!(request.content, b"", "a check has none");
    reply(&mut world, &answer(200, "", "ignored"));
    assert_eq!(content(&world, client), "nowal!");
}

#[test]
fn equal_questions_of_several_holds_are_one_request() {
    let mut world = stage();
    let clients: Vec<usize> = (0..3)
        .map(|_| filtered(&mut world, "stream", "http-modify", "url=/m"))
        .collect();
    let before = count(&mut world);
    world.send_out(&item("one"));
    assert_eq!(count(&mut world), before + 1);
    reply(&mut world, &answer(200, "", "new"));
    for client in clients {
        assert_eq!(content(&world, client), "nownew");
    }
}

#[test]
fn a_client_that_leaves_while_its_filter_asks_takes_nothing_with_it() {
    let mut world = stage();
    let client = filtered(&mut world, "stream", "http-check", "url=/check");
    let other = filtered(&mut world, "stream", "http-check", "url=/check");
    world.send_out(&item("one"));
    asked(&mut world);
    world.reset(client);
    reply(&mut world, &answer(200, "", ""));
    assert_eq!(content(&world, client), "now");
    assert_eq!(content(&world, other), "nowone");
    assert_eq!(world.core.errands(), 0);
}
