//! The two clocks of a measurement, in nanoseconds.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Time that passes for everyone.
pub(crate) fn wall_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Time that this thread has spent on a core: what others do to the machine counts less.
pub(crate) fn cpu_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
}

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = time.tv_sec.unsigned_abs();
    seconds * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    wall_ns: u64,
    cpu_ns: u64,
}

/// What passed since a [`Watch`] was started, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lap {
    /// By the wall clock.
    pub(crate) wall_ns: u64,
    /// On this thread.
    pub(crate) cpu_ns: u64,
}

impl Watch {
    /// Begins now.
    pub(crate) fn start() -> Self {
        let cpu_ns = cpu_ns();
        Self {
            wall_ns: wall_ns(),
            cpu_ns,
        }
    }

    /// What has passed.
    pub(crate) fn lap(self) -> Lap {
        Lap {
            wall_ns: wall_ns() - self.wall_ns,
            cpu_ns: cpu_ns() - self.cpu_ns,
        }
    }
}
