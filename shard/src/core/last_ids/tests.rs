//! Looking, changing and forgetting, the limit, and threads that do all of it at once.

use super::*;

fn name(number: usize) -> Arc<str> {
    Arc::from(format!("channel-{number}"))
}

fn set(table: &LastIds, channel: &str, id: &str) {
    assert!(table.advance(&Arc::from(channel), None, Some(id)));
}

#[test]
fn a_position_conflicts_with_another_last_id_and_with_no_unknown_one() {
    let table = LastIds::default();
    assert!(!table.conflicts("c", "4"));
    set(&table, "c", "5");
    assert!(table.conflicts("c", "4"));
    assert!(!table.conflicts("c", "5"));
    assert!(!table.conflicts("d", "4"));
    assert_eq!(table.get("c"), Some("5".into()));
    assert_eq!(table.get("d"), None);
}

#[test]
fn a_channel_that_is_forgotten_conflicts_with_nothing_and_the_others_stay() {
    let table = LastIds::default();
    set(&table, "c", "5");
    set(&table, "d", "5");
    table.forget("c");
    table.forget("never seen");
    assert!(!table.conflicts("c", "4"));
    assert!(table.conflicts("d", "4"));
    assert_eq!(table.len(), 1);
}

#[test]
fn an_item_advances_only_from_the_one_before_it() {
    let table = LastIds::default();
    let channel = name(0);
    for (prev_id, id, is_released, last_id) in [
        (Some("1"), Some("2"), true, Some("2")),
        (Some("1"), Some("3"), false, Some("2")),
        (Some("3"), None, false, Some("2")),
        (Some("2"), Some("3"), true, Some("3")),
        (None, Some("a longer one"), true, Some("a longer one")),
        (Some("a longer one"), None, true, None),
        (None, None, true, None),
        (Some("7"), None, true, None),
    ] {
        let case = format!("{prev_id:?} {id:?}");
        assert_eq!(table.advance(&channel, prev_id, id), is_released, "{case}");
        assert_eq!(table.get(&channel).as_deref(), last_id, "{case}");
        assert_eq!(table.is_empty(), last_id.is_none(), "{case}");
    }
}

#[test]
fn after_an_item_without_an_id_no_position_conflicts() {
    let table = LastIds::default();
    set(&table, "c", "5");
    assert!(table.advance(&Arc::from("c"), Some("5"), None));
    assert!(!table.conflicts("c", "4"));
}

#[test]
fn a_full_table_forgets_the_channel_set_longest_ago() {
    let table = LastIds::new(3);
    for (channel, id) in [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2"), ("d", "1")] {
        set(&table, channel, id);
    }
    let known = ["a", "b", "c", "d"].map(|channel| table.get(channel).is_some());
    assert_eq!(known, [true, false, true, true]);
    assert_eq!(table.len(), 3);
}

#[test]
fn a_look_does_not_make_a_channel_younger() {
    let table = LastIds::new(2);
    set(&table, "a", "1");
    set(&table, "b", "1");
    assert!(table.conflicts("a", "0"));
    set(&table, "c", "1");
    assert_eq!(table.get("a"), None);
}

#[test]
fn a_striped_table_keeps_to_its_limit_and_to_the_newest_channels() {
    let max = STRIPES * CHANNELS_PER_STRIPE_MIN;
    let table = LastIds::new(max);
    assert_eq!(table.others.len(), STRIPES - 1);
    for number in 0..3 * max {
        set(&table, &name(number), "1");
    }
    assert_eq!(table.len(), max);
    // A stripe has the newest of its own channels, so the very oldest and newest are sure.
    assert!((0..max).all(|number| table.get(&name(number)).is_none()));
    assert!((3 * max - 100..3 * max).all(|number| table.get(&name(number)).is_some()));
}

#[test]
fn an_emptied_table_knows_nothing_and_goes_on() {
    let table = LastIds::default();
    for number in 0..1_000 {
        set(&table, &name(number), "1");
    }
    table.clear();
    assert!(table.is_empty());
    assert_eq!(table.get("channel-7"), None);
    set(&table, "channel-7", "2");
    assert_eq!((table.len(), table.get("channel-7")), (1, Some("2".into())));
}

#[test]
fn a_stripe_whose_holder_panicked_is_emptied_and_goes_on() {
    let table = LastIds::new(10);
    set(&table, "c", "5");
    let panicked = std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let _guard = table.first.lock().unwrap();
            panic!("on purpose");
        });
        holder.join().is_err()
    });
    assert!(panicked);
    assert!(!table.conflicts("c", "4"));
    assert_eq!(table.len(), 0);
    set(&table, "c", "6");
    assert!(table.conflicts("c", "5") && table.len() == 1);
}

#[test]
fn threads_that_write_forget_and_look_at_once_lose_no_id_and_no_count() {
    const CHANNELS: usize = 64;
    const IDS: usize = 2_000;
    let table = LastIds::default();
    std::thread::scope(|scope| {
        // As in the process: one that writes, several that look and forget.
        scope.spawn(|| {
            for id in 0..IDS {
                for number in 0..CHANNELS {
                    let id = id.to_string();
                    assert!(table.advance(&name(number), None, Some(&id)));
                }
            }
        });
        for thread in 0..2 {
            let table = &table;
            scope.spawn(move || {
                for round in 0..IDS * 8 {
                    let number = (round * 7 + thread) % CHANNELS;
                    let channel = name(number);
                    if let Some(id) = table.get(&channel) {
                        assert!(id.parse::<usize>().unwrap() < IDS);
                    }
                    // The channels with odd numbers are never forgotten.
                    if round % 3 == 0 && number.is_multiple_of(2) {
                        table.forget(&channel);
                    }
                }
            });
        }
    });
    let last = (IDS - 1).to_string();
    let known = (0..CHANNELS).filter_map(|number| Some((number, table.get(&name(number))?)));
    let known: Vec<_> = known.collect();
    assert_eq!(table.len(), known.len());
    assert!(known.iter().all(|(_, id)| **id == *last));
    assert!(known.iter().filter(|(number, _)| number % 2 == 1).count() == CHANNELS / 2);
}

#[test]
fn of_threads_that_clear_and_write_the_count_stays_true() {
    let table = LastIds::default();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..20_000).for_each(|number| set(&table, &name(number % 500), "1")));
        scope.spawn(|| (0..200).for_each(|_| table.clear()));
    });
    let known = (0..500).filter(|number| table.get(&name(*number)).is_some());
    assert_eq!(known.count(), table.len());
    table.clear();
    assert_eq!(table.len(), 0);
}
