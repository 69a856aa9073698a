//! Backend connections: they take their time, refuse, fail, break off; when all is calm, they do
//! not.

use std::net::SocketAddr;

use crate::random::Random;
use crate::reader::{Message, Reader, Side};
use crate::wire::PeerSide;

use super::Life;
use super::answer::{Answer, Desk};
use super::asked::Asked;

/// One backend connection.
#[derive(Debug)]
pub(crate) struct Server {
    reader: Reader,
    read_len: usize,
    answered: usize,
    outgoing: Vec<u8>,
    /// What to do when everything is sent.
    last: Option<PeerSide>,
    is_silent: bool,
}

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Error,
    DieBefore,
    DieInHead,
    DieInContent,
    Silent,
}

const FAILURES: [Fate; 5] = [
    Fate::Error,
    Fate::DieBefore,
    Fate::DieInHead,
    Fate::DieInContent,
    Fate::Silent,
];

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            reader: Reader::new(Side::Requests),
            read_len: 0,
            answered: 0,
            outgoing: Vec::new(),
            last: None,
            is_silent: false,
        }
    }

    /// The request that waits for its answer.
    fn waiting(&self) -> Option<&Message> {
        let next = self.reader.messages.get(self.answered)?;
        next.is_complete.then_some(next)
    }
}

impl Life {
    /// A backend connection does something. True: there was something to do.
    pub(super) fn server_acts(&mut self, shard: usize, wire: usize) -> bool {
        let is_calm = self.is_calm;
        let world = &mut self.worlds[shard];
        if world.wires[wire].is_closed {
            return false;
        }
        if world.wires[wire].is_connecting {
            let is_refused = !(is_calm || self.is_strict) && self.random.chance(10);
            world.connected(wire, !is_refused);
            return true;
        }
        if world.wires[wire].side != PeerSide::Open {
            return false;
        }
        let server = self
            .servers
            .entry((shard, wire))
            .or_insert_with(Server::new);
        let taken = &world.wires[wire].taken;
        let fed = server.reader.feed(&taken[server.read_len..], &|_| false);
        assert!(fed.is_ok(), "requests are valid HTTP: {fed:?}");
        server.read_len = taken.len();
        if !server.outgoing.is_empty() || server.last.is_some() {
            self.server_sends(shard, wire);
            return true;
        }
        if server.is_silent {
            if is_calm {
                self.end_server(shard, wire, PeerSide::Reset);
            }
            return is_calm;
        }
        if server.waiting().is_some() {
            self.server_answers(shard, wire);
            return true;
        }
        if !is_calm && self.random.chance(3) && self.worlds[shard].wires[wire].incoming.is_empty() {
            let side = self.random.pick(&[PeerSide::Ended, PeerSide::Reset]);
            self.end_server(shard, wire, side);
            return true;
        }
        false
    }

    fn server_answers(&mut self, shard: usize, wire: usize) {
        let server = self.servers.get_mut(&(shard, wire)).unwrap();
        let asked = Asked::read(server.waiting().unwrap());
        server.answered += 1;
        self.requests += 1;
        let mut fate = Fate::Well;
        if !self.is_calm && self.random.chance(self.failures_percent) {
            fate = self.random.pick(&FAILURES);
        }
        let mut desk = Desk {
            log: &self.log,
            random: &mut self.random,
            is_calm: self.is_calm,
            is_strict: self.is_strict,
        };
        let mut answer = desk.answer(&asked);
        if fate == Fate::Error {
            answer = Answer {
                status: self.random.pick(&[404, 500, 503, 302]),
                content: "oh no".to_owned(),
                ..Answer::default()
            };
        }
        if self.is_traced {
            let lasts = server.reader.messages[server.answered - 1].lasts();
            eprintln!(
                "shard {shard} wire {wire} asks {} {lasts:?}: {fate:?} {} {} {:?}",
                asked.path,
                answer.status,
                answer.fields.replace("\r\n", " | "),
                answer.content.replace('x', ""),
            );
        }
        let (mut bytes, head_len, ends) = framed(&answer, &mut self.random);
        let mut last = ends.then_some(PeerSide::Ended);
        let cut = match fate {
            Fate::Well | Fate::Error => None,
            Fate::DieBefore | Fate::Silent => Some(0),
            Fate::DieInHead => Some(self.random.between(1, head_len - 1)),
            Fate::DieInContent if bytes.len() == head_len => None,
            Fate::DieInContent => Some(self.random.between(head_len, bytes.len() - 1)),
        };
        if let Some(len) = cut {
            bytes.truncate(len);
            // Ended in order, content without other end would be whole.
            let sides = [PeerSide::Reset, PeerSide::Ended];
            last = Some(self.random.pick(&sides[..2 - usize::from(ends)]));
        }
        server.is_silent = fate == Fate::Silent;
        server.last = last.filter(|_| fate != Fate::Silent);
        server.outgoing = bytes;
    }

    fn server_sends(&mut self, shard: usize, wire: usize) {
        let server = self.servers.get_mut(&(shard, wire)).unwrap();
        let len = server.outgoing.len();
        if len > 0 {
            let is_whole = self.is_calm || self.random.chance(50);
            let count = if is_whole {
                len
            } else {
                self.random.between(1, len)
            };
            let w = &mut self.worlds[shard].wires[wire];
            w.incoming.extend(server.outgoing.drain(..count));
            return;
        }
        let Some(side) = server.last else {
            return;
        };
        if side == PeerSide::Reset && self.random.chance(60) {
            // What it sent before stays readable for a moment.
            return;
        }
        server.last = None;
        self.end_server(shard, wire, side);
    }

    fn end_server(&mut self, shard: usize, wire: usize, side: PeerSide) {
        let w = &mut self.worlds[shard].wires[wire];
        w.side = side;
        if side == PeerSide::Reset {
            w.incoming.clear();
        }
    }

    /// Names are looked up. True: there were some.
    pub(super) fn look_up(&mut self, shard: usize) -> bool {
        let count = self.worlds[shard].questions.len();
        if count == 0 {
            return false;
        }
        let place = self.random.below(count);
        let port = self.worlds[shard].questions[place].port;
        let address = SocketAddr::from(([127, 0, 0, 5], port));
        let is_found = self.is_calm || self.is_strict || self.random.chance(85);
        let addresses = if is_found { vec![address] } else { Vec::new() };
        self.worlds[shard].resolve(place, &addresses);
        true
    }
}

/// An answer's bytes, how many of them are its head, and whether the connection ends behind it.
fn framed(answer: &Answer, random: &mut Random) -> (Vec<u8>, usize, bool) {
    let mut head = format!("HTTP/1.1 {} X\r\n{}", answer.status, answer.fields);
    let content = &answer.content;
    let form = if answer.status == 204 {
        9
    } else {
        random.below(6)
    };
    let mut ends = random.chance(8);
    let body = match form {
        9 => String::new(),
        0 => {
            ends = true;
            content.clone()
        }
        1 | 2 => {
            head.push_str("Transfer-Encoding: chunked\r\n");
            chunked(content, random)
        }
        _ => {
            head.push_str(&format!("Content-Length: {}\r\n", content.len()));
            content.clone()
        }
    };
    if ends {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    let head_len = head.len();
    (format!("{head}{body}").into_bytes(), head_len, ends)
}

fn chunked(content: &str, random: &mut Random) -> String {
    let (mut out, mut rest) = (String::new(), content);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(random.between(1, rest.len()));
        out.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
        rest = behind;
    }
    out.push_str("0\r\n\r\n");
    out
}
