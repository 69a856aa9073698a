//! `idle` and `hold`: what a held stream costs that does nothing.
//!
//! Per cycle: open all streams, look at the memory, publish one message to all, close all, look
//! again. Everything is counted from the memory with 0 streams held, after a small warm-up.

use super::residence;
use crate::args::Count;
use crate::client::control::Control;
use crate::client::herd::{Channels, Herd};
use crate::clock;
use crate::error::LoadError;
use crate::lab::{self, Lab, Opening, REQUEST_LEN};
use crate::ledger::Tally;
use crate::machine::memory::{self, KernelMemory, ProcessMemory};
use crate::message::{SIZE_MIN, Stamp};
use crate::publish::{self, Format};
use crate::report::Report;

/// Streams of the warm-up: code and tables that the first streams bring in are no stream's cost.
const WARM_UP: usize = 64;

/// Items in one publish request when every stream has its own channel.
const ITEMS_PER_REQUEST: usize = 200;

/// A message must arrive everywhere within this time, in milliseconds.
const ARRIVAL_MS: u64 = 60_000;

/// One cycle's findings.
#[derive(Default)]
struct Cycle {
    opening: Opening,
    held: Option<ProcessMemory>,
    kernel: (f64, Option<f64>),
    publish_s: f64,
    tally: Tally,
    after: Option<ProcessMemory>,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let count = lab.args.len(Count::Connections);
    let cycles = lab.args.len(Count::Cycles);
    let mut herd = lab.herd(0, count, count)?;
    lab.open(&mut herd, &lab.open_plan(WARM_UP.min(count), WARM_UP))?;
    publish_to_all(lab, &mut herd, WARM_UP.min(count))?;
    herd.close()?;
    lab.server.wait_quiet()?;
    let (baseline, kernel) = (lab.server.memory()?, memory::of_kernel());
    let mut done = Vec::new();
    for number in 1..=cycles {
        lab.say(|| format!("cycle {number} of {cycles}"));
        done.push(cycle(lab, &mut herd, count, kernel)?);
    }
    Ok(report(lab, count, baseline, &done))
}

fn cycle(
    lab: &Lab<'_>,
    herd: &mut Herd,
    count: usize,
    kernel: KernelMemory,
) -> Result<Cycle, LoadError> {
    let opening = lab.open(herd, &lab.open_plan(count, lab.args.len(Count::Window)))?;
    lab.server.wait_quiet()?;
    let (held, kernel_held) = (lab.server.memory()?, memory::of_kernel());
    let opened = opening.result.opened;
    let (tally, publish_s) = publish_to_all(lab, herd, opened)?;
    herd.close()?;
    lab.server.wait_quiet()?;
    let each = |from: u64, to: u64| (to as f64 - from as f64) / opened as f64;
    let objects = kernel.objects.zip(kernel_held.objects);
    Ok(Cycle {
        opening,
        held,
        kernel: (
            each(kernel.slab, kernel_held.slab),
            objects.map(|(from, to)| each(from, to)),
        ),
        publish_s,
        tally,
        after: lab.server.memory()?,
    })
}

/// Publishes one message to every stream and waits for it; returns how many seconds that took.
fn publish_to_all(
    lab: &Lab<'_>,
    herd: &mut Herd,
    streams: usize,
) -> Result<(Tally, f64), LoadError> {
    let mut control = Control::connect(lab.server.control)?;
    herd.expect(streams as u64);
    let at = clock::now_ns();
    let channels = match lab.args.channel_mode {
        Channels::Shared | Channels::Filtered => 1,
        Channels::Own => streams,
    };
    let mut body = Vec::new();
    for first in (0..channels).step_by(ITEMS_PER_REQUEST) {
        let names = (first..channels.min(first + ITEMS_PER_REQUEST))
            .map(|index| lab.args.channel_mode.name(index));
        let stamp = Stamp {
            seq: 0,
            sent_ns: clock::now_ns(),
        };
        body.clear();
        publish::body_of_channels(&mut body, names, Format::Stream, stamp, SIZE_MIN);
        control.publish(&body)?;
    }
    herd.wait_received(lab.deadline.or_after_ms(ARRIVAL_MS));
    let took_s = clock::seconds(clock::now_ns() - at);
    Ok((lab::settle(herd, 1)?.tally, took_s))
}

