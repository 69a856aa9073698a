//! Simulated backends: they answer as planned, in pieces; refuse; die; close idle connections.

use crate::plan::{Fate, Form, Plan, Site, content_byte};
use crate::reader::{Reader, Side};
use crate::run::Run;
use crate::wire::{Peer, PeerSide};

/// Ports of the world's backends: the first refuses now and then, the third always.
const UNRELIABLE: u16 = 1;
const DEAD: u16 = 3;

/// One backend connection.
#[derive(Debug)]
pub(crate) struct SimBackend {
    reader: Reader,
    read_len: usize,
    /// Requests whose head was seen.
    seen: usize,
    /// The request at hand, and whether its answer was made.
    current: Option<usize>,
    is_answered: bool,
    /// Bytes of the last request's content that were compared.
    compared_len: usize,
    outgoing: Vec<u8>,
    /// Bytes sent so far.
    sent_len: usize,
    /// Where the answer ends and for whom; `None`: with the connection.
    pub(crate) mark: Option<(Option<usize>, usize)>,
    /// What to do when everything is sent.
    last: Option<PeerSide>,
    /// Sent more than was asked for: who comes next may be answered with it.
    is_spoilt: bool,
    is_silent: bool,
}

impl SimBackend {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::new(Side::Requests),
            read_len: 0,
            seen: 0,
            current: None,
            is_answered: false,
            compared_len: 0,
            outgoing: Vec::new(),
            sent_len: 0,
            mark: None,
            last: None,
            is_spoilt: false,
            is_silent: false,
        }
    }

    /// The answer is all sent, and does not end the connection.
    fn has_answered(&self) -> bool {
        let is_sent = self.outgoing.is_empty() || self.is_spoilt;
        self.is_answered && is_sent && self.last.is_none() && !self.is_silent
    }
}

impl Run {
    /// A backend does something. True: there was something to do.
    pub(crate) fn backend_acts(&mut self, wire: usize, is_calm: bool) -> bool {
        let Peer::Backend(address) = self.world.wires[wire].peer else {
            return false;
        };
        if self.world.wires[wire].is_connecting && !self.world.wires[wire].is_closed {
            let refuses =
                address.port() == DEAD || (address.port() == UNRELIABLE && self.random.chance(30));
            self.world.connected(wire, !refuses);
            if !refuses {
                self.world.wires[wire].room = self.random.pick(&[4000, 9000, usize::MAX]);
            }
            return true;
        }
        self.backend_parses(wire);
        if self.world.wires[wire].is_closed || self.world.wires[wire].side != PeerSide::Open {
            return false;
        }
        if is_calm || self.random.chance(50) {
            let more = if is_calm { usize::MAX } else { 3000 };
            self.world.make_room(wire, more);
            self.backend_parses(wire);
        }
        if self.backend_answers(wire) || self.backend_sends(wire, is_calm) {
            return true;
        }
        let backend = self.backends.get_mut(&wire).unwrap();
        if is_calm && backend.is_silent {
            self.die(wire, PeerSide::Reset);
            return true;
        }
        if !is_calm && backend.current.is_none() && self.random.chance(4) {
            let mut side = self.random.pick(&[PeerSide::Ended, PeerSide::Reset]);
            if !self.world.wires[wire].incoming.is_empty() {
                // A reset would destroy an answer that the shard has not read.
                side = PeerSide::Ended;
            }
            self.die(wire, side);
            return true;
        }
        false
    }

    fn die(&mut self, wire: usize, side: PeerSide) {
        let w = &mut self.world.wires[wire];
        w.side = side;
        if side == PeerSide::Reset {
            w.incoming.clear();
        }
    }

