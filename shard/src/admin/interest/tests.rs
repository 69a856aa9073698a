//! Tables and a random walk against a naive model.

use std::collections::HashMap;
use std::mem::size_of;

use super::*;

const SETTINGS: InterestSettings = InterestSettings {
    linger_ms: 2_000,
    ttl_ms: 60_000,
};
/// The wheel's grain: how much later than asked something may happen.
const LATE_MS: u64 = 2 * crate::core::wheel::TICK_MS;

fn change(mode: Mode, channel: &str, delta: i32) -> SubscriptionChange {
    SubscriptionChange {
        mode,
        channel: Arc::from(channel),
        delta,
    }
}

fn apply(table: &mut Interest, now_ms: u64, change: &SubscriptionChange) -> Vec<NoticeKind> {
    let mut out = Vec::new();
    table.apply(now_ms, change, &mut out);
    out.into_iter().map(|notice| notice.kind).collect()
}

fn expire(table: &mut Interest, now_ms: u64) -> Vec<NoticeKind> {
    let mut out = Vec::new();
    table.expire(now_ms, usize::MAX, &mut out);
    out.into_iter().map(|notice| notice.kind).collect()
}

#[test]
fn a_row_takes_at_most_72_bytes_so_that_120_with_the_index_hold() {
    assert!(size_of::<Row>() <= 72, "{}", size_of::<Row>());
}

#[test]
fn the_first_subscriber_is_told_at_once() {
    let mut table = Interest::new(SETTINGS, 0);
    let told = apply(&mut table, 5, &change(Mode::Stream, "a", 1));
    assert_eq!(told, [NoticeKind::Subscribers(1)]);
}

#[test]
fn further_changes_are_folded_into_one_within_the_window() {
    let mut table = Interest::new(SETTINGS, 0);
    apply(&mut table, 1_000, &change(Mode::Stream, "a", 1));
    for now in 1_001..1_010 {
        assert_eq!(apply(&mut table, now, &change(Mode::Stream, "a", 1)), []);
    }
    assert_eq!(
        expire(&mut table, 1_000 + FOLD_MS + LATE_MS),
        [NoticeKind::Subscribers(10)]
    );
}

#[test]
fn a_change_after_the_window_is_told_at_once() {
    let mut table = Interest::new(SETTINGS, 0);
    apply(&mut table, 0, &change(Mode::WebSocket, "a", 1));
    let told = apply(&mut table, FOLD_MS, &change(Mode::WebSocket, "a", 4));
    assert_eq!(told, [NoticeKind::Subscribers(5)]);
}

#[test]
fn the_end_of_a_stream_is_told_at_once() {
    let mut table = Interest::new(SETTINGS, 0);
    apply(&mut table, 0, &change(Mode::Stream, "a", 2));
    assert_eq!(
        apply(&mut table, 1, &change(Mode::Stream, "a", -2)),
        [NoticeKind::Gone]
    );
    assert!(table.is_empty());
}

#[test]
fn the_end_of_a_response_lingers() {
    let mut table = Interest::new(SETTINGS, 0);
    apply(&mut table, 0, &change(Mode::Response, "a", 1));
    assert_eq!(apply(&mut table, 10, &change(Mode::Response, "a", -1)), []);
    assert_eq!(expire(&mut table, 1_900), [NoticeKind::Subscribers(0)]);
    assert_eq!(table.count(Mode::Response, "a"), 0);
    assert_eq!(expire(&mut table, 2_010 + LATE_MS), [NoticeKind::Gone]);
    assert!(table.is_empty());
}

#[test]
fn a_subscriber_who_comes_back_within_the_linger_is_told_and_nothing_ends() {
    let mut table = Interest::new(SETTINGS, 0);
    apply(&mut table, 0, &change(Mode::Response, "a", 1));
    apply(&mut table, 10, &change(Mode::Response, "a", -1));
    let told = apply(&mut table, 20, &change(Mode::Response, "a", 1));
    assert_eq!(told, [NoticeKind::Subscribers(1)]);
    assert!(!expire(&mut table, 5_000).contains(&NoticeKind::Gone));
}

#[test]
fn without_a_linger_a_response_ends_at_once() {
    let mut table = Interest::new(
        InterestSettings {
            linger_ms: 0,
            ..SETTINGS
        },
        0,
    );
    apply(&mut table, 0, &change(Mode::Response, "a", 1));
    assert_eq!(
        apply(&mut table, 1, &change(Mode::Response, "a", -1)),
        [NoticeKind::Gone]
    );
}

#[test]
fn a_channel_is_repeated_before_three_quarters_of_its_time_to_live() {
    let mut table = Interest::new(SETTINGS, 0);
    for channel in 0..1_000 {
        apply(
            &mut table,
            0,
            &change(Mode::Stream, &channel.to_string(), 1),
        );
    }
    assert_eq!(expire(&mut table, 29_900), []);
    let early = expire(&mut table, 37_500).len();
    assert!(
        (300..700).contains(&early),
        "{early} of 1000 in the first half"
    );
    assert_eq!(early + expire(&mut table, 45_000 + LATE_MS).len(), 1_000);
}

#[test]
fn the_same_name_in_two_modes_is_two_rows() {
    let mut table = Interest::new(SETTINGS, 0);
    apply(&mut table, 0, &change(Mode::Stream, "a", 3));
    apply(&mut table, 0, &change(Mode::WebSocket, "a", 2));
    assert_eq!(
        (
            table.count(Mode::Stream, "a"),
            table.count(Mode::WebSocket, "a")
        ),
        (3, 2)
    );
    assert_eq!(table.count(Mode::Response, "a"), 0);
}

