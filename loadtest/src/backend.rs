//! The fake backend: answers by path, as cheaply as can be, in a process of its own.
//!
//! - `/stream?channel=X`: holds a stream on channel X, after a line `open`;
//! - `/filtered?channel=X&filter=F&user=U`: the same with a filter, for a client of that name;
//! - `/poll?channel=X`: holds a long-poll on X for at most 55 s;
//! - `/items?channel=X&last=N`: holds a long-poll that has everything up to N, or answers it with
//!   what it missed; `/put?seq=N&sent_ns=T&size=S` tells of a new message;
//! - `/page?channel=X`: a long-poll whose coming again is watched: `/watch?answer=0|1&delay_ms=N`
//!   begins, `/watched` tells what was seen;
//! - `/plain/N`: N bytes, no hold;
//! - `/stats`: how many of each were answered, as JSON.

mod desk;
mod shelf;
mod watch;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::net::TcpStream;

use memchr::memmem;
use nix::sys::epoll::EpollFlags;

use self::desk::{Desk, Reply};
use crate::child;
use crate::clock;
use crate::error::LoadError;
use crate::net::{self, Readiness};

/// A request head must fit, in bytes.
const HEAD_LEN_MAX: usize = 65_536;

const LISTENER_KEY: usize = usize::MAX;
const BUF_LEN: usize = 65_536;

/// Filling for plain bodies, written piece by piece.
static FILLING: [u8; BUF_LEN] = [b'x'; BUF_LEN];

/// With nothing to do, the loop looks around so often, in milliseconds.
const IDLE_MS: u16 = 60_000;

/// A connection from the server.
struct Conn {
    socket: TcpStream,
    input: Vec<u8>,
    out: Vec<u8>,
    filling_left: usize,
    close: bool,
    serial: u64,
    /// Its answer comes later; until then nothing more is read.
    waits: bool,
}

/// An answer that is due later. All take the same time, so the first to come is the first due.
struct Due {
    at_ns: u64,
    key: usize,
    serial: u64,
    channel: String,
}

/// The backend at work.
struct Backend {
    readiness: Readiness,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    serial: u64,
    desk: Desk,
    due: VecDeque<Due>,
    buf: Vec<u8>,
}

/// Serves until the parent ends; a hidden subcommand.
///
/// # Errors
/// [`LoadError::Io`] when the port is taken or the kernel refuses something.
pub(crate) fn run(port: u16) -> Result<(), LoadError> {
    let listener = net::listen_on(port)?;
    child::announce(&[net::port_of(&listener)?])?;
    serve(&listener)
}

/// Serves on a listener until the process ends.
///
/// # Errors
/// [`LoadError::Io`] when the kernel refuses something.
pub(crate) fn serve(listener: &TcpListener) -> Result<(), LoadError> {
    let readiness = Readiness::new()?;
    readiness.add(listener, EpollFlags::EPOLLIN, LISTENER_KEY)?;
    let mut backend = Backend {
        readiness,
        conns: Vec::new(),
        free: Vec::new(),
        serial: 0,
        desk: Desk::default(),
        due: VecDeque::new(),
        buf: vec![0; BUF_LEN],
    };
    let mut ready = Vec::new();
    loop {
        backend.readiness.wait(backend.patience_ms(), &mut ready)?;
        for &(_, key) in &ready {
            if key == LISTENER_KEY {
                backend.accept(listener)?;
            } else {
                backend.serve(key);
            }
        }
        backend.answer_due();
    }
}

impl Backend {
    fn accept(&mut self, listener: &TcpListener) -> Result<(), LoadError> {
        // Any failure, out of descriptors included: the listener stays readable and is tried again.
        while let Ok((socket, _)) = listener.accept() {
            socket
                .set_nonblocking(true)
                .map_err(LoadError::io("accepting"))?;
            let key = self.free.pop().unwrap_or(self.conns.len());
            self.readiness.add(&socket, net::all_events(), key)?;
            self.serial += 1;
            let conn = Conn {
                socket,
                input: Vec::new(),
                out: Vec::new(),
                filling_left: 0,
                close: false,
                serial: self.serial,
                waits: false,
            };
            match self.conns.get_mut(key) {
                Some(place) => *place = Some(conn),
                None => self.conns.push(Some(conn)),
            }
        }
        Ok(())
    }

