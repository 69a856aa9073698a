//! Many more shards than cores, under pressure: no shard sleeps while it has work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::{Settings, Wire, publish_on, stream_item};
use crate::stream;

/// Shards on each core.
const PER_CORE: usize = 16;
/// Clients for each shard: the kernel spreads them by chance, and every shard must have one.
const CLIENTS_PER_SHARD: usize = 16;
/// How long items are published.
const DURATION: Duration = Duration::from_secs(12);
/// The longest that an item may take to the last client. A shard that sleeps with work at hand and
/// is not woken for it takes longer than any scheduler.
const LATENCY_MAX: Duration = Duration::from_secs(5);
/// Pauses between items: a shard is then busy, about to wait, waiting, about to sleep, asleep.
const PAUSES_MS: [u64; 9] = [0, 1, 4, 20, 48, 50, 52, 60, 120];
/// Most items take less than this: a shard that was not woken would find out after its longest
/// sleep, and one of so many would be at every item.
const MEDIAN_MAX: Duration = Duration::from_millis(200);

/// Threads that take all the time they can get.
struct Pressure(Arc<AtomicBool>);

impl Pressure {
    fn start(threads: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || while !is_over.load(Ordering::Relaxed) {});
        }
        Self(is_over)
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_shard_sleeps_while_it_has_work() {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let server = Settings::all_cores()
        .with("shards", &format!("per_core = {PER_CORE}"))
        .start();
    let count = cores * PER_CORE * CLIENTS_PER_SHARD;
    let mut clients: Vec<Wire> = (0..count).map(|_| stream(&server, "a")).collect();
    let _pressure = Pressure::start(cores);
    let mut control = Wire::connect(server.control_port);
    let began = Instant::now();
    let mut latencies = Vec::new();
    for pause_ms in PAUSES_MS.iter().cycle() {
        if began.elapsed() > DURATION {
            break;
        }
        thread::park_timeout(Duration::from_millis(*pause_ms));
        let number = latencies.len();
        let sent = Instant::now();
        publish_on(&mut control, &stream_item("a", &format!("{number}\\n")));
        for client in &mut clients {
            assert_eq!(client.chunks_until("\n"), format!("{number}\n"));
        }
        latencies.push(sent.elapsed());
    }
    latencies.sort();
    let (median, last) = (
        latencies[latencies.len() / 2],
        latencies[latencies.len() - 1],
    );
    assert!(median < MEDIAN_MAX, "median {median:?}, longest {last:?}");
    assert!(last < LATENCY_MAX, "median {median:?}, longest {last:?}");
    println!(
        "{} items: median {median:?}, longest {last:?}",
        latencies.len()
    );
}
