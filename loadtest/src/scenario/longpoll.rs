//! `longpoll`: every client polls, is answered by the next message, and polls again.
//!
//! A message that is published while a client is between two polls passes it by: that is how
//! long-polling without `prev-id` is. So a message is published when the backend has
//! answered every client's poll, and what a poll can lose is its answer. With `--prev-id` it is
//! otherwise: see `positions`.

mod positions;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::args::{Count, Switch};
use crate::client::control::Control;
use crate::client::herd::new_histogram;
use crate::client::requester::{Next, Outcome, Requester};
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::http::get_request;
use crate::lab::{Lab, REQUEST_LEN};
use crate::message::{self, Stamp};
use crate::publish::{self, Format};
use crate::report::Report;

/// When no more answers arrive for so long, the next message goes to those passed by, in
/// milliseconds.
const STALL_MS: u64 = 20;

/// The publisher looks at the counts so often.
const LOOK: Duration = Duration::from_micros(200);

/// The clients' last polls must be answered within this time, in milliseconds.
const LAST_ANSWER_MS: u64 = 15_000;

/// What publisher and clients share.
#[derive(Default)]
struct Shared {
    answered: AtomicU64,
    stop: AtomicBool,
    ended: AtomicBool,
}

/// What the clients saw.
struct Seen {
    outcome: Outcome,
    latency: Histogram<u64>,
    doubled: u64,
    timeouts: u64,
    wrong: u64,
}

/// What the publisher did.
#[derive(Default)]
struct Published {
    messages: u32,
    incomplete: u64,
    answers: u64,
    wall_ns: u64,
    cpu_ns: Option<u64>,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let clients = lab.args.len(Count::Clients);
    lab.check_single_table(clients)?;
    if lab.args.has(Switch::PrevId) {
        return positions::run(lab);
    }
    let shared = Shared::default();
    let seconds = lab.args.count(Count::Seconds);
    let (seen, published) = std::thread::scope(|scope| {
        let last = Deadline::after_ms(seconds * 1_000 + LAST_ANSWER_MS);
        let (target, shared) = (lab.server.client, &shared);
        let thread = scope.spawn(move || {
            let seen = poll(target, clients, shared, last);
            shared.ended.store(true, Ordering::Release);
            seen
        });
        let published = publish(lab, clients as u64, shared);
        shared.stop.store(true, Ordering::Release);
        let finished = published.and_then(|published| release(lab, published, shared));
        let seen = thread.join().map_err(|_| LoadError::ThreadGone)?;
        Ok::<_, LoadError>((seen?, finished?))
    })?;
    Ok(report(lab, &seen, &published))
}

/// The clients: poll until told to stop.
fn poll(
    target: std::net::SocketAddrV4,
    clients: usize,
    shared: &Shared,
    last: Deadline,
) -> Result<Seen, LoadError> {
    let request = get_request("/poll?channel=all", REQUEST_LEN);
    let mut requester = Requester::connect(target, clients)?;
    let mut latest: Vec<Option<u32>> = vec![None; clients];
    let (mut latency, mut doubled, mut timeouts, mut wrong) = (new_histogram(), 0, 0, 0);
    let mut next = |_: usize, out: &mut Vec<u8>| {
        if shared.stop.load(Ordering::Acquire) {
            return Next::Stop;
        }
        out.extend_from_slice(&request);
        Next::Send
    };
    let outcome = requester.run(last, &mut next, &mut |key, answer| {
        let line = answer.content.strip_suffix(b"\n").unwrap_or(answer.content);
        match message::parse(line) {
            Some(stamp) if answer.status == 200 => {
                latency.saturating_record(answer.at_ns.saturating_sub(stamp.sent_ns));
                if let Some(before) = latest.get_mut(key) {
                    doubled += u64::from(before.is_some_and(|before| stamp.seq <= before));
                    *before = Some(stamp.seq);
                }
            }
            _ if line == b"timeout" => timeouts += 1,
            _ => wrong += 1,
        }
        shared.answered.fetch_add(1, Ordering::Release);
    })?;
    Ok(Seen {
        outcome,
        latency,
        doubled,
        timeouts,
        wrong,
    })
}

