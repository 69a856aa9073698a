//! The publish limiter: deliveries (one item to one hold) wait until the rate allows them
//! (grip-http.md section 18 of the behaviour reference).
//!
//! Only with `message_rate` there is one. Then items do not join, what is released goes into a
//! queue per route, and routes are served in turn, one delivery each. Shards share nothing but the
//! [`DeliveryRate`].

mod rate;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

use config::Handler;
use hashbrown::HashMap;
use proto::grip::{Format, Item};

use super::actions::Actions;
use super::conn::State;
use super::hub::{Mode, Slice, Subscriber};
use super::publish::Group;
use super::routes::RouteId;
use super::{ConnKey, Core, Socket};

pub use rate::DeliveryRate;
use rate::Slot;

/// Deliveries that may wait on this shard where `message_hwm` sets no limit; what is released
/// beyond them stays in the hub, which holds the ring back, and so the publisher.
const WAITING_MAX: usize = 65_536;

/// Between two lines about dropped deliveries.
const QUIET_MS: u64 = 1000;

/// What waits on one shard, and what the shard may deliver next.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Arc<DeliveryRate>,
    hwm: Option<u64>,
    block_size: Option<NonZeroU32>,
    /// By route; those without an id of their own are together under [`RouteId::NONE`].
    queues: HashMap<RouteId, Queue, ahash::RandomState>,
    /// Routes with something waiting, in the order of their turns.
    turns: VecDeque<RouteId>,
    waiting: usize,
    weight: u64,
    /// The share of the time that was reserved, and what is left of its weight.
    slot: Option<Slot>,
    /// Deliveries that have ever waited.
    released: u64,
    /// Whose hold has ended while something waited, and how many had waited by then: what came
    /// before is not for the connection's next hold.
    left: HashMap<ConnKey, u64, ahash::RandomState>,
    quiet_until_ms: u64,
}

#[derive(Debug, Default)]
struct Queue {
    list: VecDeque<Waiting>,
    weight: u64,
}

/// A delivery that waits.
#[derive(Debug)]
struct Waiting {
    group: Rc<Group>,
    /// The number of the delivery, of all that have waited.
    number: u64,
    weight: u64,
    to: Subscriber,
    /// Which connection of that row it is for.
    serial: u32,
    entry: u32,
    mode: Mode,
}

impl Limiter {
    pub(super) fn new(rate: Arc<DeliveryRate>, handler: &Handler) -> Self {
        Self {
            rate,
            hwm: handler.message_hwm.map(|max| u64::from(max.get())),
            block_size: handler.message_block_size,
            queues: HashMap::default(),
            turns: VecDeque::new(),
            waiting: 0,
            weight: 0,
            slot: None,
            released: 0,
            left: HashMap::default(),
            quiet_until_ms: 0,
        }
    }

    /// Deliveries that may still wait before the hub has to.
    fn room(&self) -> usize {
        match self.hwm {
            Some(_) => usize::MAX,
            None => WAITING_MAX.saturating_sub(self.waiting),
        }
    }

    /// Whether the hub has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// A connection's hold has ended.
    pub(super) fn forget(&mut self, conn: ConnKey) {
        if self.waiting > 0 {
            self.left.insert(conn, self.released);
        }
    }

    /// When the next delivery is due, if any waits.
    pub(super) fn due_ms(&self) -> Option<u64> {
        (self.waiting > 0).then(|| self.slot.map_or(0, |slot| slot.at_ms))
    }

    /// What one delivery counts for.
    fn weight_of(&self, group: &Group, mode: Mode) -> u64 {
        let Some(size) = self.block_size else {
            return 1;
        };
        let format = match mode {
            Mode::Response => Format::Response,
            Mode::Stream => Format::Stream,
            Mode::WebSocket => Format::Ws,
        };
        let len_of = |item: &Arc<Item>| u64::try_from(item.counted_len(format)).unwrap_or(u64::MAX);
        let len = group.items().iter().map(len_of).sum::<u64>();
        len.div_ceil(u64::from(size.get()))
    }

    /// Lets a delivery wait; false: too much waits for its route already.
    fn push(&mut self, route: RouteId, mut waiting: Waiting) -> bool {
        let queue = self.queues.entry(route).or_default();
        if self
            .hwm
            .is_some_and(|max| queue.weight + waiting.weight > max)
        {
            return false;
        }
        if queue.list.is_empty() {
            self.turns.push_back(route);
        }
        waiting.number = self.released;
        self.released += 1;
        self.waiting += 1;
        self.weight += waiting.weight;
        queue.weight += waiting.weight;
        queue.list.push_back(waiting);
        true
    }

