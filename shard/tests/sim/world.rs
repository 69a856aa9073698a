//! The world around one core: connections, the clock, and actions performed as the io side does.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use config::{Config, RouteTable};
use proto::grip::Item;
use shard::core::hub::Mode;
use shard::core::last_ids::LastIds;
use shard::core::settings::Listener;
use shard::core::{Action, Actions, ConnKey, Core, Data, Now, Row, Settings, Socket};
use shard::counters::ShardCounters;

use crate::wire::{Peer, PeerSide, Wire};

/// The io side's part of a row: which wire it is.
#[derive(Debug, Default)]
pub(crate) struct SimSocket {
    wire: Option<usize>,
}

impl Socket for SimSocket {
    fn peer_ip(&self) -> Option<IpAddr> {
        None
    }
}

/// What came of an action. The serial keeps it from reaching a later connection of the same key.
#[derive(Debug, Clone, Copy)]
enum Feedback {
    Blocked(ConnKey, u32),
    Overflowed(ConnKey, u32),
}

/// Bytes that one call may add to an outbox that is full already.
const OUTBOX_SLACK: usize = 32 * 1024;

/// A name that the shard wants to know the addresses of.
#[derive(Debug)]
pub(crate) struct Question {
    key: ConnKey,
    serial: u32,
    pub(crate) port: u16,
}

/// One shard and all it is connected to.
pub(crate) struct World {
    pub(crate) core: Core<SimSocket>,
    pub(crate) counters: Arc<ShardCounters>,
    pub(crate) wires: Vec<Wire>,
    /// Wires of backends, in the order in which they were asked for.
    pub(crate) backends: Vec<usize>,
    pub(crate) now_ms: u64,
    /// Subscribers by channel, as the core reports them.
    pub(crate) subscribers: BTreeMap<(Mode, String), i64>,
    /// Wires that overflowed.
    pub(crate) overflowed: Vec<usize>,
    /// Backend wires that were written to, in this order.
    pub(crate) written: Vec<usize>,
    /// Names that the shard has asked the addresses of, in this order.
    pub(crate) questions: Vec<Question>,
    actions: Actions,
    feedback: Vec<Feedback>,
    outbox_max: usize,
}

/// Settings whose limits a small world can reach.
pub(crate) fn small_config() -> Config {
    let mut config = Config::default();
    config.http.header_timeout_s = 1000;
    config.http.body_idle_timeout_s = 1000;
    config.http.outbox_max = 8 * 1024;
    config.proxy.connect_timeout_s = 1000;
    config.proxy.response_timeout_s = 1000;
    config.proxy.body_timeout_s = 1000;
    config.proxy.backend_keep_alive_s = 1000;
    config.proxy.replay_max = 4096;
    config.proxy.debug = true;
    config
}

pub(crate) fn table(lines: &str) -> Arc<RouteTable> {
    let (table, errors) = RouteTable::parse(lines, Path::new(""));
    assert!(errors.is_empty(), "{errors:?}");
    Arc::new(table)
}

impl World {
    pub(crate) fn new(config: Config, routes: &str) -> Self {
        Self::one_of(1, config, routes, Arc::default())
    }

    /// One of several shards, which share the table of last ids.
    pub(crate) fn one_of(
        shards: usize,
        config: Config,
        routes: &str,
        last_ids: Arc<LastIds>,
    ) -> Self {
        let counters = Arc::new(ShardCounters::default());
        let now = Now {
            ms: 10_000,
            unix_s: 1_700_000_000,
        };
        let outbox_max = config.http.outbox_max;
        let listeners = vec![Listener { is_ssl: false }];
        let mut settings = Settings::new(Arc::new(config), listeners, shards);
        settings.last_ids = last_ids;
        let mut core = Core::new(settings, Arc::clone(&counters), now);
        core.replace_routes(table(routes));
        Self {
            core,
            counters,
            wires: Vec::new(),
            backends: Vec::new(),
            now_ms: now.ms,
            subscribers: BTreeMap::new(),
            overflowed: Vec::new(),
            written: Vec::new(),
            questions: Vec::new(),
            actions: Actions::default(),
            feedback: Vec::new(),
            outbox_max,
        }
    }

    /// A client connects.
    pub(crate) fn accept(&mut self) -> usize {
        let key = self.core.accept(0, &mut self.actions);
        let wire = self.add_wire(key, Peer::Client);
        self.perform(&[]);
        wire
    }

    fn add_wire(&mut self, key: ConnKey, peer: Peer) -> usize {
        let row = self
            .core
            .socket_mut(key)
            .expect("a new connection has a row");
        row.socket.wire = Some(self.wires.len());
        let serial = row.serial();
        self.wires.push(Wire::new(key, serial, peer));
        self.wires.len() - 1
    }

