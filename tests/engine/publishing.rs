//! Publishers that are faster than the shards: held back, nothing lost.

use std::thread;

use crate::kit::{Settings, Wire, publish_on, stream_item};
use crate::stream;

/// Publishers at once.
const PUBLISHERS: usize = 8;
/// Posts of each of them, and items in each post.
const POSTS: usize = 200;
const ITEMS_PER_POST: usize = 5;

/// Publishes numbered items on a connection of its own.
fn publish_all(publisher: usize, control_port: u16) {
    let mut control = Wire::connect(control_port);
    for post in 0..POSTS {
        let item = |item| {
            let number = post * ITEMS_PER_POST + item;
            stream_item("a", &format!("{publisher} {number}\\n"))
        };
        let items: Vec<String> = (0..ITEMS_PER_POST).map(item).collect();
        publish_on(&mut control, &items.join(","));
    }
}

#[test]
fn a_full_queue_holds_publishers_back_and_nothing_is_lost() {
    const CLIENTS: usize = 50;
    // The shortest queue there is, before a shard that does next to nothing in a turn.
    let server = Settings::one_shard()
        .with("shards", "queue = 16\ndeliveries_per_turn = 1")
        .start();
    let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| stream(&server, "a")).collect();
    let control_port = server.control_port;
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| thread::spawn(move || publish_all(publisher, control_port)))
        .collect();
    let mut is_held_back = false;
    while !publishers.iter().all(thread::JoinHandle::is_finished) {
        is_held_back |= server.metric("pincushion_publishers_waiting") > 0;
    }
    for publisher in publishers {
        publisher.join().expect("all is published");
    }
    assert!(is_held_back, "the queue was never full");
    server.publish_stream("a", "end\\n");
    for client in &mut clients {
        let got = client.chunks_until("end\n");
        for publisher in 0..PUBLISHERS {
            let prefix = format!("{publisher} ");
            let numbers = got.lines().filter_map(|line| line.strip_prefix(&prefix));
            let numbers: Vec<usize> = numbers.map(|n| n.parse().expect("a number")).collect();
            let all: Vec<usize> = (0..POSTS * ITEMS_PER_POST).collect();
            assert!(
                numbers == all,
                "publisher {publisher}: {} items",
                numbers.len()
            );
        }
    }
    assert_eq!(server.metric("pincushion_publishes_refused_total"), 0);
}

#[test]
fn a_long_poll_is_answered_once_and_its_connection_serves_on() {
    let server = Settings::all_cores().start();
    let mut client = server.client();
    for round in 0..5 {
        client.send("GET /response HTTP/1.1\r\nHost: a\r\n\r\n");
        crate::kit::wait_until("the long-poll is held", || {
            server.metric("pincushion_held_long_polls") == 1
        });
        server.publish_response("test", &format!("news {round}"));
        assert_eq!(client.response().text(), format!("news {round}"));
    }
}
