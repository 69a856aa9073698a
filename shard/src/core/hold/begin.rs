//! A hold begins: the exchange becomes a few words of plain data.

use std::collections::VecDeque;
use std::sync::Arc;

use config::Route;
use proto::grip::{self, Instruct};
use proto::http::Field;
use proto::http1::encode;

use super::conflict::RETRIES_AT_ONCE_MAX;
use super::session::{Doing, Session, SessionChannel, needs_session};
use super::{HeldKeepAlive, Hold, HoldDetails, HoldKind, Subscriptions, send_framed};
use crate::core::actions::Actions;
use crate::core::answer::{FINAL_STATUS_MIN, Refusal, end_head, is_contentless};
use crate::core::conn::{ClientTerms, State};
use crate::core::exchange::{Answer, Collected, Exchange, JsonContext, ReplyFraming, StreamStart};
use crate::core::filter::{Filters, Meta, ResponseFilter, ResponseFilterError};
use crate::core::hub::{Mode, Subscription};
use crate::core::links::{has_response_filter, position_without_link};
use crate::core::request_log::Outcome;
use crate::core::routes::RouteId;
use crate::core::updates::Priority;
use crate::core::{ConnKey, Core, Socket};

impl<S: Socket> Core<S> {
    /// Instructions and their content are complete: answer, or hold.
    pub(in crate::core) fn collected_all(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        collected: Collected,
        actions: &mut Actions,
    ) {
        let Collected {
            mut answer,
            mut instruct,
            json,
            ..
        } = collected;
        if let Some(context) = json {
            match decode_json(&context, &answer) {
                Ok(decoded) => instruct = decoded,
                Err(error) => {
                    self.bad_instruct(key, exchange, &error.to_string(), actions);
                    return;
                }
            }
            answer.content.clear();
        }
        apply_response(&mut answer, &mut instruct);
        if answer.status < FINAL_STATUS_MIN {
            let error = grip::InstructError::StatusCode.to_string();
            self.bad_instruct(key, exchange, &error, actions);
            return;
        }
        let mode = instruct.hold.as_ref().map(|hold| hold.mode);
        let mut failure = None;
        if mode != Some(grip::HoldMode::Response) && has_response_filter(&instruct) {
            match filter_content(&instruct, &answer.content) {
                Ok(filtered) => answer.content = filtered,
                Err(error) if mode.is_none() && instruct.next.is_none() => {
                    self.filter_refused(key, exchange, &error, actions);
                    return;
                }
                Err(error) => {
                    answer.content.clear();
                    failure = Some(format!("filter error: {error}"));
                }
            }
        }
        match mode {
            None if instruct.next.is_none() => {
                self.log_request(key, &exchange, Outcome::Status(answer.status));
                if let Some(cross_origin) = &exchange.cross_origin {
                    answer = cross_origin.complete(answer);
                }
                self.send_answer(key, &exchange.terms, &answer, actions);
                self.next_request(key, exchange, actions);
            }
            None | Some(grip::HoldMode::Stream) => {
                self.open_stream(key, exchange, &answer, (instruct, failure), actions);
            }
            Some(grip::HoldMode::Response) => {
                self.begin_response_hold(key, exchange, answer, &instruct, actions);
            }
        }
    }

    fn filter_refused(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        error: &ResponseFilterError,
        actions: &mut Actions,
    ) {
        self.counters.updates.filter_errors.add(1);
        let why = format!("filter error: {error}");
        let refusal = Refusal::gateway(self.is_debug(exchange.route), why);
        self.fail(key, exchange, &refusal, actions);
    }

    /// Opens a stream whose head and first content are all there.
    fn open_stream(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        answer: &Answer,
        (instruct, failure): (Instruct, Option<String>),
        actions: &mut Actions,
    ) {
        let is_mute = exchange.terms.is_head || is_contentless(answer.status);
        let framing = match (is_mute, Self::can_chunk(&exchange.terms)) {
            (true, _) => ReplyFraming::None,
            (false, true) => ReplyFraming::Chunked,
            (false, false) => ReplyFraming::UntilClose,
        };
        // A response that cannot be written to ends with its connection.
        if framing == ReplyFraming::UntilClose || (is_mute && !exchange.terms.is_head) {
            exchange.terms.is_persistent = false;
        }
        let start = actions.scratch.len();
        let out = &mut actions.scratch;
        encode::status_line(out, exchange.terms.version, answer.status, &answer.reason);
        let from = out.len();
        out.extend_from_slice(&answer.fields);
        if let Some(cross_origin) = &exchange.cross_origin {
            cross_origin.add_fields(out, from);
        }
        end_head(out, &exchange.terms, framing, None);
        match framing {
            ReplyFraming::Chunked => encode::chunk(out, &answer.content),
            ReplyFraming::UntilClose => out.extend_from_slice(&answer.content),
            ReplyFraming::None | ReplyFraming::Length => {}
        }
        actions.send_scratch(key, start);
        self.counters.requests.count_response(answer.status);
        let start = StreamStart {
            instruct,
            is_mute,
            failure,
        };
        self.begin_stream(key, exchange, start, actions);
    }