/// The publisher: whenever all polls are held, one message.
fn publish(lab: &Lab<'_>, clients: u64, shared: &Shared) -> Result<Published, LoadError> {
    let (mut control, mut backend) = (
        Control::connect(lab.server.control)?,
        Control::connect(lab.backend)?,
    );
    let mut published = Published::default();
    let answered = || shared.answered.load(Ordering::Acquire);
    let end = lab
        .deadline
        .or_after_ms(lab.args.count(Count::Seconds) * 1_000);
    let (cpu, at) = (lab.server.cpu_ns()?, clock::now_ns());
    while !end.passed() && !shared.ended.load(Ordering::Acquire) {
        // A poll that the backend answered is held an instant later, or gets the next message.
        if polls(&mut backend)? < answered() + clients {
            std::thread::park_timeout(LOOK);
            continue;
        }
        let goal = answered() + clients;
        send(lab, &mut control, &mut published)?;
        let (mut before, mut patience) = (answered(), end.or_after_ms(STALL_MS));
        while answered() < goal && !patience.passed() {
            std::thread::park_timeout(LOOK);
            if answered() > before {
                (before, patience) = (answered(), end.or_after_ms(STALL_MS));
            }
        }
        published.incomplete += u64::from(answered() < goal && !end.passed());
        lab.say(|| format!("{} answers", answered()));
    }
    published.answers = answered();
    published.wall_ns = clock::now_ns() - at;
    published.cpu_ns = cpu.zip(lab.server.cpu_ns()?).map(|(from, to)| to - from);
    Ok(published)
}

/// Publishes until the last polls are answered.
fn release(
    lab: &Lab<'_>,
    mut published: Published,
    shared: &Shared,
) -> Result<Published, LoadError> {
    let mut control = Control::connect(lab.server.control)?;
    let deadline = Deadline::after_ms(LAST_ANSWER_MS);
    while !shared.ended.load(Ordering::Acquire) && !deadline.passed() {
        send(lab, &mut control, &mut published)?;
        let soon = Deadline::after_ms(50);
        clock::wait_until(soon, || shared.ended.load(Ordering::Acquire));
    }
    Ok(published)
}

fn send(lab: &Lab<'_>, control: &mut Control, published: &mut Published) -> Result<(), LoadError> {
    let stamp = Stamp {
        seq: published.messages,
        sent_ns: clock::now_ns(),
    };
    published.messages += 1;
    let mut body = Vec::new();
    publish::body(
        &mut body,
        "all",
        Format::Response,
        [stamp],
        lab.args.len(Count::Size),
    );
    control.publish(&body)
}

/// How many polls the backend has answered.
fn polls(backend: &mut Control) -> Result<u64, LoadError> {
    stat(backend, "polls")
}

/// One of the backend's counts.
fn stat(backend: &mut Control, name: &str) -> Result<u64, LoadError> {
    let (_, content) = backend.get("/stats")?;
    let value: Option<serde_json::Value> = serde_json::from_slice(&content).ok();
    let count = value.and_then(|value| value.get(name)?.as_u64());
    count.ok_or_else(|| LoadError::Answer {
        what: "asking the backend for its counts",
        answer: String::from_utf8_lossy(&content).into_owned(),
    })
}

fn report(lab: &Lab<'_>, seen: &Seen, published: &Published) -> Report {
    let args = lab.args;
    let settings = format!(
        "{} clients poll one channel for {} s, messages of {} bytes",
        args.len(Count::Clients),
        args.len(Count::Seconds),
        args.len(Count::Size),
    );
    let mut report = Report::new(args.scenario.name(), settings, vec!["server".to_owned()]);
    let one = |value: f64| [Some(value)];
    let rate = published.answers as f64 / clock::seconds(published.wall_ns.max(1));
    report.row("per_s", "answers per second", "1/s", one(rate));
    let cpu = published
        .cpu_ns
        .map(|ns| ns as f64 / 1e3 / published.answers.max(1) as f64);
    report.row("cpu_us", "server CPU per poll and answer", "µs", [cpu]);
    report.latency("publish to answer", &[&seen.latency]);
    report.row(
        "messages",
        "messages published",
        "",
        one(f64::from(published.messages)),
    );
    report.row(
        "answered",
        "polls answered",
        "",
        one(seen.outcome.answered as f64),
    );
    let late = published.incomplete as f64;
    report.row(
        "incomplete",
        "messages that passed a late poll by",
        "",
        one(late),
    );
    report.row(
        "lost",
        "polls lost or timed out",
        "",
        one(lost(seen) as f64),
    );
    report.row("doubled", "messages doubled", "", one(seen.doubled as f64));
    report.row("wrong", "wrong answers", "", one(seen.wrong as f64));
    if lost(seen) > 0 {
        let reason = seen.outcome.first_failure.as_deref().unwrap_or("timed out");
        report
            .faults
            .push(format!("{} polls lost ({reason})", lost(seen)));
    }
    if seen.doubled > 0 || seen.wrong > 0 {
        report.faults.push(format!(
            "{} doubled, {} wrong answers",
            seen.doubled, seen.wrong
        ));
    }
    report
}

fn lost(seen: &Seen) -> u64 {
    seen.outcome.failed + seen.timeouts
}
