//! Publishers that are faster than the shards: held back, nothing lost.

use std::thread;

use crate::kit::{Settings, Wire, publish_on, stream_item};
use crate::stream;

#[test]
fn a_full_queue_holds_publishers_back_and_nothing_is_lost() {
    const PUBLISHERS: usize = 4;
    const POSTS: usize = 100;
    const ITEMS_PER_POST: usize = 10;
    const CLIENTS: usize = 20;
    let server = Settings::all_cores()
        .with("shards", "queue = 1\ndeliveries_per_turn = 1")
        .start();
    let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| stream(&server, "a")).collect();
    let control_port = server.control_port;
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            thread::spawn(move || {
                let mut control = Wire::connect(control_port);
                for post in 0..POSTS {
                    let item = |item| {
                        let number = post * ITEMS_PER_POST + item;
                        stream_item("a", &format!("{publisher} {number}\\n"))
                    };
                    let items: Vec<String> = (0..ITEMS_PER_POST).map(item).collect();
                    publish_on(&mut control, &items.join(","));
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.join().expect("all is published");
    }
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
