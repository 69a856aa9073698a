//! What the tests with the real binary share: programs, files, a raw client, a scripted backend.
//!
//! Everything waits with a deadline and nothing sleeps. Sockets are blocking and plain, so that a
//! test says byte by byte what is sent.

mod backend;
mod folder;
mod gate;
mod message;
mod process;
mod server;
mod wire;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use backend::{Backend, Visit};
pub(crate) use folder::{Folder, free_ports};
pub(crate) use gate::Gate;
pub(crate) use message::{Head, Request, Response};
pub(crate) use process::Running;
pub(crate) use server::{Server, Settings, publish_on, stream_item};
pub(crate) use wire::Wire;

/// How long anything may take before the test fails.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);

/// Looks again and again until `is_so`, or fails the test.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Bytes without a pattern that a shift or a loss would keep.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
