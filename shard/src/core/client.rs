//! The client's side: connections come and go, requests begin and end.

use config::{RouteQuery, TargetKind};
use proto::Parsed;
use proto::http::{Version, field_value};
use proto::http1::{RequestError, RequestHead, Slots, parse_request};

use super::actions::{Action, Actions};
use super::answer::Refusal;
use super::conn::{ClientTerms, State};
use super::cross_origin::{Arrival, arrive};
use super::exchange::Exchange;
use super::hold::HoldKind;
use super::hold::session::Session;
use super::rewrite::{RequestContext, store_request};
use super::routes::RouteId;
use super::{ClientSeen, ConnKey, Core, SEEN_MAX, Socket};

/// Clients over the limit that are told so at the same time; further ones are just closed.
const REFUSED_MAX: usize = 256;

/// Requests that are taken up in one call out of what clients sent ahead; the rest follows in the
/// next turn.
const SETTLED_MAX: usize = 64;

impl<S: Socket> Core<S> {
    /// A client has connected through this listener. Over the limit it is told so with a 503.
    pub fn accept(&mut self, listener: u16, actions: &mut Actions) -> ConnKey {
        let is_ssl = self
            .settings
            .listeners
            .get(usize::from(listener))
            .is_some_and(|l| l.is_ssl);
        let key = self.insert(State::Idle, is_ssl);
        self.counters.accepts.accepted.add(1);
        self.counters.connections.clients_idle.add(1);
        if self.clients >= self.settings.clients_max || self.draining_until_ms.is_some() {
            self.refuse(key, actions);
            return key;
        }
        self.clients += 1;
        self.schedule_in(key, self.settings.header_timeout_ms);
        key
    }

    /// Tells a client that there is no place for it; if many are being told, only closes.
    fn refuse(&mut self, key: ConnKey, actions: &mut Actions) {
        self.counters.accepts.refused_maxconn.add(1);
        self.refused += 1;
        if let Some(row) = self.rows.get_mut(key) {
            row.flags.is_refused = true;
        }
        if self.refused > REFUSED_MAX {
            self.close_client(key, actions);
            return;
        }
        let refusal = Refusal::new(503, "Too many connections.");
        self.refuse_unread(key, &refusal, actions);
    }

    /// Bytes have come from a connection. All of them are taken.
    pub fn received(&mut self, key: ConnKey, bytes: &[u8], actions: &mut Actions) {
        match self.rows.get(key).map(|row| &row.state) {
            Some(State::Idle) => self.begin(key, bytes, actions),
            Some(State::Head(_)) => self.add_to_head(key, bytes, actions),
            Some(State::Exchange(_)) => self.received_upload(key, bytes, actions),
            Some(State::Backend(_)) => self.backend_received(key, bytes, actions),
            // Nothing is read from a held client; one that finishes has nothing more to say.
            Some(State::Held(_) | State::Finishing | State::Gone) | None => {}
        }
        self.settle(actions);
    }

    /// The peer has ended its side, and everything before was given to [`Core::received`].
    pub fn ended(&mut self, key: ConnKey, actions: &mut Actions) {
        match self.rows.get_mut(key) {
            Some(row) => {
                row.flags.is_peer_done = true;
                row.flags.is_read_to_end = true;
            }
            None => return,
        }
        match self.rows.get(key).map(|row| &row.state) {
            // More of its requests are at hand.
            Some(State::Head(_)) if self.runnable.contains(&key) => {}
            Some(State::Idle | State::Head(_) | State::Held(_) | State::Finishing) => {
                self.close_unless_blocked(key, actions);
            }
            // The request is whole: a client may end its side and still wait for the answer.
            Some(State::Exchange(exchange)) if exchange.upload.is_complete() => {}
            Some(State::Exchange(_)) => self.close_client(key, actions),
            Some(State::Backend(_)) => self.backend_ended(key, actions),
            Some(State::Gone) | None => {}
        }
        self.settle(actions);
    }

    /// The peer of a connection that is not being read has ended its side.
    pub fn peer_done(&mut self, key: ConnKey, actions: &mut Actions) {
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        row.flags.is_peer_done = true;
        // Whoever has sent requests ahead is still answered; the end is seen behind them.
        if matches!(row.state, State::Held(_) | State::Idle | State::Finishing) {
            self.close_unless_blocked(key, actions);
        }
        self.settle(actions);
    }

    /// Closes a client that has ended its side, unless it still has to get what is queued for it:
    /// then [`Core::drained`] goes on.
    fn close_unless_blocked(&mut self, key: ConnKey, actions: &mut Actions) {
        let waits = self
            .rows
            .get(key)
            .is_some_and(|row| row.flags.is_blocked && !matches!(row.state, State::Held(_)));
        if !waits {
            self.close_client(key, actions);
        }
    }

