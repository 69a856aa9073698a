//! `fanout`: one channel, many streams, beside a bare loop that writes the same bytes.
//!
//! With `--filter`, beside the same without the filter: on a second server of the same kind, since
//! the streams of both would not fit one descriptor table; on a server that runs already, on another
//! channel.

use std::net::SocketAddrV4;

use super::contest::{self, Round};
use crate::args::{Count, Filter};
use crate::bare::fanout::Trigger;
use crate::child::{self, Process, Role};
use crate::client::ask::Ask;
use crate::client::control::Control;
use crate::client::herd::{Channels, Findings, Herd, OpenPlan};
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::lab::{self, Lab, Opening};
use crate::machine;
use crate::message::{self, Stamp};
use crate::publish::{self, Format};
use crate::report::Report;
use crate::server::{Server, local};

/// A burst must arrive everywhere within this time, in milliseconds.
const ARRIVAL_MS: u64 = 30_000;

/// A delivery that must not come is waited for so long, in milliseconds.
const LAST_LOOK_MS: u64 = 200;

/// The sender that nobody is.
const NOBODY: &str = "nobody";

/// How a contestant is told to deliver.
enum Publisher<'a> {
    Ours {
        control: Control,
        server: &'a Server,
        filter: Filter,
    },
    Bare(Trigger, Process),
}

/// A contestant with its herd.
struct Side<'a> {
    name: &'static str,
    publisher: Publisher<'a>,
    herd: Herd,
    opening: Opening,
    sent: u32,
    /// Whether the filter kept the last message from the first stream.
    withheld: bool,
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
    let mut sides = sides(lab)?;
    for round in 0..rounds {
        lab.say(|| format!("round {} of {rounds}", round + 1));
        for side in &mut sides {
            side.round(lab, bursts, burst)?;
        }
    }
    let (mut findings, mut faults) = (Vec::new(), Vec::new());
    for side in &mut sides {
        faults.extend(side.publish_from_first(lab)?);
        let mut found = lab::settle(&mut side.herd, side.sent)?;
        // What the filter kept from its own sender is not lost.
        found.tally.lost = found.tally.lost.saturating_sub(u64::from(side.withheld));
        findings.push(found);
    }
    let mut report = report(lab, &sides, &findings, bursts * rounds * burst);
    report.faults.extend(faults);
    Ok(report)
}

/// The contestants: the one of interest first.
fn sides<'a>(lab: &'a Lab<'_>) -> Result<Vec<Side<'a>>, LoadError> {
    let (filter, yardstick) = (lab.args.filter, lab.args.yardstick);
    if filter == Filter::None {
        let mut sides = vec![ours(lab, 0, "server", &lab.server, filter)?];
        if yardstick {
            sides.push(bare(lab)?);
        }
        return Ok(sides);
    }
    let mut sides = vec![ours(lab, 0, filter.name(), &lab.server, filter)?];
    if yardstick {
        let server = lab.second.as_ref().unwrap_or(&lab.server);
        sides.push(ours(lab, 1, "without", server, Filter::None)?);
    }
    Ok(sides)
}

fn ours<'a>(
    lab: &Lab<'_>,
    number: usize,
    name: &'static str,
    server: &'a Server,
    filter: Filter,
) -> Result<Side<'a>, LoadError> {
    let publisher = Publisher::Ours {
        control: Control::connect(server.control)?,
        server,
        filter,
    };
    side(lab, number, name, publisher, server.client)
}

fn bare<'a>(lab: &Lab<'_>) -> Result<Side<'a>, LoadError> {
    lab.check_single_table(lab.args.len(Count::Connections))?;
    let core = lab.server_cores.get(..1).unwrap_or_default();
    let (process, ports) = child::spawn_role(Role::BareFanout, 0, core)?;
    let [streams, control] = ports.as_slice() else {
        return Err(process.failure("announced no ports"));
    };
    let publisher = Publisher::Bare(Trigger::connect(local(*control))?, process);
    side(lab, 1, "bare loop", publisher, local(*streams))
}

fn side<'a>(
    lab: &Lab<'_>,
    number: usize,
    name: &'static str,
    publisher: Publisher<'a>,
    target: SocketAddrV4,
) -> Result<Side<'a>, LoadError> {
    let count = lab.args.len(Count::Connections);
    let in_all = if lab.args.yardstick { count * 2 } else { count };
    let mut herd = lab.herd(number, count, in_all)?;
    let plan = OpenPlan {
        target,
        ask: publisher.ask(lab.args.len(Count::Size)),
        channels: publisher.channels(),
        ..lab.open_plan(count, 128)
    };
    let opening = lab.open(&mut herd, &plan)?;
    let mut side = Side {
        name,
        publisher,
        herd,
        opening,
        sent: 0,
        withheld: false,
        rounds: Vec::new(),
    };
    // The first message makes both ends touch what they need; it is counted, not timed.
    side.round(lab, 1, 1)?;
    side.rounds.clear();
    Ok(side)
}

