//! The way of items from a publisher's PUSH socket through the ZeroMQ thread and the control thread
//! into the ring of a shard, and the way of subscriptions to a publisher's XPUB socket. Wall time: many
//! threads take part, the publisher's among them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use config::Config;
use shard::core::last_ids::LastIds;
use shard::io::broadcast::Broadcast;
use shard::io::bus::{Subscriber, bus};
use shard::io::clock::Clock;
use shard::io::control::{self, ControlContext};
use shard::io::park::{Cores, executor_builder};
use shard::io::reports::{self, ReportSender};
use shard::io::routes_watch::{RoutesWatch, load_initial};
use shard::io::zeromq::{self, Change, ZeroMqThread};

use crate::clock::{Watch, wall_ns};
use crate::error::BenchError;
use crate::harness::Harness;
use crate::memory;

/// Rounds of each measurement.
const ROUNDS: usize = 9;

/// Items in a round.
const ITEMS: usize = 200_000;

/// Channels in a round of subscriptions.
const CHANNELS: usize = 100_000;

/// Channels of which the memory is measured.
const CHANNELS_KEPT: usize = 1_000_000;

/// Changes in one message to the ZeroMQ thread, as the control thread has it.
const CHANGES_PER_BATCH: usize = 1_024;

/// Messages in the ring.
const RING: usize = 512;

/// How long anything may take.
const PATIENCE_NS: u64 = 30_000_000_000;

const JSON: &str =
    r#"J{"channel":"room-1","formats":{"http-stream":{"content":"hello, hello\n"}}}"#;
const TNET: &str =
    "79:7:channel,6:room-1,7:formats,46:11:http-stream,27:7:content,13:hello, hello\n,}}}";

/// Measures the group.
///
/// # Errors
/// libzmq's or the kernel's.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    for (case, payload) in [("pull: JSON", JSON), ("pull: tnetstring", TNET)] {
        if harness.wants(case) && harness.calls().is_none() {
            let rates = pull(payload)?;
            harness.record(case, "items/s", rates);
        }
    }
    let case = "sub: channels begun and ended";
    if harness.wants(case) && harness.calls().is_none() {
        let rates = subscribe()?;
        harness.record(case, "changes/s", rates);
    }
    for (case, name) in [
        (
            "sub: a channel in libzmq, numbered name included",
            numbered as fn(usize) -> Arc<str>,
        ),
        (
            "sub: a channel in libzmq, random name of 36 bytes included",
            random,
        ),
    ] {
        if harness.wants(case) && harness.calls().is_none() {
            harness.record(case, "bytes", vec![keep(name)?]);
        }
    }
    Ok(())
}

