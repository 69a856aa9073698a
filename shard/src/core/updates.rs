//! Holds that ask their backend again: long-polls make their request anew, streams fetch their next
//! link (grip-http.md section 16).
//!
//! What is urgent goes at once, the rest is spread over time, and never are more requests under way
//! than a backend can be asked to bear. A hold stays a hold until its turn comes: an item may still
//! answer it. Requests that are the same become one ([`super::merge`]), so that a hint to a hundred
//! thousand clients of one page costs a request per shard.

use std::collections::VecDeque;
use std::sync::Arc;

use super::actions::Actions;
use super::conn::State;
use super::hold::session::Doing;
use super::hub::Mode;
use super::{ConnKey, Core, Socket};

/// Requests begun in one step of those that have time.
const PER_STEP_MAX: usize = 100;

/// Holds that join requests under way in one step.
const JOINS_PER_STEP_MAX: usize = 4096;

/// Milliseconds between two steps, and before the first.
const STEP_MS: u64 = 100;

/// Urgent ones taken in one turn of the shard.
const URGENT_PER_TURN_MAX: usize = 512;

/// How soon an update has to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// Spread over time.
    Patient,
    /// At once.
    Urgent,
}

/// What came of an update's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// A request was begun.
    Begun,
    /// The answer to a request under way is shared.
    Joined,
    /// There was nothing to do.
    Nothing,
    /// Too many requests are under way: it has to come again.
    Stuck,
}

/// Who is to be updated, in order.
#[derive(Debug, Default)]
pub(super) struct Updates {
    urgent: VecDeque<(ConnKey, u32)>,
    patient: VecDeque<(ConnKey, u32)>,
    due_ms: u64,
    /// Nothing urgent can begin before a request under way has ended.
    pub(super) is_stuck: bool,
}

impl Updates {
    /// How many there are, those included that have left since.
    pub(super) fn len(&self) -> usize {
        self.urgent.len() + self.patient.len()
    }

    /// When the next step is due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        (!self.patient.is_empty()).then_some(self.due_ms)
    }

    /// Whether something urgent can begin.
    pub(super) fn is_runnable(&self) -> bool {
        !self.urgent.is_empty() && !self.is_stuck
    }
}

impl<S: Socket> Core<S> {
    /// Lets every held request catch up.
    pub fn recover(&mut self) {
        let held = self.rows.iter();
        let held = held.filter(|(_, row)| matches!(row.state, State::Held(_)));
        let keys: Vec<ConnKey> = held.map(|(key, _)| key).collect();
        for key in keys {
            self.want_update(key, Priority::Patient);
        }
    }

    /// Lets every hold of these channels that can, ask its backend again, spread over time
    /// (grip-http.md section 16).
    pub fn update_channels(&mut self, channels: &[Arc<str>]) {
        for channel in channels {
            for mode in [Mode::Response, Mode::Stream] {
                let subscribers = self.hub.subscribers_of(mode, channel);
                let keys: Vec<ConnKey> = subscribers.iter().map(|sub| sub.conn).collect();
                for key in keys {
                    self.want_update(key, Priority::Patient);
                }
            }
        }
    }

    /// Puts a hold into the queue, if there is anything that it could ask.
    pub(super) fn want_update(&mut self, key: ConnKey, priority: Priority) {
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        let State::Held(hold) = &mut row.state else {
            return;
        };
        let is_stream = hold.is_stream();
        match hold.session_mut() {
            Some(session) if matches!(session.doing, Doing::Fetching(_) | Doing::Asking(_)) => {
                session.wants_update = true;
                return;
            }
            Some(session) if is_stream => {
                if session.next.is_none() {
                    return;
                }
                if session.doing == Doing::Resting {
                    session.doing = Doing::WaitingToUpdate;
                }
            }
            None if is_stream => return,
            Some(_) | None => {}
        }
        let is_urgent = priority == Priority::Urgent;
        let flags = &mut row.flags;
        if flags.is_update_queued && (flags.is_update_urgent || !is_urgent) {
            return;
        }
        flags.is_update_queued = true;
        flags.is_update_urgent = is_urgent;
        let place = (key, row.serial);
        if is_urgent {
            self.updates.urgent.push_back(place);
            return;
        }
        if self.updates.patient.is_empty() {
            self.updates.due_ms = self.now.ms + STEP_MS;
        }
        self.updates.patient.push_back(place);
    }

