//! `channels`: many channels with one stream each, one publish request per message.

use std::net::SocketAddrV4;

use super::contest::{self, Round};
use crate::args::Count;
use crate::child::{self, Process, Role};
use crate::client::herd::{Channels, Findings, Herd, OpenPlan};
use crate::client::requester::{Next, Requester};
use crate::clock;
use crate::error::LoadError;
use crate::http::post_request;
use crate::lab::{self, Lab, Opening};
use crate::machine;
use crate::message::Stamp;
use crate::publish::{self, Format};
use crate::report::Report;
use crate::server::local;

/// The last message must arrive within this time, in milliseconds.
const ARRIVAL_MS: u64 = 30_000;

/// A contestant with its herd and its publishing connections.
struct Side {
    yardstick: Option<Process>,
    herd: Herd,
    posters: Requester,
    opening: Opening,
    sent: u32,
    rounds: Vec<Round>,
    refused: u64,
    failure: Option<String>,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let args = lab.args;
    let (channels, rounds) = (args.len(Count::Channels), args.len(Count::Rounds));
    // The same number to every channel in every round, so that a loss can be told.
    let each = args.len(Count::Items).div_ceil(channels * rounds);
    let mut sides = vec![side(lab, 0, None, lab.server.client, lab.server.control)?];
    if args.yardstick {
        lab.check_single_table(channels + args.len(Count::Concurrency))?;
        let core = lab.server_cores.get(..1).unwrap_or_default();
        let (process, ports) = child::spawn_role(Role::BarePublish, 0, core)?;
        let target = local(ports.first().copied().unwrap_or_default());
        sides.push(side(lab, 1, Some(process), target, target)?);
    }
    for round in 0..rounds {
        lab.say(|| format!("round {} of {rounds}", round + 1));
        for side in &mut sides {
            side.round(lab, each)?;
        }
    }
    let mut findings = Vec::new();
    for side in &mut sides {
        findings.push(lab::settle(&mut side.herd, side.sent)?);
    }
    Ok(report(lab, &sides, &findings, channels * rounds * each))
}

fn side(
    lab: &Lab<'_>,
    number: usize,
    yardstick: Option<Process>,
    target: SocketAddrV4,
    control: SocketAddrV4,
) -> Result<Side, LoadError> {
    let count = lab.args.len(Count::Channels);
    let in_all = count * if lab.args.yardstick { 2 } else { 1 };
    let mut herd = lab.herd(number, count, in_all)?;
    let plan = OpenPlan {
        target,
        channels: Channels::Own,
        ..lab.open_plan(count, 128)
    };
    let opening = lab.open(&mut herd, &plan)?;
    let posters = Requester::connect(control, lab.args.len(Count::Concurrency).min(count))?;
    let (rounds, failure) = (Vec::new(), None);
    let mut side = Side {
        yardstick,
        herd,
        posters,
        opening,
        sent: 0,
        rounds,
        refused: 0,
        failure,
    };
    // The first message to each makes both ends touch what they need; counted, not timed.
    side.round(lab, 1)?;
    side.rounds.clear();
    Ok(side)
}

impl Side {
    fn cpu_ns(&self, lab: &Lab<'_>) -> Result<Option<u64>, LoadError> {
        match &self.yardstick {
            None => lab.server.cpu_ns(),
            Some(process) => machine::cpu_time_ns(process.pid()).map(Some),
        }
    }

    /// Publishes `each` messages to every channel and waits for all of them.
    fn round(&mut self, lab: &Lab<'_>, each: usize) -> Result<(), LoadError> {
        let (channels, size) = (lab.args.len(Count::Channels), lab.args.len(Count::Size));
        let streams = self.opening.result.opened;
        let received = self.herd.received();
        self.herd.expect((streams * each) as u64);
        let (cpu, at) = (self.cpu_ns(lab)?, clock::now_ns());
        let mut quotas: Vec<Quota> = quotas(channels, lab.args.len(Count::Concurrency), each);
        let (first, mut body, mut refused) = (self.sent, Vec::new(), 0);
        let mut next = |key: usize, out: &mut Vec<u8>| {
            let Some((channel, turn)) = quotas.get_mut(key).and_then(Quota::next) else {
                return Next::Stop;
            };
            let seq = first + u32::try_from(turn).unwrap_or(u32::MAX);
            let stamp = Stamp {
                seq,
                sent_ns: clock::now_ns(),
            };
            body.clear();
            let name = Channels::Own.name(channel);
            publish::body(&mut body, &name, Format::Stream, [stamp], size);
            post_request(out, "/publish", &body);
            Next::Send
        };
        let outcome = self
            .posters
            .run(lab.deadline, &mut next, &mut |_, answer| {
                refused += u64::from(answer.status != 200);
            })?;
        self.herd
            .wait_received(lab.deadline.or_after_ms(ARRIVAL_MS));
        let wall_ns = clock::now_ns() - at;
        let cpu_ns = cpu.zip(self.cpu_ns(lab)?).map(|(from, to)| to - from);
        self.sent += u32::try_from(each).unwrap_or(u32::MAX);
        self.refused += refused + outcome.failed;
        self.failure = self.failure.take().or(outcome.first_failure);
        self.rounds.push(Round {
            operations: self.herd.received() - received,
            wall_ns,
            cpu_ns,
        });
        Ok(())
    }
}

/// The channels of one publishing connection: no other one touches them, so order is kept.
struct Quota {
    channel: usize,
    first: usize,
    step: usize,
    channels: usize,
    turn: usize,
    turns: usize,
}

impl Quota {
    /// The next channel to publish to, and the how-many-eth message of this round it is.
    fn next(&mut self) -> Option<(usize, usize)> {
        if self.channel >= self.channels {
            self.channel = self.first;
            self.turn += 1;
        }
        if self.turn >= self.turns || self.first >= self.channels {
            return None;
        }
        let found = (self.channel, self.turn);
        self.channel += self.step;
        Some(found)
    }
}

fn quotas(channels: usize, connections: usize, turns: usize) -> Vec<Quota> {
    let step = connections.min(channels);
    (0..step)
        .map(|first| Quota {
            channel: first,
            first,
            step,
            channels,
            turn: 0,
            turns,
        })
        .collect()
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
        "{} channels with 1 stream each, {items} messages of {} bytes, 1 per request, {} publishers",
        args.len(Count::Channels),
        args.len(Count::Size),
        args.len(Count::Concurrency),
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
        if side.refused > 0 {
            let reason = side.failure.as_deref().unwrap_or("status other than 200");
            report.faults.push(format!(
                "{name}: {} publishes failed ({reason})",
                side.refused
            ));
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_channel_gets_its_turns_in_order_from_one_connection() {
        for (channels, connections, turns) in [(10, 3, 2), (3, 8, 2), (1, 1, 5), (7, 7, 1)] {
            let mut seen: HashMap<usize, Vec<usize>> = HashMap::new();
            for mut quota in quotas(channels, connections, turns) {
                while let Some((channel, turn)) = quota.next() {
                    seen.entry(channel).or_default().push(turn);
                }
            }
            assert_eq!(seen.len(), channels);
            for turns_seen in seen.values() {
                assert_eq!(*turns_seen, (0..turns).collect::<Vec<_>>());
            }
        }
    }
}
