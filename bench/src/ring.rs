//! The broadcast ring: from the control thread to every shard.

mod sleep;

use std::hint::black_box;
use std::sync::Arc;

use shard::io::bus::{Publisher, Subscriber, bus};

use crate::error::BenchError;
use crate::harness::{Harness, Step};

/// Messages in one batch: a quarter of what a ring holds.
const BATCH: usize = 256;
const CAPACITY: usize = 1024;

struct State {
    publisher: Publisher<Arc<[u8]>>,
    shards: Vec<Subscriber<Arc<[u8]>>>,
    message: Arc<[u8]>,
}

/// Measures the group.
///
/// # Errors
/// The kernel's, or a sleeper that does not wake.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    for shards in [1, 2, 4, 16] {
        let (publisher, subscribers) = bus(shards, CAPACITY)?;
        let mut state = State {
            publisher,
            shards: subscribers,
            message: Arc::from([0_u8; 8].as_slice()),
        };
        let name = |what: &str| format!("{shards} shards: {what}");
        harness.cycle(
            &mut state,
            &[
                Step::new(name("publish to all"), BATCH, publish),
                Step::new(name("take, per message and shard"), BATCH * shards, take),
            ],
        )?;
    }
    let (publisher, _shards) = bus::<u64>(16, CAPACITY)?;
    let mut publisher = publisher;
    harness.each("16 shards: wake, nobody sleeps", || publisher.wake());
    sleep::run(harness)
}

fn publish(state: &mut State) -> Result<(), BenchError> {
    for _ in 0..BATCH {
        let message = Arc::clone(&state.message);
        if state.publisher.try_publish(message).is_err() {
            return Err(BenchError::Unexpected("a ring is full"));
        }
    }
    Ok(())
}

fn take(state: &mut State) -> Result<(), BenchError> {
    for shard in &state.shards {
        let mut count = 0;
        while let Some(message) = shard.try_recv() {
            black_box(message);
            count += 1;
        }
        if count != BATCH {
            return Err(BenchError::Unexpected("messages are missing"));
        }
    }
    Ok(())
}