    /// A stream reads again whose turn has passed meanwhile.
    pub(super) fn want_missed_update(&mut self, key: ConnKey) {
        if let Some(session) = self.session_mut(key)
            && session.doing == Doing::WaitingToUpdate
        {
            self.want_update(key, Priority::Patient);
        }
    }

    /// Begins what is urgent, as far as there is room for it.
    pub(super) fn run_urgent(&mut self, actions: &mut Actions) {
        for _ in 0..URGENT_PER_TURN_MAX {
            if self.updates.is_stuck {
                return;
            }
            let Some((key, serial)) = self.updates.urgent.pop_front() else {
                return;
            };
            if self.update(key, serial, Priority::Urgent, actions) == Turn::Stuck {
                self.updates.urgent.push_front((key, serial));
                self.updates.is_stuck = true;
            }
        }
    }

    /// Begins the next step of those that have time, if it is due.
    pub(super) fn run_patient(&mut self, actions: &mut Actions) {
        if self
            .updates
            .due_ms()
            .is_none_or(|due_ms| self.now.ms < due_ms)
        {
            return;
        }
        self.updates.due_ms = self.now.ms + STEP_MS;
        let (mut begun, mut joined) = (0, 0);
        while begun < PER_STEP_MAX && joined < JOINS_PER_STEP_MAX {
            let Some((key, serial)) = self.updates.patient.pop_front() else {
                return;
            };
            match self.update(key, serial, Priority::Patient, actions) {
                Turn::Begun => begun += 1,
                Turn::Joined => joined += 1,
                Turn::Nothing => {}
                Turn::Stuck => {
                    self.updates.patient.push_front((key, serial));
                    return;
                }
            }
        }
    }

    fn update(
        &mut self,
        key: ConnKey,
        serial: u32,
        priority: Priority,
        actions: &mut Actions,
    ) -> Turn {
        let Some(row) = self.rows.get_mut(key) else {
            return Turn::Nothing;
        };
        let is_urgent = priority == Priority::Urgent;
        let flags = row.flags;
        // It has left, or was moved to the other queue and has had its turn.
        if row.serial != serial || !flags.is_update_queued || flags.is_update_urgent != is_urgent {
            return Turn::Nothing;
        }
        let is_blocked = flags.is_blocked;
        let State::Held(hold) = &mut row.state else {
            row.flags.is_update_queued = false;
            return Turn::Nothing;
        };
        let turn = if hold.is_stream() {
            self.update_stream(key, is_blocked, actions)
        } else {
            self.update_poll(key, actions)
        };
        if turn != Turn::Stuck
            && let Some(row) = self.rows.get_mut(key)
        {
            row.flags.is_update_queued = false;
            row.flags.is_update_urgent = false;
        }
        if turn == Turn::Begun {
            self.counters.updates.begun.add(1);
        } else if turn == Turn::Joined {
            self.counters.updates.joined.add(1);
        }
        turn
    }

    fn update_stream(&mut self, key: ConnKey, is_blocked: bool, actions: &mut Actions) -> Turn {
        let Some(session) = self.session_mut(key) else {
            return Turn::Nothing;
        };
        if is_blocked {
            // Whatever came of it could not be written. Until it reads again, items wait: they may
            // be among what is to be fetched.
            return Turn::Nothing;
        }
        match session.doing {
            Doing::WaitingToUpdate | Doing::BackingOff => self.fetch_next(key, actions),
            Doing::Resting | Doing::Fetching(_) | Doing::Asking(_) => Turn::Nothing,
        }
    }

    fn update_poll(&mut self, key: ConnKey, actions: &mut Actions) -> Turn {
        // The session ends here, which its gone link is told of first.
        if self.tell_gone_before_retry(key, actions) {
            return Turn::Nothing;
        }
        self.retry_merged(key, actions)
    }
}
