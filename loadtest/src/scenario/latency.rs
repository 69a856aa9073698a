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

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let (mut stream, mut control) = (
        Spun::connect(lab.server.client)?,
        Spun::connect(lab.server.control)?,
    );
    let target = format!("/stream?channel={}", Channels::Shared.name(0));
    stream.send(&get_request(&target, REQUEST_LEN))?;
    let mut held = false;
    let deadline = Deadline::after_ms(ARRIVAL_MS);
    while !held && !deadline.passed() {
        stream.look(&mut |part| held |= matches!(part, Part::Content(_)))?;
    }
    if !held {
        return Err(LoadError::TooSlow {
            what: "opening the stream",
            limit_s: ARRIVAL_MS / 1_000,
        });
    }
    let items = u32::try_from(lab.args.count(Count::Items)).unwrap_or(u32::MAX);
    let (mut receipts, mut answers, mut tally) =
        (new_histogram(), new_histogram(), Tally::default());
    let (mut track, mut lines) = (Track::from(0), Lines::default());
    let cpu = lab.server.cpu_ns()?;
    for seq in 0..items + WARM_UP {
        lab.say(|| format!("{seq} of {items} messages"));
        let before = tally.received;
        let one = exchange(
            lab,
            seq,
            &mut stream,
            &mut control,
            &mut |line| match message::parse(line) {
                Some(stamp) => track.take(stamp.seq, &mut tally),
                None => tally.foreign += 1,
            },
            &mut lines,
        )?;
        if seq >= WARM_UP && tally.received > before {
            receipts.saturating_record(one.receipt_ns);
            answers.saturating_record(one.answer_ns);
        }
        if lab.deadline.passed() {
            break;
        }
        clock::pause(Duration::from_millis(lab.args.count(Count::IntervalMs)));
    }
    track.finish(items + WARM_UP, &mut tally);
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
    let each = cpu.map(|ns| ns / 1e3 / f64::from(items + WARM_UP));
    report.row(
        "cpu_us",
        "server CPU per message, idling included",
        "µs",
        [each],
    );
    report.tallies(&[&tally]);
    Ok(report)
}

/// How long one message took.
struct Times {
    receipt_ns: u64,
    answer_ns: u64,
}

/// Publishes one message and spins until message and answer are both there.
fn exchange(
    lab: &Lab<'_>,
    seq: u32,
    stream: &mut Spun,
    control: &mut Spun,
    each: &mut impl FnMut(&[u8]),
    lines: &mut Lines,
) -> Result<Times, LoadError> {
    let (mut body, mut request) = (Vec::new(), Vec::new());
    let sent_ns = clock::now_ns();
    let (channel, size) = (Channels::Shared.name(0), lab.args.len(Count::Size));
    publish::body(
        &mut body,
        &channel,
        Format::Stream,
        [Stamp { seq, sent_ns }],
        size,
    );
    post_request(&mut request, "/publish", &body);
    let at = clock::now_ns();
    control.send(&request)?;
    let (mut receipt_ns, mut answer_ns, mut status) = (None, None, 200);
    let deadline = Deadline::after_ms(ARRIVAL_MS);
    while (receipt_ns.is_none() || answer_ns.is_none()) && !deadline.passed() {
        stream.look(&mut |part| {
            if let Part::Content(content) = part {
                lines.feed(content, |line| {
                    receipt_ns.get_or_insert_with(|| clock::now_ns() - at);
                    each(line);
                });
            }
        })?;
        control.look(&mut |part| match part {
            Part::Head { status: code } => status = code,
            Part::Content(_) => {}
            Part::End => answer_ns = Some(clock::now_ns() - at),
        })?;
    }
    if status != 200 {
        let answer = format!("status {status}");
        return Err(LoadError::Answer {
            what: "publishing",
            answer,
        });
    }
    let (receipt_ns, answer_ns) = (
        receipt_ns.unwrap_or(u64::MAX),
        answer_ns.unwrap_or(u64::MAX),
    );
    Ok(Times {
        receipt_ns,
        answer_ns,
    })
}