    /// The shard looks at a connection and reads up to `max` bytes.
    pub(crate) fn read(&mut self, wire: usize, max: usize) {
        let w = &mut self.wires[wire];
        if !w.is_readable() {
            return;
        }
        let key = w.key;
        if w.side == PeerSide::Reset {
            self.core.broken(key, &mut self.actions);
        } else if w.is_paused {
            w.is_end_told = true;
            self.core.peer_done(key, &mut self.actions);
        } else if w.incoming.is_empty() {
            w.is_end_told = true;
            self.core.ended(key, &mut self.actions);
        } else {
            let head_len_max = self.core.settings().config.http.client_buffer_size;
            let row_max = self
                .core
                .socket(key)
                .map_or(usize::MAX, |row| row.read_max(head_len_max));
            let count = max.min(row_max).clamp(1, w.incoming.len());
            let bytes: Vec<u8> = w.incoming.drain(..count).collect();
            w.read_len += count;
            self.core.received(key, &bytes, &mut self.actions);
            self.perform(&bytes);
            return;
        }
        self.perform(&[]);
    }

    /// The peer reads: the kernel takes more.
    pub(crate) fn make_room(&mut self, wire: usize, more: usize) {
        let w = &mut self.wires[wire];
        if !w.make_room(more) || w.is_closed {
            return;
        }
        w.is_output_ended |= w.is_finishing;
        let key = w.key;
        self.core.drained(key, &mut self.actions);
        self.perform(&[]);
    }

    /// The connection to a backend is there, or is not.
    pub(crate) fn connected(&mut self, wire: usize, is_connected: bool) {
        let w = &mut self.wires[wire];
        if w.is_closed || !w.is_connecting {
            return;
        }
        w.is_connecting = false;
        let key = w.key;
        self.core.connected(key, is_connected, &mut self.actions);
        self.perform(&[]);
    }

