//! Requests that are the same in every byte the backend sees become one, and share its answer.
//!
//! Used when holds ask again, and between clients where `share_all` says so. Only answers that
//! somebody else may see are shared: not those that set cookies or call themselves private
//! (RFC 9111 section 5.2.2). If an answer cannot be shared, the others ask for themselves, a few
//! at a time.

use std::collections::VecDeque;

use hashbrown::HashMap;
use proto::grip;
use proto::http::{field_values, has_token};
use proto::http1::{Framing, ResponseHead};
use slab::Slab;

use super::actions::Actions;
use super::answer::Refusal;
use super::conn::State;
use super::exchange::{Collected, Exchange, Link};
use super::routes::RouteId;
use super::updates::Turn;
use super::{ConnKey, Core, Socket};

/// Requests for the sake of holds that are under way at the same time; further ones wait.
const UNDER_WAY_MAX: usize = 128;

/// Which merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MergeId(u32);

/// Requests under way whose answers may be shared.
#[derive(Debug, Default)]
pub(super) struct Merges {
    list: Slab<Merge>,
    index: HashMap<Box<[u8]>, MergeId, ahash::RandomState>,
    /// Those that have to ask for themselves.
    orphans: VecDeque<(ConnKey, u32)>,
}

#[derive(Debug)]
struct Merge {
    /// What the requests have in common; `None`: nobody can join.
    identity: Option<Box<[u8]>>,
    followers: Vec<(ConnKey, u32)>,
}

impl Merges {
    /// Whether there is room for another request.
    pub(super) fn has_room(&self) -> bool {
        self.list.len() < UNDER_WAY_MAX
    }

    fn find(&self, identity: Option<&[u8]>) -> Option<MergeId> {
        self.index.get(identity?).copied()
    }

    fn lead(&mut self, identity: Option<Box<[u8]>>) -> MergeId {
        let key = self.list.insert(Merge {
            identity: identity.clone(),
            followers: Vec::new(),
        });
        let id = MergeId(u32::try_from(key).unwrap_or(u32::MAX));
        if let Some(identity) = identity {
            self.index.insert(identity, id);
        }
        id
    }

    fn follow(&mut self, id: MergeId, who: (ConnKey, u32)) {
        if let Some(merge) = self.list.get_mut(id.0 as usize) {
            merge.followers.push(who);
        }
    }

    fn has_followers(&self, id: MergeId) -> bool {
        self.list
            .get(id.0 as usize)
            .is_some_and(|merge| !merge.followers.is_empty())
    }

    /// Nobody can join any more; answers who has.
    fn end(&mut self, id: MergeId) -> Vec<(ConnKey, u32)> {
        let Some(merge) = self.list.try_remove(id.0 as usize) else {
            return Vec::new();
        };
        if let Some(identity) = &merge.identity {
            self.index.remove(identity);
        }
        merge.followers
    }

    /// Forgets everything; the followers have to ask for themselves.
    pub(super) fn restart(&mut self, followers: Vec<(ConnKey, u32)>) {
        *self = Self::default();
        self.orphans.extend(followers);
    }
}

impl<S: Socket> Core<S> {
    /// Makes the request of a long-poll again, or waits for the answer to one that is the same.
    pub(super) fn retry_merged(&mut self, key: ConnKey, actions: &mut Actions) -> Turn {
        let Some(State::Held(hold)) = self.rows.get(key).map(|row| &row.state) else {
            return Turn::Nothing;
        };
        let mut positions = Vec::new();
        self.write_positions(hold, &mut positions);
        let identity = identity(hold.route, &hold.request, &positions);
        if !self.merges.has_room() && self.merges.find(identity.as_deref()).is_none() {
            return Turn::Stuck;
        }
        let Some(exchange) = self.unhold(key) else {
            return Turn::Nothing;
        };
        self.join_or_lead(key, exchange, identity, actions)
    }

    /// Sends a request that is made again, or lets it wait for the answer to one that is the same.
    pub(super) fn dispatch_merged(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        actions: &mut Actions,
    ) {
        let identity = identity(
            exchange.route,
            &exchange.request.pack(),
            &exchange.positions,
        );
        if !self.merges.has_room() && self.merges.find(identity.as_deref()).is_none() {
            let serial = self.serial_of(key);
            exchange.backend = Link::Following;
            self.set_state(key, State::Exchange(exchange));
            self.merges.orphans.push_back((key, serial));
            return;
        }
        self.join_or_lead(key, exchange, identity, actions);
    }

    fn join_or_lead(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        identity: Option<Box<[u8]>>,
        actions: &mut Actions,
    ) -> Turn {
        if let Some(id) = self.merges.find(identity.as_deref()) {
            let serial = self.serial_of(key);
            self.merges.follow(id, (key, serial));
            exchange.backend = Link::Following;
            self.set_state(key, State::Exchange(exchange));
            return Turn::Joined;
        }
        exchange.merge = Some(self.merges.lead(identity));
        self.dispatch(key, exchange, actions);
        Turn::Begun
    }

    /// Sends a client's request, or lets it share the answer to one under way (`share_all`).
    pub(super) fn dispatch_shared(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        actions: &mut Actions,
    ) {
        let request = &exchange.request;
        // Content is no part of the identity, and what a GRIP proxy is answered is not for others:
        // it may be instructions.
        let is_plain = request.method() == b"GET" && request.content_len() == 0;
        if !is_plain || exchange.terms.is_trusted || !exchange.upload.is_complete() {
            self.dispatch(key, exchange, actions);
            return;
        }
        let route: RouteId = exchange.route;
        let is_ssl = self.rows.get(key).is_some_and(|row| row.flags.is_ssl);
        let scheme = if is_ssl { &b" https "[..] } else { b" http " };
        let identity = [&route.bytes()[..], scheme, request.host(), request.target()].concat();
        self.join_or_lead(key, exchange, Some(identity.into_boxed_slice()), actions);
    }

