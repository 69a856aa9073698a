//! Items reach the holds: in slices, so that a huge channel leaves time for everything else.

use std::rc::Rc;

use proto::grip::ResponseForm;

use super::HoldKind;
use super::session::Doing;
use super::sessions::{Taken, unmet};
use crate::core::actions::Actions;
use crate::core::conn::State;
use crate::core::filter::Filters;
use crate::core::hub::{Mode, Slice, Subscriber};
use crate::core::publish::Group;
use crate::core::timers::jitter;
use crate::core::updates::Priority;
use crate::core::{ConnKey, Core, Socket};

/// A keep-alive may be up to this early, so that many of them do not fall into one moment.
const KEEP_ALIVE_JITTER_MS: u64 = 1000;

impl<S: Socket> Core<S> {
    /// Delivers up to `max` of what was released; answers how many were done. 0: nothing is left,
    /// or with `message_rate` no room to let more wait.
    pub fn deliver(&mut self, max: usize, actions: &mut Actions) -> usize {
        let mut subscribers = std::mem::take(&mut self.slice);
        subscribers.clear();
        let done = if self.limiter.is_some() {
            self.limit_slice(max, &mut subscribers)
        } else if let Some(slice) = self.hub.next_slice(max, &mut subscribers) {
            self.delivering = Some(slice.entry);
            self.deliver_slice(&slice, &subscribers, actions);
            subscribers.len()
        } else {
            0
        };
        self.slice = subscribers;
        self.settle(actions);
        done
    }

    /// What the last call of [`Core::deliver`] has asked for is done.
    pub fn delivered(&mut self) {
        self.delivering = None;
    }

    pub(in crate::core) fn deliver_slice(
        &mut self,
        slice: &Slice<Rc<Group>>,
        to: &[Subscriber],
        actions: &mut Actions,
    ) {
        match slice.mode {
            Mode::Stream => self.deliver_to_streams(slice, to, actions),
            Mode::Response => {
                for subscriber in to {
                    match self.is_subscribed(*subscriber, slice.entry) {
                        Some(true) => {
                            let group = &slice.payload;
                            self.offer_group(*subscriber, slice.entry, group, None, actions);
                        }
                        Some(false) => {
                            self.deliver_to_poll(subscriber.conn, &slice.payload, actions);
                        }
                        None => {}
                    }
                }
            }
            Mode::WebSocket => {}
        }
    }

    /// If that connection is still who subscribed to that channel: whether it has a session.
    fn is_subscribed(&self, subscriber: Subscriber, entry: u32) -> Option<bool> {
        let State::Held(hold) = &self.rows.get(subscriber.conn)?.state else {
            return None;
        };
        let is_it = hold.subscriptions.is_for(subscriber.slot, entry);
        is_it.then(|| hold.session().is_some())
    }

    fn deliver_to_streams(
        &mut self,
        slice: &Slice<Rc<Group>>,
        to: &[Subscriber],
        actions: &mut Actions,
    ) {
        let group = &slice.payload;
        let wire = group.stream();
        let index = actions.shared.len();
        actions.shared.push(wire.chunked.clone());
        let mut raw = None;
        let whole = 0..wire.chunked.as_slice().len();
        let plain = Filters::default();
        let mut items = group.items().iter();
        let unmet = items.find_map(|item| unmet(plain, item, Mode::Stream));
        let mut count = 0;
        for subscriber in to {
            let Some(row) = self.rows.get_mut(subscriber.conn) else {
                continue;
            };
            let State::Held(hold) = &mut row.state else {
                continue;
            };
            if !hold.subscriptions.is_for(subscriber.slot, slice.entry) {
                continue;
            }
            if hold.session().is_some() {
                self.offer_group(*subscriber, slice.entry, group, Some(index), actions);
                continue;
            }
            if let Some(why) = &unmet {
                self.session_error(subscriber.conn, why, actions);
                continue;
            }
            count += 1;
            match hold.kind {
                HoldKind::ChunkedStream => {
                    actions.send_shared(subscriber.conn, index, whole.clone());
                }
                HoldKind::RawStream => {
                    let (index, len) = *raw.get_or_insert_with(|| {
                        actions.shared.push(group.raw_stream());
                        let index = actions.shared.len() - 1;
                        (
                            index,
                            actions.shared.last().map_or(0, |raw| raw.as_slice().len()),
                        )
                    });
                    actions.send_shared(subscriber.conn, index, 0..len);
                }
                HoldKind::MuteStream | HoldKind::Response => {}
            }
            let is_blocked = row.flags.is_blocked;
            let idle_ms = hold.idle_timeout_ms().filter(|_| !is_blocked);
            if let Some(ms) = idle_ms {
                self.schedule_keep_alive(subscriber.conn, ms);
            }
            if wire.closes {
                self.end_stream(subscriber.conn, actions);
            }
        }
        self.counters
            .deliveries
            .delivered
            .add(count * u64::from(wire.items));
        self.counters
            .deliveries
            .delivered_bytes
            .add(count * whole.len() as u64);
    }

    fn deliver_to_poll(&mut self, key: ConnKey, group: &Group, actions: &mut Actions) {
        for item in group.items() {
            if let Some(why) = unmet(Filters::default(), item, Mode::Response) {
                if self.session_error(key, &why, actions) == Taken::Over {
                    return;
                }
                continue;
            }
            match &item.response {
                Some(ResponseForm::Send(content)) => {
                    self.answer_hold(key, content, None, actions);
                    return;
                }
                Some(ResponseForm::Hint) => {
                    self.want_update(key, Priority::Urgent);
                    // What follows is newer than what the hint is about: it must not answer alone.
                    return;
                }
                Some(ResponseForm::Close | ResponseForm::Refresh) | None => {}
            }
        }
    }

