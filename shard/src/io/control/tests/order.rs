//! Doubles and order, from the publisher to the ring.

use std::sync::Arc;

use super::http::{Client, post};
use super::rig::{Rig, RigSettings, config, until};
use crate::core::hub::Mode;
use crate::io::broadcast::Broadcast;
use crate::io::reports::SubscriptionChange;

/// A publish of items of channel `c`, parted by spaces, each written `id<prev-id`.
fn publish(rig: &Rig, items: &str) {
    let item = |text: &str| {
        let (id, prev_id) = text.split_once('<').unwrap_or((text, ""));
        let field = |name, value: &str| match value {
            "" => String::new(),
            value => format!(r#","{name}":"{value}""#),
        };
        let (id, prev_id) = (field("id", id), field("prev-id", prev_id));
        format!(r#"{{"channel":"c"{id}{prev_id},"http-stream":{{"content":"x"}}}}"#)
    };
    let items: Vec<_> = items.split(' ').map(item).collect();
    let content = format!(r#"{{"items":[{}]}}"#, items.join(","));
    let answer = Client::new(rig.port()).exchange(&post("/publish/", &content));
    assert_eq!(answer.status, 200, "{content}");
}

/// The ids that have come into the ring.
fn released(rig: &Rig) -> String {
    let mut ids = Vec::new();
    while let Some(broadcast) = rig.next_broadcast(0) {
        if let Broadcast::Items(items) = broadcast {
            ids.extend(
                items
                    .iter()
                    .map(|item| item.id.as_deref().unwrap().to_owned()),
            );
        }
    }
    ids.join(" ")
}

fn subscribe(rig: &Rig, delta: i32) {
    rig.report(SubscriptionChange {
        mode: Mode::Stream,
        channel: Arc::from("c"),
        delta,
    });
}

/// A metric's value, as text.
pub(super) fn metric(rig: &Rig, name: &str) -> String {
    let answer = Client::new(rig.metrics_port()).exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = answer.text();
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(found, _)| *found == name);
    found.expect(name).1.to_owned()
}

#[test]
fn an_item_that_comes_again_is_dropped_and_counted() {
    let rig = Rig::new(RigSettings::default());
    publish(&rig, "1 2 1");
    publish(&rig, "2 3");
    assert_eq!(released(&rig), "1 2 3");
    assert_eq!(metric(&rig, "pincushion_duplicates_dropped_total"), "2");
    assert_eq!(metric(&rig, "message_received"), "3");
}

#[test]
fn items_of_one_publish_and_of_several_are_put_in_order() {
    let rig = Rig::new(RigSettings::default());
    subscribe(&rig, 1);
    publish(&rig, "1 3<2 2<1");
    assert_eq!(released(&rig), "1 2 3");
    publish(&rig, "5<4");
    assert_eq!(released(&rig), "");
    assert_eq!(metric(&rig, "pincushion_items_waiting"), "1");
    publish(&rig, "4<3");
    assert_eq!(released(&rig), "4 5");
    assert_eq!(metric(&rig, "pincushion_items_waiting"), "0");
}

#[test]
fn a_channel_that_nobody_listens_to_is_not_put_in_order() {
    let rig = Rig::new(RigSettings::default());
    publish(&rig, "1 3<2 2<1");
    assert_eq!(released(&rig), "1 3 2");
}

#[test]
fn an_item_goes_into_the_ring_when_it_has_waited_long_enough() {
    let mut config = config(&RigSettings::default());
    config.handler.message_wait_ms = 50;
    let rig = Rig::with(config, &RigSettings::default(), None);
    subscribe(&rig, 1);
    publish(&rig, "1 4<3 3<2");
    assert_eq!(released(&rig), "1");
    let mut late = String::new();
    until("the items are released", || {
        late = released(&rig);
        !late.is_empty()
    });
    assert_eq!(late, "3 4");
    assert_eq!(metric(&rig, "pincushion_waits_expired_total"), "2");
}

#[test]
fn items_whose_time_is_over_wait_for_room_and_come_once() {
    let settings = RigSettings {
        ring: 1,
        ..RigSettings::default()
    };
    let mut config = config(&settings);
    config.handler.message_wait_ms = 1;
    let rig = Rig::with(config, &settings, None);
    subscribe(&rig, 1);
    publish(&rig, "1 3<2");
    until("the item waits for room", || {
        metric(&rig, "pincushion_publishers_waiting") == "1"
    });
    assert_eq!(released(&rig), "1");
    let mut late = String::new();
    until("the item is released", || {
        late = released(&rig);
        !late.is_empty()
    });
    assert_eq!(late, "3");
    publish(&rig, "4<3");
    assert_eq!(released(&rig), "4");
}

#[test]
fn with_the_last_subscriber_the_order_of_a_channel_is_forgotten() {
    let rig = Rig::new(RigSettings::default());
    subscribe(&rig, 1);
    publish(&rig, "1 3<2");
    subscribe(&rig, -1);
    until("the waiting item is gone", || {
        metric(&rig, "pincushion_items_waiting") == "0"
    });
    assert_eq!(metric(&rig, "pincushion_last_ids"), "0");
    subscribe(&rig, 1);
    publish(&rig, "2<1");
    assert_eq!(released(&rig), "1 2");
}

#[test]
fn after_a_conflict_or_a_recovery_the_next_item_does_not_wait() {
    let rig = Rig::new(RigSettings::default());
    subscribe(&rig, 1);
    publish(&rig, "1");
    assert!(rig.last_ids.conflicts("c", "0"));
    rig.last_ids.forget("c");
    publish(&rig, "5<4");
    assert_eq!(released(&rig), "1 5");
    assert_eq!(rig.last_ids.get("c"), Some("5".into()));
    Client::new(rig.port()).exchange(&post("/recover/", ""));
    assert!(rig.last_ids.is_empty());
    publish(&rig, "9<8");
    assert_eq!(released(&rig), "9");
}

#[test]
fn publishers_that_are_held_back_are_put_in_order_and_doubles_among_them_dropped() {
    let rig = Rig::new(RigSettings {
        ring: 1,
        ..RigSettings::default()
    });
    subscribe(&rig, 1);
    publish(&rig, "1");
    let mut clients = Vec::new();
    for (waiting, item) in [r#""3","prev-id":"2""#, r#""3","prev-id":"2""#, r#""2""#]
        .iter()
        .enumerate()
    {
        let content = format!(
            r#"{{"items":[{{"channel":"c","id":{item},"http-stream":{{"content":"x"}}}}]}}"#
        );
        let mut client = Client::new(rig.port());
        client.send(&post("/publish/", &content));
        clients.push(client);
        let expected = (waiting + 1).to_string();
        until("the publisher waits", || {
            metric(&rig, "pincushion_publishers_waiting") == expected
        });
    }
    assert_eq!(metric(&rig, "pincushion_duplicates_dropped_total"), "0");
    assert_eq!(released(&rig), "1");
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(released(&rig), "2 3");
    assert_eq!(metric(&rig, "pincushion_duplicates_dropped_total"), "1");
}
