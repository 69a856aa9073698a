//! Keys, memory and a model of the paged slab.

#![expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]

use std::collections::BTreeMap;

use super::*;

#[test]
fn a_row_with_a_niche_costs_nothing_beside_it() {
    struct Row {
        _buf: Option<Box<u8>>,
        _number: u32,
        _open: bool,
    }
    assert_eq!(size_of::<Slot<Row>>(), size_of::<Row>());
    assert_eq!(size_of::<Page<Row>>(), 32);
}

#[test]
fn keys_count_up_from_zero_and_are_foretold() {
    let mut pages = Pages::new();
    for number in 0..1_000 {
        assert_eq!(pages.vacant_key(), number);
        assert_eq!(pages.insert(number), number);
    }
    assert_eq!(pages.get(999), Some(&999));
    assert_eq!(pages.get(1_000), None);
    assert_eq!(pages.pages(), 4);
}

#[test]
fn the_last_freed_row_of_the_lowest_page_is_used_first() {
    let mut pages = Pages::new();
    for number in 0..600 {
        pages.insert(number);
    }
    for key in [300, 7, 9, 8] {
        assert_eq!(pages.remove(key), Some(key));
        assert_eq!(pages.remove(key), None);
    }
    let keys: Vec<u32> = (0..5).map(|row| pages.insert(row)).collect();
    assert_eq!(keys, [8, 9, 7, 300, 600]);
}

#[test]
fn a_page_without_rows_has_no_memory() {
    let mut pages = Pages::new();
    for number in 0..100_000_u32 {
        pages.insert(number);
    }
    for key in 0..100_000 {
        if key != 70_000 {
            pages.remove(key);
        }
    }
    assert_eq!(pages.pages(), 1);
    assert_eq!(
        pages
            .pages
            .iter()
            .map(|page| page.slots.capacity())
            .sum::<usize>(),
        PAGE_ROWS
    );
    pages.remove(70_000);
    assert_eq!((pages.pages(), pages.pages.len()), (0, 0));
    assert!(pages.pages.capacity() < 16, "{}", pages.pages.capacity());
}

#[test]
fn a_change_through_get_mut_is_seen_by_get_and_iter() {
    let mut pages = Pages::new();
    let key = pages.insert(String::from("a"));
    pages.get_mut(key).expect("just inserted").push('b');
    assert_eq!(pages.get(key).map(String::as_str), Some("ab"));
    assert_eq!(
        pages.iter().collect::<Vec<_>>(),
        [(key, &String::from("ab"))]
    );
}

#[test]
fn the_pages_agree_with_a_map() {
    for seed in 1..=300_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = move |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
        };
        let (mut pages, mut model) = (Pages::new(), BTreeMap::new());
        for step in 0..3_000_u64 {
            // Tides, so that pages fill and empty.
            let rising = (step / 1_000) % 2 == 0;
            if random(10) < if rising { 8 } else { 2 } {
                let key = pages.vacant_key();
                assert_eq!(pages.insert(step), key, "seed {seed} step {step}");
                assert_eq!(model.insert(key, step), None, "seed {seed} step {step}");
            } else {
                let key = random(1_500) as u32;
                assert_eq!(
                    pages.remove(key),
                    model.remove(&key),
                    "seed {seed} step {step}"
                );
            }
            assert_eq!(pages.len(), model.len());
        }
        assert!(
            pages.iter().eq(model.iter().map(|(key, row)| (*key, row))),
            "seed {seed}"
        );
        let first_key = |key: &u32| key >> ROW_BITS;
        let mut used: Vec<u32> = model.keys().map(first_key).collect();
        used.dedup();
        assert_eq!(pages.pages(), used.len(), "seed {seed}");
    }
}
