//! A hold ends: answered, timed out, closed, or handed back to its backend.

use proto::grip::{ResponseBody, ResponseContent, patch};
use proto::http1::encode;

use super::session::Session;
use super::{Hold, HoldKind};
use crate::core::actions::Actions;
use crate::core::answer::{FINAL_STATUS_MIN, Refusal, write_answer};
use crate::core::conn::State;
use crate::core::exchange::{Answer, Exchange, Link, ResponsePhase, Upload};
use crate::core::hub::Subscription;
use crate::core::{ConnKey, Core, Socket};

impl<S: Socket> Core<S> {
    /// Answers a response hold with an item; `filtered`: what filters have made of its content.
    pub(in crate::core) fn answer_hold(
        &mut self,
        key: ConnKey,
        content: &ResponseContent,
        filtered: Option<&[u8]>,
        actions: &mut Actions,
    ) {
        let State::Held(hold) = self.take_state(key) else {
            return;
        };
        let start = actions.scratch.len();
        let status = write_item(&mut actions.scratch, &hold, content, filtered);
        self.counters.deliveries.delivered.add(1);
        self.counters
            .deliveries
            .delivered_bytes
            .add((actions.scratch.len() - start) as u64);
        self.counters.requests.count_response(status);
        actions.send_scratch(key, start);
        self.release_hold(key, hold, actions);
    }

    /// Answers a response hold with what its backend said for this case.
    pub(in crate::core) fn time_out_hold(&mut self, key: ConnKey, actions: &mut Actions) {
        let State::Held(mut hold) = self.take_state(key) else {
            return;
        };
        self.counters.deliveries.holds_timed_out.add(1);
        if let Some(details) = &mut hold.details {
            let answer = std::mem::take(&mut details.answer);
            let answer = hold.complete(answer);
            self.send_answer(key, &hold.terms, &answer, actions);
        }
        self.release_hold(key, hold, actions);
    }

    /// Answers a response hold with an error.
    pub(in crate::core) fn refuse_hold(
        &mut self,
        key: ConnKey,
        refusal: &Refusal,
        actions: &mut Actions,
    ) {
        let State::Held(hold) = self.take_state(key) else {
            return;
        };
        let page = hold.complete(Answer::page(refusal));
        self.send_answer(key, &hold.terms, &page, actions);
        self.release_hold(key, hold, actions);
    }

    /// Ends a stream cleanly.
    pub(in crate::core) fn end_stream(&mut self, key: ConnKey, actions: &mut Actions) {
        let State::Held(hold) = self.take_state(key) else {
            return;
        };
        if hold.kind == HoldKind::ChunkedStream {
            let start = actions.scratch.len();
            actions.scratch.extend_from_slice(encode::LAST_CHUNK);
            actions.send_scratch(key, start);
        }
        self.release_hold(key, hold, actions);
    }

    /// The client of an ended hold may ask again.
    fn release_hold(&mut self, key: ConnKey, mut hold: Hold, actions: &mut Actions) {
        let is_persistent = hold.terms.outlives(hold.kind);
        let leftover = hold.take_leftover();
        let errand = hold.session().and_then(Session::errand);
        self.tell_gone(&mut hold, actions);
        self.drop_hold(key, hold);
        if let Some(errand) = errand {
            self.left_errand(errand, actions);
        }
        self.counters.connections.clients_idle.add(1);
        self.await_request(key, is_persistent, leftover, actions);
    }

    /// Ends a response hold whose request is made again; that request.
    pub(in crate::core) fn unhold(&mut self, key: ConnKey) -> Option<Box<Exchange>> {
        let State::Held(mut hold) = self.take_state(key) else {
            return None;
        };
        self.wheel.cancel(&mut self.rows, key);
        let mut exchange = self.take_spare();
        exchange.request.unpack(&hold.request);
        exchange.route = hold.route;
        exchange.target = 0;
        exchange.address = 0;
        exchange.terms = hold.terms;
        exchange.backend = Link::None;
        exchange.upload = Upload::none();
        exchange.response = ResponsePhase::Head(Vec::new());
        exchange.leftover = hold.take_leftover();
        exchange.retries = 1;
        self.write_positions(&hold, &mut exchange.positions);
        if let Some(details) = &mut hold.details {
            exchange.original_url = details.original_url.take();
            exchange.cross_origin = details.cross_origin.take();
        }
        self.routes.enter(exchange.route);
        self.drop_hold(key, hold);
        self.counters.connections.clients_active.add(1);
        Some(exchange)
    }

