//! What the kernel tells about processes, memory, cores and limits.

pub(crate) mod cores;
pub(crate) mod memory;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;

use crate::clock;
use crate::error::LoadError;

/// Raises the soft open-files limit to the hard one and returns it.
///
/// Children inherit it.
///
/// # Errors
/// [`LoadError::Io`] when the limit can be neither read nor set.
pub(crate) fn raise_files_limit() -> Result<u64, LoadError> {
    let what = "raising the open-files limit";
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(LoadError::sys(what))?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(LoadError::sys(what))?;
    Ok(hard)
}

/// User and system time that all threads of a process have used, in nanoseconds.
///
/// The process's own CPU clock: the sum that `/proc/PID/stat` shows as utime + stime, without
/// its rounding to 10 ms.
///
/// # Errors
/// [`LoadError::Io`] when there is no such process.
pub(crate) fn cpu_time_ns(pid: u32) -> Result<u64, LoadError> {
    let what = "reading the server's CPU time";
    let pid = Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
    let clock = ClockId::pid_cpu_clock_id(pid).map_err(LoadError::sys(what))?;
    let time = clock.now().map_err(LoadError::sys(what))?;
    Ok(clock::nanoseconds(&time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_of_this_process_is_counted_and_grows() {
        let before = cpu_time_ns(std::process::id()).unwrap();
        let mut sum = 0u64;
        for n in 0..2_000_000u64 {
            sum = sum.wrapping_add(std::hint::black_box(n));
        }
        assert!(sum > 0);
        assert!(cpu_time_ns(std::process::id()).unwrap() > before);
    }
}
