//! The wheel against a list of deadlines, and its promises one by one.

#![expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]

use std::collections::BTreeMap;

use super::*;

/// Rows with nothing but a timer.
struct Rows(Vec<TimerLinks>);

impl Links for Rows {
    fn links(&mut self, key: ConnKey) -> Option<&mut TimerLinks> {
        self.0.get_mut(key as usize)
    }
}

fn rows(len: usize) -> Rows {
    Rows(vec![TimerLinks::new(); len])
}

fn expired(wheel: &mut Wheel, rows: &mut Rows, now_ms: u64) -> Vec<ConnKey> {
    let mut out = Vec::new();
    assert!(!wheel.expire(rows, now_ms, usize::MAX, &mut out));
    out.sort_unstable();
    out
}

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

#[test]
fn a_timer_costs_twelve_bytes() {
    assert_eq!(size_of::<TimerLinks>(), 12);
}

#[test]
fn a_timer_fires_once_in_its_tick_and_never_early() {
    for due_ms in [
        1, 49, 50, 51, 99, 100, 101, 204_800, 204_801, 1_000_000, 86_400_000,
    ] {
        let (mut wheel, mut rows) = (Wheel::new(0), rows(1));
        wheel.schedule(&mut rows, 0, due_ms);
        assert_eq!(
            expired(&mut wheel, &mut rows, due_ms - 1),
            [0_u32; 0],
            "early: {due_ms}"
        );
        assert!(rows.0[0].is_scheduled());
        assert_eq!(
            expired(&mut wheel, &mut rows, due_ms + TICK_MS - 1),
            [0],
            "late: {due_ms}"
        );
        assert!(!rows.0[0].is_scheduled());
        assert_eq!(
            expired(&mut wheel, &mut rows, due_ms * 2 + 1_000_000),
            [0_u32; 0],
            "twice: {due_ms}"
        );
    }
}

#[test]
fn a_deadline_in_the_past_fires_within_a_tick() {
    let (mut wheel, mut rows) = (Wheel::new(10_000), rows(1));
    assert_eq!(expired(&mut wheel, &mut rows, 20_010), [0_u32; 0]);
    wheel.schedule(&mut rows, 0, 3);
    assert_eq!(expired(&mut wheel, &mut rows, 20_010 + TICK_MS), [0]);
}

#[test]
fn setting_again_moves_and_cancelling_takes_out() {
    let (mut wheel, mut rows) = (Wheel::new(0), rows(3));
    for key in 0..3 {
        wheel.schedule(&mut rows, key, 1_000);
    }
    wheel.schedule(&mut rows, 1, 5_000);
    wheel.cancel(&mut rows, 2);
    wheel.cancel(&mut rows, 2);
    wheel.cancel(&mut rows, 99);
    wheel.schedule(&mut rows, 99, 1_000);
    assert_eq!(wheel.len(), 2);
    assert_eq!(expired(&mut wheel, &mut rows, 4_999), [0]);
    assert_eq!(expired(&mut wheel, &mut rows, 5_000), [1]);
    assert!(wheel.is_empty());
    assert_eq!(wheel.next_due_ms(), None);
}

#[test]
fn the_wait_ends_with_the_first_timer_and_not_with_every_tick() {
    let (mut wheel, mut rows) = (Wheel::new(0), rows(2));
    wheel.schedule(&mut rows, 0, 30_000);
    wheel.schedule(&mut rows, 1, 3_600_000);
    assert_eq!(wheel.next_due_ms(), Some(30_000));
    let (mut now_ms, mut waits, mut fired) = (0, 0, Vec::new());
    while let Some(due_ms) = wheel.next_due_ms() {
        now_ms = due_ms.max(now_ms);
        fired.extend(expired(&mut wheel, &mut rows, now_ms));
        waits += 1;
    }
    assert_eq!((now_ms, fired), (3_600_000, vec![0, 1]));
    assert!(
        waits <= 3_600_000 / (SLOTS as u64 * TICK_MS) + 3,
        "{waits} waits"
    );
}

#[test]
fn timers_of_later_rounds_are_not_looked_at() {
    let (mut wheel, mut rows) = (Wheel::new(0), rows(SLOTS * 2));
    for key in 0..rows.0.len() as u32 {
        wheel.schedule(&mut rows, key, 3_600_000 + u64::from(key) * TICK_MS);
    }
    let mut out = Vec::new();
    for now_ms in (0..3_600_000).step_by(25) {
        assert!(
            !wheel.expire(&mut rows, now_ms, 0, &mut out),
            "looked at rows at {now_ms}"
        );
    }
    assert_eq!(expired(&mut wheel, &mut rows, 10_000_000).len(), SLOTS * 2);
}

#[test]
fn a_bounded_call_stops_and_the_next_goes_on() {
    let (mut wheel, mut rows) = (Wheel::new(0), rows(100));
    for key in 0..100 {
        wheel.schedule(&mut rows, key, 50 + u64::from(key % 2) * 50);
    }
    let mut out = Vec::new();
    for call in 1..=9 {
        assert!(wheel.expire(&mut rows, 1_000, 10, &mut out), "call {call}");
        assert_eq!(out.len(), call * 10);
        assert!(wheel.next_due_ms() <= Some(100));
    }
    assert!(!wheel.expire(&mut rows, 1_000, 11, &mut out));
    out.sort_unstable();
    assert_eq!(out, (0..100).collect::<Vec<_>>());
}

#[test]
fn the_wheel_agrees_with_a_list_of_deadlines() {
    for seed in 1..=300 {
        model_run(seed);
    }
}

/// Random calls; the model keeps each row's deadline and when it was set.
fn model_run(seed: u64) {
    const ROWS: u64 = 40;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // Near the point where tick numbers no longer fit their lower half.
    let mut now_ms = ((1_u64 << 32) - random.below(20_000)) * TICK_MS;
    let (mut wheel, mut rows) = (Wheel::new(now_ms), rows(ROWS as usize));
    let mut model: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let reach = [200, 2_000, 300_000, 5_000_000][random.below(4) as usize];
    for step in 0..300 {
        let key = random.below(ROWS) as u32;
        match random.below(8) {
            0..=3 => {
                let due_ms = now_ms - random.below(100) + random.below(reach);
                wheel.schedule(&mut rows, key, due_ms);
                model.insert(key, (due_ms, now_ms));
            }
            4 => {
                wheel.cancel(&mut rows, key);
                model.remove(&key);
            }
            kind => {
                now_ms += random.below(if kind == 5 { reach } else { 120 });
                let bound = wheel.next_due_ms();
                let first = model.values().map(|(due, _)| *due).min();
                assert_eq!(bound.is_some(), first.is_some(), "seed {seed} step {step}");
                let max = if kind == 6 {
                    random.below(5) as usize
                } else {
                    usize::MAX
                };
                let mut out = Vec::new();
                let more = wheel.expire(&mut rows, now_ms, max, &mut out);
                for key in out {
                    let (due_ms, _) = model.remove(&key).expect("fired without being set");
                    assert!(due_ms <= now_ms, "seed {seed} step {step}: early");
                    assert!(
                        bound <= Some(now_ms),
                        "seed {seed} step {step}: would have slept"
                    );
                }
                let late = |(due, set): &(u64, u64)| (*due).max(*set) + TICK_MS <= now_ms;
                assert!(
                    more || !model.values().any(late),
                    "seed {seed} step {step}: late"
                );
            }
        }
        assert_eq!(wheel.len(), model.len(), "seed {seed} step {step}");
    }
}
