//! The client's connection: how long it lasts, in which order answers come.

use crate::kit::{Backend, Gate};
use crate::{OK, before, settings};

#[test]
fn after_head_the_next_request_is_answered() {
    let backend = Backend::start(|visit| {
        while let Some(request) = visit.request() {
            let content = if request.head.start.starts_with("HEAD") {
                ""
            } else {
                "hello"
            };
            visit.answer(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{content}"
            ));
        }
    });
    let server = before(&backend);
    let mut client = server.client();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head();
    assert_eq!((head.status(), head.content_length()), (200, Some(5)));
    assert_eq!(client.get("/").text(), "hello");
    assert_eq!(
        backend.connections(),
        1,
        "the backend's connection serves on too"
    );
}

#[test]
fn http_10_with_keep_alive_and_no_known_length_ends_with_the_connection() {
    let backend = Backend::start(|visit| {
        if visit.request().is_some() {
            visit.answer("HTTP/1.1 200 OK\r\n\r\nhello");
        }
    });
    let server = before(&backend);
    let response = server
        .client()
        .ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(
        response.head.start.starts_with("HTTP/1.0 200"),
        "{response:?}"
    );
    assert_eq!(response.head.get("Transfer-Encoding"), None);
    assert_ne!(response.head.get("Connection"), Some("keep-alive"));
    assert_eq!(response.text(), "hello");
}

#[test]
fn http_10_with_keep_alive_and_a_known_length_stays() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let mut client = server.client();
    for _ in 0..2 {
        let response = client.ask("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n");
        assert_eq!(response.head.get("Connection"), Some("keep-alive"));
    }
}

#[test]
fn http_10_without_keep_alive_is_closed() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let mut client = server.client();
    assert_eq!(client.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n").text(), "ok");
    client.expect_closed();
}

#[test]
fn close_is_understood_in_any_case() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    for word in ["close", "Close", "CLOSE", "x, cLose"] {
        let mut client = server.client();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {word}\r\n\r\n");
        let response = client.ask(request);
        assert_eq!(response.head.get("Connection"), Some("close"), "{word}");
        client.expect_closed();
    }
}

#[test]
fn a_backend_that_says_close_in_any_case_is_not_asked_again_on_that_connection() {
    let backend =
        Backend::answering("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok");
    let server = before(&backend);
    let mut client = server.client();
    for number in 0..3 {
        let response = client.get("/");
        assert_eq!(
            response.head.get("Connection"),
            None,
            "that was for one hop"
        );
        assert_eq!(backend.request().connection, number);
    }
}

#[test]
fn a_half_closed_client_is_answered() {
    let gate = Gate::new();
    let door = gate.door();
    let backend = Backend::start(move |visit| {
        if visit.request().is_some() {
            door.pass();
            visit.answer(OK);
        }
    });
    let server = before(&backend);
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.request();
    client.end_sending();
    // Another request is served behind the end, so the end has been seen.
    let mut other = server.client();
    other.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.request();
    gate.open();
    assert_eq!(client.response().text(), "ok");
    client.expect_closed();
}

#[test]
fn a_hundred_pipelined_requests_are_answered_in_order() {
    let backend = Backend::echo();
    let server = before(&backend);
    let mut client = server.client();
    let requests: String = (0..100)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send(requests);
    for n in 0..100 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
}

#[test]
fn pipelined_requests_before_the_end_of_the_client_are_all_answered() {
    let backend = Backend::echo();
    let server = before(&backend);
    let mut client = server.client();
    let requests: String = (0..20)
        .map(|n| format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
        .collect();
    client.send(requests).end_sending();
    for n in 0..20 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
    client.expect_closed();
}

#[test]
fn a_request_that_comes_byte_by_byte_is_served() {
    let backend = Backend::echo();
    let server = before(&backend);
    let mut client = server.client();
    for byte in
        b"POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "/slow");
    assert_eq!(backend.request().body, b"abc");
}

#[test]
fn a_request_behind_a_long_poll_is_answered_after_it() {
    let server = settings(&Backend::echo()).route("poll test").start();
    let mut client = server.client();
    client.send("GET /response HTTP/1.1\r\nHost: poll\r\n\r\nGET / HTTP/1.1\r\nHost: poll\r\n\r\n");
    crate::kit::wait_until("the long-poll is held", || {
        server.metric("pincushion_held_long_polls") == 1
    });
    server.publish_response("test", "news");
    assert_eq!(client.response().text(), "news");
    assert!(client.response().text().starts_with("Hello"));
}
