//! Items for holds with a session: one by one and in order, by position and through filters
//! (grip-http.md sections 15 and 17).

use std::borrow::Cow;
use std::sync::Arc;

use proto::grip::{Item, ResponseBody, ResponseForm, StreamForm, patch};
use proto::http1::encode;

use super::session::{Doing, Fit, Queued, SessionChannel};
use super::{Hold, HoldKind};
use crate::core::actions::{Actions, Place};
use crate::core::answer::Refusal;
use crate::core::conn::State;
use crate::core::filter::{self, FilterError, Filters, Verdict};
use crate::core::hub::{Mode, Subscriber};
use crate::core::publish::Group;
use crate::core::updates::Priority;
use crate::core::{ConnKey, Core, Socket};

/// Between two lines about filters that failed: an item may fail for all holds of its channel.
const FILTER_QUIET_MS: u64 = 1000;

/// How a hold stands after an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It can take the next one.
    Next,
    /// It waits for something; the rest is to be queued.
    Waiting,
    /// It is over.
    Over,
}

/// An item on its way to one hold.
#[derive(Clone, Copy)]
struct Offer<'i> {
    to: Subscriber,
    /// The entry of the hub that it was released to.
    entry: u32,
    item: &'i Arc<Item>,
    /// Where its chunk lies among the shared bytes of the actions under way.
    chunk: Option<Place>,
}

impl<'i> Offer<'i> {
    /// An item that has waited for this hold.
    fn queued(conn: ConnKey, queued: &'i Queued) -> Self {
        Self {
            to: Subscriber {
                conn,
                slot: queued.slot,
            },
            entry: queued.entry,
            item: &queued.item,
            chunk: None,
        }
    }
}

impl<S: Socket> Core<S> {
    /// Items of one channel have come for a hold with a session. `shared`: which shared bytes are
    /// the chunks of the group.
    pub(super) fn offer_group(
        &mut self,
        to: Subscriber,
        entry: u32,
        group: &Group,
        shared: Option<usize>,
        actions: &mut Actions,
    ) {
        for (number, item) in group.items().iter().enumerate() {
            let chunk = shared.and_then(|index| {
                let std::ops::Range { start, end } = group.stream().chunk_of(number)?;
                Some(Place { index, start, end })
            });
            let offer = Offer {
                to,
                entry,
                item,
                chunk,
            };
            if self.offer(offer, actions) == Taken::Over {
                return;
            }
        }
    }

    fn offer(&mut self, offer: Offer<'_>, actions: &mut Actions) -> Taken {
        let Subscriber { conn, slot } = offer.to;
        let Some(row) = self.rows.get_mut(conn) else {
            return Taken::Over;
        };
        let is_blocked = row.flags.is_blocked;
        let State::Held(hold) = &mut row.state else {
            return Taken::Over;
        };
        if !hold.subscriptions.is_for(slot, offer.entry) {
            return Taken::Over;
        }
        let Some(session) = hold.session_mut() else {
            return Taken::Over;
        };
        let has_position = session
            .channel(slot)
            .is_some_and(|channel| channel.position.is_some());
        // What a slow client misses can be fetched, so it does not cost memory here.
        let is_slow = is_blocked && has_position && session.next.is_some();
        if !session.is_busy() && !is_slow {
            return self.take_item(offer, actions);
        }
        if session.enqueue(offer.entry, slot, offer.item) {
            return Taken::Waiting;
        }
        self.counters.updates.queue_full.add(1);
        if has_position {
            // The next item will not fit; if there is none, this asks for what was dropped.
            session.wants_update = true;
            return Taken::Waiting;
        }
        self.counters.deliveries.slow_clients_closed.add(1);
        log::debug!("a hold has too many items waiting: closed");
        self.close_client(conn, actions);
        Taken::Over
    }

