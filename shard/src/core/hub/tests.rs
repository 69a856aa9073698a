//! The hub's promises one by one, and the hub against a naive model.

#![expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::*;

fn nobody(_: ConnKey, _: u32, _: u32) {
    panic!("nobody had to move");
}

/// The connections that get the next slice, and the payload.
fn slice<P: Clone>(hub: &mut Hub<P>, max: usize) -> Option<(P, Vec<ConnKey>)> {
    let mut out = Vec::new();
    let slice = hub.next_slice(max, &mut out)?;
    let mut conns: Vec<ConnKey> = out.iter().map(|subscriber| subscriber.conn).collect();
    conns.sort_unstable();
    Some((slice.payload, conns))
}

fn drain<P: Clone>(hub: &mut Hub<P>) -> Vec<(Mode, String, i32)> {
    let mut changes = Vec::new();
    let left = hub.drain_changes(usize::MAX, &mut |mode, name, delta| {
        changes.push((mode, name.to_string(), delta));
    });
    assert_eq!(left, 0);
    changes
}

#[test]
fn a_channel_record_is_56_bytes_and_a_subscriber_8() {
    assert_eq!(size_of::<Subscriber>(), 8);
    assert_eq!(size_of::<Subscription>(), 8);
    assert_eq!(size_of::<List>(), 24);
    assert_eq!(size_of::<Entry<Rc<u8>>>(), 56);
    // A channel of one's own that gets an item: one box, no more.
    assert!(size_of::<Delivery<Rc<u8>>>() <= 48);
}

#[test]
fn the_index_costs_no_more_than_twelve_bytes_a_channel_and_shrinks() {
    let mut hub = Hub::<()>::new();
    let mut subs = Vec::new();
    for conn in 0..50_000 {
        subs.push(hub.subscribe(Mode::Stream, &format!("channel-{conn}"), conn, 0));
    }
    assert!(
        hub.index.bytes() <= 12 * subs.len(),
        "{}",
        hub.index.bytes()
    );
    for sub in subs {
        hub.unsubscribe(sub, &mut nobody);
    }
    drain(&mut hub);
    assert_eq!((hub.entries.len(), hub.entries.pages()), (0, 0));
    assert_eq!(hub.index.bytes(), 0);
    assert!(
        hub.changed.capacity() <= QUEUE_KEPT,
        "{}",
        hub.changed.capacity()
    );
}

#[test]
fn an_item_for_a_channel_without_subscribers_is_dropped() {
    let mut hub = Hub::new();
    let payload = Rc::new(());
    assert_eq!(hub.release(Mode::Stream, "a", Rc::clone(&payload)), 0);
    let sub = hub.subscribe(Mode::Stream, "a", 1, 0);
    assert_eq!(
        hub.release(Mode::Response, "a", Rc::clone(&payload)),
        0,
        "other mode"
    );
    hub.unsubscribe(sub, &mut nobody);
    assert_eq!(
        hub.release(Mode::Stream, "a", Rc::clone(&payload)),
        0,
        "all have left"
    );
    assert_eq!((hub.pending(), Rc::strong_count(&payload)), (0, 1));
    assert_eq!(slice(&mut hub, 10), None);
}

#[test]
fn who_subscribes_after_the_release_does_not_get_the_item() {
    let mut hub = Hub::new();
    hub.subscribe(Mode::Stream, "a", 1, 0);
    assert_eq!(hub.release(Mode::Stream, "a", 'x'), 1);
    hub.subscribe(Mode::Stream, "a", 2, 0);
    assert_eq!(hub.release(Mode::Stream, "a", 'y'), 2);
    assert_eq!(hub.pending(), 2);
    assert_eq!(slice(&mut hub, 10), Some(('x', vec![1])));
    assert_eq!(slice(&mut hub, 10), Some(('y', vec![1, 2])));
    assert_eq!((slice(&mut hub, 10), hub.pending()), (None, 0));
}

