//! Whole shards in a simulated world, by seed: the real core, but no sockets, no threads, no clock.
//!
//! Clients, backends and publishers do what chance tells them; a model of what each of them is owed
//! judges what they got. A failure prints its seed: `SIM_SEED=17 cargo test -p shard --test sim`
//! runs that one alone. `SIM_SEEDS` says how many fresh seeds are tried beside the fixed ones.
//!
//! `scenarios` has the same world without chance: one edge each.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "the world of a test: whatever is missing in it is a failure"
)]

mod backend;
mod channels;
mod client;
mod plan;
mod random;
mod reader;
mod reliable;
mod run;
mod scenarios;
mod stage;
mod verdict;
mod wire;
mod world;

use std::time::{SystemTime, UNIX_EPOCH};

use reliable::Life;
use run::Run;

/// Seeds that every run tries.
const FIXED_SEEDS: u64 = 100;

/// Fresh seeds when `SIM_SEEDS` does not say.
const FRESH_SEEDS: u64 = 200;

/// Says which seed it was when a run fails, and in which test.
struct Seed(u64, &'static str);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "this one alone: SIM_SEED={} cargo test -p shard --test sim {}",
                self.0, self.1
            );
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "fresh seeds are the only thing that differs between runs"
)]
fn fresh_seed() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        << 20
}

/// Lets worlds live, each by its seed.
fn live_all(test: &'static str, live: fn(u64)) {
    let live = |seed| {
        let _seed = Seed(seed, test);
        live(seed);
    };
    if let Some(seed) = number("SIM_SEED") {
        live(seed);
        return;
    }
    for seed in 0..FIXED_SEEDS {
        live(seed);
    }
    let first = fresh_seed();
    for seed in first..first + number("SIM_SEEDS").unwrap_or(FRESH_SEEDS) {
        live(seed);
    }
}

#[test]
fn shards_keep_their_promises_in_any_order_of_events() {
    live_all("shards", |seed| Run::new(seed).live());
}

#[test]
fn nothing_is_lost_or_doubled_in_any_order_of_events() {
    live_all("nothing_is_lost", |seed| Life::new(seed).live());
}