    /// The head of a merged request's answer is here: whether all of it is gathered and shared.
    /// If not, the followers are let go.
    pub(super) fn is_to_share(
        &mut self,
        exchange: &mut Exchange,
        head: &ResponseHead<'_, '_>,
    ) -> bool {
        let Some(id) = exchange.merge else {
            return false;
        };
        if self.merges.has_followers(id) && may_share(head) {
            return true;
        }
        // A response hold is gathered in any case; others may join until it is complete.
        if !is_gathered(head) || !is_open_to_others(head) {
            self.dissolve(exchange);
        }
        false
    }

    /// Lets the followers of a request ask for themselves.
    fn dissolve(&mut self, exchange: &mut Exchange) {
        if let Some(id) = exchange.merge.take() {
            let followers = self.merges.end(id);
            self.merges.orphans.extend(followers);
            self.updates.is_stuck = false;
        }
    }

    /// Ends the merge of an exchange whose answer is complete; answers who shares it.
    pub(super) fn take_followers(&mut self, exchange: &mut Exchange) -> Vec<(ConnKey, u32)> {
        let Some(id) = exchange.merge.take() else {
            return Vec::new();
        };
        self.updates.is_stuck = false;
        self.merges.end(id)
    }

    /// Gives a complete answer to those who share it.
    pub(super) fn share(
        &mut self,
        followers: Vec<(ConnKey, u32)>,
        collected: &Collected,
        actions: &mut Actions,
    ) {
        for (key, serial) in followers {
            if let Some(exchange) = self.take_follower(key, serial) {
                self.collected_all(key, exchange, collected.clone(), actions);
            }
        }
    }

    /// Tells those who share an answer that there is none.
    pub(super) fn share_failure(
        &mut self,
        followers: Vec<(ConnKey, u32)>,
        refusal: &Refusal,
        actions: &mut Actions,
    ) {
        for (key, serial) in followers {
            if let Some(exchange) = self.take_follower(key, serial) {
                self.fail(key, exchange, refusal, actions);
            }
        }
    }

    fn take_follower(&mut self, key: ConnKey, serial: u32) -> Option<Box<Exchange>> {
        if !self.is_follower(key, serial) {
            return None;
        }
        let State::Exchange(mut exchange) = self.take_state(key) else {
            return None;
        };
        exchange.backend = Link::None;
        Some(exchange)
    }

    fn is_follower(&self, key: ConnKey, serial: u32) -> bool {
        self.rows.get(key).is_some_and(|row| {
            row.serial == serial
                && matches!(&row.state, State::Exchange(exchange) if exchange.backend == Link::Following)
        })
    }

    /// The client of a merged request has left: the next one takes its place.
    pub(super) fn hand_over(&mut self, exchange: &mut Exchange, actions: &mut Actions) {
        let Some(id) = exchange.merge.take() else {
            return;
        };
        self.updates.is_stuck = false;
        let mut followers = VecDeque::from(self.merges.end(id));
        while let Some((key, serial)) = followers.pop_front() {
            let Some(mut exchange) = self.take_follower(key, serial) else {
                continue;
            };
            let id = self.merges.lead(None);
            for other in followers {
                self.merges.follow(id, other);
            }
            exchange.merge = Some(id);
            self.dispatch(key, exchange, actions);
            return;
        }
    }

    /// Lets those who have to ask for themselves begin, as far as there is room.
    pub(super) fn run_orphans(&mut self, actions: &mut Actions) {
        while self.merges.has_room() {
            let Some((key, serial)) = self.merges.orphans.pop_front() else {
                return;
            };
            if let Some(mut exchange) = self.take_follower(key, serial) {
                exchange.merge = Some(self.merges.lead(None));
                self.dispatch(key, exchange, actions);
            }
        }
    }
}

/// What requests must have in common to be one: every byte that the backend sees. Only those that
/// change nothing at the backend (RFC 9110 section 9.2.1) are made once for several.
fn identity(route: RouteId, packed: &[u8], positions: &[u8]) -> Option<Box<[u8]>> {
    let is_safe = packed.starts_with(b"GET ");
    is_safe.then(|| {
        [&route.bytes()[..], packed, positions]
            .concat()
            .into_boxed_slice()
    })
}

/// Whether the whole of an answer can be gathered and given to several.
fn may_share(head: &ResponseHead<'_, '_>) -> bool {
    let is_stream = field_values(head.fields, "Grip-Hold").next() == Some(b"stream")
        || field_values(head.fields, "Grip-Link").next().is_some();
    let is_short = match head.framing {
        Framing::None => true,
        Framing::Length(len) => len <= grip::CONTENT_LEN_MAX as u64,
        Framing::Chunked | Framing::UntilClose => false,
    };
    is_open_to_others(head) && (is_gathered(head) || (is_short && !is_stream))
}

/// Whether all of an answer is gathered before anything is done with it, shared or not.
fn is_gathered(head: &ResponseHead<'_, '_>) -> bool {
    grip::is_json_instruct(head.fields)
        || field_values(head.fields, "Grip-Hold").next() == Some(b"response")
}

/// Whether an answer is meant for more than the one who has asked.
fn is_open_to_others(head: &ResponseHead<'_, '_>) -> bool {
    let has = |name| field_values(head.fields, name).next().is_some();
    !has("Set-Cookie")
        && !has_token(head.fields, "Cache-Control", "private")
        && !has_token(head.fields, "Cache-Control", "no-store")
        && !has_token(head.fields, "Vary", "*")
}
