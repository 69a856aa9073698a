//! Items reach the holds: in slices, so that a huge channel leaves time for everything else.

use std::rc::Rc;

use proto::grip::{KeepAliveMode, ResponseForm};

use super::HoldKind;
use crate::core::actions::Actions;
use crate::core::conn::State;
use crate::core::hub::{Mode, Slice, Subscriber};
use crate::core::publish::Group;
use crate::core::{ConnKey, Core, Socket};

/// A keep-alive may be up to this early, so that many of them do not fall into one moment.
const KEEP_ALIVE_JITTER_MS: u64 = 1000;

impl<S: Socket> Core<S> {
    /// Delivers up to `max` of what was released; answers how many were done. 0: nothing is left.
    pub fn deliver(&mut self, max: usize, actions: &mut Actions) -> usize {
        let mut subscribers = std::mem::take(&mut self.slice);
        subscribers.clear();
        let done = match self.hub.next_slice(max, &mut subscribers) {
            Some(slice) => {
                self.delivering = Some(slice.entry);
                self.deliver_slice(&slice, &subscribers, actions);
                subscribers.len()
            }
            None => 0,
        };
        self.slice = subscribers;
        self.settle(actions);
        done
    }

    /// What the last call of [`Core::deliver`] has asked for is done.
    pub fn delivered(&mut self) {
        self.delivering = None;
    }

    fn deliver_slice(
        &mut self,
        slice: &Slice<Rc<Group>>,
        to: &[Subscriber],
        actions: &mut Actions,
    ) {
        match slice.mode {
            Mode::Stream => self.deliver_to_streams(slice, to, actions),
            Mode::Response => {
                for subscriber in to {
                    if self.is_subscribed(*subscriber, slice.entry) {
                        self.deliver_to_poll(subscriber.conn, &slice.payload, actions);
                    }
                }
            }
            Mode::WebSocket => {}
        }
    }

    /// Whether that connection is still who subscribed to that channel.
    fn is_subscribed(&self, subscriber: Subscriber, entry: u32) -> bool {
        match self.rows.get(subscriber.conn).map(|row| &row.state) {
            Some(State::Held(hold)) => hold.subscriptions.is_for(subscriber.slot, entry),
            _ => false,
        }
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
            let idle_ms = hold.details.as_ref().and_then(|details| {
                let keep_alive = details.keep_alive.as_ref()?;
                (keep_alive.mode == KeepAliveMode::Idle && !is_blocked)
                    .then_some(keep_alive.timeout_ms)
            });
            if let Some(ms) = idle_ms {
                self.schedule_keep_alive(subscriber.conn, ms);
            }
            if wire.closes {
                self.end_stream(subscriber.conn, actions);
            }
        }
        let count = to.len() as u64;
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
            match &item.response {
                Some(ResponseForm::Send(content)) => {
                    self.answer_hold(key, content, actions);
                    return;
                }
                Some(ResponseForm::Hint) => {
                    self.retry_hold(key, actions);
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
        let serial = self.rows.get(key).map_or(0, |row| row.serial);
        let jitter_ms = KEEP_ALIVE_JITTER_MS.min(u64::from(timeout_ms) / 2).max(1);
        let early = u64::from(serial) * 7919 % jitter_ms;
        self.schedule_in(key, u64::from(timeout_ms).saturating_sub(early));
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
        match (
            hold.kind,
            keep_alive.map(|keep_alive| keep_alive.timeout_ms),
        ) {
            // Its timer was never for anything else than its timeout.
            (HoldKind::Response, _) => {}
            (_, Some(ms)) => self.schedule_keep_alive(key, ms),
            (_, None) => self.wheel.cancel(&mut self.rows, key),
        }
    }
}
