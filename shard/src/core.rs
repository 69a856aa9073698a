//! What the shard decides. No IO, no clock of its own: the time is always an argument.
//!
//! [`Core`] is fed with what happened ([`Core::accept`], [`Core::received`], [`Core::publish`], …)
//! and fills a list of [`actions`](Actions) that the io side performs. It can run a million
//! simulated connections in a test without a socket.

pub mod actions;
mod answer;
mod backend;
mod client;
mod conn;
mod cors;
mod cross_origin;
mod drain;
mod errand;
mod exchange;
mod filter;
mod hold;
pub mod hub;
pub mod id_cache;
mod jsonp;
pub mod last_ids;
pub mod limiter;
mod links;
mod mend;
mod merge;
pub mod pages;
pub mod pools;
mod publish;
mod request;
mod request_log;
mod response;
mod rewrite;
mod routes;
pub mod sequencer;
pub mod settings;
mod signature;
mod test_target;
mod timers;
mod updates;
mod upload;
pub mod wheel;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use config::RouteTable;
use hashbrown::HashMap;

pub use actions::{Action, Actions, Data, SharedBytes};
pub use conn::Row;
pub use settings::Settings;

use crate::counters::ShardCounters;
use conn::{Flags, State};
use errand::Errands;
use exchange::Exchange;
use hub::{Hub, Subscriber};
use limiter::Limiter;
use merge::Merges;
use pages::Pages;
use pools::{BackendTls, PoolId, Pools};
use publish::Group;
use routes::Routes;
use signature::Verifier;
use updates::Updates;
use wheel::{Links, TimerLinks, Wheel};

/// Index of a connection's row in its shard.
pub type ConnKey = u32;

/// What the io side keeps in a row. The seam between the two halves.
pub trait Socket: Default {
    /// The peer's address; `None` for Unix sockets. Asked only when a rule needs it.
    fn peer_ip(&self) -> Option<IpAddr>;
}

/// The time, as the io side reads it once per turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Now {
    /// Milliseconds of a clock that never goes back.
    pub ms: u64,
    /// Seconds since 1970.
    pub unix_s: u64,
}

/// Something the stats stream may be told about a client connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSeen {
    /// The connection's row; to be asked for its address at once, before it is gone.
    pub conn: ConnKey,
    /// Which connection of that row.
    pub serial: u32,
    /// It has gone.
    pub is_gone: bool,
    /// It came over TLS.
    pub is_ssl: bool,
    /// Its address, if the io side knows one.
    pub peer: Option<IpAddr>,
}

/// Exchanges whose boxes are kept for reuse.
const SPARE_EXCHANGES_MAX: usize = 64;

/// Bytes of buffers that a kept exchange may hold.
const SPARE_BUFFERS_LEN_MAX: usize = 32 * 1024;

/// Clients announced to the stats stream that may wait to be taken; more are not announced.
const SEEN_MAX: usize = 65_536;

/// All connections of one shard and everything that is decided about them.
#[derive(Debug)]
pub struct Core<S> {
    settings: Settings,
    now: Now,
    rows: Pages<Row<S>>,
    wheel: Wheel,
    hub: Hub<Rc<Group>>,
    /// Only with `message_rate`.
    limiter: Option<Box<Limiter>>,
    routes: Routes,
    pools: Pools,
    verifier: Option<Verifier>,
    counters: Arc<ShardCounters>,
    clients: usize,
    /// Clients over the limit that are being told so.
    refused: usize,
    serial: u32,
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is kept")]
    spare: Vec<Box<Exchange>>,
    /// Clients with input at hand that can go on; see [`Core::settle`].
    runnable: VecDeque<ConnKey>,
    slice: Vec<Subscriber>,
    /// The entry of the hub whose subscribers are being served.
    delivering: Option<u32>,
    expired: Vec<ConnKey>,
    seen: Vec<ClientSeen>,
    is_announcing: bool,
    draining_until_ms: Option<u64>,
    updates: Updates,
    merges: Merges,
    errands: Errands,
    /// When the running periods of next links end, by link.
    periods: HashMap<Box<str>, Vec<(u32, u64)>, ahash::RandomState>,
    periods_max: usize,
    /// What filters have made of an item's content.
    filtered: Vec<u8>,
    /// Until then no further line about filters that failed is logged.
    filter_quiet_until_ms: u64,
}

impl<S> Links for Pages<Row<S>> {
    fn links(&mut self, key: ConnKey) -> Option<&mut TimerLinks> {
        self.get_mut(key).map(|row| &mut row.timer)
    }
}

impl<S: Socket> Core<S> {
    /// A core without connections.
    #[must_use]
    pub fn new(settings: Settings, counters: Arc<ShardCounters>, now: Now) -> Self {
        let proxy = &settings.config.proxy;
        let limits = (proxy.backend_connections_max, proxy.backend_waiting_max);
        let verifier = settings
            .config
            .proxy
            .upstream_key
            .as_ref()
            .and_then(Verifier::new);
        let rate = settings.delivery_rate.as_ref();
        let limiter =
            rate.map(|rate| Box::new(Limiter::new(Arc::clone(rate), &settings.config.handler)));
        Self {
            settings,
            now,
            rows: Pages::default(),
            wheel: Wheel::new(now.ms),
            hub: Hub::new(),
            limiter,
            routes: Routes::default(),
            pools: Pools::new(limits.0, limits.1),
            verifier,
            counters,
            clients: 0,
            refused: 0,
            serial: 0,
            spare: Vec::new(),
            runnable: VecDeque::new(),
            slice: Vec::new(),
            delivering: None,
            expired: Vec::new(),
            seen: Vec::new(),
            is_announcing: false,
            draining_until_ms: None,
            updates: Updates::default(),
            merges: Merges::default(),
            errands: Errands::default(),
            periods: HashMap::default(),
            periods_max: 0,
            filtered: Vec::new(),
            filter_quiet_until_ms: 0,
        }
    }