    /// The connection is broken: reset, or a write failed.
    pub fn broken(&mut self, key: ConnKey, actions: &mut Actions) {
        match self.rows.get(key).map(|row| &row.state) {
            Some(State::Backend(_)) => self.backend_broken(key, actions),
            Some(State::Gone) | None => {}
            Some(_) => self.close_client(key, actions),
        }
        self.settle(actions);
    }

    /// More output is queued than the peer takes at once.
    pub fn blocked(&mut self, key: ConnKey, actions: &mut Actions) {
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        row.flags.is_blocked = true;
        match row.state {
            // The next answer would be queued behind this one, and so on without end.
            State::Idle | State::Head(_) => actions.list.push(Action::PauseReading(key)),
            // The time for the last bytes begins when they are on their way.
            State::Finishing => self.schedule_in(key, self.settings.body_timeout_ms),
            // A stream that is not read at all is not kept for ever.
            State::Held(ref hold) if hold.is_stream() => {
                self.schedule_in(key, self.settings.body_timeout_ms);
            }
            State::Exchange(_) | State::Held(_) | State::Backend(_) | State::Gone => {}
        }
        if let Some(peer) = self.partner(key) {
            actions.list.push(Action::PauseReading(peer));
            // Progress is now measured at the one who does not read.
            self.schedule_in(peer, self.settings.body_timeout_ms);
        }
    }

    /// Some of the queued output has been taken by the peer: it reads, if slowly.
    pub fn progressed(&mut self, key: ConnKey) {
        match self.rows.get(key).map(|row| &row.state) {
            Some(State::Held(hold)) if !hold.is_stream() => {}
            Some(State::Finishing | State::Held(_)) => {
                self.schedule_in(key, self.settings.body_timeout_ms);
            }
            Some(State::Exchange(_) | State::Backend(_)) => {
                if let Some(peer) = self.partner(key) {
                    self.schedule_in(peer, self.settings.body_timeout_ms);
                }
            }
            Some(State::Idle | State::Head(_)) if self.is_blocked(key) => {
                self.schedule_in(key, self.settings.body_timeout_ms);
            }
            Some(State::Idle | State::Head(_) | State::Gone) | None => {}
        }
    }

    /// All queued output has been taken by the peer.
    pub fn drained(&mut self, key: ConnKey, actions: &mut Actions) {
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        row.flags.is_blocked = false;
        let flags = row.flags;
        match &row.state {
            State::Idle if flags.is_read_to_end => self.close_client(key, actions),
            State::Idle => {
                self.schedule_in(key, self.settings.header_timeout_ms);
                actions.list.push(Action::ResumeReading(key));
            }
            State::Head(_) => {
                self.schedule_in(key, self.settings.header_timeout_ms);
                self.runnable.push_back(key);
            }
            State::Finishing if flags.is_peer_done => self.close_client(key, actions),
            State::Finishing => self.schedule_in(key, self.settings.linger_ms),
            State::Held(_) => {
                self.restore_hold_timer(key);
                self.want_missed_update(key);
                self.run_queue(key, actions);
            }
            State::Exchange(_) | State::Backend(_) | State::Gone => {}
        }
        if let Some(peer) = self.partner(key) {
            actions.list.push(Action::ResumeReading(peer));
            self.schedule_in(peer, self.settings.body_timeout_ms);
        }
        self.settle(actions);
    }

    /// A client has more queued than the limit allows: its connection ends.
    pub fn overflowed(&mut self, key: ConnKey, actions: &mut Actions) {
        let is_held = self
            .rows
            .get(key)
            .is_some_and(|row| matches!(row.state, State::Held(_)));
        if is_held {
            self.counters.deliveries.slow_clients_closed.add(1);
            self.close_client(key, actions);
        }
        self.settle(actions);
    }

