//! The receiving ends: a thread that reads and counts what comes.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::{Timespec, epoll};
use shard::io::sys;

use crate::clock;
use crate::error::BenchError;

/// How long the sender waits for the reader at most.
const PATIENCE_NS: u64 = 10_000_000_000;

/// Longest wait of the reader, so that it sees the end.
const WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// What both threads know.
#[derive(Debug, Default)]
struct Progress {
    received: AtomicU64,
    is_over: AtomicBool,
}

/// The reading thread.
#[derive(Debug)]
pub(crate) struct Drain {
    progress: Arc<Progress>,
    thread: JoinHandle<Result<(), BenchError>>,
}

impl Drain {
    /// Begins to read.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn start(peers: Vec<TcpStream>) -> Result<Self, BenchError> {
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (key, peer) in (0..).zip(&peers) {
            let data = epoll::EventData::new_u64(key);
            epoll::add(&set, peer, data, epoll::EventFlags::IN)?;
        }
        let thread = thread::Builder::new().name("drain".to_owned());
        let thread = thread.spawn(move || read(&set, &peers, &shared))?;
        Ok(Self { progress, thread })
    }

    /// Waits until this many bytes have come in all.
    ///
    /// # Errors
    /// When they do not.
    pub(crate) fn wait_for(&self, bytes: u64) -> Result<(), BenchError> {
        let until = clock::wall_ns() + PATIENCE_NS;
        while self.progress.received.load(Ordering::Relaxed) < bytes {
            if clock::wall_ns() > until {
                return Err(BenchError::TimedOut("bytes are missing at the receivers"));
            }
            thread::yield_now();
        }
        Ok(())
    }

    /// Ends the thread.
    ///
    /// # Errors
    /// The reader's.
    pub(crate) fn stop(self) -> Result<(), BenchError> {
        self.progress.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_panic| BenchError::Unexpected("the reader panicked"))?
    }
}

fn read(
    set: &std::os::fd::OwnedFd,
    peers: &[TcpStream],
    progress: &Progress,
) -> Result<(), BenchError> {
    let mut buf = vec![0; 64 * 1024];
    let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
    while !progress.is_over.load(Ordering::Relaxed) {
        events.clear();
        epoll::wait(
            set,
            rustix::buffer::spare_capacity(&mut events),
            Some(&WAIT),
        )?;
        let mut received = 0;
        for event in &events {
            let key = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(peer) = peers.get(key) else {
                continue;
            };
            received += sys::recv(peer, &mut buf).unwrap_or(0);
        }
        progress
            .received
            .fetch_add(received as u64, Ordering::Relaxed);
    }
    Ok(())
}
