//! One shard at work: waits for events, lets the core decide, does what it says.
//!
//! A turn: completions, then the broadcast ring (bounded), then deliveries (bounded), then timers.
//! When there is nothing to do it waits directly in the shard's own ring for a short while, then
//! sleeps in glommio. It looks at its own ring and at the broadcast ring on every turn and never
//! relies on being woken alone.

mod events;
mod perform;
mod reports;
mod start;

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::broadcast::Broadcast;
use super::bus;
use super::clock::Clock;
use super::lookup::Lookups;
use super::park::Parker;
use super::readiness::{Readiness, Ready, Token};
use super::socket::Socket;
use super::sys;
use super::tls::{TlsAcceptor, TlsConnector};
use crate::core::{Actions, ConnKey, Core, Now};
use crate::counters::ShardCounters;

pub use start::{ShardContext, ShardError, run};

use perform::Feedback;
use reports::Reporter;

/// How long a turn with nothing to do waits in the shard's own ring before it sleeps in glommio.
///
/// A wake out of glommio takes four to eight times as long (`bench ring`: a median of 19 to 38 µs
/// against 5, a 99th percentile of up to 1.3 ms against 21 µs), and a shard's executor has no
/// other task that could be kept waiting.
const DIRECT_WAIT: Duration = Duration::from_millis(50);

/// The longest sleep in glommio; each ends with a look at everything.
const NAP_MS_MAX: u64 = 200;

/// Messages of the broadcast ring taken in one turn.
const BROADCASTS_PER_TURN_MAX: usize = 256;

/// Groups of items that may wait on this shard before it takes no more from the ring; the ring then
/// fills up and the publisher is held back.
const GROUPS_PENDING_MAX: usize = 1024;

/// Deliveries in one slice: the others get their turn after each.
const DELIVERIES_PER_SLICE_MAX: usize = 256;

/// Connections closed after which unused memory is given back at the next quiet moment.
const CLOSED_PER_TRIM: usize = 1000;

/// A shard.
pub struct Engine {
    core: Core<Socket>,
    readiness: Readiness,
    parker: Parker,
    bus: bus::Subscriber<Broadcast>,
    clock: Clock,
    counters: Arc<ShardCounters>,
    listeners: Vec<OpenListener>,
    connector: Option<Rc<TlsConnector>>,
    actions: Actions,
    feedback: Vec<Feedback>,
    ready: Vec<Ready>,
    /// Sockets with more input than one event's share.
    again: Vec<(ConnKey, u32)>,
    again_spare: Vec<(ConnKey, u32)>,
    input: Box<[u8]>,
    plain: Vec<u8>,
    cipher: Vec<u8>,
    joined: Vec<u8>,
    reporter: Reporter,
    lookups: Lookups,
    deliveries_per_turn: usize,
    /// Bytes that may wait for one connection.
    outbox_max: usize,
    closed_since_trim: usize,
    accept: Accepting,
    /// Until then no further line about slow clients is logged.
    slow_quiet_until_ms: u64,
}

/// Whether clients are accepted, and when they are again.
#[derive(Debug, Default)]
struct Accepting {
    /// Sockets at which accepting pauses; further clients wait in the backlog.
    until: usize,
    is_paused: bool,
    retry_ms: u64,
    quiet_until_ms: u64,
}

/// A listener of this shard.
struct OpenListener {
    fd: OwnedFd,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("clients", &self.core.clients())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Works until drained.
    ///
    /// # Errors
    /// The kernel's, when the ring is broken for good.
    async fn work(&mut self) -> std::io::Result<()> {
        while !self.core.is_drained() {
            let is_busy = self.turn()?;
            if !is_busy {
                self.rest().await?;
            }
        }
        Ok(())
    }

    fn now(&self) -> Now {
        Now {
            ms: self.clock.now_ms(),
            unix_s: self.clock.unix_s(),
        }
    }

    /// One turn without waiting; true if another should follow at once.
    fn turn(&mut self) -> std::io::Result<bool> {
        self.counters.turns.add(1);
        let now = self.now();
        self.core.set_now(now);
        self.retry_accept(now.ms);
        let mut events = self.collect(Some(Duration::ZERO))?;
        events += self.read_again();
        events += self.take_lookups();
        if self.core.has_runnable() {
            self.guarded(|engine| {
                engine.core.go_on(&mut engine.actions);
                engine.perform(&[]);
            });
        }
        let (broadcasts, is_bus_empty) = self.guarded(Self::take_broadcasts);
        let deliveries = self.guarded(Self::deliver);
        self.guarded(|engine| {
            engine.core.expire(&mut engine.actions);
            engine.perform(&[]);
        });
        let is_quiet = events + broadcasts == 0;
        let is_reported =
            self.guarded(|engine| engine.reporter.flush(&mut engine.core, now, is_quiet));
        let has_work = self.core.has_runnable()
            || !self.again.is_empty()
            || self.core.has_deliveries()
            || !is_bus_empty;
        Ok(has_work || events + broadcasts + deliveries > 0 || !is_reported)
    }

