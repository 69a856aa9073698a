//! How many channels a hold gets, which ones, and requests that share one answer (grip-http.md
//! section 19, lines 215 to 217 of its checklist).

use shard::core::hub::Mode;

use super::links::{content, count, page, reply};
use crate::stage::{GET, ROUTES, hold, item};
use crate::world::{World, small_config};

/// Line 215.
#[test]
fn channels_beyond_the_limit_are_not_subscribed() {
    let mut config = small_config();
    config.handler.connection_subscription_max = 3;
    let mut world = World::new(config, ROUTES);
    let more = "Grip-Channel: d, c, e, f\r\n";
    world.held(GET, "stream", more);
    assert_eq!(channels(&mut world), ["c", "d"], "repeats are counted");
    world.held(GET, "response", "Grip-Channel: x, y, z, a\r\n");
    assert_eq!(channels(&mut world), ["c", "c", "d", "x", "y"]);
}

#[test]
fn the_limit_of_channels_holds_for_next_links_too() {
    let mut config = small_config();
    config.handler.connection_subscription_max = 2;
    let mut world = World::new(config, ROUTES);
    let more = "Grip-Link: </n>; rel=next; timeout=1\r\n";
    world.held(GET, "stream", more);
    world.advance(1000);
    world.advance(200);
    let next = "Grip-Hold: stream\r\nGrip-Channel: x, y, z\r\n";
    reply(&mut world, &page(next, "then"));
    assert_eq!(channels(&mut world), ["x", "y"]);
}

/// Channels with subscribers, once per mode.
fn channels(world: &mut World) -> Vec<String> {
    world.count_subscribers();
    let all = world.subscribers.iter().filter(|(_, count)| **count > 0);
    let mut names: Vec<String> = all.map(|((_, name), _)| name.clone()).collect();
    names.sort_unstable();
    names
}

/// Line 216.
#[test]
fn with_share_all_three_equal_requests_at_once_are_one_and_all_are_held() {
    let mut config = small_config();
    config.handler.share_all = true;
    let mut world = World::new(config, ROUTES);
    let clients: Vec<usize> = (0..3).map(|_| world.client(GET)).collect();
    assert_eq!(count(&mut world), 1);
    reply(&mut world, &hold("response", ""));
    assert_eq!(count(&mut world), 1);
    world.send_out(&item("one"));
    for client in clients {
        assert_eq!(content(&world, client), "one");
    }
}

/// Line 217.
#[test]
fn the_channels_of_the_route_are_subscribed_as_they_are_and_those_of_the_answer_with_its_prefix() {
    for (mode, hub_mode) in [("stream", Mode::Stream), ("response", Mode::Response)] {
        let routes = "*,prefix=P- 127.0.0.1:1,sub=imp";
        let mut world = World::new(small_config(), routes);
        let answer = page(&format!("Grip-Hold: {mode}\r\nGrip-Channel: x1\r\n"), "now");
        world.answered(GET, &answer);
        assert_eq!(channels(&mut world), ["P-x1", "imp"]);
        assert!(
            world
                .subscribers
                .contains_key(&(hub_mode, "imp".to_owned()))
        );
    }
}
