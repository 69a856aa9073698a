//! Checks at start: whether this machine lets us run, and what to change when it does not.
//!
//! Each failure is one sentence with the remedy in it. Nothing is left open or changed, but for
//! the open-files limit, which is raised as far as the machine allows.

use std::fs;
use std::io;
use std::path::Path;

use super::sys::{self, ring::Ring};

/// The least memory that one executor must be allowed to pin; glommio refuses to start under it.
pub const LOCKED_MEMORY_MIN: u64 = 512 * 1_024;
/// What each executor needs of the locked-memory limit: 27 came up under 8 MiB.
pub const LOCKED_MEMORY_PER_EXECUTOR: u64 = 304 * 1_024;
/// Descriptors of a shard that serve no connection: its ring, listeners, a spare, certificates
/// while they are read, and what the process has open anyway.
pub const FILES_PER_SHARD: u64 = 32;
/// Descriptors of an executor, made before tables part, hence in every table.
pub const FILES_PER_EXECUTOR: u64 = 8;
/// The kernel that brought multishot accept.
pub const KERNEL_MIN: (u32, u32) = (5, 19);
/// Says whether io_uring is allowed: 0 yes, 1 for a group, 2 no. Missing before kernel 6.6.
const IO_URING_DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";
/// The kernel's release, such as `6.18.44`.
const KERNEL_RELEASE: &str = "/proc/sys/kernel/osrelease";

/// Why this machine cannot run us, and what would change that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// The kernel has no multishot accept.
    #[error(
        "Linux {release} is too old: io_uring with multishot accept needs {}.{} or newer",
        KERNEL_MIN.0, KERNEL_MIN.1
    )]
    KernelTooOld {
        /// Its release.
        release: String,
    },
    /// The administrator has switched io_uring off.
    #[error(
        "io_uring is switched off on this machine (kernel.io_uring_disabled = {value}): \
         run 'sysctl kernel.io_uring_disabled=0'"
    )]
    RingDisabled {
        /// The setting.
        value: u8,
    },
    /// Something refuses the system call, usually a container's profile.
    #[error(
        "io_uring is forbidden here ({source}): a container needs a seccomp profile that allows \
         io_uring_setup, io_uring_enter and io_uring_register (docker: \
         '--security-opt seccomp=FILE', or 'seccomp=unconfined' to try)"
    )]
    RingForbidden {
        /// What the kernel said.
        source: io::Error,
    },
    /// The ring cannot be made for another reason.
    #[error("cannot make an io_uring: {source}")]
    RingFailed {
        /// What the kernel said.
        source: io::Error,
    },
    /// The executors could not pin their rings.
    #[error(
        "the locked-memory limit of {limit} bytes is too small for {executors} executors: set it \
         to {needed} bytes or more ('ulimit -l {}', 'LimitMEMLOCK={needed}' for systemd, \
         '--ulimit memlock={needed}' for docker), or run fewer shards",
        needed.div_ceil(1_024)
    )]
    LockedMemory {
        /// The limit, in bytes.
        limit: u64,
        /// What is needed, in bytes.
        needed: u64,
        /// How many executors were asked for.
        executors: u32,
    },
    /// The limit of open files leaves no room for connections.
    #[error(
        "the open-files limit of {limit} is too small for {shards} shards: set it to {needed} or \
         more ('ulimit -n {needed}', 'LimitNOFILE={needed}' for systemd)"
    )]
    OpenFiles {
        /// The limit that holds.
        limit: u64,
        /// The least that would do.
        needed: u64,
        /// How many shards were asked for.
        shards: u32,
    },
    /// The open-files limit cannot be raised to its own hard limit.
    #[error("cannot raise the open-files limit: {source}")]
    OpenFilesRaise {
        /// What the kernel said.
        source: io::Error,
    },
}

/// What is going to be started.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Shards.
    pub shards: u32,
    /// Executors, the control thread's included.
    pub executors: u32,
    /// Whether each shard gets a descriptor table of its own.
    pub private_tables: bool,
}

