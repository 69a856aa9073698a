//! Start and end of the process, in the order that the engine needs.
//!
//! Queues and eventfds first, then all executors, then (inside each shard) its own descriptor
//! table, its listeners, its ring; then the control thread says that all serve.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use config::{Config, RouteTable, TargetKind, User};
use shard::counters::ShardCounters;
use shard::io::broadcast::Broadcast;
use shard::io::bus::{Publisher, Subscriber, bus};
use shard::io::clock::Clock;
use shard::io::control::{self, ControlCommand, ControlContext};
use shard::io::engine::{self, ShardContext, ShardError};
use shard::io::park::executor_builder;
use shard::io::preflight;
use shard::io::reports::{self, StatsDemand};
use shard::io::routes_watch::{RoutesWatch, load_initial};
use shard::io::{sys, zeromq};

use crate::args::Args;
use crate::{print, signals};

/// Where shards run: (core, number of the shard on it).
type Places = Vec<usize>;

/// A thread with an executor.
type Handle<T> = glommio::ExecutorJoinHandle<T>;

/// Serves until told to end.
///
/// # Errors
/// One sentence about what prevents the start.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    let config = Arc::new(settings(args)?);
    let places = places(&config)?;
    let shards = places.len();
    let allowance = preflight::check(preflight::Plan {
        shards: u32::try_from(shards).unwrap_or(u32::MAX),
        executors: u32::try_from(shards + 1).unwrap_or(u32::MAX),
        private_tables: config.shards.private_descriptors,
    })
    .map_err(|error| error.to_string())?;
    let clock = Clock::start();
    let (table, errors) = load_initial(&config).map_err(|error| error.to_string())?;
    for error in errors {
        log::warn!("routes: {error}");
    }
    warn_of_unserved(&table);
    std::fs::create_dir_all(&config.run_dir).map_err(|error| {
        format!(
            "cannot create run_dir {}: {error}",
            config.run_dir.display()
        )
    })?;
    let outside = Outside::open(&config)?;
    let (publisher, subscribers) = bus(shards, config.shards.queue)
        .map_err(|error| format!("cannot make the broadcast ring: {error}"))?;
    // Before shards get descriptor tables of their own: a signal may arrive on any thread, and its
    // handler writes to a descriptor by number.
    let (commands, received) = control::commands();
    signals::forward(commands).map_err(|error| format!("cannot catch signals: {error}"))?;
    let crew = Crew::start(&config, &table, &places, subscribers, (clock, allowance))?;
    greet(&config, shards, allowance.connections);
    crew.work(outside, publisher, table, received)
}

/// Says which of the routes ask for what this version does not do, so that nobody has to find out.
fn warn_of_unserved(table: &RouteTable) {
    for route in table.routes() {
        let targets = &route.targets;
        let asks = [
            (
                "zhttp targets",
                targets
                    .iter()
                    .any(|t| matches!(t.kind, TargetKind::Zhttp { .. })),
            ),
            ("over_http", targets.iter().any(|t| t.over_http)),
            (
                "client_cert",
                targets.iter().any(|t| t.client_cert.is_some()),
            ),
            ("sockjs", route.sockjs.is_some()),
            ("session", route.session),
            ("aco", route.auto_cross_origin),
        ];
        for (what, _) in asks.iter().filter(|(_, is_asked)| *is_asked) {
            log::warn!(
                "routes: line {}: {what}: not served by this version",
                route.line
            );
        }
    }
}

fn settings(args: &Args) -> Result<Config, String> {
    let mut config = match &args.config {
        Some(path) => Config::load(path).map_err(|error| error.to_string())?,
        None => Config::embedded(&User {
            uid: sys::user_id(),
            runtime_dir: std::env::var_os("XDG_RUNTIME_DIR")
                .filter(|dir| !dir.is_empty())
                .map(Into::into),
            temp_dir: std::env::temp_dir(),
        }),
    };
    if !args.routes.is_empty() {
        config.routes_file = None;
        config.routes.clone_from(&args.routes);
    }
    if let Some(address) = args.listen {
        config.http.listen = vec![address];
    }
    let broken = config::check::check(&config);
    if let Some(first) = broken.first() {
        return Err(format!("{first}"));
    }
    Ok(config)
}

/// The core of each shard.
fn places(config: &Config) -> Result<Places, String> {
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    let available: Vec<usize> = ids.iter().map(|core| core.id).collect();
    let cores = config
        .shards
        .cores
        .choose(&available)
        .map_err(|error| error.to_string())?;
    let per_core = config.shards.per_core.max(1);
    Ok(cores
        .iter()
        .flat_map(|core| std::iter::repeat_n(*core, per_core))
        .collect())
}

