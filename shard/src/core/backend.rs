//! The backend's side: a connection for each request, out of a pool, on the first target that works.

use std::net::IpAddr;

use config::TargetKind;
use proto::http::is_idempotent;
use proto::http1::encode;

use super::actions::{Action, Actions};
use super::answer::Refusal;
use super::conn::{Backend, BackendPhase, State};
use super::exchange::{Exchange, Link, ResponsePhase, UploadFraming};
use super::filter::RequestFailure;
use super::pools::{Acquired, PoolId, PoolKey};
use super::{ConnKey, Core, Socket};

/// The GRIP features announced to backends (proxy.md section 6.4).
const GRIP_FEATURES: &[u8] = b"status, session, link:next, link:gone, filter:skip-self, \
filter:skip-users, filter:require-sub, filter:build-id, filter:var-subst, filter:http-check, \
filter:http-modify";

/// How a backend connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It closed in order.
    Ended,
    /// It was reset, or a write failed.
    Broken,
    /// It took too long.
    TimedOut,
}

impl<S: Socket> Core<S> {
    /// Sends a request to the target it has reached, or to the next that can take it.
    pub(super) fn dispatch(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        actions: &mut Actions,
    ) {
        if exchange.elsewhere.is_some() {
            self.dispatch_elsewhere(key, exchange, actions);
            return;
        }
        loop {
            match self.target_kind(&exchange) {
                None => {
                    self.counters.errors.backend_connect_failed.add(1);
                    let why = self.targets_tried(&exchange);
                    let refusal = Refusal::gateway(self.is_debug(exchange.route), why);
                    self.fail(key, exchange, &refusal, actions);
                    return;
                }
                Some(TargetKind::Test) => {
                    self.answer_as_test_target(key, exchange, actions);
                    return;
                }
                Some(TargetKind::Http { .. }) => {}
                Some(TargetKind::Zhttp { .. }) => {
                    exchange.target += 1;
                    exchange.address = 0;
                    continue;
                }
            }
            if self.is_blocked_target(&exchange) {
                let why = "Error: Origin host/IP blocked.";
                let refusal = Refusal::gateway(self.is_debug(exchange.route), why);
                self.fail(key, exchange, &refusal, actions);
                return;
            }
            let pool = self.routes.get(exchange.route).and_then(|local| {
                local
                    .pools
                    .get(exchange.target)?
                    .get(exchange.address)
                    .copied()
            });
            if let Some(pool) = pool {
                self.dispatch_to(key, exchange, pool, actions);
                return;
            }
            exchange.target += 1;
            exchange.address = 0;
        }
    }

    /// Sends a request to the host that its link names.
    fn dispatch_elsewhere(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        actions: &mut Actions,
    ) {
        let Some(elsewhere) = exchange.elsewhere.as_deref() else {
            return;
        };
        if elsewhere.addresses.is_empty() {
            let (host, port) = (elsewhere.host.clone(), elsewhere.port);
            exchange.backend = Link::Resolving;
            self.schedule_in(key, self.settings.connect_timeout_ms);
            self.set_state(key, State::Exchange(exchange));
            actions.list.push(Action::Resolve {
                conn: key,
                host,
                port,
            });
            return;
        }
        let address = elsewhere.addresses.get(exchange.address).copied();
        let is_allowed = |ip| !(elsewhere.is_untrusted && is_inside(ip));
        let Some(address) = address.filter(|address| is_allowed(address.ip())) else {
            let refusal = Refusal::new(502, "connection refused");
            self.fail(key, exchange, &refusal, actions);
            return;
        };
        let tls = elsewhere.tls.clone();
        let pool = self.pools.id(&PoolKey { address, tls });
        self.dispatch_to(key, exchange, pool, actions);
    }

    /// Whether the target is `untrusted` and its address one of those that only insiders may reach
    /// (proxy.md section 7.2).
    fn is_blocked_target(&self, exchange: &Exchange) -> bool {
        let local = self.routes.get(exchange.route);
        let target = local.and_then(|local| local.route.targets.get(exchange.target));
        target.is_some_and(|target| {
            let address = target.resolved.get(exchange.address);
            target.untrusted && address.is_some_and(|address| is_inside(address.ip()))
        })
    }