    /// Reads requests, also behind the end of its own side: a request that is lost there was sent.
    pub(crate) fn backend_parses(&mut self, wire: usize) {
        let backend = self.backends.entry(wire).or_insert_with(SimBackend::new);
        let w = &self.world.wires[wire];
        let bytes = &w.taken[backend.read_len..];
        if let Err(error) = backend.reader.feed(bytes, &|_| false) {
            panic!("bytes to each backend parse as valid requests: wire {wire}: {error}");
        }
        backend.read_len = w.taken.len();
        if backend.seen < backend.reader.messages.len() {
            let is_free = backend.current.is_none() || backend.has_answered();
            assert!(
                is_free,
                "one request at a time on a backend connection: wire {wire}, {:?}, {backend:?}",
                backend.current.map(|id| &self.plans[id])
            );
            let message = &backend.reader.messages[backend.seen];
            let id: usize = message
                .field("X-Id")
                .expect("requests keep their fields")
                .parse()
                .unwrap();
            assert_eq!(
                message.method(),
                self.plans[id].method,
                "methods pass unchanged"
            );
            assert!(
                message.target().ends_with(&format!("/{id}")),
                "targets pass unchanged"
            );
            backend.seen += 1;
            backend.compared_len = 0;
            backend.current = Some(id);
            backend.is_answered = false;
            let is_spoilt = backend.is_spoilt;
            self.arrived(wire, id);
            if is_spoilt || self.world.wires[wire].side != PeerSide::Open {
                self.plans[id].may_fail = true;
            }
            return self.backend_parses(wire);
        }
        self.compare_content(wire);
    }

    fn compare_content(&mut self, wire: usize) {
        let backend = self.backends.get_mut(&wire).unwrap();
        let Some(message) = backend.reader.messages.last() else {
            return;
        };
        let id: usize = message.field("X-Id").unwrap().parse().unwrap();
        let (got, upload_len) = (message.content.len(), self.plans[id].upload_len());
        let wanted = |at| (at < upload_len).then(|| content_byte(id, at));
        let is_right =
            (backend.compared_len..got).all(|at| wanted(at) == Some(message.content[at]));
        let what = "a backend gets exactly the content that the client sent";
        assert!(is_right, "{what}: request {id}");
        assert!(
            !message.is_complete || got == upload_len,
            "{what}: request {id} has {got} bytes"
        );
        backend.compared_len = got;
    }

    fn arrived(&mut self, wire: usize, id: usize) {
        let plan = &mut self.plans[id];
        plan.attempts += 1;
        if let Some((last, read_len)) = plan.last_attempt {
            if let Some(from) = plan.held_from.take() {
                let mut channels = plan.channels.iter();
                let is_hinted = channels.any(|channel| {
                    let first = self.log.first_for_polls(*channel, from[*channel]);
                    first.is_some_and(|(_, to)| to == crate::channels::ToPolls::Hint)
                });
                assert!(
                    is_hinted,
                    "a hold is asked again only after a hint: request {id}"
                );
                plan.is_hinted = true;
            } else {
                let is_untouched = self.world.wires[last].read_len == read_len;
                assert!(
                    plan.is_idempotent() && is_untouched && self.world.wires[last].is_closed,
                    "a request reaches a backend once, unless that is safe: request {id}, \
                     attempt {}, {plan:?}",
                    plan.attempts
                );
            }
        }
        plan.last_attempt = Some((wire, self.world.wires[wire].read_len));
    }

