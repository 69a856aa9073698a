//! Order after a panic: what a step has left half done is ended, the rest goes on.
//!
//! A panic is a defect. It may cost the connections that the step was about, but neither may others
//! get what was meant for them, nor may rows, places and subscriptions be lost for ever.

use super::actions::{Action, Actions};
use super::conn::{Backend, BackendPhase, State};
use super::exchange::Link;
use super::hold::HoldKind;
use super::hold::session::{Doing, Session};
use super::hub::{Subscriber, Subscription};
use super::updates::Priority;
use super::{ConnKey, Core, Socket};

impl<S: Socket> Core<S> {
    /// Ends whatever is half done and counts anew what is counted.
    pub fn mend(&mut self, actions: &mut Actions) {
        self.close_torn(actions);
        self.close_unserved(actions);
        self.purge_hub();
        self.recount();
        self.restart_waiting();
    }

    /// Lets those ask again who wait for somebody that may be gone.
    fn restart_waiting(&mut self) {
        let mut followers = Vec::new();
        let mut holders = Vec::new();
        let mut errands = 0;
        for (key, row) in self.rows.iter() {
            match &row.state {
                State::Exchange(exchange) if exchange.backend == Link::Following => {
                    followers.push((key, row.serial));
                }
                State::Exchange(exchange) => errands += usize::from(exchange.errand.is_some()),
                State::Held(hold) => {
                    let errand = hold.session().and_then(Session::errand);
                    let is_lost = |errand| match self.rows.get(errand).map(|row| &row.state) {
                        Some(State::Exchange(exchange)) => exchange.errand.is_none(),
                        _ => true,
                    };
                    holders.extend(errand.is_some_and(is_lost).then_some(key));
                }
                _ => {}
            }
        }
        self.merges.restart(followers);
        self.errands.recount(errands);
        self.updates.is_stuck = false;
        for key in holders {
            if let Some(session) = self.session_mut(key) {
                session.doing = Doing::Resting;
            }
            self.want_update(key, Priority::Patient);
        }
    }

    /// Closes the subscribers of the channel that was being delivered: some of them may have missed
    /// an item, and a client that reconnects is better off than one with a gap.
    fn close_unserved(&mut self, actions: &mut Actions) {
        let Some(entry) = self.delivering.take() else {
            return;
        };
        let is_meant = |state: &State| match state {
            State::Held(hold) => hold.subscriptions.iter().any(|sub| sub.entry == entry),
            _ => false,
        };
        let rows = self.rows.iter().filter(|(_, row)| is_meant(&row.state));
        let keys: Vec<ConnKey> = rows.map(|(key, _)| key).collect();
        for key in keys {
            self.close_client(key, actions);
        }
    }

    /// Closes rows without a state, and both halves of exchanges that have lost the other.
    fn close_torn(&mut self, actions: &mut Actions) {
        let rows = self
            .rows
            .iter()
            .filter(|(key, row)| self.is_torn(*key, &row.state));
        let keys: Vec<ConnKey> = rows.map(|(key, _)| key).collect();
        for key in keys {
            self.wheel.cancel(&mut self.rows, key);
            let mut is_end_by_close = false;
            if let State::Exchange(exchange) = self.take_state(key) {
                is_end_by_close = exchange.ends_by_close();
                self.routes.leave(exchange.route);
            }
            self.denounce(key);
            actions.list.push(if is_end_by_close {
                Action::Reset(key)
            } else {
                Action::Close(key)
            });
        }
    }

    fn is_torn(&self, key: ConnKey, state: &State) -> bool {
        match state {
            State::Gone => true,
            State::Exchange(exchange) => match exchange.backend {
                Link::Open(backend) | Link::Connecting(backend) => {
                    self.rows.get(backend).and_then(|row| row.state.client()) != Some(key)
                }
                Link::None | Link::Waiting | Link::Resolving | Link::Following => false,
            },
            State::Backend(backend) => backend.client().is_some_and(|client| {
                let row = self.rows.get(client);
                row.and_then(|row| row.state.backend()) != Some(key)
            }),
            State::Idle | State::Head(_) | State::Held(_) | State::Finishing => false,
        }
    }

    /// Takes subscribers out that are no longer there: their keys will be those of others.
    fn purge_hub(&mut self) {
        let mut stale = self.hub.subscribers();
        stale.retain(|(subscription, subscriber)| !self.is_current(*subscription, *subscriber));
        // From the end of each list to its start, so that the places of the others stay right.
        stale.sort_by_key(|(subscription, _)| std::cmp::Reverse(subscription.position));
        for (subscription, _) in stale {
            self.unsubscribe(subscription);
        }
    }

