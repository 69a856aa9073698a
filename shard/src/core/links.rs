//! Next links continue a stream, gone links tell of a session's end, and filters ask: what holds
//! have errands for, and what comes of them (grip-http.md sections 12, 13 and 17.2).

use std::rc::Rc;

use proto::grip::{self, HoldMode, Instruct, Item};
use proto::http1::{ResponseHead, encode};

use super::actions::{Actions, SharedBytes};
use super::conn::State;
use super::errand::{Errand, Purpose, Request};
use super::filter::{self, Decision, Filter, FilterError, ResponseFilter};
use super::hold::session::{Doing, NextLink, Session};
use super::hold::{Hold, HoldKind};
use super::routes::RouteId;
use super::timers::jitter;
use super::updates::{Priority, Turn};
use super::{ConnKey, Core, Socket};

/// Fetches of a next link in a row that may fail.
const FAILURES_MAX: u8 = 5;

/// Milliseconds before the second fetch; doubled for each further one.
const BACK_OFF_MS: u64 = 1_000;

/// By so much at most a further fetch is later, so that many do not fall into one moment.
const BACK_OFF_JITTER_MS: u64 = 1_000;

/// Milliseconds that a filter's question may take.
const ASK_TIMEOUT_MS: u64 = 10_000;

/// Periods of next links that are remembered; beyond it those that are over are forgotten.
const PERIODS_KEPT: usize = 1_024;

impl<S: Socket> Core<S> {
    /// When the period of a next link ends that begins now. Holds with the same link share one, so
    /// that they share the fetch too.
    pub(super) fn period_end(&mut self, url: &str, timeout_ms: u32) -> u64 {
        let now_ms = self.now.ms;
        let end_ms = now_ms + u64::from(timeout_ms);
        if timeout_ms == 0 {
            return end_ms;
        }
        if let Some(periods) = self.periods.get_mut(url) {
            let is_same = |(timeout, end): &&(u32, u64)| *timeout == timeout_ms && *end > now_ms;
            if let Some((_, running)) = periods.iter().find(is_same) {
                return *running;
            }
            match periods.iter_mut().find(|(_, end)| *end <= now_ms) {
                Some(over) => *over = (timeout_ms, end_ms),
                None => periods.push((timeout_ms, end_ms)),
            }
            return end_ms;
        }
        if self.periods.len() >= self.periods_max {
            self.periods
                .retain(|_, periods| periods.iter().any(|(_, end)| *end > now_ms));
            self.periods_max = (self.periods.len() * 2).max(PERIODS_KEPT);
        }
        self.periods.insert(url.into(), vec![(timeout_ms, end_ms)]);
        end_ms
    }

    /// Fetches the next link of a stream.
    pub(super) fn fetch_next(&mut self, key: ConnKey, actions: &mut Actions) -> Turn {
        let Some(State::Held(hold)) = self.rows.get(key).map(|row| &row.state) else {
            return Turn::Nothing;
        };
        let Some(session) = hold.session() else {
            return Turn::Nothing;
        };
        let Some(next) = &session.next else {
            return Turn::Nothing;
        };
        let mut positions = Vec::new();
        self.write_positions(hold, &mut positions);
        let (url, client_url) = (next.url.clone(), session.client_url.clone());
        let request = Request {
            route: hold.route,
            target: usize::from(hold.target),
            method: "GET",
            url: &url,
            fields: &[],
            positions: &positions,
            content: &[],
            client_url: &client_url,
            timeout_ms: None,
            is_shared: true,
        };
        match self.begin_errand(Some(key), Purpose::Next, &request, actions) {
            Some((_, is_new)) => {
                self.counters.updates.links_fetched.add(u64::from(is_new));
                if is_new { Turn::Begun } else { Turn::Joined }
            }
            None => {
                self.break_stream(key, "Failed to retrieve next link.", actions);
                Turn::Nothing
            }
        }
    }

    /// The holds that still wait for an errand.
    pub(super) fn live_holders(&self, errand: &Errand) -> Vec<ConnKey> {
        let is_live = |(key, serial): &&(ConnKey, u32)| {
            self.rows.get(*key).is_some_and(|row| {
                row.serial == *serial
                    && matches!(&row.state, State::Held(hold)
                        if hold.session().and_then(Session::errand) == Some(errand.key))
            })
        };
        errand
            .holders
            .iter()
            .filter(is_live)
            .map(|(key, _)| *key)
            .collect()
    }

