//! Requests that the shard makes by itself for its holds: next links, gone links, and the
//! questions of filters (grip-http.md sections 12, 13 and 17.2).
//!
//! An errand is an exchange without a client, in a row without a socket, so that pools, failover,
//! signatures and timeouts are those of every other request. Several holds may wait for one
//! errand: never for more than the very same request, query and positions included.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use hashbrown::HashMap;
use proto::grip::Instruct;
use proto::grip::link::Url;
use proto::http1::{BodyStep, Framing, RequestHead, ResponseHead, encode};

use super::actions::{Action, Actions};
use super::conn::{ClientTerms, State};
use super::exchange::{Exchange, Link, ResponsePhase, Upload};
use super::filter::{Filter, FilterError, RequestFailure, ResponseFilter};
use super::hold::session::Doing;
use super::pools::BackendTls;
use super::response::{Input, next_piece};
use super::rewrite::{RequestContext, store_request};
use super::routes::RouteId;
use super::{ConnKey, Core, Socket};

/// Errands under way at the same time; further ones wait.
const UNDER_WAY_MAX: usize = 128;

/// Content that an errand keeps for holds that join it later; beyond it none can.
const JOINABLE_LEN_MAX: usize = 100_000;

/// What an errand is for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// Content and instructions for streams.
    Next,
    /// Tells of the end of a session; a long-poll may go on to its next one then.
    Gone { retry: Option<(ConnKey, u32)> },
    /// A filter's question. `at`: its number.
    Ask { filter: Filter, at: usize },
}

/// What is particular to an errand.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) purpose: Purpose,
    /// Absolute; what links in its answer are resolved against.
    pub(super) url: Box<str>,
    /// Its row.
    pub(super) key: ConnKey,
    /// It has its place among those under way.
    is_sent: bool,
    /// The holds that wait for it.
    pub(super) holders: Vec<(ConnKey, u32)>,
    /// What other errands must be equal in to be the same; `None`: nobody can join.
    identity: Option<Box<[u8]>>,
    /// When it is given up.
    pub(super) due_ms: Option<u64>,
    /// Status code of the answer, once its head is here.
    pub(super) status: Option<u16>,
    /// The `Action` field of an answer to a filter.
    pub(super) action: Option<Vec<u8>>,
    /// Instructions of the answer.
    pub(super) instruct: Option<Rc<Instruct>>,
    /// What the answer's content goes through.
    pub(super) response_filter: Option<ResponseFilter>,
    /// Of the answer: content that is needed as a whole, or for those who join.
    pub(super) content: Vec<u8>,
    /// Content has reached the holds.
    pub(super) has_begun: bool,
}

/// Where a link leads that is not of its route.
#[derive(Debug, Clone)]
pub(super) struct Elsewhere {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) tls: Option<BackendTls>,
    /// Only addresses outside may be reached.
    pub(super) is_untrusted: bool,
}

/// A request to be made.
pub(super) struct Request<'r> {
    pub(super) route: RouteId,
    /// Which target of the route the hold came through.
    pub(super) target: usize,
    pub(super) method: &'r str,
    pub(super) url: &'r str,
    /// Field lines of its own.
    pub(super) fields: &'r [u8],
    /// `Grip-Last` lines.
    pub(super) positions: &'r [u8],
    pub(super) content: &'r [u8],
    /// The client's own URL: what is equal in scheme, host and port goes over the route.
    pub(super) client_url: &'r str,
    /// Milliseconds until it is given up.
    pub(super) timeout_ms: Option<u64>,
    /// Holds with the same request may share it.
    pub(super) is_shared: bool,
}

/// All errands of a shard.
#[derive(Debug, Default)]
pub(super) struct Errands {
    under_way: usize,
    /// Those that wait for room, in order.
    waiting: VecDeque<ConnKey>,
    index: HashMap<Box<[u8]>, ConnKey, ahash::RandomState>,
}

impl Errands {
    /// How many there are, waiting ones included.
    pub(super) fn len(&self) -> usize {
        self.under_way + self.waiting.len()
    }

    /// Whether one that waits can be sent.
    pub(super) fn is_runnable(&self) -> bool {
        !self.waiting.is_empty() && self.under_way < UNDER_WAY_MAX
    }

    /// Counts anew what is under way; `count`: all there are.
    pub(super) fn recount(&mut self, count: usize) {
        self.under_way = count.saturating_sub(self.waiting.len());
    }
}

