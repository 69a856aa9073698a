//! What is measured: one file for each scenario.

mod channels;
mod churn;
mod contest;
mod fanout;
mod idle;
mod latency;
mod longpoll;
mod proxy;
mod residence;
mod stampede;

use crate::args::{Args, Scenario};
use crate::error::LoadError;
use crate::report::Report;

/// Runs the scenario that `args` names.
///
/// # Errors
/// [`LoadError`] when there is nothing to report; what was lost or doubled is in the report.
pub(crate) fn run(args: &Args) -> Result<Report, LoadError> {
    let lab = crate::lab::Lab::start(args)?;
    let mut report = match args.scenario {
        Scenario::Idle | Scenario::Hold => idle::run(&lab),
        Scenario::Fanout => fanout::run(&lab),
        Scenario::Channels => channels::run(&lab),
        Scenario::Proxy => proxy::run(&lab),
        Scenario::Churn => churn::run(&lab),
        Scenario::Longpoll => longpoll::run(&lab),
        Scenario::Latency => latency::run(&lab),
        Scenario::Stampede => stampede::run(&lab),
    }?;
    if lab.deadline.passed() {
        report.faults.push(format!(
            "not finished within {} s (--timeout)",
            args.timeout_s
        ));
    }
    Ok(report)
}
