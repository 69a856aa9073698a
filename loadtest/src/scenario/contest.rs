//! A contest between the server and a yardstick: rounds in turn, compared by their medians.

use crate::clock;
use crate::report::{Report, median, ratio};

/// One round of one contestant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Operations done.
    pub(super) operations: u64,
    /// Time it took, in nanoseconds.
    pub(super) wall_ns: u64,
    /// CPU time that the contestant used, in nanoseconds, if known.
    pub(super) cpu_ns: Option<u64>,
}

/// Adds operations per second and CPU per operation, one column per contestant and, with two or
/// more, a ratio of the first to the second as the last.
pub(super) fn compare(report: &mut Report, what: &str, contestants: &[&[Round]]) {
    let rate = |rounds: &&[Round]| {
        let rates: Vec<f64> = rounds
            .iter()
            .map(|round| round.operations as f64 / clock::seconds(round.wall_ns.max(1)))
            .collect();
        median(&rates)
    };
    let cpu = |rounds: &&[Round]| {
        let costs: Vec<f64> = rounds
            .iter()
            .filter_map(|round| Some(round.cpu_ns? as f64 / 1e3 / round.operations.max(1) as f64))
            .collect();
        median(&costs)
    };
    let rates = contestants.iter().map(rate).collect();
    let costs = contestants.iter().map(cpu).collect();
    row(
        report,
        "per_s",
        &format!("{what} per second, median"),
        "1/s",
        rates,
    );
    row(
        report,
        "cpu_us",
        &format!("CPU per {what}, median"),
        "µs",
        costs,
    );
}

fn row(
    report: &mut Report,
    key: &str,
    label: &str,
    unit: &'static str,
    mut values: Vec<Option<f64>>,
) {
    if let [first, second, ..] = values.as_slice() {
        let ratio = ratio(*first, *second);
        values.resize(report.columns.len() - 1, None);
        values.push(ratio);
    }
    report.row(key, label, unit, values);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_the_medians() {
        let round = |operations| Round {
            operations,
            wall_ns: 1_000_000_000,
            cpu_ns: Some(1_000),
        };
        let ours = [round(1), round(50), round(1_000)];
        let bare = [round(100), round(100), round(3)];
        let columns = ["a", "b", "ratio"].map(str::to_owned).to_vec();
        let mut report = Report::new("x", String::new(), columns);
        compare(&mut report, "things", &[&ours, &bare]);
        assert_eq!(report.rows[0].values, [Some(50.0), Some(100.0), Some(0.5)]);
        assert_eq!(report.rows[1].values[2], Some(2.0));
    }

    #[test]
    fn one_contestant_has_no_ratio() {
        let round = Round {
            operations: 1,
            wall_ns: 1,
            cpu_ns: None,
        };
        let mut report = Report::new("x", String::new(), vec!["a".to_owned()]);
        compare(&mut report, "things", &[&[round]]);
        assert_eq!(report.rows[1].values, [None]);
    }
}
