//! The report for machines.

use serde_json::{Map, Value, json};

use super::Report;
use crate::machine::cores;

/// Writes the report as a JSON object; `command` is what was typed.
pub(crate) fn to_json(report: &Report, command: &[String]) -> Value {
    let rows: Vec<Value> = report
        .rows
        .iter()
        .map(|row| {
            let values: Map<String, Value> = report
                .columns
                .iter()
                .cloned()
                .zip(row.values.iter().map(|v| json!(v)))
                .collect();
            json!({ "key": row.key, "label": row.label, "unit": row.unit, "values": values })
        })
        .collect();
    json!({
        "scenario": report.scenario,
        "settings": report.settings,
        "command": command,
        "machine": { "cores": cores::allowed().len(), "kernel": kernel() },
        "columns": report.columns,
        "rows": rows,
        "notes": report.notes,
        "faults": report.faults,
        "ok": report.is_clean(),
    })
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    release.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_found_by_key_and_column() {
        let mut report = Report::new("idle", "a run".into(), vec!["one".into(), "two".into()]);
        report.row("k", "figure", "B", [Some(1.5)]);
        let value = to_json(&report, &["idle".to_owned()]);
        assert_eq!(value["rows"][0]["key"], "k");
        assert_eq!(value["rows"][0]["values"]["one"], 1.5);
        assert_eq!(value["rows"][0]["values"]["two"], Value::Null);
        assert_eq!(value["ok"], true);
    }
}