    /// Does what can be done now on a connection.
    fn serve(&mut self, key: usize) {
        let Some(place) = self.conns.get_mut(key) else {
            return;
        };
        let Some(conn) = place else { return };
        let (serial, desk, due) = (conn.serial, &mut self.desk, &mut self.due);
        let mut later = |desk: &mut Desk, channel: String| {
            let now_ns = clock::now_ns();
            desk.watch.arrived(now_ns);
            let at_ns = now_ns + desk.watch.delay_ns;
            due.push_back(Due {
                at_ns,
                key,
                serial,
                channel,
            });
        };
        if !conn.serve(&mut self.buf, desk, &mut later) {
            *place = None;
            self.free.push(key);
        }
    }

    /// How long nothing will be due, in milliseconds.
    fn patience_ms(&self) -> u16 {
        let Some(due) = self.due.front() else {
            return IDLE_MS;
        };
        let left_ns = due.at_ns.saturating_sub(clock::now_ns());
        u16::try_from(left_ns.div_ceil(1_000_000)).unwrap_or(IDLE_MS)
    }

    /// Answers what is due, after all that has come at the same time was taken.
    fn answer_due(&mut self) {
        let now_ns = clock::now_ns();
        while let Some(due) = self.due.pop_front_if(|due| due.at_ns <= now_ns) {
            self.desk.watch.answered(now_ns);
            let place = self.conns.get_mut(due.key).and_then(Option::as_mut);
            if let Some(conn) = place.filter(|conn| conn.serial == due.serial) {
                self.desk.page(&due.channel, &mut conn.out);
                conn.waits = false;
                self.serve(due.key);
            }
        }
    }
}

impl Conn {
    /// Does what can be done now; false when the connection is over. `later` is told of an answer
    /// that is to come later.
    fn serve(
        &mut self,
        buf: &mut [u8],
        desk: &mut Desk,
        later: &mut dyn FnMut(&mut Desk, String),
    ) -> bool {
        loop {
            if !self.write() {
                return false;
            }
            if self.waits || !self.out.is_empty() || self.filling_left > 0 {
                return true;
            }
            if self.close {
                return false;
            }
            if self.answer(desk, later) {
                continue;
            }
            match self.socket.read(buf) {
                Ok(0) => return false,
                Ok(len) => self
                    .input
                    .extend_from_slice(buf.get(..len).unwrap_or_default()),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            if self.input.len() > HEAD_LEN_MAX {
                return false;
            }
        }
    }

    /// Writes what is due; false when the connection is broken.
    fn write(&mut self) -> bool {
        while !self.out.is_empty() || self.filling_left > 0 {
            let (piece, filling) = if self.out.is_empty() {
                (
                    FILLING
                        .get(..self.filling_left.min(BUF_LEN))
                        .unwrap_or(&FILLING),
                    true,
                )
            } else {
                (self.out.as_slice(), false)
            };
            match self.socket.write(piece) {
                Ok(len) if filling => self.filling_left -= len,
                Ok(len) if len == self.out.len() => self.out.clear(),
                Ok(len) => drop(self.out.drain(..len)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Answers the next request of the input; false when none is complete.
    fn answer(&mut self, desk: &mut Desk, later: &mut dyn FnMut(&mut Desk, String)) -> bool {
        let Some(end) = memmem::find(&self.input, b"\r\n\r\n") else {
            return false;
        };
        let head = self.input.get(..end).unwrap_or_default();
        self.close = memmem::find(head, b"onnection: close").is_some();
        let mut words = head.split(|&byte| byte == b' ');
        let target = words.nth(1).and_then(|word| std::str::from_utf8(word).ok());
        match desk.respond(target.unwrap_or_default(), &mut self.out) {
            Reply::Now { filling } => self.filling_left = filling,
            Reply::Later(channel) => {
                self.waits = true;
                later(desk, channel);
            }
        }
        self.input.drain(..end + 4);
        true
    }
}
