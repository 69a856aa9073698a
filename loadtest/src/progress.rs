//! A line now and then on standard error, so that a long run is not silent.

use crate::clock;

/// The shortest time between two lines, in nanoseconds.
const GAP_NS: u64 = 2_000_000_000;

/// Says how far a run is, but not too often.
#[derive(Debug)]
pub(crate) struct Progress {
    scenario: &'static str,
    last_ns: u64,
}

impl Progress {
    /// Nothing said yet; the first line comes after a while.
    pub(crate) fn new(scenario: &'static str) -> Self {
        Self {
            scenario,
            last_ns: clock::now_ns(),
        }
    }

    /// Prints `text` unless another line was printed just before.
    pub(crate) fn say(&mut self, text: impl FnOnce() -> String) {
        let now = clock::now_ns();
        if now.saturating_sub(self.last_ns) >= GAP_NS {
            self.last_ns = now;
            eprintln!("{}: {}", self.scenario, text());
        }
    }
}