    /// Time passes, and timers fire.
    pub(crate) fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        let unix_s = 1_700_000_000 + self.now_ms / 1000;
        self.core.set_now(Now {
            ms: self.now_ms,
            unix_s,
        });
        self.core.expire(&mut self.actions);
        self.perform(&[]);
        self.deliver_limited();
    }

    /// Items are released.
    pub(crate) fn publish(&mut self, body: &str) {
        let items = proto::grip::parse_publish_body(body.as_bytes()).unwrap();
        let items: Vec<_> = items.into_iter().map(Arc::new).collect();
        self.release(&items);
    }

    /// Items come out of the ring.
    pub(crate) fn release(&mut self, items: &[Arc<Item>]) {
        self.core.publish(items);
    }

    /// A name was looked up; without addresses: in vain.
    pub(crate) fn resolve(&mut self, place: usize, addresses: &[SocketAddr]) {
        let question = self.questions.remove(place);
        let row = self.core.socket(question.key);
        // The time for the answer may be over.
        if row.is_some_and(|row| row.serial() == question.serial) {
            self.core
                .resolved(question.key, addresses, &mut self.actions);
            self.perform(&[]);
        }
    }

    /// One slice is delivered; false: nothing was left.
    pub(crate) fn deliver(&mut self, max: usize) -> bool {
        let count = self.core.deliver(max, &mut self.actions);
        self.perform(&[]);
        if count == 0 {
            self.deliver_limited();
        }
        count > 0
    }

    /// What the rate allows is delivered, as at the end of a turn.
    fn deliver_limited(&mut self) {
        while self.core.deliver_limited(&mut self.actions) {
            self.perform(&[]);
            self.core.delivered();
        }
    }

    pub(crate) fn drain(&mut self, timeout_ms: u64) {
        self.core.drain(timeout_ms, &mut self.actions);
        self.perform(&[]);
    }

    /// Brings [`World::subscribers`] up to date.
    pub(crate) fn count_subscribers(&mut self) {
        let counts = &mut self.subscribers;
        while self.core.drain_changes(100, &mut |mode, channel, delta| {
            *counts.entry((mode, channel.to_string())).or_default() += i64::from(delta);
        }) > 0
        {}
        counts.retain(|_, count| *count != 0);
    }

    fn perform(&mut self, input: &[u8]) {
        let mut input = input;
        loop {
            self.perform_list(input);
            if self.feedback.is_empty() && self.core.has_runnable() {
                self.core.go_on(&mut self.actions);
                input = &[];
                continue;
            }
            if self.feedback.is_empty() {
                break;
            }
            for feedback in std::mem::take(&mut self.feedback) {
                self.feed_back(feedback);
            }
            input = &[];
        }
        self.every_row_has_its_connection();
    }

    fn feed_back(&mut self, feedback: Feedback) {
        let (Feedback::Blocked(key, serial) | Feedback::Overflowed(key, serial)) = feedback;
        if self
            .core
            .socket(key)
            .is_none_or(|row| row.serial() != serial)
        {
            return;
        }
        match feedback {
            Feedback::Blocked(..) => self.core.blocked(key, &mut self.actions),
            Feedback::Overflowed(..) => self.core.overflowed(key, &mut self.actions),
        }
    }

    fn perform_list(&mut self, input: &[u8]) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in &actions.list {
            self.perform_one(action, &actions, input);
        }
        actions.clear();
        self.actions = actions;
    }

    fn perform_one(&mut self, action: &Action, actions: &Actions, input: &[u8]) {
        if let Action::Connect { conn, address, .. } = action {
            self.connect(*conn, *address);
            return;
        }
        if let Action::Resolve { conn, port, .. } = action {
            let serial = self.core.socket(*conn).map_or(0, Row::serial);
            self.questions.push(Question {
                key: *conn,
                serial,
                port: *port,
            });
            return;
        }
        // Rows without a wire are the shard's own requests: they only ever end.
        if let Action::Close(conn) = action
            && self
                .core
                .socket(*conn)
                .is_some_and(|row| row.socket.wire.is_none())
        {
            self.core.remove(*conn);
            return;
        }
        let (Action::Send { conn, .. }
        | Action::Connect { conn, .. }
        | Action::Resolve { conn, .. }
        | Action::PauseReading(conn)
        | Action::ResumeReading(conn)
        | Action::Close(conn)
        | Action::Reset(conn)
        | Action::Finish(conn)) = action;
        let wire = self.wire_of(*conn, action);
        let w = &mut self.wires[wire];
        match action {
            Action::Send { data, .. } => self.send(wire, bytes_of(data, actions, input)),
            Action::Connect { .. } | Action::Resolve { .. } => {}
            Action::PauseReading(_) => w.is_paused = true,
            Action::ResumeReading(_) => {
                w.is_paused = false;
                w.is_end_told = false;
            }
            Action::Finish(_) if w.outbox.is_empty() => w.is_output_ended = true,
            Action::Finish(_) => w.is_finishing = true,
            Action::Close(_) | Action::Reset(_) => {
                w.is_closed = true;
                w.outbox.clear();
                self.core.remove(*conn);
            }
        }
    }

    fn wire_of(&self, conn: ConnKey, action: &Action) -> usize {
        let row = self.core.socket(conn);
        let row =
            row.unwrap_or_else(|| panic!("an action names an unknown connection: {action:?}"));
        row.socket.wire.expect("a connection that was never opened")
    }

    fn connect(&mut self, conn: ConnKey, address: SocketAddr) {
        let wire = self.add_wire(conn, Peer::Backend(address));
        self.wires[wire].is_connecting = true;
        self.backends.push(wire);
    }

    fn send(&mut self, wire: usize, bytes: &[u8]) {
        let w = &mut self.wires[wire];
        assert!(
            !w.is_connecting,
            "bytes for a connection that is not there yet"
        );
        if !w.is_client() {
            self.written.push(wire);
        }
        if w.outbox.is_empty() {
            w.write(bytes);
            if !w.outbox.is_empty() {
                self.feedback.push(Feedback::Blocked(w.key, w.serial));
            }
            return;
        }
        if w.outbox.len() >= self.outbox_max {
            self.overflowed.push(wire);
            self.feedback.push(Feedback::Overflowed(w.key, w.serial));
        }
        w.outbox.extend_from_slice(bytes);
        let bound = self.outbox_max + OUTBOX_SLACK;
        assert!(
            w.outbox.len() <= bound,
            "outboxes are bounded: {} bytes wait",
            w.outbox.len()
        );
    }

    fn every_row_has_its_connection(&self) {
        // Rows leak or are lost silently otherwise; the count is enough, since each action was
        // checked to name an open one.
        let open = self.open_wires().count();
        assert_eq!(
            self.core.connections(),
            open + self.core.errands(),
            "every row has its connection or is an errand, every connection its row"
        );
    }

    pub(crate) fn open_wires(&self) -> impl Iterator<Item = &Wire> {
        self.wires.iter().filter(|wire| !wire.is_closed)
    }
}

fn bytes_of<'a>(data: &Data, actions: &'a Actions, input: &'a [u8]) -> &'a [u8] {
    match data {
        Data::Input(range) => &input[range.clone()],
        Data::Scratch(range) => &actions.scratch[range.clone()],
        Data::Shared(index, range) => &actions.shared[*index].as_slice()[range.clone()],
    }
}