    fn dispatch_to(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        pool: PoolId,
        actions: &mut Actions,
    ) {
        let mut acquired = self.pools.acquire(pool, exchange.needs_fresh);
        if acquired == Acquired::Full {
            // Those who have left still stand in the queue.
            self.forget_gone(pool);
            acquired = self.pools.acquire(pool, exchange.needs_fresh);
        }
        match acquired {
            Acquired::Idle(backend) => {
                self.counters.connections.backends_idle.sub(1);
                self.set_phase(
                    backend,
                    BackendPhase::Busy {
                        client: key,
                        is_reused: true,
                    },
                );
                exchange.backend = Link::Open(backend);
                self.send_request(key, &mut exchange, backend, actions);
            }
            Acquired::Open => {
                let backend = self.open_backend(pool, key, actions);
                exchange.backend = Link::Connecting(backend);
                self.pause_full_upload(key, &exchange, actions);
            }
            Acquired::Full => {
                self.refuse_busy(key, exchange, actions);
                return;
            }
            Acquired::Wait => {
                exchange.backend = Link::Waiting;
                self.schedule_in(key, self.settings.connect_timeout_ms);
                let serial = self.serial_of(key);
                if let Some(pool) = self.pools.get_mut(pool) {
                    pool.waiting.push_back((key, serial));
                }
                self.pause_full_upload(key, &exchange, actions);
            }
        }
        self.set_state(key, State::Exchange(exchange));
    }

    fn refuse_busy(&mut self, key: ConnKey, exchange: Box<Exchange>, actions: &mut Actions) {
        self.counters.errors.backend_busy.add(1);
        let refusal = Refusal::new(503, "Backend is busy.");
        self.fail(key, exchange, &refusal, actions);
    }

    fn pause_full_upload(&mut self, key: ConnKey, exchange: &Exchange, actions: &mut Actions) {
        let is_full = exchange.request.content_len() >= self.settings.config.proxy.replay_max;
        if !exchange.upload.is_complete() && is_full {
            // It is we who make the client wait now.
            if exchange.backend != Link::Waiting {
                self.wheel.cancel(&mut self.rows, key);
            }
            actions.list.push(Action::PauseReading(key));
        }
    }

    /// Makes the row of a new backend connection, counted in its pool already.
    fn open_backend(&mut self, pool: PoolId, client: ConnKey, actions: &mut Actions) -> ConnKey {
        let phase = BackendPhase::Connecting(client);
        let backend = self.insert(State::Backend(Backend { pool, phase }), false);
        self.counters.connections.backends.add(1);
        self.schedule_in(backend, self.settings.connect_timeout_ms);
        if let Some(pool_entry) = self.pools.get(pool) {
            let address = pool_entry.key.address;
            actions.list.push(Action::Connect {
                conn: backend,
                address,
                pool,
            });
        }
        backend
    }

    /// A connection that was asked for is there, or is not.
    pub fn connected(&mut self, backend: ConnKey, is_connected: bool, actions: &mut Actions) {
        let Some((pool, BackendPhase::Connecting(client))) = self.backend_of(backend) else {
            return;
        };
        if !is_connected {
            self.connect_failed(backend, pool, client, actions);
            self.settle(actions);
            return;
        }
        self.set_phase(
            backend,
            BackendPhase::Busy {
                client,
                is_reused: false,
            },
        );
        if let State::Exchange(mut exchange) = self.take_state(client) {
            exchange.backend = Link::Open(backend);
            self.send_request(client, &mut exchange, backend, actions);
            self.set_state(client, State::Exchange(exchange));
        }
        self.settle(actions);
    }

    fn connect_failed(
        &mut self,
        backend: ConnKey,
        pool: PoolId,
        client: ConnKey,
        actions: &mut Actions,
    ) {
        self.drop_backend(backend, pool, actions);
        if let State::Exchange(mut exchange) = self.take_state(client) {
            exchange.backend = Link::None;
            self.counters.requests.failovers.add(1);
            exchange.address += 1;
            self.dispatch(client, exchange, actions);
        }
    }

    /// Whether this is a connection to a backend.
    #[must_use]
    pub fn is_backend(&self, key: ConnKey) -> bool {
        self.backend_of(key).is_some()
    }

    /// Whether a connection is still being opened.
    #[must_use]
    pub fn is_connecting(&self, key: ConnKey) -> bool {
        matches!(self.backend_of(key), Some((_, BackendPhase::Connecting(_))))
    }