    /// Goes on with the items that wait, as far as the hold can take them.
    pub(in crate::core) fn run_queue(&mut self, key: ConnKey, actions: &mut Actions) {
        loop {
            let Some(row) = self.rows.get_mut(key) else {
                return;
            };
            let is_blocked = row.flags.is_blocked;
            let State::Held(hold) = &mut row.state else {
                return;
            };
            let is_recoverable = hold.session().is_some_and(|session| session.next.is_some());
            let Some(session) = hold.session_mut() else {
                return;
            };
            if session.doing != Doing::Resting || (is_blocked && is_recoverable) {
                return;
            }
            let Some(queued) = session.queue.pop_front() else {
                session.is_skipping = false;
                if std::mem::take(&mut session.wants_update) {
                    self.want_update(key, Priority::Patient);
                }
                return;
            };
            let fits = session
                .channel(queued.slot)
                .is_some_and(|channel| channel.fit(&queued.item) == Fit::Follows);
            let is_skipped = session.is_skipping && !fits;
            // Of a channel that was given up: it says nothing about the position of another one.
            if !hold.subscriptions.is_for(queued.slot, queued.entry) || is_skipped {
                continue;
            }
            if let Some(session) = hold.session_mut() {
                session.is_skipping = false;
            }
            let offer = Offer::queued(key, &queued);
            if self.take_item(offer, actions) != Taken::Next {
                return;
            }
        }
    }

    fn take_item(&mut self, offer: Offer<'_>, actions: &mut Actions) -> Taken {
        let Subscriber { conn, slot } = offer.to;
        let Some(channel) = self.session_channel(conn, slot) else {
            return Taken::Over;
        };
        match channel.fit(offer.item) {
            Fit::Known => return Taken::Next,
            Fit::Gap => {
                self.gap(offer);
                return Taken::Next;
            }
            Fit::Follows => {}
        }
        let filters = channel.filters;
        let mode = match self.hold_kind(conn) {
            Some(HoldKind::Response) => Mode::Response,
            Some(_) | None => Mode::Stream,
        };
        if let Some(why) = unmet(filters, offer.item, mode) {
            return self.session_error(conn, &why, actions);
        }
        if filters.is_empty() {
            return self.apply(offer, None, actions);
        }
        self.filter(offer, filters, 0, None, actions)
    }

    /// Runs the filters from number `from` on, over `content` or else the item's own.
    fn filter(
        &mut self,
        offer: Offer<'_>,
        filters: Filters,
        from: usize,
        content: Option<&[u8]>,
        actions: &mut Actions,
    ) -> Taken {
        let mut out = std::mem::take(&mut self.filtered);
        out.clear();
        let verdict = self.run_filters(offer, filters, from, content, &mut out);
        let taken = match verdict {
            Verdict::Pass => self.apply(offer, content, actions),
            Verdict::Changed => self.apply(offer, Some(&out), actions),
            Verdict::Drop => {
                self.counters.updates.filtered.add(1);
                self.advance(offer);
                Taken::Next
            }
            Verdict::Failed(error) => self.filter_failed(offer, &error, actions),
            Verdict::Ask { at, is_changed } => {
                let content = if is_changed { Some(&*out) } else { content };
                let own = content.map_or_else(|| self.content_of(offer), Cow::Borrowed);
                let own = own.into_owned();
                self.ask(offer, filters, at, own, actions)
            }
        };
        self.filtered = out;
        taken
    }

    fn run_filters(
        &self,
        offer: Offer<'_>,
        filters: Filters,
        from: usize,
        content: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let Some(State::Held(hold)) = self.rows.get(offer.to.conn).map(|row| &row.state) else {
            return Verdict::Drop;
        };
        let Some(session) = hold.session() else {
            return Verdict::Drop;
        };
        let slot_of = |name: &str| {
            (0..)
                .zip(hold.subscriptions.slots())
                .find(|(slot, sub)| {
                    !sub.is_none() && self.bare_channel(hold, *slot, sub.entry) == Some(name)
                })
                .map(|(slot, _)| slot)
        };
        let position = |name: &str| {
            let slot = slot_of(name)?;
            let position = session.channel(slot)?.position.as_deref()?;
            // With this item counted already.
            if slot == offer.to.slot {
                return offer.item.id.as_deref();
            }
            Some(position)
        };
        let context = filter::Context {
            meta: &session.meta,
            item_meta: &offer.item.meta,
            is_subscribed: &|name| slot_of(name).is_some(),
            position: &position,
        };
        let own;
        let content = match content {
            Some(content) => content,
            None => {
                own = self.content_of(offer);
                &own
            }
        };
        filter::run(filters, from, &context, content, out)
    }