impl Errand {
    fn new(purpose: Purpose, url: &str) -> Self {
        Self {
            purpose,
            url: url.into(),
            key: ConnKey::MAX,
            is_sent: false,
            holders: Vec::new(),
            identity: None,
            due_ms: None,
            status: None,
            action: None,
            instruct: None,
            response_filter: None,
            content: Vec::new(),
            has_begun: false,
        }
    }
}

impl<S: Socket> Core<S> {
    /// Requests for the sake of holds: rows without a connection of their own.
    #[must_use]
    pub fn errands(&self) -> usize {
        self.errands.len()
    }

    /// Sends a hold's request, or lets it share one that is under way. Answers the errand, and
    /// whether it is a new one; `None` if the URL cannot be fetched.
    pub(super) fn begin_errand(
        &mut self,
        holder: Option<ConnKey>,
        purpose: Purpose,
        request: &Request<'_>,
        actions: &mut Actions,
    ) -> Option<(ConnKey, bool)> {
        let url = Url::parse(request.url).ok()?;
        let holder = holder.map(|key| (key, self.serial_of(key)));
        let identity = request.is_shared.then(|| identity(&purpose, request));
        let joined = identity
            .as_deref()
            .and_then(|identity| self.errands.index.get(identity));
        let waiting = holder.or(match purpose {
            Purpose::Gone { retry } => retry,
            Purpose::Next | Purpose::Ask { .. } => None,
        });
        let doing = match purpose {
            Purpose::Next | Purpose::Gone { .. } => Doing::Fetching,
            Purpose::Ask { .. } => Doing::Asking,
        };
        if let Some(errand) = joined.copied() {
            self.set_doing(waiting, doing(errand));
            self.join(errand, holder, actions);
            return Some((errand, false));
        }
        let mut errand = Box::new(Errand::new(purpose, request.url));
        errand.holders.extend(holder);
        errand.due_ms = request.timeout_ms.map(|ms| self.now.ms + ms);
        errand.identity.clone_from(&identity);
        let exchange = self.errand_exchange(request, &url, errand);
        let key = self.insert(State::Exchange(exchange), false);
        if let Some(row) = self.rows.get_mut(key)
            && let State::Exchange(exchange) = &mut row.state
            && let Some(errand) = exchange.errand.as_deref_mut()
        {
            errand.key = key;
        }
        self.set_doing(waiting, doing(key));
        if let Some(identity) = identity {
            self.errands.index.insert(identity, key);
        }
        // Never sent from here: one that fails at once leads to the next, a call within a call for
        // each item that waits.
        self.errands.waiting.push_back(key);
        Some((key, true))
    }

    fn set_doing(&mut self, holder: Option<(ConnKey, u32)>, doing: Doing) {
        if let Some(session) = holder.and_then(|(key, _)| self.session_mut(key)) {
            session.doing = doing;
        }
    }

    fn errand_exchange(
        &mut self,
        request: &Request<'_>,
        url: &Url,
        errand: Box<Errand>,
    ) -> Box<Exchange> {
        let mut exchange = self.take_spare();
        exchange.terms = ClientTerms::UNKNOWN;
        exchange.route = request.route;
        exchange.target = request.target;
        exchange.upload = Upload::none();
        exchange.positions.extend_from_slice(request.positions);
        exchange.errand = Some(errand);
        self.routes.enter(request.route);
        if self.is_own(request, url) {
            exchange.target = 0;
            self.store_own(request, url, &mut exchange);
        } else {
            store_elsewhere(request, url, &mut exchange);
            let local = self.routes.get(request.route);
            let target = local.and_then(|local| local.route.targets.get(request.target));
            exchange.elsewhere = Some(Box::new(Elsewhere {
                host: url.host.trim_matches(['[', ']']).to_owned(),
                port: url.effective_port(),
                addresses: literal(url).into_iter().collect(),
                tls: url.is_secure.then(|| BackendTls {
                    server_name: url.host.trim_matches(['[', ']']).to_owned(),
                    is_insecure: false,
                }),
                is_untrusted: target.is_some_and(|target| target.untrusted),
            }));
        }
        exchange
    }

    /// Whether a URL leads over the hold's own route: scheme, host and port of the client's
    /// request, and a path that fits (grip-http.md section 12).
    fn is_own(&self, request: &Request<'_>, url: &Url) -> bool {
        let Ok(client) = Url::parse(request.client_url) else {
            return false;
        };
        let prefix = self
            .routes
            .get(request.route)
            .and_then(|local| local.route.condition.path_beg.as_deref());
        url.is_secure == client.is_secure
            && url.host == client.host
            && url.effective_port() == client.effective_port()
            && prefix.is_none_or(|prefix| url.path.starts_with(prefix))
    }