    /// Sets the time for the calls that follow.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes over new routes; requests under way keep theirs.
    pub fn replace_routes(&mut self, table: Arc<RouteTable>) {
        self.routes
            .replace(table, &self.settings.config, &mut self.pools);
    }

    /// The io side's part of a row.
    #[must_use]
    pub fn socket(&self, key: ConnKey) -> Option<&Row<S>> {
        self.rows.get(key)
    }

    /// The io side's part of a row, to be changed.
    pub fn socket_mut(&mut self, key: ConnKey) -> Option<&mut Row<S>> {
        self.rows.get_mut(key)
    }

    /// How TLS is spoken to the backends of a pool, if at all.
    #[must_use]
    pub fn backend_tls(&self, pool: PoolId) -> Option<&BackendTls> {
        self.pools.get(pool)?.key.tls.as_ref()
    }

    /// How TLS is spoken on this backend connection, if at all.
    #[must_use]
    pub fn backend_tls_of(&self, key: ConnKey) -> Option<BackendTls> {
        let (pool, _) = self.backend_of(key)?;
        self.backend_tls(pool).cloned()
    }

    /// There are requests that [`Core::go_on`] takes up: sent ahead by clients, or made here.
    #[must_use]
    pub fn has_runnable(&self) -> bool {
        !self.runnable.is_empty() || self.updates.is_runnable() || self.errands.is_runnable()
    }

    /// Takes up requests that clients have sent ahead.
    pub fn go_on(&mut self, actions: &mut Actions) {
        self.settle(actions);
    }

    /// Client connections at present.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Rows in use: clients, and connections to backends.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.rows.len()
    }

    /// Timers that are set.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.wheel.len()
    }

    /// Channels that somebody is subscribed to.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.hub.channel_count()
    }

    /// Routes that are kept: those of the table, and older ones that are still in use.
    #[must_use]
    pub fn routes_kept(&self) -> usize {
        self.routes.len()
    }

    /// Takes a row out, for [`Action::Close`]. Its part of every table must be gone already.
    pub fn remove(&mut self, key: ConnKey) -> Option<Row<S>> {
        self.wheel.cancel(&mut self.rows, key);
        self.rows.remove(key)
    }

    /// Whether clients are to be announced ([`Core::take_seen`]); turning it on announces all that
    /// are there.
    pub fn set_announcing(&mut self, is_announcing: bool) {
        if is_announcing && !self.is_announcing {
            self.announce_all();
        }
        self.is_announcing = is_announcing;
    }

    /// Announces every client that has asked for something.
    pub fn announce_all(&mut self) {
        for (conn, row) in self.rows.iter() {
            if row.flags.is_announced && self.seen.len() < SEEN_MAX {
                self.seen.push(ClientSeen {
                    conn,
                    serial: row.serial,
                    is_gone: false,
                    is_ssl: row.flags.is_ssl,
                    peer: row.socket.peer_ip(),
                });
            }
        }
    }

    /// Clients that came or went since the last call.
    pub fn take_seen(&mut self) -> std::vec::Drain<'_, ClientSeen> {
        self.seen.drain(..)
    }

    /// Changes in the numbers of subscribers, for the control thread: at most `max` channels.
    /// Answers how many are left.
    pub fn drain_changes(
        &mut self,
        max: usize,
        each: &mut impl FnMut(hub::Mode, &Arc<str>, i32),
    ) -> usize {
        self.hub.drain_changes(max, each)
    }

    /// When something is due at the latest.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        let timers = self.wheel.next_due_ms();
        let limited = self.limiter.as_ref().and_then(|limiter| limiter.due_ms());
        [timers, self.updates.due_ms(), limited]
            .into_iter()
            .flatten()
            .min()
    }

    fn insert(&mut self, state: State, is_ssl: bool) -> ConnKey {
        self.serial = self.serial.wrapping_add(1);
        self.rows.insert(Row {
            socket: S::default(),
            timer: TimerLinks::new(),
            serial: self.serial,
            flags: Flags {
                is_ssl,
                ..Flags::default()
            },
            state,
        })
    }

    /// Which connection of its row this is; 0 if there is none.
    fn serial_of(&self, key: ConnKey) -> u32 {
        self.rows.get(key).map_or(0, |row| row.serial)
    }

    fn set_state(&mut self, key: ConnKey, state: State) {
        if let Some(row) = self.rows.get_mut(key) {
            row.state = state;
        }
    }

    fn take_state(&mut self, key: ConnKey) -> State {
        match self.rows.get_mut(key) {
            Some(row) => std::mem::replace(&mut row.state, State::Gone),
            None => State::Gone,
        }
    }

    fn schedule_in(&mut self, key: ConnKey, ms: u64) {
        self.wheel.schedule(&mut self.rows, key, self.now.ms + ms);
    }

    fn take_spare(&mut self) -> Box<Exchange> {
        self.spare
            .pop()
            .unwrap_or_else(|| Box::new(Exchange::new()))
    }

    /// Ends an exchange: its route has one user less, its box is kept for the next one.
    fn retire(&mut self, mut exchange: Box<Exchange>) {
        self.routes.leave(exchange.route);
        if self.spare.len() < SPARE_EXCHANGES_MAX && exchange.buffers_len() <= SPARE_BUFFERS_LEN_MAX
        {
            exchange.reset();
            self.spare.push(exchange);
        }
    }
}