impl Publisher<'_> {
    /// What the streams ask for.
    fn ask(&self, size: usize) -> Ask {
        match self {
            Self::Ours { filter, .. } if *filter != Filter::None => Ask::Filtered {
                filter: *filter,
                size,
            },
            Self::Ours { .. } | Self::Bare(..) => Ask::Stream,
        }
    }

    /// Which channel they are on: one server may hold both kinds.
    fn channels(&self) -> Channels {
        match self {
            Self::Ours { filter, .. } if *filter != Filter::None => Channels::Filtered,
            Self::Ours { .. } | Self::Bare(..) => Channels::Shared,
        }
    }
}

impl Side<'_> {
    fn cpu_ns(&self) -> Result<Option<u64>, LoadError> {
        match &self.publisher {
            Publisher::Ours { server, .. } => server.cpu_ns(),
            Publisher::Bare(_, process) => machine::cpu_time_ns(process.pid()).map(Some),
        }
    }

    fn round(&mut self, lab: &Lab<'_>, bursts: usize, burst: usize) -> Result<(), LoadError> {
        let size = lab.args.len(Count::Size);
        let streams = self.opening.result.opened as u64;
        let received = self.herd.received();
        let (cpu, at) = (self.cpu_ns()?, clock::now_ns());
        for _ in 0..bursts {
            self.herd.expect(streams * burst as u64);
            self.publish(burst, size, NOBODY)?;
            if !self
                .herd
                .wait_received(lab.deadline.or_after_ms(ARRIVAL_MS))
            {
                break;
            }
        }
        let wall_ns = clock::now_ns() - at;
        let cpu_ns = cpu.zip(self.cpu_ns()?).map(|(from, to)| to - from);
        let operations = self.herd.received() - received;
        self.rounds.push(Round {
            operations,
            wall_ns,
            cpu_ns,
        });
        Ok(())
    }

    /// With `skip-self`: publishes one message as the first client, which alone must not get it.
    /// Says what is wrong when it does.
    fn publish_from_first(&mut self, lab: &Lab<'_>) -> Result<Option<String>, LoadError> {
        let is_ours = matches!(
            &self.publisher,
            Publisher::Ours {
                filter: Filter::SkipSelf,
                ..
            }
        );
        if !is_ours {
            return Ok(None);
        }
        let (received, others) = (self.herd.received(), self.opening.result.opened as u64 - 1);
        self.herd.expect(others);
        self.publish(1, lab.args.len(Count::Size), &message::user(0))?;
        self.herd
            .wait_received(lab.deadline.or_after_ms(ARRIVAL_MS));
        // A delivery too many comes right behind the others.
        clock::wait_until(Deadline::after_ms(LAST_LOOK_MS), || {
            self.herd.received() - received > others
        });
        self.withheld = self.herd.received() - received <= others;
        let fault = "skip-self: a client got the message that it sent itself";
        Ok((!self.withheld).then(|| fault.to_owned()))
    }

    fn publish(&mut self, burst: usize, size: usize, sender: &str) -> Result<(), LoadError> {
        let first = self.sent;
        self.sent += u32::try_from(burst).unwrap_or(u32::MAX);
        let sent_ns = clock::now_ns();
        let stamps = (first..self.sent).map(|seq| Stamp { seq, sent_ns });
        let channel = self.publisher.channels().name(0);
        match &mut self.publisher {
            Publisher::Ours {
                control, filter, ..
            } => {
                let mut body = Vec::new();
                match *filter {
                    Filter::None => {
                        publish::body(&mut body, &channel, Format::Stream, stamps, size);
                    }
                    Filter::SkipSelf | Filter::VarSubst => {
                        let filter = *filter;
                        publish::filtered_body(&mut body, &channel, filter, sender, stamps, size);
                    }
                }
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

fn report(lab: &Lab<'_>, sides: &[Side<'_>], findings: &[Findings], items: usize) -> Report {
    let args = lab.args;
    let mut columns: Vec<String> = sides.iter().map(|side| side.name.to_owned()).collect();
    if sides.len() > 1 {
        columns.push("ratio".to_owned());
    }
    let settings = format!(
        "1 channel, filter {}, {} streams, {items} messages of {} bytes, {} per request",
        args.filter.name(),
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
    for (side, found) in sides.iter().zip(findings) {
        lab::blame(&mut report, side.name, &side.opening.result);
        if let Some(reason) = found.first_break {
            let fault = format!("{}: first broken stream: {reason}", side.name);
            report.faults.push(fault);
        }
    }
    report
}
