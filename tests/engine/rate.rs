//! The limit of deliveries, which several shards keep together.

use std::time::{Duration, Instant};

use crate::kit::{Settings, Wire};
use crate::stream;

#[test]
fn several_shards_keep_one_rate() {
    const CLIENTS: usize = 12;
    let server = Settings::all_cores()
        .with("shards", "per_core = 2")
        .with("handler", "message_rate = 20")
        .start();
    let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| stream(&server, "a")).collect();
    let start = Instant::now();
    for text in ["one\\n", "two\\n", "end\\n"] {
        server.publish_stream("a", text);
    }
    for client in &mut clients {
        assert_eq!(client.chunks_until("end\n"), "one\ntwo\nend\n");
    }
    // The first of the deliveries goes at once, each other 50 ms later than the one before.
    let pauses = u32::try_from(3 * CLIENTS - 1).unwrap_or_default();
    let least = Duration::from_millis(50) * pauses;
    let took = start.elapsed();
    assert!(took >= least, "{took:?} instead of {least:?}");
}
