//! The whole core without sockets: what an operation costs beside the kernel.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use proto::grip::Item;
use shard::core::ConnKey;

use crate::error::BenchError;
use crate::harness::{Harness, Step};
use crate::memory;
use crate::rig::{self, Rig, SLICE, hold_response, stream_response};

/// Clients that come and go in one call.
const VISITORS: usize = 1_000;

/// Streams that one item goes to.
const STREAMS: usize = 10_000;

/// Channels with one stream each.
const CHANNELS: usize = 5_000;

/// Items joined in a burst.
const BURST: usize = 16;

/// Streams held while memory is counted.
const HELD: usize = 100_000;

const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nServer: backend/1.0\r\n\
    Date: Tue, 24 Nov 2026 14:00:00 GMT\r\nContent-Type: text/plain\r\n\
    Content-Length: 5\r\n\r\nhello";

/// Stands in for a socket.
#[derive(Debug, Default)]
struct NoSocket {
    /// As large as the real one.
    _words: [u64; 2],
}

impl shard::core::Socket for NoSocket {
    fn peer_ip(&self) -> Option<IpAddr> {
        None
    }
}

struct State {
    rig: Rig<NoSocket>,
    /// What the backend answers to each client.
    responses: Vec<Vec<u8>>,
    clients: Vec<ConnKey>,
    items: Vec<Arc<Item>>,
}

/// Measures the group.
///
/// # Errors
/// When a core does not do what is to be measured.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    // First, while the heap has few holes.
    bytes_per_stream(harness, "one channel", |_| "room".to_owned())?;
    bytes_per_stream(harness, "own channels", |n| format!("room-{n}"))?;
    proxy(harness)?;
    let shared = vec![stream_response("room")];
    come_and_go(harness, "one channel", shared)?;
    let own = (0..VISITORS).map(|n| stream_response(&format!("room-{n}")));
    come_and_go(harness, "own channels", own.collect())?;
    long_polls(harness)?;
    deliver_to_one_channel(harness)?;
    deliver_to_own_channels(harness)
}

impl State {
    fn new(responses: Vec<Vec<u8>>, items: Vec<Arc<Item>>) -> Self {
        Self {
            rig: Rig::new(),
            responses,
            clients: Vec::new(),
            items,
        }
    }

    /// `count` clients come and are held; the responses are used in turn.
    fn hold(&mut self, count: usize) -> Result<(), BenchError> {
        for response in self.responses.iter().cycle().take(count) {
            let client = self.rig.accept();
            self.rig.exchange(client, response)?;
            self.clients.push(client);
        }
        self.rig.note_changes();
        if self.rig.held() == self.clients.len() as u64 {
            Ok(())
        } else {
            Err(BenchError::Unexpected("not every client is held"))
        }
    }

    fn leave(&mut self) -> Result<(), BenchError> {
        for client in self.clients.drain(..) {
            self.rig.leave(client);
        }
        self.rig.note_changes();
        if self.rig.core.clients() == 0 {
            Ok(())
        } else {
            Err(BenchError::Unexpected("clients are left"))
        }
    }

    /// Releases items and delivers them; answers how many writes that were.
    fn publish(&mut self) -> Result<usize, BenchError> {
        self.rig.core.publish(&self.items);
        let mut sends = 0;
        while self.rig.core.deliver(SLICE, &mut self.rig.actions) > 0 {
            sends += black_box(&self.rig.actions).list.len();
            self.rig.actions.clear();
        }
        Ok(sends)
    }
}

fn bytes_per_stream(
    harness: &mut Harness,
    case: &str,
    channel: fn(usize) -> String,
) -> Result<(), BenchError> {
    let name = format!("{case}: memory of a held stream");
    if !harness.wants(&name) || harness.calls().is_some() {
        return Ok(());
    }
    let mut rig = Rig::<NoSocket>::new();
    let before = memory::resident_len()?;
    for n in 0..HELD {
        let client = rig.accept();
        rig.exchange(client, &stream_response(&channel(n)))?;
        if n % VISITORS == 0 {
            rig.note_changes();
        }
    }
    rig.note_changes();
    let bytes = memory::resident_len()?.saturating_sub(before);
    harness.record(&name, "B", vec![bytes as f64 / HELD as f64]);
    Ok(())
}

