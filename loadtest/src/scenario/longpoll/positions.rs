//! `longpoll --prev-id`: every client gets every message once, in order, however it is timed.
//!
//! Message n has the id n and the `prev-id` n-1. A client says in its URL which message it has last;
//! the backend holds its poll at that place, or answers at once with what it has missed. So the
//! publisher need not wait for all: it tells the backend of a message, publishes it, and goes on when
//! enough clients are held again, or when enough time has passed.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use hdrhistogram::Histogram;

use super::{LAST_ANSWER_MS, LOOK};
use crate::args::Count;
use crate::client::control::Control;
use crate::client::herd::new_histogram;
use crate::client::requester::{Answer, Next, Outcome, Requester};
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::http::get_request;
use crate::lab::{Lab, REQUEST_LEN};
use crate::ledger::{Tally, Track};
use crate::message::{self, Stamp};
use crate::publish;
use crate::report::Report;

/// When no more polls come back for so long, the next message is published all the same, in
/// milliseconds: those that are late get theirs from the backend.
const STALL_MS: u64 = 20;

/// The first polls must be held within this time, in milliseconds.
const FIRST_HOLD_MS: u64 = 10_000;

/// The channel of all polls.
const CHANNEL: &str = "all";

/// What publisher and clients share.
#[derive(Default)]
struct Shared {
    answers: AtomicU64,
    messages: AtomicU64,
    /// The number of the last message of the run; 0 while it is not known.
    last: AtomicU32,
    ended: AtomicBool,
}

/// What the clients saw.
struct Seen {
    outcome: Outcome,
    tally: Tally,
    latency: Histogram<u64>,
    timeouts: u64,
    several: u64,
}

/// What the publisher did.
#[derive(Default)]
struct Published {
    messages: u32,
    late: u64,
    answers: u64,
    deliveries: u64,
    wall_ns: u64,
    cpu_ns: Option<u64>,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(super) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let clients = lab.args.len(Count::Clients);
    let limit_ms = lab.args.count(Count::Seconds) * 1_000 + FIRST_HOLD_MS + LAST_ANSWER_MS;
    let shared = Shared::default();
    let (seen, published) = std::thread::scope(|scope| {
        let (target, shared) = (lab.server.client, &shared);
        let last_look = Deadline::after_ms(limit_ms);
        let thread = scope.spawn(move || {
            let seen = poll(target, clients, shared, last_look);
            shared.ended.store(true, Ordering::Release);
            seen
        });
        let published = publish(lab, clients as u64, shared);
        if published.is_err() {
            // Whatever comes next is the last message that clients wait for.
            shared.last.store(1, Ordering::Release);
        }
        let seen = thread.join().map_err(|_| LoadError::ThreadGone)?;
        Ok::<_, LoadError>((seen?, published?))
    })?;
    Ok(report(lab, seen, &published))
}

/// The clients: poll from where they are until they have the last message.
fn poll(
    target: SocketAddrV4,
    clients: usize,
    shared: &Shared,
    deadline: Deadline,
) -> Result<Seen, LoadError> {
    let mut requester = Requester::connect(target, clients)?;
    let places = std::cell::RefCell::new(vec![Place::start(); clients]);
    let mut seen = Seen {
        outcome: Outcome::default(),
        tally: Tally::default(),
        latency: new_histogram(),
        timeouts: 0,
        several: 0,
    };
    let mut next = |key: usize, out: &mut Vec<u8>| {
        let newest = places.borrow().get(key).map_or(0, |place| place.newest);
        let last = shared.last.load(Ordering::Acquire);
        if last > 0 && newest >= last {
            return Next::Stop;
        }
        let target = format!("/items?channel={CHANNEL}&last={newest}");
        out.extend_from_slice(&get_request(&target, REQUEST_LEN));
        Next::Send
    };
    seen.outcome = requester.run(deadline, &mut next, &mut |key, answer| {
        if let Some(place) = places.borrow_mut().get_mut(key) {
            let messages = place.take(answer, &mut seen.tally, &mut seen.latency);
            seen.several += u64::from(messages > 1);
            seen.timeouts += u64::from(answer.content == b"timeout\n");
            shared.messages.fetch_add(messages, Ordering::Release);
        }
        shared.answers.fetch_add(1, Ordering::Release);
    })?;
    let last = shared.last.load(Ordering::Acquire);
    for place in places.borrow_mut().iter_mut() {
        place.track.finish(last + 1, &mut seen.tally);
    }
    Ok(seen)
}

/// How far a client is.
#[derive(Debug, Clone)]
struct Place {
    newest: u32,
    track: Track,
}

impl Place {
    /// A client that has nothing; the first message is number 1.
    fn start() -> Self {
        Self {
            newest: 0,
            track: Track::from(1),
        }
    }

