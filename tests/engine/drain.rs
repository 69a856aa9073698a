//! The end of the process: nothing new comes in, what is under way ends well.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::kit::{Backend, Gate, Settings, wait_until};
use crate::stream;

#[test]
fn sigterm_ends_everybody_as_befits() {
    let gate = Gate::new();
    let door = gate.door();
    let backend = Backend::start(move |visit| {
        while visit.request().is_some() {
            door.pass();
            visit.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let server = Settings::all_cores()
        .route(format!("busy {}", backend.target()))
        .route("* test")
        .start();
    let mut idle = server.client();
    assert_eq!(idle.get("/").status, 200);
    let mut streaming = stream(&server, "a");
    let mut polling = server.client();
    polling.send("GET /response HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the long-poll is held", || {
        server.metric("pincushion_held_long_polls") == 1
    });
    let mut busy = server.client();
    busy.send("GET / HTTP/1.1\r\nHost: busy\r\n\r\n");
    backend.request();

    server.running.signal("TERM");
    idle.expect_closed();
    assert_eq!(streaming.chunk(), None, "the last chunk");
    streaming.expect_closed();
    let answer = polling.response();
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "nothing for now\n")
    );
    polling.expect_closed();
    wait_until("new clients are refused", || {
        TcpStream::connect(("127.0.0.1", server.port)).is_err()
    });
    gate.open();
    assert_eq!(busy.response().text(), "ok");
    busy.expect_closed();
    let (status, output) = server.running.finish();
    assert_eq!(status.code(), Some(0), "{output}");
}

#[test]
fn a_request_that_does_not_end_does_not_keep_the_process() {
    let backend = Backend::start(|visit| {
        visit.request();
        visit.wait_for_end();
    });
    let server = Settings::one_shard()
        .with("http", "drain_timeout = 1")
        .route(format!("* {}", backend.target()))
        .start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.request();
    let began = Instant::now();
    server.running.signal("TERM");
    let (status, output) = server.running.finish();
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "it got its time"
    );
    let (bytes, _) = client.rest();
    assert!(
        bytes.is_empty(),
        "cut without an answer that would look whole"
    );
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let backend = Backend::start(|visit| {
        visit.request();
        visit.wait_for_end();
    });
    let mut server = Settings::one_shard()
        .with("http", "drain_timeout = 600")
        .route(format!("* {}", backend.target()))
        .start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.request();
    server.running.signal("TERM");
    server.running.wait_for("draining");
    server.running.signal("TERM");
    let (status, output) = server.running.finish();
    assert_eq!(status.code(), Some(1), "{output}");
}
