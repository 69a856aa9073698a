//! Tests of the clients against our own small servers, over real sockets.

use std::net::SocketAddrV4;

use super::ask::Ask;
use super::control::Control;
use super::herd::{Channels, Herd, HerdPlan, OpenPlan};
use super::requester::{Next, Requester};
use crate::args::Filter;
use crate::bare::fanout::Trigger;
use crate::clock::{self, Deadline};
use crate::machine::cores;
use crate::message::{self, Stamp};
use crate::publish::{self, Format};
use crate::server::local;
use crate::{backend, bare, net};

/// Everything here is over within this time, in milliseconds, or the test fails.
const LIMIT_MS: u64 = 20_000;

fn herd_of(streams: usize, streams_per_thread: usize, own_tables: bool) -> Herd {
    Herd::start(&HerdPlan {
        streams,
        streams_per_thread,
        cores: cores::allowed(),
        own_tables,
        number: 7,
    })
    .unwrap()
}

fn plan_of(target: SocketAddrV4, count: usize, channels: Channels) -> OpenPlan {
    OpenPlan {
        target,
        ask: Ask::Stream,
        first_index: 0,
        count,
        window: 16,
        channels,
        request_len: 150,
        first_seq: 0,
        deadline: Deadline::after_ms(LIMIT_MS),
    }
}

/// Starts a yardstick for fan-out; returns the addresses of streams and control.
fn bare_fanout() -> (SocketAddrV4, SocketAddrV4) {
    let (streams, control) = (net::listen_on(0).unwrap(), net::listen_on(0).unwrap());
    let ports = [&streams, &control].map(|listener| local(net::port_of(listener).unwrap()));
    std::thread::spawn(move || bare::fanout::serve(&streams, &control));
    (ports[0], ports[1])
}

fn bare_publish() -> SocketAddrV4 {
    let listener = net::listen_on(0).unwrap();
    let target = local(net::port_of(&listener).unwrap());
    std::thread::spawn(move || bare::publish::serve(&listener));
    target
}

fn fake_backend() -> SocketAddrV4 {
    let listener = net::listen_on(0).unwrap();
    let target = local(net::port_of(&listener).unwrap());
    std::thread::spawn(move || backend::serve(&listener));
    target
}

fn chunk_of(seq: u32) -> Vec<u8> {
    let (mut content, mut chunk) = (Vec::new(), Vec::new());
    let sent_ns = clock::now_ns();
    message::write(&mut content, Stamp { seq, sent_ns }, 100);
    publish::chunk(&mut chunk, &content);
    chunk
}

#[test]
fn every_stream_of_several_threads_gets_every_message() {
    let (streams, control) = bare_fanout();
    let mut herd = herd_of(50, 20, true);
    let opened = herd
        .open(&plan_of(streams, 50, Channels::Shared), |_| {})
        .unwrap();
    assert_eq!(
        (opened.opened, opened.failed),
        (50, 0),
        "{:?}",
        opened.first_failure
    );
    let mut trigger = Trigger::connect(control).unwrap();
    herd.expect(150);
    trigger
        .pull(&[chunk_of(0), chunk_of(1), chunk_of(2)])
        .unwrap();
    assert!(herd.wait_received(Deadline::after_ms(LIMIT_MS)));
    let findings = herd.settle(3).unwrap();
    assert!(findings.tally.is_clean(), "{:?}", findings.tally);
    assert_eq!(findings.latency.len(), 150);
}

#[test]
fn lost_and_doubled_messages_are_found_on_every_stream() {
    let (streams, control) = bare_fanout();
    let mut herd = herd_of(5, 100, false);
    herd.open(&plan_of(streams, 5, Channels::Shared), |_| {})
        .unwrap();
    let mut trigger = Trigger::connect(control).unwrap();
    herd.expect(15);
    trigger
        .pull(&[chunk_of(0), chunk_of(0), chunk_of(2)])
        .unwrap();
    assert!(herd.wait_received(Deadline::after_ms(LIMIT_MS)));
    let tally = herd.settle(4).unwrap().tally;
    assert_eq!((tally.received, tally.doubled, tally.lost), (15, 5, 10));
}

#[test]
fn a_herd_that_closed_opens_again() {
    let (streams, _control) = bare_fanout();
    let mut herd = herd_of(10, 100, false);
    for _ in 0..3 {
        let opened = herd
            .open(&plan_of(streams, 10, Channels::Shared), |_| {})
            .unwrap();
        assert_eq!(opened.opened, 10);
        herd.close().unwrap();
    }
}

#[test]
fn a_refused_connection_is_counted_with_its_reason() {
    let [port] = net::free_ports().unwrap();
    let mut herd = herd_of(3, 100, false);
    let opened = herd
        .open(&plan_of(local(port), 3, Channels::Shared), |_| {})
        .unwrap();
    assert_eq!((opened.opened, opened.failed), (0, 3));
    assert_eq!(opened.first_failure.as_deref(), Some("connection refused"));
}

#[test]
fn a_response_that_ends_is_no_held_stream() {
    // The fake backend itself ends its answers: only a proxy holds them.
    let mut herd = herd_of(2, 100, false);
    let opened = herd
        .open(&plan_of(fake_backend(), 2, Channels::Own), |_| {})
        .unwrap();
    assert_eq!((opened.opened, opened.failed), (0, 2));
    assert_eq!(opened.first_failure.as_deref(), Some("the response ended"));
}