fn report(
    lab: &Lab<'_>,
    count: usize,
    baseline: Option<ProcessMemory>,
    cycles: &[Cycle],
) -> Report {
    let mode = match lab.args.channel_mode {
        Channels::Shared | Channels::Filtered => "one shared channel",
        Channels::Own => "one channel each",
    };
    let columns = (1..=cycles.len())
        .map(|number| format!("cycle {number}"))
        .collect();
    let settings = format!("{count} streams, {mode}, request heads of {REQUEST_LEN} bytes");
    let mut report = Report::new(lab.args.scenario.name(), settings, columns);
    stream_rows(&mut report, baseline.unwrap_or_default(), cycles);
    kernel_rows(&mut report, cycles);
    opening_rows(&mut report, cycles);
    let looks: Vec<_> = cycles
        .iter()
        .map(|cycle| (cycle.held, cycle.after))
        .collect();
    residence::rows(&mut report, baseline, &looks);
    let tallies: Vec<&Tally> = cycles.iter().map(|cycle| &cycle.tally).collect();
    report.tallies(&tallies);
    for (number, cycle) in (1..).zip(cycles) {
        lab::blame(
            &mut report,
            &format!("cycle {number}"),
            &cycle.opening.result,
        );
    }
    let note =
        "Kernel memory counts both ends of each connection: the clients are on this machine.";
    report.notes.push(note.to_owned());
    report
}

/// Adds the process memory per stream, counted from `base`.
fn stream_rows(report: &mut Report, base: ProcessMemory, cycles: &[Cycle]) {
    type Part = (&'static str, &'static str, fn(&ProcessMemory) -> u64);
    let parts: [Part; 3] = [
        ("rss", "process memory per stream, resident", |m| m.rss),
        ("anonymous", "  of it anonymous", |m| m.anonymous),
        ("private_dirty", "  of it private and written", |m| {
            m.private_dirty
        }),
    ];
    for (key, label, part) in parts {
        let each = |cycle: &Cycle| {
            let grown = part(&cycle.held?) as f64 - part(&base) as f64;
            Some(grown / cycle.opening.result.opened as f64)
        };
        let key = format!("bytes_per_stream_{key}");
        report.row(&key, label, "B", cycles.iter().map(each));
    }
}

/// Adds the kernel memory per stream.
fn kernel_rows(report: &mut Report, cycles: &[Cycle]) {
    let slab = cycles.iter().map(|cycle| Some(cycle.kernel.0));
    let label = "kernel memory per stream, both ends";
    report.row("kernel_bytes_per_stream", label, "B", slab);
    let objects = cycles.iter().map(|cycle| cycle.kernel.1);
    report.row(
        "kernel_object_bytes_per_stream",
        "  of it objects in use",
        "B",
        objects,
    );
}

fn opening_rows(report: &mut Report, cycles: &[Cycle]) {
    let opened = |cycle: &Cycle| cycle.opening.result.opened as f64;
    report.row(
        "opened",
        "streams held",
        "",
        cycles.iter().map(|cycle| Some(opened(cycle))),
    );
    let rate = |cycle: &Cycle| Some(opened(cycle) / cycle.opening.took_s);
    report.row(
        "opens_per_s",
        "streams opened per second",
        "1/s",
        cycles.iter().map(rate),
    );
    let cpu = |cycle: &Cycle| cycle.opening.cpu_ns.map(|ns| ns / 1e3 / opened(cycle));
    report.row(
        "cpu_us_per_open",
        "server CPU per stream opened",
        "µs",
        cycles.iter().map(cpu),
    );
    let publish = |cycle: &Cycle| Some(cycle.publish_s);
    report.row(
        "publish_s",
        "one message to all took",
        "s",
        cycles.iter().map(publish),
    );
}