#[test]
fn who_leaves_gets_nothing_more_and_no_one_else_loses_anything() {
    let mut hub = Hub::new();
    let subs: Vec<Subscription> = (0..4)
        .map(|conn| hub.subscribe(Mode::Stream, "a", conn, conn + 10))
        .collect();
    hub.release(Mode::Stream, "a", 'x');
    assert_eq!(slice(&mut hub, 2), Some(('x', vec![2, 3])));
    let mut moves = Vec::new();
    hub.unsubscribe(subs[0], &mut |conn, slot, position| {
        moves.push((conn, slot, position))
    });
    // 1 still waits for the item and takes the place of 0; 3 has it and takes the place of 1.
    assert_eq!(moves, [(1, 11, 0), (3, 13, 1)]);
    assert_eq!(slice(&mut hub, 2), Some(('x', vec![1])));
    assert_eq!(slice(&mut hub, 2), None);
}

#[test]
fn items_whose_receivers_have_all_left_are_dropped_at_once() {
    let mut hub = Hub::new();
    let payload = Rc::new(());
    let sub = hub.subscribe(Mode::Stream, "a", 1, 0);
    hub.release(Mode::Stream, "a", Rc::clone(&payload));
    hub.release(Mode::Stream, "a", Rc::clone(&payload));
    hub.unsubscribe(sub, &mut nobody);
    assert_eq!((hub.pending(), Rc::strong_count(&payload)), (0, 1));
    // The entry has not had its turn yet; it must neither be lost nor get two turns.
    drain(&mut hub);
    hub.subscribe(Mode::Stream, "a", 2, 0);
    hub.release(Mode::Stream, "a", payload);
    assert_eq!(hub.ready.len(), 1);
    assert_eq!(slice(&mut hub, 10).map(|(_, conns)| conns), Some(vec![2]));
    assert_eq!(hub.ready.len(), 0);
}

#[test]
fn a_huge_channel_delays_a_small_one_by_one_slice() {
    let mut hub = Hub::new();
    for conn in 0..1_000 {
        hub.subscribe(Mode::Stream, "huge", conn, 0);
    }
    hub.subscribe(Mode::Stream, "small", 5_000, 0);
    hub.release(Mode::Stream, "huge", 'x');
    hub.release(Mode::Stream, "huge", 'y');
    assert_eq!(slice(&mut hub, 10).map(|(payload, _)| payload), Some('x'));
    hub.release(Mode::Stream, "small", 's');
    assert_eq!(slice(&mut hub, 10).map(|(payload, _)| payload), Some('x'));
    assert_eq!(slice(&mut hub, 10), Some(('s', vec![5_000])));
}

/// Whether an item released now joins the group before it; if not, it is a group of its own.
fn joins(hub: &mut Hub<Vec<u8>>, item: u8) -> bool {
    let mut is_joined = false;
    let join = |group: &mut Vec<u8>| {
        group.push(item);
        is_joined = true;
        true
    };
    hub.release_or_join(Mode::Stream, "a", join, || vec![item]);
    is_joined
}

#[test]
fn items_join_a_group_only_while_it_would_reach_the_same_subscribers() {
    let mut hub = Hub::new();
    assert!(!joins(&mut hub, 0), "nobody is there");
    let sub = hub.subscribe(Mode::Stream, "a", 1, 0);
    hub.subscribe(Mode::Stream, "a", 2, 0);
    assert!(!joins(&mut hub, 1), "nothing is waiting");
    assert!(joins(&mut hub, 2));
    hub.unsubscribe(sub, &mut |_, _, _| ());
    assert!(joins(&mut hub, 3), "who left gets nothing anyway");
    hub.subscribe(Mode::Stream, "a", 3, 0);
    assert!(!joins(&mut hub, 4), "3 must not get what was before it");
    assert_eq!(slice(&mut hub, 9), Some((vec![1, 2, 3], vec![2])));
    assert_eq!(slice(&mut hub, 1), Some((vec![4], vec![3])));
    assert!(!joins(&mut hub, 5), "3 has got the group already");
}

