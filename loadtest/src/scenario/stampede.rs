//! `stampede`: many long-polls on one channel, one hint, and all ask the backend again.
//!
//! All polls are the same request, as one page's script sends it, unless `--distinct` gives each
//! client a cookie. The backend watches what reaches it after the hint and takes `--delay-ms` for
//! each answer. It holds the polls again, and a last message must then reach every one of them; or,
//! with `--answer`, its own answers must.

use std::time::Duration;

use crate::args::{Count, Switch, Update};
use crate::client::ask::Ask;
use crate::client::control::Control;
use crate::client::herd::{Findings, Herd, OpenPlan, Opened};
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::lab::{self, Lab};
use crate::message::Stamp;
use crate::publish::{self, Format};
use crate::report::Report;

/// Polls sent before the backend's count is looked at.
const SLICE: usize = 512;

/// A slice is over when the backend's count rests for so long, in milliseconds: polls that share
/// an answer do not all reach it.
const SLICE_REST_MS: u64 = 60;

/// All is settled when the backend's count and the server rest for so long, in milliseconds. A
/// first subscription is looked after a second later, and a recovery comes in small steps.
const SETTLED_MS: u64 = 2_000;

/// Settling ends after this long at the latest, in milliseconds.
const SETTLING_MS_MAX: u64 = 120_000;

/// The server and the backend are looked at so often.
const LOOK: Duration = Duration::from_millis(10);

/// A look finds the server busy when it used more than this share of a core.
const BUSY_SHARE: f64 = 0.1;

/// The message must reach all polls within this time, in milliseconds.
const ARRIVAL_MS: u64 = 60_000;

/// The channel of all polls.
const CHANNEL: &str = "all";

/// What the backend saw after the update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Watched {
    requests: u64,
    last_ns: u64,
    window_max: u64,
    in_flight_max: u64,
}

/// What the run found.
struct Found {
    opened: Opened,
    watched: Watched,
    wall_ns: u64,
    cpu_ns: Option<u64>,
    findings: Findings,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let count = lab.args.len(Count::Connections);
    let mut backend = Control::connect(lab.backend)?;
    let mut control = Control::connect(lab.server.control)?;
    let mut herd = lab.herd(0, count, count)?;
    let opened = open(lab, &mut herd, &mut backend, count)?;
    settle(lab, &mut backend, "/stats", "polls")?;
    let answers = lab.args.has(Switch::Answer);
    let delay_ms = lab.args.count(Count::DelayMs);
    let watch = format!("/watch?answer={}&delay_ms={delay_ms}", u8::from(answers));
    ask(&mut backend, &watch)?;
    if answers {
        herd.expect(opened.opened as u64);
    }
    let (cpu, at) = (lab.server.cpu_ns()?, clock::now_ns());
    update(lab.args.update, &mut control)?;
    let end_ns = if answers {
        herd.wait_received(lab.deadline.or_after_ms(ARRIVAL_MS));
        clock::now_ns()
    } else {
        settle(lab, &mut backend, "/watched", "requests")?
    };
    let cpu_ns = cpu.zip(lab.server.cpu_ns()?).map(|(from, to)| to - from);
    let watched = watched(&mut backend)?;
    if !answers {
        release(lab, &mut control, &mut herd, opened.opened)?;
    }
    let found = Found {
        opened,
        watched,
        wall_ns: end_ns.max(watched.last_ns).saturating_sub(at),
        cpu_ns,
        findings: lab::settle(&mut herd, 1)?,
    };
    Ok(report(lab, &found))
}

/// Opens the polls, slice by slice, each as fast as the backend sees it.
fn open(
    lab: &Lab<'_>,
    herd: &mut Herd,
    backend: &mut Control,
    count: usize,
) -> Result<Opened, LoadError> {
    let ask = Ask::Page {
        distinct: lab.args.has(Switch::Distinct),
    };
    let mut all = Opened::default();
    for first_index in (0..count).step_by(SLICE) {
        let plan = OpenPlan {
            ask,
            first_index,
            ..lab.open_plan(SLICE.min(count - first_index), lab.args.len(Count::Window))
        };
        let part = lab.open(herd, &plan)?.result;
        all.opened += part.opened;
        all.failed += part.failed;
        all.first_failure = all.first_failure.or(part.first_failure);
        lab.say(|| format!("{} of {count} polls sent", all.opened));
        let (mut seen, mut rest) = (0, Deadline::after_ms(SLICE_REST_MS));
        while seen < all.opened as u64 && !rest.passed() && !lab.deadline.passed() {
            clock::pause(Duration::from_millis(1));
            let now = number(backend, "/stats", "polls")?;
            if now > seen {
                (seen, rest) = (now, Deadline::after_ms(SLICE_REST_MS));
            }
        }
    }
    Ok(all)
}

