//! Thousands of clients at once, and what is left of them in memory.

use std::thread;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::kit::{Backend, Settings, Wire, wait_until};

/// Threads that connect at the same time.
const THREADS: usize = 10;

/// The test needs a descriptor for each client.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the hard limit");
}

/// Connects and asks with this many clients at once, without waiting for an answer.
fn clients_at_once(port: u16, count: usize, request: &'static str) -> Vec<Wire> {
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        let open = move |_| {
            let mut client = Wire::connect(port);
            client.send(request);
            client
        };
        let open_all = move || (0..count / THREADS).map(open).collect::<Vec<Wire>>();
        threads.push(thread::spawn(open_all));
    }
    let mut clients = Vec::with_capacity(count);
    for thread in threads {
        clients.extend(thread.join().expect("all connect"));
    }
    clients
}

#[test]
fn five_thousand_clients_at_the_same_instant_are_all_served() {
    const CLIENTS: usize = 5000;
    raise_open_files();
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: herd\r\nContent-Length: 8\r\n\r\n\
         welcome\n",
    );
    let server = Settings::all_cores()
        .route(format!("* {}", backend.target()))
        .start();
    let mut clients = clients_at_once(server.port, CLIENTS, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for client in &mut clients {
        assert_eq!(client.head().status(), 200);
        client.chunks_until("welcome\n");
    }
    assert_eq!(server.metric("pincushion_refused_maxconn_total"), 0);
    assert_eq!(server.metric("pincushion_responses_5xx_total"), 0);
    wait_until("all are held", || {
        server.metric("pincushion_held_streams") == CLIENTS as u64
    });
    server.publish_stream("herd", "news\\n");
    for client in &mut clients {
        assert_eq!(client.chunks_until("\n"), "news\n");
    }
}

#[test]
fn memory_comes_back_after_each_storm() {
    const CLIENTS: usize = 3000;
    const ROUNDS: usize = 3;
    raise_open_files();
    let server = Settings::all_cores().start();
    let request = "GET /stream?channel=storm HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut baseline_kib = 0;
    for round in 0..ROUNDS {
        let mut clients = clients_at_once(server.port, CLIENTS, request);
        for client in &mut clients {
            client.head();
        }
        drop(clients);
        wait_until("all have left", || {
            server.metric("connection_connected") == 0
        });
        if round == 0 {
            baseline_kib = server.resident_kib();
        }
    }
    let most_kib = baseline_kib + baseline_kib / 4;
    wait_until("memory comes back", || server.resident_kib() <= most_kib);
}

#[test]
fn clients_that_sent_more_than_their_request_and_left_are_not_held() {
    let server = Settings::one_shard().route("* test").start();
    for ahead_len in [0, 100, 20_000, 100_000] {
        let mut client = server.client();
        // Read in pieces, so that the end of the input is known before the last of it is read.
        let ahead = "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1 + ahead_len / 32);
        client.send(&ahead).end_sending();
        wait_until("the stream is over", || {
            server.metric("pincushion_holds_started_total") > 0
                && server.metric("pincushion_held_streams") == 0
        });
    }
}