fn proxy(harness: &mut Harness) -> Result<(), BenchError> {
    const NAME: &str = "proxy a small request";
    let mut rig = Rig::<NoSocket>::new();
    let client = rig.accept();
    let mut result = Ok(());
    let mut calls = 0;
    harness.each(NAME, || {
        calls += 1;
        if result.is_ok() {
            result = rig.exchange(client, PLAIN);
        }
    });
    result?;
    if rig.counters.requests.responses_2xx.get() == calls {
        Ok(())
    } else {
        Err(BenchError::Unexpected("a request was not answered"))
    }
}

fn come_and_go(
    harness: &mut Harness,
    case: &str,
    responses: Vec<Vec<u8>>,
) -> Result<(), BenchError> {
    let mut state = State::new(responses, Vec::new());
    harness.cycle(
        &mut state,
        &[
            Step::new(format!("{case}: open a stream"), VISITORS, |state| {
                state.hold(VISITORS)
            }),
            Step::new(
                format!("{case}: a stream's client leaves"),
                VISITORS,
                State::leave,
            ),
        ],
    )
}

fn long_polls(harness: &mut Harness) -> Result<(), BenchError> {
    let content = r#""http-response":{"body":"hello\n"}"#;
    let items = vec![rig::item("room", content)?];
    let mut state = State::new(vec![hold_response("response", "room")], items);
    harness.cycle(
        &mut state,
        &[
            Step::new("long-poll: hold", VISITORS, |state| state.hold(VISITORS)),
            Step::new("long-poll: answer by an item", VISITORS, |state| {
                state.publish()?;
                match state.rig.held() {
                    0 => Ok(()),
                    _ => Err(BenchError::Unexpected("a long-poll was not answered")),
                }
            }),
            Step::silent(State::leave),
        ],
    )
}

fn deliver_to_one_channel(harness: &mut Harness) -> Result<(), BenchError> {
    if !harness.may_want("one channel: deliver") {
        return Ok(());
    }
    let items = vec![rig::stream_item("room")?; BURST];
    let mut burst = State::new(vec![stream_response("room")], items);
    let mut single = State::new(
        vec![stream_response("room")],
        vec![rig::stream_item("room")?],
    );
    burst.hold(STREAMS)?;
    single.hold(STREAMS)?;
    harness.cycle(
        &mut single,
        &[Step::new(
            "one channel: deliver an item, per stream",
            STREAMS,
            deliver_to_all,
        )],
    )?;
    harness.cycle(
        &mut burst,
        &[Step::new(
            "one channel: deliver 16 joined items, per stream",
            STREAMS,
            deliver_to_all,
        )],
    )
}

fn deliver_to_all(state: &mut State) -> Result<(), BenchError> {
    if state.publish()? == state.clients.len() {
        Ok(())
    } else {
        Err(BenchError::Unexpected("not one write per stream"))
    }
}

fn deliver_to_own_channels(harness: &mut Harness) -> Result<(), BenchError> {
    if !harness.may_want("own channels: deliver") {
        return Ok(());
    }
    let names = (0..CHANNELS).map(|n| format!("room-{n}"));
    let responses = names.clone().map(|name| stream_response(&name)).collect();
    let items = names
        .map(|name| rig::stream_item(&name))
        .collect::<Result<_, _>>()?;
    let mut state = State::new(responses, items);
    state.hold(CHANNELS)?;
    harness.cycle(
        &mut state,
        &[Step::new(
            "own channels: deliver an item each",
            CHANNELS,
            deliver_to_all,
        )],
    )
}