/// Waits until a count of the backend and the server's CPU time rest; returns when the last
/// movement was.
fn settle(
    lab: &Lab<'_>,
    backend: &mut Control,
    target: &str,
    name: &'static str,
) -> Result<u64, LoadError> {
    let limit = lab.deadline.or_after_ms(SETTLING_MS_MAX);
    let mut last_ns = clock::now_ns();
    let mut rest = limit.or_after_ms(SETTLED_MS);
    let (mut count, mut cpu) = (number(backend, target, name)?, lab.server.cpu_ns()?);
    let mut at_ns = last_ns;
    while !rest.passed() {
        clock::pause(LOOK);
        let (count_now, cpu_now) = (number(backend, target, name)?, lab.server.cpu_ns()?);
        let now_ns = clock::now_ns();
        let used = cpu.zip(cpu_now).map_or(0, |(from, to)| to - from);
        let is_busy = used as f64 > BUSY_SHARE * (now_ns - at_ns) as f64;
        if is_busy || count_now > count {
            (last_ns, rest) = (now_ns, limit.or_after_ms(SETTLED_MS));
        }
        (count, cpu, at_ns) = (count_now, cpu_now, now_ns);
        lab.say(|| format!("{count} {name} at the backend"));
    }
    Ok(last_ns)
}

fn update(update: Update, control: &mut Control) -> Result<(), LoadError> {
    match update {
        Update::Recover => control.recover(),
        Update::Hint => {
            let mut body = Vec::new();
            publish::hint_body(&mut body, CHANNEL);
            control.publish(&body)
        }
    }
}

/// Publishes one message, which ends every poll that is held.
fn release(
    lab: &Lab<'_>,
    control: &mut Control,
    herd: &mut Herd,
    polls: usize,
) -> Result<(), LoadError> {
    herd.expect(polls as u64);
    let sent_ns = clock::now_ns();
    let mut body = Vec::new();
    let stamp = Stamp { seq: 0, sent_ns };
    publish::body(&mut body, CHANNEL, Format::Response, [stamp], 100);
    control.publish(&body)?;
    herd.wait_received(lab.deadline.or_after_ms(ARRIVAL_MS));
    Ok(())
}

/// Asks the backend something that it answers with JSON, or with nothing of interest.
fn ask(backend: &mut Control, target: &str) -> Result<serde_json::Value, LoadError> {
    let (status, content) = backend.get(target)?;
    if status != 200 {
        return Err(LoadError::Answer {
            what: "asking the backend",
            answer: format!("status {status}"),
        });
    }
    Ok(serde_json::from_slice(&content).unwrap_or_default())
}

fn number(backend: &mut Control, target: &str, name: &'static str) -> Result<u64, LoadError> {
    let value = ask(backend, target)?;
    let number = value.get(name).and_then(serde_json::Value::as_u64);
    number.ok_or_else(|| LoadError::Answer {
        what: "asking the backend for its counts",
        answer: value.to_string(),
    })
}

fn watched(backend: &mut Control) -> Result<Watched, LoadError> {
    let value = ask(backend, "/watched")?;
    let of = |name| value.get(name).and_then(serde_json::Value::as_u64);
    Ok(Watched {
        requests: of("requests").unwrap_or(0),
        last_ns: of("last_ns").unwrap_or(0),
        window_max: of("window_max").unwrap_or(0),
        in_flight_max: of("in_flight_max").unwrap_or(0),
    })
}

fn report(lab: &Lab<'_>, found: &Found) -> Report {
    let polls = found.opened.opened.max(1) as f64;
    let columns = vec!["server".to_owned()];
    let mut report = Report::new(lab.args.scenario.name(), settings(lab, found), columns);
    let watched = &found.watched;
    let all = if lab.args.has(Switch::Answer) {
        "every poll answered within"
    } else {
        "every poll held again within"
    };
    let requests = watched.requests as f64;
    let each = requests * 1e3 / polls;
    let (window, in_flight) = (watched.window_max as f64, watched.in_flight_max as f64);
    report.row(
        "requests",
        "backend requests after it",
        "",
        [Some(requests)],
    );
    report.row(
        "requests_per_1000",
        "  for each 1,000 polls",
        "",
        [Some(each)],
    );
    report.row(
        "requests_per_100ms_max",
        "  most within 100 ms",
        "",
        [Some(window)],
    );
    report.row(
        "in_flight_max",
        "  most at the same time",
        "",
        [Some(in_flight)],
    );
    report.row("all_ms", all, "ms", [Some(found.wall_ns as f64 / 1e6)]);
    let cpu = found.cpu_ns.map(|ns| ns as f64 / 1e3 / polls);
    report.row("cpu_us", "server CPU per poll", "µs", [cpu]);
    report.latency("last message to answer", &[&found.findings.latency]);
    report.tallies(&[&found.findings.tally]);
    faults(&mut report, found);
    report
}

fn settings(lab: &Lab<'_>, found: &Found) -> String {
    let args = lab.args;
    let either = |switch, yes, no| if args.has(switch) { yes } else { no };
    format!(
        "{} {} polls on 1 channel, 1 {}, the backend {} each after {} ms",
        found.opened.opened,
        either(Switch::Distinct, "distinct", "identical"),
        args.update.name(),
        either(Switch::Answer, "answers", "holds"),
        args.count(Count::DelayMs),
    )
}

/// Adds what must not be.
fn faults(report: &mut Report, found: &Found) {
    lab::blame(report, "polls", &found.opened);
    if let Some(reason) = found.findings.first_break {
        report.faults.push(format!("first broken poll: {reason}"));
    }
    if found.watched.requests == 0 {
        let fault = "no request reached the backend after the update";
        report.faults.push(fault.to_owned());
    }
}
