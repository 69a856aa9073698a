//! Backend connections: taken, lost, waited for, given back.

use crate::stage::{GET, OK, stage};
use crate::wire::PeerSide;
use crate::world::World;

const POST: &str = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";

/// A backend connection that has served once and waits in its pool.
fn pooled(world: &mut World) -> usize {
    let (_, backend) = world.asking(GET);
    world.say(backend, OK);
    backend
}

#[test]
fn a_get_is_sent_again_when_its_pooled_connection_was_stale() {
    let mut world = stage();
    let stale = pooled(&mut world);
    let client = world.client(GET);
    world.end(stale);
    assert!(world.is_closed(stale));
    let fresh = world.backend(1);
    world.say(fresh, OK);
    assert_eq!(world.statuses(client), [200]);
    assert_eq!(world.counters.requests.backend_retries.get(), 1);
}

#[test]
fn a_post_is_not_sent_again() {
    let mut world = stage();
    let stale = pooled(&mut world);
    let client = world.client(POST);
    world.end(stale);
    assert_eq!(world.backends.len(), 1);
    assert_eq!(world.statuses(client), [502]);
}

#[test]
fn nothing_is_sent_again_once_something_has_come_back() {
    for came in ["HTTP/1.1 2", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let mut world = stage();
        let stale = pooled(&mut world);
        let client = world.client(GET);
        world.say(stale, came);
        world.reset(stale);
        assert_eq!(world.backends.len(), 1, "{came:?}");
        assert_eq!(world.statuses(client), [502], "{came:?}");
    }
}

#[test]
fn a_target_that_refuses_hands_over_to_the_next() {
    let mut world = stage();
    let client = world.client("POST /two HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    world.connected(world.backends[0], false);
    let second = world.backend(1);
    assert_eq!(world.requests(second)[0].content, b"hi");
    world.say(second, OK);
    assert_eq!(world.statuses(client), [200]);
}

#[test]
fn when_all_targets_refuse_the_client_is_told() {
    let mut world = stage();
    let client = world.client("GET /two HTTP/1.1\r\nHost: h\r\n\r\n");
    world.connected(world.backends[0], false);
    world.connected(world.backends[1], false);
    assert_eq!(world.statuses(client), [502]);
    assert_eq!(world.counters.connections.backends.get(), 0);
}

#[test]
fn bytes_behind_an_answer_close_the_connection() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.say(backend, &format!("{OK}HTTP/1.1 200 OK\r\n"));
    assert_eq!(world.statuses(client), [200]);
    assert!(world.is_closed(backend));
}

#[test]
fn bytes_on_an_idle_connection_close_it() {
    let mut world = stage();
    let backend = pooled(&mut world);
    world.say(backend, OK);
    assert!(world.is_closed(backend));
    assert_eq!(world.counters.connections.backends_idle.get(), 0);
}

#[test]
fn an_answer_cut_short_cuts_the_client() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    world.end(backend);
    assert!(world.is_closed(client) && !world.wires[client].is_output_ended);
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.say(backend, "HTTP/1.1 200 OK\r\n\r\nabc");
    world.end(backend);
    let responses = world.responses(client);
    assert!(responses[0].is_complete);
    assert_eq!(responses[0].content, b"abc");
    assert!(!world.is_closed(client));
}

#[test]
fn a_client_that_leaves_takes_its_backend_connection_along() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.reset(client);
    assert!(world.is_closed(backend));
    let connecting = world.client(GET);
    world.reset(connecting);
    assert!(world.is_closed(world.backends[1]));
    assert_eq!(world.core.connections(), 0);
}

/// The limit of a pool in these tests.
const CONNECTIONS_MAX: usize = 3;

/// A world whose pools are soon full.
fn small_pools() -> World {
    let mut config = crate::world::small_config();
    config.proxy.backend_connections_max = CONNECTIONS_MAX;
    config.proxy.backend_waiting_max = 3;
    World::new(config, crate::stage::ROUTES)
}

