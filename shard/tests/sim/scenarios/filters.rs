//! Filters that decide by themselves (grip-http.md section 17, lines 197 to 210 of its checklist).

use super::links::{content, count, page, reply};
use crate::stage::{GET, ROUTES, item, stage};
use crate::world::{World, small_config};

/// A world that tells clients nothing of errors.
pub(super) fn silent() -> World {
    let mut config = small_config();
    config.proxy.debug = false;
    World::new(config, ROUTES)
}

/// The fields of a hold on channel `c` with this filter and these variables.
fn fields(mode: &str, filter: &str, meta: &str) -> String {
    let channel = format!("Grip-Hold: {mode}\r\nGrip-Channel: c; filter={filter}\r\n");
    if meta.is_empty() {
        return channel;
    }
    format!("{channel}Grip-Set-Meta: {meta}\r\n")
}

/// A client held that way.
pub(super) fn filtered(world: &mut World, mode: &str, filter: &str, meta: &str) -> usize {
    let answer = page(&fields(mode, filter, meta), "now");
    world.answered(GET, &answer).0
}

/// An item of both formats with these members beside them.
pub(super) fn tagged(content: &str, members: &str) -> String {
    format!(
        "{{\"items\":[{{\"channel\":\"c\",{members},\"http-stream\":{{\"content\":\"{content}\"}},\
         \"http-response\":{{\"body\":\"{content}\"}}}}]}}"
    )
}

pub(super) fn with_meta(content: &str, name: &str, value: &str) -> String {
    tagged(content, &format!("\"meta\":{{\"{name}\":\"{value}\"}}"))
}

/// Lines 197 and 198.
#[test]
fn items_that_are_not_for_a_user_leave_its_holds_as_they_are() {
    for (filter, name, own) in [
        ("skip-self", "sender", "al"),
        ("skip-users", "skip_users", "bob, al"),
    ] {
        let mut world = stage();
        let stream = filtered(&mut world, "stream", filter, "user=al");
        let poll = filtered(&mut world, "response", filter, "user=al");
        world.send_out(&with_meta("own", name, own));
        assert_eq!(world.statuses(poll), [0u16; 0], "{filter}");
        world.send_out(&with_meta("other", name, "bob,alx"));
        assert_eq!(content(&world, stream), "nowother", "{filter}");
        assert_eq!(content(&world, poll), "other", "{filter}");
    }
}

/// Line 199.
#[test]
fn a_required_subscription_is_looked_for_without_prefix_and_among_those_of_the_route() {
    let routes = "*,prefix=P- 127.0.0.1:1,sub=imp";
    let mut world = World::new(small_config(), routes);
    let client = filtered(&mut world, "stream", "require-sub", "");
    for (required, sent) in [
        ("c", "a"),
        ("imp", "b"),
        ("P-c", "x"),
        ("other", "y"),
        ("", "c"),
    ] {
        let body = with_meta(sent, "require_sub", required);
        world.send_out(&body.replace("\"channel\":\"c\"", "\"channel\":\"P-c\""));
    }
    assert_eq!(content(&world, client), "nowabc");
}

/// Line 200.
#[test]
fn variables_are_filled_in_for_streams_and_polls() {
    let mut world = stage();
    let stream = filtered(&mut world, "stream", "var-subst", "user=al");
    let poll = filtered(&mut world, "response", "var-subst", "user=al");
    world.send_out(&item("hi %(user)s 100%%"));
    assert_eq!(content(&world, stream), "nowhi al 100%");
    assert_eq!(content(&world, poll), "hi al 100%");
}

/// Lines 201 and 202; nothing is written where Pushpin answers with empty content.
#[test]
fn an_item_with_an_unknown_variable_is_left_out() {
    let mut world = silent();
    let stream = filtered(&mut world, "stream", "var-subst", "user=al");
    let poll = filtered(&mut world, "response", "var-subst", "user=al");
    world.send_out(&item("%(nobody)s"));
    assert_eq!(world.statuses(poll), [0u16; 0]);
    assert_eq!(world.counters.updates.filter_errors.get(), 2);
    world.send_out(&item("%(user)s"));
    assert_eq!(content(&world, stream), "nowal");
    assert_eq!(content(&world, poll), "al");
}