    /// Makes the answer, if it is time. True: it was.
    fn backend_answers(&mut self, wire: usize) -> bool {
        let backend = self.backends.get_mut(&wire).unwrap();
        let Some(id) = backend.current.filter(|_| !backend.is_answered) else {
            return false;
        };
        let plan = &mut self.plans[id];
        let is_complete = backend
            .reader
            .messages
            .last()
            .is_some_and(|message| message.is_complete);
        if !is_complete && (!plan.is_early || plan.fate != Fate::Well) {
            return false;
        }
        backend.is_answered = true;
        let fate = if plan.attempts == 1 {
            plan.fate
        } else {
            Fate::Well
        };
        let (mut bytes, head_len) = plan.response(&mut self.random);
        let ends = plan.ends_backend || plan.form == Form::UntilClose;
        backend.last = ends.then_some(PeerSide::Ended);
        let end = backend.sent_len + bytes.len();
        backend.mark = Some(((plan.form != Form::UntilClose).then_some(end), id));
        plan.may_fail |= fate != Fate::Well;
        let cut = match fate {
            Fate::Well => None,
            Fate::DieBefore => Some(0),
            Fate::DieInHead => Some(self.random.between(1, head_len - 1)),
            // There is nothing to die in.
            Fate::DieInContent if bytes.len() == head_len => None,
            Fate::DieInContent => {
                plan.may_be_cut = true;
                Some(self.random.between(head_len, bytes.len() - 1))
            }
            Fate::Garbage => {
                bytes = b"what is this?\r\n\r\n".to_vec();
                None
            }
            Fate::Surplus if plan.form == Form::UntilClose => None,
            Fate::Surplus => {
                bytes.extend_from_slice(b"\x01surplus\r\n\r\n");
                backend.is_spoilt = true;
                None
            }
            Fate::Silent => {
                backend.is_silent = true;
                bytes.clear();
                None
            }
        };
        if let Some(len) = cut {
            bytes.truncate(len);
            backend.mark = None;
            // Ended in order, content without other end would be whole.
            let is_open_ended = plan.form == Form::UntilClose;
            let sides = [PeerSide::Reset, PeerSide::Ended];
            backend.last = Some(self.random.pick(&sides[..2 - usize::from(is_open_ended)]));
        }
        if fate == Fate::Garbage || fate == Fate::Silent {
            backend.mark = None;
        }
        backend.outgoing = bytes;
        true
    }

    fn backend_sends(&mut self, wire: usize, is_calm: bool) -> bool {
        let backend = self.backends.get_mut(&wire).unwrap();
        if backend.is_silent || !backend.is_answered {
            return false;
        }
        if !backend.outgoing.is_empty() {
            let len = backend.outgoing.len();
            let count = if is_calm || self.random.chance(40) {
                len
            } else {
                self.random.between(1, len)
            };
            self.world.wires[wire]
                .incoming
                .extend(backend.outgoing.drain(..count));
            backend.sent_len += count;
            if !backend.outgoing.is_empty() {
                return true;
            }
        }
        if let Some(side) = backend.last.take() {
            if self.random.chance(50) && side == PeerSide::Reset {
                // What it sent before stays readable for a moment.
                backend.last = Some(side);
                return true;
            }
            backend.current = None;
            self.die(wire, side);
            return true;
        }
        let is_whole = backend
            .reader
            .messages
            .last()
            .is_some_and(|message| message.is_complete);
        if is_whole && backend.current.take().is_some() {
            return true;
        }
        false
    }

    /// The shard has read from a backend: an answer that is all read begins its hold.
    pub(crate) fn after_backend_read(&mut self, wire: usize, was_open: bool) {
        let Some(backend) = self.backends.get_mut(&wire) else {
            return;
        };
        let Some((end, id)) = backend.mark else {
            return;
        };
        let w = &self.world.wires[wire];
        let has_ended = match end {
            Some(end) => w.read_len >= end,
            None => was_open && w.is_closed && w.side == PeerSide::Ended && w.incoming.is_empty(),
        };
        if !has_ended {
            return;
        }
        backend.mark = None;
        let plan: &mut Plan = &mut self.plans[id];
        if plan.next_hold().is_some() {
            plan.held_from = Some(self.log.lengths());
            plan.held_since_ms = self.world.now_ms;
        }
    }

    /// The status of the answer that the shard itself owes.
    pub(crate) fn own_status(plan: &Plan) -> Option<u16> {
        match plan.site {
            Site::Main => None,
            Site::Dead => Some(502),
            Site::Test => Some(404),
        }
    }
}