    /// Writes the keep-alive of a silent stream.
    pub(in crate::core) fn send_keep_alive(&mut self, key: ConnKey, actions: &mut Actions) {
        let Some(row) = self.rows.get(key) else {
            return;
        };
        let (State::Held(hold), is_blocked) = (&row.state, row.flags.is_blocked) else {
            return;
        };
        let Some(keep_alive) = hold
            .details
            .as_ref()
            .and_then(|details| details.keep_alive.as_ref())
        else {
            return;
        };
        // Who does not read needs no more to read.
        if !is_blocked {
            let start = actions.scratch.len();
            actions.scratch.extend_from_slice(&keep_alive.bytes);
            actions.send_scratch(key, start);
            self.counters.deliveries.keep_alives_sent.add(1);
        }
        self.schedule_keep_alive(key, keep_alive.timeout_ms);
    }

    /// Spreads keep-alives: a fixed part of the period, by the connection's own number.
    pub(in crate::core) fn schedule_keep_alive(&mut self, key: ConnKey, timeout_ms: u32) {
        let serial = self.serial_of(key);
        let pause_ms = spread(serial, timeout_ms);
        let now_ms = self.now.ms;
        if let Some(session) = self.session_mut(key) {
            session.keep_alive_due_ms = now_ms + pause_ms;
            self.arm_hold(key);
        } else {
            self.schedule_in(key, pause_ms);
        }
    }

    /// Something of a stream with a session is due: its keep-alive, its next link, or both.
    pub(in crate::core) fn session_due(&mut self, key: ConnKey, actions: &mut Actions) {
        let now_ms = self.now.ms;
        let Some(State::Held(hold)) = self.rows.get(key).map(|row| &row.state) else {
            return;
        };
        let has_keep_alive = hold
            .details
            .as_ref()
            .is_some_and(|d| d.keep_alive.is_some());
        let was_active = hold
            .session()
            .is_some_and(|session| session.was_active(&hold.subscriptions));
        let Some(session) = self.session_mut(key) else {
            return;
        };
        let is_keep_alive_due = has_keep_alive && session.keep_alive_due_ms <= now_ms;
        let doing = session.doing;
        let mut priority = None;
        if let Some(next) = &mut session.next
            && next.due_ms <= now_ms
        {
            match doing {
                // What it would be told, it was told by items.
                Doing::Resting if was_active && next.timeout_ms > 0 => {
                    next.due_ms = now_ms + u64::from(next.timeout_ms);
                    session.forget_activity();
                }
                Doing::Resting => priority = Some(Priority::Patient),
                Doing::BackingOff => priority = Some(Priority::Urgent),
                Doing::WaitingToUpdate | Doing::Fetching(_) | Doing::Asking(_) => {}
            }
        }
        if is_keep_alive_due {
            self.send_keep_alive(key, actions);
        }
        if let Some(priority) = priority {
            self.want_update(key, priority);
        }
        self.arm_hold(key);
    }

    /// Sets the timer of a stream with a session to what is due next.
    pub(in crate::core) fn arm_hold(&mut self, key: ConnKey) {
        let Some(row) = self.rows.get(key) else {
            return;
        };
        // Then the timer is for how long it does not read.
        if row.flags.is_blocked {
            return;
        }
        let State::Held(hold) = &row.state else {
            return;
        };
        if !hold.is_stream() {
            return;
        }
        let has_keep_alive = hold
            .details
            .as_ref()
            .is_some_and(|d| d.keep_alive.is_some());
        let Some(session) = hold.session() else {
            return;
        };
        let waits_for_link = matches!(session.doing, Doing::Resting | Doing::BackingOff);
        let next = session.next.as_ref().filter(|_| waits_for_link);
        let keep_alive = has_keep_alive
            .then_some(session.keep_alive_due_ms)
            .filter(|due_ms| *due_ms != u64::MAX);
        let due_ms = keep_alive
            .into_iter()
            .chain(next.map(|next| next.due_ms))
            .min();
        match due_ms {
            Some(due_ms) => self.wheel.schedule(&mut self.rows, key, due_ms),
            None => self.wheel.cancel(&mut self.rows, key),
        }
    }

    /// A stream is read again: its timer is for its keep-alive again, if it has one.
    pub(in crate::core) fn restore_hold_timer(&mut self, key: ConnKey) {
        let Some(State::Held(hold)) = self.rows.get(key).map(|row| &row.state) else {
            return;
        };
        let keep_alive = hold
            .details
            .as_ref()
            .and_then(|details| details.keep_alive.as_ref());
        let session = hold.session();
        // Content is being fetched for it: the keep-alive rests until it is all there.
        let rests = session.is_some_and(|session| session.keep_alive_due_ms == u64::MAX);
        match (
            hold.kind,
            keep_alive.map(|keep_alive| keep_alive.timeout_ms),
        ) {
            // Its timer was never for anything else than its timeout.
            (HoldKind::Response, _) => {}
            (_, Some(ms)) if !rests => self.schedule_keep_alive(key, ms),
            (_, Some(_) | None) if session.is_some() => self.arm_hold(key),
            (_, Some(_) | None) => self.wheel.cancel(&mut self.rows, key),
        }
    }
}

/// Milliseconds until a keep-alive that is due in `timeout_ms`, earlier by a part of its own.
pub(super) fn spread(serial: u32, timeout_ms: u32) -> u64 {
    let jitter_ms = KEEP_ALIVE_JITTER_MS.min(u64::from(timeout_ms) / 2).max(1);
    u64::from(timeout_ms).saturating_sub(jitter(serial, jitter_ms))
}