#[test]
fn requests_beyond_a_full_pool_wait_in_order() {
    let mut world = small_pools();
    for _ in 0..CONNECTIONS_MAX {
        world.client(GET);
    }
    let (left, second, third) = (world.client(GET), world.client(GET), world.client(GET));
    assert_eq!(world.backends.len(), CONNECTIONS_MAX);
    world.reset(left);
    let backend = world.backend(0);
    world.say(backend, OK);
    // The next in line gets the connection that came free.
    assert_eq!(world.requests(backend).len(), 2);
    world.say(backend, OK);
    assert_eq!(world.statuses(second), [200]);
    // A connection that is lost makes room for a new one.
    world.reset(backend);
    let fresh = world.backend(CONNECTIONS_MAX);
    world.say(fresh, OK);
    assert_eq!(world.statuses(third), [200]);
}

#[test]
fn a_request_that_waited_is_served_by_a_fresh_connection_in_the_place_of_a_lost_one() {
    let mut world = small_pools();
    for _ in 0..CONNECTIONS_MAX {
        world.client(GET);
    }
    let waiting = world.client(GET);
    let lost = world.backend(0);
    world.reset(lost);
    let fresh = world.backend(CONNECTIONS_MAX);
    world.say(fresh, OK);
    assert_eq!(world.statuses(waiting), [200]);
}

#[test]
fn requests_beyond_the_queue_are_refused_and_those_in_it_do_not_wait_for_ever() {
    let mut world = small_pools();
    for _ in 0..CONNECTIONS_MAX {
        world.client(GET);
    }
    let waiting = [world.client(GET), world.client(GET), world.client(GET)];
    let refused = world.client(GET);
    assert_eq!(world.statuses(refused), [503]);
    let connect_timeout_ms = 1000 * u64::from(world.core.settings().config.proxy.connect_timeout_s);
    world.advance(connect_timeout_ms + 100);
    for client in waiting {
        assert_eq!(world.statuses(client), [503]);
    }
    assert_eq!(world.counters.errors.backend_busy.get(), 4);
}

#[test]
fn content_that_comes_later_does_not_make_a_request_wait_for_ever() {
    let mut world = small_pools();
    for _ in 0..CONNECTIONS_MAX {
        world.client(GET);
    }
    let client = world.client("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n");
    world.say(client, "hi");
    let connect_timeout_ms = 1000 * u64::from(world.core.settings().config.proxy.connect_timeout_s);
    world.advance(connect_timeout_ms + 100);
    assert_eq!(world.statuses(client), [503]);
}

#[test]
fn a_request_whose_wait_is_over_is_not_closed_while_its_connection_is_opened() {
    let mut world = small_pools();
    for _ in 0..CONNECTIONS_MAX {
        world.client(GET);
    }
    let waiting = world.client(GET);
    let connect_timeout_ms = 1000 * u64::from(world.core.settings().config.proxy.connect_timeout_s);
    world.advance(connect_timeout_ms - 200);
    let lost = world.backend(0);
    world.reset(lost);
    let fresh = world.backend(CONNECTIONS_MAX);
    world.advance(1000);
    assert!(!world.is_closed(waiting));
    world.say(fresh, OK);
    assert_eq!(world.statuses(waiting), [200]);
}

#[test]
fn surplus_idle_connections_are_closed_the_oldest_first() {
    let mut config = crate::world::small_config();
    config.proxy.backend_idle_max = 1;
    let mut world = World::new(config, crate::stage::ROUTES);
    let (_, first) = world.asking(GET);
    let (_, second) = world.asking(GET);
    world.say(first, OK);
    world.say(second, OK);
    assert!(world.is_closed(first) && !world.is_closed(second));
}

#[test]
fn a_request_under_way_keeps_its_route_over_a_reload() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.core.replace_routes(crate::world::table("* test"));
    assert_eq!(world.core.routes_kept(), 2);
    world.say(backend, OK);
    assert_eq!(world.statuses(client), [200]);
    assert_eq!(world.core.routes_kept(), 1);
}

#[test]
fn a_paused_backend_that_has_ended_is_read_to_its_end() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.wires[client].room = 100;
    let content = "x".repeat(3000);
    world.say(
        backend,
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n{content}"),
    );
    assert!(world.wires[backend].is_paused);
    world.wires[backend]
        .incoming
        .extend_from_slice(content.as_bytes());
    world.wires[backend].side = PeerSide::Ended;
    world.read_all(backend);
    world.make_room(client, usize::MAX);
    world.read_all(backend);
    assert_eq!(world.responses(client)[0].content.len(), 6000);
    assert!(world.responses(client)[0].is_complete);
}
