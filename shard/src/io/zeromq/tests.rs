//! The stats socket with a listener of libzmq's.

use super::*;

const WAIT_MS: i32 = 5_000;

fn config_with(stats: &str) -> Config {
    let mut config = Config::default();
    config.zmq.stats = Some(stats.to_owned());
    config
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pincushion-{}-{name}", std::process::id()));
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = crate::io::clock::Clock::start();
    while !is_so() {
        assert!(clock.now_ms() < 5_000, "not within time: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_listener_raises_the_demand_and_gets_packets_through_a_folder_that_was_missing() {
    let folder = Folder::new("stats");
    let spec = format!("ipc://{}/deep/stats", folder.0.display());
    let demand = Arc::new(StatsDemand::default());
    let (mut sender, thread) = start(&config_with(&spec), Arc::clone(&demand))
        .unwrap()
        .unwrap();
    let listener = zmq::Context::new().socket(zmq::SUB).unwrap();
    listener.set_rcvtimeo(WAIT_MS).unwrap();
    listener.connect(&spec).unwrap();
    listener.set_subscribe(b"conn ").unwrap();
    until("the listener is seen", || demand.connections());
    sender.send(b"sub Tx".to_vec());
    sender.send(b"conn Tx".to_vec());
    sender.wake();
    assert_eq!(listener.recv_bytes(0).unwrap(), b"conn Tx");
    listener.set_unsubscribe(b"conn ").unwrap();
    until("the listener has left", || !demand.connections());
    drop(sender);
    thread.join();
}

#[test]
fn an_endpoint_that_is_taken_stops_the_start_with_its_name() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = format!("tcp://{}", listener.local_addr().unwrap());
    let error = start(&config_with(&spec), Arc::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&spec) && text.contains("in use"), "{text}");
}

#[test]
fn without_an_endpoint_there_is_no_thread() {
    let mut config = Config::default();
    config.zmq.stats = None;
    assert!(start(&config, Arc::default()).unwrap().is_none());
}

#[test]
fn packets_that_do_not_fit_are_counted() {
    let (mut sender, receiver) = queue::queue(Arc::default()).unwrap();
    for _ in 0..STATS_QUEUED_MAX + 3 {
        sender.send(Vec::new());
    }
    assert_eq!(sender.dropped(), 3);
    assert!(receiver.try_recv().is_some());
}
