//! What a backend answers, and what becomes of it when it is not as it should be.

use crate::kit::{Backend, Wire};
use crate::{OK, before};

/// A backend that sends these bytes and closes.
fn sends_and_closes(bytes: &'static str) -> Backend {
    Backend::start(move |visit| {
        if visit.request().is_some() {
            visit.answer(bytes);
        }
    })
}

/// All that a client gets for one request, until its connection ends.
fn all_of(backend: &Backend) -> String {
    let server = before(backend);
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (bytes, _) = client.rest();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_truncated_body_closes_the_clients_connection() {
    let got = all_of(&sends_and_closes(
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    ));
    assert_eq!(got, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
}

#[test]
fn truncated_chunks_are_not_ended_in_the_backends_place() {
    let got = all_of(&sends_and_closes(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ));
    assert!(got.ends_with("5\r\nhello\r\n"), "{got}");
}

#[test]
fn a_bad_chunk_of_a_backend_cuts_the_client() {
    for bad in ["zz\r\n", "5 \r\nhello\r\n", "5\r\nhelloo\r\n", "\r\n"] {
        let backend = Backend::start(move |visit| {
            if visit.request().is_some() {
                visit.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
                visit.answer(bad);
                visit.wait_for_end();
            }
        });
        let got = all_of(&backend);
        assert!(got.contains("5\r\nhello\r\n"), "{bad:?}: {got}");
        assert!(
            !got.contains("\r\n0\r\n"),
            "{bad:?} was ended as if whole: {got}"
        );
    }
}

#[test]
fn a_body_that_ends_with_the_backends_connection_is_whole() {
    let backend = sends_and_closes("HTTP/1.1 200 OK\r\n\r\nhello");
    let server = before(&backend);
    let mut client = server.client();
    let response = client.get("/");
    assert!(response.head.is_chunked());
    assert_eq!(response.text(), "hello");
    assert_eq!(
        client.get("/").text(),
        "hello",
        "the client's connection stays"
    );
}

#[test]
fn trailers_are_dropped_both_ways() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    let server = before(&backend);
    let mut client = server.client();
    for _ in 0..2 {
        let response = client.ask(
            "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
             3;ext=1\r\nabc\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
        );
        assert_eq!(
            (response.text().as_str(), response.head.get("Trailer")),
            ("ok", None)
        );
        let request = backend.request();
        // Reading it whole has proved that nothing stands behind the last chunk.
        assert_eq!(
            (request.body.as_slice(), request.head.get("Trailer")),
            (&b"abc"[..], None)
        );
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn content_encoding_is_kept_both_ways() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
    );
    let server = before(&backend);
    let response = server
        .client()
        .ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(response.head.get("Content-Encoding"), Some("gzip"));
    assert_eq!(backend.request().head.get("Content-Encoding"), Some("br"));
}

#[test]
fn fields_of_one_hop_do_not_reach_the_client() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Upgrade: h2c\r\nTE: trailers\r\nProxy-Authenticate: Basic\r\nProxy-Connection: close\r\n\
         X-Stays: 1\r\nContent-Length: 2\r\n\r\nok",
    );
    let server = before(&backend);
    let response = server.client().get("/");
    let names: Vec<&str> = response
        .head
        .fields
        .iter()
        .map(|(n, _)| n.as_str())
        .collect();
    assert_eq!(names, ["X-Stays", "Content-Length"]);
}

#[test]
fn an_early_answer_arrives_while_the_upload_pauses() {
    let backend = Backend::start(|visit| {
        if visit.wire.try_head().is_ok() {
            visit.answer("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
            visit.wait_for_end();
        }
    });
    let server = before(&backend);
    let mut client = server.client();
    let response =
        client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this much");
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    assert_eq!(response.head.get("Connection"), Some("close"));
    client.expect_closed();
}

#[test]
fn an_early_answer_arrives_although_the_backend_closes_under_the_upload() {
    const LEN: usize = 4_000_000;
    let backend = Backend::start(|visit| {
        if visit.wire.try_head().is_ok() {
            visit.answer("HTTP/1.1 413 Enough\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let server = before(&backend);
    for round in 0..20 {
        let mut client = server.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LEN}\r\n\r\n"
        ));
        // The proxy may stop reading at any point of it; the answer counts.
        let _ = client.try_send(vec![b'x'; LEN]);
        assert_eq!(client.response().status, 413, "round {round}");
    }
}

#[test]
fn garbage_and_heads_over_the_limit_are_502() {
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(200));
    let answers = [
        "nonsense\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 99 X\r\n\r\n",
        &long,
        &many,
    ];
    for answer in answers {
        let backend = Backend::answering(answer);
        let server = before(&backend);
        let mut client = server.client();
        let response = client.get("/");
        assert_eq!(response.status, 502, "{answer:.40?}");
        assert_eq!(response.text(), "Error while proxying to origin.\n");
        assert_eq!(client.get("/").status, 502, "the client's connection stays");
    }
}

#[test]
fn a_backend_that_closes_at_once_is_502() {
    let backend = Backend::start(|visit| {
        visit.request();
    });
    let server = before(&backend);
    assert_eq!(server.client().get("/").status, 502);
}

#[test]
fn responses_without_content_have_neither_length_nor_content() {
    for status in ["204 No Content", "304 Not Modified"] {
        let backend = Backend::answering(format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n"));
        let server = before(&backend);
        let mut client = server.client();
        for _ in 0..2 {
            let response = client.get("/");
            assert_eq!(response.head.start, format!("HTTP/1.1 {status}"));
            assert_eq!(response.head.get("Transfer-Encoding"), None);
        }
    }
}

#[test]
fn status_reason_and_repeated_fields_pass_as_they_are() {
    let backend = Backend::answering(
        "HTTP/1.1 299 Quite odd\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
    );
    let server = before(&backend);
    let response = server.client().get("/");
    assert_eq!(response.head.start, "HTTP/1.1 299 Quite odd");
    let cookies: Vec<&str> = response.head.all("Set-Cookie").collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[test]
fn a_response_in_single_bytes_arrives_whole() {
    let backend = Backend::start(|visit| {
        while visit.request().is_some() {
            let answer =
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
            for byte in answer.as_bytes() {
                visit.answer([*byte]);
            }
        }
    });
    let server = before(&backend);
    let mut client: Wire = server.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "ok");
    }
}

#[test]
fn the_answer_to_one_client_is_not_held_up_by_another() {
    let backend = Backend::start(|visit| {
        while let Some(request) = visit.request() {
            if request.target() == "/never" {
                visit.wait_for_end();
            } else {
                visit.answer(OK);
            }
        }
    });
    let server = before(&backend);
    let mut waiting = server.client();
    waiting.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.request();
    for _ in 0..10 {
        assert_eq!(server.client().get("/").text(), "ok");
    }
}
