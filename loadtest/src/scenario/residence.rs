//! Rows about resident memory: before, with everything held, after all have left.

use crate::machine::memory::ProcessMemory;
use crate::report::{Report, ratio};

/// Adds the rows; `looks` are the memory while held and after, one pair per column.
pub(super) fn rows(
    report: &mut Report,
    base: Option<ProcessMemory>,
    looks: &[(Option<ProcessMemory>, Option<ProcessMemory>)],
) {
    let mebibytes = |memory: ProcessMemory| memory.rss as f64 / 1_048_576.0;
    let base = base.map(mebibytes);
    let held = looks.iter().map(|(held, _)| held.map(mebibytes));
    let after = || looks.iter().map(|(_, after)| after.map(mebibytes));
    let label = "resident with none held";
    report.row("rss_base_mib", label, "MiB", looks.iter().map(|_| base));
    report.row("rss_held_mib", "resident with all held", "MiB", held);
    report.row("rss_after_mib", "resident after all left", "MiB", after());
    let shares = after().map(|after| ratio(after, base));
    report.row("rss_after_ratio", "  as a ratio of none held", "", shares);
}
