//! The shard's ring against a plain epoll set: CPU per event, real sockets, one thread.
//!
//! Peers write a byte each, then all are collected and read. The writer pays for telling the one
//! who watches, so the write is shown beside.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use shard::io::readiness::{Readiness, Ready, Token};
use shard::io::sys;

use crate::error::BenchError;
use crate::harness::{Harness, Step};
use crate::pairs::{self, Pair};

/// Looks for events that have not come yet, before this counts as a fault.
const LOOKS_MAX: u32 = 1_000_000;

/// Events taken from epoll at once, as many as the shard's ring hands out.
const EVENTS_MAX: usize = 1_024;

const NO_WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

struct State {
    ring: Readiness,
    ready: Vec<Ready>,
    ring_pairs: Vec<Pair>,
    set: std::os::fd::OwnedFd,
    events: Vec<epoll::Event>,
    set_pairs: Vec<Pair>,
}

/// Measures the group.
///
/// # Errors
/// The kernel's.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    for active in [1, 32, 1_000] {
        let case = format!("{active} active");
        if !harness.may_want(&case) {
            continue;
        }
        let mut state = State::new(active)?;
        let name = |what: &str| format!("{case}: {what}");
        harness.cycle(
            &mut state,
            &[
                Step::new(name("peer's write, ring"), active, |state| {
                    write(&state.ring_pairs)
                }),
                Step::new(name("collect and read, ring"), active, State::collect_ring),
                Step::new(name("peer's write, epoll"), active, |state| {
                    write(&state.set_pairs)
                }),
                Step::new(name("collect and read, epoll"), active, State::collect_set),
            ],
        )?;
    }
    Ok(())
}

impl State {
    fn new(active: usize) -> Result<Self, BenchError> {
        let mut state = Self {
            ring: Readiness::new(1_024)?,
            ready: Vec::new(),
            ring_pairs: pairs::connect(active)?,
            set: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS_MAX),
            set_pairs: pairs::connect(active)?,
        };
        for (key, pair) in (0..).zip(&state.ring_pairs) {
            let token = Token { key, generation: 0 };
            state.ring.watch(token, pair.server.as_fd());
        }
        let all = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP;
        for (key, pair) in (0..).zip(&state.set_pairs) {
            let data = epoll::EventData::new_u64(key);
            epoll::add(&state.set, &pair.server, data, all | epoll::EventFlags::ET)?;
        }
        // Every new socket is writable, and says so.
        while state.ring.turn(Some(Duration::ZERO), &mut state.ready)? > 0 {
            state.ready.clear();
        }
        while state.wait_set()? > 0 {}
        Ok(state)
    }

    fn wait_set(&mut self) -> Result<usize, BenchError> {
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        Ok(epoll::wait(&self.set, room, Some(&NO_WAIT))?)
    }

    fn collect_ring(&mut self) -> Result<(), BenchError> {
        let mut left = self.ring_pairs.len();
        for _ in 0..LOOKS_MAX {
            self.ring.turn(Some(Duration::ZERO), &mut self.ready)?;
            for event in self.ready.drain(..) {
                let Ready::Socket { token, .. } = event else {
                    continue;
                };
                left -= read(self.ring_pairs.get(token.key as usize));
            }
            if left == 0 {
                return Ok(());
            }
        }
        Err(BenchError::TimedOut("an event of the ring is missing"))
    }

    fn collect_set(&mut self) -> Result<(), BenchError> {
        let mut left = self.set_pairs.len();
        for _ in 0..LOOKS_MAX {
            self.wait_set()?;
            for event in &self.events {
                let key = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                left -= read(self.set_pairs.get(key));
            }
            if left == 0 {
                return Ok(());
            }
        }
        Err(BenchError::TimedOut("an event of epoll is missing"))
    }
}

fn write(pairs: &[Pair]) -> Result<(), BenchError> {
    for pair in pairs {
        sys::send(&pair.peer, b"x")?;
    }
    Ok(())
}

/// Reads what has come to a socket; how many bytes.
fn read(pair: Option<&Pair>) -> usize {
    let mut buf = [0; 64];
    pair.and_then(|pair| sys::recv(&pair.server, &mut buf).ok())
        .unwrap_or(0)
}
