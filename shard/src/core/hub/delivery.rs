//! The groups of one entry that wait or are under way, and how they survive a changing list.
//!
//! Groups are served one after the other. Each covers the list's indices from 0 up to its *bound*,
//! the list's length when it was released. The bound of the group being served is its cursor and
//! goes down to 0. New subscribers are added at the end of the list, beyond all bounds; bounds
//! never get smaller from one group to the next. So the bounds cut the list into zones, and a zone
//! is the set of subscribers to whom the same groups are still due.
//!
//! When someone leaves, the hole must travel to the end of the list without anyone changing zone:
//! the last of each zone moves into the hole, which leaves the hole at the zone's end, where the
//! bound is lowered past it.

use std::collections::VecDeque;
use std::mem;

use super::list::List;
use super::{ConnKey, Subscriber};

/// Boxed and present only while something is to be delivered.
#[derive(Debug)]
pub(super) struct Delivery<P> {
    /// The group being served. Apart from the others: most entries never have a second one, and
    /// then this box is the only allocation.
    first: Group<P>,
    waiting: VecDeque<Group<P>>,
}

#[derive(Debug)]
struct Group<P> {
    payload: P,
    bound: u32,
    /// Whether someone has got it.
    started: bool,
}

/// One slice of a group.
pub(super) struct Taken<P> {
    pub(super) payload: P,
    /// What is still to be delivered, if anything.
    pub(super) rest: Option<Box<Delivery<P>>>,
    /// Groups that are done with.
    pub(super) groups_done: usize,
}

impl<P: Clone> Delivery<P> {
    pub(super) const fn new(payload: P, bound: u32) -> Self {
        let first = Group {
            payload,
            bound,
            started: false,
        };
        Self {
            first,
            waiting: VecDeque::new(),
        }
    }

    /// Adds a group for the first `bound` subscribers: all of them.
    pub(super) fn push(&mut self, payload: P, bound: u32) {
        self.waiting.push_back(Group {
            payload,
            bound,
            started: false,
        });
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        1 + self.waiting.len()
    }

    /// Whether no group is due to anyone.
    pub(super) const fn is_done(&self) -> bool {
        self.first.bound == 0
    }

    /// The payload of the last group when it is not started and due to all `len` subscribers.
    pub(super) fn last_waiting_mut(&mut self, len: u32) -> Option<&mut P> {
        let last = self.waiting.back_mut().unwrap_or(&mut self.first);
        (!last.started && last.bound == len).then_some(&mut last.payload)
    }

    /// Takes the next subscribers, at most `max` of them, from `list`.
    pub(super) fn take(
        mut self: Box<Self>,
        list: &List,
        max: u32,
        out: &mut Vec<Subscriber>,
    ) -> Taken<P> {
        let group = &mut self.first;
        group.started = true;
        let upper = group.bound;
        group.bound = upper.saturating_sub(max);
        let range = group.bound as usize..upper as usize;
        out.extend_from_slice(list.as_slice().get(range).unwrap_or_default());
        if group.bound > 0 {
            let payload = group.payload.clone();
            return Taken {
                payload,
                rest: Some(self),
                groups_done: 0,
            };
        }
        // The last slice gets the payload itself: a clone may cost a locked instruction.
        match self.waiting.pop_front() {
            None => Taken {
                payload: self.first.payload,
                rest: None,
                groups_done: 1,
            },
            Some(next) => {
                let payload = mem::replace(&mut self.first, next).payload;
                Taken {
                    payload,
                    rest: Some(self),
                    groups_done: 1,
                }
            }
        }
    }

    /// Drops the first groups when everyone to whom they were due has left, except the last
    /// group, and answers how many were dropped.
    pub(super) fn drop_done(&mut self) -> usize {
        let mut dropped = 0;
        while self.first.bound == 0
            && let Some(next) = self.waiting.pop_front()
        {
            self.first = next;
            dropped += 1;
        }
        dropped
    }

    /// Lowers the bounds beyond `hole` and moves subscribers so that the hole ends up beyond all
    /// bounds, and answers where.
    pub(super) fn close_hole(
        &mut self,
        list: &mut List,
        mut hole: u32,
        moved: &mut impl FnMut(ConnKey, u32, u32),
    ) -> u32 {
        for group in std::iter::once(&mut self.first).chain(&mut self.waiting) {
            if hole < group.bound {
                group.bound -= 1;
                fill(list, group.bound, hole, moved);
                hole = group.bound;
            }
        }
        hole
    }

    /// The bounds, for tests.
    #[cfg(test)]
    pub(super) fn bounds(&self) -> Vec<u32> {
        std::iter::once(&self.first)
            .chain(&self.waiting)
            .map(|group| group.bound)
            .collect()
    }
}

/// Moves the subscriber at `from` to `to`.
pub(super) fn fill(list: &mut List, from: u32, to: u32, moved: &mut impl FnMut(ConnKey, u32, u32)) {
    if from == to {
        return;
    }
    if let Some(subscriber) = list.at(from) {
        list.put(to, subscriber);
        moved(subscriber.conn, subscriber.slot, to);
    }
}
