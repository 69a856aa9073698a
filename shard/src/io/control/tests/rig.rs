//! A control thread with free ports, and the shards' ends of its queues.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use config::Config;
use crossbeam_channel::Sender;

use super::super::{ControlCommand, ControlContext, commands, run};
use crate::core::last_ids::LastIds;
use crate::io::broadcast::Broadcast;
use crate::io::bus::{Subscriber, bus};
use crate::io::clock::Clock;
use crate::io::park::{Cores, executor_builder};
use crate::io::reports::{self, Report, ReportSender, SubscriptionChange};
use crate::io::routes_watch::{RoutesWatch, load_initial};
use crate::io::zeromq::ZeroMq;

pub(super) struct RigSettings {
    pub(super) shards: usize,
    pub(super) ring: usize,
    pub(super) connections_max: usize,
    pub(super) idle_timeout_s: u32,
}

impl Default for RigSettings {
    fn default() -> Self {
        Self {
            shards: 1,
            ring: 64,
            connections_max: 128,
            idle_timeout_s: 60,
        }
    }
}

pub(super) struct Rig {
    pub(super) ready: Arc<AtomicBool>,
    pub(super) last_ids: Arc<LastIds>,
    pub(super) commands: Sender<ControlCommand>,
    shards: Vec<Subscriber<Broadcast>>,
    reports: Option<ReportSender>,
    ports: [u16; 2],
    thread: Option<JoinHandle<()>>,
}

pub(super) fn config(settings: &RigSettings) -> Config {
    let mut config = Config::default();
    config.control.connections_max = settings.connections_max;
    config.control.idle_timeout_s = settings.idle_timeout_s;
    config
}

impl Rig {
    pub(super) fn new(settings: RigSettings) -> Self {
        Self::with(config(&settings), &settings, None)
    }

    pub(super) fn with(config: Config, settings: &RigSettings, zeromq: Option<ZeroMq>) -> Self {
        let config = Arc::new(config);
        let (publisher, shards) = bus(settings.shards, settings.ring).unwrap();
        let (sender, reports) = reports::channel().unwrap();
        let (command_sender, commands) = commands();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners
            .each_ref()
            .map(|listener| listener.local_addr().unwrap().port());
        let [listener, metrics_listener] = listeners.map(Some);
        let (table, _) = load_initial(&config).unwrap();
        let ready = Arc::new(AtomicBool::new(false));
        let last_ids = Arc::new(LastIds::default());
        let context = ControlContext {
            routes: RoutesWatch::start(Arc::clone(&config), table).unwrap(),
            config,
            publisher,
            reports,
            last_ids: Arc::clone(&last_ids),
            counters: vec![Arc::default()],
            commands,
            listener,
            metrics_listener,
            zeromq,
            clock: Clock::start(),
            ready: Arc::clone(&ready),
        };
        let thread = std::thread::spawn(move || {
            let executor = executor_builder(Cores::Any, "control").make().unwrap();
            executor.run(run(context)).unwrap();
        });
        let reports = Some(sender);
        Self {
            ready,
            last_ids,
            commands: command_sender,
            shards,
            reports,
            ports,
            thread: Some(thread),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.ports[0]
    }

    pub(super) fn metrics_port(&self) -> u16 {
        self.ports[1]
    }

    pub(super) fn next_broadcast(&self, shard: usize) -> Option<Broadcast> {
        self.shards[shard].try_recv()
    }

    pub(super) fn report(&self, change: SubscriptionChange) {
        self.report_all(Report {
            subscriptions: vec![change],
            ..Report::default()
        });
    }

    pub(super) fn report_all(&self, report: Report) {
        self.reports.as_ref().unwrap().try_send(report).unwrap();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The control thread ends with the last shard.
        self.reports = None;
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

/// Waits for a condition, with a deadline.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !is_so() {
        assert!(clock.now_ms() < 10_000, "not within time: {what}");
        std::thread::yield_now();
    }
}
