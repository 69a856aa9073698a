//! A hold begins: the exchange becomes a few words of plain data.

use config::Route;
use proto::grip::{self, Instruct};
use proto::http::Field;
use proto::http1::encode;

use super::{HeldKeepAlive, Hold, HoldDetails, HoldKind, Subscriptions};
use crate::core::actions::Actions;
use crate::core::answer::{FINAL_STATUS_MIN, end_head, is_contentless};
use crate::core::conn::{ClientTerms, State};
use crate::core::exchange::{Answer, Collected, Exchange, JsonContext, ReplyFraming, StreamStart};
use crate::core::hub::{Mode, Subscription};
use crate::core::request_log::Outcome;
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
        match instruct.hold.as_ref().map(|hold| hold.mode) {
            None => {
                self.log_request(key, &exchange, Outcome::Status(answer.status));
                self.send_answer(key, &exchange.terms, &answer, actions);
                self.next_request(key, exchange, actions);
            }
            Some(grip::HoldMode::Stream) => {
                self.open_stream(key, exchange, &answer, instruct, actions)
            }
            Some(grip::HoldMode::Response) => {
                self.begin_response_hold(key, exchange, answer, &instruct, actions);
            }
        }
    }

    /// Opens a stream whose head and first content are all there.
    fn open_stream(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        answer: &Answer,
        instruct: Instruct,
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
        out.extend_from_slice(&answer.fields);
        end_head(out, &exchange.terms, framing, None);
        match framing {
            ReplyFraming::Chunked => encode::chunk(out, &answer.content),
            ReplyFraming::UntilClose => out.extend_from_slice(&answer.content),
            ReplyFraming::None | ReplyFraming::Length => {}
        }
        actions.send_scratch(key, start);
        self.counters.requests.count_response(answer.status);
        self.begin_stream(key, exchange, StreamStart { instruct, is_mute }, actions);
    }

    /// The first content of a stream has been sent: from now on it gets items.
    pub(in crate::core) fn begin_stream(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        start: StreamStart,
        actions: &mut Actions,
    ) {
        let Some(hold) = &start.instruct.hold else {
            self.next_request(key, exchange, actions);
            return;
        };
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
        let keep_alive = hold
            .keep_alive
            .as_ref()
            .map(|keep_alive| held_keep_alive(keep_alive, kind));
        let keep_alive_ms = keep_alive.as_ref().map(|keep_alive| keep_alive.timeout_ms);
        let details = HoldDetails {
            keep_alive,
            ..HoldDetails::default()
        };
        self.counters.connections.held_streams.add(1);
        self.hold(key, exchange, &start.instruct, kind, details, actions);
        match keep_alive_ms {
            // What is queued already has to be taken first.
            _ if self.is_blocked(key) => self.schedule_in(key, self.settings.body_timeout_ms),
            Some(ms) => self.schedule_keep_alive(key, ms),
            None => self.wheel.cancel(&mut self.rows, key),
        }
        self.end_held_if_draining(key, actions);
    }

    fn begin_response_hold(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        mut answer: Answer,
        instruct: &Instruct,
        actions: &mut Actions,
    ) {
        answer.reason.shrink_to_fit();
        answer.fields.shrink_to_fit();
        answer.content.shrink_to_fit();
        let timeout_s = instruct.hold.as_ref().map_or(0, |hold| hold.timeout_s);
        let details = HoldDetails {
            answer,
            ..HoldDetails::default()
        };
        self.counters.connections.held_long_polls.add(1);
        self.hold(
            key,
            exchange,
            instruct,
            HoldKind::Response,
            details,
            actions,
        );
        self.schedule_in(key, u64::from(timeout_s) * 1000);
        self.end_held_if_draining(key, actions);
    }

    fn hold(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        instruct: &Instruct,
        kind: HoldKind,
        mut details: HoldDetails,
        actions: &mut Actions,
    ) {
        self.counters.connections.clients_active.sub(1);
        self.counters.deliveries.holds_started.add(1);
        self.log_request(key, &exchange, Outcome::Held);
        details.leftover = std::mem::take(&mut exchange.leftover).into_boxed_slice();
        let names = self.channels_of(&exchange, instruct);
        let mode = if kind == HoldKind::Response {
            Mode::Response
        } else {
            Mode::Stream
        };
        let subscriptions: Vec<Subscription> = (0..)
            .zip(&names)
            .map(|(slot, name)| self.hub.subscribe(mode, name, key, slot))
            .collect();
        let hold = Hold {
            subscriptions: Subscriptions::new(subscriptions),
            request: exchange.request.pack(),
            details: details.is_needed(kind).then(|| Box::new(details)),
            route: exchange.route,
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

    /// The channels to subscribe to: those of the target, then those of the instruct with the
    /// route's prefix, as many as are allowed; each once.
    fn channels_of(&self, exchange: &Exchange, instruct: &Instruct) -> Vec<String> {
        let Some(route) = self.routes.get(exchange.route).map(|local| &local.route) else {
            return Vec::new();
        };
        let max = self.settings.config.handler.connection_subscription_max;
        let named = instruct
            .hold
            .iter()
            .flat_map(|hold| &hold.channels)
            .take(max);
        let mut names = implicit_channels(route, exchange.target);
        names.extend(named.map(|channel| format!("{}{}", route.prefix, channel.name)));
        let mut unique: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        unique
    }
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
        kind == HoldKind::Response || self.keep_alive.is_some() || !self.leftover.is_empty()
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