    /// The next delivery of the route whose turn it is.
    fn pop(&mut self) -> Option<Waiting> {
        let route = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&route)?;
        let waiting = queue.list.pop_front()?;
        queue.weight -= waiting.weight;
        self.weight -= waiting.weight;
        self.waiting -= 1;
        if queue.list.is_empty() {
            self.queues.remove(&route);
        } else {
            self.turns.push_back(route);
        }
        Some(waiting)
    }

    /// Whether the rate allows a delivery now. Time is reserved only for what waits.
    fn may_deliver(&mut self, now_ms: u64) -> bool {
        if self.waiting == 0 {
            self.slot = None;
            self.left.clear();
            return false;
        }
        let (rate, weight) = (&self.rate, self.weight);
        let slot = self
            .slot
            .get_or_insert_with(|| rate.reserve(now_ms, weight));
        slot.at_ms <= now_ms
    }

    /// Books a delivery.
    fn book(&mut self, weight: u64, now_ms: u64) {
        let Some(slot) = &mut self.slot else {
            return;
        };
        if let Some(left) = slot.weight.checked_sub(weight)
            && left > 0
        {
            slot.weight = left;
            return;
        }
        self.rate.charge(weight - slot.weight);
        let is_more = self.weight > 0;
        self.slot = is_more.then(|| self.rate.reserve(now_ms, self.weight));
    }
}

impl<S: Socket> Core<S> {
    /// Lets the deliveries of the next slice wait for the rate; answers how many there were.
    pub(super) fn limit_slice(&mut self, max: usize, to: &mut Vec<Subscriber>) -> usize {
        let Some(limiter) = &self.limiter else {
            return 0;
        };
        let max = max.min(limiter.room());
        if let Some(slice) = self.hub.next_slice(max, to) {
            for subscriber in to.iter() {
                self.limit_one(&slice, *subscriber);
            }
        }
        let waiting = self.limiter.as_ref().map_or(0, |limiter| limiter.waiting);
        let gauge = &self.counters.deliveries.limited_waiting;
        gauge.set(waiting as u64);
        to.len()
    }

    fn limit_one(&mut self, slice: &Slice<Rc<Group>>, to: Subscriber) {
        let (Some(row), Some(limiter)) = (self.rows.get(to.conn), &mut self.limiter) else {
            return;
        };
        let State::Held(hold) = &row.state else {
            return;
        };
        let local = self.routes.get(hold.route);
        let own = local.filter(|local| local.route.has_own_id);
        let waiting = Waiting {
            group: Rc::clone(&slice.payload),
            number: 0,
            weight: limiter.weight_of(&slice.payload, slice.mode),
            to,
            serial: row.serial,
            entry: slice.entry,
            mode: slice.mode,
        };
        if limiter.push(own.map_or(RouteId::NONE, |_| hold.route), waiting) {
            return;
        }
        self.counters.deliveries.limited_dropped.add(1);
        if self.now.ms >= limiter.quiet_until_ms {
            limiter.quiet_until_ms = self.now.ms + QUIET_MS;
            let hwm = limiter.hwm.unwrap_or_default();
            let of = own.map_or(String::new(), |local| {
                format!(" for route {}", local.route.id)
            });
            log::warn!("exceeded publish hwm ({hwm}){of}, dropping message");
        }
    }

    /// Makes one delivery that has waited for the rate; false: none may be made now. Each is to be
    /// followed by [`Core::delivered`], as after [`Core::deliver`].
    pub fn deliver_limited(&mut self, actions: &mut Actions) -> bool {
        while let Some(limiter) = &mut self.limiter
            && limiter.may_deliver(self.now.ms)
        {
            let Some(waiting) = limiter.pop() else {
                return false;
            };
            let left = limiter.waiting as u64;
            self.counters.deliveries.limited_waiting.set(left);
            let Waiting { to, entry, .. } = waiting;
            let is_late = limiter
                .left
                .get(&to.conn)
                .is_some_and(|at| waiting.number < *at);
            let row = self.rows.get(to.conn);
            let is_there = row.is_some_and(|row| match &row.state {
                State::Held(hold) => {
                    row.serial == waiting.serial && hold.subscriptions.is_for(to.slot, entry)
                }
                _ => false,
            });
            if is_late || !is_there {
                continue;
            }
            limiter.book(waiting.weight, self.now.ms);
            let slice = Slice {
                entry,
                mode: waiting.mode,
                payload: waiting.group,
            };
            self.delivering = Some(entry);
            self.deliver_slice(&slice, &[to], actions);
            self.settle(actions);
            return true;
        }
        false
    }
}
