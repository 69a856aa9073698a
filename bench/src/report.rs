//! The figures, for people and for machines.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::harness::Figure;

/// Aligned text, a heading for each group.
pub(crate) fn table(figures: &[Figure]) -> String {
    let label = |figure: &Figure| {
        let (group, label) = figure.name.split_once('/').unwrap_or_default();
        (group.to_owned(), label.to_owned())
    };
    let widths = figures.iter().map(|f| label(f).1.chars().count());
    let width = widths.max().unwrap_or(0);
    let mut out = String::new();
    let mut last_group = String::new();
    for figure in figures {
        let (group, label) = label(figure);
        if group != last_group {
            // Writing to a string cannot fail.
            let width = width + 2;
            let _ = writeln!(
                out,
                "\n{group:<width$}  {:>10}      {:>22}",
                "median", "quartiles"
            );
            last_group = group;
        }
        let [median, low, high] = [figure.median, figure.low, figure.high].map(number);
        let _ = writeln!(
            out,
            "  {label:<width$}  {median:>10} {:<3}{low:>10} .. {high:>9}",
            figure.unit
        );
    }
    out
}

/// An object with the machine and a list of all figures.
pub(crate) fn json(figures: &[Figure]) -> String {
    let rows: Vec<Value> = figures
        .iter()
        .map(|figure| {
            json!({
                "name": figure.name,
                "unit": figure.unit,
                "median": figure.median,
                "low": figure.low,
                "high": figure.high,
                "rounds": figure.rounds,
            })
        })
        .collect();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let report = json!({
        "machine": { "cores": cores, "kernel": kernel.trim() },
        "figures": rows,
    });
    format!("{report:#}\n")
}

/// As many decimals as the number deserves.
fn number(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 1000.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        Figure {
            name: "hub/subscribe".to_owned(),
            unit: "ns",
            median: 12.25,
            low: 11.0,
            high: 1500.0,
            rounds: 15,
        }
    }

    #[test]
    fn the_table_names_group_benchmark_and_unit() {
        let table = table(&[figure()]);
        for word in ["hub", "  subscribe", "12.2", "ns", "1500"] {
            assert!(table.contains(word), "{word} in {table}");
        }
    }

    #[test]
    fn machines_find_each_figure_by_its_full_name() {
        let report: Value = serde_json::from_str(&json(&[figure()])).unwrap();
        assert_eq!(report["figures"][0]["name"], "hub/subscribe");
        assert_eq!(report["figures"][0]["median"], 12.25);
    }
}
