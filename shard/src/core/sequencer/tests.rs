//! The lines of the behaviour reference one by one, and a random walk against a naive model.

mod model;

use super::*;

const WAIT_MS: u64 = 5_000;

/// An item of channel `c`, written `id<prev-id`; either may be missing.
fn item(text: &str) -> Arc<Item> {
    item_on("c", text)
}

fn item_on(channel: &str, text: &str) -> Arc<Item> {
    let (id, prev_id) = text.split_once('<').unwrap_or((text, ""));
    let named = |name: &str| (!name.is_empty()).then(|| Box::from(name));
    Arc::new(Item {
        channel: Arc::from(channel),
        id: named(id),
        prev_id: named(prev_id),
        meta: Vec::new(),
        size: None,
        no_seq: false,
        stream: None,
        response: None,
        ws: None,
    })
}

fn text_of(item: &Item) -> String {
    let mut text = item.id.as_deref().unwrap_or_default().to_owned();
    if let Some(prev_id) = &item.prev_id {
        text.push('<');
        text.push_str(prev_id);
    }
    text
}

fn texts_of(items: &[Arc<Item>]) -> String {
    let texts: Vec<_> = items.iter().map(|item| text_of(item)).collect();
    texts.join(" ")
}

/// Puts items in, parted by spaces; answers what comes out.
fn put(sequencer: &mut Sequencer, now_ms: u64, items: &str) -> String {
    let mut out = Vec::new();
    for text in items.split(' ') {
        sequencer.sequence(now_ms, item(text), |_| true, &mut out);
    }
    texts_of(&out)
}

fn expire(sequencer: &mut Sequencer, now_ms: u64) -> String {
    let mut out = Vec::new();
    while sequencer.expire(now_ms, 1, &mut out) {}
    texts_of(&out)
}

#[test]
fn items_come_out_in_the_order_of_their_chain() {
    for (items, released) in [
        ("1 2<1 3<2", "1 2<1 3<2"),
        ("1 3<2 2<1", "1 2<1 3<2"),
        ("a e<d d<c c<b b<a", "a b<a c<b d<c e<d"),
        ("a c<b e<d d<c", "a"),
        ("a c<b e<d d<c b<a", "a b<a c<b d<c e<d"),
        // Without a prev-id nothing waits, and without a last id neither.
        ("1 7 9<7", "1 7 9<7"),
        ("5<4 6<5", "5<4 6<5"),
        // An item without an id takes the last id away, so the next one goes out.
        ("1 <1 9<8", "1 <1 9<8"),
        ("1 2<1 <2 3<2", "1 2<1 <2 3<2"),
        // One that waits may be without an id too: its chain ends there.
        ("1 <2 2<1 9<8", "1 2<1 <2 9<8"),
        // A late item is no exception.
        ("1 2<1 2<1", "1 2<1"),
        // Names itself as the one before.
        ("1 2<2", "1"),
    ] {
        let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
        assert_eq!(put(&mut sequencer, 0, items), released, "{items}");
    }
}

#[test]
fn an_item_goes_out_when_its_time_is_over_and_the_chain_goes_on_from_it() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    assert_eq!(put(&mut sequencer, 0, "10 13<12"), "10");
    assert_eq!(expire(&mut sequencer, WAIT_MS - 1), "");
    assert_eq!(expire(&mut sequencer, WAIT_MS), "13<12");
    assert_eq!(sequencer.last_ids.get("c"), Some("13".into()));
    assert_eq!(put(&mut sequencer, WAIT_MS, "14<13 11<10"), "14<13");
    assert_eq!(sequencer.counts().expired, 1);
}

#[test]
fn items_whose_time_is_over_come_out_in_the_order_of_arrival_and_of_their_chain() {
    for (items, released) in [
        ("r1 r3<r2 r4<r3", "r3<r2 r4<r3"),
        ("r1 r4<r3 r3<r2", "r3<r2 r4<r3"),
        ("r1 r9<r8 r4<r3 r6<r5 r3<r2", "r9<r8 r3<r2 r4<r3 r6<r5"),
        ("r1 a<b b<a c<x", "b<a a<b c<x"),
        ("r1 c<b d<c b<x", "b<x c<b d<c"),
        ("r1 <x y<x2", "<x y<x2"),
    ] {
        let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
        assert_eq!(put(&mut sequencer, 0, items), "r1", "{items}");
        assert_eq!(expire(&mut sequencer, WAIT_MS), released, "{items}");
        assert_eq!(sequencer.waiting(), 0, "{items}");
    }
}

#[test]
fn the_first_of_a_chain_goes_with_the_one_whose_time_is_over() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    put(&mut sequencer, 0, "1 4<3");
    put(&mut sequencer, 4_000, "3<2 8<7");
    assert_eq!(expire(&mut sequencer, WAIT_MS), "3<2 4<3");
    assert_eq!(expire(&mut sequencer, 9_000), "8<7");
}

#[test]
fn channels_do_not_wait_for_each_other() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    put(&mut sequencer, 0, "1 3<2");
    let mut out = Vec::new();
    for text in ["1", "2<1"] {
        sequencer.sequence(0, item_on("other", text), |_| true, &mut out);
    }
    assert_eq!(texts_of(&out), "1 2<1");
    assert_eq!(put(&mut sequencer, 0, "2<1"), "2<1 3<2");
}