#[test]
fn debug_mode_tells_of_an_unknown_variable_and_ends_the_hold() {
    let mut world = stage();
    let stream = filtered(&mut world, "stream", "var-subst", "user=al");
    let poll = filtered(&mut world, "response", "var-subst", "user=al");
    world.send_out(&item("%(nobody)s"));
    let text = "filter error: no value for 'nobody'";
    assert_eq!(content(&world, stream), format!("now\n\n{text}\n"));
    assert!(world.responses(stream)[0].is_complete);
    assert_eq!(world.statuses(poll), [502]);
    assert_eq!(content(&world, poll), format!("{text}\n"));
}

/// Line 203: with the position that the item brings.
#[test]
fn an_id_is_rendered_with_the_item_counted() {
    let mut world = stage();
    let fields = "Grip-Hold: stream\r\nGrip-Channel: c; prev-id=7; filter=build-id\r\n\
        Grip-Set-Meta: id_format=\"c:%(c)s\"\r\nGrip-Link: </n>; rel=next\r\n";
    let (client, _) = world.answered(GET, &page(fields, "now"));
    world.send_out(&tagged("%I", "\"id\":\"8\",\"prev-id\":\"7\""));
    assert_eq!(content(&world, client), "nowc:8");
}

/// Lines 204 and 205.
#[test]
fn the_first_content_of_a_stream_goes_through_build_id() {
    let cases = [
        (
            "",
            "x",
            "\n\nfilter error: build-id: no sub meta 'id_format'\n",
            true,
        ),
        (
            "id_format=x",
            "%I",
            "\n\nfilter error: build-id: No ID specified and no default ID in context\n",
            true,
        ),
        ("id_format=x", "a %(abc)I", "a abc", false),
        ("id_format=x, id_encoding=hex", "%(abc)I", "616263", false),
    ];
    for (meta, body, heard, is_over) in cases {
        let mut world = stage();
        let answer = page(&fields("stream", "build-id", meta), body);
        let (client, _) = world.answered(GET, &answer);
        assert_eq!(world.responses(client)[0].status(), 200, "{meta}: {body}");
        assert_eq!(content(&world, client), heard, "{meta}: {body}");
        assert_eq!(
            world.responses(client)[0].is_complete,
            is_over,
            "{meta}: {body}"
        );
    }
}

#[test]
fn without_debug_a_stream_whose_first_content_cannot_be_filtered_is_empty_and_ends() {
    let mut world = silent();
    let answer = page(&fields("stream", "build-id", "id_format=x"), "%I");
    let (client, _) = world.answered(GET, &answer);
    assert_eq!(content(&world, client), "");
    assert_eq!(world.statuses(client), [200]);
}

/// Line 206.
#[test]
fn the_answer_of_a_timeout_is_not_filtered() {
    let mut world = stage();
    let answer = page(&fields("response", "build-id", "id_format=x"), "%I %(x)I");
    let (client, _) = world.answered(GET, &answer);
    world.advance(60_000);
    assert_eq!(content(&world, client), "%I %(x)I");
}

/// Line 207.
#[test]
fn what_a_next_link_brings_is_filtered_by_its_instructions() {
    let mut world = stage();
    let first = "Grip-Hold: stream\r\nGrip-Channel: c\r\nGrip-Link: </n>; rel=next; timeout=1\r\n";
    let (client, _) = world.answered(GET, &page(first, "now"));
    world.advance(1000);
    world.advance(200);
    assert_eq!(count(&mut world), 2);
    reply(
        &mut world,
        &page(&fields("stream", "build-id", "id_format=x"), "%(then)I"),
    );
    assert_eq!(content(&world, client), "nowthen");
}

