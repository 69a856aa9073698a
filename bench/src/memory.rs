//! What the process occupies.

use shard::io::sys;

/// Resident bytes, after unused memory was given back.
pub(crate) fn resident_len() -> std::io::Result<u64> {
    sys::trim_heap();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = kib.and_then(|kib| kib.parse().ok()).unwrap_or(0);
    Ok(kib * 1024)
}
