//! The paged slab with rows as large as a connection's.

use std::hint::black_box;

use shard::core::pages::Pages;

use crate::error::BenchError;
use crate::harness::{Harness, Step};

const ROWS: usize = 10_000;

/// As large as a connection's row, with the niche that one has.
#[derive(Debug, Default)]
struct Row {
    words: [u64; 13],
    is_set: bool,
}

#[derive(Debug, Default)]
struct State {
    pages: Pages<Row>,
    keys: Vec<u32>,
    /// The keys in an order that caches do not foresee.
    shuffled: Vec<u32>,
}

/// Measures the group.
///
/// # Errors
/// None of its own.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    let mut state = State::default();
    harness.cycle(
        &mut state,
        &[
            Step::new("insert", ROWS, insert),
            Step::silent(shuffle),
            Step::new("get, random order", ROWS, get),
            Step::new("iterate", ROWS, iterate),
            Step::new("remove, random order", ROWS, remove),
        ],
    )
}

fn insert(state: &mut State) -> Result<(), BenchError> {
    state.keys.clear();
    for _ in 0..ROWS {
        state.keys.push(state.pages.insert(Row::default()));
    }
    Ok(())
}

/// A step that shares no factor with the number of rows visits each once.
fn shuffle(state: &mut State) -> Result<(), BenchError> {
    const STRIDE: usize = 7_919;
    let order = (0..ROWS).map(|n| n * STRIDE % ROWS);
    state.shuffled.clear();
    state
        .shuffled
        .extend(order.filter_map(|n| state.keys.get(n)));
    Ok(())
}

fn get(state: &mut State) -> Result<(), BenchError> {
    for key in &state.shuffled {
        if let Some(row) = state.pages.get_mut(*key) {
            row.is_set = true;
            black_box(&mut row.words);
        }
    }
    Ok(())
}

fn iterate(state: &mut State) -> Result<(), BenchError> {
    black_box(state.pages.iter().filter(|(_, row)| row.is_set).count());
    Ok(())
}

fn remove(state: &mut State) -> Result<(), BenchError> {
    for key in &state.shuffled {
        black_box(state.pages.remove(*key));
    }
    if state.pages.is_empty() {
        Ok(())
    } else {
        Err(BenchError::Unexpected("rows are left"))
    }
}
