//! Content that is larger than every buffer: it arrives unchanged, and memory stays bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::{Backend, Gate, WAIT_MAX, noise};
use crate::{OK, before};

/// Bytes moved in each test.
const LEN: usize = 50_000_000;
/// What the process may grow by meanwhile, in KiB: four times the buffers of a request.
const GROWTH_MAX_KIB: u64 = 4 * 2 * 256;
/// Nothing moves any more when a count has stood still for this long.
const STILL: Duration = Duration::from_millis(300);

/// Waits until a count that grows has stopped.
fn wait_until_still(count: &AtomicUsize) -> usize {
    let deadline = Instant::now() + WAIT_MAX;
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < STILL || last == 0 {
        let now = count.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(Instant::now() < deadline, "it does not stop");
        thread::park_timeout(Duration::from_millis(5));
    }
    last
}

#[test]
fn an_upload_to_a_slow_backend_stays_bounded_and_arrives_whole() {
    let gate = Gate::new();
    let door = gate.door();
    let backend = Backend::start(move |visit| {
        let Ok(head) = visit.wire.try_head() else {
            return;
        };
        if head.start.starts_with("POST") {
            door.pass();
        }
        let Ok(body) = visit.wire.try_body(&head, false) else {
            return;
        };
        visit.note(&crate::kit::Request {
            head,
            body,
            connection: visit.number,
        });
        visit.answer(OK);
    });
    let server = before(&backend);
    assert_eq!(server.client().get("/").text(), "ok");
    backend.request();
    let before_kib = server.resident_kib();
    let body = Arc::new(noise(LEN));
    let sent = Arc::new(AtomicUsize::new(0));
    let mut client = server.client();
    let (bytes, count) = (Arc::clone(&body), Arc::clone(&sent));
    let sender = thread::spawn(move || {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LEN}\r\n\r\n"
        ));
        for piece in bytes.chunks(16 * 1024) {
            client.send(piece);
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
        client.response().status
    });
    let stopped_at = wait_until_still(&sent);
    assert!(stopped_at < LEN, "the slow backend holds the client back");
    let growth = server.resident_kib().saturating_sub(before_kib);
    assert!(growth <= GROWTH_MAX_KIB, "{growth} KiB more");
    gate.open();
    assert_eq!(sender.join().expect("the client"), 200);
    assert!(
        backend.request().body == *body,
        "the upload arrived changed"
    );
}

#[test]
fn a_download_of_a_slow_client_stays_bounded_and_arrives_whole() {
    let body = Arc::new(noise(LEN));
    let sent = Arc::new(AtomicUsize::new(0));
    let (bytes, count) = (Arc::clone(&body), Arc::clone(&sent));
    let backend = Backend::start(move |visit| {
        while let Some(request) = visit.request() {
            if request.target() == "/small" {
                visit.answer(OK);
                continue;
            }
            visit.answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
            for piece in bytes.chunks(16 * 1024) {
                if !visit.answer(piece) {
                    return;
                }
                count.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    });
    let server = before(&backend);
    assert_eq!(server.client().get("/small").text(), "ok");
    let before_kib = server.resident_kib();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let stopped_at = wait_until_still(&sent);
    assert!(stopped_at < LEN, "the slow client holds the backend back");
    let growth = server.resident_kib().saturating_sub(before_kib);
    assert!(growth <= GROWTH_MAX_KIB, "{growth} KiB more");
    let response = client.response();
    assert!(response.body == *body, "the download arrived changed");
    assert_eq!(client.get("/small").text(), "ok", "the connection stays");
}

#[test]
fn chunks_of_all_sizes_arrive_whole_both_ways() {
    let backend = Backend::start(|visit| {
        while let Some(request) = visit.request() {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            answer.extend(chunked(&request.body));
            visit.answer(answer);
        }
    });
    let server = before(&backend);
    let mut client = server.client();
    let body = noise(3_000_000);
    let mut request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    request.extend(chunked(&body));
    for _ in 0..2 {
        assert!(client.ask(&request).body == body, "it came back changed");
    }
}

/// Chunks of growing lengths.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut rest, mut len) = (body, 1);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(len.min(rest.len()));
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        (rest, len) = (behind, len * 2);
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[test]
fn thirty_two_clients_at_once_get_their_own_answers() {
    let backend = Backend::echo();
    let server = before(&backend);
    let port = server.port;
    let clients: Vec<_> = (0..32)
        .map(|number| {
            thread::spawn(move || {
                let mut client = crate::kit::Wire::connect(port);
                for round in 0..50 {
                    let path = format!("/{number}/{round}");
                    assert_eq!(client.get(&path).text(), path);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("a client");
    }
}

#[test]
fn a_slow_client_gets_all_of_a_body_whose_backend_is_gone_already() {
    const LEN: usize = 20_000_000;
    for framing in [format!("Content-Length: {LEN}\r\n"), String::new()] {
        let body = Arc::new(noise(LEN));
        let bytes = Arc::clone(&body);
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let backend = Backend::start(move |visit| {
            if visit.request().is_some() {
                visit.answer(format!("HTTP/1.1 200 OK\r\n{framing}\r\n"));
                for piece in bytes.chunks(16 * 1024) {
                    visit.answer(piece);
                    count.fetch_add(piece.len(), Ordering::Relaxed);
                }
            }
        });
        let server = before(&backend);
        let mut client = server.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        wait_until_still(&sent);
        assert!(client.response().body == *body, "it arrived changed");
    }
}

#[test]
fn pipelined_downloads_that_nobody_reads_stay_bounded() {
    const LEN: usize = 1_000_000;
    const REQUESTS: usize = 60;
    let body = Arc::new(noise(LEN));
    let bytes = Arc::clone(&body);
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let backend = Backend::start(move |visit| {
        while visit.request().is_some() {
            visit.answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
            visit.answer(&*bytes);
            count.fetch_add(LEN, Ordering::Relaxed);
        }
    });
    let server = before(&backend);
    let before_kib = server.resident_kib();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(REQUESTS));
    let stopped_at = wait_until_still(&sent);
    assert!(stopped_at < REQUESTS * LEN, "the client holds them back");
    let growth = server.resident_kib().saturating_sub(before_kib);
    assert!(growth <= GROWTH_MAX_KIB, "{growth} KiB more");
    for number in 0..REQUESTS {
        assert!(client.response().body == *body, "answer {number}");
    }
}

#[test]
fn a_client_that_leaves_within_its_upload_takes_the_request_with_it() {
    let (sender, ended) = std::sync::mpsc::sync_channel(1);
    let backend = Backend::start(move |visit| {
        if let Ok(head) = visit.wire.try_head() {
            visit.note(&crate::kit::Request {
                head: head.clone(),
                body: Vec::new(),
                connection: visit.number,
            });
            let body = visit.wire.try_body(&head, false);
            let _ = sender.try_send(body.is_err());
        }
    });
    let server = before(&backend);
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut client = server.client();
        client.send(request);
        backend.request();
        client.end_sending();
        let is_cut = ended.recv_timeout(WAIT_MAX);
        assert_eq!(
            is_cut,
            Ok(true),
            "the backend took it for whole: {request:?}"
        );
    }
}
