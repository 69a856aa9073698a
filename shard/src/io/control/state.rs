//! What the tasks of the control thread share. One thread: cells, no locks; no borrow is held
//! across an await.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use config::Config;
use crossbeam_channel::Receiver;

use super::firsts::Firsts;
use super::order::Order;
use super::publish::Gate;
use super::reactor::Reactor;
use super::stats::Stats;
use super::upstream::Upstream;
use super::{ControlCommand, ControlContext};
use crate::admin::health::Phase;
use crate::admin::interest::{Interest, InterestSettings};
use crate::admin::metrics::{self, ControlNumbers, InputNumbers, ZeroMqNumbers};
use crate::admin::totals::{Minutes, Reporter, Snapshot, Totals};
use crate::counters::ShardCounters;
use crate::io::broadcast::Broadcast;
use crate::io::bus::Publisher;
use crate::io::clock::Clock;
use crate::io::reports::ReportReceiver;
use crate::io::routes_watch::RoutesWatch;
use crate::io::zeromq::{InputCounters, Link};

/// The control thread's state.
pub(super) struct Control {
    /// What its tasks wait in.
    pub(super) reactor: Rc<Reactor>,
    pub(super) config: Arc<Config>,
    pub(super) clock: Clock,
    pub(super) publisher: RefCell<Publisher<Broadcast>>,
    pub(super) gate: Gate,
    pub(super) order: RefCell<Order>,
    /// Whether waiting items are on their way into the ring because their time is over.
    pub(super) is_expiring: Cell<bool>,
    pub(super) interest: RefCell<Interest>,
    pub(super) firsts: RefCell<Firsts>,
    /// Whether channels with a first subscriber are on their way into the ring.
    pub(super) is_updating: Cell<bool>,
    pub(super) stats: RefCell<Stats>,
    pub(super) reports: ReportReceiver,
    /// Whether reports were taken since the last tick.
    pub(super) has_reported: Cell<bool>,
    pub(super) commands: Receiver<ControlCommand>,
    pub(super) routes: RefCell<RoutesWatch>,
    pub(super) reporter: RefCell<Reporter>,
    pub(super) minutes: Cell<Minutes>,
    pub(super) counts: Cell<Counts>,
    /// Items and commands that come over ZeroMQ.
    pub(super) link: Option<Link>,
    pub(super) upstream: RefCell<Upstream>,
    counters: Vec<Arc<ShardCounters>>,
    ready: Arc<AtomicBool>,
    is_draining: Cell<bool>,
}

/// What the control thread itself counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Items received.
    pub(super) received: u64,
    /// Deliveries to held responses, by the table of interest.
    pub(super) responses_sent: u64,
    /// Blocks of the items received.
    pub(super) blocks_received: u64,
    /// Blocks of all deliveries, by the table of interest.
    pub(super) blocks_sent: u64,
    /// Publishes given up.
    pub(super) publishes_refused: u64,
    /// Connections to the control port.
    pub(super) connections: u64,
}

const SECOND_MS: u64 = 1_000;

impl Control {
    pub(super) fn new(context: ControlContext, reactor: Rc<Reactor>) -> Self {
        let now_ms = context.clock.now_ms();
        let handler = &context.config.handler;
        let settings = InterestSettings {
            linger_ms: u64::from(handler.subscription_linger_s) * SECOND_MS,
            ttl_ms: u64::from(handler.stats_subscription_ttl_s) * SECOND_MS,
        };
        let (stats, link) = match context.zeromq {
            Some(zeromq) => (zeromq.stats, Some(zeromq.link)),
            None => (None, None),
        };
        let subscribes = link.as_ref().is_some_and(Link::subscribes);
        Self {
            reactor,
            link,
            upstream: RefCell::new(Upstream::new(subscribes)),
            order: RefCell::new(Order::new(handler, context.last_ids)),
            is_expiring: Cell::new(false),
            interest: RefCell::new(Interest::new(settings, now_ms)),
            firsts: RefCell::new(Firsts::new(handler)),
            is_updating: Cell::new(false),
            stats: RefCell::new(Stats::new(handler, stats)),
            reporter: RefCell::new(Reporter::new(now_ms)),
            minutes: Cell::new(Minutes::new(now_ms)),
            config: context.config,
            clock: context.clock,
            publisher: RefCell::new(context.publisher),
            gate: Gate::default(),
            reports: context.reports,
            has_reported: Cell::new(false),
            commands: context.commands,
            routes: RefCell::new(context.routes),
            counts: Cell::default(),
            counters: context.counters,
            ready: context.ready,
            is_draining: Cell::new(false),
        }
    }

    /// How far the process is.
    pub(super) fn phase(&self) -> Phase {
        if self.is_draining.get() {
            return Phase::Draining;
        }
        if self.ready.load(Ordering::Acquire) {
            Phase::Serving
        } else {
            Phase::Starting
        }
    }

    /// From now on the process counts as not ready.
    pub(super) fn set_draining(&self) {
        self.is_draining.set(true);
    }

    /// The shards' counters, added up.
    pub(super) fn totals(&self) -> Totals {
        Totals::of(&self.counters)
    }

    /// How many shards there are.
    pub(super) const fn shards(&self) -> usize {
        self.counters.len()
    }

    /// Changes what the control thread itself counts.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// Everything that reports are made of.
    pub(super) fn snapshot(&self) -> Snapshot {
        let totals = self.totals();
        let counts = self.counts.get();
        Snapshot {
            totals,
            minutes: self.minutes.get().total(totals.accepted),
            received: counts.received,
            responses_sent: counts.responses_sent,
            blocks_received: counts.blocks_received,
            blocks_sent: counts.blocks_sent,
        }
    }

    /// The text of the metrics.
    pub(super) fn metrics(&self) -> String {
        let counts = self.counts.get();
        let firsts = self.firsts.borrow().counts();
        let numbers = ControlNumbers {
            minutes: self.snapshot().minutes,
            received: counts.received,
            channels: wide(self.interest.borrow().len()),
            stats_dropped: self.stats.borrow().dropped(),
            publishers_waiting: wide(self.gate.len()),
            publishes_refused: counts.publishes_refused,
            broadcasts_waiting: wide(self.publisher.borrow().lag()),
            control_connections: counts.connections,
            first_updates: firsts.updated,
            first_updates_refused: firsts.refused,
            order: self.order.borrow().numbers(),
            zeromq: self.zeromq_numbers(),
        };
        let mut out = String::with_capacity(METRICS_LEN_EXPECTED);
        metrics::render(
            &mut out,
            &self.config.handler.prometheus_prefix,
            &self.counters,
            &numbers,
        );
        out
    }

    fn zeromq_numbers(&self) -> ZeroMqNumbers {
        let Some(link) = &self.link else {
            return ZeroMqNumbers::default();
        };
        let counters = link.counters();
        let input = |input: &InputCounters| InputNumbers {
            received: input.received.get(),
            malformed: input.malformed.get(),
            paused: input.paused.get(),
        };
        ZeroMqNumbers {
            pull: input(&counters.pull),
            sub: input(&counters.sub),
            subscriptions: counters.subscriptions.get(),
            commands: counters.commands.get(),
            commands_refused: counters.commands_refused.get(),
        }
    }
}

/// Room for the metrics' text, in bytes; only saves copies.
const METRICS_LEN_EXPECTED: usize = 8_192;

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
