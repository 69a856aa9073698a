//! The yardstick for fan-out: what the engine adds to the bare system calls.
//!
//! The same bytes go to the same sockets from the same thread, once by a loop that does nothing
//! else, once through the core: publish, slices, list of actions, rows, send. A second thread reads
//! what comes. Rounds alternate, so that a busy machine hits both alike; the ratio is taken from
//! the medians.

mod drain;

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use proto::grip::{Item, StreamForm};
use shard::core::{Action, Actions, ConnKey, Core, Data};
use shard::io::sys;

use crate::clock::{Lap, Watch};
use crate::error::BenchError;
use crate::harness::{Harness, median};
use crate::pairs;
use crate::rig::{self, Rig, SLICE, stream_response};
use drain::Drain;

/// Sockets, if the limit of open files allows.
const SOCKETS: usize = 5_000;

/// Sockets that get bursts.
const BURST_SOCKETS: usize = 1_000;

/// Items in a burst.
const BURST: usize = 16;

/// Rounds of each way.
const ROUNDS: usize = 21;

/// A socket as a row has it. Backends have none.
#[derive(Debug, Default)]
struct Wire {
    fd: Option<OwnedFd>,
    /// As large as the real one.
    _extra: Option<Box<u64>>,
}

impl shard::core::Socket for Wire {
    fn peer_ip(&self) -> Option<IpAddr> {
        None
    }
}

struct Yard {
    rig: Rig<Wire>,
    clients: Vec<ConnKey>,
    drain: Drain,
    /// Bytes written so far.
    sent: u64,
    joined: Vec<u8>,
}

/// Samples of one way, per delivery.
#[derive(Debug, Default)]
struct Samples {
    wall_ns: Vec<f64>,
    cpu_ns: Vec<f64>,
}

/// Measures the group.
///
/// # Errors
/// The kernel's, or a write that does not fit.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    let single = harness.wants("1 x 100 B");
    let burst = harness.wants("16 x 100 B");
    if harness.calls().is_some() || !(single || burst) {
        return Ok(());
    }
    let mut yard = Yard::new()?;
    if single {
        compare(harness, &mut yard, &["all", "1"], 1)?;
    }
    if burst {
        compare(harness, &mut yard, &["few", "16"], BURST)?;
    }
    yard.drain.stop()
}

/// Both ways in turn. `channel` is its name and what the figures are called.
fn compare(
    harness: &mut Harness,
    yard: &mut Yard,
    channel: &[&str; 2],
    count: usize,
) -> Result<(), BenchError> {
    let [channel, label] = channel;
    let item = rig::stream_item(channel)?;
    let Some(StreamForm::Send(content)) = &item.stream else {
        return Err(BenchError::Unexpected("an item without content"));
    };
    let chunk = Arc::clone(content.chunk());
    let items = vec![Arc::clone(&item); count];
    let to = match *channel {
        "all" => yard.clients.len(),
        _ => yard.clients.len().min(BURST_SOCKETS),
    };
    let (mut bare, mut engine) = (Samples::default(), Samples::default());
    for round in 0..=ROUNDS {
        let bare_lap = yard.bare(&chunk, to, count)?;
        let engine_lap = yard.engine(&items, to, count, chunk.len())?;
        // The first round warms up.
        if round > 0 {
            bare.add(bare_lap, to * count);
            engine.add(engine_lap, to * count);
        }
    }
    report(harness, &format!("{label} x 100 B to {to}"), bare, engine);
    Ok(())
}

fn report(harness: &mut Harness, case: &str, bare: Samples, engine: Samples) {
    for (clock, what, bare, engine) in [
        ("wall", "deliveries/s", bare.wall_ns, engine.wall_ns),
        (
            "CPU",
            "deliveries per CPU second",
            bare.cpu_ns,
            engine.cpu_ns,
        ),
    ] {
        let ratio = median(&bare) / median(&engine);
        let pairs = bare.iter().zip(&engine);
        let ratios: Vec<f64> = pairs.map(|(bare, engine)| bare / engine).collect();
        let name = |way: &str| format!("{case}: {clock} per delivery, {way}");
        harness.record(&name("bare loop"), "ns", bare);
        harness.record(&name("engine"), "ns", engine);
        let name = format!("{case}: {what}, engine to bare loop");
        harness.record_ratio(&name, ratio, ratios);
    }
}

