//! Micro-benchmarks of the engine's parts, and the yardstick for fan-out.
//!
//! `bench [NAME…] [--json FILE]`; `bench/README.md` has the rest. Each group of benchmarks is a
//! file of that name. Nothing is judged here: no figure fails a run.

#![forbid(unsafe_code)]

mod args;
mod clock;
mod codec;
mod core;
mod error;
mod fanout;
mod harness;
mod hub;
mod instructions;
mod memory;
mod pages;
mod pairs;
mod readiness;
mod report;
mod rig;
mod ring;
mod sequencer;
mod wheel;
mod zeromq;

use std::io::Write;
use std::process::ExitCode;

use args::Args;
use error::BenchError;
use harness::Harness;

/// A group: what its benchmarks' names begin with, and what measures them.
type Group = (&'static str, fn(&mut Harness) -> Result<(), BenchError>);

/// All groups, in the order in which they run.
const GROUPS: [Group; 10] = [
    ("codec", codec::run),
    ("pages", pages::run),
    ("wheel", wheel::run),
    ("hub", hub::run),
    ("core", core::run),
    ("ring", ring::run),
    ("sequencer", sequencer::run),
    ("zeromq", zeromq::run),
    ("readiness", readiness::run),
    ("fanout", fanout::run),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BenchError> {
    let args = args::parse(lexopt::Parser::from_env())?;
    let mut out = std::io::stdout();
    if args.help {
        out.write_all(args::HELP.as_bytes())?;
        return Ok(());
    }
    if args.instructions {
        out.write_all(instructions::count(&args.names)?.as_bytes())?;
        return Ok(());
    }
    let harness = measure(&args)?;
    if args.is_list {
        for name in harness.seen() {
            writeln!(out, "{name}")?;
        }
        return Ok(());
    }
    out.write_all(report::table(harness.figures()).as_bytes())?;
    if let Some(path) = &args.json {
        std::fs::write(path, report::json(harness.figures()))?;
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Harness, BenchError> {
    let mut harness = Harness::new(args);
    for (group, run) in GROUPS {
        if harness.wants_group(group) {
            harness.enter(group);
            run(&mut harness)?;
        }
    }
    if harness.seen().is_empty() {
        return Err(BenchError::NoSuchName);
    }
    Ok(harness)
}
