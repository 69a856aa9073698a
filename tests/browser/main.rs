//! The examples with a page, as a person sees them: the real binary, the backends as they stand in
//! `examples/`, and headless Chromium, which opens the page and is asked what stands on it.

#![expect(
    clippy::disallowed_methods,
    reason = "deadlines for programs that run in real time need the real clock"
)]
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and ends"
)]

mod browser;
mod example;
#[path = "../support/kit.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "each test target uses its own part"
)]
mod kit;

use browser::Browser;
use example::Example;

#[test]
fn the_page_of_the_sse_example_shows_each_event_that_is_published() {
    let example = Example::start("sse");
    let browser = Browser::start();
    browser.open(&example.url("/"));
    browser.wait_for_text("#state", "connected");
    assert_eq!(browser.texts("#messages li span"), [""; 0]);
    example
        .publish(r#"{"channel":"news","formats":{"http-stream":{"content":"data: first\n\n"}}}"#);
    browser.wait_for_texts("#messages li span", &["first"]);
    example
        .publish(r#"{"channel":"news","formats":{"http-stream":{"content":"data: second\n\n"}}}"#);
    browser.wait_for_texts("#messages li span", &["second", "first"]);
}

#[test]
fn the_page_of_the_long_poll_example_shows_each_message_that_is_sent() {
    let example = Example::start("long-poll");
    let browser = Browser::start();
    browser.open(&example.url("/"));
    browser.wait_for_text("#state", "connected");
    example.wait_for_held_polls(1);
    example.post("/messages", "first");
    browser.wait_for_texts("#messages li", &["first"]);
    // At once, whether the page has polled again by now or not.
    example.post("/messages", "second");
    browser.wait_for_texts("#messages li", &["second", "first"]);
}

#[test]
fn the_page_of_the_long_poll_example_shows_what_it_sends_itself() {
    let example = Example::start("long-poll");
    let browser = Browser::start();
    browser.open(&example.url("/"));
    browser.wait_for_text("#state", "connected");
    browser.send("#form", "#text", "from the page");
    browser.wait_for_texts("#messages li", &["from the page"]);
}

#[test]
fn the_page_of_the_long_poll_example_loses_nothing_of_a_burst() {
    const MESSAGES: usize = 20;
    let example = Example::start("long-poll");
    let browser = Browser::start();
    browser.open(&example.url("/"));
    browser.wait_for_text("#state", "connected");
    let mut sent: Vec<String> = (1..=MESSAGES).map(|n| format!("message {n}")).collect();
    for text in &sent {
        example.post("/messages", text);
    }
    // The page has the newest on top.
    sent.reverse();
    browser.wait_for_texts("#messages li", &sent);
}