    /// The first content of a stream has been sent: from now on it gets items.
    pub(in crate::core) fn begin_stream(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        start: StreamStart,
        actions: &mut Actions,
    ) {
        // The answer to HEAD ends with its head: there is nothing that a hold could add.
        if exchange.terms.is_head {
            self.next_request(key, exchange, actions);
            return;
        }
        let kind = match (start.is_mute, Self::can_chunk(&exchange.terms)) {
            (true, _) => HoldKind::MuteStream,
            (false, true) => HoldKind::ChunkedStream,
            (false, false) => HoldKind::RawStream,
        };
        let instruct = &start.instruct;
        let failure = start.failure.or_else(|| position_without_link(instruct));
        if let Some(why) = failure {
            self.end_begun(key, exchange, kind, &why, actions);
            return;
        }
        let keep_alive = instruct
            .hold
            .as_ref()
            .and_then(|hold| hold.keep_alive.as_ref());
        let keep_alive = keep_alive.map(|keep_alive| held_keep_alive(keep_alive, kind));
        let keep_alive_ms = keep_alive.as_ref().map(|keep_alive| keep_alive.timeout_ms);
        let details = HoldDetails {
            keep_alive,
            ..HoldDetails::default()
        };
        self.counters.connections.held_streams.add(1);
        let wanted = self.channels_of(&exchange, instruct);
        self.hold(key, exchange, (instruct, wanted), kind, details, actions);
        match keep_alive_ms {
            // What is queued already has to be taken first.
            _ if self.is_blocked(key) => self.schedule_in(key, self.settings.body_timeout_ms),
            Some(ms) => self.schedule_keep_alive(key, ms),
            None => self.wheel.cancel(&mut self.rows, key),
        }
        self.arm_hold(key);
        if instruct.hold.is_none() {
            // There is nothing to wait for.
            self.want_update(key, Priority::Urgent);
        } else if self.stream_conflicts(key) {
            self.want_update(key, Priority::Patient);
        }
        self.end_held_if_draining(key, actions);
    }

    /// Ends a stream behind its first content, because it cannot be held.
    fn end_begun(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        kind: HoldKind,
        why: &str,
        actions: &mut Actions,
    ) {
        self.counters.updates.streams_broken.add(1);
        log::debug!("a stream ends: {why}");
        if self.is_debug(exchange.route) {
            send_framed(key, kind, format!("\n\n{why}\n").as_bytes(), actions);
        }
        if kind == HoldKind::ChunkedStream {
            let start = actions.scratch.len();
            actions.scratch.extend_from_slice(encode::LAST_CHUNK);
            actions.send_scratch(key, start);
        }
        self.next_request(key, exchange, actions);
    }

    fn begin_response_hold(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        mut answer: Answer,
        instruct: &Instruct,
        actions: &mut Actions,
    ) {
        answer.reason.shrink_to_fit();
        answer.fields.shrink_to_fit();
        answer.content.shrink_to_fit();
        let wanted = self.channels_of(&exchange, instruct);
        let is_conflict = self.poll_conflicts(&mut exchange, instruct, &wanted);
        if is_conflict && exchange.retries < RETRIES_AT_ONCE_MAX {
            self.ask_again(key, exchange, instruct, actions);
            return;
        }
        let timeout_s = instruct.hold.as_ref().map_or(0, |hold| hold.timeout_s);
        let details = HoldDetails {
            answer,
            cross_origin: exchange.cross_origin.take(),
            original_url: exchange.original_url.clone(),
            ..HoldDetails::default()
        };
        self.counters.connections.held_long_polls.add(1);
        let kind = HoldKind::Response;
        self.hold(key, exchange, (instruct, wanted), kind, details, actions);
        self.schedule_in(key, u64::from(timeout_s) * 1000);
        if is_conflict {
            self.want_update(key, Priority::Patient);
        }
        self.end_held_if_draining(key, actions);
    }