    /// Takes events out of the ring and handles them.
    fn collect(&mut self, max_wait: Option<Duration>) -> std::io::Result<usize> {
        let mut ready = std::mem::take(&mut self.ready);
        let result = self.readiness.turn(max_wait, &mut ready);
        let count = ready.len();
        for event in ready.drain(..) {
            self.handle(event);
        }
        self.ready = ready;
        result.map(|_| count)
    }

    /// Takes messages off the broadcast ring; the second answer is whether it is empty now.
    fn take_broadcasts(&mut self) -> (usize, bool) {
        let mut taken = 0;
        while taken < BROADCASTS_PER_TURN_MAX && self.core.pending() < GROUPS_PENDING_MAX {
            let Some(message) = self.bus.try_recv() else {
                return (taken, true);
            };
            taken += 1;
            match message {
                Broadcast::Items(items) => self.core.publish(&items),
                Broadcast::Routes(table) => self.core.replace_routes(table),
                Broadcast::Drain { timeout_ms } => self.begin_drain(timeout_ms),
                Broadcast::Recover => self.core.recover(),
                Broadcast::Update(channels) => self.core.update_channels(&channels),
                Broadcast::Check(check) => self.reporter.check(&check, &self.core),
            }
        }
        (taken, false)
    }

    /// Hands on the addresses that were found.
    fn take_lookups(&mut self) -> usize {
        let mut taken = 0;
        while let Some(found) = self.lookups.next() {
            taken += 1;
            let row = self.core.socket(found.conn);
            if row.is_some_and(|row| row.serial() == found.serial) {
                let addresses = &found.addresses;
                self.core.resolved(found.conn, addresses, &mut self.actions);
                self.perform(&[]);
            }
        }
        taken
    }

    fn begin_drain(&mut self, timeout_ms: u64) {
        for index in 0..self.listeners.len() {
            self.readiness
                .pause_accept(u16::try_from(index).unwrap_or(u16::MAX));
        }
        // Clients in the backlog are refused by the kernel, not left waiting for nobody.
        self.listeners.clear();
        self.core.drain(timeout_ms, &mut self.actions);
        self.perform(&[]);
    }

    /// Delivers released items, within this turn's share.
    fn deliver(&mut self) -> usize {
        let mut done = 0;
        while done < self.deliveries_per_turn && self.core.pending() > 0 {
            let count = self
                .core
                .deliver(DELIVERIES_PER_SLICE_MAX, &mut self.actions);
            self.perform(&[]);
            self.core.delivered();
            if count == 0 {
                break;
            }
            done += count;
        }
        let mut limited = 0;
        while limited < self.deliveries_per_turn && self.core.deliver_limited(&mut self.actions) {
            self.perform(&[]);
            self.core.delivered();
            limited += 1;
        }
        done + limited
    }

    /// Waits: first in the shard's own ring, then asleep.
    async fn rest(&mut self) -> std::io::Result<()> {
        if !self.bus.prepare_sleep() {
            return Ok(());
        }
        let events = self.collect_after(self.until_due().min(DIRECT_WAIT));
        self.bus.awake();
        if events? > 0 {
            return Ok(());
        }
        self.tidy();
        if self.bus.prepare_sleep() {
            let until_due = self.until_due();
            let result = self.parker.park(&mut self.readiness, until_due).await;
            self.bus.awake();
            result?;
        }
        Ok(())
    }

    /// Waits, then brings the time up to date before the events are handled.
    fn collect_after(&mut self, max_wait: Duration) -> std::io::Result<usize> {
        let mut ready = std::mem::take(&mut self.ready);
        let result = self.readiness.turn(Some(max_wait), &mut ready);
        let now = self.now();
        self.core.set_now(now);
        let count = ready.len();
        for event in ready.drain(..) {
            self.handle(event);
        }
        self.ready = ready;
        result.map(|_| count)
    }

    fn until_due(&self) -> Duration {
        let now_ms = self.clock.now_ms();
        let due_ms = self
            .core
            .next_due_ms()
            .map_or(NAP_MS_MAX, |due| due.saturating_sub(now_ms));
        let due_ms = due_ms.min(self.reporter.due_in_ms(now_ms));
        Duration::from_millis(due_ms.min(self.lookups.due_in_ms()).min(NAP_MS_MAX))
    }

    /// Gives memory back after many connections have gone.
    fn tidy(&mut self) {
        if self.closed_since_trim >= CLOSED_PER_TRIM {
            self.closed_since_trim = 0;
            sys::trim_heap();
        }
    }

    fn token(&self, key: ConnKey) -> Option<Token> {
        let serial = self.core.socket(key)?.serial();
        Some(Token {
            key,
            generation: generation(serial),
        })
    }

    /// Begins to watch a socket that has just got its descriptor.
    fn watch(&mut self, key: ConnKey) {
        let Some(row) = self.core.socket(key) else {
            return;
        };
        let token = Token {
            key,
            generation: generation(row.serial()),
        };
        if let Some(fd) = &row.socket.fd {
            self.readiness.watch(token, fd.as_fd());
        }
    }
}

/// The part of a serial number that fits a token.
const fn generation(serial: u32) -> u16 {
    (serial & 0xffff) as u16
}