#[test]
fn changes_are_reported_as_differences_and_nothing_is_reported_twice() {
    let mut hub = Hub::<()>::new();
    let first = hub.subscribe(Mode::Stream, "a", 1, 0);
    let second = hub.subscribe(Mode::Stream, "a", 2, 0);
    hub.subscribe(Mode::Response, "a", 3, 0);
    let changes = [
        (Mode::Stream, "a".into(), 2),
        (Mode::Response, "a".into(), 1),
    ];
    assert_eq!(drain(&mut hub), changes);
    let third = hub.subscribe(Mode::Stream, "a", 3, 0);
    hub.unsubscribe(third, &mut nobody);
    assert_eq!(drain(&mut hub), [], "back where it was");
    hub.unsubscribe(second, &mut nobody);
    hub.unsubscribe(first, &mut nobody);
    assert_eq!(drain(&mut hub), [(Mode::Stream, "a".into(), -2)]);
    assert_eq!(hub.entries.len(), 1);
    assert_eq!(
        hub.channels().map(|(mode, ..)| mode).collect::<Vec<_>>(),
        [Mode::Response]
    );
}

#[test]
fn draining_is_bounded_by_entries() {
    let mut hub = Hub::<()>::new();
    for conn in 0..5 {
        hub.subscribe(Mode::Stream, &conn.to_string(), conn, 0);
    }
    let mut reported = 0;
    assert_eq!(hub.drain_changes(3, &mut |_, _, _| reported += 1), 2);
    assert_eq!(reported, 3);
}

#[test]
fn an_unknown_subscription_is_ignored() {
    let mut hub = Hub::<()>::new();
    let sub = hub.subscribe(Mode::Stream, "a", 1, 0);
    hub.unsubscribe(Subscription { position: 1, ..sub }, &mut nobody);
    hub.unsubscribe(Subscription { entry: 77, ..sub }, &mut nobody);
    assert_eq!((hub.count(Mode::Stream, "a"), hub.channel_count()), (1, 1));
    assert_eq!(hub.entry_name(sub).map(|name| &**name), Some("a"));
}

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) as usize % bound
    }
}

/// A hub and what it should do: every subscriber with its own queue of what is due to it.
struct World {
    hub: Hub<u32>,
    random: Random,
    /// By connection; every subscriber is a connection of its own, with slot = 2 x connection.
    subscribers: BTreeMap<ConnKey, Expected>,
    reported: BTreeMap<(Mode, String), i32>,
    next_conn: ConnKey,
    next_payload: u32,
}

