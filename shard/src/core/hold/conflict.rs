//! Holds that begin with a position that is not the last id of its channel: the client has missed
//! an item, or its backend has not seen it yet (grip-http.md section 15.3).
//!
//! Pushpin forgets such a last id, so that the next try cannot conflict with it again. Then other
//! holds that are just as old begin unnoticed. Here the request remembers what it has conflicted
//! with, and the last id stays for everybody else.

use proto::grip::Instruct;

use super::begin::Wanted;
use super::session::write_last;
use crate::core::actions::Actions;
use crate::core::conn::State;
use crate::core::exchange::{Exchange, ResponsePhase};
use crate::core::{ConnKey, Core, Socket};

/// Times in a row that a request is made again at once because its answer was older than an item;
/// after that it is held, and asks again when its turn comes.
pub(super) const RETRIES_AT_ONCE_MAX: u32 = 3;

/// A channel's last id that a request has conflicted with.
pub(in crate::core) type SeenLastId = (Box<str>, Box<str>);

impl<S: Socket> Core<S> {
    /// Whether a stream has begun with a position that is not the newest.
    pub(super) fn stream_conflicts(&self, key: ConnKey) -> bool {
        let Some(State::Held(hold)) = self.rows.get(key).map(|row| &row.state) else {
            return false;
        };
        let Some(session) = hold.session() else {
            return false;
        };
        let mut slots = (0..).zip(hold.subscriptions.slots());
        slots.any(|(slot, subscription)| {
            let position = session
                .channel(slot)
                .and_then(|channel| channel.position.as_deref());
            let name = self.hub.name(subscription.entry);
            let is_conflict = position
                .zip(name)
                .is_some_and(|(position, name)| self.settings.last_ids.conflicts(name, position));
            self.counters.updates.conflicts.add(u64::from(is_conflict));
            is_conflict
        })
    }

    /// Whether a response hold that is about to begin conflicts with last ids that its request has
    /// not conflicted with before; these are noted.
    pub(super) fn poll_conflicts(
        &self,
        exchange: &mut Exchange,
        instruct: &Instruct,
        wanted: &[Wanted],
    ) -> bool {
        if instruct
            .channels()
            .iter()
            .all(|channel| channel.prev_id.is_none())
        {
            return false;
        }
        let mut any = false;
        for Wanted { name, channel } in wanted {
            let Some(position) = &channel.position else {
                continue;
            };
            let Some(last_id) = self.settings.last_ids.get(name) else {
                continue;
            };
            let is_seen = |(channel, id): &SeenLastId| **channel == **name && *id == last_id;
            if last_id != *position && !exchange.seen_last_ids.iter().any(is_seen) {
                self.counters.updates.conflicts.add(1);
                let seen = (name.as_str().into(), last_id);
                exchange.seen_last_ids.push(seen);
                any = true;
            }
        }
        any
    }

    /// Makes a request again whose answer would hold with a position that is not the newest.
    pub(super) fn ask_again(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        instruct: &Instruct,
        actions: &mut Actions,
    ) {
        exchange.positions.clear();
        for channel in instruct.channels() {
            if let Some(position) = &channel.prev_id {
                write_last(&mut exchange.positions, &channel.name, position);
            }
        }
        exchange.retries += 1;
        exchange.target = 0;
        exchange.address = 0;
        exchange.needs_fresh = false;
        exchange.response = ResponsePhase::Head(Vec::new());
        // All who shared the old answer share the new one.
        self.dispatch_merged(key, exchange, actions);
    }
}
