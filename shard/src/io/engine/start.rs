//! A shard starts: its own descriptor table, its listeners, its ring; and ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Barrier};

use config::{Config, RouteTable};
use crossbeam_channel::Sender;

use super::{Accepting, Engine, OpenListener, Reporter};
use crate::core::last_ids::LastIds;
use crate::core::limiter::DeliveryRate;
use crate::core::settings::Listener;
use crate::core::{Actions, Core, Now, Settings};
use crate::counters::ShardCounters;
use crate::io::broadcast::Broadcast;
use crate::io::bus;
use crate::io::clock::Clock;
use crate::io::park::Parker;
use crate::io::readiness::Readiness;
use crate::io::reports::{ReportSender, StatsDemand};
use crate::io::sys;
use crate::io::tls::{TlsAcceptor, TlsConnector};

/// Requests the shard's ring takes between two turns; more cost a system call.
const RING_DEPTH: u32 = 1024;

/// One in so many descriptors is kept for backends.
const RESERVED_SHARE: usize = 16;

/// Descriptors kept for backends at most.
const RESERVED_MAX: usize = 1024;

/// Everything a shard is made of.
pub struct ShardContext {
    /// Its number.
    pub shard: u16,
    /// How many shards there are.
    pub shards: usize,
    /// The configuration.
    pub config: Arc<Config>,
    /// Sockets this shard can have open at once, by the limit of open files.
    pub sockets_max: usize,
    /// The first routes.
    pub routes: Arc<RouteTable>,
    /// Its end of the broadcast ring.
    pub bus: bus::Subscriber<Broadcast>,
    /// The channel to the control thread.
    pub reports: ReportSender,
    /// Whether anybody listens to stats.
    pub demand: Arc<StatsDemand>,
    /// The last id of each channel: the sequencer's table.
    pub last_ids: Arc<LastIds>,
    /// `message_rate`, if it is set: the same for every shard.
    pub delivery_rate: Option<Arc<DeliveryRate>>,
    /// Its counters, which the control thread reads.
    pub counters: Arc<ShardCounters>,
    /// The process's clock.
    pub clock: Clock,
    /// All executors exist: from now on shards may have descriptor tables of their own.
    pub executors_made: Arc<Barrier>,
    /// Told once whether the shard serves.
    pub serving: Sender<Result<(), ShardError>>,
}

impl std::fmt::Debug for ShardContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardContext")
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

/// Why a shard cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// A listener cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Something that every shard needs was refused by the kernel.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// Runs a shard until it is drained; false if it ended for another reason. To be called on its
/// executor.
pub async fn run(context: ShardContext) -> bool {
    let serving = context.serving.clone();
    let shard = context.shard;
    match start(context) {
        Ok(mut engine) => {
            let _ = serving.try_send(Ok(()));
            drop(serving);
            match engine.work().await {
                Ok(()) => return true,
                Err(error) => log::error!("shard {shard} has failed: {error}"),
            }
        }
        Err(error) => {
            let _ = serving.try_send(Err(error));
        }
    }
    false
}