/// What the machine allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The open-files limit, after raising.
    pub open_files: u64,
    /// Connections that fit under it, over all shards.
    pub connections: u64,
}

/// Checks everything that `plan` needs, before anything is started.
///
/// # Errors
/// The first thing that is missing.
pub fn check(plan: Plan) -> Result<Allowance, PreflightError> {
    kernel(&fs::read_to_string(KERNEL_RELEASE).unwrap_or_default())?;
    ring()?;
    locked_memory(sys::locked_memory_max(), plan.executors, is_privileged())?;
    let open_files = sys::raise_open_files_limit()
        .map_err(|source| PreflightError::OpenFilesRaise { source })?;
    let connections = capacity(open_files, plan.shards, plan.private_tables);
    if connections == 0 {
        let needed = 2 * overhead(u64::from(plan.shards), plan.private_tables);
        return Err(PreflightError::OpenFiles {
            limit: open_files,
            needed,
            shards: plan.shards,
        });
    }
    Ok(Allowance {
        open_files,
        connections,
    })
}

/// Connections, clients' and backends' together, that fit under the open-files limit `limit`: it
/// counts per shard when the tables are private, else for the whole process.
#[must_use]
pub fn capacity(limit: u64, shards: u32, private_tables: bool) -> u64 {
    let shards = u64::from(shards);
    if private_tables {
        limit
            .saturating_sub(overhead(shards, true))
            .saturating_mul(shards)
    } else {
        limit.saturating_sub(overhead(shards, false))
    }
}

/// Descriptors in one table that serve no connection.
fn overhead(shards: u64, private_tables: bool) -> u64 {
    let own = if private_tables { 1 } else { shards };
    // The control thread has an executor as well.
    (shards + 1) * FILES_PER_EXECUTOR + own * FILES_PER_SHARD
}

/// Whether the kernel of this `release` is new enough. One that cannot be read is given the
/// benefit of the doubt: the ring itself is tried next.
fn kernel(release: &str) -> Result<(), PreflightError> {
    let release = release.trim();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Ok(());
    };
    if (major, minor) < KERNEL_MIN {
        return Err(PreflightError::KernelTooOld {
            release: release.to_owned(),
        });
    }
    Ok(())
}

/// Whether a ring can be made.
fn ring() -> Result<(), PreflightError> {
    match Ring::new(RING_DEPTH, RING_DEPTH) {
        Ok(_) => Ok(()),
        Err(error) => Err(ring_refused(
            error,
            io_uring_disabled(Path::new(IO_URING_DISABLED)),
        )),
    }
}

/// The trial ring is as small as they come.
const RING_DEPTH: u32 = 8;

/// Why the kernel has refused a ring.
fn ring_refused(source: io::Error, disabled: u8) -> PreflightError {
    match source.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM | libc::EACCES) if disabled > 0 => {
            PreflightError::RingDisabled { value: disabled }
        }
        Some(libc::ENOSYS | libc::EPERM | libc::EACCES) => PreflightError::RingForbidden { source },
        _ => PreflightError::RingFailed { source },
    }
}

fn io_uring_disabled(setting: &Path) -> u8 {
    fs::read_to_string(setting)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// Whether `executors` can pin what they need under `limit` bytes (none: no limit). glommio looks
/// at the limit even when the kernel does not, as for a `privileged` process.
fn locked_memory(
    limit: Option<u64>,
    executors: u32,
    privileged: bool,
) -> Result<(), PreflightError> {
    let Some(limit) = limit else {
        return Ok(());
    };
    let all = LOCKED_MEMORY_PER_EXECUTOR.saturating_mul(u64::from(executors));
    let needed = if privileged {
        LOCKED_MEMORY_MIN
    } else {
        all.max(LOCKED_MEMORY_MIN)
    };
    if limit < needed {
        return Err(PreflightError::LockedMemory {
            limit,
            needed,
            executors,
        });
    }
    Ok(())
}

/// Whether the kernel lets this process pin as much as it likes (`CAP_IPC_LOCK`).
fn is_privileged() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> CAP_IPC_LOCK & 1 == 1)
}

#[cfg(test)]
mod tests;
