//! The ZeroMQ thread: owns the sockets of libzmq, which must not be touched on a shard.
//!
//! | Module | What it does |
//! | --- | --- |
//! | `sockets` | makes the sockets: limits, endpoints, permissions |
//! | `thread` | the loop |
//! | `input` | PULL and SUB: messages in, batches of items out |
//! | `commander`, `command` | the command socket; requests and answers as values |
//! | `stats`, `demand` | the stats socket; it is an XPUB one, so that shards need not make events that nobody wants ([`StatsDemand`]) |
//! | `link`, `queue` | queues to and from the control thread |
//! | `frames`, `complaints`, `counters` | messages of several frames, log lines, metrics |
//!
//! Every queue is bounded. When the shards fall behind, items are not read: libzmq then holds those
//! who push back, and those who publish drop at their own limit. Garbage costs this thread its
//! parsing, and no other thread anything.

mod command;
mod commander;
mod complaints;
mod counters;
mod demand;
mod frames;
mod input;
mod link;
mod queue;
mod sockets;
mod stats;
mod thread;

use std::path::PathBuf;
use std::sync::Arc;

use config::Config;

pub use self::command::{Answer, Asked, Caller, Command, Failure};
use self::commander::{Commander, CommanderParts};
pub use self::counters::{InputCounters, ZeroMqCounters};
use self::input::{Input, InputParts, Kind};
pub use self::link::{Change, Link};
pub use self::queue::{STATS_QUEUED_MAX, StatsSender};
use self::sockets::Sockets;
use self::stats::Stats;
use self::thread::Thread;
use super::clock::Clock;
use super::reports::StatsDemand;

/// Why the ZeroMQ thread cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZeroMqError {
    /// A folder or file of an `ipc://` endpoint cannot be made or changed.
    #[error("[zmq] {key}: cannot {doing} {}: {error}", path.display())]
    File {
        /// The key in the settings.
        key: &'static str,
        /// What was tried.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The endpoint cannot be bound or connected to.
    #[error("[zmq] {key}: cannot {doing} {spec}: {error}")]
    Open {
        /// The key in the settings.
        key: &'static str,
        /// What was tried.
        doing: &'static str,
        /// The endpoint.
        spec: String,
        /// What libzmq says.
        error: zmq::Error,
    },
    /// No socket, eventfd or thread could be made.
    #[error("cannot start the ZeroMQ thread: {0}")]
    Start(#[from] std::io::Error),
}

/// The running thread. It ends when the [`Link`] is dropped.
#[derive(Debug)]
pub struct ZeroMqThread {
    handle: std::thread::JoinHandle<()>,
}

impl ZeroMqThread {
    /// Waits for its end. The link must be gone by then.
    pub fn join(self) {
        if self.handle.join().is_err() {
            log::error!("the ZeroMQ thread panicked");
        }
    }
}

/// What the control thread gets.
#[derive(Debug)]
pub struct ZeroMq {
    /// The way to stats listeners, when `[zmq] stats` is on.
    pub stats: Option<StatsSender>,
    /// Items, commands and subscriptions.
    pub link: Link,
}

/// Opens the sockets and starts the thread; `None` when all of `[zmq]` is off.
///
/// # Errors
/// [`ZeroMqError`], meant for whoever started the program.
pub fn start(
    config: &Config,
    demand: Arc<StatsDemand>,
    clock: Clock,
) -> Result<Option<(ZeroMq, ZeroMqThread)>, ZeroMqError> {
    let sockets = Sockets::open(config)?;
    let inputs = [(Kind::Pull, sockets.pull), (Kind::Sub, sockets.sub)];
    let count = inputs.iter().filter(|(_, socket)| socket.is_some()).count();
    if count == 0 && sockets.stats.is_none() && sockets.command.is_none() {
        return Ok(None);
    }
    let subscribes = inputs
        .iter()
        .any(|(kind, socket)| *kind == Kind::Sub && socket.is_some());
    let (link, end) = link::link(count, subscribes)?;
    let mut senders = end.inputs.into_iter();
    let [pull, sub] = inputs.map(|(kind, socket)| {
        let parts = InputParts {
            socket: socket?,
            queue: senders.next()?,
            wake: Arc::clone(&end.items_wake),
            counters: Arc::clone(&end.counters),
            clock,
        };
        Some(Input::new(kind, parts))
    });
    let (sender, stats) = match sockets.stats {
        Some(socket) => {
            let (sender, packets) = queue::queue(Arc::clone(&demand), Arc::clone(&end.wake));
            (Some(sender), Some(Stats::new(socket, packets, demand)))
        }
        None => (None, None),
    };
    let commander = sockets.command.map(|socket| {
        Commander::new(CommanderParts {
            socket,
            queue: end.commands,
            wake: end.commands_wake,
            answers: end.answers,
            counters: Arc::clone(&end.counters),
            clock,
            addresses: addresses(config),
        })
    });
    let thread = Thread {
        stats,
        pull,
        sub,
        commander,
        changes: end.changes,
        wake: end.wake,
        is_paused: end.is_paused,
        counters: end.counters,
    };
    let handle = std::thread::Builder::new()
        .name("zeromq".to_owned())
        .spawn(move || thread.run())?;
    let stats = sender;
    Ok(Some((ZeroMq { stats, link }, ZeroMqThread { handle })))
}

/// What `get-zmq-uris` answers: addresses as the settings have them; of several the first.
fn addresses(config: &Config) -> Vec<(&'static str, String)> {
    let zmq = &config.zmq;
    let sub = zmq.sub.first().filter(|_| !zmq.sub_connect);
    [
        ("command", zmq.command.as_ref()),
        ("publish-pull", zmq.pull.as_ref()),
        ("publish-sub", sub),
    ]
    .into_iter()
    .filter_map(|(name, address)| Some((name, address?.clone())))
    .collect()
}

#[cfg(test)]
mod tests;
