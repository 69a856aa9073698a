//! The shard drains.

use crate::stage::{GET, OK, hold, stage};

#[test]
fn idle_clients_are_closed_and_holds_end_cleanly() {
    let mut world = stage();
    let idle = world.client("");
    let (stream, _) = world.held(GET, "stream", "");
    let (poll, _) = world.held(GET, "response", "");
    world.drain(10_000);
    assert!(world.is_closed(idle));
    assert_eq!(world.statuses(stream), [200]);
    assert_eq!(world.responses(poll)[0].content, b"now");
    assert!(world.responses(poll)[0].says_close());
    assert_eq!(world.core.channels(), 0);
}

#[test]
fn a_request_under_way_is_answered_and_is_the_last() {
    let mut world = stage();
    let (client, backend) = world.asking(&GET.repeat(2));
    world.drain(10_000);
    world.say(backend, OK);
    assert_eq!(world.statuses(client), [200]);
    assert!(world.wires[client].is_output_ended);
    assert!(!world.core.is_drained());
    world.end(client);
    assert!(world.core.is_drained());
}

#[test]
fn nobody_is_held_while_the_shard_drains() {
    for mode in ["stream", "response"] {
        let mut world = stage();
        let (client, backend) = world.asking(GET);
        world.drain(10_000);
        world.say(backend, &hold(mode, ""));
        assert_eq!(world.statuses(client), [200], "{mode}");
        assert_eq!(world.responses(client)[0].content, b"now", "{mode}");
        assert_eq!(world.core.channels(), 0, "{mode}");
    }
}

#[test]
fn an_answer_that_is_not_read_yet_is_not_cut_by_draining() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.wires[client].room = 10;
    world.say(
        backend,
        &format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}",
            "x".repeat(3000)
        ),
    );
    world.drain(10_000);
    assert!(!world.is_closed(client));
    world.make_room(client, usize::MAX);
    assert_eq!(world.statuses(client), [200]);
}

#[test]
fn whoever_is_left_when_the_time_is_over_is_closed() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    let waiting = world.client(GET);
    world.drain(10_000);
    world.advance(10_000);
    assert!(world.is_closed(client) && world.is_closed(waiting));
    assert!(world.is_closed(backend), "its client has gone");
    assert!(world.core.is_drained());
    assert_eq!(world.counters.connections.backends.get(), 0);
}

#[test]
fn idle_backend_connections_outlive_the_drain_in_good_order() {
    let mut world = stage();
    let (_, backend) = world.asking(GET);
    world.say(backend, OK);
    world.drain(10_000);
    world.advance(10_000);
    world.advance(2_000_000);
    assert!(world.is_closed(backend));
    assert_eq!(world.core.connections(), 0);
    assert_eq!(world.counters.connections.backends.get(), 0);
}

#[test]
fn clients_that_come_while_the_shard_drains_are_refused() {
    let mut world = stage();
    world.drain(10_000);
    let client = world.client("");
    assert_eq!(world.statuses(client), [503]);
    assert!(world.wires[client].is_output_ended);
}

#[test]
fn clients_beyond_the_limit_are_refused() {
    let mut config = crate::world::small_config();
    config.http.client_maxconn = 1;
    let mut world = crate::world::World::new(config, crate::stage::ROUTES);
    let first = world.client("");
    let second = world.client("");
    assert_eq!(world.statuses(second), [503]);
    world.say(first, "GET /test HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(world.statuses(first), [200]);
    world.end(second);
    assert_eq!(world.core.clients(), 1);
}