    /// The head of a fetched response; false: nothing of it is of use.
    pub(super) fn next_head(
        &mut self,
        errand: &mut Errand,
        head: &ResponseHead<'_, '_>,
        actions: &mut Actions,
    ) -> bool {
        if !(200..300).contains(&head.status) {
            self.retry_next(errand, actions);
            return false;
        }
        let decoded = match grip::is_json_instruct(head.fields) {
            true => Err("Next link returned an instruct as content.".to_owned()),
            false => {
                grip::decode_fields(head.fields, &errand.url).map_err(|error| error.to_string())
            }
        };
        match decoded {
            Ok(instruct) => {
                if has_response_filter(&instruct) {
                    let meta = filter::Meta::new(instruct.meta().to_vec());
                    match ResponseFilter::new(&meta) {
                        Ok(filter) => errand.response_filter = Some(filter),
                        Err(error) => {
                            let why = format!("filter error: {error}");
                            self.break_holders(errand, &why, actions);
                            return false;
                        }
                    }
                }
                errand.instruct = Some(Rc::new(instruct));
                true
            }
            Err(why) => {
                self.counters.errors.instruct_invalid.add(1);
                self.break_holders(errand, &why, actions);
                false
            }
        }
    }

    /// Passes a piece of fetched content on; false: nobody is left to get it.
    pub(super) fn next_piece_came(
        &mut self,
        errand: &mut Errand,
        piece: &[u8],
        actions: &mut Actions,
    ) -> bool {
        let mut filtered = Vec::new();
        let piece = match &mut errand.response_filter {
            Some(filter) => match filter.piece(piece, &mut filtered) {
                Ok(()) => filtered.as_slice(),
                Err(error) => {
                    let why = format!("filter error: {error}");
                    self.break_holders(errand, &why, actions);
                    return false;
                }
            },
            None => piece,
        };
        let holders = self.live_holders(errand);
        if holders.is_empty() {
            return false;
        }
        errand.has_begun = true;
        self.keep_for_joiners(errand, piece);
        if let [only] = holders.as_slice() {
            self.send_fetched(*only, piece, actions);
            return true;
        }
        let mut chunk = Vec::new();
        encode::chunk(&mut chunk, piece);
        let len = chunk.len();
        actions.shared.push(SharedBytes::Shard(chunk.into()));
        let index = actions.shared.len() - 1;
        for key in holders {
            if self.hold_kind(key) == Some(HoldKind::ChunkedStream) {
                self.stop_keep_alive(key);
                actions.send_shared(key, index, 0..len);
            } else {
                self.send_fetched(key, piece, actions);
            }
        }
        true
    }

    /// Sends fetched content to one hold.
    pub(super) fn send_fetched(&mut self, key: ConnKey, content: &[u8], actions: &mut Actions) {
        if content.is_empty() {
            return;
        }
        self.stop_keep_alive(key);
        if let Some(kind) = self.hold_kind(key) {
            super::hold::send_framed(key, kind, content, actions);
        }
    }

    /// While fetched content arrives, nothing has to be kept alive.
    fn stop_keep_alive(&mut self, key: ConnKey) {
        if let Some(session) = self.session_mut(key)
            && session.keep_alive_due_ms != u64::MAX
        {
            session.keep_alive_due_ms = u64::MAX;
            self.arm_hold(key);
        }
    }

    /// Fetched content is complete: the holds go by its instructions.
    pub(super) fn next_done(&mut self, errand: &mut Errand, actions: &mut Actions) {
        if let Some(filter) = errand.response_filter.take()
            && let Err(error) = filter.end()
        {
            let why = format!("filter error: {error}");
            self.break_holders(errand, &why, actions);
            return;
        }
        let Some(instruct) = errand.instruct.take() else {
            return;
        };
        for key in self.live_holders(errand) {
            self.go_by(key, &instruct, &errand.url, actions);
        }
    }

    /// Goes on by new instructions; `url` is where they came from.
    fn go_by(&mut self, key: ConnKey, instruct: &Instruct, url: &str, actions: &mut Actions) {
        if let Some(why) = unfit(instruct) {
            self.counters.errors.instruct_invalid.add(1);
            self.break_stream(key, &why, actions);
            return;
        }
        let next = instruct
            .next
            .as_ref()
            .and_then(|link| self.next_link(link, url));
        if instruct.hold.is_none() && next.is_none() {
            self.end_stream(key, actions);
            return;
        }
        let is_hold = instruct.hold.is_some();
        let is_behind = is_hold && self.resubscribe(key, instruct);
        if let Some(session) = self.session_mut(key) {
            session.next = next;
            session.url = url.into();
            session.is_skipping = !session.queue.is_empty();
            session.forget_activity();
            session.doing = Doing::Resting;
        }
        if !is_hold {
            if let Some(session) = self.session_mut(key) {
                session.doing = Doing::WaitingToUpdate;
            }
            self.want_update(key, Priority::Urgent);
            return;
        }
        self.run_queue(key, actions);
        if is_behind {
            self.want_update(key, Priority::Patient);
        }
        self.arm_hold(key);
    }

