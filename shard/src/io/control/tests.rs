//! The control thread end to end: its own executor, clients with plain sockets.

mod firsts;
mod http;
mod order;
mod rig;
mod zeromq;

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::http::{Client, post};
use self::rig::{Rig, RigSettings};
use super::*;
use crate::core::hub::Mode;
use crate::io::reports::{StatsDemand, SubscriptionChange};
use crate::io::zeromq as sockets;

const ITEM: &str = r#"{"items":[{"channel":"c","http-stream":{"content":"x"}}]}"#;

fn item(id: usize) -> String {
    format!(r#"{{"items":[{{"channel":"c","id":"{id}","http-stream":{{"content":"x"}}}}]}}"#)
}

#[test]
fn every_refusal_has_its_status_and_its_exact_text() {
    let rig = Rig::new(RigSettings::default());
    let published = |content: &str| post("/publish/", content);
    let post_with = |fields: &str| format!("POST /publish HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    for (request, status, text) in [
        (
            "GET /\r\n\r\n".to_owned(),
            400,
            "Failed to parse request header.",
        ),
        (
            "GET / HTTP/1.0\n\n".to_owned(),
            400,
            "Failed to parse request header.",
        ),
        (
            post_with(&format!("X: {}\r\n", "y".repeat(10_000))),
            400,
            "Request header too large.",
        ),
        (post_with(""), 411, "Request requires Content-Length."),
        (
            post_with("Content-Length: abc\r\n"),
            400,
            "Bad Content-Length.",
        ),
        (
            post_with("Content-Length: -1\r\n"),
            400,
            "Bad Content-Length.",
        ),
        (
            post_with("Content-Length: 1500000\r\n"),
            400,
            "Request body too large.",
        ),
        (
            "GET /x HTTP/1.0\r\nAccept: image/png\r\n\r\n".to_owned(),
            406,
            "Not Acceptable. Supported formats are text/plain and application/json.",
        ),
        ("GET /x HTTP/1.0\r\n\r\n".to_owned(), 404, "Not Found"),
        (
            "GET /publish HTTP/1.0\r\n\r\n".to_owned(),
            405,
            "Method not allowed: GET.",
        ),
        (published("{oops"), 400, "Body is not valid JSON."),
        (published("5"), 400, "Body is not valid JSON."),
        (published("[1]"), 400, "Invalid format."),
        (
            published("{}"),
            400,
            "Invalid format: object does not contain 'items'",
        ),
        (
            published(r#"{"items":{}}"#),
            400,
            "Invalid format: object contains 'items' with wrong type",
        ),
        (
            published(r#"{"items":[{"channel":"c"}]}"#),
            400,
            "Invalid format: no formats specified",
        ),
    ] {
        let answer = Client::new(rig.port()).exchange(&request);
        assert_eq!(answer.status, status, "{request:.80}");
        assert_eq!(answer.text(), format!("{text}\n"), "{request:.80}");
        assert_eq!(
            answer.field("content-type"),
            Some("text/plain"),
            "{request:.80}"
        );
    }
}

#[test]
fn items_are_in_every_ring_once_the_publisher_is_told() {
    let rig = Rig::new(RigSettings {
        shards: 3,
        ..RigSettings::default()
    });
    let answer = Client::new(rig.port()).exchange(&post("/publish/", ITEM));
    assert_eq!(
        (answer.status, answer.text()),
        (200, "Published\n".to_owned())
    );
    for shard in 0..3 {
        let Some(Broadcast::Items(items)) = rig.next_broadcast(shard) else {
            panic!("shard {shard} got no items");
        };
        assert_eq!(&*items[0].channel, "c");
    }
}

#[test]
fn one_bad_item_keeps_all_from_being_published() {
    let rig = Rig::new(RigSettings::default());
    let content = r#"{"items":[{"channel":"c","http-stream":{"content":"x"}},{"channel":"c"}]}"#;
    assert_eq!(
        Client::new(rig.port())
            .exchange(&post("/publish/", content))
            .status,
        400
    );
    assert!(rig.next_broadcast(0).is_none());
}

#[test]
fn an_empty_list_is_fine_and_nothing_is_sent() {
    let rig = Rig::new(RigSettings::default());
    let request = post("/publish/", r#"{"items":[]}"#);
    assert_eq!(Client::new(rig.port()).exchange(&request).status, 200);
    assert!(rig.next_broadcast(0).is_none());
}

#[test]
fn a_connection_carries_many_requests_and_pipelined_ones_are_answered_in_order() {
    let rig = Rig::new(RigSettings::default());
    let mut client = Client::new(rig.port());
    let mut requests = String::new();
    for id in 0..50 {
        requests += &post("/publish/", &item(id));
        requests += "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    }
    client.send(&requests);
    for _ in 0..50 {
        let answer = client.answer();
        assert_eq!((answer.status, answer.field("connection")), (200, None));
        assert_eq!(client.answer().status, 404);
    }
    for id in 0..50 {
        let Some(Broadcast::Items(items)) = rig.next_broadcast(0) else {
            panic!("item {id} is missing");
        };
        assert_eq!(items[0].id.as_deref(), Some(id.to_string().as_str()));
    }
}

#[test]
fn close_is_answered_with_close() {
    let rig = Rig::new(RigSettings::default());
    let mut client = Client::new(rig.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = client.answer();
    assert_eq!(
        (answer.text().as_str(), answer.field("connection")),
        ("Pincushion API\n", Some("close"))
    );
    assert!(client.is_closed());
}

#[test]
fn content_may_come_in_chunks() {
    let rig = Rig::new(RigSettings::default());
    let request = format!(
        "POST /publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &ITEM[..5],
        ITEM.len() - 5,
        &ITEM[5..]
    );
    assert_eq!(Client::new(rig.port()).exchange(&request).status, 200);
    assert!(rig.next_broadcast(0).is_some());
}

#[test]
fn head_gets_the_length_alone() {
    let rig = Rig::new(RigSettings::default());
    let mut client = Client::new(rig.port());
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut all = String::new();
    client.stream.read_to_string(&mut all).unwrap();
    assert!(
        all.contains("Content-Length: 15\r\n") && all.ends_with("\r\n\r\n"),
        "{all}"
    );
}

#[test]
fn a_client_that_waits_gets_the_interim_answer_first() {
    let rig = Rig::new(RigSettings::default());
    let mut client = Client::new(rig.port());
    let head = format!(
        "POST /publish HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: {}\r\n\r\n",
        ITEM.len()
    );
    client.send(&head);
    let mut interim = [0; 25];
    client.stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(ITEM);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_client_that_has_closed_its_sending_side_gets_its_answer() {
    let rig = Rig::new(RigSettings::default());
    let mut client = Client::new(rig.port());
    client.send(&post("/publish/", ITEM));
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
}

#[test]
fn recover_reaches_the_shards_and_answers_in_json_on_request() {
    let rig = Rig::new(RigSettings::default());
    let request = "POST /recover/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\
        Accept: application/json\r\n\r\n";
    let answer = Client::new(rig.port()).exchange(request);
    assert_eq!(answer.text(), "{\"message\":\"Updated\"}\n");
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert!(matches!(rig.next_broadcast(0), Some(Broadcast::Recover)));
}

#[test]
fn publishers_are_held_back_while_the_ring_is_full_and_nothing_is_lost() {
    let rig = Rig::new(RigSettings {
        ring: 1,
        ..RigSettings::default()
    });
    let mut client = Client::new(rig.port());
    assert_eq!(client.exchange(&post("/publish/", &item(0))).status, 200);
    client.send(&post("/publish/", &item(1)));
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let error = client.stream.read(&mut [0]).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::WouldBlock,
        "answered although there was no room"
    );
    assert!(rig.next_broadcast(0).is_some());
    client
        .stream
        .set_read_timeout(Some(http::DEADLINE))
        .unwrap();
    assert_eq!(client.answer().status, 200);
    let Some(Broadcast::Items(items)) = rig.next_broadcast(0) else {
        panic!("the item that was held back is missing");
    };
    assert_eq!(items[0].id.as_deref(), Some("1"));
}

#[test]
fn readiness_follows_the_shards_and_ends_with_the_drain() {
    let rig = Rig::new(RigSettings::default());
    let mut client = Client::new(rig.port());
    let mut readiness = || {
        client
            .exchange("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            .status
    };
    assert_eq!(readiness(), 503);
    rig.ready.store(true, Ordering::Release);
    assert_eq!(readiness(), 200);
    rig.commands.send(ControlCommand::Drain).unwrap();
    rig::until("not ready any more", || readiness() == 503);
    rig::until("the shards are told", || {
        matches!(
            rig.next_broadcast(0),
            Some(Broadcast::Drain { timeout_ms: 10_000 })
        )
    });
    let health = client.exchange("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((health.status, health.text()), (200, "ok\n".to_owned()));
}

#[test]
fn metrics_are_on_both_ports_and_count_items() {
    let rig = Rig::new(RigSettings::default());
    let mut client = Client::new(rig.port());
    client.exchange(&post("/publish/", ITEM));
    let here = client.exchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let there = Client::new(rig.metrics_port())
        .exchange("PUT /any?x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    for answer in [here, there] {
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.field("content-type"),
            Some("text/plain; version=0.0.4")
        );
        assert!(
            answer.text().contains("\nmessage_received 1\n"),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn connections_beyond_the_limit_wait_until_one_ends() {
    let rig = Rig::new(RigSettings {
        connections_max: 2,
        ..RigSettings::default()
    });
    let first = Client::new(rig.port());
    let mut second = Client::new(rig.port());
    assert_eq!(
        second.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n").status,
        200
    );
    let mut third = Client::new(rig.port());
    third.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    third
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert_eq!(
        third.stream.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(first);
    third.stream.set_read_timeout(Some(http::DEADLINE)).unwrap();
    assert_eq!(third.answer().status, 200);
}

#[test]
fn a_silent_connection_is_closed_after_its_time() {
    let rig = Rig::new(RigSettings {
        idle_timeout_s: 1,
        ..RigSettings::default()
    });
    let mut silent = Client::new(rig.port());
    let mut half = Client::new(rig.port());
    half.send("GET / HT");
    assert!(silent.is_closed() && half.is_closed());
}

#[test]
fn a_peer_that_sends_on_after_its_refusal_still_gets_it() {
    let rig = Rig::new(RigSettings::default());
    let mut client = Client::new(rig.port());
    client.send("POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1500000\r\n\r\n");
    client.stream.write_all(&vec![b'y'; 1_000_000]).unwrap();
    assert_eq!(client.answer().text(), "Request body too large.\n");
}

#[test]
fn listeners_hear_of_subscribers_and_of_messages_to_them() {
    let folder = std::env::temp_dir().join(format!("pincushion-{}-hear", std::process::id()));
    let spec = format!("ipc://{}/stats", folder.display());
    let mut config = rig::config(&RigSettings::default());
    config.zmq.stats = Some(spec.clone());
    config.handler.stats_format = config::StatsFormat::Json;
    let demand = Arc::new(StatsDemand::default());
    config.zmq.pull = None;
    config.zmq.sub = Vec::new();
    config.zmq.command = None;
    let (zeromq, thread) = sockets::start(&config, Arc::clone(&demand), Clock::start())
        .unwrap()
        .unwrap();
    let listener = zmq::Context::new().socket(zmq::SUB).unwrap();
    listener.set_rcvtimeo(5_000).unwrap();
    listener.connect(&spec).unwrap();
    listener.set_subscribe(b"").unwrap();
    rig::until("the listener is seen", || demand.connections());

    let rig = Rig::with(config, &RigSettings::default(), Some(zeromq));
    rig.report(SubscriptionChange {
        mode: Mode::Stream,
        channel: Arc::from("c"),
        delta: 2,
    });
    let heard = || String::from_utf8(listener.recv_bytes(0).unwrap()).unwrap();
    let sub = heard();
    assert!(
        sub.starts_with("sub J") && sub.contains(r#""subscribers":2"#),
        "{sub}"
    );
    Client::new(rig.port()).exchange(&post("/publish/", &item(7)));
    let message = heard();
    assert!(
        message.starts_with("message J") && message.contains(r#""count":2"#),
        "{message}"
    );
    assert!(message.contains(r#""item-id":"7""#), "{message}");
    drop(rig);
    thread.join();
    let _ = std::fs::remove_dir_all(folder);
}
