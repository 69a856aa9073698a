//! Keep-alive clients in a closed loop: each sends its next request when the last is answered.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};

use nix::sys::epoll::EpollFlags;

use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::http::{Part, Reader};
use crate::net::{self, Readiness};

/// Bytes read at once.
const BUF_LEN: usize = 262_144;

/// Bytes of an answer's content that are kept for its receiver.
pub(crate) const CONTENT_KEPT_MAX: usize = 1024;

/// Failures after which a client is given up, so that a dead server ends the run.
const FAILURES_MAX: u64 = 100;

/// What a client does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Sends what was written to the buffer.
    Send,
    /// Nothing more.
    Stop,
}

/// One answered request.
#[derive(Debug)]
pub(crate) struct Answer<'c> {
    /// The status code.
    pub(crate) status: u16,
    /// From the start of sending to the last byte, nanoseconds.
    pub(crate) took_ns: u64,
    /// When the last byte was read, on the monotonic clock.
    pub(crate) at_ns: u64,
    /// Length of the content.
    pub(crate) content_len: u64,
    /// The front of the content.
    pub(crate) content: &'c [u8],
}

/// How a run of requests went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Requests answered.
    pub(crate) answered: u64,
    /// Connections that broke, and requests not answered before the deadline.
    pub(crate) failed: u64,
    /// What the first failure was.
    pub(crate) first_failure: Option<String>,
}

struct Client {
    socket: TcpStream,
    reader: Reader,
    out: Vec<u8>,
    out_sent: usize,
    sent_ns: u64,
    status: u16,
    content_len: u64,
    content: Vec<u8>,
    waiting: bool,
}

/// A set of clients with one connection each.
pub(crate) struct Requester {
    target: SocketAddrV4,
    readiness: Readiness,
    clients: Vec<Client>,
    buf: Vec<u8>,
}

impl Requester {
    /// Connects `count` clients; connecting goes on in the background.
    ///
    /// # Errors
    /// [`LoadError::Io`] when sockets are refused.
    pub(crate) fn connect(target: SocketAddrV4, count: usize) -> Result<Self, LoadError> {
        let mut set = Self {
            target,
            readiness: Readiness::new()?,
            clients: Vec::new(),
            buf: vec![0; BUF_LEN],
        };
        for key in 0..count {
            let client = set.client(key)?;
            set.clients.push(client);
        }
        Ok(set)
    }

    fn client(&self, key: usize) -> Result<Client, LoadError> {
        let socket = net::connect_from(None, self.target)?;
        socket
            .set_nodelay(true)
            .map_err(LoadError::io("setting no delay"))?;
        self.readiness.add(&socket, net::all_events(), key)?;
        Ok(Client {
            socket,
            reader: Reader::new(),
            out: Vec::new(),
            out_sent: 0,
            sent_ns: 0,
            status: 0,
            content_len: 0,
            content: Vec::new(),
            waiting: false,
        })
    }

