//! `fanout`: one channel, many streams, beside a bare loop that writes the same bytes.

use std::net::SocketAddrV4;

use super::contest::{self, Round};
use crate::args::Count;
use crate::bare::fanout::Trigger;
use crate::child::{self, Process, Role};
use crate::client::control::Control;
use crate::client::herd::{Channels, Findings, Herd, OpenPlan};
use crate::clock;
use crate::error::LoadError;
use crate::lab::{self, Lab, Opening};
use crate::machine;
use crate::message::{self, Stamp};
use crate::publish::{self, Format};
use crate::report::Report;
use crate::server::local;

/// A burst must arrive everywhere within this time, in milliseconds.
const ARRIVAL_MS: u64 = 30_000;

/// How a contestant is told to deliver.
enum Publisher {
    Ours(Control),
    Bare(Trigger, Process),
}

/// A contestant with its herd.
struct Side {
    publisher: Publisher,
    herd: Herd,
    opening: Opening,
    sent: u32,
    rounds: Vec<Round>,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let args = lab.args;
    let (burst, rounds) = (args.len(Count::Burst), args.len(Count::Rounds));
    let bursts = args.len(Count::Items).div_ceil(burst).div_ceil(rounds);
    let mut sides = vec![ours(lab)?];
    if args.yardstick {
        sides.push(bare(lab)?);
    }
    for round in 0..rounds {
        lab.say(|| format!("round {} of {rounds}", round + 1));
        for side in &mut sides {
            side.round(lab, bursts, burst)?;
        }
    }
    let mut findings = Vec::new();
    for side in &mut sides {
        findings.push(lab::settle(&mut side.herd, side.sent)?);
    }
    Ok(report(lab, &sides, &findings, bursts * rounds * burst))
}

fn ours(lab: &Lab<'_>) -> Result<Side, LoadError> {
    let publisher = Publisher::Ours(Control::connect(lab.server.control)?);
    side(lab, 0, publisher, lab.server.client)
}

fn bare(lab: &Lab<'_>) -> Result<Side, LoadError> {
    lab.check_single_table(lab.args.len(Count::Connections))?;
    let core = lab.server_cores.get(..1).unwrap_or_default();
    let (process, ports) = child::spawn_role(Role::BareFanout, 0, core)?;
    let [streams, control] = ports.as_slice() else {
        return Err(process.failure("announced no ports"));
    };
    let publisher = Publisher::Bare(Trigger::connect(local(*control))?, process);
    side(lab, 1, publisher, local(*streams))
}

fn side(
    lab: &Lab<'_>,
    number: usize,
    publisher: Publisher,
    target: SocketAddrV4,
) -> Result<Side, LoadError> {
    let count = lab.args.len(Count::Connections);
    let in_all = if lab.args.yardstick { count * 2 } else { count };
    let mut herd = lab.herd(number, count, in_all)?;
    let plan = OpenPlan {
        target,
        channels: Channels::Shared,
        ..lab.open_plan(count, 128)
    };
    let opening = lab.open(&mut herd, &plan)?;
    let mut side = Side {
        publisher,
        herd,
        opening,
        sent: 0,
        rounds: Vec::new(),
    };
    // The first message makes both ends touch what they need; it is counted, not timed.
    side.round(lab, 1, 1)?;
    side.rounds.clear();
    Ok(side)
}

impl Side {
    fn cpu_ns(&self, lab: &Lab<'_>) -> Result<Option<u64>, LoadError> {
        match &self.publisher {
            Publisher::Ours(_) => lab.server.cpu_ns(),
            Publisher::Bare(_, process) => machine::cpu_time_ns(process.pid()).map(Some),
        }
    }

    fn round(&mut self, lab: &Lab<'_>, bursts: usize, burst: usize) -> Result<(), LoadError> {
        let size = lab.args.len(Count::Size);
        let streams = self.opening.result.opened as u64;
        let received = self.herd.received();
        let (cpu, at) = (self.cpu_ns(lab)?, clock::now_ns());
        for _ in 0..bursts {
            self.herd.expect(streams * burst as u64);
            self.publish(burst, size)?;
            if !self
                .herd
                .wait_received(lab.deadline.or_after_ms(ARRIVAL_MS))
            {
                break;
            }
        }
        let wall_ns = clock::now_ns() - at;
        let cpu_ns = cpu.zip(self.cpu_ns(lab)?).map(|(from, to)| to - from);
        let operations = self.herd.received() - received;
        self.rounds.push(Round {
            operations,
            wall_ns,
            cpu_ns,
        });
        Ok(())
    }

    fn publish(&mut self, burst: usize, size: usize) -> Result<(), LoadError> {
        let first = self.sent;
        self.sent += u32::try_from(burst).unwrap_or(u32::MAX);
        let sent_ns = clock::now_ns();
        let stamps = (first..self.sent).map(|seq| Stamp { seq, sent_ns });
        match &mut self.publisher {
            Publisher::Ours(control) => {
                let mut body = Vec::new();
                publish::body(&mut body, "all", Format::Stream, stamps, size);
                control.publish(&body)
            }
            Publisher::Bare(trigger, _) => {
                let items: Vec<Vec<u8>> = stamps.map(|stamp| item(stamp, size)).collect();
                trigger.pull(&items)
            }
        }
    }
}

/// The chunk that a message becomes.
fn item(stamp: Stamp, size: usize) -> Vec<u8> {
    let (mut content, mut chunk) = (Vec::new(), Vec::new());
    message::write(&mut content, stamp, size);
    publish::chunk(&mut chunk, &content);
    chunk
}

fn report(lab: &Lab<'_>, sides: &[Side], findings: &[Findings], items: usize) -> Report {
    let args = lab.args;
    let columns = ["server", "bare loop", "ratio"].map(str::to_owned).to_vec();
    let columns = if sides.len() > 1 {
        columns
    } else {
        columns.into_iter().take(1).collect()
    };
    let settings = format!(
        "1 channel, {} streams, {items} messages of {} bytes, {} per request",
        args.len(Count::Connections),
        args.len(Count::Size),
        args.len(Count::Burst),
    );
    let mut report = Report::new(args.scenario.name(), settings, columns);
    let rounds: Vec<&[Round]> = sides.iter().map(|side| side.rounds.as_slice()).collect();
    contest::compare(&mut report, "deliveries", &rounds);
    report.latency(
        "publish to receipt",
        &findings.iter().map(|f| &f.latency).collect::<Vec<_>>(),
    );
    report.tallies(&findings.iter().map(|f| &f.tally).collect::<Vec<_>>());
    for (side, name) in sides.iter().zip(["server", "bare loop"]) {
        lab::blame(&mut report, name, &side.opening.result);
    }
    report
}
