//! A world driven by hand, for the scenarios: what is said, what is heard.

use crate::reader::{Message, Reader, Side, text};
use crate::wire::PeerSide;
use crate::world::{World, small_config};

/// Routes of the scenarios: one target, or two, or the built-in one.
pub(crate) const ROUTES: &str =
    "* 127.0.0.1:1\n*,path_beg=/two 127.0.0.1:1 127.0.0.1:2\n*,path_beg=/test test\n";

/// A request without content.
pub(crate) const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// A whole answer of a backend.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Bytes read at once.
const READ_MAX: usize = 64 * 1024;

pub(crate) fn stage() -> World {
    World::new(small_config(), ROUTES)
}

/// A backend's answer that begins a hold on channel `c`.
pub(crate) fn hold(mode: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nGrip-Hold: {mode}\r\nGrip-Channel: c\r\n{more}Content-Length: 3\r\n\r\nnow"
    )
}

/// A backend's answer with these fields and this content.
pub(crate) fn answer(fields: &str, content: &str) -> String {
    let len = content.len();
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {len}\r\n\r\n{content}")
}

/// What a client gets at once from a backend with this answer.
pub(crate) fn relayed(fields: &str, content: &str) -> Message {
    let mut world = stage();
    let (client, _) = world.answered(GET, &answer(fields, content));
    let responses = world.responses(client);
    assert_eq!(responses.len(), 1, "{fields}");
    responses[0].clone()
}

/// A published item for streams and long-polls of channel `c`.
pub(crate) fn item(content: &str) -> String {
    format!(
        "{{\"items\":[{{\"channel\":\"c\",\"http-stream\":{{\"content\":\"{content}\"}},\
         \"http-response\":{{\"body\":\"{content}\"}}}}]}}"
    )
}

/// A published item for long-polls of channel `c`, by its JSON.
pub(crate) fn response_item(form: &str) -> String {
    format!("{{\"items\":[{{\"channel\":\"c\",\"http-response\":{form}}}]}}")
}

/// A published item that is an action.
pub(crate) fn action(format: &str, action: &str) -> String {
    format!("{{\"items\":[{{\"channel\":\"c\",\"{format}\":{{\"action\":\"{action}\"}}}}]}}")
}

impl World {
    /// A peer says something and the shard reads it.
    pub(crate) fn say(&mut self, wire: usize, bytes: &str) {
        self.wires[wire]
            .incoming
            .extend_from_slice(bytes.as_bytes());
        self.read_all(wire);
    }

    /// The shard reads all that it wants to read.
    pub(crate) fn read_all(&mut self, wire: usize) {
        while self.wires[wire].is_readable() {
            self.read(wire, READ_MAX);
        }
    }

    /// A client that has said this.
    pub(crate) fn client(&mut self, bytes: &str) -> usize {
        let wire = self.accept();
        self.say(wire, bytes);
        wire
    }

    /// The backend connection with this number, accepted if it still waits.
    pub(crate) fn backend(&mut self, number: usize) -> usize {
        let wire = self.backends[number];
        self.connected(wire, true);
        wire
    }

    /// A client with a request that a backend has.
    pub(crate) fn asking(&mut self, request: &str) -> (usize, usize) {
        let client = self.client(request);
        let backend = self.backend(self.backends.len() - 1);
        (client, backend)
    }

    /// A client held in this mode.
    pub(crate) fn held(&mut self, request: &str, mode: &str, more: &str) -> (usize, usize) {
        let (client, backend) = self.asking(request);
        self.say(backend, &hold(mode, more));
        (client, backend)
    }

    /// A client whose backend has answered.
    pub(crate) fn answered(&mut self, request: &str, answer: &str) -> (usize, usize) {
        let (client, backend) = self.asking(request);
        self.say(backend, answer);
        (client, backend)
    }

    /// A peer ends its side.
    pub(crate) fn end(&mut self, wire: usize) {
        self.wires[wire].side = PeerSide::Ended;
        self.read_all(wire);
    }

    /// A peer resets the connection.
    pub(crate) fn reset(&mut self, wire: usize) {
        self.wires[wire].side = PeerSide::Reset;
        self.read_all(wire);
    }

    /// Publishes and delivers to everybody.
    pub(crate) fn send_out(&mut self, body: &str) {
        self.publish(body);
        while self.deliver(256) {}
    }

    /// All that a peer has got.
    pub(crate) fn heard(&self, wire: usize) -> String {
        text(&self.wires[wire].taken)
    }

    pub(crate) fn is_closed(&self, wire: usize) -> bool {
        self.wires[wire].is_closed
    }

    /// The responses that a client has got, none of them to HEAD.
    pub(crate) fn responses(&self, wire: usize) -> Vec<Message> {
        read(Side::Responses, &self.wires[wire].taken)
    }

    /// The requests that a backend has got.
    pub(crate) fn requests(&self, wire: usize) -> Vec<Message> {
        read(Side::Requests, &self.wires[wire].taken)
    }

    /// Statuses of a client's complete responses.
    pub(crate) fn statuses(&self, wire: usize) -> Vec<u16> {
        self.responses(wire)
            .iter()
            .filter(|m| m.is_complete)
            .map(Message::status)
            .collect()
    }
}

fn read(side: Side, bytes: &[u8]) -> Vec<Message> {
    let mut reader = Reader::new(side);
    if let Err(error) = reader.feed(bytes, &|_| false) {
        panic!("{error} in {:?}", text(bytes));
    }
    reader.messages
}