    /// The content of an item for one hold, before any filter.
    fn content_of<'i>(&self, offer: Offer<'i>) -> Cow<'i, [u8]> {
        let Some(State::Held(hold)) = self.rows.get(offer.to.conn).map(|row| &row.state) else {
            return Cow::Borrowed(&[]);
        };
        if hold.is_stream() {
            return match &offer.item.stream {
                Some(StreamForm::Send(content)) => Cow::Borrowed(content.content()),
                _ => Cow::Borrowed(&[]),
            };
        }
        match &offer.item.response {
            Some(ResponseForm::Send(content)) => match &content.body {
                ResponseBody::Bytes(bytes) => Cow::Borrowed(bytes),
                ResponseBody::Patch(ops) => {
                    let own = hold
                        .details
                        .as_ref()
                        .map(|details| &*details.answer.content);
                    Cow::Owned(patch::apply(ops, own.unwrap_or_default()).unwrap_or_default())
                }
            },
            _ => Cow::Borrowed(&[]),
        }
    }

    /// Has a filter's question answered; the item waits at the head of the queue.
    fn ask(
        &mut self,
        offer: Offer<'_>,
        filters: Filters,
        at: usize,
        content: Vec<u8>,
        actions: &mut Actions,
    ) -> Taken {
        let Subscriber { conn, slot } = offer.to;
        let Some(filter) = filters.iter().nth(at) else {
            return Taken::Next;
        };
        if let Some(session) = self.session_mut(conn) {
            let item = Arc::clone(offer.item);
            session.queue.push_front(Queued {
                entry: offer.entry,
                slot,
                item,
            });
        }
        match self.begin_ask(conn, filter, at, offer.item, content, actions) {
            Ok(()) => Taken::Waiting,
            Err(error) => {
                if let Some(session) = self.session_mut(conn) {
                    session.queue.pop_front();
                }
                self.filter_failed(offer, &error, actions)
            }
        }
    }

    /// A filter's question has been answered: the item that waits for it goes on.
    pub(in crate::core) fn answered(
        &mut self,
        key: ConnKey,
        at: usize,
        decision: Result<filter::Decision, FilterError>,
        content: &[u8],
        actions: &mut Actions,
    ) {
        let Some(session) = self.session_mut(key) else {
            return;
        };
        session.doing = Doing::Resting;
        let Some(queued) = session.queue.pop_front() else {
            return;
        };
        let offer = Offer::queued(key, &queued);
        let filters = self
            .session_channel(key, queued.slot)
            .map(|channel| channel.filters)
            .unwrap_or_default();
        let taken = match decision {
            Ok(filter::Decision::Drop) => {
                self.counters.updates.filtered.add(1);
                self.advance(offer);
                Taken::Next
            }
            Ok(filter::Decision::Keep | filter::Decision::Replace) => {
                self.filter(offer, filters, at + 1, Some(content), actions)
            }
            Err(error) => self.filter_failed(offer, &error, actions),
        };
        if taken == Taken::Next {
            self.run_queue(key, actions);
            self.arm_hold(key);
        }
    }

    /// Does to the hold what the item says; `content`: what filters have made of it.
    fn apply(&mut self, offer: Offer<'_>, content: Option<&[u8]>, actions: &mut Actions) -> Taken {
        let conn = offer.to.conn;
        let kind = match self.hold_kind(conn) {
            Some(HoldKind::Response) => return self.apply_response(offer, content, actions),
            Some(kind) => kind,
            None => return Taken::Over,
        };
        match &offer.item.stream {
            Some(StreamForm::Send(own)) => {
                self.advance(offer);
                match (content, offer.chunk) {
                    (None, Some(place)) if kind == HoldKind::ChunkedStream => {
                        actions.send_shared(conn, place.index, place.start..place.end);
                    }
                    (None, None) if kind == HoldKind::ChunkedStream => {
                        let chunk = Arc::clone(own.chunk());
                        let len = chunk.len();
                        actions.shared.push(chunk.into());
                        actions.send_shared(conn, actions.shared.len() - 1, 0..len);
                    }
                    (changed, _) => {
                        let bytes = changed.unwrap_or_else(|| own.content());
                        send_framed(conn, kind, bytes, actions);
                    }
                }
                self.wrote_item(offer, content.unwrap_or_else(|| own.content()).len());
                Taken::Next
            }
            Some(StreamForm::Close) => {
                self.end_stream(conn, actions);
                Taken::Over
            }
            Some(StreamForm::Hint) => {
                if let Some(session) = self.session_mut(conn) {
                    session.queue.clear();
                }
                self.want_update(conn, Priority::Urgent);
                Taken::Next
            }
            Some(StreamForm::Refresh) | None => {
                self.advance(offer);
                Taken::Next
            }
        }
    }

    fn apply_response(
        &mut self,
        offer: Offer<'_>,
        content: Option<&[u8]>,
        actions: &mut Actions,
    ) -> Taken {
        match &offer.item.response {
            Some(ResponseForm::Send(response)) => {
                self.answer_hold(offer.to.conn, response, content, actions);
                Taken::Over
            }
            Some(ResponseForm::Hint) => {
                self.want_update(offer.to.conn, Priority::Urgent);
                // What follows is newer than what the hint is about: it must not answer alone.
                Taken::Over
            }
            Some(ResponseForm::Close | ResponseForm::Refresh) | None => {
                self.advance(offer);
                Taken::Next
            }
        }
    }

    fn advance(&mut self, offer: Offer<'_>) {
        if let Some(session) = self.session_mut(offer.to.conn)
            && let Some(channel) = session.channel_mut(offer.to.slot)
        {
            channel.advance(offer.item);
        }
    }

    /// Notes that content was written to a stream.
    fn wrote_item(&mut self, offer: Offer<'_>, len: usize) {
        self.counters.deliveries.delivered.add(1);
        self.counters.deliveries.delivered_bytes.add(len as u64);
        let key = offer.to.conn;
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        let is_blocked = row.flags.is_blocked;
        let State::Held(hold) = &mut row.state else {
            return;
        };
        let idle_ms = hold.idle_timeout_ms().filter(|_| !is_blocked);
        if let Some(session) = hold.session_mut()
            && session.next.is_some()
            && let Some(channel) = session.channel_mut(offer.to.slot)
        {
            channel.is_active = true;
        }
        if let Some(ms) = idle_ms {
            self.schedule_keep_alive(key, ms);
        }
    }

    /// An item does not follow what the client has: the hold asks for what lies between.
    fn gap(&mut self, offer: Offer<'_>) {
        let conn = offer.to.conn;
        let row = self.rows.get(conn);
        if row.is_some_and(|row| row.flags.is_update_queued) {
            return;
        }
        self.counters.updates.gaps.add(1);
        if let Some(session) = self.session_mut(conn) {
            session.queue.clear();
        }
        self.want_update(conn, Priority::Patient);
    }

    /// Filters that fail keep their item from its hold, which does not count as having it.
    fn filter_failed(
        &mut self,
        offer: Offer<'_>,
        error: &FilterError,
        actions: &mut Actions,
    ) -> Taken {
        self.counters.updates.filter_errors.add(1);
        if self.now.ms >= self.filter_quiet_until_ms {
            self.filter_quiet_until_ms = self.now.ms + FILTER_QUIET_MS;
            let channel = &offer.item.channel;
            log::warn!("filter error on channel {channel}: {error}");
        }
        self.session_error(offer.to.conn, &format!("filter error: {error}"), actions)
    }

    /// In debug mode a client is told of an error and its hold ends; else it goes on without the
    /// item (grip-http.md section 17.3).
    pub(super) fn session_error(
        &mut self,
        key: ConnKey,
        why: &str,
        actions: &mut Actions,
    ) -> Taken {
        let Some(State::Held(hold)) = self.rows.get(key).map(|row| &row.state) else {
            return Taken::Over;
        };
        let is_stream = hold.is_stream();
        if !self.is_debug(hold.route) {
            return Taken::Next;
        }
        if is_stream {
            self.break_stream(key, why, actions);
        } else {
            self.refuse_hold(key, &Refusal::new(502, why), actions);
        }
        Taken::Over
    }

    /// Ends a stream because of an error. Only in debug mode the client can tell: it may reconnect
    /// in both cases (grip-http.md section 11.5).
    pub(in crate::core) fn break_stream(&mut self, key: ConnKey, why: &str, actions: &mut Actions) {
        self.counters.updates.streams_broken.add(1);
        log::debug!("a stream ends: {why}");
        if let Some(State::Held(hold)) = self.rows.get(key).map(|row| &row.state)
            && self.is_debug(hold.route)
        {
            let text = format!("\n\n{why}\n");
            send_framed(key, hold.kind, text.as_bytes(), actions);
        }
        self.end_stream(key, actions);
    }

    /// How a client is held, if it is.
    pub(in crate::core) fn hold_kind(&self, key: ConnKey) -> Option<HoldKind> {
        match &self.rows.get(key)?.state {
            State::Held(hold) => Some(hold.kind),
            _ => None,
        }
    }

    /// What is known of one subscription of a session.
    fn session_channel(&self, key: ConnKey, slot: u32) -> Option<&SessionChannel> {
        match &self.rows.get(key)?.state {
            State::Held(hold) => hold.session()?.channel(slot),
            _ => None,
        }
    }

    /// The session of a held client.
    pub(in crate::core) fn session_mut(
        &mut self,
        key: ConnKey,
    ) -> Option<&mut super::session::Session> {
        match &mut self.rows.get_mut(key)?.state {
            State::Held(hold) => hold.session_mut(),
            _ => None,
        }
    }

    /// A channel's name without the route's prefix, as backends know it.
    pub(in crate::core) fn bare_channel(&self, hold: &Hold, slot: u32, entry: u32) -> Option<&str> {
        let name = self.hub.name(entry)?;
        let is_implicit = hold
            .session()
            .and_then(|session| session.channel(slot))
            .is_some_and(|channel| channel.is_implicit);
        if is_implicit {
            return Some(name);
        }
        let prefix = self
            .routes
            .get(hold.route)
            .map_or("", |local| local.route.prefix.as_str());
        Some(name.strip_prefix(prefix).unwrap_or(name))
    }

    /// The `Grip-Last` lines of a hold: one for each channel with a position.
    pub(in crate::core) fn write_positions(&self, hold: &Hold, out: &mut Vec<u8>) {
        let Some(session) = hold.session() else {
            return;
        };
        for (slot, subscription) in (0..).zip(hold.subscriptions.slots()) {
            let position = session
                .channel(slot)
                .and_then(|channel| channel.position.as_deref());
            if let Some(position) = position
                && let Some(name) = self.bare_channel(hold, slot, subscription.entry)
            {
                super::session::write_last(out, name, position);
            }
        }
    }
}

