//! `churn`: a herd of clients at the same instant; all must be served; then all leave; again.

use crate::args::Count;
use crate::client::herd::OpenPlan;
use crate::error::LoadError;
use crate::lab::{self, Lab, Opening};
use crate::ledger::Tally;
use crate::machine::memory::ProcessMemory;
use crate::report::{Report, ratio};

/// All must be served within this time, in milliseconds.
const SERVED_MS: u64 = 30_000;

struct Round {
    opening: Opening,
    tally: Tally,
    held: Option<ProcessMemory>,
    after: Option<ProcessMemory>,
}

/// Runs the scenario.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub(crate) fn run(lab: &Lab<'_>) -> Result<Report, LoadError> {
    let (count, rounds) = (
        lab.args.len(Count::Connections),
        lab.args.len(Count::Rounds),
    );
    let mut herd = lab.herd(0, count, count)?;
    lab.open(&mut herd, &lab.open_plan(count.min(64), 64))?;
    herd.close()?;
    lab.server.wait_quiet()?;
    let base = lab.server.memory()?;
    let mut done = Vec::new();
    for number in 1..=rounds {
        lab.say(|| format!("round {number} of {rounds}"));
        let plan = OpenPlan {
            deadline: lab.deadline.or_after_ms(SERVED_MS),
            ..lab.open_plan(count, count)
        };
        let opening = lab.open(&mut herd, &plan)?;
        lab.server.wait_quiet()?;
        let held = lab.server.memory()?;
        let tally = herd.settle(0)?.tally;
        herd.close()?;
        lab.server.wait_quiet()?;
        done.push(Round {
            opening,
            tally,
            held,
            after: lab.server.memory()?,
        });
    }
    Ok(report(lab, count, base, &done))
}

fn report(lab: &Lab<'_>, count: usize, base: Option<ProcessMemory>, rounds: &[Round]) -> Report {
    let columns = (1..=rounds.len())
        .map(|number| format!("round {number}"))
        .collect();
    let settings = format!("{count} clients at the same instant, each opens a stream");
    let mut report = Report::new(lab.args.scenario.name(), settings, columns);
    let served = |round: &Round| Some(round.opening.result.opened as f64);
    report.row("served", "clients served", "", rounds.iter().map(served));
    let refused = |round: &Round| Some(round.opening.result.failed as f64);
    report.row(
        "refused",
        "refused or not answered",
        "",
        rounds.iter().map(refused),
    );
    let took = |round: &Round| Some(round.opening.took_s * 1e3);
    report.row(
        "all_served_ms",
        "all served within",
        "ms",
        rounds.iter().map(took),
    );
    let cpu = |round: &Round| {
        round
            .opening
            .cpu_ns
            .map(|ns| ns / 1e3 / round.opening.result.opened as f64)
    };
    report.row(
        "cpu_us_per_client",
        "server CPU per client",
        "µs",
        rounds.iter().map(cpu),
    );
    let mebibytes = |memory: ProcessMemory| memory.rss as f64 / 1_048_576.0;
    let base = base.map(mebibytes);
    report.row(
        "rss_base_mib",
        "resident before the first",
        "MiB",
        rounds.iter().map(|_| base),
    );
    let held = |round: &Round| round.held.map(mebibytes);
    report.row(
        "rss_held_mib",
        "resident with all held",
        "MiB",
        rounds.iter().map(held),
    );
    let after = |round: &Round| round.after.map(mebibytes);
    report.row(
        "rss_after_mib",
        "resident after all left",
        "MiB",
        rounds.iter().map(after),
    );
    let share = |round: &Round| ratio(after(round), base);
    report.row(
        "rss_after_ratio",
        "  as a ratio of before",
        "",
        rounds.iter().map(share),
    );
    let tallies: Vec<&Tally> = rounds.iter().map(|round| &round.tally).collect();
    report.tallies(&tallies);
    for (number, round) in (1..).zip(rounds) {
        lab::blame(
            &mut report,
            &format!("round {number}"),
            &round.opening.result,
        );
    }
    report
}