    /// Writes the request to an open connection: the stored part, what is made anew for each
    /// attempt, and the content so far.
    fn send_request(
        &mut self,
        key: ConnKey,
        exchange: &mut Exchange,
        backend: ConnKey,
        actions: &mut Actions,
    ) {
        let start = actions.scratch.len();
        let out = &mut actions.scratch;
        out.extend_from_slice(exchange.request.before_host());
        self.write_host(exchange, out);
        out.extend_from_slice(exchange.request.behind_host());
        self.write_grip_fields(exchange, out);
        write_framing(exchange, out);
        encode::end_of_head(out);
        self.counters
            .bytes
            .server_header_sent
            .add((out.len() - start) as u64);
        write_content(exchange, out);
        self.counters
            .bytes
            .server_content_sent
            .add(exchange.request.content_len() as u64);
        actions.send_scratch(backend, start);
        self.schedule_in(backend, self.settings.response_timeout_ms);
        if exchange.upload.is_complete() {
            // From here on the backend's timer is the one that counts.
            self.wheel.cancel(&mut self.rows, key);
            if let Some(due_ms) = exchange.errand.as_ref().and_then(|errand| errand.due_ms) {
                self.wheel.schedule(&mut self.rows, key, due_ms);
            }
        } else {
            self.go_on_uploading(key, exchange, actions);
        }
        if self.is_blocked(key) {
            // Blocked since before there was anybody to pause.
            actions.list.push(Action::PauseReading(backend));
        }
    }

    /// Whether output waits for this connection's peer.
    pub(super) fn is_blocked(&self, key: ConnKey) -> bool {
        self.rows.get(key).is_some_and(|row| row.flags.is_blocked)
    }

    /// The backend is there: now the rest of the content may come.
    pub(super) fn go_on_uploading(
        &mut self,
        key: ConnKey,
        exchange: &mut Exchange,
        actions: &mut Actions,
    ) {
        if exchange.request.content_len() > self.settings.config.proxy.replay_max {
            exchange.upload.is_replayable = false;
            exchange.request.drop_content();
        }
        if std::mem::take(&mut exchange.upload.owes_continue) {
            let start = actions.scratch.len();
            actions
                .scratch
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            actions.send_scratch(key, start);
        }
        self.schedule_in(key, self.settings.body_idle_timeout_ms);
        actions.list.push(Action::ResumeReading(key));
    }

    fn write_host(&self, exchange: &Exchange, out: &mut Vec<u8>) {
        let target = self
            .routes
            .get(exchange.route)
            .and_then(|local| local.route.targets.get(exchange.target))
            .filter(|_| exchange.elsewhere.is_none());
        match target.and_then(|target| target.host.as_ref()) {
            Some(host) => out.extend_from_slice(host.to_string().as_bytes()),
            None => out.extend_from_slice(exchange.request.host()),
        }
    }

    fn write_grip_fields(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        let unix_s = self.now.unix_s;
        let Some(local) = self.routes.get_mut(exchange.route) else {
            return;
        };
        if exchange.terms.is_trusted || local.route.no_grip {
            return;
        }
        if let Some(signer) = &mut local.signer {
            encode::field(out, "Grip-Sig", signer.token(unix_s).as_bytes());
        }
        encode::field(out, "Grip-Feature", GRIP_FEATURES);
        out.extend_from_slice(&exchange.positions);
    }

    /// Bytes have come from a backend.
    pub(super) fn backend_received(
        &mut self,
        backend: ConnKey,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        match self.backend_of(backend) {
            Some((_, BackendPhase::Busy { client, .. })) => {
                if let State::Exchange(exchange) = self.take_state(client) {
                    self.response_received(client, exchange, backend, bytes, actions);
                }
            }
            // Bytes that nobody asked for: whatever they are, they must not answer a later request.
            Some((pool, BackendPhase::Idle)) => {
                self.pools.remove_idle(pool, backend);
                self.counters.connections.backends_idle.sub(1);
                self.drop_backend(backend, pool, actions);
            }
            Some((_, BackendPhase::Connecting(_))) | None => {}
        }
    }

    /// The backend has ended its side.
    pub(super) fn backend_ended(&mut self, backend: ConnKey, actions: &mut Actions) {
        self.lose_backend(backend, Loss::Ended, actions);
    }

    /// The connection is broken.
    pub(super) fn backend_broken(&mut self, backend: ConnKey, actions: &mut Actions) {
        self.lose_backend(backend, Loss::Broken, actions);
    }