    fn hold(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        (instruct, wanted): (&Instruct, Vec<Wanted>),
        kind: HoldKind,
        mut details: HoldDetails,
        actions: &mut Actions,
    ) {
        self.counters.connections.clients_active.sub(1);
        self.counters.deliveries.holds_started.add(1);
        self.log_request(key, &exchange, Outcome::Held);
        details.leftover = std::mem::take(&mut exchange.leftover).into_boxed_slice();
        let mode = mode_of(kind);
        let subscriptions: Vec<Subscription> = (0..)
            .zip(&wanted)
            .map(|(slot, wanted)| self.hub.subscribe(mode, &wanted.name, key, slot))
            .collect();
        if needs_session(instruct) {
            let channels = wanted.into_iter().map(|wanted| wanted.channel).collect();
            details.session = Some(self.new_session(key, &exchange, instruct, channels));
        }
        let hold = Hold {
            subscriptions: Subscriptions::new(subscriptions),
            request: exchange.request.pack(),
            details: details.is_needed(kind).then(|| Box::new(details)),
            route: exchange.route,
            target: u16::try_from(exchange.target).unwrap_or(u16::MAX),
            kind,
            terms: exchange.terms,
        };
        // The hold is the route's user in place of the exchange.
        self.routes.enter(hold.route);
        self.retire(exchange);
        self.set_state(key, State::Held(hold));
        if self.rows.get(key).is_some_and(|row| row.flags.is_peer_done) {
            // Nobody is there any more to whom items could go.
            self.close_client(key, actions);
        }
    }

    fn new_session(
        &mut self,
        key: ConnKey,
        exchange: &Exchange,
        instruct: &Instruct,
        channels: Vec<SessionChannel>,
    ) -> Box<Session> {
        let url: Box<str> = self.client_url(key, exchange).into();
        let next = instruct
            .next
            .as_ref()
            .and_then(|link| self.next_link(link, &url));
        let gone = instruct
            .gone
            .as_ref()
            .and_then(|link| grip::link::resolve(&url, &link.url).ok());
        Box::new(Session {
            channels,
            meta: Meta::new(instruct.meta().to_vec()),
            client_url: url.clone(),
            url,
            next,
            gone: gone.map(Into::into),
            doing: Doing::Resting,
            queue: VecDeque::new(),
            is_skipping: false,
            wants_update: false,
            asked: Vec::new(),
            keep_alive_due_ms: 0,
        })
    }

    /// Exchanges the channels of a stream for those of new instructions. Those that are named again
    /// stay subscribed, so that nothing is missed. Answers whether one that is new has got further
    /// than its position: what was published before it was subscribed to did not come here.
    pub(in crate::core) fn resubscribe(&mut self, key: ConnKey, instruct: &Instruct) -> bool {
        let State::Held(mut hold) = self.take_state(key) else {
            return false;
        };
        let mut is_behind = false;
        let mode = mode_of(hold.kind);
        let mut slots = hold.subscriptions.slots().to_vec();
        let mut channels = hold
            .session_mut()
            .map(|session| std::mem::take(&mut session.channels));
        let channels_now = channels.get_or_insert_default();
        let mut wanted = self.wanted(hold.route, usize::from(hold.target), instruct);
        for (slot, subscription) in slots.iter_mut().enumerate() {
            let name = self.hub.name(subscription.entry).map(Arc::clone);
            let place = wanted
                .iter()
                .position(|wanted| name.as_deref() == Some(&*wanted.name));
            match (place, channels_now.get_mut(slot)) {
                (Some(place), Some(channel)) => *channel = wanted.swap_remove(place).channel,
                (Some(_), None) => {}
                (None, _) => {
                    let old = std::mem::replace(subscription, Subscription::NONE);
                    self.unsubscribe(old);
                }
            }
        }
        for wanted in wanted {
            let position = wanted.channel.position.as_deref();
            let last_ids = &self.settings.last_ids;
            is_behind |= position.is_some_and(|id| last_ids.conflicts(&wanted.name, id));
            let free = slots.iter().position(|subscription| subscription.is_none());
            let slot = free.unwrap_or(slots.len());
            let number = u32::try_from(slot).unwrap_or(u32::MAX);
            let subscription = self.hub.subscribe(mode, &wanted.name, key, number);
            match (slots.get_mut(slot), channels_now.get_mut(slot)) {
                (Some(place), Some(channel)) => (*place, *channel) = (subscription, wanted.channel),
                _ => {
                    slots.push(subscription);
                    channels_now.push(wanted.channel);
                }
            }
        }
        hold.subscriptions = Subscriptions::new(slots);
        let kind = hold.kind;
        let keep_alive = instruct
            .hold
            .as_ref()
            .and_then(|hold| hold.keep_alive.as_ref());
        let keep_alive = keep_alive.map(|keep_alive| held_keep_alive(keep_alive, kind));
        let serial = self.serial_of(key);
        let due_ms = keep_alive
            .as_ref()
            .map(|keep_alive| self.now.ms + super::deliver::spread(serial, keep_alive.timeout_ms));
        if let Some(details) = &mut hold.details {
            details.keep_alive = keep_alive;
        }
        if let Some(session) = hold.session_mut() {
            session.channels = channels.unwrap_or_default();
            session.meta = Meta::new(instruct.meta().to_vec());
            session.keep_alive_due_ms = due_ms.unwrap_or_default();
        }
        self.set_state(key, State::Held(hold));
        self.counters.updates.conflicts.add(u64::from(is_behind));
        is_behind
    }