/// What has to be opened before any thread has a descriptor table of its own.
struct Outside {
    control: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

impl Outside {
    fn open(config: &Config) -> Result<Self, String> {
        let listen = |key: &str, address: Option<std::net::SocketAddr>| {
            address
                .map(|address| {
                    TcpListener::bind(address).map_err(|error| {
                        format!("[control] {key}: cannot listen on {address}: {error}")
                    })
                })
                .transpose()
        };
        Ok(Self {
            control: listen("listen", config.control.listen)?,
            metrics: listen("metrics_listen", config.control.metrics_listen)?,
        })
    }
}

/// All threads of the engine.
struct Crew {
    config: Arc<Config>,
    shards: Vec<Handle<()>>,
    reports: crossbeam_channel::Receiver<reports::Report>,
    demand: Arc<StatsDemand>,
    counters: Vec<Arc<ShardCounters>>,
    clock: Clock,
}

impl Crew {
    fn start(
        config: &Arc<Config>,
        table: &RouteTable,
        places: &[usize],
        subscribers: Vec<Subscriber<Broadcast>>,
        (clock, allowance): (Clock, preflight::Allowance),
    ) -> Result<Self, String> {
        let (sender, received) = reports::channel();
        let demand = Arc::new(StatsDemand::default());
        let counters: Vec<Arc<ShardCounters>> = places.iter().map(|_| Arc::default()).collect();
        let executors_made = Arc::new(Barrier::new(places.len()));
        let (serving, answers) = crossbeam_channel::bounded(places.len());
        let routes = Arc::new(table.clone());
        let sockets = allowance.connections / places.len().max(1) as u64;
        let mut shards = Vec::new();
        for ((number, core), bus) in (0..).zip(places).zip(subscribers) {
            let counters = counters
                .get(usize::from(number))
                .cloned()
                .unwrap_or_default();
            let context = ShardContext {
                shard: number,
                shards: places.len(),
                config: Arc::clone(config),
                sockets_max: usize::try_from(sockets).unwrap_or(usize::MAX),
                routes: Arc::clone(&routes),
                bus,
                reports: sender.clone(),
                demand: Arc::clone(&demand),
                counters,
                clock,
                executors_made: Arc::clone(&executors_made),
                serving: serving.clone(),
            };
            let handle = executor_builder(Some(*core), &format!("shard-{number}"))
                .spawn(move || engine::run(context))
                .map_err(|error| format!("cannot start shard {number}: {error}"))?;
            shards.push(handle);
        }
        drop(serving);
        await_serving(&answers, places.len())?;
        Ok(Self {
            config: Arc::clone(config),
            shards,
            reports: received,
            demand,
            counters,
            clock,
        })
    }

    /// Runs the control thread, and waits until everything has ended.
    fn work(
        self,
        outside: Outside,
        publisher: Publisher<Broadcast>,
        table: RouteTable,
        commands: crossbeam_channel::Receiver<ControlCommand>,
    ) -> Result<(), String> {
        let stats = zeromq::start(&self.config, Arc::clone(&self.demand))
            .map_err(|error| error.to_string())?;
        let (stats, thread) = stats.map_or((None, None), |(sender, thread)| {
            (Some(sender), Some(thread))
        });
        let routes = RoutesWatch::start(Arc::clone(&self.config), table)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let ready = Arc::new(AtomicBool::new(true));
        let context = ControlContext {
            config: Arc::clone(&self.config),
            publisher,
            reports: self.reports,
            counters: self.counters,
            commands,
            listener: outside.control,
            metrics_listener: outside.metrics,
            stats,
            routes,
            clock: self.clock,
            ready: Arc::clone(&ready),
        };
        let control = executor_builder(None, "control")
            .spawn(move || control::run(context))
            .map_err(|error| format!("cannot start the control thread: {error}"))?;
        for shard in self.shards {
            if shard.join().is_err() {
                log::error!("a shard has panicked");
            }
        }
        ready.store(false, Ordering::Relaxed);
        drop(control);
        drop(thread);
        log::info!("drained");
        Ok(())
    }
}

fn await_serving(
    answers: &crossbeam_channel::Receiver<Result<(), ShardError>>,
    shards: usize,
) -> Result<(), String> {
    for _ in 0..shards {
        match answers.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("a shard ended before it served".to_owned()),
        }
    }
    Ok(())
}

/// Says where it listens, and how to try it.
fn greet(config: &Config, shards: usize, connections: u64) {
    let clients: Vec<String> = config
        .http
        .listen
        .iter()
        .map(|address| format!("http://{}", shown(*address)))
        .collect();
    let control = config
        .control
        .listen
        .map(|address| format!("http://{}", shown(address)));
    print(&format!(
        "pincushion {} serves clients on {}; {shards} shards, room for {connections} connections",
        env!("CARGO_PKG_VERSION"),
        if clients.is_empty() {
            "no plain address".to_owned()
        } else {
            clients.join(", ")
        },
    ));
    let Some(control) = control else {
        return;
    };
    print(&format!(
        "control port: {control} (POST /publish, GET /metrics, /healthz, /readyz)"
    ));
    if let Some(client) = clients.first() {
        let is_test = config.routes_file.is_none() && config.routes == ["* test"];
        let path = if is_test { "/stream" } else { "/" };
        print(&format!(
            "try it:\n  curl -i {client}{path}\n  curl -d '{{ \"items\": [ {{ \"channel\": \"test\", \"formats\": \
             {{ \"http-stream\": {{ \"content\": \"hello there\\n\" }} }} }} ] }}' {control}/publish"
        ));
    }
}

/// An address as a client on this machine would write it.
fn shown(address: std::net::SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("localhost:{}", address.port());
    }
    address.to_string()
}
