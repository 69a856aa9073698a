//! The end of the shard: nothing new comes in, what runs may end, the rest is closed in time.

use super::actions::Actions;
use super::conn::State;
use super::hold::HoldKind;
use super::{ConnKey, Core, Socket};

/// How a client is treated when draining begins.
enum Farewell {
    Close,
    /// What is queued for it is still its due.
    Finish,
    EndHold,
    Wait,
}

impl<S: Socket> Core<S> {
    /// Begins to drain. Idle clients are closed, streams end cleanly, long-polls get the answer of
    /// their timeout; requests under way get `timeout_ms`.
    pub fn drain(&mut self, timeout_ms: u64, actions: &mut Actions) {
        if self.draining_until_ms.is_some() {
            return;
        }
        self.draining_until_ms = Some(self.now.ms + timeout_ms);
        let keys: Vec<ConnKey> = self.rows.iter().map(|(key, _)| key).collect();
        for key in keys {
            match self.farewell(key) {
                Farewell::Close => self.close_client(key, actions),
                Farewell::Finish => self.finish(key, actions),
                Farewell::EndHold => self.end_held(key, actions),
                Farewell::Wait => {}
            }
        }
        self.settle(actions);
    }

    /// Whether draining was asked for.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining_until_ms.is_some()
    }

    /// Whether draining is over: no client is left, or no time.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.draining_until_ms.is_some_and(|until| {
            (self.clients == 0 && self.errands.len() == 0) || self.now.ms >= until
        })
    }

    /// Closes whoever is left when the time is over.
    pub(super) fn check_drain(&mut self, actions: &mut Actions) {
        if self
            .draining_until_ms
            .is_none_or(|until| self.now.ms < until)
        {
            return;
        }
        let keys: Vec<ConnKey> = self.rows.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.close_client(key, actions);
        }
    }

    /// A hold that begins only now ends as all others did.
    pub(super) fn end_held_if_draining(&mut self, key: ConnKey, actions: &mut Actions) {
        if self.is_draining() {
            self.end_held(key, actions);
        }
    }

    fn end_held(&mut self, key: ConnKey, actions: &mut Actions) {
        if let Some(row) = self.rows.get_mut(key)
            && let State::Held(hold) = &mut row.state
        {
            // The connection ends with the answer.
            hold.terms.is_persistent = false;
            if hold.kind == HoldKind::Response {
                self.time_out_hold(key, actions);
            } else {
                self.end_stream(key, actions);
            }
        }
    }

    fn farewell(&self, key: ConnKey) -> Farewell {
        let row = self.rows.get(key);
        let is_blocked = row.is_some_and(|row| row.flags.is_blocked);
        match row.map(|row| &row.state) {
            Some(State::Idle | State::Head(_)) if is_blocked => Farewell::Finish,
            Some(State::Idle | State::Head(_)) => Farewell::Close,
            Some(State::Held(_)) => Farewell::EndHold,
            Some(State::Exchange(_) | State::Finishing | State::Backend(_) | State::Gone)
            | None => Farewell::Wait,
        }
    }
}