    /// Takes a subscription out of the hub.
    pub(in crate::core) fn unsubscribe(&mut self, subscription: Subscription) {
        let rows = &mut self.rows;
        self.hub
            .unsubscribe(subscription, &mut |conn, slot, position| {
                if let Some(row) = rows.get_mut(conn)
                    && let State::Held(other) = &mut row.state
                {
                    other.subscriptions.set_position(slot, position);
                }
            });
    }

    /// Takes a hold out of every table.
    pub(in crate::core) fn drop_hold(&mut self, key: ConnKey, hold: Hold) {
        if let Some(row) = self.rows.get_mut(key) {
            row.flags.is_update_queued = false;
            row.flags.is_update_urgent = false;
        }
        if let Some(limiter) = &mut self.limiter {
            limiter.forget(key);
        }
        for subscription in hold.subscriptions.iter() {
            // The position cannot have changed while earlier subscriptions of this hold were
            // dropped: they are in other entries.
            self.unsubscribe(subscription);
        }
        let gauges = &self.counters.connections;
        match hold.kind {
            HoldKind::Response => gauges.held_long_polls.sub(1),
            HoldKind::ChunkedStream | HoldKind::RawStream | HoldKind::MuteStream => {
                gauges.held_streams.sub(1);
            }
        }
        self.routes.leave(hold.route);
    }
}

impl Hold {
    /// Completes what ends a response hold.
    fn complete(&self, answer: Answer) -> Answer {
        let details = self.details.as_ref();
        match details.and_then(|details| details.cross_origin.as_ref()) {
            Some(cross_origin) => cross_origin.complete(answer),
            None => answer,
        }
    }

    fn take_leftover(&mut self) -> Vec<u8> {
        self.details
            .as_mut()
            .map(|details| std::mem::take(&mut details.leftover).into_vec())
            .unwrap_or_default()
    }
}

/// Writes an item's response for one hold: the fields of its own answer, less those that the item
/// sets itself, then the item's (grip-http.md section 10). Returns the status code.
fn write_item(
    out: &mut Vec<u8>,
    hold: &Hold,
    content: &ResponseContent,
    filtered: Option<&[u8]>,
) -> u16 {
    let own = hold.details.as_ref().map(|details| &details.answer);
    let is_set = |name: &str| {
        content
            .headers
            .iter()
            .any(|(set, _)| set.eq_ignore_ascii_case(name))
    };
    let is_hidden = |name: &str| {
        let exposed = content.expose.as_ref();
        exposed.is_some_and(|names| !names.iter().any(|kept| kept.eq_ignore_ascii_case(name)))
    };
    // What is no final status would make the client wait for another answer.
    let is_final = content.code >= FINAL_STATUS_MIN;
    let mut answer = Answer {
        status: if is_final { content.code } else { 502 },
        reason: if is_final {
            content.reason.to_vec()
        } else {
            b"Bad Gateway".to_vec()
        },
        ..Answer::default()
    };
    for (name, line) in own.into_iter().flat_map(|own| field_lines(&own.fields)) {
        if !is_set(name) && !is_hidden(name) {
            answer.fields.extend_from_slice(line);
        }
    }
    for (name, value) in &content.headers {
        if !is_hidden(name) {
            encode::field(&mut answer.fields, name, value);
        }
    }
    match &content.body {
        _ if filtered.is_some() => answer
            .content
            .extend_from_slice(filtered.unwrap_or_default()),
        ResponseBody::Bytes(bytes) => answer.content.extend_from_slice(bytes),
        ResponseBody::Patch(ops) => {
            let original = own.map(|own| own.content.as_slice()).unwrap_or_default();
            // As Pushpin does: a patch that fails answers with empty content.
            answer.content = patch::apply(ops, original).unwrap_or_default();
        }
    }
    let answer = hold.complete(answer);
    write_answer(out, &hold.terms, &answer);
    answer.status
}

/// The lines of a block of fields, each with its name and with its line end.
fn field_lines(block: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    block.split_inclusive(|b| *b == b'\n').filter_map(|line| {
        let end = memchr::memchr(b':', line)?;
        Some((std::str::from_utf8(line.get(..end)?).ok()?, line))
    })
}
