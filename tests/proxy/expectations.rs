//! `Expect: 100-continue`, interim responses, requests to upgrade.

use crate::kit::Backend;
use crate::{OK, before};

#[test]
fn a_client_that_waits_is_told_to_go_on() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    for word in ["100-continue", "100-Continue"] {
        let mut client = server.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: {word}\r\n\r\n"
        ));
        assert_eq!(client.head().start, "HTTP/1.1 100 Continue", "{word}");
        assert_eq!(client.ask("hello").text(), "ok");
        let request = backend.request();
        assert_eq!(
            (request.body.as_slice(), request.head.get("Expect")),
            (&b"hello"[..], None)
        );
    }
}

#[test]
fn a_client_that_did_not_wait_gets_no_100() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let response = server.client().ask(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    );
    assert_eq!(response.status, 200);
}

#[test]
fn interim_responses_of_a_backend_do_not_take_the_place_of_the_answer() {
    let backend = Backend::answering(format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{OK}"
    ));
    let server = before(&backend);
    let mut client = server.client();
    for _ in 0..2 {
        let hints = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
        assert_eq!((hints.status(), hints.get("Link")), (103, Some("</a>")));
        assert_eq!(client.response().text(), "ok");
    }
}

#[test]
fn a_client_of_http_10_gets_no_interim_response() {
    let backend = Backend::answering(format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}"));
    let server = before(&backend);
    let response = server.client().ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(response.text(), "ok");
}

#[test]
fn an_interim_response_in_pieces_is_skipped() {
    let backend = Backend::start(|visit| {
        while visit.request().is_some() {
            for byte in format!("HTTP/1.1 100 Continue\r\n\r\n{OK}").as_bytes() {
                visit.answer([*byte]);
            }
        }
    });
    let server = before(&backend);
    assert_eq!(server.client().get("/").text(), "ok");
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_a_bad_answer() {
    let backend =
        Backend::answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nnonsense");
    let server = before(&backend);
    assert_eq!(server.client().get("/").status, 502);
}

#[test]
fn an_upgrade_that_is_not_offered_is_served_as_plain_http() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let mut client = server.client();
    let response = client.ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABk\r\n\r\n",
    );
    assert_eq!(response.text(), "ok");
    let request = backend.request();
    for name in ["Connection", "Upgrade", "HTTP2-Settings"] {
        assert_eq!(request.head.get(name), None, "{name}");
    }
    assert_eq!(client.get("/").text(), "ok");
}

#[test]
fn connect_is_refused() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let mut client = server.client();
    let response = client.ask("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n");
    assert_eq!(response.status, 400);
    client.expect_closed();
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_client_that_waits_may_be_refused_instead() {
    let backend = Backend::start(|visit| {
        if visit.wire.try_head().is_ok() {
            visit.answer("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
            visit.wait_for_end();
        }
    });
    let server = before(&backend);
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let mut response = client.response();
    if response.status == 100 {
        // We have the backend and take the content: that is for us to say.
        response = client.response();
    }
    assert_eq!(response.status, 403);
    client.expect_closed();
}