impl Samples {
    fn add(&mut self, lap: Lap, deliveries: usize) {
        self.wall_ns.push(lap.wall_ns as f64 / deliveries as f64);
        self.cpu_ns.push(lap.cpu_ns as f64 / deliveries as f64);
    }
}

impl Yard {
    fn new() -> Result<Self, BenchError> {
        let mut rig = Rig::<Wire>::new();
        let mut clients = Vec::new();
        let mut peers = Vec::new();
        for (n, pair) in pairs::connect(SOCKETS)?.into_iter().enumerate() {
            let client = rig.accept();
            let channels = if n < BURST_SOCKETS { "all, few" } else { "all" };
            rig.exchange(client, &stream_response(channels))?;
            if let Some(row) = rig.core.socket_mut(client) {
                row.socket.fd = Some(pair.server);
            }
            clients.push(client);
            peers.push(pair.peer);
        }
        rig.note_changes();
        Ok(Self {
            rig,
            clients,
            drain: Drain::start(peers)?,
            sent: 0,
            joined: Vec::new(),
        })
    }

    /// The bare loop: each item alone to each of the first `to` sockets.
    fn bare(&mut self, chunk: &[u8], to: usize, count: usize) -> Result<Lap, BenchError> {
        // The rows own the descriptors; looking them up is no part of a bare loop.
        let rows = self.clients.iter().take(to);
        let sockets: Vec<&OwnedFd> = rows
            .filter_map(|key| self.rig.core.socket(*key)?.socket.fd.as_ref())
            .collect();
        let watch = Watch::start();
        for _ in 0..count {
            for socket in &sockets {
                if sys::send(socket, chunk)? != chunk.len() {
                    return Err(BenchError::Unexpected("a socket is full"));
                }
            }
        }
        let lap = watch.lap();
        self.sent += (to * count * chunk.len()) as u64;
        self.drain.wait_for(self.sent)?;
        Ok(lap)
    }

    /// The same through the core.
    fn engine(
        &mut self,
        items: &[Arc<Item>],
        to: usize,
        count: usize,
        chunk_len: usize,
    ) -> Result<Lap, BenchError> {
        let before = self.sent;
        let watch = Watch::start();
        self.rig.core.publish(items);
        while self.rig.core.deliver(SLICE, &mut self.rig.actions) > 0 {
            self.perform()?;
        }
        let lap = watch.lap();
        if self.sent - before != (to * count * chunk_len) as u64 {
            return Err(BenchError::Unexpected("not everyone got everything"));
        }
        self.drain.wait_for(self.sent)?;
        Ok(lap)
    }

    /// What the shard does with a list of sends.
    fn perform(&mut self) -> Result<(), BenchError> {
        let Rig { core, actions, .. } = &mut self.rig;
        let mut rest = actions.list.as_slice();
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            let Action::Send { conn, data } = first else {
                continue;
            };
            let is_next =
                |next: &&Action| matches!(next, Action::Send { conn: to, .. } if to == conn);
            let (more, behind) = rest.split_at(rest.iter().take_while(is_next).count());
            rest = behind;
            let mut bytes = shared(data, actions);
            if !more.is_empty() {
                self.joined.clear();
                self.joined.extend_from_slice(bytes);
                for next in more {
                    if let Action::Send { data, .. } = next {
                        self.joined.extend_from_slice(shared(data, actions));
                    }
                }
                bytes = &self.joined;
            }
            self.sent += send(core, *conn, bytes)?;
        }
        actions.clear();
        Ok(())
    }
}

fn send(core: &mut Core<Wire>, conn: ConnKey, bytes: &[u8]) -> Result<u64, BenchError> {
    let row = core.socket_mut(conn);
    let Some(fd) = row.and_then(|row| row.socket.fd.as_ref()) else {
        return Ok(0);
    };
    match sys::send(fd, bytes)? {
        sent if sent == bytes.len() => Ok(sent as u64),
        _ => Err(BenchError::Unexpected("a socket is full")),
    }
}

/// The bytes of a delivery to a stream.
fn shared<'a>(data: &Data, actions: &'a Actions) -> &'a [u8] {
    let Data::Shared(index, range) = data else {
        return &[];
    };
    let bytes = actions.shared.get(*index).map(|shared| shared.as_slice());
    bytes
        .and_then(|bytes| bytes.get(range.clone()))
        .unwrap_or_default()
}
