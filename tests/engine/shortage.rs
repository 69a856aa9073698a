//! Too many clients, too few descriptors, clients that do not read.

use crate::kit::{Settings, Wire, wait_until};
use crate::stream;

#[test]
fn a_client_over_the_limit_gets_a_503_and_is_counted() {
    let server = Settings::one_shard()
        .with("http", "client_maxconn = 2")
        .start();
    let first = stream(&server, "a");
    let _second = stream(&server, "a");
    let mut third = server.client();
    let response = third.response();
    assert_eq!(
        (response.status, response.text().as_str()),
        (503, "Too many connections.\n")
    );
    third.expect_closed();
    assert_eq!(server.metric("pincushion_refused_maxconn_total"), 1);
    drop(first);
    wait_until("the place is free", || {
        server.metric("connection_connected") == 1
    });
    drop(stream(&server, "a"));
}

/// Opens far more clients than there are descriptors for, and sees all of them served as others
/// leave.
fn check_shortage(settings: Settings) {
    const CLIENTS: usize = 300;
    const PAUSED: &str = "no more clients are accepted";
    let mut server = settings.under("ulimit -n 160").start();
    let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    server.running.wait_for(PAUSED);
    for mut client in clients {
        assert_eq!(client.response().status, 200);
    }
    wait_until("all have left", || {
        server.metric("connection_connected") == 0
    });
    assert!(server.metric("pincushion_accept_paused_total") > 0);
    assert_eq!(server.metric("pincushion_accepted_total"), CLIENTS as u64);
    assert_eq!(server.metric("pincushion_panics_total"), 0);
    let seen = server.running.catch_up();
    assert_eq!(seen.matches(PAUSED).count(), 1, "{seen}");
    assert_eq!(server.client().get("/").status, 200);
}

#[test]
fn without_descriptors_accepting_pauses_and_goes_on() {
    check_shortage(Settings::one_shard().with("shards", "private_descriptors = true"));
}

#[test]
fn without_descriptors_in_one_table_for_all_accepting_pauses_and_goes_on() {
    check_shortage(Settings::one_shard().with("shards", "private_descriptors = false"));
}

#[test]
fn a_client_that_does_not_read_is_closed_and_its_neighbours_get_everything() {
    const ITEM_LEN: usize = 100_000;
    const ITEMS_MAX: usize = 1000;
    let server = Settings::one_shard()
        .with("http", "outbox_max = 200_000")
        .start();
    let mut slow = stream(&server, "a");
    let mut neighbours: Vec<Wire> = (0..3).map(|_| stream(&server, "a")).collect();
    let filling = "x".repeat(ITEM_LEN);
    let mut items = 0;
    while server.metric("pincushion_slow_clients_closed_total") == 0 {
        assert!(items < ITEMS_MAX, "the slow client is never closed");
        server.publish_stream("a", &format!("{filling}{items}\\n"));
        for neighbour in &mut neighbours {
            let got = neighbour.chunks_until("\n");
            assert_eq!(got, format!("{filling}{items}\n"));
        }
        items += 1;
    }
    assert_eq!(server.metric("pincushion_slow_clients_closed_total"), 1);
    assert_eq!(server.metric("pincushion_held_streams"), 3);
    let (bytes, _) = slow.rest();
    assert!(
        bytes.len() < items * ITEM_LEN,
        "the rest was not kept for it"
    );
    assert!(
        !bytes.ends_with(b"\r\n0\r\n\r\n"),
        "it was cut, not ended as if whole"
    );
}
