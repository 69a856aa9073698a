//! First subscriptions, from a shard's report to the message in its ring.

use std::sync::Arc;

use super::order::metric;
use super::rig::{Rig, RigSettings, config, until};
use crate::core::hub::Mode;
use crate::io::broadcast::Broadcast;
use crate::io::clock::Clock;
use crate::io::control::firsts::{CHANNELS_PER_UPDATE_MAX, FIRST_SUBSCRIPTION_DELAY_MS};
use crate::io::reports::{Report, SubscriptionChange};

fn subscribe(rig: &Rig, mode: Mode, channel: &str, delta: i32) {
    rig.report(SubscriptionChange {
        mode,
        channel: Arc::from(channel),
        delta,
    });
}

/// The channels of the next update in a shard's ring.
fn next_update(rig: &Rig, shard: usize) -> Arc<[Arc<str>]> {
    let mut found = None;
    until("an update comes", || {
        found = rig.next_broadcast(shard);
        found.is_some()
    });
    match found {
        Some(Broadcast::Update(channels)) => channels,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_shard_is_told_of_a_first_subscription_once_after_a_second() {
    let rig = Rig::new(RigSettings {
        shards: 2,
        ..RigSettings::default()
    });
    let clock = Clock::start();
    subscribe(&rig, Mode::Response, "a", 1);
    // Who comes second, or comes back while the channel lingers, makes no further one.
    subscribe(&rig, Mode::Response, "a", 1);
    subscribe(&rig, Mode::Response, "a", -2);
    subscribe(&rig, Mode::Response, "a", 1);
    for shard in 0..2 {
        assert_eq!(*next_update(&rig, shard), [Arc::from("a")]);
    }
    assert!(clock.now_ms() >= FIRST_SUBSCRIPTION_DELAY_MS);
    // Updates keep the order of their channels: another one of `a` would come before this.
    subscribe(&rig, Mode::Stream, "b", 1);
    assert_eq!(*next_update(&rig, 0), [Arc::from("b")]);
    let name = "pincushion_first_subscription_updates_total";
    assert_eq!(metric(&rig, name), "2");
}

#[test]
fn a_channel_that_only_websockets_listen_to_or_that_is_gone_is_left_out() {
    let rig = Rig::new(RigSettings::default());
    subscribe(&rig, Mode::WebSocket, "sockets", 1);
    subscribe(&rig, Mode::Stream, "gone", 1);
    subscribe(&rig, Mode::Stream, "gone", -1);
    subscribe(&rig, Mode::Stream, "held", 1);
    assert_eq!(*next_update(&rig, 0), [Arc::from("held")]);
}

#[test]
fn a_burst_of_channels_is_told_completely_in_messages_of_limited_length() {
    const CHANNELS: usize = 2 * CHANNELS_PER_UPDATE_MAX + 1;
    let rig = Rig::new(RigSettings::default());
    let subscriptions = (0..CHANNELS).map(|number| SubscriptionChange {
        mode: Mode::Stream,
        channel: Arc::from(number.to_string()),
        delta: 1,
    });
    rig.report_all(Report {
        subscriptions: subscriptions.collect(),
        ..Report::default()
    });
    let mut told = Vec::new();
    while told.len() < CHANNELS {
        let channels = next_update(&rig, 0);
        assert!(channels.len() <= CHANNELS_PER_UPDATE_MAX);
        told.extend(
            channels
                .iter()
                .map(|channel| channel.parse::<usize>().unwrap()),
        );
    }
    assert!(told.into_iter().eq(0..CHANNELS));
}

#[test]
fn without_the_setting_nobody_is_told() {
    let settings = RigSettings::default();
    let mut config = config(&settings);
    config.handler.update_on_first_subscription = false;
    let rig = Rig::with(config, &settings, None);
    let clock = Clock::start();
    subscribe(&rig, Mode::Stream, "a", 1);
    until("its time is over", || {
        assert!(rig.next_broadcast(0).is_none());
        clock.now_ms() > FIRST_SUBSCRIPTION_DELAY_MS + 200
    });
}