    /// Whose bytes become this connection's output.
    fn partner(&self, key: ConnKey) -> Option<ConnKey> {
        match &self.rows.get(key)?.state {
            State::Exchange(exchange) => exchange.open_backend(),
            // What is fetched for this stream alone comes at its pace.
            State::Held(hold) => {
                let errand = hold.session()?.errand()?;
                let State::Exchange(exchange) = &self.rows.get(errand)?.state else {
                    return None;
                };
                let is_only = exchange.errand.as_ref()?.holders.len() == 1;
                exchange.open_backend().filter(|_| is_only)
            }
            State::Backend(backend) => {
                let client = backend.client()?;
                match &self.rows.get(client)?.state {
                    State::Exchange(exchange) if !exchange.upload.is_complete() => Some(client),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Lets every client go on that has its next request at hand already.
    ///
    /// A list instead of recursion: a client may send thousands of requests in one piece.
    pub(super) fn settle(&mut self, actions: &mut Actions) {
        self.settle_clients(actions);
        self.run_urgent(actions);
        self.run_orphans(actions);
        self.run_errands(actions);
        let gauges = &self.counters.updates;
        gauges.waiting.set(self.updates.len() as u64);
        gauges.errands.set(self.errands.len() as u64);
    }

    fn settle_clients(&mut self, actions: &mut Actions) {
        for _ in 0..SETTLED_MAX {
            let Some(key) = self.runnable.pop_front() else {
                return;
            };
            let Some(row) = self.rows.get_mut(key) else {
                continue;
            };
            if row.flags.is_blocked || !matches!(row.state, State::Head(_)) {
                continue;
            }
            let State::Head(head) = std::mem::replace(&mut row.state, State::Idle) else {
                continue;
            };
            self.begin(key, &head, actions);
            // Whoever still stands here waits for bytes or for us to be done with nothing.
            let Some(row) = self.rows.get(key) else {
                continue;
            };
            if matches!(row.state, State::Idle | State::Head(_)) {
                if row.flags.is_read_to_end {
                    self.finish(key, actions);
                } else {
                    actions.list.push(Action::ResumeReading(key));
                }
            }
        }
    }

    fn add_to_head(&mut self, key: ConnKey, bytes: &[u8], actions: &mut Actions) {
        let Some(State::Head(mut head)) = self
            .rows
            .get_mut(key)
            .map(|row| std::mem::replace(&mut row.state, State::Idle))
        else {
            return;
        };
        head.extend_from_slice(bytes);
        self.begin(key, &head, actions);
    }

    /// Reads a request off the front of `input` and sends it on its way.
    fn begin(&mut self, key: ConnKey, input: &[u8], actions: &mut Actions) {
        let mut slots = Slots::new();
        match parse_request(input, &mut slots, &self.settings.request_limits) {
            Ok(Parsed::NeedMore) if input.is_empty() => {}
            Ok(Parsed::NeedMore) => self.set_state(key, State::Head(Box::new(input.to_vec()))),
            Ok(Parsed::Complete(head, used)) => {
                let rest = input.get(used..).unwrap_or_default();
                self.counters.bytes.client_header_received.add(used as u64);
                self.begin_exchange(key, &head, rest, actions);
            }
            Err(error) => {
                self.counters.errors.bad_request.add(1);
                let text = match error {
                    RequestError::HeadTooLarge { .. } => error.to_string(),
                    _ => format!("Failed to parse request: {error}"),
                };
                self.refuse_unread(key, &Refusal::new(error.status(), text), actions);
            }
        }
    }

    fn begin_exchange(
        &mut self,
        key: ConnKey,
        head: &RequestHead<'_, '_>,
        rest: &[u8],
        actions: &mut Actions,
    ) {
        self.counters.requests.requests.add(1);
        self.counters.connections.clients_idle.sub(1);
        self.counters.connections.clients_active.add(1);
        self.announce(key);
        let is_ssl = self.counts_as_ssl(key, head);
        let mut exchange = self.take_spare();
        exchange.terms = ClientTerms {
            version: head.version,
            is_persistent: head.persistent && self.draining_until_ms.is_none(),
            is_head: head.method == "HEAD",
            is_trusted: self.is_trusted(head),
        };
        let route = self.route_of(head, is_ssl);
        let mut arrival = self.arrive(head, route);
        exchange.cross_origin = arrival.cross_origin.take();
        let fields = arrival.fields();
        let meant = arrival.head(&fields, head);
        if let Some(route) = route {
            self.routes.enter(route);
            exchange.route = route;
            self.store(key, &meant, is_ssl, &mut exchange);
        }
        if let Err(refusal) = self.begin_upload(&mut exchange, head, rest) {
            self.fail(key, exchange, &refusal, actions);
            return;
        }
        if let Some(jsonp) = &arrival.jsonp {
            exchange.request.bytes.extend_from_slice(jsonp.content());
        }
        if exchange.upload.is_complete() {
            actions.list.push(Action::PauseReading(key));
            self.wheel.cancel(&mut self.rows, key);
        } else {
            self.schedule_in(key, self.settings.body_idle_timeout_ms);
        }
        if let Some(refusal) = self.refusal(head, route, &arrival) {
            exchange.terms.is_persistent &= !is_websocket(head);
            self.fail(key, exchange, &refusal, actions);
            return;
        }
        self.note_original_url(key, &meant, &mut exchange);
        if self.settings.config.handler.share_all {
            self.dispatch_shared(key, exchange, actions);
        } else {
            self.dispatch(key, exchange, actions);
        }
    }

    fn arrive(&self, head: &RequestHead<'_, '_>, route: Option<RouteId>) -> Arrival {
        let local = route.and_then(|route| self.routes.get(route));
        let is_global = self.settings.config.proxy.auto_cross_origin;
        arrive(head, local.map(|local| &*local.route), is_global)
    }

    /// Why a request goes no further than here, if it does not.
    fn refusal(
        &self,
        head: &RequestHead<'_, '_>,
        route: Option<RouteId>,
        arrival: &Arrival,
    ) -> Option<Refusal> {
        if route.is_none() {
            self.counters.errors.route_not_found.add(1);
            return Some(Refusal::new(502, "Route not found"));
        }
        if let Some(refusal) = &arrival.refusal {
            self.counters.errors.bad_request.add(1);
            return Some(refusal.clone());
        }
        is_websocket(head).then(|| Refusal::new(501, "WebSockets are not served yet."))
    }

    /// Keeps the client's own URL where the route has put another into the request.
    fn note_original_url(&self, key: ConnKey, head: &RequestHead<'_, '_>, exchange: &mut Exchange) {
        let path = proto::http::normalize_path(head.target);
        let is_same = exchange.request.target() == path.as_bytes()
            && self.routes.get(exchange.route).is_none_or(|local| {
                let is_host = |(name, _): &(String, String)| name.eq_ignore_ascii_case("host");
                local.route.as_host.is_none() && !local.route.headers.iter().any(is_host)
            });
        if !is_same {
            let is_ssl = self.rows.get(key).is_some_and(|row| row.flags.is_ssl);
            let scheme = if is_ssl { "https" } else { "http" };
            exchange.original_url = Some(format!("{scheme}://{}{path}", head.host).into());
        }
    }

    fn store(
        &self,
        key: ConnKey,
        head: &RequestHead<'_, '_>,
        is_ssl: bool,
        exchange: &mut Exchange,
    ) {
        let Some(local) = self.routes.get(exchange.route) else {
            return;
        };
        let peer = || self.rows.get(key).and_then(|row| row.socket.peer_ip());
        let context = RequestContext {
            config: &self.settings.config,
            route: &local.route,
            is_ssl,
            is_trusted: exchange.terms.is_trusted,
            peer: &peer,
        };
        store_request(head, &context, &mut exchange.request);
    }

    /// Whether the request came over TLS, or says so and is believed (proxy.md section 5.4).
    fn counts_as_ssl(&self, key: ConnKey, head: &RequestHead<'_, '_>) -> bool {
        if self.rows.get(key).is_some_and(|row| row.flags.is_ssl) {
            return true;
        }
        if !self.settings.config.proxy.accept_x_forwarded_protocol {
            return false;
        }
        let said = field_value(head.fields, "X-Forwarded-Proto")
            .filter(|value| !value.is_empty())
            .or_else(|| field_value(head.fields, "X-Forwarded-Protocol"));
        matches!(said, Some(b"https" | b"wss"))
    }

    fn is_trusted(&self, head: &RequestHead<'_, '_>) -> bool {
        let Some(verifier) = &self.verifier else {
            return false;
        };
        field_value(head.fields, "Grip-Sig")
            .is_some_and(|token| verifier.accepts(token, self.now.unix_s))
    }

    fn route_of(&self, head: &RequestHead<'_, '_>, is_ssl: bool) -> Option<RouteId> {
        let path = proto::http::normalize_path(head.target);
        let path = path.split('?').next().unwrap_or_default();
        if self.settings.config.proxy.accept_pushpin_route
            && let Some(id) = field_value(head.fields, "Pushpin-Route")
        {
            return self.routes.by_id(std::str::from_utf8(id).ok()?, path);
        }
        let is_ws = is_websocket(head);
        self.routes.find(&RouteQuery {
            host: head.host,
            path,
            is_ssl,
            is_ws,
        })
    }

    /// Ends an exchange whose answer is complete: the client may ask again, or is let go.
    pub(super) fn next_request(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        actions: &mut Actions,
    ) {
        self.counters.connections.clients_active.sub(1);
        self.counters.connections.clients_idle.add(1);
        let leftover = std::mem::take(&mut exchange.leftover);
        let is_persistent = exchange.terms.is_persistent && self.draining_until_ms.is_none();
        self.retire(exchange);
        self.await_request(key, is_persistent, leftover, actions);
    }

    /// A client whose last request is answered.
    pub(super) fn await_request(
        &mut self,
        key: ConnKey,
        is_persistent: bool,
        leftover: Vec<u8>,
        actions: &mut Actions,
    ) {
        let is_done = self
            .rows
            .get(key)
            .is_some_and(|row| row.flags.is_read_to_end);
        if !is_persistent || (is_done && leftover.is_empty()) {
            self.finish(key, actions);
            return;
        }
        self.schedule_in(key, self.settings.header_timeout_ms);
        let is_blocked = self.rows.get(key).is_some_and(|row| row.flags.is_blocked);
        if leftover.is_empty() {
            self.set_state(key, State::Idle);
            if !is_blocked {
                actions.list.push(Action::ResumeReading(key));
            }
            return;
        }
        self.set_state(key, State::Head(Box::new(leftover)));
        self.runnable.push_back(key);
    }

    /// Forgets a client and everything that hangs on it.
    pub(super) fn close_client(&mut self, key: ConnKey, actions: &mut Actions) {
        if self.backend_of(key).is_some() {
            return;
        }
        let state = self.take_state(key);
        let state = match state {
            State::Exchange(exchange) if exchange.errand.is_some() => {
                self.end_errand(key, exchange, actions);
                return;
            }
            other => other,
        };
        let is_end_by_close = match &state {
            State::Exchange(exchange) => exchange.ends_by_close(),
            State::Held(hold) => hold.kind == HoldKind::RawStream,
            State::Gone | State::Idle | State::Head(_) | State::Finishing | State::Backend(_) => {
                false
            }
        };
        match state {
            State::Gone | State::Backend(_) => return,
            State::Exchange(mut exchange) => {
                self.let_go_of_backend(&mut exchange, actions);
                self.hand_over(&mut exchange, actions);
                self.counters.connections.clients_active.sub(1);
                self.retire(exchange);
            }
            State::Held(mut hold) => {
                let errand = hold.session().and_then(Session::errand);
                self.tell_gone(&mut hold, actions);
                self.drop_hold(key, hold);
                if let Some(errand) = errand {
                    self.left_errand(errand, actions);
                }
            }
            State::Idle | State::Head(_) | State::Finishing => {
                self.counters.connections.clients_idle.sub(1);
            }
        }
        let is_refused = self.rows.get(key).is_some_and(|row| row.flags.is_refused);
        let places = if is_refused {
            &mut self.refused
        } else {
            &mut self.clients
        };
        *places = places.saturating_sub(1);
        self.wheel.cancel(&mut self.rows, key);
        self.denounce(key);
        actions.list.push(if is_end_by_close {
            Action::Reset(key)
        } else {
            Action::Close(key)
        });
    }

    fn announce(&mut self, key: ConnKey) {
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        if std::mem::replace(&mut row.flags.is_announced, true) || !self.is_announcing {
            return;
        }
        let seen = ClientSeen {
            conn: key,
            serial: row.serial,
            is_gone: false,
            is_ssl: row.flags.is_ssl,
            peer: row.socket.peer_ip(),
        };
        if self.seen.len() < SEEN_MAX {
            self.seen.push(seen);
        }
    }

    pub(super) fn denounce(&mut self, key: ConnKey) {
        let Some(row) = self.rows.get(key) else {
            return;
        };
        if row.flags.is_announced && self.is_announcing && self.seen.len() < SEEN_MAX {
            let is_ssl = row.flags.is_ssl;
            self.seen.push(ClientSeen {
                conn: key,
                serial: row.serial,
                is_gone: true,
                is_ssl,
                peer: None,
            });
        }
    }

    /// Whether a route tells its clients why something failed.
    pub(super) fn is_debug(&self, route: RouteId) -> bool {
        self.settings.config.proxy.debug
            || self
                .routes
                .get(route)
                .is_some_and(|local| local.route.debug)
    }

    /// Whether the next target of a route is the built-in one.
    pub(super) fn target_kind(&self, exchange: &Exchange) -> Option<&TargetKind> {
        let local = self.routes.get(exchange.route)?;
        local
            .route
            .targets
            .get(exchange.target)
            .map(|target| &target.kind)
    }

    /// Whether a response to this version can be chunked.
    pub(super) const fn can_chunk(terms: &ClientTerms) -> bool {
        matches!(terms.version, Version::Http11)
    }
}

/// Whether a request wants to become a WebSocket.
fn is_websocket(head: &RequestHead<'_, '_>) -> bool {
    head.upgrade
        .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}
