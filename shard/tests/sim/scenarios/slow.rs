//! Clients that do not read.

use crate::stage::{GET, OK, item, stage};

fn long_answer(len: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{}",
        "x".repeat(len)
    )
}

#[test]
fn a_client_that_does_not_read_pauses_its_backend() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.wires[client].room = 10;
    world.say(backend, &long_answer(6000)[..3000]);
    assert!(world.wires[backend].is_paused);
    world.make_room(client, usize::MAX);
    assert!(!world.wires[backend].is_paused);
}

#[test]
fn requests_on_top_of_an_answer_that_is_not_read_do_not_pile_up() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.wires[client].room = 10;
    world.say(backend, &long_answer(3000));
    world.say(client, GET);
    assert!(
        world.wires[client].is_paused,
        "the next request waits until the answer is read"
    );
    assert_eq!(world.requests(backend).len(), 1);
    world.make_room(client, usize::MAX);
    world.read_all(client);
    world.say(backend, OK);
    assert_eq!(world.statuses(client), [200, 200]);
}

#[test]
fn a_backend_is_paused_when_its_client_was_blocked_before_it_connected() {
    let mut world = stage();
    // The second request goes out in the very call that fills the client's pipe.
    let (client, backend) = world.asking(&format!("{GET}GET /two HTTP/1.1\r\nHost: h\r\n\r\n"));
    world.wires[client].room = 10;
    world.say(backend, &format!("{}surplus", long_answer(3000)));
    let second = world.backend(1);
    assert!(world.wires[second].is_paused);
    world.make_room(client, usize::MAX);
    world.say(second, OK);
    assert_eq!(world.statuses(client), [200, 200]);
}

#[test]
fn a_request_begun_behind_an_answer_that_is_not_read_waits_with_it() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.wires[client].room = 10;
    world.say(client, "");
    world.say(backend, &long_answer(3000));
    world.make_room(client, 10);
    world.wires[client]
        .incoming
        .extend_from_slice(GET.as_bytes());
    world.make_room(client, usize::MAX);
    world.read_all(client);
    assert_eq!(world.requests(backend).len(), 2);
}

#[test]
fn a_stream_that_is_not_read_is_closed_at_the_limit_and_nobody_else_notices() {
    let mut world = stage();
    let (slow, _) = world.held(GET, "stream", "");
    let (fast, _) = world.held(GET, "stream", "");
    world.wires[slow].room = 10;
    for _ in 0..10 {
        world.send_out(&item(&"x".repeat(2000)));
    }
    assert!(world.is_closed(slow));
    assert_eq!(world.counters.deliveries.slow_clients_closed.get(), 1);
    assert_eq!(world.responses(fast)[0].content.len(), 3 + 10 * 2000);
}

#[test]
fn a_client_that_has_ended_its_side_still_gets_all_of_a_slow_answer() {
    for is_last in [true, false] {
        let mut world = stage();
        let field = if is_last { "Connection: close\r\n" } else { "" };
        let (client, backend) = world.asking(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{field}\r\n"));
        world.wires[client].room = 10;
        world.end(client);
        world.say(backend, &long_answer(3000));
        world.read_all(client);
        assert!(!world.is_closed(client), "close: {is_last}");
        world.make_room(client, usize::MAX);
        assert_eq!(world.statuses(client), [200], "close: {is_last}");
        world.read_all(client);
        world.advance(5000);
        assert!(world.is_closed(client), "close: {is_last}");
    }
}

#[test]
fn a_client_that_ends_its_side_behind_a_slow_answer_gets_all_of_it() {
    let mut world = stage();
    let (client, backend) = world.asking(GET);
    world.wires[client].room = 10;
    world.say(backend, &long_answer(3000));
    world.end(client);
    assert!(!world.is_closed(client));
    world.make_room(client, usize::MAX);
    assert_eq!(world.statuses(client), [200]);
    world.read_all(client);
    assert!(world.is_closed(client));
}

#[test]
fn requests_at_hand_are_answered_although_their_client_has_ended_its_side() {
    let mut world = stage();
    let (client, backend) = world.asking(&GET.repeat(2));
    world.wires[client].room = 10;
    world.end(client);
    world.say(backend, &long_answer(3000));
    world.read_all(client);
    world.make_room(client, usize::MAX);
    world.say(backend, OK);
    assert_eq!(world.statuses(client), [200, 200]);
}

#[test]
fn a_slow_reader_is_given_time_for_its_last_answer() {
    let mut world = stage();
    let (client, backend) = world.asking("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    world.wires[client].room = 10;
    world.say(backend, &long_answer(3000));
    world.advance(5000);
    assert!(!world.is_closed(client), "its answer is still on its way");
    world.make_room(client, usize::MAX);
    assert_eq!(world.statuses(client), [200]);
    world.advance(5000);
    assert!(world.is_closed(client));
}
