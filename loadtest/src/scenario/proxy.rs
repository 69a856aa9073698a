//! `proxy`: plain requests through the server, through HAProxy, and straight to the backend.

use std::net::SocketAddrV4;

use hdrhistogram::Histogram;

use super::contest::{self, Round};
use crate::args::Count;
use crate::client::herd::new_histogram;
use crate::client::requester::{Next, Requester};
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::haproxy::{self, Haproxy};
use crate::http::get_request;
use crate::lab::{Lab, REQUEST_LEN};
use crate::machine;
use crate::report::Report;

/// Answers underway at the end of a round get this long, in milliseconds.
const LAST_ANSWER_MS: u64 = 10_000;

/// A way from the clients to the backend.
struct Side {
    name: &'static str,
    requester: Requester,
    pid: Option<u32>,
    ours: bool,
    rounds: Vec<Round>,
    latency: Histogram<u64>,
    wrong: u64,
    failed: u64,
    failure: Option<String>,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let rounds = lab.args.len(Count::Rounds);
    let slice_ms = (lab.args.count(Count::Seconds) * 1_000 / rounds as u64).max(1);
    let rival = (lab.args.yardstick && haproxy::is_installed())
        .then(|| Haproxy::start(lab.backend, &lab.server_cores, lab.args.len(Count::Clients)))
        .transpose()?;
    let mut sides = vec![side(lab, "server", lab.server.client, None, true)?];
    if let Some(rival) = &rival {
        sides.push(side(
            lab,
            "HAProxy",
            rival.client,
            Some(rival.pid()),
            false,
        )?);
    }
    if lab.args.yardstick {
        sides.push(side(lab, "backend alone", lab.backend, None, false)?);
    }
    for round in 0..rounds {
        lab.say(|| format!("round {} of {rounds}", round + 1));
        for side in &mut sides {
            side.round(lab, slice_ms)?;
        }
    }
    Ok(report(lab, &sides, rival.is_some()))
}

fn side(
    lab: &Lab<'_>,
    name: &'static str,
    target: SocketAddrV4,
    pid: Option<u32>,
    ours: bool,
) -> Result<Side, LoadError> {
    let requester = Requester::connect(target, lab.args.len(Count::Clients))?;
    let (rounds, latency) = (Vec::new(), new_histogram());
    let mut side = Side {
        name,
        requester,
        pid,
        ours,
        rounds,
        latency,
        wrong: 0,
        failed: 0,
        failure: None,
    };
    // Connects clients and backends; counted as far as failures go, not timed.
    side.round(lab, 100)?;
    side.rounds.clear();
    side.latency.reset();
    Ok(side)
}

impl Side {
    fn cpu_ns(&self, lab: &Lab<'_>) -> Result<Option<u64>, LoadError> {
        match self.pid {
            Some(pid) => machine::cpu_time_ns(pid).map(Some),
            None if self.ours => lab.server.cpu_ns(),
            None => Ok(None),
        }
    }

    fn round(&mut self, lab: &Lab<'_>, ms: u64) -> Result<(), LoadError> {
        let size = lab.args.count(Count::Size);
        let request = get_request(&format!("/plain/{size}"), REQUEST_LEN);
        let (cpu, at) = (self.cpu_ns(lab)?, clock::now_ns());
        let end = lab.deadline.or_after_ms(ms);
        let mut next = |_: usize, out: &mut Vec<u8>| {
            if end.passed() {
                return Next::Stop;
            }
            out.extend_from_slice(&request);
            Next::Send
        };
        let (latency, mut wrong) = (&mut self.latency, 0);
        let last = Deadline::after_ms(ms + LAST_ANSWER_MS);
        let outcome = self.requester.run(last, &mut next, &mut |_, answer| {
            latency.saturating_record(answer.took_ns);
            wrong += u64::from(answer.status != 200 || answer.content_len != size);
        })?;
        let wall_ns = clock::now_ns() - at;
        let cpu_ns = cpu.zip(self.cpu_ns(lab)?).map(|(from, to)| to - from);
        self.rounds.push(Round {
            operations: outcome.answered,
            wall_ns,
            cpu_ns,
        });
        self.wrong += wrong;
        self.failed += outcome.failed;
        self.failure = self.failure.take().or(outcome.first_failure);
        Ok(())
    }
}

fn report(lab: &Lab<'_>, sides: &[Side], has_rival: bool) -> Report {
    let args = lab.args;
    let mut columns: Vec<String> = sides.iter().map(|side| side.name.to_owned()).collect();
    if sides.len() > 1 {
        columns.push(
            if has_rival {
                "ratio to HAProxy"
            } else {
                "ratio"
            }
            .to_owned(),
        );
    }
    let settings = format!(
        "{} clients, keep-alive, bodies of {} bytes, {} s each",
        args.len(Count::Clients),
        args.len(Count::Size),
        args.len(Count::Seconds),
    );
    let mut report = Report::new(args.scenario.name(), settings, columns);
    let rounds: Vec<&[Round]> = sides.iter().map(|side| side.rounds.as_slice()).collect();
    contest::compare(&mut report, "requests", &rounds);
    let mebibytes = |side: &Side| {
        let answered: u64 = side.rounds.iter().map(|round| round.operations).sum();
        let wall: u64 = side.rounds.iter().map(|round| round.wall_ns).sum();
        let bytes = answered as f64 * args.count(Count::Size) as f64;
        Some(bytes / 1_048_576.0 / clock::seconds(wall.max(1)))
    };
    report.row("mib_per_s", "content", "MiB/s", sides.iter().map(mebibytes));
    report.latency(
        "request to answer",
        &sides.iter().map(|s| &s.latency).collect::<Vec<_>>(),
    );
    report.row(
        "failed",
        "failed",
        "",
        sides.iter().map(|side| Some(side.failed as f64)),
    );
    report.row(
        "wrong",
        "wrong answers",
        "",
        sides.iter().map(|side| Some(side.wrong as f64)),
    );
    for side in sides {
        if side.failed + side.wrong > 0 {
            let reason = side.failure.as_deref().unwrap_or("wrong status or length");
            let count = side.failed + side.wrong;
            report
                .faults
                .push(format!("{}: {count} requests failed ({reason})", side.name));
        }
    }
    if args.yardstick && !has_rival {
        report
            .notes
            .push("HAProxy is not installed: compared with the backend alone.".to_owned());
    }
    report
}