fn relying(content: &str, filters: &str) -> String {
    format!(
        "{{\"items\":[{{\"channel\":\"c\",\"http-stream\":{{\"content\":\"{content}\",\"content-filters\":{filters}}},\
         \"http-response\":{{\"body\":\"{content}\",\"content-filters\":{filters}}}}}]}}"
    )
}

/// Line 208.
#[test]
fn an_item_is_left_out_where_the_filters_are_not_those_that_it_counts_on() {
    for mode in ["stream", "response"] {
        let mut world = silent();
        let client = filtered(&mut world, mode, "var-subst", "user=al");
        world.send_out(&relying("b", "[\"build-id\"]"));
        world.send_out(&relying("c", "[]"));
        world.send_out(&relying("%(user)s", "[\"var-subst\"]"));
        let before = if mode == "stream" { "now" } else { "" };
        assert_eq!(content(&world, client), format!("{before}al"));
    }
}

/// Line 209.
#[test]
fn debug_mode_names_both_lists_of_content_filters() {
    let mut world = stage();
    let stream = filtered(&mut world, "stream", "var-subst", "user=al");
    let poll = filtered(&mut world, "response", "var-subst", "user=al");
    world.send_out(&relying("x", "[\"build-id\",\"var-subst\"]"));
    let text = "content filter mismatch: subscription=var-subst message=build-id,var-subst";
    assert_eq!(content(&world, stream), format!("now\n\n{text}\n"));
    assert!(world.responses(stream)[0].is_complete);
    assert_eq!(world.statuses(poll), [502]);
    assert_eq!(content(&world, poll), format!("{text}\n"));
}

/// Line 210.
#[test]
fn a_close_from_the_user_itself_leaves_the_stream_open() {
    let mut world = stage();
    let client = filtered(&mut world, "stream", "skip-self", "user=al");
    let close = |sender: &str| {
        format!(
            "{{\"items\":[{{\"channel\":\"c\",\"meta\":{{\"sender\":\"{sender}\"}},\
             \"http-stream\":{{\"action\":\"close\"}}}}]}}"
        )
    };
    world.send_out(&close("al"));
    assert_eq!(world.statuses(client), [0u16; 0]);
    world.send_out(&close("bob"));
    assert_eq!(world.statuses(client), [200]);
}

/// Line 208, for an item whose formats count on different filters.
#[test]
fn each_kind_of_hold_goes_by_the_content_filters_of_its_own_format() {
    let mut world = stage();
    let poll = filtered(&mut world, "response", "var-subst", "user=al");
    world.send_out(
        r#"{"items":[{"channel":"c","http-stream":{"content":"x","content-filters":[]},
            "http-response":{"body":"hi %(user)s","content-filters":["var-subst"]}}]}"#,
    );
    assert_eq!(content(&world, poll), "hi al");
}

/// Line 208, for holds without any filter: they would get a template as it is.
#[test]
fn a_hold_without_filters_is_left_out_by_an_item_that_counts_on_one() {
    for mode in ["stream", "response"] {
        let mut world = silent();
        let plain = page(&format!("Grip-Hold: {mode}\r\nGrip-Channel: c\r\n"), "now");
        let (client, _) = world.answered(GET, &plain);
        world.send_out(&relying("%(user)s", "[\"var-subst\"]"));
        world.send_out(&relying("b", "[]"));
        let before = if mode == "stream" { "now" } else { "" };
        assert_eq!(content(&world, client), format!("{before}b"));
    }
}

/// Line 209, for holds without any filter.
#[test]
fn debug_mode_tells_holds_without_filters_what_an_item_counts_on() {
    let mut world = stage();
    let plain = |mode: &str| page(&format!("Grip-Hold: {mode}\r\nGrip-Channel: c\r\n"), "now");
    let (stream, _) = world.answered(GET, &plain("stream"));
    let (poll, _) = world.answered(GET, &plain("response"));
    world.send_out(&relying("x", "[\"var-subst\"]"));
    let text = "content filter mismatch: subscription= message=var-subst";
    assert_eq!(content(&world, stream), format!("now\n\n{text}\n"));
    assert_eq!(world.statuses(poll), [502]);
}