#[test]
fn each_channel_of_its_own_gets_its_own_messages() {
    let target = bare_publish();
    let mut herd = herd_of(8, 100, false);
    herd.open(&plan_of(target, 8, Channels::Own), |_| {})
        .unwrap();
    herd.expect(8);
    let mut control = Control::connect(target).unwrap();
    let mut body = Vec::new();
    let names = (0..8).map(|index| Channels::Own.name(index));
    publish::body_of_channels(
        &mut body,
        names,
        Format::Stream,
        Stamp { seq: 0, sent_ns: 1 },
        64,
    );
    control.publish(&body).unwrap();
    assert!(herd.wait_received(Deadline::after_ms(LIMIT_MS)));
    assert!(herd.settle(1).unwrap().tally.is_clean());
}

#[test]
fn clients_in_a_closed_loop_get_whole_answers() {
    for size in [0u64, 100, 5_000, 1_000_000] {
        let mut requester = Requester::connect(fake_backend(), 3).unwrap();
        let request = crate::http::get_request(&format!("/plain/{size}"), 150);
        let (mut left, mut lengths) = ([4; 3], Vec::new());
        let mut next = |key: usize, out: &mut Vec<u8>| {
            if left[key] == 0 {
                return Next::Stop;
            }
            left[key] -= 1;
            out.extend_from_slice(&request);
            Next::Send
        };
        let deadline = Deadline::after_ms(LIMIT_MS);
        let mut answered = |_: usize, answer: &super::requester::Answer<'_>| {
            lengths.push(answer.content_len);
        };
        let outcome = requester.run(deadline, &mut next, &mut answered).unwrap();
        assert_eq!(
            (outcome.answered, outcome.failed),
            (12, 0),
            "{:?}",
            outcome.first_failure
        );
        assert_eq!(lengths, vec![size; 12]);
    }
}

#[test]
fn the_backend_counts_what_it_answered() {
    let mut control = Control::connect(fake_backend()).unwrap();
    for path in [
        "/plain/1",
        "/stream?channel=a",
        "/poll?channel=b",
        "/poll?channel=c",
    ] {
        assert_eq!(control.get(path).unwrap().0, 200, "{path}");
    }
    assert_eq!(control.get("/other").unwrap().0, 404);
    let (_, content) = control.get("/stats").unwrap();
    assert_eq!(
        content,
        b"{\"streams\":1,\"polls\":2,\"plain\":1,\"held\":0}\n"
    );
}

#[test]
fn a_message_with_a_name_in_it_counts_for_the_client_of_that_name_alone() {
    let (streams, control) = bare_fanout();
    let mut herd = herd_of(5, 3, false);
    let plan = OpenPlan {
        ask: Ask::Filtered {
            filter: Filter::VarSubst,
            size: 100,
        },
        ..plan_of(streams, 5, Channels::Shared)
    };
    herd.open(&plan, |_| {}).unwrap();
    let (mut content, mut chunk) = (Vec::new(), Vec::new());
    let stamp = Stamp { seq: 0, sent_ns: 1 };
    message::write_with(&mut content, stamp, 100, &message::user(4));
    publish::chunk(&mut chunk, &content);
    let mut tally = crate::ledger::Tally::default();
    Trigger::connect(control).unwrap().pull(&[chunk]).unwrap();
    assert!(clock::wait_until(Deadline::after_ms(LIMIT_MS), || {
        tally.add(&herd.settle(0).unwrap().tally);
        tally.received + tally.foreign == 5
    }));
    assert_eq!((tally.received, tally.foreign), (1, 4));
}

#[test]
fn polls_opened_in_slices_are_each_answered_once_and_watched_by_the_backend() {
    let target = fake_backend();
    let mut control = Control::connect(target).unwrap();
    control.get("/watch?answer=1&delay_ms=1").unwrap();
    let mut herd = herd_of(30, 8, false);
    herd.expect(30);
    for first_index in [0, 10, 20] {
        let plan = OpenPlan {
            ask: Ask::Page { distinct: true },
            first_index,
            ..plan_of(target, 10, Channels::Shared)
        };
        assert_eq!(herd.open(&plan, |_| {}).unwrap().opened, 10);
    }
    assert!(herd.wait_received(Deadline::after_ms(LIMIT_MS)));
    let findings = herd.settle(1).unwrap();
    assert!(findings.tally.is_clean(), "{:?}", findings.tally);
    let (_, seen) = control.get("/watched").unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&seen).unwrap();
    assert_eq!(
        (&seen["requests"], &seen["in_flight"]),
        (&30.into(), &0.into())
    );
}

#[test]
fn a_poll_that_times_out_has_got_no_message() {
    // The fake backend's own answer is what a proxy sends when the time of a hold is over.
    let mut herd = herd_of(2, 8, false);
    let plan = OpenPlan {
        ask: Ask::Page { distinct: false },
        ..plan_of(fake_backend(), 2, Channels::Shared)
    };
    assert_eq!(herd.open(&plan, |_| {}).unwrap().opened, 2);
    let mut foreign = 0;
    assert!(clock::wait_until(Deadline::after_ms(LIMIT_MS), || {
        foreign += herd.settle(0).unwrap().tally.foreign;
        foreign == 2
    }));
}