    fn store_own(&self, request: &Request<'_>, url: &Url, exchange: &mut Exchange) {
        let Some(local) = self.routes.get(request.route) else {
            return;
        };
        let (target, host) = (url.target(), authority(url));
        let head = RequestHead {
            method: request.method,
            target: &target,
            version: proto::http::Version::Http11,
            fields: &[],
            framing: Framing::None,
            persistent: true,
            expect_continue: false,
            host: &host,
            upgrade: None,
        };
        let context = RequestContext {
            config: &self.settings.config,
            route: &local.route,
            is_ssl: url.is_secure,
            is_trusted: false,
            peer: &|| None,
        };
        store_request(&head, &context, &mut exchange.request);
        add_fields_and_content(request, exchange);
    }

    fn send_errand(&mut self, key: ConnKey, actions: &mut Actions) {
        let is_errand = self.rows.get(key).is_some_and(
            |row| matches!(&row.state, State::Exchange(exchange) if exchange.errand.is_some()),
        );
        if !is_errand {
            return;
        }
        let State::Exchange(mut exchange) = self.take_state(key) else {
            return;
        };
        if let Some(errand) = exchange.errand.as_deref_mut() {
            errand.is_sent = true;
        }
        self.errands.under_way += 1;
        self.dispatch(key, exchange, actions);
    }

    /// Sends errands that wait, as far as there is room for them.
    pub(super) fn run_errands(&mut self, actions: &mut Actions) {
        while self.errands.under_way < UNDER_WAY_MAX {
            let Some(key) = self.errands.waiting.pop_front() else {
                return;
            };
            self.send_errand(key, actions);
        }
    }

    /// Another hold has the same request: it gets what has come so far, and the rest as it comes.
    fn join(&mut self, errand: ConnKey, holder: Option<(ConnKey, u32)>, actions: &mut Actions) {
        self.counters.updates.errands_joined.add(1);
        let Some(State::Exchange(exchange)) = self.rows.get_mut(errand).map(|row| &mut row.state)
        else {
            return;
        };
        let backend = exchange.open_backend();
        let Some(errand) = exchange.errand.as_deref_mut() else {
            return;
        };
        // It may wait already, for an earlier hold of the same client.
        if holder.is_none_or(|holder| errand.holders.contains(&holder)) {
            return;
        }
        errand.holders.extend(holder);
        if matches!(errand.purpose, Purpose::Next)
            && errand.has_begun
            && let Some((key, _)) = holder
        {
            let content = errand.content.clone();
            self.send_fetched(key, &content, actions);
        }
        // It may be paused for the one that has read it alone so far.
        self.resume_errand(backend, actions);
    }

    fn resume_errand(&mut self, backend: Option<ConnKey>, actions: &mut Actions) {
        if let Some(backend) = backend {
            actions.list.push(Action::ResumeReading(backend));
            self.schedule_in(backend, self.settings.body_timeout_ms);
        }
    }

    /// A hold that waited for an errand has ended: without another one the errand ends too, and if
    /// it was paused for that hold, it goes on.
    pub(super) fn left_errand(&mut self, key: ConnKey, actions: &mut Actions) {
        let Some(State::Exchange(exchange)) = self.rows.get(key).map(|row| &row.state) else {
            return;
        };
        let Some(errand) = exchange.errand.as_deref() else {
            return;
        };
        // A gone link is told for no hold's sake.
        if matches!(errand.purpose, Purpose::Gone { .. }) {
            return;
        }
        let live = self.live_holders(errand);
        let State::Exchange(mut exchange) = self.take_state(key) else {
            return;
        };
        if live.is_empty() {
            self.end_errand(key, exchange, actions);
            return;
        }
        if let Some(errand) = exchange.errand.as_deref_mut() {
            errand.holders.retain(|(key, _)| live.contains(key));
        }
        let backend = exchange.open_backend();
        self.set_state(key, State::Exchange(exchange));
        self.resume_errand(backend, actions);
    }