    /// Runs until every client has stopped and been answered, or the deadline passes.
    ///
    /// `next` writes the next request of a client, `answered` is told of each answer.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the kernel refuses something; broken connections are counted.
    pub(crate) fn run(
        &mut self,
        deadline: Deadline,
        next: &mut dyn FnMut(usize, &mut Vec<u8>) -> Next,
        answered: &mut dyn FnMut(usize, &Answer<'_>),
    ) -> Result<Outcome, LoadError> {
        let mut outcome = Outcome::default();
        let mut waiting = 0;
        for key in 0..self.clients.len() {
            waiting += usize::from(self.send_next(key, next)?);
        }
        let mut ready = Vec::new();
        while waiting > 0 && !deadline.passed() && outcome.failed < FAILURES_MAX {
            self.readiness.wait(50, &mut ready)?;
            for &(flags, key) in &ready {
                let Some(client) = self.clients.get_mut(key).filter(|client| client.waiting) else {
                    continue;
                };
                let progress = client.handle(flags, &mut self.buf);
                match progress {
                    Ok(false) => continue,
                    Ok(true) => {
                        outcome.answered += 1;
                        client.waiting = false;
                        client.report(key, answered);
                    }
                    Err(reason) => {
                        outcome.failed += 1;
                        outcome
                            .first_failure
                            .get_or_insert_with(|| reason.to_owned());
                        let fresh = self.client(key)?;
                        if let Some(client) = self.clients.get_mut(key) {
                            *client = fresh;
                        }
                    }
                }
                waiting -= usize::from(!self.send_next(key, next)?);
            }
        }
        if waiting > 0 {
            outcome.failed += waiting as u64;
            outcome
                .first_failure
                .get_or_insert_with(|| "not answered in time".to_owned());
        }
        Ok(outcome)
    }

    /// Sends a client's next request; false when it has none.
    fn send_next(
        &mut self,
        key: usize,
        next: &mut dyn FnMut(usize, &mut Vec<u8>) -> Next,
    ) -> Result<bool, LoadError> {
        let Some(client) = self.clients.get_mut(key) else {
            return Ok(false);
        };
        client.out.clear();
        if next(key, &mut client.out) == Next::Stop {
            return Ok(false);
        }
        if client.reader.closes() || client.begin().is_err() {
            // Closed after an answer or while idle, as a server may do: not a failure.
            let mut fresh = self.client(key)?;
            if let Some(client) = self.clients.get_mut(key) {
                std::mem::swap(&mut fresh.out, &mut client.out);
                *client = fresh;
                // A failure of the new connection shows with its first event.
                let _ = client.begin();
            }
        }
        Ok(true)
    }
}

impl Client {
    /// Sends as much of a new request as the socket takes; the rest follows with its events.
    fn begin(&mut self) -> Result<(), &'static str> {
        self.out_sent = 0;
        self.content_len = 0;
        self.content.clear();
        self.waiting = true;
        self.sent_ns = clock::now_ns();
        self.write()
    }

    fn write(&mut self) -> Result<(), &'static str> {
        while self.out_sent < self.out.len() {
            match self
                .socket
                .write(self.out.get(self.out_sent..).unwrap_or_default())
            {
                Ok(len) => self.out_sent += len,
                Err(error) if is_not_yet(error.kind()) => return Ok(()),
                Err(_) => return Err("a request could not be sent"),
            }
        }
        Ok(())
    }

    /// Handles an event; true when the answer is complete.
    fn handle(&mut self, flags: EpollFlags, buf: &mut [u8]) -> Result<bool, &'static str> {
        self.write()?;
        if !flags.intersects(!EpollFlags::EPOLLOUT) {
            return Ok(false);
        }
        let closing =
            flags.intersects(EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
        let mut complete = false;
        loop {
            let len = match self.socket.read(buf) {
                Ok(0) if self.reader.ends_with_close() => return Ok(true),
                Ok(0) if complete => return Ok(true),
                Ok(0) => return Err("closed before the answer was complete"),
                Ok(len) => len,
                Err(error) if is_not_yet(error.kind()) => return Ok(complete),
                Err(_) => return Err("connection broken before the answer was complete"),
            };
            complete |= self.feed(buf.get(..len).unwrap_or_default())?;
            // A short read means drained, and later bytes are a new edge; an end is not.
            if len < buf.len() && !closing {
                return Ok(complete);
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<bool, &'static str> {
        let Self {
            reader,
            status,
            content_len,
            content: kept,
            ..
        } = self;
        let mut complete = false;
        let sink = &mut |part: Part<'_>| match part {
            Part::Head { status: code } => *status = code,
            Part::Content(content) => {
                *content_len += content.len() as u64;
                let room = CONTENT_KEPT_MAX
                    .saturating_sub(kept.len())
                    .min(content.len());
                kept.extend_from_slice(content.get(..room).unwrap_or_default());
            }
            Part::End => complete = true,
        };
        reader.feed(bytes, sink).map_err(|_| "malformed answer")?;
        Ok(complete)
    }

    fn report(&self, key: usize, answered: &mut dyn FnMut(usize, &Answer<'_>)) {
        let at_ns = clock::now_ns();
        let answer = Answer {
            status: self.status,
            took_ns: at_ns.saturating_sub(self.sent_ns),
            at_ns,
            content_len: self.content_len,
            content: &self.content,
        };
        answered(key, &answer);
    }
}

fn is_not_yet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
