//! How something is measured: warmed up, in several rounds, by the CPU time of this thread.
//!
//! A round is long enough that reading the clock does not count. Figures are the median of the
//! rounds with the quartiles beside it: on a shared machine the fastest and the slowest round say
//! little.

use std::io::Write;

use crate::args::Args;
use crate::clock;
use crate::error::BenchError;

/// Rounds of a measurement.
const ROUNDS: usize = 15;

/// CPU time of a round, at least.
const ROUND_NS_MIN: u64 = 8_000_000;

/// One result.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// `group/what`.
    pub(crate) name: String,
    /// What the numbers count.
    pub(crate) unit: &'static str,
    /// The middle one of all rounds.
    pub(crate) median: f64,
    /// A quarter of the rounds was below.
    pub(crate) low: f64,
    /// A quarter of the rounds was above.
    pub(crate) high: f64,
    /// How many rounds.
    pub(crate) rounds: usize,
}

/// One part of a cycle; see [`Harness::cycle`].
pub(crate) struct Step<S> {
    /// Its name behind the group's; empty: it only prepares and is not reported.
    pub(crate) name: String,
    /// How many operations one call does.
    pub(crate) ops: u64,
    /// Does them.
    pub(crate) run: fn(&mut S) -> Result<(), BenchError>,
}

impl<S> Step<S> {
    /// A step to be reported.
    pub(crate) fn new(
        name: impl Into<String>,
        ops: usize,
        run: fn(&mut S) -> Result<(), BenchError>,
    ) -> Self {
        Self {
            name: name.into(),
            ops: ops as u64,
            run,
        }
    }

    /// A step that only prepares the next.
    pub(crate) fn silent(run: fn(&mut S) -> Result<(), BenchError>) -> Self {
        Self::new("", 1, run)
    }
}

/// Measures what was asked for and keeps the figures.
#[derive(Debug)]
pub(crate) struct Harness {
    names: Vec<String>,
    calls: Option<u64>,
    is_list: bool,
    group: &'static str,
    seen: Vec<String>,
    figures: Vec<Figure>,
}

impl Harness {
    /// For what the command line asks for.
    pub(crate) fn new(args: &Args) -> Self {
        Self {
            names: args.names.clone(),
            calls: args.calls,
            is_list: args.is_list,
            group: "",
            seen: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// Whether anything of a group may be asked for.
    pub(crate) fn wants_group(&self, group: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| agree(name, group))
    }

    /// Whether a benchmark that begins so may be asked for: if not, it need not be prepared.
    pub(crate) fn may_want(&self, beginning: &str) -> bool {
        self.wants_group(&format!("{}/{beginning}", self.group))
    }

    /// The names that follow belong to this group.
    pub(crate) fn enter(&mut self, group: &'static str) {
        self.group = group;
        if self.calls.is_none() && !self.is_list {
            let _ = writeln!(std::io::stderr(), "measuring {group} ...");
        }
    }

    /// Notes a benchmark; false when it is not to be run. Call it once for each.
    pub(crate) fn wants(&mut self, name: &str) -> bool {
        let full = format!("{}/{name}", self.group);
        let is_wanted = self.names.is_empty() || self.names.iter().any(|n| full.starts_with(n));
        if is_wanted {
            self.seen.push(full);
        }
        is_wanted && !self.is_list
    }

    /// When set, work is done that often and not timed.
    pub(crate) fn calls(&self) -> Option<u64> {
        self.calls
    }

    /// The benchmarks that were asked for.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// The results.
    pub(crate) fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// Measures a small operation.
    pub(crate) fn each(&mut self, name: &str, mut op: impl FnMut()) {
        if !self.wants(name) {
            return;
        }
        if let Some(calls) = self.calls {
            (0..calls).for_each(|_| op());
            return;
        }
        let mut time = |calls: u64| {
            let start = clock::cpu_ns();
            (0..calls).for_each(|_| op());
            clock::cpu_ns() - start
        };
        let mut calls = 1;
        while time(calls) < ROUND_NS_MIN {
            calls *= 2;
        }
        let samples = (0..ROUNDS).map(|_| time(calls) as f64 / calls as f64);
        let samples = samples.collect();
        self.record(name, "ns", samples);
    }

    /// Measures steps that belong together: each call of one makes the next possible. They run in
    /// turn and are timed apart.
    ///
    /// # Errors
    /// The first of a step.
    pub(crate) fn cycle<S>(&mut self, state: &mut S, steps: &[Step<S>]) -> Result<(), BenchError> {
        let mut wanted = Vec::new();
        for step in steps {
            wanted.push(!step.name.is_empty() && self.wants(&step.name));
        }
        if !wanted.contains(&true) {
            return Ok(());
        }
        if let Some(calls) = self.calls {
            for _ in 0..calls {
                steps.iter().try_for_each(|step| (step.run)(state))?;
            }
            return Ok(());
        }
        let mut calls = 1;
        while cycle_ns(state, steps, calls)?.iter().sum::<u64>() < ROUND_NS_MIN {
            calls *= 2;
        }
        let mut samples = vec![Vec::with_capacity(ROUNDS); steps.len()];
        for _ in 0..ROUNDS {
            let times = cycle_ns(state, steps, calls)?;
            for ((ns, step), samples) in times.into_iter().zip(steps).zip(&mut samples) {
                samples.push(ns as f64 / (calls * step.ops) as f64);
            }
        }
        for ((step, samples), wanted) in steps.iter().zip(samples).zip(wanted) {
            if wanted {
                self.record(&step.name, "ns", samples);
            }
        }
        Ok(())
    }

    /// Keeps the figure of a benchmark that has measured itself.
    pub(crate) fn record(&mut self, name: &str, unit: &'static str, mut samples: Vec<f64>) {
        samples.sort_by(f64::total_cmp);
        self.figures.push(Figure {
            name: format!("{}/{name}", self.group),
            unit,
            median: quantile(&samples, 50),
            low: quantile(&samples, 25),
            high: quantile(&samples, 75),
            rounds: samples.len(),
        });
    }

    /// Keeps a ratio of two medians; the spread is that of the ratios within each round.
    pub(crate) fn record_ratio(&mut self, name: &str, ratio: f64, rounds: Vec<f64>) {
        self.record(name, "x", rounds);
        if let Some(figure) = self.figures.last_mut() {
            figure.median = ratio;
        }
    }
}

/// The middle one of samples in any order.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 50)
}