    /// The head of an errand's answer is here.
    pub(super) fn errand_head(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        head: &ResponseHead<'_, '_>,
        rest: Input<'_>,
        actions: &mut Actions,
    ) {
        exchange.response = ResponsePhase::Errand {
            reader: proto::http1::BodyReader::new(head.framing),
            is_backend_persistent: head.persistent,
        };
        let Some(mut errand) = exchange.errand.take() else {
            return;
        };
        errand.status = Some(head.status);
        let is_good = match &errand.purpose {
            Purpose::Next => self.next_head(&mut errand, head, actions),
            Purpose::Gone { .. } => true,
            Purpose::Ask { .. } => {
                let action = proto::http::field_value(head.fields, "Action");
                errand.action = action.map(<[u8]>::to_vec);
                true
            }
        };
        exchange.errand = Some(errand);
        if is_good {
            self.errand_body(key, exchange, rest, actions);
        } else {
            self.end_errand(key, exchange, actions);
        }
    }

    /// Content of an errand's answer has come.
    pub(super) fn errand_body(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        input: Input<'_>,
        actions: &mut Actions,
    ) {
        let mut at = 0;
        loop {
            let ResponsePhase::Errand { reader, .. } = &mut exchange.response else {
                return;
            };
            match next_piece(reader, input.bytes, at) {
                Ok(BodyStep::Data { start, end }) => {
                    let len = (end - start) as u64;
                    self.counters.bytes.server_content_received.add(len);
                    let piece = input.bytes.get(start..end).unwrap_or_default();
                    at = end;
                    let Some(mut errand) = exchange.errand.take() else {
                        return;
                    };
                    let goes_on = self.errand_piece(&mut errand, piece, actions);
                    exchange.errand = Some(errand);
                    if !goes_on {
                        self.end_errand(key, exchange, actions);
                        return;
                    }
                }
                Ok(BodyStep::End { used }) => {
                    let has_surplus = input.bytes.len() > used;
                    self.response_ended(key, exchange, Some(has_surplus), actions);
                    return;
                }
                Ok(BodyStep::NeedMore { .. }) => {
                    self.pace_errand(&exchange, actions);
                    self.set_state(key, State::Exchange(exchange));
                    return;
                }
                Err(_) => {
                    self.errand_failed(key, exchange, RequestFailure::General, actions);
                    return;
                }
            }
        }
    }

    fn errand_piece(&mut self, errand: &mut Errand, piece: &[u8], actions: &mut Actions) -> bool {
        match errand.purpose {
            Purpose::Next => self.next_piece_came(errand, piece, actions),
            // An answer to a gone link has no content; that there is some is all one wants to know.
            Purpose::Gone { .. } => {
                errand
                    .content
                    .extend_from_slice(piece.get(..1).unwrap_or_default());
                errand.content.truncate(1);
                true
            }
            Purpose::Ask { filter, .. } => {
                if filter == Filter::HttpModify {
                    errand.content.extend_from_slice(piece);
                }
                // One byte more than allowed is enough to know.
                errand.content.truncate(super::filter::ANSWER_LEN_MAX + 1);
                true
            }
        }
    }

    /// Lets the backend of an errand wait while its only reader does not read.
    fn pace_errand(&self, exchange: &Exchange, actions: &mut Actions) {
        let Some(errand) = exchange.errand.as_deref() else {
            return;
        };
        if let ([(holder, _)], Some(backend)) = (errand.holders.as_slice(), exchange.open_backend())
            && self.is_blocked(*holder)
        {
            actions.list.push(Action::PauseReading(backend));
        }
    }

    /// Keeps content for those who join later, as long as it is short.
    pub(super) fn keep_for_joiners(&mut self, errand: &mut Errand, content: &[u8]) {
        if errand.identity.is_none() {
            return;
        }
        errand.content.extend_from_slice(content);
        if errand.content.len() > JOINABLE_LEN_MAX {
            if let Some(identity) = errand.identity.take() {
                self.errands.index.remove(&identity);
            }
            errand.content = Vec::new();
        }
    }

    /// An errand's answer is complete.
    pub(super) fn errand_done(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        actions: &mut Actions,
    ) {
        let Some(mut errand) = self.end_errand(key, exchange, actions) else {
            return;
        };
        match errand.purpose.clone() {
            Purpose::Next => self.next_done(&mut errand, actions),
            Purpose::Gone { retry } => {
                let is_good = errand
                    .status
                    .is_some_and(|status| (200..300).contains(&status));
                if !is_good || !errand.content.is_empty() {
                    let (url, status) = (&errand.url, errand.status.unwrap_or_default());
                    log::warn!("gone link {url}: bad answer, code={status}");
                }
                self.gone_told(retry, Some(errand.key), actions);
            }
            Purpose::Ask { filter, at } => {
                let status = errand.status.unwrap_or_default();
                let action = errand.action.as_deref();
                let decision = super::filter::judge_answer(filter, status, action, &errand.content);
                self.asked(&errand, at, &decision, actions);
            }
        }
    }

