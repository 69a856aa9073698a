//! Start and end of the process, in the order that the engine needs.
//!
//! Queues and eventfds first, then all executors, then (inside each shard) its own descriptor
//! table, its listeners, its ring; then the control thread says that all serve.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use crossbeam_channel::{Receiver, Sender};

use config::{Config, RouteTable, TargetKind, User};
use shard::core::last_ids::LastIds;
use shard::core::limiter::DeliveryRate;
use shard::counters::ShardCounters;
use shard::io::broadcast::Broadcast;
use shard::io::bus::{Publisher, Subscriber, bus};
use shard::io::clock::Clock;
use shard::io::control::{self, ControlCommand, ControlContext};
use shard::io::engine::{self, ShardContext, ShardError};
use shard::io::park::{Cores, executor_builder};
use shard::io::preflight;
use shard::io::reports::{self, StatsDemand};
use shard::io::routes_watch::{RoutesWatch, load_initial};
use shard::io::{sys, zeromq};

use crate::args::Args;
use crate::{print, signals};

/// Where shards run: (core, number of the shard on it).
type Places = Vec<usize>;

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
    let sockets = allowance.connections / shards.max(1) as u64;
    let crew = Crew::start(Parts {
        config: Arc::clone(&config),
        table,
        places,
        sockets_per_shard: usize::try_from(sockets).unwrap_or(usize::MAX),
        clock: Clock::start(),
        outside,
        publisher,
        subscribers,
        commands: received,
    })?;
    greet(&config, shards, allowance.connections);
    crew.work()
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

/// How a thread of the engine has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A shard has drained.
    Drained,
    /// The control thread has nothing more to do.
    Idle,
    /// It has failed or panicked.
    Failed,
}

/// Says how a thread has ended, even if it panicked.
struct EndNotice {
    name: String,
    end: End,
    to: Sender<(String, End)>,
}

impl EndNotice {
    fn new(name: &str, to: Sender<(String, End)>) -> Self {
        Self {
            name: name.to_owned(),
            end: End::Failed,
            to,
        }
    }

    /// The thread has come to its end by itself.
    fn tell(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        // Nobody listens any more only when the process ends anyhow.
        let _ = self.to.try_send((std::mem::take(&mut self.name), self.end));
    }
}

/// All threads of the engine.
struct Crew {
    shards: usize,
    ends: Receiver<(String, End)>,
    ready: Arc<AtomicBool>,
}

/// What the threads of the engine are made of.
struct Parts {
    config: Arc<Config>,
    table: RouteTable,
    places: Vec<usize>,
    sockets_per_shard: usize,
    clock: Clock,
    outside: Outside,
    publisher: Publisher<Broadcast>,
    subscribers: Vec<Subscriber<Broadcast>>,
    commands: Receiver<ControlCommand>,
}