#[test]
fn a_channel_is_known_while_anybody_listens_or_lingers_in_any_mode() {
    let mut table = Interest::new(SETTINGS, 0);
    assert!(!table.is_known("a"));
    for mode in [Mode::Stream, Mode::Response, Mode::WebSocket] {
        apply(&mut table, 0, &change(mode, "a", 1));
        assert!(table.is_known("a") && !table.is_known("b"), "{mode:?}");
    }
    apply(&mut table, 0, &change(Mode::Stream, "a", -1));
    apply(&mut table, 0, &change(Mode::WebSocket, "a", -1));
    assert!(table.is_known("a"));
    apply(&mut table, 0, &change(Mode::Response, "a", -1));
    assert!(table.is_known("a"), "lingers");
    expire(&mut table, SETTINGS.linger_ms + LATE_MS);
    assert!(!table.is_known("a"));
}

#[test]
fn leaving_a_channel_that_nobody_knows_changes_nothing() {
    let mut table = Interest::new(SETTINGS, 0);
    assert_eq!(apply(&mut table, 0, &change(Mode::Stream, "a", -1)), []);
    assert!(table.is_empty());
}

#[test]
fn no_more_rows_than_asked_are_looked_at() {
    let mut table = Interest::new(SETTINGS, 0);
    for channel in 0..100 {
        apply(
            &mut table,
            0,
            &change(Mode::Stream, &channel.to_string(), 1),
        );
    }
    let mut out = Vec::new();
    assert!(table.expire(60_000, 30, &mut out));
    assert_eq!(out.len(), 30);
}

/// A small generator with a seed, good enough to pick cases.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

#[test]
fn random_changes_agree_with_a_naive_model_and_listeners_learn_every_number() {
    const MODES: [Mode; 3] = [Mode::Response, Mode::Stream, Mode::WebSocket];
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut table = Interest::new(SETTINGS, 0);
        let mut model: HashMap<(Mode, String), i32> = HashMap::new();
        let mut listener: HashMap<(Mode, String), u32> = HashMap::new();
        let mut out = Vec::new();
        let mut now = 0;
        for _ in 0..5_000 {
            now += dice.roll(60);
            let mode = MODES[usize::try_from(dice.roll(3)).unwrap()];
            let name = format!("c{}", dice.roll(40));
            let count = model.entry((mode, name.clone())).or_default();
            let up = i32::try_from(dice.roll(3)).unwrap() + 1;
            let delta = if dice.roll(2) == 0 {
                up
            } else {
                -up.min(*count)
            };
            *count += delta;
            table.apply(now, &change(mode, &name, delta), &mut out);
            table.expire(now, 10, &mut out);
            hear(&mut listener, &mut out);
            let known = table.count(mode, &name);
            assert_eq!(i64::from(known), i64::from(*count), "seed {seed} at {now}");
        }
        for step in 1..=60 {
            table.expire(now + step * 50, usize::MAX, &mut out);
        }
        hear(&mut listener, &mut out);
        for ((mode, name), count) in model {
            let heard = listener.get(&(mode, name.clone())).copied().unwrap_or(0);
            assert_eq!(
                i64::from(heard),
                i64::from(count),
                "seed {seed}: {mode:?} {name}"
            );
        }
    }
}

fn hear(listener: &mut HashMap<(Mode, String), u32>, out: &mut Vec<Notice>) {
    for notice in out.drain(..) {
        let key = (notice.mode, notice.channel.to_string());
        match notice.kind {
            NoticeKind::Subscribers(count) => listener.insert(key, count),
            NoticeKind::Gone => listener.remove(&key),
        };
    }
}

#[test]
fn a_subscription_is_the_first_when_the_channel_was_not_known_in_any_mode() {
    let mut table = Interest::new(SETTINGS, 0);
    let mut out = Vec::new();
    for (now_ms, mode, delta, is_first) in [
        (0, Mode::Response, 1, true),
        (1, Mode::Response, 1, false),
        (2, Mode::Stream, 1, false),
        (3, Mode::WebSocket, 1, false),
        (4, Mode::WebSocket, -1, false),
        (5, Mode::Stream, -1, false),
        (6, Mode::Response, -2, false),
        // It lingers.
        (7, Mode::Response, 1, false),
        (8, Mode::Response, -1, false),
        (9, Mode::Stream, 1, false),
        (10, Mode::Stream, -1, false),
    ] {
        let change = change(mode, "a", delta);
        let case = format!("at {now_ms}");
        assert_eq!(table.apply(now_ms, &change, &mut out), is_first, "{case}");
    }
    let other = change(Mode::Stream, "b", 1);
    assert!(table.apply(11, &other, &mut out));
    let gone_ms = 3_000 + LATE_MS;
    expire(&mut table, gone_ms);
    assert!(!table.is_known("a"));
    assert!(table.apply(gone_ms, &change(Mode::WebSocket, "a", 1), &mut out));
}

#[test]
fn who_leaves_an_unknown_channel_is_no_first_subscription() {
    let mut table = Interest::new(SETTINGS, 0);
    let leaves = change(Mode::Stream, "a", -1);
    assert!(!table.apply(0, &leaves, &mut Vec::new()));
}

#[test]
fn a_channel_is_held_only_while_it_has_subscribers_over_http() {
    let mut table = Interest::new(SETTINGS, 0);
    for (mode, is_held) in [
        (Mode::WebSocket, false),
        (Mode::Stream, true),
        (Mode::Response, true),
    ] {
        apply(&mut table, 0, &change(mode, "a", 1));
        assert_eq!(table.is_held("a"), is_held, "{mode:?}");
        apply(&mut table, 1, &change(mode, "a", -1));
        assert!(!table.is_held("a"), "{mode:?}");
    }
}
