//! Requests cut, joined and broken.

use super::super::plan::{Language, Task};
use super::*;

const LIMITS: RequestLimits = RequestLimits {
    head: HeadLimits {
        head_len_max: 500,
        fields_max: 20,
    },
    body_len_max: 100,
};

fn exchange() -> Exchange {
    Exchange::new(Service::Control, LIMITS)
}

fn feed(exchange: &mut Exchange, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = exchange.room();
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        exchange.filled(len);
        bytes = &bytes[len..];
    }
}

/// All requests in `bytes` with their contents, and the refusal at the end if there is one.
fn run(bytes: &[u8], piece_len: usize) -> (Vec<(Task, Vec<u8>)>, Option<Refusal>) {
    let mut exchange = exchange();
    let mut requests = Vec::new();
    for piece in bytes.chunks(piece_len) {
        feed(&mut exchange, piece);
        loop {
            match exchange.next() {
                Step::NeedMore => break,
                Step::Continue => {}
                Step::Request(plan) => requests.push((plan.task, exchange.content().to_vec())),
                Step::Refused(refusal, _) => return (requests, Some(refusal)),
            }
        }
    }
    (requests, None)
}

const PUBLISH: Task = Task::Publish(Language::Text);
const TWO_LENGTHS: &[u8] = b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
    POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab\
    GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const CHUNKED: &[u8] = b"POST /publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
    3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn requests_cut_anywhere_are_the_same_requests() {
    let lengths = vec![
        (PUBLISH, b"hello".to_vec()),
        (PUBLISH, b"ab".to_vec()),
        (Task::Greet, Vec::new()),
    ];
    let chunked = vec![(PUBLISH, b"abcde".to_vec()), (Task::Greet, Vec::new())];
    for piece_len in 1..TWO_LENGTHS.len() {
        assert_eq!(
            run(TWO_LENGTHS, piece_len),
            (lengths.clone(), None),
            "by {piece_len}"
        );
        assert_eq!(
            run(CHUNKED, piece_len),
            (chunked.clone(), None),
            "by {piece_len}"
        );
    }
}

#[test]
fn content_at_its_limit_passes_and_one_byte_more_is_refused() {
    for (len, is_fine) in [(99, true), (100, true), (101, false)] {
        let content = "x".repeat(len);
        let by_length =
            format!("POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{content}");
        let by_chunks = format!(
            "POST /publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             32\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            &content[..50],
            len - 50,
            &content[50..]
        );
        for request in [by_length, by_chunks] {
            let refusal = run(request.as_bytes(), 64).1;
            assert_eq!(refusal.is_none(), is_fine, "{request}");
            assert!(refusal.is_none_or(|refusal| refusal == Refusal::BodyTooLarge));
        }
    }
}

#[test]
fn heads_that_cannot_be_read_are_refused_with_their_text() {
    let too_long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX-Pad: {}\r\n\r\n",
        "y".repeat(500)
    );
    for (request, expected) in [
        ("GET\r\n\r\n", Refusal::BadHead),
        ("GET /\r\n\r\n", Refusal::BadHead),
        ("GET / HTTP/1.1\nHost: x\n\n", Refusal::BadHead),
        ("GET / HTTP/1.1\r\n\r\n", Refusal::BadHead),
        ("\0\0\0\0\r\n\r\n", Refusal::BadHead),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
            Refusal::BadLength,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            Refusal::BadLength,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
            Refusal::LengthRequired,
        ),
        (too_long.as_str(), Refusal::HeadTooLarge),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            Refusal::BadBody,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            Refusal::BadHead,
        ),
    ] {
        assert_eq!(run(request.as_bytes(), 16).1, Some(expected), "{request:?}");
    }
}

#[test]
fn a_client_that_waits_is_told_to_go_on_once() {
    for spelling in ["100-continue", "100-Continue"] {
        let mut exchange = exchange();
        let head = format!(
            "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: {spelling}\r\n\r\n"
        );
        feed(&mut exchange, head.as_bytes());
        assert_eq!(exchange.next(), Step::Continue, "{spelling}");
        assert_eq!(exchange.next(), Step::NeedMore);
        feed(&mut exchange, b"ab");
        assert!(matches!(exchange.next(), Step::Request(_)));
        assert_eq!(exchange.content(), b"ab");
    }
}

#[test]
fn a_client_whose_content_is_there_already_is_not_told() {
    let request = b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\
        Expect: 100-continue\r\n\r\nab";
    let mut exchange = exchange();
    feed(&mut exchange, request);
    assert!(matches!(exchange.next(), Step::Request(_)));
}

#[test]
fn a_connection_is_idle_only_between_requests() {
    let mut exchange = exchange();
    assert!(exchange.is_idle());
    feed(&mut exchange, b"GET / HT");
    exchange.next();
    assert!(!exchange.is_idle());
    feed(&mut exchange, b"TP/1.1\r\nHost: x\r\n\r\n");
    assert!(matches!(exchange.next(), Step::Request(_)));
    assert_eq!(exchange.next(), Step::NeedMore);
    assert!(exchange.is_idle());
}