    /// A link as a hold keeps it.
    pub(super) fn next_link(&mut self, link: &grip::Link, base: &str) -> Option<NextLink> {
        let url = grip::link::resolve(base, &link.url).ok()?;
        let timeout_ms = link.timeout_s.saturating_mul(1000);
        let due_ms = self.period_end(&url, timeout_ms);
        Some(NextLink {
            url: url.into(),
            timeout_ms,
            due_ms,
            failures: 0,
        })
    }

    /// A fetch has failed for good or for now.
    pub(super) fn next_failed(&mut self, errand: &Errand, actions: &mut Actions) {
        if errand.has_begun {
            self.break_holders(errand, "Failed to retrieve next link.", actions);
        } else {
            self.retry_next(errand, actions);
        }
    }

    fn retry_next(&mut self, errand: &Errand, actions: &mut Actions) {
        self.counters.updates.links_failed.add(1);
        let now_ms = self.now.ms;
        for key in self.live_holders(errand) {
            let serial = self.serial_of(key);
            let Some(session) = self.session_mut(key) else {
                continue;
            };
            let Some(next) = &mut session.next else {
                continue;
            };
            next.failures = next.failures.saturating_add(1);
            if next.failures > FAILURES_MAX {
                self.break_stream(key, "Failed to retrieve next link.", actions);
                continue;
            }
            let pause_ms = BACK_OFF_MS << (next.failures - 1);
            next.due_ms = now_ms + pause_ms + jitter(serial, BACK_OFF_JITTER_MS);
            session.doing = Doing::BackingOff;
            self.arm_hold(key);
        }
    }

    fn break_holders(&mut self, errand: &Errand, why: &str, actions: &mut Actions) {
        for key in self.live_holders(errand) {
            self.break_stream(key, why, actions);
        }
    }

    /// Tells the gone link of a session that has ended, if it has one.
    pub(super) fn tell_gone(&mut self, hold: &mut Hold, actions: &mut Actions) {
        if let Some(gone) = Gone::take(hold) {
            self.post_gone(&gone, None, actions);
        }
    }

    /// Tells the gone link of a long-poll that is about to ask again; false: it has none.
    pub(super) fn tell_gone_before_retry(&mut self, key: ConnKey, actions: &mut Actions) -> bool {
        let gone = match self.rows.get_mut(key).map(|row| &mut row.state) {
            Some(State::Held(hold)) => Gone::take(hold),
            _ => None,
        };
        let Some(gone) = gone else {
            return false;
        };
        let retry = Some((key, self.serial_of(key)));
        if !self.post_gone(&gone, retry, actions) {
            self.gone_told(retry, None, actions);
        }
        true
    }

    /// False: the link leads nowhere.
    fn post_gone(
        &mut self,
        gone: &Gone,
        retry: Option<(ConnKey, u32)>,
        actions: &mut Actions,
    ) -> bool {
        let request = Request {
            route: gone.route,
            target: gone.target,
            method: "POST",
            url: &gone.url,
            fields: &[],
            positions: &[],
            content: &[],
            client_url: &gone.client_url,
            timeout_ms: None,
            is_shared: false,
        };
        self.counters.updates.gone_told.add(1);
        let begun = self.begin_errand(None, Purpose::Gone { retry }, &request, actions);
        begun.is_some()
    }

    /// A gone link was told, by this errand; a long-poll that waited for that asks again.
    pub(super) fn gone_told(
        &mut self,
        retry: Option<(ConnKey, u32)>,
        errand: Option<ConnKey>,
        actions: &mut Actions,
    ) {
        let Some((key, serial)) = retry else {
            return;
        };
        if self.rows.get(key).is_none_or(|row| row.serial != serial) {
            return;
        }
        // Its time may have been over before, and the next poll of this client be held by now.
        let waiting = self
            .session_mut(key)
            .filter(|session| session.errand() == errand);
        let Some(session) = waiting else {
            return;
        };
        session.doing = Doing::Resting;
        if self.retry_merged(key, actions) == Turn::Stuck {
            self.want_update(key, Priority::Urgent);
        }
    }