    fn is_current(&self, subscription: Subscription, subscriber: Subscriber) -> bool {
        match self.rows.get(subscriber.conn).map(|row| &row.state) {
            Some(State::Held(hold)) => hold.subscriptions.at(subscriber.slot) == Some(subscription),
            _ => false,
        }
    }

    fn recount(&mut self) {
        let (mut idle, mut active, mut streams, mut polls) = (0, 0, 0, 0);
        let (mut backends, mut backends_idle) = (0, 0);
        self.clients = 0;
        self.refused = 0;
        self.pools.forget_counts();
        for (key, row) in self.rows.iter() {
            let count = match &row.state {
                State::Gone => continue,
                State::Backend(backend) => {
                    backends += 1;
                    backends_idle += u64::from(backend.phase == BackendPhase::Idle);
                    self.pools
                        .count(backend.pool, key, backend.phase == BackendPhase::Idle);
                    continue;
                }
                State::Exchange(exchange) if exchange.errand.is_some() => continue,
                State::Idle | State::Head(_) | State::Finishing => &mut idle,
                State::Exchange(_) => &mut active,
                State::Held(hold) if hold.kind == HoldKind::Response => &mut polls,
                State::Held(_) => &mut streams,
            };
            *count += 1;
            if row.flags.is_refused {
                self.refused += 1;
            } else {
                self.clients += 1;
            }
        }
        let gauges = &self.counters.connections;
        gauges.clients_idle.set(idle);
        gauges.clients_active.set(active);
        gauges.held_streams.set(streams);
        gauges.held_long_polls.set(polls);
        gauges.backends.set(backends);
        gauges.backends_idle.set(backends_idle);
    }
}

impl State {
    /// Whom a backend connection serves.
    fn client(&self) -> Option<ConnKey> {
        match self {
            Self::Backend(backend) => Backend::client(backend),
            _ => None,
        }
    }

    /// Which backend connection serves a client.
    fn backend(&self) -> Option<ConnKey> {
        match self {
            Self::Exchange(exchange) => match exchange.backend {
                Link::Open(backend) | Link::Connecting(backend) => Some(backend),
                Link::None | Link::Waiting | Link::Resolving | Link::Following => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;
    use std::sync::Arc;

    use config::{Config, RouteTable};

    use super::*;
    use crate::core::settings::Listener;
    use crate::core::{Now, Settings};

    #[derive(Debug, Default)]
    struct NoSocket;

    impl Socket for NoSocket {
        fn peer_ip(&self) -> Option<IpAddr> {
            None
        }
    }

    fn core() -> Core<NoSocket> {
        let settings = Settings::new(Arc::new(Config::default()), vec![Listener::default()], 1);
        let mut core = Core::new(settings, Arc::default(), Now::default());
        let lines = ["* test".to_owned()];
        core.replace_routes(Arc::new(RouteTable::from_lines(&lines, Path::new("")).0));
        core
    }

    fn stream(core: &mut Core<NoSocket>, actions: &mut Actions) -> ConnKey {
        let key = core.accept(0, actions);
        core.received(key, b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", actions);
        key
    }

    #[test]
    fn a_client_whose_state_was_lost_is_closed_and_its_subscription_goes_with_it() {
        let (mut core, mut actions) = (core(), Actions::default());
        let (torn, other) = (
            stream(&mut core, &mut actions),
            stream(&mut core, &mut actions),
        );
        actions.clear();
        drop(core.take_state(torn));
        core.mend(&mut actions);
        assert_eq!(actions.list, [Action::Close(torn)]);
        core.remove(torn);
        assert_eq!(core.clients(), 1);
        assert_eq!(core.counters.connections.held_streams.get(), 1);
        assert_eq!(core.hub.subscribers().len(), 1);
        core.close_client(other, &mut actions);
        assert_eq!(core.hub.subscribers().len(), 0);
    }

    #[test]
    fn whoever_may_have_missed_an_item_is_closed() {
        let (mut core, mut actions) = (core(), Actions::default());
        let key = stream(&mut core, &mut actions);
        actions.clear();
        core.delivering = core.hub.subscribers().first().map(|(sub, _)| sub.entry);
        core.mend(&mut actions);
        assert_eq!(actions.list, [Action::Close(key)]);
    }
}