/// A folder for endpoints.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("pincushion-bench-{}-{}", std::process::id(), wall_ns());
        Self(std::env::temp_dir().join(name))
    }

    fn spec(&self, name: &str) -> String {
        format!("ipc://{}/{name}", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Settings with one socket on.
fn settings(folder: &Folder, pull: bool) -> Config {
    let mut config = Config::default();
    config.zmq.pull = pull.then(|| folder.spec("pull"));
    config.zmq.sub = (!pull).then(|| folder.spec("sub")).into_iter().collect();
    config.zmq.command = None;
    config.zmq.stats = None;
    config
}

fn peer(kind: zmq::SocketType, spec: &str) -> Result<zmq::Socket, BenchError> {
    let socket = zmq::Context::new().socket(kind).map_err(failed)?;
    socket.set_linger(0).map_err(failed)?;
    socket.set_rcvtimeo(5_000).map_err(failed)?;
    socket.set_rcvhwm(0).map_err(failed)?;
    socket.connect(spec).map_err(failed)?;
    Ok(socket)
}

fn failed(error: zmq::Error) -> BenchError {
    BenchError::Io(std::io::Error::other(error))
}

/// A control thread with one shard, which is this thread.
struct Engine {
    shard: Subscriber<Broadcast>,
    reports: Option<ReportSender>,
    control: Option<JoinHandle<()>>,
    thread: Option<ZeroMqThread>,
}

impl Engine {
    fn new(config: Config) -> Result<Self, BenchError> {
        let started = zeromq::start(&config, Arc::default(), Clock::start());
        let (zeromq, thread) = started
            .map_err(std::io::Error::other)?
            .ok_or(BenchError::Unexpected("no sockets"))?;
        let (publisher, shards) = bus(1, RING)?;
        let (sender, received) = reports::channel()?;
        let (table, _) = load_initial(&config).map_err(std::io::Error::other)?;
        let config = Arc::new(config);
        let context = ControlContext {
            routes: RoutesWatch::start(Arc::clone(&config), table)?,
            config,
            publisher,
            reports: received,
            last_ids: Arc::new(LastIds::default()),
            counters: vec![Arc::default()],
            commands: control::commands().1,
            listener: None::<TcpListener>,
            metrics_listener: None,
            zeromq: Some(zeromq),
            clock: Clock::start(),
            ready: Arc::default(),
        };
        let control = std::thread::spawn(move || {
            let executor = executor_builder(Cores::Any, "control").make();
            if let Ok(executor) = executor {
                let _ = executor.run(control::run(context));
            }
        });
        let shard = shards.into_iter().next();
        Ok(Self {
            shard: shard.ok_or(BenchError::Unexpected("no shard"))?,
            reports: Some(sender),
            control: Some(control),
            thread: Some(thread),
        })
    }

    /// Takes so many items.
    fn take(&self, mut count: usize) -> Result<(), BenchError> {
        let began_ns = wall_ns();
        while count > 0 {
            match self.shard.try_recv() {
                Some(Broadcast::Items(items)) => count = count.saturating_sub(items.len()),
                Some(_) => {}
                None if wall_ns() - began_ns > PATIENCE_NS => {
                    return Err(BenchError::TimedOut("items"));
                }
                None => std::thread::yield_now(),
            }
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.reports = None;
        if let Some(control) = self.control.take() {
            let _ = control.join();
        }
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}

/// Items per second from a publisher into the ring.
fn pull(payload: &'static str) -> Result<Vec<f64>, BenchError> {
    let folder = Folder::new();
    let engine = Engine::new(settings(&folder, true))?;
    let push = peer(zmq::PUSH, &folder.spec("pull"))?;
    push.send(payload, 0).map_err(failed)?;
    engine.take(1)?;
    let (go, begin) = crossbeam_channel::bounded::<()>(1);
    let publisher = std::thread::spawn(move || {
        while begin.recv().is_ok() {
            for _ in 0..ITEMS {
                let _ = push.send(payload, 0);
            }
        }
    });
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let watch = Watch::start();
        let _ = go.send(());
        engine.take(ITEMS)?;
        rates.push(per_second(ITEMS, watch));
    }
    drop(go);
    let _ = publisher.join();
    Ok(rates)
}

fn per_second(count: usize, watch: Watch) -> f64 {
    count as f64 * 1e9 / watch.lap().wall_ns as f64
}

/// Tells of channels, in batches.
fn tell(link: &zeromq::Link, channels: &[Arc<str>], is_wanted: bool) -> Result<(), BenchError> {
    let began_ns = wall_ns();
    for channels in channels.chunks(CHANGES_PER_BATCH) {
        let change = |channel: &Arc<str>| Change {
            channel: Arc::clone(channel),
            is_wanted,
        };
        let mut changes = channels.iter().map(change).collect();
        while let Err(back) = link.tell(changes) {
            changes = back;
            if wall_ns() - began_ns > PATIENCE_NS {
                return Err(BenchError::TimedOut("room for subscriptions"));
            }
            std::thread::yield_now();
        }
    }
    Ok(())
}

/// Names that have much in common.
fn numbered(number: usize) -> Arc<str> {
    format!("room-{number:07}").into()
}

/// Names that have nothing in common, like UUIDs.
fn random(number: usize) -> Arc<str> {
    let mix = |salt: u64| {
        // SplitMix64's last steps: neighbours land far apart.
        let mut value = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value ^ (value >> 27)
    };
    format!("{:016x}-{:016x}-ch", mix(0), mix(0x5555)).into()
}

/// Changes per second until a publisher has heard of them.
fn subscribe() -> Result<Vec<f64>, BenchError> {
    let folder = Folder::new();
    let config = settings(&folder, false);
    let started = zeromq::start(&config, Arc::default(), Clock::start());
    let started = started.map_err(std::io::Error::other)?;
    let (zeromq, thread) = started.ok_or(BenchError::Unexpected("no sockets"))?;
    let publisher = peer(zmq::XPUB, &folder.spec("sub"))?;
    let channels: Vec<_> = (0..CHANNELS).map(numbered).collect();
    let mut rates = Vec::new();
    let mut message = zmq::Message::new();
    for round in 0..=ROUNDS {
        let watch = Watch::start();
        for is_wanted in [true, false] {
            tell(&zeromq.link, &channels, is_wanted)?;
            for _ in 0..CHANNELS {
                publisher.recv(&mut message, 0).map_err(failed)?;
            }
        }
        if round > 0 {
            rates.push(per_second(2 * CHANNELS, watch));
        }
    }
    drop(zeromq);
    thread.join();
    Ok(rates)
}

/// What libzmq keeps for a channel that publishers are told of, without a publisher.
fn keep(name: fn(usize) -> Arc<str>) -> Result<f64, BenchError> {
    let folder = Folder::new();
    let config = settings(&folder, false);
    let started = zeromq::start(&config, Arc::default(), Clock::start());
    let started = started.map_err(std::io::Error::other)?;
    let (zeromq, thread) = started.ok_or(BenchError::Unexpected("no sockets"))?;
    let channels: Vec<_> = (0..CHANNELS_KEPT).map(name).collect();
    let before = memory::resident_len()?;
    tell(&zeromq.link, &channels, true)?;
    let began_ns = wall_ns();
    while zeromq.link.counters().subscriptions.get() < CHANNELS_KEPT as u64 {
        if wall_ns() - began_ns > PATIENCE_NS {
            return Err(BenchError::TimedOut("subscriptions"));
        }
        std::thread::yield_now();
    }
    let kept = memory::resident_len()?.saturating_sub(before);
    drop(zeromq);
    thread.join();
    Ok(kept as f64 / CHANNELS_KEPT as f64)
}