/// Whether one of the two begins with the other.
fn agree(name: &str, beginning: &str) -> bool {
    name.starts_with(beginning) || beginning.starts_with(name)
}

/// Time of each step over `calls` cycles.
fn cycle_ns<S>(state: &mut S, steps: &[Step<S>], calls: u64) -> Result<Vec<u64>, BenchError> {
    let mut times = vec![0; steps.len()];
    for _ in 0..calls {
        for (step, sum) in steps.iter().zip(&mut times) {
            let start = clock::cpu_ns();
            (step.run)(state)?;
            *sum += clock::cpu_ns() - start;
        }
    }
    Ok(times)
}

/// The value below which `percent` of the sorted samples lie; 0 without samples.
pub(crate) fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last * percent + 50) / 100;
    sorted.get(index).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harness(names: &[&str]) -> Harness {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut harness = Harness::new(&Args {
            names,
            calls: Some(3),
            ..Args::default()
        });
        harness.enter("hub");
        harness
    }

    #[test]
    fn a_name_selects_what_begins_with_it() {
        let mut harness = harness(&["hub/own"]);
        assert!(harness.wants_group("hub"));
        assert!(!harness.wants_group("codec"));
        assert!(harness.may_want("own channels") && !harness.may_want("one channel"));
        assert!(harness.wants("own channels: subscribe"));
        assert!(!harness.wants("one channel: subscribe"));
        assert_eq!(harness.seen(), ["hub/own channels: subscribe"]);
    }

    #[test]
    fn without_names_everything_is_wanted() {
        let mut harness = harness(&[]);
        assert!(harness.wants_group("codec") && harness.wants("anything"));
    }

    #[test]
    fn a_number_of_calls_is_kept_to() {
        let mut calls = 0;
        harness(&[]).each("count", || calls += 1);
        assert_eq!(calls, 3);
    }

    #[test]
    fn all_steps_of_a_cycle_run_even_if_one_is_wanted() {
        let mut state = Vec::new();
        let steps: [Step<Vec<u8>>; 2] = [
            Step::new("first", 1, |log| {
                log.push(1);
                Ok(())
            }),
            Step::new("second", 1, |log| {
                log.push(2);
                Ok(())
            }),
        ];
        harness(&["hub/second"]).cycle(&mut state, &steps).unwrap();
        assert_eq!(state, [1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn the_median_of_no_samples_is_zero_and_of_three_the_middle_one() {
        assert_eq!(quantile(&[], 50), 0.0);
        assert_eq!(quantile(&[1.0, 2.0, 9.0], 50), 2.0);
    }
}
