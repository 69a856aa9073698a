//! Tables and a random walk against a naive model.

#![expect(
    clippy::cast_possible_truncation,
    reason = "small random numbers become counts"
)]

use super::*;

const TTL_MS: u64 = 60_000;

#[test]
fn an_id_is_new_once_within_its_time_and_once_more_after_it() {
    let mut cache = IdCache::new(TTL_MS);
    for (now_ms, is_new) in [
        (0, true),
        (1, false),
        (TTL_MS - 1, false),
        (TTL_MS, true),
        (TTL_MS + 1, false),
    ] {
        assert_eq!(cache.is_new(now_ms, "c", "1"), is_new, "at {now_ms}");
    }
}

#[test]
fn the_time_counts_from_the_first_sight_whoever_looks_in_between() {
    let mut cache = IdCache::new(TTL_MS);
    for now_ms in (0..TTL_MS).step_by(1_000) {
        assert_eq!(cache.is_new(now_ms, "c", "1"), now_ms == 0);
    }
    assert!(cache.is_new(TTL_MS, "c", "1"));
}

#[test]
fn channel_and_id_are_told_apart_wherever_the_border_lies() {
    let mut cache = IdCache::new(TTL_MS);
    for (channel, id) in [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("", "")] {
        assert!(cache.is_new(0, channel, id), "{channel:?} {id:?}");
        assert!(!cache.is_new(0, channel, id), "{channel:?} {id:?}");
    }
}

#[test]
fn without_a_time_to_live_everything_is_new_and_nothing_is_kept() {
    let mut cache = IdCache::new(0);
    assert!(cache.is_new(0, "c", "1") && cache.is_new(0, "c", "1"));
    assert!(cache.is_empty());
}

#[test]
fn for_want_of_room_the_oldest_goes_first_and_is_counted() {
    let entry_len = HEAD_LEN + 2;
    let mut cache = IdCache::with_room(TTL_MS, 2 * entry_len);
    assert!(cache.is_new(0, "c", "1") && cache.is_new(1, "c", "2"));
    assert_eq!((cache.len(), cache.forgotten_early()), (2, 0));
    assert!(cache.is_new(2, "c", "3"));
    assert_eq!((cache.len(), cache.forgotten_early()), (2, 1));
    assert!(!cache.is_new(3, "c", "2") && !cache.is_new(3, "c", "3"));
    assert!(cache.is_new(3, "c", "1"));
}

#[test]
fn a_text_longer_than_a_segment_is_remembered_whole() {
    let mut cache = IdCache::new(TTL_MS);
    let long = "x".repeat(SEGMENT_LEN + 1);
    let almost = format!("{}y", "x".repeat(SEGMENT_LEN));
    assert!(cache.is_new(0, "c", &long) && cache.is_new(0, "c", &almost));
    assert!(!cache.is_new(0, "c", &long) && !cache.is_new(0, "c", &almost));
}

#[test]
fn all_memory_is_given_back_when_the_time_of_all_is_over() {
    let mut cache = IdCache::new(TTL_MS);
    for id in 0..20_000 {
        assert!(cache.is_new(0, "channel", &id.to_string()));
    }
    assert!(cache.segments.len() > 1);
    assert!(cache.expire(TTL_MS, 100), "there is more");
    assert!(!cache.expire(TTL_MS, usize::MAX));
    assert_eq!((cache.len(), cache.segments.len()), (0, 0));
    assert_eq!(cache.entries_len, 0);
    assert!(
        cache.index.capacity() <= 2_048,
        "{}",
        cache.index.capacity()
    );
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, max: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % max
    }
}

#[test]
fn random_ids_agree_with_a_naive_model() {
    for seed in 1..=20 {
        let mut random = Random(seed * 0x9E37_79B9);
        let mut cache = IdCache::new(500);
        let mut model: Vec<(u64, String, String)> = Vec::new();
        let mut now_ms = 0;
        for step in 0..5_000 {
            now_ms += random.below(3);
            let channel = "channel".repeat(1 + random.below(3) as usize);
            let id = random.below(400).to_string();
            model.retain(|(seen_ms, ..)| now_ms - seen_ms < 500);
            let is_new = !model.iter().any(|(_, c, i)| *c == channel && *i == id);
            assert_eq!(
                cache.is_new(now_ms, &channel, &id),
                is_new,
                "seed {seed}, step {step}"
            );
            if is_new {
                model.push((now_ms, channel, id));
            }
            if random.below(50) == 0 {
                cache.expire(now_ms, random.below(20) as usize);
            }
        }
        cache.expire(now_ms, usize::MAX);
        model.retain(|(seen_ms, ..)| now_ms - seen_ms < 500);
        assert_eq!(cache.len(), model.len(), "seed {seed}");
    }
}
