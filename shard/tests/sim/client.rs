//! Simulated clients: they ask, in pieces, pipelined or not; read slowly; leave when they like.

use crate::plan::{HoldPlan, Plan};
use crate::reader::{Reader, Side};
use crate::run::Run;
use crate::wire::PeerSide;

/// One client connection.
#[derive(Debug)]
pub(crate) struct SimClient {
    pub(crate) wire: usize,
    /// Its requests, by their plans, in order.
    pub(crate) plans: Vec<usize>,
    /// Requests that it has begun to send.
    pub(crate) begun: usize,
    /// Not yet sent.
    outgoing: Vec<u8>,
    /// Content that waits for `100 Continue`.
    held_back: Option<Vec<u8>>,
    is_pipelining: bool,
    /// Bytes that it reads at once; `None`: it reads everything as it comes.
    slow: Option<usize>,
    /// It hardly ever reads.
    is_stuck: bool,
    pub(crate) reader: Reader,
    read_len: usize,
    /// When the first byte of each response was seen.
    pub(crate) seen_ms: Vec<u64>,
    pub(crate) is_reset: bool,
    pub(crate) is_half_closed: bool,
    /// Whatever happens to it now has a reason: time has jumped, or the shard was told to end.
    pub(crate) is_excused: bool,
}

impl SimClient {
    fn interims(&self) -> usize {
        self.reader
            .interim
            .iter()
            .filter(|status| **status == 100)
            .count()
    }

    /// Final responses that are complete.
    pub(crate) fn answered(&self) -> usize {
        self.reader
            .messages
            .iter()
            .filter(|message| message.is_complete)
            .count()
    }

    /// Everything that it wanted to send has left.
    pub(crate) fn has_sent_all(&self) -> bool {
        self.outgoing.is_empty() && self.held_back.is_none()
    }
}

impl Run {
    pub(crate) fn new_client(&mut self) {
        let is_old = self.random.chance(15);
        let first = self.plans.len();
        let count = self.random.between(1, 5);
        for id in first..first + count {
            let plan = Plan::new(id, is_old, &mut self.random);
            self.plans.push(plan);
        }
        let wire = self.world.accept();
        let slow = self
            .random
            .chance(30)
            .then(|| self.random.pick(&[1, 40, 700, 3000]));
        if let Some(step) = slow {
            self.world.wires[wire].room = step;
        }
        self.clients.push(SimClient {
            wire,
            plans: (first..first + count).collect(),
            begun: 0,
            outgoing: Vec::new(),
            held_back: None,
            is_pipelining: self.random.chance(35),
            is_stuck: slow.is_some() && self.random.chance(30),
            slow,
            reader: Reader::new(Side::Responses),
            read_len: 0,
            seen_ms: Vec::new(),
            is_reset: false,
            is_half_closed: false,
            is_excused: false,
        });
    }

    /// A client does something. True: there was something to do. `is_calm`: it reads all, and
    /// leaves no more.
    pub(crate) fn client_acts(&mut self, index: usize, is_calm: bool) -> bool {
        let wire = self.clients[index].wire;
        if is_calm {
            self.clients[index].slow = None;
            self.clients[index].is_stuck = false;
        }
        self.client_reads(index);
        if self.world.wires[wire].is_closed || self.clients[index].is_reset {
            return false;
        }
        if !is_calm && self.random.chance(2) {
            return self.client_leaves(index);
        }
        self.client_sends(index, is_calm)
    }

    fn client_leaves(&mut self, index: usize) -> bool {
        let client = &mut self.clients[index];
        let wire = &mut self.world.wires[client.wire];
        let is_done = client.begun == client.plans.len() && client.has_sent_all();
        if is_done && self.random.chance(60) {
            client.is_half_closed = true;
            wire.side = PeerSide::Ended;
        } else if self.random.chance(40) {
            client.is_reset = true;
            wire.side = PeerSide::Reset;
            wire.incoming.clear();
        }
        true
    }

    fn client_sends(&mut self, index: usize, is_calm: bool) -> bool {
        let client = &mut self.clients[index];
        if client.is_half_closed || client.reader.is_over() {
            return false;
        }
        let is_answered = client.answered() >= client.begun;
        if client.held_back.is_some() && client.outgoing.is_empty() {
            if client.interims() < self.continues_wanted(index) {
                return false;
            }
            let client = &mut self.clients[index];
            client.outgoing.extend(client.held_back.take().unwrap());
        }
        let client = &mut self.clients[index];
        if client.outgoing.is_empty() {
            if client.begun == client.plans.len() || !(client.is_pipelining || is_answered) {
                return false;
            }
            let plan = &self.plans[client.plans[client.begun]];
            let (head, content) = plan.request(&mut self.random);
            client.outgoing = head;
            client.begun += 1;
            if plan.expects_continue {
                client.held_back = Some(content);
            } else {
                client.outgoing.extend(content);
            }
        }
        let len = client.outgoing.len();
        let count = if is_calm || self.random.chance(50) {
            len
        } else {
            self.random.between(1, len)
        };
        let wire = &mut self.world.wires[client.wire];
        wire.incoming.extend(client.outgoing.drain(..count));
        true
    }

    /// How many `100 Continue` are due before the content at hand may go.
    fn continues_wanted(&self, index: usize) -> usize {
        let client = &self.clients[index];
        let begun = client.plans.iter().take(client.begun);
        begun.filter(|id| self.plans[**id].expects_continue).count()
    }

    /// Reads what the kernel has, and lets it take more.
    pub(crate) fn client_reads(&mut self, index: usize) {
        let client = &self.clients[index];
        let (wire, slow) = (client.wire, client.slow);
        self.client_parses(index);
        let is_stuck = self.clients[index].is_stuck && !self.random.chance(5);
        if self.world.wires[wire].is_closed || is_stuck {
            return;
        }
        match slow {
            Some(step) => {
                if self.world.wires[wire].room < step {
                    let more = self.random.between(1, step);
                    self.world.make_room(wire, more);
                }
            }
            None => self.world.make_room(wire, usize::MAX),
        }
        self.client_parses(index);
    }

    pub(crate) fn client_parses(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let wire = &self.world.wires[client.wire];
        let bytes = &wire.taken[client.read_len..];
        let plans = &self.plans;
        let ids = &client.plans;
        let is_head = |place: usize| ids.get(place).is_some_and(|id| plans[*id].method == "HEAD");
        if let Err(error) = client.reader.feed(bytes, &is_head) {
            panic!(
                "bytes to each client parse as valid HTTP: client {index}, {:?}: {error}",
                client.plans
            );
        }
        client.read_len = wire.taken.len();
        while client.seen_ms.len() < client.reader.messages.len() {
            client.seen_ms.push(self.world.now_ms);
        }
        if wire.is_output_ended {
            client.reader.end();
        }
        assert!(
            client.reader.messages.len() <= client.begun.max(1),
            "responses come for requests: client {index} has {} for {}",
            client.reader.messages.len(),
            client.begun
        );
    }

    /// The held request of a client, if it is held now.
    pub(crate) fn held(&self, index: usize) -> Option<(usize, HoldPlan)> {
        let client = &self.clients[index];
        if self.world.wires[client.wire].is_closed || client.reader.is_over() {
            return None;
        }
        let id = *client.plans.get(client.answered())?;
        let plan = &self.plans[id];
        plan.held_from.as_ref()?;
        plan.next_hold().map(|hold| (id, hold))
    }
}