/// Sends bytes of a stream in its framing.
pub(in crate::core) fn send_framed(
    key: ConnKey,
    kind: HoldKind,
    content: &[u8],
    actions: &mut Actions,
) {
    if content.is_empty() {
        return;
    }
    let start = actions.scratch.len();
    match kind {
        HoldKind::ChunkedStream => encode::chunk(&mut actions.scratch, content),
        HoldKind::RawStream => actions.scratch.extend_from_slice(content),
        HoldKind::MuteStream | HoldKind::Response => {}
    }
    actions.send_scratch(key, start);
}

/// The content filters that the author of an item counts on, in the format of one mode.
pub(in crate::core) fn content_filters(item: &Item, mode: Mode) -> Option<&[String]> {
    match (mode, &item.stream, &item.response) {
        (Mode::Stream, Some(StreamForm::Send(content)), _) => content.content_filters.as_deref(),
        (Mode::Response, _, Some(ResponseForm::Send(content))) => {
            content.content_filters.as_deref()
        }
        _ => None,
    }
}

/// Why a hold with these filters does not get an item that counts on others (grip-http.md section
/// 17.5).
pub(super) fn unmet(filters: Filters, item: &Item, mode: Mode) -> Option<String> {
    let mismatch = filter::content_mismatch(filters, content_filters(item, mode))?;
    Some(mismatch.to_string())
}
