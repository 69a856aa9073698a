//! Instructions per call: the same on a busy machine and on a quiet one.
//!
//! This program is run twice under valgrind, with N and with 3 N calls: the difference is what
//! 2 N calls take, without start-up and preparation.

use std::process::Command;

use crate::error::BenchError;

/// Calls of the shorter run.
const CALLS: u64 = 20;

/// Counts for the one benchmark, or cycle, whose name is given.
///
/// # Errors
/// Valgrind is missing, or failed, or there is not exactly one name.
pub(crate) fn count(names: &[String]) -> Result<String, BenchError> {
    let [name] = names else {
        return Err(BenchError::Counter("give exactly one name".to_owned()));
    };
    let short = collected(name, CALLS)?;
    let long = collected(name, CALLS * 3)?;
    let per_call = long.saturating_sub(short) / (CALLS * 2);
    Ok(format!(
        "{name}: {per_call} instructions per call (one call of a cycle runs all its steps)\n"
    ))
}

/// Instructions of a whole run.
fn collected(name: &str, calls: u64) -> Result<u64, BenchError> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .arg(name)
        .args(["--calls", &calls.to_string()])
        .output()
        .map_err(|error| BenchError::Counter(format!("valgrind does not start: {error}")))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let number = |line: &str| line.split("Collected :").nth(1)?.trim().parse().ok();
    match text.lines().find_map(number) {
        Some(instructions) if output.status.success() => Ok(instructions),
        _ => {
            let last = text.lines().last().unwrap_or("no output");
            Err(BenchError::Counter(format!("valgrind says: {last}")))
        }
    }
}
