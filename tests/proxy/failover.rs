//! Which target a request reaches, and that it reaches it whole.

use super::limits::full_listener;
use crate::kit::{Backend, Settings, free_ports, noise};
use crate::{OK, before};

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn post_chunked(body: &[u8]) -> Vec<u8> {
    let mut request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(10_000) {
        request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

#[test]
fn a_refused_target_is_passed_over() {
    let backend = Backend::answering(OK);
    let [dead] = free_ports();
    let server = Settings::one_shard()
        .route(format!("* 127.0.0.1:{dead} {}", backend.target()))
        .start();
    assert_eq!(server.client().get("/").text(), "ok");
    assert_eq!(server.metric("pincushion_failovers_total"), 1);
}

#[test]
fn when_all_targets_refuse_debug_names_them() {
    let [dead, gone] = free_ports();
    let server = Settings::one_shard()
        .route(format!("plain 127.0.0.1:{dead}"))
        .route(format!("*,debug 127.0.0.1:{dead} 127.0.0.1:{gone}"))
        .start();
    let response = server.client().ask("GET / HTTP/1.1\r\nHost: plain\r\n\r\n");
    assert_eq!(
        (response.status, response.text().as_str()),
        (502, "Error while proxying to origin.\n")
    );
    let expected =
        format!("Unable to connect to any targets. Tried: 127.0.0.1:{dead}, 127.0.0.1:{gone}\n");
    assert_eq!(server.client().get("/").text(), expected);
}

#[test]
fn the_next_target_gets_the_whole_upload() {
    let backend = Backend::answering(OK);
    let [dead] = free_ports();
    let server = Settings::one_shard()
        .route(format!("* 127.0.0.1:{dead} {}", backend.target()))
        .start();
    for len in [0, 1, 99_999, 100_000, 100_001, 300_000, 2_000_000] {
        let body = noise(len);
        for request in [post(&body), post_chunked(&body)] {
            assert_eq!(server.client().ask(request).text(), "ok", "{len} bytes");
            assert!(
                backend.request().body == body,
                "{len} bytes arrived changed"
            );
        }
    }
}

#[test]
fn the_next_target_gets_the_whole_upload_after_a_late_failure() {
    let (port, _full) = full_listener();
    let backend = Backend::answering(OK);
    let server = Settings::one_shard()
        .with("proxy", "connect_timeout = 1")
        .route(format!("* 127.0.0.1:{port} {}", backend.target()))
        .start();
    let body = noise(1_000_000);
    assert_eq!(server.client().ask(post(&body)).text(), "ok");
    assert!(backend.request().body == body, "the upload arrived changed");
}

#[test]
fn an_upload_whose_backend_dies_is_502_not_half_of_it_elsewhere() {
    let dying = Backend::start(|visit| {
        if visit.wire.try_head().is_ok() {
            let _ = visit.wire.try_take(1000);
        }
    });
    let backend = Backend::answering(OK);
    let server = Settings::one_shard()
        .route(format!("* {} {}", dying.target(), backend.target()))
        .start();
    let mut client = server.client();
    let _ = client.try_send(post(&noise(3_000_000)));
    assert_eq!(client.response().status, 502);
    assert_eq!(backend.connections(), 0);
    assert_eq!(dying.connections(), 1);
}

#[test]
fn a_name_that_does_not_resolve_is_passed_over() {
    let backend = Backend::answering(OK);
    let server = Settings::one_shard()
        .route(format!("* no-such-name.invalid:80 {}", backend.target()))
        .start();
    assert_eq!(server.client().get("/").text(), "ok");
}

#[test]
fn a_name_that_does_not_resolve_alone_is_502() {
    let server = Settings::one_shard()
        .route("*,debug no-such-name.invalid:80")
        .start();
    let response = server.client().get("/");
    assert_eq!(response.status, 502);
    assert!(
        response.text().contains("no-such-name.invalid:80"),
        "{response:?}"
    );
}

#[test]
fn nothing_is_tried_again_once_the_answer_has_begun() {
    let cut = Backend::start(|visit| {
        if visit.request().is_some() {
            visit.answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        }
    });
    let backend = Backend::answering(OK);
    let server = Settings::one_shard()
        .route(format!("* {} {}", cut.target(), backend.target()))
        .start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.rest().0.ends_with(b"hello"));
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_backend_that_comes_back_is_used_again() {
    let [port] = free_ports();
    let server = Settings::one_shard()
        .route(format!("* 127.0.0.1:{port}"))
        .start();
    let mut client = server.client();
    assert_eq!(client.get("/").status, 502);
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (socket, _) = listener.accept().expect("a connection");
    let mut backend = crate::kit::Wire::of(socket);
    backend.head();
    backend.send(OK);
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn one_target_is_asked_on_one_connection() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    for _ in 0..5 {
        assert_eq!(server.client().get("/").text(), "ok");
        assert_eq!(backend.request().connection, 0);
    }
}
