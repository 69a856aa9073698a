//! The ZeroMQ thread: owns the sockets of libzmq, which must not be touched on a shard.
//!
//! So far it sends stats. The socket is an XPUB one: it sees what listeners subscribe to, so that
//! shards need not make events that nobody wants ([`StatsDemand`]).

mod demand;
mod queue;
mod thread;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::Config;
use log::info;

pub use self::queue::{STATS_QUEUED_MAX, StatsSender};
use super::reports::StatsDemand;

/// Packets that libzmq keeps for each slow listener; further ones are lost to it.
const SEND_HIGH_WATER_MARK: i32 = 200_000;

/// Bytes that a listener may send at once: it has nothing to say but what it subscribes to.
const SUBSCRIPTION_LEN_MAX: i64 = 65_536;

/// How long unsent packets may hold up the end of the process, in milliseconds.
const LINGER_MS: i32 = 100;

/// Why the ZeroMQ thread cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZeroMqError {
    /// The folder of an `ipc://` endpoint is missing and cannot be made.
    #[error("[zmq] stats: cannot create the folder {}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The endpoint cannot be bound.
    #[error("[zmq] stats: cannot bind {spec}: {error}")]
    Bind {
        /// The endpoint.
        spec: String,
        /// What libzmq says.
        error: zmq::Error,
    },
    /// No socket, eventfd or thread could be made.
    #[error("cannot start the ZeroMQ thread: {0}")]
    Start(#[from] std::io::Error),
}

/// The running thread. It ends when the [`StatsSender`] is dropped.
#[derive(Debug)]
pub struct ZeroMqThread {
    handle: std::thread::JoinHandle<()>,
}

impl ZeroMqThread {
    /// Waits for its end. The sender must be gone by then.
    pub fn join(self) {
        if self.handle.join().is_err() {
            log::error!("the ZeroMQ thread panicked");
        }
    }
}

/// Binds the stats socket and starts the thread; `None` when `[zmq] stats` is off.
///
/// # Errors
/// [`ZeroMqError`], meant for whoever started the program.
pub fn start(
    config: &Config,
    demand: Arc<StatsDemand>,
) -> Result<Option<(StatsSender, ZeroMqThread)>, ZeroMqError> {
    let zmq = &config.zmq;
    if zmq.pull.is_some() || !zmq.sub.is_empty() || zmq.command.is_some() {
        info!("[zmq] pull, sub and command are not served yet: publish over HTTP");
    }
    let Some(spec) = &zmq.stats else {
        return Ok(None);
    };
    let socket = bind(spec)?;
    let (sender, receiver) = queue::queue(Arc::clone(&demand))?;
    let thread = thread::Thread::new(socket, receiver, demand);
    let handle = std::thread::Builder::new()
        .name("zeromq".to_owned())
        .spawn(move || thread.run())?;
    Ok(Some((sender, ZeroMqThread { handle })))
}

/// An XPUB socket that listeners can connect to.
fn bind(spec: &str) -> Result<zmq::Socket, ZeroMqError> {
    let folder = spec
        .strip_prefix("ipc://")
        .and_then(|path| Path::new(path).parent());
    if let Some(path) = folder {
        std::fs::create_dir_all(path).map_err(|error| ZeroMqError::Folder {
            path: path.to_owned(),
            error,
        })?;
    }
    let bind_error = |error| ZeroMqError::Bind {
        spec: spec.to_owned(),
        error,
    };
    let socket = zmq::Context::new().socket(zmq::XPUB).map_err(bind_error)?;
    socket
        .set_sndhwm(SEND_HIGH_WATER_MARK)
        .and_then(|()| socket.set_maxmsgsize(SUBSCRIPTION_LEN_MAX))
        .and_then(|()| socket.set_linger(LINGER_MS))
        .and_then(|()| socket.bind(spec))
        .map_err(bind_error)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
