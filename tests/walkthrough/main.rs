//! The README's walk-through as a newcomer types it: the real binary, curl, and the example
//! backends in Python and Node as they stand in `examples/`.

#![expect(
    clippy::disallowed_methods,
    reason = "deadlines for programs that run in real time need the real clock"
)]
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and ends"
)]

#[path = "../support/kit.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "each test target uses its own part"
)]
mod kit;
mod running;

use std::process::Command;

use kit::{Folder, Running};
use running::{Backend, Pincushion, curl};

const PYTHON: (&str, &str) = ("python3", "python/backend.py");
const NODE: (&str, &str) = ("node", "node/backend.mjs");

/// Pincushion before one of the example backends, by the flag that the README gives.
fn before_backend((program, path): (&str, &str)) -> (Pincushion, Backend) {
    let backend = Backend::start(program, path);
    let pincushion = Pincushion::start("", &["--route", &backend.route()]);
    (pincushion, backend)
}

fn check_stream(example: (&str, &str)) {
    let (pincushion, _backend) = before_backend(example);
    let mut client = curl(&["-i", &pincushion.url("/")]);
    client.wait_for("welcome to the stream\n");
    let answer = pincushion.publish("http-stream", r#"{ "content": "hello there\n" }"#);
    assert_eq!(answer, "Published\n");
    client.wait_for("hello there\n");
    let head = client.seen();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("grip-"), "{head}");
}

fn check_long_poll(example: (&str, &str)) {
    let (pincushion, _backend) = before_backend(example);
    let mut client = curl(&["-i", &pincushion.url("/poll")]);
    // Again and again: from outside nobody sees when the hold begins.
    client.repeat_until_closed(|| {
        pincushion.publish("http-response", r#"{ "body": "some news\n" }"#);
    });
    let (status, answer) = client.finish();
    assert!(status.success(), "curl: {status}, {answer}");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nsome news\n"), "{answer}");
}

#[test]
fn what_is_published_reaches_a_stream_of_the_python_backend() {
    check_stream(PYTHON);
}

#[test]
fn what_is_published_reaches_a_stream_of_the_node_backend() {
    check_stream(NODE);
}

#[test]
fn what_is_published_answers_a_long_poll_of_the_python_backend() {
    check_long_poll(PYTHON);
}

#[test]
fn what_is_published_answers_a_long_poll_of_the_node_backend() {
    check_long_poll(NODE);
}

#[test]
fn without_a_route_the_built_in_handler_holds_a_stream() {
    let pincushion = Pincushion::start("", &[]);
    let mut client = curl(&[&pincushion.url("/stream")]);
    client.wait_for("[stream opened]\n");
    pincushion.publish("http-stream", r#"{ "content": "hello there\n" }"#);
    client.wait_for("hello there\n");
}

#[test]
fn a_close_item_ends_the_stream_cleanly() {
    let pincushion = Pincushion::start("", &[]);
    let mut client = curl(&[&pincushion.url("/stream")]);
    client.wait_for("[stream opened]\n");
    pincushion.publish("http-stream", r#"{ "action": "close" }"#);
    let (status, answer) = client.finish();
    assert!(status.success(), "curl: {status}, {answer}");
}

#[test]
fn an_unknown_key_is_refused_with_its_file_line_and_name() {
    let folder = Folder::new();
    let file = folder.write(
        "pincushion.toml",
        "[http]\n# A slip of the pen:\nlissten = []\n",
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_pincushion"));
    let (status, output) = Running::start(command.arg("--config").arg(&file)).finish();
    assert!(!status.success(), "{output}");
    assert!(output.contains("pincushion.toml"), "no file name: {output}");
    assert!(
        output.contains(":3") || output.contains("line 3"),
        "no line number: {output}"
    );
    assert!(output.contains("lissten"), "no key: {output}");
}

#[test]
fn sigterm_ends_open_streams_cleanly_and_exits_with_zero() {
    let mut pincushion = Pincushion::start("", &[]);
    let mut client = curl(&[&pincushion.url("/stream")]);
    client.wait_for("[stream opened]\n");
    pincushion.running().signal("TERM");
    let (status, answer) = client.finish();
    // curl's code 18 would mean that the stream was cut before its last chunk.
    assert!(status.success(), "curl: {status}, {answer}");
    let (status, output) = pincushion.finish();
    assert_eq!(status.code(), Some(0), "{output}");
}

#[test]
fn sighup_reads_the_routes_again_and_open_streams_stay() {
    let routes = Folder::new();
    let file = routes.write("routes", "* test\n");
    let mut pincushion = Pincushion::start(&format!("routes_file = \"{}\"", file.display()), &[]);
    let mut client = curl(&[&pincushion.url("/stream")]);
    client.wait_for("[stream opened]\n");

    let backend = Backend::start(PYTHON.0, PYTHON.1);
    routes.write("routes", &backend.route());
    pincushion.running().signal("HUP");
    let url = pincushion.url("/nothing");
    pincushion.running().ask_until("asks the new backend", || {
        curl(&[&url]).finish().1 == "no such page\n"
    });

    pincushion.publish("http-stream", r#"{ "content": "still here\n" }"#);
    client.wait_for("still here\n");
}
