//! `latency`: publish to receipt, one stream, on an otherwise idle server.
//!
//! One thread on a core of its own publishes and receives, spinning instead of waiting, so that the
//! time measured is the server's and not that of waking the client.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use crate::args::Count;
use crate::client::herd::{Channels, new_histogram};
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::http::{Part, Reader, get_request, post_request};
use crate::lab::{Lab, REQUEST_LEN};
use crate::ledger::{Tally, Track};
use crate::message::{self, Lines, Stamp};
use crate::publish::{self, Format};
use crate::report::Report;

/// One message may take this long, in milliseconds.
const ARRIVAL_MS: u64 = 5_000;

/// Messages before the measurement.
const WARM_UP: u32 = 20;

/// A connection that is read by trying again and again.
struct Spun {
    target: SocketAddrV4,
    socket: TcpStream,
    reader: Reader,
    buf: Vec<u8>,
}

impl Spun {
    fn connect(target: SocketAddrV4) -> Result<Self, LoadError> {
        let what = "preparing a connection";
        let socket =
            TcpStream::connect(target).map_err(|source| LoadError::Connect { target, source })?;
        socket.set_nodelay(true).map_err(LoadError::io(what))?;
        socket.set_nonblocking(true).map_err(LoadError::io(what))?;
        Ok(Self {
            target,
            socket,
            reader: Reader::new(),
            buf: vec![0; 65_536],
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        if self.reader.closes() {
            *self = Self::connect(self.target)?;
        }
        self.socket
            .write_all(bytes)
            .map_err(LoadError::io("sending a request"))
    }

    /// Reads what is there, if anything.
    fn look(&mut self, sink: &mut impl FnMut(Part<'_>)) -> Result<(), LoadError> {
        let what = "reading";
        match self.socket.read(&mut self.buf) {
            Ok(0) => Err(LoadError::Answer {
                what,
                answer: "the connection was closed".into(),
            }),
            Ok(len) => self
                .reader
                .feed(self.buf.get(..len).unwrap_or_default(), sink)
                .map_err(|error| LoadError::Answer {
                    what,
                    answer: error.to_string(),
                }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(LoadError::io(what)(error)),
        }
    }
}

/// The subscriber and the publisher in one.
struct Probe {
    stream: Spun,
    control: Spun,
    lines: Lines,
    track: Track,
    tally: Tally,
    size: usize,
}

/// How long one message took, as far as it arrived and was answered.
struct Times {
    receipt_ns: Option<u64>,
    answer_ns: Option<u64>,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let mut probe = Probe::open(lab)?;
    let items = u32::try_from(lab.args.count(Count::Items)).unwrap_or(u32::MAX - WARM_UP);
    let (mut receipts, mut answers) = (new_histogram(), new_histogram());
    let (cpu, mut sent) = (lab.server.cpu_ns()?, 0);
    while sent < items + WARM_UP && !lab.deadline.passed() {
        lab.say(|| format!("{sent} of {} messages", items + WARM_UP));
        let times = probe.exchange(sent)?;
        if sent >= WARM_UP {
            for (histogram, time) in [
                (&mut receipts, times.receipt_ns),
                (&mut answers, times.answer_ns),
            ] {
                time.into_iter()
                    .for_each(|ns| histogram.saturating_record(ns));
            }
        }
        sent += 1;
        clock::pause(Duration::from_millis(lab.args.count(Count::IntervalMs)));
    }
    probe.track.finish(sent, &mut probe.tally);
    let cpu = cpu
        .zip(lab.server.cpu_ns()?)
        .map(|(from, to)| (to - from) as f64);
    let settings = format!(
        "1 stream, {items} messages of {} bytes, {} ms apart",
        lab.args.len(Count::Size),
        lab.args.count(Count::IntervalMs),
    );
    let columns = ["receipt", "publish answer"].map(str::to_owned).to_vec();
    let mut report = Report::new(lab.args.scenario.name(), settings, columns);
    report.latency("from publishing", &[&receipts, &answers]);
    let each = cpu.map(|ns| ns / 1e3 / f64::from(sent));
    report.row(
        "cpu_us",
        "server CPU per message, idling included",
        "µs",
        [each],
    );
    report.tallies(&[&probe.tally]);
    Ok(report)
}

impl Probe {
    /// Connects and waits until the stream is held.
    fn open(lab: &Lab<'_>) -> Result<Self, LoadError> {
        let mut stream = Spun::connect(lab.server.client)?;
        let target = format!("/stream?channel={}", Channels::Shared.name(0));
        stream.send(&get_request(&target, REQUEST_LEN))?;
        let (mut held, deadline) = (false, Deadline::after_ms(ARRIVAL_MS));
        while !held && !deadline.passed() {
            stream.look(&mut |part| held |= matches!(part, Part::Content(_)))?;
        }
        if !held {
            let limit_s = ARRIVAL_MS / 1_000;
            return Err(LoadError::TooSlow {
                what: "opening the stream",
                limit_s,
            });
        }
        Ok(Self {
            stream,
            control: Spun::connect(lab.server.control)?,
            lines: Lines::default(),
            track: Track::from(0),
            tally: Tally::default(),
            size: lab.args.len(Count::Size),
        })
    }

    /// Publishes one message and spins until message and answer are both there.
    fn exchange(&mut self, seq: u32) -> Result<Times, LoadError> {
        let (mut body, mut request) = (Vec::new(), Vec::new());
        let stamp = Stamp {
            seq,
            sent_ns: clock::now_ns(),
        };
        publish::body(
            &mut body,
            &Channels::Shared.name(0),
            Format::Stream,
            [stamp],
            self.size,
        );
        post_request(&mut request, "/publish", &body);
        let at = clock::now_ns();
        self.control.send(&request)?;
        let mut times = Times {
            receipt_ns: None,
            answer_ns: None,
        };
        let (mut status, deadline) = (200, Deadline::after_ms(ARRIVAL_MS));
        while (times.receipt_ns.is_none() || times.answer_ns.is_none()) && !deadline.passed() {
            self.receive(at, &mut times)?;
            self.control.look(&mut |part| match part {
                Part::Head { status: code } => status = code,
                Part::Content(_) => {}
                Part::End => times.answer_ns = Some(clock::now_ns() - at),
            })?;
        }
        if status != 200 {
            let answer = format!("status {status}");
            return Err(LoadError::Answer {
                what: "publishing",
                answer,
            });
        }
        Ok(times)
    }

    /// Looks for messages on the stream.
    fn receive(&mut self, at: u64, times: &mut Times) -> Result<(), LoadError> {
        let Self {
            stream,
            lines,
            track,
            tally,
            ..
        } = self;
        stream.look(&mut |part| {
            let Part::Content(content) = part else {
                return;
            };
            lines.feed(content, |line| match message::parse(line) {
                Some(stamp) => {
                    times.receipt_ns.get_or_insert_with(|| clock::now_ns() - at);
                    track.take(stamp.seq, tally);
                }
                None => tally.foreign += 1,
            });
        })
    }
}
