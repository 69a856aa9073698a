//! One held stream: its socket and how far it has come. Kept small: there may be 100,000.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::http::{Part, Reader, WireError};
use crate::ledger::{Tally, Track};
use crate::message::{self, Lines};

/// What the backend of a load test sends before a hold.
pub(crate) const GREETING: &[u8] = b"open";

/// Where a stream is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The connection is being made.
    Connecting,
    /// The request is sent, the response head not there yet.
    Asked,
    /// The head was fine: held.
    Held,
    /// A poll that has its answer.
    Answered,
    /// Over, or never came to be.
    Ended,
}

/// A client that holds one stream.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    pub(super) stage: Stage,
    pub(super) track: Track,
    reader: Reader,
    lines: Lines,
}

/// What a reading is done with.
pub(super) struct Reading<'r> {
    /// Room for what is read.
    pub(super) buf: &'r mut [u8],
    /// Whether the peer has announced its end.
    pub(super) closing: bool,
    /// Whether the response is expected to end.
    pub(super) is_poll: bool,
    /// The client's number and the size that every message must have.
    pub(super) expectation: Option<(usize, usize)>,
    /// Where messages are counted.
    pub(super) tally: &'r mut Tally,
}

/// What one reading of a stream brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The connection lives.
    Alive,
    /// It ended or broke.
    Gone(&'static str),
}

impl Stream {
    /// A stream whose socket is connecting, and whose first message will be number `first`.
    pub(super) fn new(socket: TcpStream, first: u32) -> Self {
        Self {
            socket,
            stage: Stage::Connecting,
            track: Track::from(first),
            reader: Reader::new(),
            lines: Lines::default(),
        }
    }

    /// Sends the request once the socket is connected.
    pub(super) fn ask(&mut self, request: &[u8]) -> Outcome {
        match self.socket.write(request) {
            Ok(len) if len == request.len() => {
                self.stage = Stage::Asked;
                Outcome::Alive
            }
            Ok(_) => Outcome::Gone("the request did not fit the socket buffer"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Outcome::Alive,
            Err(error) => Outcome::Gone(name_of(error.kind())),
        }
    }

    /// Reads what is there, and gives the publish time of each message to `receipt`.
    pub(super) fn read(
        &mut self,
        reading: &mut Reading<'_>,
        mut receipt: impl FnMut(u64),
    ) -> Outcome {
        loop {
            let len = match self.socket.read(reading.buf) {
                Ok(0) => return Outcome::Gone("closed by the server"),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Outcome::Alive,
                Err(error) => return Outcome::Gone(name_of(error.kind())),
            };
            let expected = reading.expectation;
            let bytes = reading.buf.get(..len).unwrap_or_default();
            match self.feed(bytes, expected, reading.tally, &mut receipt) {
                Ok(_) if self.stage == Stage::Ended => {
                    return Outcome::Gone("the status was not 200");
                }
                Ok(true) if reading.is_poll => self.stage = Stage::Answered,
                Ok(true) => return Outcome::Gone("the response ended"),
                Ok(false) => {}
                Err(_) => return Outcome::Gone("the response was malformed"),
            }
            // A short read means drained, and later bytes are a new edge; an end is not.
            if len < reading.buf.len() && !reading.closing {
                return Outcome::Alive;
            }
        }
    }

    /// Reads the bytes of the response; true when it is complete.
    fn feed(
        &mut self,
        bytes: &[u8],
        expected: Option<(usize, usize)>,
        tally: &mut Tally,
        receipt: &mut impl FnMut(u64),
    ) -> Result<bool, WireError> {
        let Self {
            stage,
            track,
            reader,
            lines,
            ..
        } = self;
        let mut complete = false;
        let sink = &mut |part: Part<'_>| match part {
            Part::Head { status: 200 } => *stage = Stage::Held,
            Part::Head { .. } => *stage = Stage::Ended,
            // The text of a refusal is no message.
            Part::Content(_) if *stage == Stage::Ended => {}
            Part::Content(content) => lines.feed(content, |line| match message::parse(line) {
                Some(_) if !fits(line, expected) => tally.foreign += 1,
                Some(stamp) => {
                    track.take(stamp.seq, tally);
                    receipt(stamp.sent_ns);
                }
                None if line == GREETING => {}
                None => tally.foreign += 1,
            }),
            Part::End => complete = true,
        };
        reader.feed(bytes, sink)?;
        Ok(complete)
    }
}

/// Whether a message is what this client must get.
fn fits(line: &[u8], expected: Option<(usize, usize)>) -> bool {
    expected.is_none_or(|(index, size)| message::is_for(line, index, size))
}

impl std::os::fd::AsFd for Stream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A fixed text for the usual failures, so that counting them allocates nothing.
fn name_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset => "connection reset",
        ErrorKind::TimedOut => "connection timed out",
        ErrorKind::BrokenPipe => "broken pipe",
        _ => "socket error",
    }
}
