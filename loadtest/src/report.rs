//! What a run found: one table, written for people and for machines.

mod json;
mod table;

use hdrhistogram::Histogram;

pub(crate) use self::json::to_json;
pub(crate) use self::table::to_table;
use crate::ledger::Tally;

/// One figure, for each column of the report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Its name for machines.
    pub(crate) key: String,
    /// Its name for people.
    pub(crate) label: String,
    /// Its unit, or empty.
    pub(crate) unit: &'static str,
    /// Its value in each column.
    pub(crate) values: Vec<Option<f64>>,
}

/// The findings of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// The scenario's name.
    pub(crate) scenario: &'static str,
    /// What was asked for, in words.
    pub(crate) settings: String,
    /// The columns: contestants, cycles or rounds.
    pub(crate) columns: Vec<String>,
    /// The figures.
    pub(crate) rows: Vec<Row>,
    /// Remarks for people.
    pub(crate) notes: Vec<String>,
    /// Why the run counts as failed, if it does.
    pub(crate) faults: Vec<String>,
}

impl Report {
    /// A report without figures.
    pub(crate) fn new(scenario: &'static str, settings: String, columns: Vec<String>) -> Self {
        Self {
            scenario,
            settings,
            columns,
            rows: Vec::new(),
            notes: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Adds a figure; `values` belong to the columns in order, missing ones are left empty.
    pub(crate) fn row(
        &mut self,
        key: &str,
        label: &str,
        unit: &'static str,
        values: impl IntoIterator<Item = Option<f64>>,
    ) {
        let mut values: Vec<Option<f64>> = values.into_iter().collect();
        values.resize(self.columns.len(), None);
        self.rows.push(Row {
            key: key.to_owned(),
            label: label.to_owned(),
            unit,
            values,
        });
    }

    /// Adds the percentiles of times in nanoseconds, as microseconds, one column each.
    pub(crate) fn latency(&mut self, what: &str, columns: &[&Histogram<u64>]) {
        for (key, label, quantile) in [
            ("p50_us", "p50", 0.5),
            ("p99_us", "p99", 0.99),
            ("p999_us", "p99.9", 0.999),
            ("max_us", "max", 1.0),
        ] {
            let value = |histogram: &&Histogram<u64>| {
                (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e3)
            };
            let label = format!("{what}, {label}");
            self.row(key, &label, "µs", columns.iter().map(value));
        }
    }

    /// Adds what was lost, doubled or broken, one column each; any of it is a fault.
    pub(crate) fn tallies(&mut self, columns: &[&Tally]) {
        type Part = (&'static str, &'static str, fn(&Tally) -> u64);
        let parts: [Part; 5] = [
            ("received", "messages received", |tally| tally.received),
            ("lost", "messages lost", |tally| tally.lost),
            ("doubled", "messages doubled", |tally| tally.doubled),
            ("foreign", "lines not published", |tally| tally.foreign),
            ("broken", "streams broken", |tally| tally.broken),
        ];
        for (key, label, part) in parts {
            let values: Vec<_> = columns
                .iter()
                .map(|tally| Some(part(tally) as f64))
                .collect();
            self.row(key, label, "", values);
        }
        for (tally, column) in columns.iter().zip(self.columns.clone()) {
            if !tally.is_clean() {
                let Tally {
                    lost,
                    doubled,
                    foreign,
                    broken,
                    ..
                } = tally;
                self.faults.push(format!(
                    "{column}: {lost} lost, {doubled} doubled, {foreign} foreign, {broken} broken"
                ));
            }
        }
    }

    /// Whether nothing went wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// The middle of some figures, or `None` of none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// `a / b`, if both are there and `b` is not 0.
pub(crate) fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? / b.filter(|b| *b != 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_ratio_needs_both_sides() {
        assert_eq!(ratio(Some(1.0), Some(4.0)), Some(0.25));
        assert_eq!(ratio(None, Some(4.0)), None);
        assert_eq!(ratio(Some(1.0), Some(0.0)), None);
    }

    #[test]
    fn a_lost_message_is_a_fault_of_its_column() {
        let mut report = Report::new("x", String::new(), vec!["a".into(), "b".into()]);
        let lost = Tally {
            lost: 1,
            ..Tally::default()
        };
        report.tallies(&[&Tally::default(), &lost]);
        assert_eq!(report.faults.len(), 1);
        assert!(report.faults[0].starts_with("b: 1 lost"));
    }
}