    /// A backend connection is of no more use; whom it served must be told or helped.
    pub(super) fn lose_backend(&mut self, backend: ConnKey, loss: Loss, actions: &mut Actions) {
        match self.backend_of(backend) {
            Some((pool, BackendPhase::Idle)) => {
                self.pools.remove_idle(pool, backend);
                self.counters.connections.backends_idle.sub(1);
                self.drop_backend(backend, pool, actions);
            }
            Some((pool, BackendPhase::Connecting(client))) => {
                self.connect_failed(backend, pool, client, actions);
            }
            Some((pool, BackendPhase::Busy { client, is_reused })) => {
                self.drop_backend(backend, pool, actions);
                if let State::Exchange(mut exchange) = self.take_state(client) {
                    exchange.backend = Link::None;
                    self.lost_while_busy(client, exchange, is_reused, loss, actions);
                }
            }
            None => {}
        }
    }

    fn lost_while_busy(
        &mut self,
        client: ConnKey,
        mut exchange: Box<Exchange>,
        is_reused: bool,
        loss: Loss,
        actions: &mut Actions,
    ) {
        let is_untouched =
            matches!(&exchange.response, ResponsePhase::Head(head) if head.is_empty());
        let method = std::str::from_utf8(exchange.request.method()).unwrap_or_default();
        // The connection was closed while it waited in the pool, most likely: RFC 9110 section
        // 9.2.2 allows to send a request again that does the same twice.
        if is_untouched
            && is_reused
            && loss != Loss::TimedOut
            && exchange.upload.is_replayable
            && is_idempotent(method)
        {
            self.counters.requests.backend_retries.add(1);
            exchange.needs_fresh = true;
            self.dispatch(client, exchange, actions);
            return;
        }
        if loss == Loss::Ended && self.ends_well(&exchange) {
            self.response_ended(client, exchange, None, actions);
            return;
        }
        if loss == Loss::TimedOut {
            self.counters.errors.backend_timeout.add(1);
        } else {
            self.counters.errors.backend_broke_off.add(1);
        }
        let why = match loss {
            Loss::TimedOut => "Backend did not answer in time.",
            Loss::Ended | Loss::Broken => {
                "Backend closed the connection before its response was complete."
            }
        };
        if exchange.errand.is_some() {
            let failure = match loss {
                Loss::TimedOut => RequestFailure::ConnectionTimedOut,
                Loss::Ended | Loss::Broken => RequestFailure::Disconnected,
            };
            self.errand_failed(client, exchange, failure, actions);
            return;
        }
        let refusal = Refusal::gateway(self.is_debug(exchange.route), why);
        self.fail(client, exchange, &refusal, actions);
    }

    /// Puts a connection back into its pool, or gives it to the request that waits longest.
    pub(super) fn release_backend(&mut self, backend: ConnKey, actions: &mut Actions) {
        let Some((pool, _)) = self.backend_of(backend) else {
            return;
        };
        if let Some(client) = self.next_waiting(pool) {
            self.set_phase(
                backend,
                BackendPhase::Busy {
                    client,
                    is_reused: true,
                },
            );
            if let State::Exchange(mut exchange) = self.take_state(client) {
                exchange.backend = Link::Open(backend);
                self.send_request(client, &mut exchange, backend, actions);
                self.set_state(client, State::Exchange(exchange));
            }
            return;
        }
        self.set_phase(backend, BackendPhase::Idle);
        self.schedule_in(backend, self.settings.backend_keep_alive_ms);
        self.counters.connections.backends_idle.add(1);
        let idle_max = self.settings.config.proxy.backend_idle_max;
        let Some(entry) = self.pools.get_mut(pool) else {
            return;
        };
        entry.idle.push(backend);
        if entry.idle.len() > idle_max {
            let oldest = entry.idle.remove(0);
            self.counters.connections.backends_idle.sub(1);
            self.drop_backend(oldest, pool, actions);
        }
    }

    /// Closes a connection and lets a waiting request open one of its own.
    pub(super) fn drop_backend(&mut self, backend: ConnKey, pool: PoolId, actions: &mut Actions) {
        self.set_state(backend, State::Gone);
        self.wheel.cancel(&mut self.rows, backend);
        self.counters.connections.backends.sub(1);
        actions.list.push(Action::Close(backend));
        if let Some(entry) = self.pools.get_mut(pool) {
            entry.open = entry.open.saturating_sub(1);
        }
        let Some(client) = self.next_waiting(pool) else {
            return;
        };
        if let Some(entry) = self.pools.get_mut(pool) {
            entry.open += 1;
        }
        let fresh = self.open_backend(pool, client, actions);
        if let Some(row) = self.rows.get_mut(client)
            && let State::Exchange(exchange) = &mut row.state
        {
            exchange.backend = Link::Connecting(fresh);
        }
    }