    /// Takes the messages of an answer; returns how many there were.
    fn take(
        &mut self,
        answer: &Answer<'_>,
        tally: &mut Tally,
        latency: &mut Histogram<u64>,
    ) -> u64 {
        let mut messages = 0;
        let content = answer.content;
        for line in content
            .strip_suffix(b"\n")
            .unwrap_or(content)
            .split(|&b| b == b'\n')
        {
            match message::parse(line) {
                Some(stamp) if answer.status == 200 => {
                    messages += 1;
                    latency.saturating_record(answer.at_ns.saturating_sub(stamp.sent_ns));
                    self.track.take(stamp.seq, tally);
                    self.newest = self.newest.max(stamp.seq);
                }
                // Counted apart: a poll that nothing answered.
                None if line == b"timeout" => {}
                Some(_) | None => tally.foreign += 1,
            }
        }
        messages
    }
}

/// The publisher: the next message when enough clients are held, and no sooner than the interval.
fn publish(lab: &Lab<'_>, clients: u64, shared: &Shared) -> Result<Published, LoadError> {
    let mut control = Control::connect(lab.server.control)?;
    let mut backend = Control::connect(lab.backend)?;
    let percent = lab.args.count(Count::PercentBack);
    let (enough, interval_ms) = (
        (clients * percent).div_ceil(100),
        lab.args.count(Count::IntervalMs),
    );
    let first = lab.deadline.or_after_ms(FIRST_HOLD_MS);
    wait_held(&mut backend, clients, first, FIRST_HOLD_MS)?;
    let mut published = Published::default();
    let end_ms = lab.args.count(Count::Seconds) * 1_000;
    let end = lab.deadline.or_after_ms(end_ms);
    let (cpu, at) = (lab.server.cpu_ns()?, clock::now_ns());
    while !end.passed() && !shared.ended.load(Ordering::Acquire) {
        let pause = Deadline::after_ms(interval_ms);
        send(lab, &mut control, &mut backend, &mut published)?;
        if !wait_held(&mut backend, enough, end, STALL_MS)? {
            published.late += 1;
        }
        while !pause.passed() {
            std::thread::park_timeout(LOOK);
        }
        lab.say(|| format!("{} answers", shared.answers.load(Ordering::Acquire)));
    }
    published.answers = shared.answers.load(Ordering::Acquire);
    published.deliveries = shared.messages.load(Ordering::Acquire);
    published.wall_ns = clock::now_ns() - at;
    published.cpu_ns = cpu.zip(lab.server.cpu_ns()?).map(|(from, to)| to - from);
    // One more ends every poll: those held get it pushed, those between two polls fetch it.
    shared.last.store(published.messages + 1, Ordering::Release);
    send(lab, &mut control, &mut backend, &mut published)?;
    Ok(published)
}

/// Tells the backend of the next message, as an author writes it down before it is published, and
/// publishes it.
fn send(
    lab: &Lab<'_>,
    control: &mut Control,
    backend: &mut Control,
    published: &mut Published,
) -> Result<(), LoadError> {
    published.messages += 1;
    let (seq, sent_ns) = (published.messages, clock::now_ns());
    let size = lab.args.len(Count::Size);
    let (status, content) =
        backend.get(&format!("/put?seq={seq}&sent_ns={sent_ns}&size={size}"))?;
    if status != 200 {
        return Err(LoadError::Answer {
            what: "telling the backend of a message",
            answer: String::from_utf8_lossy(&content).into_owned(),
        });
    }
    let mut body = Vec::new();
    publish::chained_body(&mut body, CHANNEL, Stamp { seq, sent_ns }, size);
    control.publish(&body)
}

/// Waits until the backend has held so many polls since the last message; false when time is up,
/// or when for `stall_ms` no more come.
fn wait_held(
    backend: &mut Control,
    enough: u64,
    deadline: Deadline,
    stall_ms: u64,
) -> Result<bool, LoadError> {
    let (mut before, mut patience) = (0, deadline.or_after_ms(stall_ms));
    loop {
        let held = super::stat(backend, "held")?;
        if held >= enough || patience.passed() {
            return Ok(held >= enough);
        }
        if held > before {
            (before, patience) = (held, deadline.or_after_ms(stall_ms));
        }
        std::thread::park_timeout(LOOK);
    }
}

