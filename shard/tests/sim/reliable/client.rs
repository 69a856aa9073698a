//! Clients that want all items of their channels, each once and in order: by long-polls or by
//! streams. After any end or error they ask again with what they have.

use crate::random::Random;
use crate::reader::{Reader, Side, text};
use crate::wire::PeerSide;

use super::Life;
use super::asked::{Position, Wishes};
use super::log::{CHANNELS, Filters};

/// How a client listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Poll,
    Stream,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) kind: Kind,
    pub(crate) wishes: Wishes,
    pub(crate) channels: Vec<usize>,
    /// Of each channel of the world, the id of the last item that it has.
    pub(crate) have: [usize; CHANNELS],
    /// Its connection.
    pub(crate) line: Option<Line>,
    is_old: bool,
}

/// A connection of a client.
pub(crate) struct Line {
    pub(crate) shard: usize,
    pub(crate) wire: usize,
    reader: Reader,
    read_len: usize,
    /// Requests sent.
    asked: usize,
    /// Content of the response at hand that was understood.
    understood: usize,
    /// Channels that the stream at hand follows; none before it says so.
    pub(crate) following: Vec<usize>,
    /// Bytes that it reads at once; `None`: it reads everything as it comes.
    slow: Option<usize>,
    is_stuck: bool,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("shard", &self.shard)
            .field("wire", &self.wire)
            .field("asked", &self.asked)
            .field("responses", &self.reader.messages.len())
            .field("following", &self.following)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn random(tag: usize, random: &mut Random) -> Self {
        let kind = random.pick(&[Kind::Poll, Kind::Stream]);
        let first = random.below(CHANNELS);
        let count = random.pick(&[1, 1, 2, 3]);
        let channels = (0..count).map(|more| (first + more) % CHANNELS).collect();
        let timeout_s = match kind {
            Kind::Poll => random.pick(&[20, 30, 55]),
            Kind::Stream => random.pick(&[0, 1, 3, 30, 30]),
        };
        let wishes = Wishes {
            user: random.below(super::log::USERS),
            filters: Filters::random(random),
            timeout_s,
            has_gone_link: random.chance(25),
            is_filtering: random.chance(40),
            has_keep_alive: random.chance(25),
            elsewhere: random.pick(&[0, 0, 0, 1, 2]),
            tag: if random.chance(40) { tag } else { 0 },
        };
        Self {
            kind,
            wishes,
            channels,
            have: [0; CHANNELS],
            line: None,
            is_old: random.chance(10),
        }
    }

    /// Another one with the same wishes, whose requests may be the same.
    pub(crate) fn twin(&self) -> Self {
        Self {
            kind: self.kind,
            wishes: self.wishes,
            channels: self.channels.clone(),
            have: [0; CHANNELS],
            line: None,
            is_old: self.is_old,
        }
    }

    fn request(&self, random: &mut Random, is_calm: bool) -> String {
        let position = |channel: &usize| (*channel, Some(self.have[*channel]));
        let mut channels: Vec<Position> = self.channels.iter().map(position).collect();
        let mut parked = Vec::new();
        let path = match self.kind {
            Kind::Poll => "/poll",
            Kind::Stream => "/stream",
        };
        if self.kind == Kind::Stream && !is_calm && channels.len() > 1 && random.chance(20) {
            parked.extend(channels.pop());
        }
        let target = self.wishes.target(path, &channels, &parked);
        let version = if self.is_old { "1.0" } else { "1.1" };
        format!("GET {target} HTTP/{version}\r\nHost: h.example\r\n\r\n")
    }
}

impl Life {
    /// A client does something. True: there was something to do.
    pub(super) fn client_acts(&mut self, index: usize) -> bool {
        if self.clients[index].line.is_none() {
            self.client_connects(index);
            return true;
        }
        let before = self.clients[index].have;
        self.client_reads(index);
        let client = &self.clients[index];
        let line = client.line.as_ref().unwrap();
        let w = &self.worlds[line.shard].wires[line.wire];
        let response = line.reader.messages.get(line.asked - 1);
        let is_complete = response.is_some_and(|message| message.is_complete);
        if is_complete && !line.reader.is_over() && !w.is_closed && !w.is_output_ended {
            if self.random.chance(70) {
                self.client_asks(index);
            } else {
                self.client_leaves(index);
            }
            return true;
        }
        if is_complete || w.is_closed || w.is_output_ended {
            self.client_leaves(index);
            return true;
        }
        if !self.is_calm && self.random.chance(2) {
            self.client_leaves(index);
            return true;
        }
        before != self.clients[index].have
    }