    /// Takes away the backend connection of an exchange that ends early.
    pub(super) fn let_go_of_backend(&mut self, exchange: &mut Exchange, actions: &mut Actions) {
        match std::mem::replace(&mut exchange.backend, Link::None) {
            Link::Open(backend) | Link::Connecting(backend) => {
                if let Some((pool, _)) = self.backend_of(backend) {
                    self.drop_backend(backend, pool, actions);
                }
            }
            // Its place in the queue is skipped when its turn comes.
            Link::Waiting | Link::Resolving | Link::Following | Link::None => {}
        }
    }

    /// Takes those off the front of a queue who wait no more. They grow old in order.
    fn forget_gone(&mut self, pool: PoolId) {
        if let Some(client) = self.next_waiting(pool) {
            let serial = self.serial_of(client);
            if let Some(entry) = self.pools.get_mut(pool) {
                entry.waiting.push_front((client, serial));
            }
        }
    }

    fn next_waiting(&mut self, pool: PoolId) -> Option<ConnKey> {
        loop {
            let (client, serial) = self.pools.get_mut(pool)?.waiting.pop_front()?;
            let is_waiting = self.rows.get(client).is_some_and(|row| {
                row.serial == serial
                    && matches!(&row.state, State::Exchange(exchange) if exchange.backend == Link::Waiting)
            });
            if is_waiting {
                return Some(client);
            }
        }
    }

    pub(super) fn backend_of(&self, key: ConnKey) -> Option<(PoolId, BackendPhase)> {
        match &self.rows.get(key)?.state {
            State::Backend(backend) => Some((backend.pool, backend.phase)),
            _ => None,
        }
    }

    /// Something has come back for a request: its connection was not stale.
    pub(super) fn note_alive(&mut self, client: ConnKey, exchange: &Exchange) {
        if let Some(backend) = exchange.open_backend() {
            let is_reused = false;
            self.set_phase(backend, BackendPhase::Busy { client, is_reused });
        }
    }

    fn set_phase(&mut self, key: ConnKey, phase: BackendPhase) {
        if let Some(row) = self.rows.get_mut(key)
            && let State::Backend(backend) = &mut row.state
        {
            backend.phase = phase;
        }
    }

    fn targets_tried(&self, exchange: &Exchange) -> String {
        let Some(local) = self.routes.get(exchange.route) else {
            return "Unable to connect to any targets.".to_owned();
        };
        let names: Vec<&str> = local
            .route
            .targets
            .iter()
            .map(|target| target.text.as_str())
            .collect();
        format!(
            "Unable to connect to any targets. Tried: {}",
            names.join(", ")
        )
    }
}

/// Loopback, private and link-local addresses, and those that mean this machine. An IPv4 address
/// in IPv6 clothes is judged as what it is.
fn is_inside(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_unspecified()
        }
    }
}

/// Framing of the content towards the backend. Of a content that is complete the length is known.
fn write_framing(exchange: &mut Exchange, out: &mut Vec<u8>) {
    if exchange.upload.is_complete() && exchange.upload.is_replayable {
        let len = exchange.request.content_len() as u64;
        exchange.upload.framing = UploadFraming::Length(len);
        let needs_none = matches!(exchange.request.method(), b"GET" | b"HEAD" | b"OPTIONS");
        if len > 0 || !needs_none {
            encode::content_length(out, len);
        }
        return;
    }
    match exchange.upload.framing {
        UploadFraming::Length(len) => encode::content_length(out, len),
        UploadFraming::Chunked => encode::transfer_encoding_chunked(out),
        UploadFraming::None => {}
    }
}

fn write_content(exchange: &Exchange, out: &mut Vec<u8>) {
    let content = exchange.request.content();
    if exchange.upload.framing == UploadFraming::Chunked {
        encode::chunk(out, content);
    } else {
        out.extend_from_slice(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_addresses_are_told_from_public_ones() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.0.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_inside(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_inside(outside.parse().unwrap()), "{outside}");
        }
    }
}