    /// There is no answer to an errand, or only a part of one.
    pub(super) fn errand_failed(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        failure: RequestFailure,
        actions: &mut Actions,
    ) {
        self.counters.updates.errands_failed.add(1);
        let Some(errand) = self.end_errand(key, exchange, actions) else {
            return;
        };
        log::debug!("{}: {failure}", errand.url);
        match errand.purpose.clone() {
            Purpose::Next => self.next_failed(&errand, actions),
            Purpose::Gone { retry } => {
                log::warn!("gone link {}: {failure}", errand.url);
                self.gone_told(retry, Some(errand.key), actions);
            }
            Purpose::Ask { at, .. } => {
                self.asked(&errand, at, &Err(FilterError::Request(failure)), actions);
            }
        }
    }

    /// Takes an errand out of every table, with its connection if it still has one.
    pub(super) fn end_errand(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        actions: &mut Actions,
    ) -> Option<Box<Errand>> {
        let ended = exchange.errand.take();
        let errand = ended.as_deref();
        self.let_go_of_backend(&mut exchange, actions);
        if let Some(identity) = errand.and_then(|errand| errand.identity.as_deref()) {
            self.errands.index.remove(identity);
        }
        if errand.is_some_and(|errand| errand.is_sent) {
            self.errands.under_way = self.errands.under_way.saturating_sub(1);
        } else {
            self.errands.waiting.retain(|waiting| *waiting != key);
        }
        self.retire(exchange);
        self.set_state(key, State::Gone);
        self.wheel.cancel(&mut self.rows, key);
        actions.list.push(Action::Close(key));
        ended
    }

    /// The addresses of a name are there; none if it was not found.
    pub fn resolved(&mut self, key: ConnKey, addresses: &[SocketAddr], actions: &mut Actions) {
        let State::Exchange(mut exchange) = self.take_state(key) else {
            return;
        };
        if exchange.backend == Link::Resolving {
            exchange.backend = Link::None;
            if let Some(elsewhere) = exchange.elsewhere.as_deref_mut() {
                elsewhere.addresses = addresses.to_vec();
            }
            if addresses.is_empty() {
                self.errand_failed(key, exchange, RequestFailure::General, actions);
            } else {
                self.dispatch(key, exchange, actions);
            }
        } else {
            self.set_state(key, State::Exchange(exchange));
        }
        self.settle(actions);
    }
}

/// What two requests must have in common to be one.
fn identity(purpose: &Purpose, request: &Request<'_>) -> Box<[u8]> {
    let purpose = match purpose {
        Purpose::Next => [b'n', 0],
        Purpose::Gone { .. } => [b'g', 0],
        Purpose::Ask { at, .. } => [b'a', u8::try_from(*at).unwrap_or(u8::MAX)],
    };
    let target = u32::try_from(request.target)
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    [
        &purpose[..],
        &request.route.bytes(),
        &target,
        request.method.as_bytes(),
        b" ",
        request.url.as_bytes(),
        b"\n",
        request.positions,
        request.fields,
        b"\n",
        request.content,
    ]
    .concat()
    .into_boxed_slice()
}

fn authority(url: &Url) -> String {
    match url.port {
        Some(port) => format!("{}:{port}", url.host),
        None => url.host.clone(),
    }
}

/// The address, if the host is one.
fn literal(url: &Url) -> Option<SocketAddr> {
    let host = url.host.trim_matches(['[', ']']);
    Some(SocketAddr::new(host.parse().ok()?, url.effective_port()))
}

fn store_elsewhere(request: &Request<'_>, url: &Url, exchange: &mut Exchange) {
    let stored = &mut exchange.request;
    stored.clear();
    let version = proto::http::Version::Http11;
    encode::request_line(&mut stored.bytes, request.method, &url.target(), version);
    stored.bytes.extend_from_slice(b"Host: ");
    stored.host_start = len_u32(&stored.bytes);
    stored.bytes.extend_from_slice(authority(url).as_bytes());
    stored.host_end = len_u32(&stored.bytes);
    stored.bytes.extend_from_slice(encode::CRLF);
    add_fields_and_content(request, exchange);
}

fn add_fields_and_content(request: &Request<'_>, exchange: &mut Exchange) {
    let stored = &mut exchange.request;
    stored.bytes.extend_from_slice(request.fields);
    stored.head_end = len_u32(&stored.bytes);
    stored.bytes.extend_from_slice(request.content);
}

fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
