//! The shard's clock: the only place that asks the machine what time it is.
//!
//! `core` never does; it gets the time with each event. Tests hand it any time they like.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since it was started, and the wall clock's seconds.
///
/// A reading is a call into the kernel's shared page (some 20 ns), no system call.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that stands at 0 ms now. Copies of it agree with each other.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is io::clock, the one that may ask"
    )]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Milliseconds since [`Clock::start`]. Never goes back; unmoved by changes of the wall clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    /// Microseconds since [`Clock::start`], for measuring how long something took.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Seconds since 1970 by the wall clock; 0 when that is set to something earlier.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is io::clock, the one that may ask"
    )]
    pub fn unix_s(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}

/// `duration` in whole milliseconds; longer than 584 million years is cut off.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_starts_near_zero_and_never_goes_back() {
        let clock = Clock::start();
        let mut before = clock.now_us();
        assert!(before < 1_000_000, "{before}");
        for _ in 0..1_000 {
            let now = clock.now_us();
            assert!(now >= before);
            before = now;
        }
        assert!(clock.now_ms() >= before / 1_000);
    }

    #[test]
    fn copies_agree_on_when_the_clock_started() {
        let clock = Clock::start();
        let copy = clock;
        let (first, second) = (clock.now_us(), copy.now_us());
        assert!(second >= first);
    }

    #[test]
    fn the_wall_clock_is_past_the_year_2024() {
        assert!(Clock::start().unix_s() > 1_704_067_200);
    }
}
