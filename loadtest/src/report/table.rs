//! The report for people.

use std::fmt::Write;

use super::{Report, Row};

/// Writes the report as aligned text.
pub(crate) fn to_table(report: &Report) -> String {
    let mut out = format!("\n{}: {}\n\n", report.scenario, report.settings);
    let label_of = |row: &Row| match row.unit {
        "" => row.label.clone(),
        unit => format!("{} ({unit})", row.label),
    };
    let labels: Vec<String> = report.rows.iter().map(label_of).collect();
    let label_width = labels
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0);
    let width = |column: &str| column.chars().count().max(12);
    // Writing to a string cannot fail.
    let _ = write!(out, "{:label_width$}", "");
    for column in &report.columns {
        let _ = write!(out, "  {column:>width$}", width = width(column));
    }
    out.push('\n');
    for (row, label) in report.rows.iter().zip(&labels) {
        let _ = write!(out, "{label:label_width$}");
        for (value, column) in row.values.iter().zip(&report.columns) {
            let text = value.map_or_else(|| "-".to_owned(), number);
            let _ = write!(out, "  {text:>width$}", width = width(column));
        }
        out.push('\n');
    }
    for note in &report.notes {
        let _ = write!(out, "\n{note}");
    }
    if !report.notes.is_empty() {
        out.push('\n');
    }
    for fault in &report.faults {
        let _ = write!(out, "\nFAULT: {fault}");
    }
    out.push_str(if report.is_clean() { "\nok\n" } else { "\n" });
    out
}

/// A figure with as many decimals as it deserves and its thousands apart.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && magnitude < 10.0 && value.fract() != 0.0 {
        return format!("{value:.3}");
    }
    if magnitude < 100.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{magnitude:.0}");
    let mut out = String::new();
    if value < 0.0 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_readably() {
        for (value, text) in [
            (0.0, "0"),
            (3.0, "3"),
            (0.9312, "0.931"),
            (56.78, "56.8"),
            (384.4, "384"),
            (1_234_567.0, "1,234,567"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_table_has_a_line_per_figure_and_says_ok() {
        let mut report = Report::new("idle", "a run".into(), vec!["one".into(), "two".into()]);
        report.row("k", "figure", "B", [Some(1.0)]);
        let text = to_table(&report);
        assert!(
            text.contains("figure (B)             1             -\n"),
            "{text}"
        );
        assert!(text.ends_with("\nok\n"));
    }
}