    fn client_connects(&mut self, index: usize) {
        let shard = self.random.below(self.worlds.len());
        let world = &mut self.worlds[shard];
        let wire = world.accept();
        let is_slow = !self.is_calm && self.random.chance(25);
        let slow = is_slow.then(|| self.random.pick(&[1, 40, 700, 3000]));
        if let Some(step) = slow {
            world.wires[wire].room = step;
        }
        self.clients[index].line = Some(Line {
            shard,
            wire,
            reader: Reader::new(Side::Responses),
            read_len: 0,
            asked: 0,
            understood: 0,
            following: Vec::new(),
            slow,
            is_stuck: is_slow && self.random.chance(40),
        });
        self.client_asks(index);
    }

    fn client_asks(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let request = client.request(&mut self.random, self.is_calm);
        let line = client.line.as_mut().unwrap();
        line.asked += 1;
        line.understood = 0;
        if self.is_traced {
            eprintln!(
                "client {index} on shard {} wire {}: {request:?}",
                line.shard, line.wire
            );
        }
        line.following.clear();
        let w = &mut self.worlds[line.shard].wires[line.wire];
        w.incoming.extend_from_slice(request.as_bytes());
    }

    /// Ends its connection; what the kernel has taken and it has not read is lost.
    pub(super) fn client_leaves(&mut self, index: usize) {
        let Some(line) = self.clients[index].line.take() else {
            return;
        };
        self.trace(|| format!("client {index} leaves: {line:?}"));
        let world = &mut self.worlds[line.shard];
        let w = &mut world.wires[line.wire];
        if !w.is_closed {
            w.side = self.random.pick(&[PeerSide::Ended, PeerSide::Reset]);
            w.incoming.clear();
            // Its kernel takes what comes and forgets it.
            world.make_room(line.wire, usize::MAX);
        }
    }

    /// Reads what the kernel has, and lets it take more.
    fn client_reads(&mut self, index: usize) {
        self.client_parses(index);
        let client = &mut self.clients[index];
        let line = client.line.as_mut().unwrap();
        if self.is_calm {
            line.slow = None;
            line.is_stuck = false;
        }
        let world = &mut self.worlds[line.shard];
        if world.wires[line.wire].is_closed || (line.is_stuck && !self.random.chance(4)) {
            return;
        }
        match line.slow {
            Some(step) if world.wires[line.wire].room >= step => {}
            Some(step) => world.make_room(line.wire, self.random.between(1, step)),
            None => world.make_room(line.wire, usize::MAX),
        }
        self.client_parses(index);
    }

    fn client_parses(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let line = client.line.as_mut().unwrap();
        let w = &self.worlds[line.shard].wires[line.wire];
        if let Err(error) = line.reader.feed(&w.taken[line.read_len..], &|_| false) {
            panic!("bytes to each client parse as valid HTTP: client {index}, {error}");
        }
        line.read_len = w.taken.len();
        if w.is_output_ended {
            line.reader.end();
        }
        assert!(
            line.reader.messages.len() <= line.asked,
            "responses come for requests: client {index}"
        );
        let Some(message) = line.reader.messages.get(line.asked - 1) else {
            return;
        };
        // A long-poll's answer counts as a whole or not at all.
        if message.status() != 200 || (client.kind == Kind::Poll && !message.is_complete) {
            return;
        }
        let is_poll = client.kind == Kind::Poll;
        let content = text(&message.content[line.understood..]);
        let mut rest = content.as_str();
        while let Some(behind) = self.understands(index, rest) {
            rest = behind;
        }
        assert!(
            !is_poll || rest.is_empty(),
            "an answer is made of items: {rest:?}"
        );
        let line = self.clients[index].line.as_mut().unwrap();
        line.understood += content.len() - rest.len();
    }

    /// Takes one thing off the front of a response's content; `None`: it is not whole yet.
    fn understands<'t>(&mut self, index: usize, content: &'t str) -> Option<&'t str> {
        if let Some(behind) = content.strip_prefix('\n') {
            return Some(behind);
        }
        if let Some(list) = content.strip_prefix('{') {
            let (list, behind) = list.split_once('}')?;
            let line = self.clients[index].line.as_mut().unwrap();
            line.following = list.split(',').map(|c| c.parse().unwrap()).collect();
            return Some(behind);
        }
        if content.is_empty() {
            return None;
        }
        let item = content.strip_prefix("[c");
        if item.is_none() && !"[c".starts_with(content) {
            return self.reads_error(index, content);
        }
        let (item, behind) = item?.split_once(']')?;
        let (name, _) = item.split_once('|').expect("an item");
        let (channel, id) = name.split_once('#').expect("an item's name");
        let (channel, id) = (channel.parse().unwrap(), id.parse().unwrap());
        let whole = &content[..content.len() - behind.len()];
        self.got(index, channel, id, whole);
        Some(behind)
    }

    /// In debug mode, streams end with the text of an error.
    fn reads_error<'t>(&self, index: usize, content: &'t str) -> Option<&'t str> {
        assert!(
            self.is_debug && !content.contains("[c"),
            "content is made of items: client {index} got {content:?}"
        );
        Some("")
    }
}
