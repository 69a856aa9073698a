//! Counts the page requests after an update: how many, how close together, how many at once.

use std::collections::VecDeque;

use super::desk::number;

/// The width of the window in which the most requests are looked for, in nanoseconds.
const WINDOW_NS: u64 = 100_000_000;

/// What is watched, since when it was asked for.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Whether it was asked for.
    pub(super) is_on: bool,
    /// Whether pages are answered instead of held.
    pub(super) answers: bool,
    /// How long an answer takes, in nanoseconds.
    pub(super) delay_ns: u64,
    requests: u64,
    last_ns: u64,
    recent: VecDeque<u64>,
    window_max: usize,
    in_flight: u64,
    in_flight_max: u64,
}

impl Watch {
    /// Begins anew, as `/watch?answer=0|1&delay_ms=N` says.
    pub(super) fn begin(query: &str) -> Self {
        Self {
            is_on: true,
            answers: number(query, "answer") == Some(1),
            delay_ns: number(query, "delay_ms").unwrap_or(0).min(60_000) * 1_000_000,
            ..Self::default()
        }
    }

    /// A request has come.
    pub(super) fn arrived(&mut self, now_ns: u64) {
        self.requests += 1;
        self.in_flight += 1;
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
        let start = now_ns.saturating_sub(WINDOW_NS);
        // Bounded by the requests of one window.
        while self.recent.front().is_some_and(|&at| at <= start) {
            self.recent.pop_front();
        }
        self.recent.push_back(now_ns);
        self.window_max = self.window_max.max(self.recent.len());
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, now_ns: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.last_ns = now_ns;
    }

    /// What was seen, as JSON.
    pub(super) fn to_json(&self) -> String {
        let Self {
            requests,
            last_ns,
            window_max,
            in_flight,
            in_flight_max,
            ..
        } = self;
        format!(
            "{{\"requests\":{requests},\"last_ns\":{last_ns},\"window_max\":{window_max},\
             \"in_flight\":{in_flight},\"in_flight_max\":{in_flight_max}}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_requests_of_any_window_are_found() {
        let mut watch = Watch::begin("answer=0&delay_ms=0");
        for at_ms in [1_000, 1_050, 1_090, 1_099, 1_100, 1_149, 1_300] {
            watch.arrived(at_ms * 1_000_000);
        }
        assert_eq!((watch.requests, watch.window_max), (7, 5));
    }

    #[test]
    fn requests_without_their_answers_are_in_flight() {
        let mut watch = Watch::begin("");
        for now in [1, 2, 3] {
            watch.arrived(now);
        }
        watch.answered(4);
        watch.arrived(5);
        assert_eq!((watch.in_flight, watch.in_flight_max), (3, 3));
        assert_eq!(watch.last_ns, 4);
    }

    #[test]
    fn a_watch_begins_with_what_its_query_says() {
        let watch = Watch::begin("answer=1&delay_ms=20");
        assert!(watch.is_on && watch.answers);
        assert_eq!(watch.delay_ns, 20_000_000);
        assert!(!Watch::begin("answer=0").answers);
    }
}