    /// Sends a filter's question about the item at the head of the queue.
    ///
    /// # Errors
    /// If the URL that the subscription names cannot be asked.
    pub(super) fn begin_ask(
        &mut self,
        key: ConnKey,
        filter: Filter,
        at: usize,
        item: &Item,
        content: Vec<u8>,
        actions: &mut Actions,
    ) -> Result<(), FilterError> {
        let Some(State::Held(hold)) = self.rows.get(key).map(|row| &row.state) else {
            return Err(FilterError::MissingUrl);
        };
        let session = hold.session().ok_or(FilterError::MissingUrl)?;
        let reference = filter::url(&session.meta)?;
        let url =
            grip::link::resolve(&session.url, reference).map_err(|_| FilterError::InvalidUrl)?;
        let mut fields = Vec::new();
        encode::field(&mut fields, "Sub-Meta", session.meta.json().as_bytes());
        let pub_meta = filter::item_meta_json(&item.meta);
        encode::field(&mut fields, "Pub-Meta", pub_meta.as_bytes());
        let mut positions = Vec::new();
        self.write_positions(hold, &mut positions);
        let client_url = session.client_url.clone();
        let question: &[u8] = match filter {
            Filter::HttpModify => &content,
            _ => &[],
        };
        let request = Request {
            route: hold.route,
            target: usize::from(hold.target),
            method: "POST",
            url: &url,
            fields: &fields,
            positions: &positions,
            content: question,
            client_url: &client_url,
            timeout_ms: Some(ASK_TIMEOUT_MS),
            // The same question at the same time has the same answer.
            is_shared: true,
        };
        let purpose = Purpose::Ask { filter, at };
        if let Some(session) = self.session_mut(key) {
            session.asked = content.clone();
        }
        match self.begin_errand(Some(key), purpose, &request, actions) {
            Some((_, is_new)) => {
                self.counters.updates.asks.add(u64::from(is_new));
                Ok(())
            }
            None => {
                if let Some(session) = self.session_mut(key) {
                    session.doing = Doing::Resting;
                }
                Err(FilterError::InvalidUrl)
            }
        }
    }

    /// A question was answered, for all who have asked it.
    pub(super) fn asked(
        &mut self,
        errand: &Errand,
        at: usize,
        decision: &Result<Decision, FilterError>,
        actions: &mut Actions,
    ) {
        for key in self.live_holders(errand) {
            let Some(session) = self.session_mut(key) else {
                continue;
            };
            let own = std::mem::take(&mut session.asked);
            let content = match decision {
                Ok(Decision::Replace) => &errand.content,
                _ => &own,
            };
            self.answered(key, at, decision.clone(), content, actions);
        }
    }
}

/// What it takes to tell a gone link.
struct Gone {
    route: RouteId,
    target: usize,
    url: Box<str>,
    client_url: Box<str>,
}

impl Gone {
    /// The gone link of a hold, which is then told only once.
    fn take(hold: &mut Hold) -> Option<Self> {
        let (route, target) = (hold.route, usize::from(hold.target));
        let session = hold.session_mut()?;
        Some(Self {
            route,
            target,
            url: session.gone.take()?,
            client_url: session.client_url.clone(),
        })
    }
}

/// Whether the bodies of responses go through filters.
pub(super) fn has_response_filter(instruct: &Instruct) -> bool {
    instruct
        .channels()
        .iter()
        .any(|channel| filter::Filters::parse(&channel.filters).has_response_filter())
}

/// Why a stream cannot go on by instructions.
fn unfit(instruct: &Instruct) -> Option<String> {
    match &instruct.hold {
        Some(hold) if hold.mode == HoldMode::Response => {
            Some("Next link returned non-stream hold.".to_owned())
        }
        Some(_) => position_without_link(instruct),
        None => None,
    }
}

/// A stream with a position needs a link, or a gap could never be closed.
pub(super) fn position_without_link(instruct: &Instruct) -> Option<String> {
    if instruct.next.is_some() {
        return None;
    }
    let channels = instruct.hold.iter().flat_map(|hold| &hold.channels);
    let mut with_position = channels.filter(|channel| channel.prev_id.is_some());
    let name = &with_position.next()?.name;
    Some(format!(
        "channel '{name}' specifies prev-id, but no next link found"
    ))
}
