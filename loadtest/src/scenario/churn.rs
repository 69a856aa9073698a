//! `churn`: a herd of clients at the same instant; all must be served; then all leave; again.

use super::residence;
use crate::args::Count;
use crate::client::herd::OpenPlan;
use crate::error::LoadError;
use crate::lab::{self, Lab, Opening};
use crate::ledger::Tally;
use crate::machine::memory::ProcessMemory;
use crate::report::Report;

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
    let looks: Vec<_> = rounds
        .iter()
        .map(|round| (round.held, round.after))
        .collect();
    residence::rows(&mut report, base, &looks);
    held_rows(&mut report, rounds);
    report
}

/// Adds what went wrong, opening or holding.
fn held_rows(report: &mut Report, rounds: &[Round]) {
    let broken = |round: &Round| Some(round.tally.broken as f64);
    report.row(
        "broken",
        "streams broken while held",
        "",
        rounds.iter().map(broken),
    );
    for (number, round) in (1..).zip(rounds) {
        if !round.tally.is_clean() {
            let broken = round.tally.broken;
            report.faults.push(format!(
                "round {number}: {broken} streams broken while held"
            ));
        }
        lab::blame(report, &format!("round {number}"), &round.opening.result);
    }
}
