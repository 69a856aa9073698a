//! Requests that two parsers could read differently: refused, and no backend sees a byte of them.

use crate::kit::{Backend, Server};
use crate::{OK, before};

/// Sends a request that must be refused with 400 and the end of the connection; whatever follows
/// it must not be taken for a request.
fn expect_refused(server: &Server, request: &str) {
    let mut client = server.client();
    client.send(format!(
        "{request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    ));
    let response = client.response();
    assert_eq!(response.status, 400, "{request:?}: {response:?}");
    assert_eq!(
        response.head.get("Connection"),
        Some("close"),
        "{request:?}"
    );
    client.expect_closed();
}

/// Checks that requests are refused and that the backend's first is the one sent afterwards.
fn expect_all_refused(requests: &[&str]) {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    for request in requests {
        expect_refused(&server, request);
    }
    assert_eq!(server.client().get("/after").status, 200);
    assert_eq!(backend.request().target(), "/after");
    assert_eq!(backend.connections(), 1);
    assert!(backend.has_no_request());
}

#[test]
fn a_length_and_chunks_together_are_refused() {
    expect_all_refused(&[
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]);
}

#[test]
fn a_doubtful_length_is_refused() {
    expect_all_refused(&[
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ]);
}

#[test]
fn a_doubtful_transfer_coding_is_refused() {
    expect_all_refused(&[
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]);
}

#[test]
fn a_bare_line_feed_is_refused() {
    expect_all_refused(&[
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
    ]);
}

#[test]
fn a_folded_line_is_refused() {
    expect_all_refused(&[
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\tTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    ]);
}

#[test]
fn a_field_name_with_a_blank_is_refused() {
    expect_all_refused(&[
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ]);
}

#[test]
fn an_unclear_host_is_refused() {
    expect_all_refused(&[
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    ]);
}

#[test]
fn a_bad_chunk_that_comes_with_its_head_is_refused() {
    let chunked = |body: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    let bodies = [
        "zz\r\n",
        "-1\r\n",
        "5 \r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5\nhello\r\n",
        "5\r\nhelloo\r\n",
        "10000000000000000\r\n",
        "\r\n",
    ];
    let requests: Vec<String> = bodies.iter().map(|body| chunked(body)).collect();
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    expect_all_refused(&requests);
}

#[test]
fn a_bad_chunk_behind_a_good_one_ends_both_connections() {
    let (sender, head_came) = std::sync::mpsc::sync_channel(1);
    let (end_sender, ended) = std::sync::mpsc::sync_channel(1);
    let backend = Backend::start(move |visit| {
        let head = visit.wire.try_head().expect("the head comes");
        let _ = sender.try_send(());
        let body = visit.wire.try_body(&head, false);
        let _ = end_sender.try_send(body.is_err());
    });
    let server = before(&backend);
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    head_came
        .recv_timeout(crate::kit::WAIT_MAX)
        .expect("the backend got the head");
    client.send("zz\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 400);
    client.expect_closed();
    let is_cut = ended.recv_timeout(crate::kit::WAIT_MAX);
    assert_eq!(is_cut, Ok(true), "the backend took the request for whole");
}

#[test]
fn a_response_with_a_length_and_chunks_is_not_relayed() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    let server = before(&backend);
    assert_eq!(server.client().get("/").status, 502);
}

#[test]
fn bytes_behind_a_response_do_not_answer_the_next_request() {
    let backend = Backend::start(|visit| {
        while visit.request().is_some() {
            visit.answer(format!(
                "{OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
            ));
        }
    });
    let server = before(&backend);
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(backend.connections(), 3);
}