impl Crew {
    /// Starts all executors, and waits until all shards serve.
    fn start(parts: Parts) -> Result<Self, String> {
        let shards = parts.places.len();
        let (sender, received) =
            reports::channel().map_err(|error| format!("cannot make a queue: {error}"))?;
        let demand = Arc::new(StatsDemand::default());
        let counters: Vec<Arc<ShardCounters>> = (0..shards).map(|_| Arc::default()).collect();
        // No executor goes on before all exist: see `shard::io::engine`.
        let executors_made = Arc::new(Barrier::new(shards + 1));
        let (serving, answers) = crossbeam_channel::bounded(shards);
        let (ended, ends) = crossbeam_channel::bounded(shards + 1);
        let ready = Arc::new(AtomicBool::new(false));
        let routes = Arc::new(parts.table.clone());
        let last_ids = Arc::new(LastIds::default());
        let delivery_rate = DeliveryRate::of(&parts.config.handler);
        for ((number, core), bus) in (0..).zip(&parts.places).zip(parts.subscribers) {
            let context = ShardContext {
                shard: number,
                shards,
                config: Arc::clone(&parts.config),
                sockets_max: parts.sockets_per_shard,
                routes: Arc::clone(&routes),
                bus,
                reports: sender.clone(),
                demand: Arc::clone(&demand),
                last_ids: Arc::clone(&last_ids),
                delivery_rate: delivery_rate.clone(),
                counters: counters
                    .get(usize::from(number))
                    .cloned()
                    .unwrap_or_default(),
                clock: parts.clock,
                executors_made: Arc::clone(&executors_made),
                serving: serving.clone(),
            };
            spawn_shard(context, *core, ended.clone())?;
        }
        // The control thread ends when all shards have dropped theirs.
        drop((sender, serving));
        let zeromq =
            zeromq::start(&parts.config, demand, parts.clock).map_err(|error| error.to_string())?;
        let context = ControlContext {
            routes: RoutesWatch::start(Arc::clone(&parts.config), parts.table)
                .map_err(|error| format!("cannot start a thread: {error}"))?,
            config: parts.config,
            publisher: parts.publisher,
            reports: received,
            last_ids,
            counters,
            commands: parts.commands,
            listener: parts.outside.control,
            metrics_listener: parts.outside.metrics,
            zeromq: zeromq.map(|(zeromq, _)| zeromq),
            clock: parts.clock,
            ready: Arc::clone(&ready),
        };
        spawn_control(context, &parts.places, executors_made, ended)?;
        await_serving(&answers, &ends, shards)?;
        ready.store(true, Ordering::Release);
        Ok(Self {
            shards,
            ends,
            ready,
        })
    }

    /// Waits until all shards have drained. One thread less than all would mean clients that
    /// nobody serves or items that nobody takes, so an unexpected end of one ends the process.
    fn work(self) -> Result<(), String> {
        let mut left = self.shards;
        while left > 0 {
            match self.ends.recv() {
                Ok((_, End::Drained)) => left -= 1,
                Ok((_, End::Idle)) => {}
                Ok((name, End::Failed)) => {
                    self.ready.store(false, Ordering::Release);
                    return Err(format!("{name} has ended unexpectedly"));
                }
                Err(_) => return Err("all threads have ended unexpectedly".to_owned()),
            }
        }
        log::info!("drained");
        Ok(())
    }
}

fn spawn_shard(
    context: ShardContext,
    core: usize,
    ended: Sender<(String, End)>,
) -> Result<(), String> {
    let name = format!("shard-{}", context.shard);
    let notice = EndNotice::new(&name, ended);
    executor_builder(Cores::One(core), &name)
        .spawn(move || async move {
            // Boxed, since the whole shard is in it.
            let is_drained = Box::pin(engine::run(context)).await;
            notice.tell(if is_drained {
                End::Drained
            } else {
                End::Failed
            });
        })
        .map(drop)
        .map_err(|error| format!("cannot start {name}: {error}"))
}

fn spawn_control(
    context: ControlContext,
    cores: &[usize],
    executors_made: Arc<Barrier>,
    ended: Sender<(String, End)>,
) -> Result<(), String> {
    let notice = EndNotice::new("the control thread", ended);
    // It shares the cores that the settings give to pincushion, and no others.
    executor_builder(Cores::Among(cores), "control")
        .spawn(move || async move {
            executors_made.wait();
            // All shards have their own descriptor tables.
            executors_made.wait();
            match control::run(context).await {
                Ok(()) => notice.tell(End::Idle),
                Err(error) => log::error!("the control thread has failed: {error}"),
            }
        })
        .map(drop)
        .map_err(|error| format!("cannot start the control thread: {error}"))
}

/// Waits until all shards serve. A thread that ends before that is a failed start: the others would
/// wait for it for ever.
fn await_serving(
    answers: &Receiver<Result<(), ShardError>>,
    ends: &Receiver<(String, End)>,
    shards: usize,
) -> Result<(), String> {
    for _ in 0..shards {
        let answer = crossbeam_channel::select! {
            recv(answers) -> answer => answer,
            // Its answer, if it has given one, says more.
            recv(ends) -> end => match (answers.try_recv(), end) {
                (Ok(answer), _) => Ok(answer),
                (Err(_), Ok((name, _))) => return Err(format!("{name} cannot start")),
                (Err(_), Err(error)) => Err(error),
            },
        };
        match answer {
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
