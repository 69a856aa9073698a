//! Time passes.

use crate::stage::{GET, OK, hold, stage};
use crate::world::{World, small_config};

/// Seconds of every limit in these worlds.
const LIMIT_S: u64 = 1000;

fn jump(world: &mut World) {
    world.advance(LIMIT_S * 1000 + 100);
}

#[test]
fn silent_clients_are_closed() {
    let mut world = stage();
    let idle = world.client("");
    let begun = world.client("GET /a");
    world.advance(LIMIT_S * 1000 - 100);
    assert!(!world.is_closed(idle));
    world.advance(200);
    assert!(world.is_closed(idle) && world.is_closed(begun));
}

#[test]
fn an_upload_that_stalls_is_told_so() {
    let mut world = stage();
    let (client, backend) =
        world.asking("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    jump(&mut world);
    assert!(world.is_closed(backend));
    assert!(matches!(world.statuses(client).as_slice(), [408 | 502]));
}

#[test]
fn a_backend_that_does_not_answer_is_given_up() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    jump(&mut world);
    assert!(world.is_closed(backend));
    assert_eq!(world.statuses(client), [502]);
    assert_eq!(world.counters.errors.backend_timeout.get(), 1);
}

#[test]
fn a_target_that_cannot_be_reached_in_time_hands_over_to_the_next() {
    let mut world = stage();
    let client = world.client("GET /two HTTP/1.1\r\nHost: h\r\n\r\n");
    jump(&mut world);
    assert!(world.is_closed(world.backends[0]));
    let second = world.backend(1);
    world.say(second, OK);
    assert_eq!(world.statuses(client), [200]);
}

#[test]
fn a_pooled_connection_taken_in_the_moment_of_its_end_serves_its_request() {
    let mut config = small_config();
    config.proxy.backend_keep_alive_s = 1000;
    let mut world = World::new(config, "* 127.0.0.1:1 127.0.0.1:2\n");
    let first = world.client(GET);
    let pooled = world.backends[0];
    world.connected(pooled, false);
    let pooled = world.backend(1);
    world.say(pooled, OK);
    assert_eq!(world.statuses(first), [200]);
    // Its first target is not reached in the same moment that the second's idle connection is due.
    let second = world.client(GET);
    jump(&mut world);
    if !world.is_closed(pooled) {
        world.say(pooled, OK);
    } else {
        let fresh = world.backend(world.backends.len() - 1);
        world.say(fresh, OK);
    }
    assert_eq!(world.statuses(second), [200]);
}

#[test]
fn idle_backend_connections_are_closed() {
    let mut world = stage();
    let (_, backend) = world.asking(GET);
    world.say(backend, OK);
    jump(&mut world);
    assert!(world.is_closed(backend));
    assert_eq!(world.counters.connections.backends_idle.get(), 0);
}

#[test]
fn a_long_poll_is_answered_with_its_own_content_when_its_time_is_over() {
    let mut world = stage();
    let (client, _) = world.held(GET, "response", "Grip-Timeout: 5\r\n");
    world.advance(4900);
    assert!(world.statuses(client).is_empty());
    world.advance(200);
    assert_eq!(world.responses(client)[0].content, b"now");
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn a_silent_stream_is_kept_alive() {
    let mut world = stage();
    let (client, _) = world.held(
        GET,
        "stream",
        "Grip-Keep-Alive: \\n; format=cstring; timeout=20\r\n",
    );
    for _ in 0..3 {
        world.advance(20_000);
    }
    assert_eq!(world.responses(client)[0].content, b"now\n\n\n");
}

#[test]
fn a_stream_without_keep_alive_has_no_timer() {
    let mut world = stage();
    world.held(GET, "stream", "");
    // The one that is left belongs to the backend connection.
    assert_eq!(world.core.timers(), 1);
    jump(&mut world);
    assert_eq!(world.core.timers(), 0);
    assert_eq!(world.core.clients(), 1);
}

#[test]
fn a_client_that_finished_and_does_not_leave_is_closed() {
    let mut world = stage();
    let client = world.client("no request\r\n\r\n");
    assert!(world.wires[client].is_output_ended);
    world.advance(2100);
    assert!(world.is_closed(client));
}

#[test]
fn waiting_for_a_hold_costs_the_client_no_upload_timer() {
    let mut world = stage();
    let (client, backend) =
        world.asking("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    world.say(client, "abcde");
    world.say(backend, &hold("stream", ""));
    jump(&mut world);
    assert!(!world.is_closed(client));
}
