//! Memory of a process (`/proc/PID/smaps_rollup`) and of the kernel (`/proc/meminfo`, slabs).

use std::fs;

use crate::error::LoadError;

/// Memory of one process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProcessMemory {
    /// Resident pages of every kind.
    pub(crate) rss: u64,
    /// Resident pages that are no file's: heap and stacks.
    pub(crate) anonymous: u64,
    /// Pages written to by this process alone.
    pub(crate) private_dirty: u64,
}

/// Kernel memory of the whole machine, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KernelMemory {
    /// All slab pages, slack included.
    pub(crate) slab: u64,
    /// Objects in use, without slack, where `/proc/slabinfo` may be read.
    pub(crate) objects: Option<u64>,
}

/// Reads the memory of process `pid`.
///
/// # Errors
/// [`LoadError::Io`] when the process is gone or belongs to another user.
pub(crate) fn of_process(pid: u32) -> Result<ProcessMemory, LoadError> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .map_err(LoadError::io("reading the server's memory"))?;
    Ok(ProcessMemory {
        rss: kilobytes(&text, "Rss:"),
        anonymous: kilobytes(&text, "Anonymous:"),
        private_dirty: kilobytes(&text, "Private_Dirty:"),
    })
}

/// Reads the kernel's slab memory; zero where it cannot be read.
pub(crate) fn of_kernel() -> KernelMemory {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let slabs = fs::read_to_string("/proc/slabinfo").ok();
    KernelMemory {
        slab: kilobytes(&meminfo, "Slab:"),
        objects: slabs.as_deref().map(object_bytes),
    }
}

/// The value of a line `Label:   123 kB`, in bytes; 0 when there is none.
fn kilobytes(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// Active objects times their size, over all caches of a slabinfo text.
fn object_bytes(text: &str) -> u64 {
    text.lines().skip(2).filter_map(cache_bytes).sum()
}

fn cache_bytes(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace().skip(1);
    let active: u64 = words.next()?.parse().ok()?;
    let size: u64 = words.nth(1)?.parse().ok()?;
    Some(active * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labelled_kilobytes_become_bytes() {
        let text = "Rss:                1234 kB\nAnonymous:            10 kB\n";
        assert_eq!(kilobytes(text, "Rss:"), 1234 * 1024);
        assert_eq!(kilobytes(text, "Anonymous:"), 10 * 1024);
        assert_eq!(kilobytes(text, "Pss:"), 0);
    }

    #[test]
    fn slab_objects_are_active_times_size() {
        let text = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n\
                    TCP 10 12 2368 13 8 : tunables 0 0 0\nfilp 100 120 192 21 1 : tunables 0 0 0\n";
        assert_eq!(object_bytes(text), 10 * 2368 + 100 * 192);
    }

    #[test]
    fn this_process_has_memory() {
        let memory = of_process(std::process::id()).unwrap();
        assert!(memory.rss > 0 && memory.anonymous > 0 && memory.rss >= memory.anonymous);
    }
}