fn start(context: ShardContext) -> Result<Engine, ShardError> {
    let system = |what| move |source| ShardError::System { what, source };
    // glommio wakes executors by descriptor number: all of them must exist before the numbers mean
    // different things in different threads.
    context.executors_made.wait();
    let unshared = match context.config.shards.private_descriptors {
        true => sys::unshare_files(),
        false => Ok(()),
    };
    // Nobody opens anything before all have their own tables: a socket that is copied into another
    // table is not closed when its owner closes it.
    context.executors_made.wait();
    unshared.map_err(system("get an own descriptor table"))?;
    let (open, kinds) = listeners(&context)?;
    let mut readiness = Readiness::new(RING_DEPTH).map_err(system("make a ring"))?;
    let parker = Parker::new(&readiness).map_err(system("sleep on a ring"))?;
    for (index, listener) in (0..).zip(&open) {
        readiness.accept(index, std::os::fd::AsFd::as_fd(&listener.fd));
    }
    readiness.watch_wake(context.bus.wake_fd());
    let now = Now {
        ms: context.clock.now_ms(),
        unix_s: context.clock.unix_s(),
    };
    let mut settings = Settings::new(Arc::clone(&context.config), kinds, context.shards);
    settings.last_ids = context.last_ids;
    settings.delivery_rate = context.delivery_rate;
    let mut core = Core::new(settings, Arc::clone(&context.counters), now);
    core.replace_routes(context.routes);
    let handler = &context.config.handler;
    Ok(Engine {
        core,
        readiness,
        parker,
        bus: context.bus,
        clock: context.clock,
        counters: context.counters,
        listeners: open,
        connector: connector(),
        actions: Actions::default(),
        feedback: Vec::new(),
        ready: Vec::new(),
        again: Vec::new(),
        again_spare: Vec::new(),
        input: vec![0; context.config.proxy.buffer_size].into_boxed_slice(),
        plain: Vec::new(),
        cipher: Vec::new(),
        joined: Vec::new(),
        lookups: crate::io::lookup::Lookups::default(),
        reporter: Reporter::new(
            context.shard,
            context.reports,
            context.demand,
            handler.stats_connection_send,
            handler.stats_connection_ttl_s,
        ),
        outbox_max: context.config.http.outbox_max,
        deliveries_per_turn: context.config.shards.deliveries_per_turn,
        closed_since_trim: 0,
        slow_quiet_until_ms: 0,
        accept: Accepting {
            until: accept_until(context.sockets_max),
            ..Accepting::default()
        },
    })
}

/// The number of sockets at which no more clients are accepted: some descriptors are kept for the
/// backends, without which those who are in could not be served.
fn accept_until(sockets_max: usize) -> usize {
    sockets_max
        - (sockets_max / RESERVED_SHARE)
            .clamp(1, RESERVED_MAX)
            .min(sockets_max)
}

/// Opens this shard's listeners. Unix sockets cannot be shared by name: the first shard has them.
fn listeners(context: &ShardContext) -> Result<(Vec<OpenListener>, Vec<Listener>), ShardError> {
    let http = &context.config.http;
    let (mut open, mut kinds) = (Vec::new(), Vec::new());
    for address in &http.listen {
        open.push(OpenListener {
            fd: tcp(*address)?,
            tls: None,
        });
        kinds.push(Listener { is_ssl: false });
    }
    for address in &http.https_listen {
        let dir = http.cert_dir.clone().unwrap_or_else(|| PathBuf::from("."));
        let tls = Some(TlsAcceptor::new(&dir, address.port()));
        open.push(OpenListener {
            fd: tcp(*address)?,
            tls,
        });
        kinds.push(Listener { is_ssl: true });
    }
    if context.shard == 0 {
        for path in &http.local_listen {
            let listen = sys::listen_unix(path, http.local_mode.unwrap_or(0o666));
            let fd = listen.map_err(|source| ShardError::Listen {
                address: path.display().to_string(),
                source,
            })?;
            open.push(OpenListener { fd, tls: None });
            kinds.push(Listener { is_ssl: false });
        }
    }
    Ok((open, kinds))
}

fn tcp(address: SocketAddr) -> Result<std::os::fd::OwnedFd, ShardError> {
    sys::listen_tcp(address, sys::BACKLOG_MAX, true).map_err(|source| ShardError::Listen {
        address: address.to_string(),
        source,
    })
}

/// TLS towards backends, made when the first route asks for it would be late: it reads files.
fn connector() -> Option<Rc<TlsConnector>> {
    match TlsConnector::with_system_roots() {
        Ok(connector) => Some(Rc::new(connector)),
        Err(error) => {
            log::warn!("https backends cannot be used: {error}");
            None
        }
    }
}