#[test]
fn an_item_that_skips_the_order_leaves_the_last_id_alone() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    put(&mut sequencer, 0, "10");
    let mut hasty = (*item("13<12")).clone();
    hasty.no_seq = true;
    let mut out = Vec::new();
    sequencer.sequence(0, Arc::new(hasty), |_| panic!("not needed"), &mut out);
    assert_eq!(texts_of(&out), "13<12");
    assert_eq!(sequencer.last_ids.get("c"), Some("10".into()));
}

#[test]
fn a_channel_that_nobody_listens_to_is_not_put_in_order() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    let mut out = Vec::new();
    for text in ["1", "3<2", "2<1"] {
        sequencer.sequence(0, item(text), |channel| channel != "c", &mut out);
    }
    assert_eq!(texts_of(&out), "1 3<2 2<1");
    assert!(sequencer.is_empty());
}

#[test]
fn with_its_last_listener_everything_of_a_channel_goes() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    put(&mut sequencer, 0, "1 3<2 5<4");
    let mut out = Vec::new();
    for text in ["1", "3<2"] {
        sequencer.sequence(0, item_on("other", text), |_| true, &mut out);
    }
    sequencer.forget("c");
    assert_eq!((sequencer.last_ids(), sequencer.waiting()), (1, 1));
    assert_eq!(expire(&mut sequencer, WAIT_MS), "3<2");
    assert_eq!(put(&mut sequencer, WAIT_MS, "9<8"), "9<8");
}

#[test]
fn a_last_id_that_is_forgotten_holds_nothing_up_and_what_waits_goes_on_waiting() {
    for recover in [false, true] {
        let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
        put(&mut sequencer, 0, "1 9<8");
        if recover {
            sequencer.recover();
        } else {
            sequencer.last_ids.forget("c");
        }
        assert_eq!((sequencer.last_ids(), sequencer.waiting()), (0, 1));
        assert_eq!(put(&mut sequencer, 0, "6<5"), "6<5");
        assert_eq!(put(&mut sequencer, 0, "8<6"), "8<6 9<8");
    }
}

#[test]
fn of_two_that_follow_the_same_item_the_second_is_dropped() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    assert_eq!(put(&mut sequencer, 0, "1 3<2 4<2 2<1"), "1 2<1 3<2");
    let counts = sequencer.counts();
    assert_eq!((counts.dropped_rival, counts.dropped_full), (1, 0));
}

#[test]
fn of_130_items_that_would_wait_the_first_hundred_do() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    put(&mut sequencer, 0, "1");
    for number in 0..130 {
        put(&mut sequencer, 0, &format!("x{number}<y{number}"));
        assert_eq!(sequencer.waiting(), WAITING_PER_CHANNEL_MAX.min(number + 1));
    }
    assert_eq!(sequencer.counts().dropped_full, 30);
    let released = expire(&mut sequencer, WAIT_MS);
    let expected: Vec<_> = (0..100).map(|n| format!("x{n}<y{n}")).collect();
    assert_eq!(released, expected.join(" "));
}

#[test]
fn with_too_many_channels_the_id_set_longest_ago_is_forgotten() {
    let last_ids = Arc::new(LastIds::new(2));
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::clone(&last_ids));
    let mut out = Vec::new();
    for (channel, text) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")] {
        sequencer.sequence(0, item_on(channel, text), |_| true, &mut out);
    }
    let known = ["a", "b", "c"].map(|channel| last_ids.get(channel));
    assert_eq!(known, [Some("2".into()), None, Some("1".into())]);
}

#[test]
fn with_too_many_waiting_the_first_that_came_goes_before_its_time() {
    let limits = Limits {
        waiting: 2,
        ..Limits::DEFAULT
    };
    let mut sequencer = Sequencer::with_limits(WAIT_MS, Arc::default(), limits);
    assert_eq!(put(&mut sequencer, 0, "1 4<3 6<5 8<7"), "1 4<3");
    let counts = sequencer.counts();
    assert_eq!((counts.released_early, counts.expired), (1, 0));
}

#[test]
fn with_too_much_content_waiting_the_first_that_came_goes_before_its_time() {
    let content = proto::grip::StreamContent::new(b"0123456789", None);
    let heavy = |text: &str| {
        let mut heavy = (*item(text)).clone();
        heavy.stream = Some(proto::grip::StreamForm::Send(content.clone()));
        Arc::new(heavy)
    };
    let limits = Limits {
        waiting_len: 20,
        ..Limits::DEFAULT
    };
    let mut sequencer = Sequencer::with_limits(WAIT_MS, Arc::default(), limits);
    let mut out = Vec::new();
    for text in ["1", "4<3", "6<5", "8<7"] {
        sequencer.sequence(0, heavy(text), |_| true, &mut out);
    }
    assert_eq!(texts_of(&out), "1 4<3");
    assert_eq!(sequencer.waiting.content_len(), 20);
}

#[test]
fn an_item_without_ids_asks_nobody_while_no_ids_are_in_use() {
    let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
    let mut out = Vec::new();
    sequencer.sequence(0, item(""), |_| panic!("not needed"), &mut out);
    assert_eq!(out.len(), 1);
}