fn report(lab: &Lab<'_>, seen: Seen, published: &Published) -> Report {
    let args = lab.args;
    let settings = format!(
        "{} clients with positions poll one channel for {} s, messages of {} bytes, the next when \
         {} % are held again and {} ms have passed",
        args.len(Count::Clients),
        args.len(Count::Seconds),
        args.len(Count::Size),
        args.count(Count::PercentBack),
        args.count(Count::IntervalMs),
    );
    let mut report = Report::new(args.scenario.name(), settings, vec!["server".to_owned()]);
    let seconds = clock::seconds(published.wall_ns.max(1));
    let cpu = published
        .cpu_ns
        .map(|ns| ns as f64 / 1e3 / published.answers.max(1) as f64);
    let rate = published.answers as f64 / seconds;
    report.row("per_s", "answers per second", "1/s", [Some(rate)]);
    let rate = published.deliveries as f64 / seconds;
    report.row("messages_per_s", "  messages in them", "1/s", [Some(rate)]);
    report.row("cpu_us", "server CPU per poll and answer", "µs", [cpu]);
    report.latency("publish to answer", &[&seen.latency]);
    let rows = [
        (
            "messages",
            "messages published",
            u64::from(published.messages),
        ),
        ("answered", "polls answered", seen.outcome.answered),
        ("several", "  with several messages", seen.several),
        (
            "late",
            "messages followed before enough were held",
            published.late,
        ),
        ("timeouts", "polls timed out", seen.timeouts),
        ("failed", "polls failed", seen.outcome.failed),
    ];
    for (key, label, value) in rows {
        report.row(key, label, "", [Some(value as f64)]);
    }
    report.tallies(&[&seen.tally]);
    let bad = seen.outcome.failed + seen.timeouts;
    if bad > 0 {
        let reason = seen.outcome.first_failure.as_deref();
        let reason = reason.unwrap_or("timed out").to_owned();
        report.faults.push(format!("{bad} polls lost ({reason})"));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_of(content: &[u8]) -> Answer<'_> {
        Answer {
            status: 200,
            took_ns: 1,
            at_ns: 100,
            content_len: content.len() as u64,
            content,
        }
    }

    fn lines_of(seqs: &[u32]) -> Vec<u8> {
        let mut out = Vec::new();
        for &seq in seqs {
            message::write(&mut out, Stamp { seq, sent_ns: 50 }, 40);
        }
        out
    }

    /// What a client makes of answers with these messages, when `last` is the run's last.
    fn tally_of(answers: &[&[u32]], last: u32) -> (Tally, u32) {
        let (mut place, mut tally) = (Place::start(), Tally::default());
        for seqs in answers {
            let content = lines_of(seqs);
            let count = place.take(&answer_of(&content), &mut tally, &mut new_histogram());
            assert_eq!(count, seqs.len() as u64);
        }
        place.track.finish(last + 1, &mut tally);
        (tally, place.newest)
    }

    #[test]
    fn messages_one_by_one_or_together_are_clean_when_all_came_in_order() {
        let (tally, newest) = tally_of(&[&[1], &[2, 3, 4], &[5]], 5);
        assert!(tally.is_clean(), "{tally:?}");
        assert_eq!((tally.received, newest), (5, 5));
    }

    #[test]
    fn a_message_passed_over_is_lost_and_one_come_again_is_doubled() {
        let (tally, newest) = tally_of(&[&[1], &[3], &[3], &[4]], 6);
        assert_eq!((tally.lost, tally.doubled, newest), (3, 1, 4));
    }

    #[test]
    fn an_answer_that_is_no_message_is_foreign_and_moves_nothing() {
        let (mut place, mut tally) = (Place::start(), Tally::default());
        let mut take =
            |content: &[u8]| place.take(&answer_of(content), &mut tally, &mut new_histogram());
        assert_eq!(
            (take(b"nonsense\n"), take(b""), take(b"timeout\n")),
            (0, 0, 0)
        );
        assert_eq!((tally.foreign, place.newest), (2, 0));
    }

    #[test]
    fn clients_that_are_behind_get_all_from_the_backend_and_stop_at_the_last() {
        let listener = crate::net::listen_on(0).unwrap();
        let target = crate::server::local(crate::net::port_of(&listener).unwrap());
        std::thread::spawn(move || crate::backend::serve(&listener));
        let mut backend = Control::connect(target).unwrap();
        // More than fit one answer.
        for seq in 1..=30 {
            let (status, _) = backend
                .get(&format!("/put?seq={seq}&sent_ns=1&size=100"))
                .unwrap();
            assert_eq!(status, 200);
        }
        let shared = Shared::default();
        shared.last.store(30, Ordering::Release);
        let seen = poll(target, 4, &shared, Deadline::after_ms(20_000)).unwrap();
        assert!(seen.tally.is_clean(), "{:?}", seen.tally);
        assert_eq!((seen.tally.received, seen.outcome.answered), (120, 12));
        assert_eq!((seen.several, seen.timeouts), (12, 0));
    }
}