    /// The channels to subscribe to.
    fn channels_of(&self, exchange: &Exchange, instruct: &Instruct) -> Vec<Wanted> {
        self.wanted(exchange.route, exchange.target, instruct)
    }

    /// The channels to subscribe to: those of the target, then those of the instruct with the
    /// route's prefix, as many as are allowed; each once, the later position and filters counting.
    fn wanted(&self, route: RouteId, target: usize, instruct: &Instruct) -> Vec<Wanted> {
        let Some(route) = self.routes.get(route).map(|local| &local.route) else {
            return Vec::new();
        };
        let max = self.settings.config.handler.connection_subscription_max;
        let named = instruct
            .hold
            .iter()
            .flat_map(|hold| &hold.channels)
            .take(max);
        let implicit = implicit_channels(route, target);
        let mut list: Vec<Wanted> = Vec::with_capacity(max.min(implicit.len() + 4));
        for name in implicit {
            let channel = SessionChannel {
                is_implicit: true,
                ..SessionChannel::default()
            };
            list.push(Wanted { name, channel });
        }
        for channel in named {
            let name = format!("{}{}", route.prefix, channel.name);
            let details = SessionChannel {
                position: channel.prev_id.as_deref().map(Into::into),
                filters: Filters::parse(&channel.filters),
                ..SessionChannel::default()
            };
            match list.iter_mut().find(|wanted| wanted.name == name) {
                Some(wanted) if wanted.channel.is_implicit => {}
                Some(wanted) => wanted.channel = details,
                None => list.push(Wanted {
                    name,
                    channel: details,
                }),
            }
        }
        list
    }
}

/// A channel to be subscribed to.
pub(super) struct Wanted {
    /// Full name.
    pub(super) name: String,
    pub(super) channel: SessionChannel,
}

const fn mode_of(kind: HoldKind) -> Mode {
    match kind {
        HoldKind::Response => Mode::Response,
        HoldKind::ChunkedStream | HoldKind::RawStream | HoldKind::MuteStream => Mode::Stream,
    }
}

/// Puts first content through the response filters of its channels, each once.
fn filter_content(instruct: &Instruct, content: &[u8]) -> Result<Vec<u8>, ResponseFilterError> {
    let mut filter = ResponseFilter::new(&Meta::new(instruct.meta().to_vec()))?;
    let mut filtered = Vec::with_capacity(content.len());
    filter.piece(content, &mut filtered)?;
    filter.end()?;
    Ok(filtered)
}

fn decode_json(context: &JsonContext, answer: &Answer) -> Result<Instruct, grip::InstructError> {
    let fields: Vec<Field<'_>> = context
        .fields
        .iter()
        .map(|(name, value)| Field { name, value })
        .collect();
    grip::decode_json(&fields, &context.url, answer.status, &answer.content)
}

fn implicit_channels(route: &Route, target: usize) -> Vec<String> {
    route
        .targets
        .get(target)
        .map(|target| target.subs.clone())
        .unwrap_or_default()
}

impl HoldDetails {
    /// Whether there is anything in it that this hold would miss.
    fn is_needed(&self, kind: HoldKind) -> bool {
        kind == HoldKind::Response
            || self.keep_alive.is_some()
            || !self.leftover.is_empty()
            || self.session.is_some()
    }
}

/// Puts what the instruct says about the response in the place of the backend's own.
fn apply_response(answer: &mut Answer, instruct: &mut Instruct) {
    if let Some(response) = instruct.response.take() {
        answer.fields.clear();
        for (name, value) in &response.headers {
            encode::field(&mut answer.fields, name, value);
        }
        answer.content = response.body;
    }
    if let Some(status) = instruct.status.take() {
        answer.status = status.code;
        answer.reason = status.reason.into_owned();
    }
}

fn held_keep_alive(keep_alive: &grip::KeepAlive, kind: HoldKind) -> HeldKeepAlive {
    let mut bytes = Vec::new();
    match kind {
        HoldKind::ChunkedStream => encode::chunk(&mut bytes, &keep_alive.content),
        HoldKind::RawStream => bytes.extend_from_slice(&keep_alive.content),
        HoldKind::MuteStream | HoldKind::Response => {}
    }
    HeldKeepAlive {
        bytes: bytes.into_boxed_slice(),
        timeout_ms: keep_alive.timeout_s.saturating_mul(1000),
        mode: keep_alive.mode,
    }
}

impl ClientTerms {
    /// Whether the connection can be used after a stream has ended: its end must be visible.
    pub(in crate::core) const fn outlives(&self, kind: HoldKind) -> bool {
        self.is_persistent && matches!(kind, HoldKind::ChunkedStream | HoldKind::Response)
    }
}