struct Expected {
    sub: Subscription,
    key: (Mode, String),
    due: VecDeque<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            hub: Hub::new(),
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            subscribers: BTreeMap::new(),
            reported: BTreeMap::new(),
            next_conn: 0,
            next_payload: 0,
        }
    }

    fn key(&mut self) -> (Mode, String) {
        let modes = [Mode::Stream, Mode::Stream, Mode::Response, Mode::WebSocket];
        let mode = modes[self.random.below(4)];
        // One channel is much larger than the others.
        (
            mode,
            ["big", "big", "big", "b", "c"][self.random.below(5)].to_owned(),
        )
    }

    fn subscribe(&mut self) {
        let key = self.key();
        let conn = self.next_conn;
        self.next_conn += 1;
        let sub = self.hub.subscribe(key.0, &key.1, conn, conn * 2);
        self.subscribers.insert(
            conn,
            Expected {
                sub,
                key,
                due: VecDeque::new(),
            },
        );
    }

    fn unsubscribe(&mut self) {
        let at = self.random.below(self.subscribers.len().max(1));
        let Some(conn) = self.subscribers.keys().nth(at).copied() else {
            return;
        };
        let gone = self
            .subscribers
            .remove(&conn)
            .expect("it is one of the keys");
        self.hub.unsubscribe(gone.sub, &mut |conn, slot, position| {
            assert_eq!(slot, conn * 2);
            let moved = self
                .subscribers
                .get_mut(&conn)
                .expect("who moves is subscribed");
            moved.sub.position = position;
        });
    }

    fn release(&mut self) {
        let key = self.key();
        let payload = self.next_payload;
        self.next_payload += 1;
        let count = self.hub.release(key.0, &key.1, payload);
        let mut expected = 0;
        for subscriber in self.subscribers.values_mut().filter(|one| one.key == key) {
            subscriber.due.push_back(payload);
            expected += 1;
        }
        assert_eq!(count, expected);
    }

    fn deliver(&mut self) -> bool {
        let max = 1 + self.random.below(6);
        let mut out = Vec::new();
        let Some(slice) = self.hub.next_slice(max, &mut out) else {
            assert!(
                self.subscribers.values().all(|one| one.due.is_empty()),
                "something is due"
            );
            assert_eq!(self.hub.pending(), 0);
            return false;
        };
        assert!(
            !out.is_empty() && out.len() <= max,
            "{} of {max}",
            out.len()
        );
        for Subscriber { conn, slot } in out {
            let subscriber = self
                .subscribers
                .get_mut(&conn)
                .expect("who has left gets nothing");
            assert_eq!((slot, slice.entry), (conn * 2, subscriber.sub.entry));
            assert_eq!(slice.mode, subscriber.key.0);
            assert_eq!(
                subscriber.due.pop_front(),
                Some(slice.payload),
                "connection {conn}"
            );
        }
        true
    }

    fn drain(&mut self) {
        let max = self.random.below(4);
        self.hub.drain_changes(max, &mut |mode, name, delta| {
            *self.reported.entry((mode, name.to_string())).or_default() += delta;
        });
    }

    /// What must hold after every step.
    fn check(&self) {
        let mut counts: BTreeMap<(Mode, String), u32> = BTreeMap::new();
        for (conn, one) in &self.subscribers {
            *counts.entry(one.key.clone()).or_default() += 1;
            let entry = self
                .hub
                .entries
                .get(one.sub.entry)
                .expect("has a subscriber");
            let found = entry.list.at(one.sub.position);
            assert_eq!(
                found,
                Some(Subscriber {
                    conn: *conn,
                    slot: conn * 2
                })
            );
        }
        let mut groups = 0;
        for (_, entry) in self.hub.entries.iter() {
            if let Some(delivery) = &entry.delivery {
                let bounds = delivery.bounds();
                assert!(bounds.is_sorted() && bounds[0] > 0, "{bounds:?}");
                assert!(bounds.last() <= Some(&entry.list.len()), "{bounds:?}");
                groups += bounds.len();
            }
        }
        assert_eq!(self.hub.pending(), groups);
        assert_eq!(self.hub.channel_count(), counts.len());
        let channels = self.hub.channels();
        let channels = channels.map(|(mode, name, len)| ((mode, name.to_string()), len));
        assert_eq!(channels.collect::<BTreeMap<_, _>>(), counts);
    }

    /// Everyone gets what is due, then everyone leaves, and nothing remains.
    fn finish(mut self) {
        while self.deliver() {}
        while !self.subscribers.is_empty() {
            self.unsubscribe();
        }
        self.hub
            .drain_changes(usize::MAX, &mut |mode, name, delta| {
                *self.reported.entry((mode, name.to_string())).or_default() += delta;
            });
        assert!(
            self.reported.values().all(|count| *count == 0),
            "{:?}",
            self.reported
        );
        assert_eq!(self.hub.entries.len(), 0);
    }
}

#[test]
fn every_subscriber_gets_what_was_released_while_it_was_subscribed() {
    for seed in 1..=3_000 {
        let mut world = World::new(seed);
        // Some worlds grow, some shrink, some release more than they deliver.
        let weights = [2 + seed % 7, 1 + seed % 5, 1 + seed % 4, 2 + seed % 6, 1];
        let total: u64 = weights.iter().sum();
        for _ in 0..200 {
            let mut pick = world.random.below(total as usize) as u64;
            let action = weights.iter().position(|weight| {
                let hit = pick < *weight;
                pick = pick.saturating_sub(*weight);
                hit
            });
            match action {
                Some(0) => world.subscribe(),
                Some(1) => world.unsubscribe(),
                Some(2) => world.release(),
                Some(3) => drop(world.deliver()),
                _ => world.drain(),
            }
            world.check();
        }
        world.finish();
    }
}
