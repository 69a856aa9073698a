//! A herd of clients that hold streams: a few threads, each with its own epoll set.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::ask::Ask;
pub(crate) use super::orders::{Channels, Findings, Opened, new_histogram};
use super::orders::{Notice, Opening, Order};
use super::worker::{self, Gauge, Setup};
use crate::clock::Deadline;
use crate::error::LoadError;
use crate::net;

/// When nothing arrives for so long, nothing more will, in milliseconds.
const STALL_MS: u64 = 5_000;

/// How a herd is made.
#[derive(Debug, Clone)]
pub(crate) struct HerdPlan {
    /// Streams it will hold at most.
    pub(crate) streams: usize,
    /// Streams that one thread holds at most.
    pub(crate) streams_per_thread: usize,
    /// Cores its threads run on.
    pub(crate) cores: Vec<usize>,
    /// Whether each thread gets a descriptor table of its own.
    pub(crate) own_tables: bool,
    /// Distinguishes the source addresses of several herds in one run.
    pub(crate) number: usize,
}

/// Streams to open at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenPlan {
    /// Where to.
    pub(crate) target: SocketAddrV4,
    /// What each asks for.
    pub(crate) ask: Ask,
    /// Number of the first of them: those open already come before it.
    pub(crate) first_index: usize,
    /// How many.
    pub(crate) count: usize,
    /// How many may be underway at the same time.
    pub(crate) window: usize,
    /// Which channels they subscribe to.
    pub(crate) channels: Channels,
    /// Length of each request head, bytes.
    pub(crate) request_len: usize,
    /// Sequence number of the next message that will be published.
    pub(crate) first_seq: u32,
    /// When opening gives up.
    pub(crate) deadline: Deadline,
}

struct Thread {
    orders: Option<SyncSender<Order>>,
    notices: Receiver<Notice>,
    wake: Arc<EventFd>,
    gauge: Arc<Gauge>,
    join: Option<JoinHandle<Result<(), LoadError>>>,
}

/// A herd; its streams close and its threads end when it is dropped.
pub(crate) struct Herd {
    threads: Vec<Thread>,
    number: usize,
    turn: usize,
    /// Streams held by each thread, for splitting counts.
    expected: u64,
}

impl Herd {
    /// Starts the threads. The calling thread is the one that [`Herd::wait_received`] parks.
    ///
    /// # Errors
    /// [`LoadError::Io`] when threads or descriptors are refused.
    pub(crate) fn start(plan: &HerdPlan) -> Result<Self, LoadError> {
        let count = plan.streams.div_ceil(plan.streams_per_thread.max(1)).max(1);
        let threads = (0..count)
            .map(|_| Thread::start(plan))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            threads,
            number: plan.number,
            turn: 0,
            expected: 0,
        })
    }

    /// Opens streams, besides those that are open; calls `progress` with the number opened, every second or so.
    ///
    /// # Errors
    /// [`LoadError::ThreadGone`]. Streams that could not be opened are counted, not errors.
    pub(crate) fn open(
        &mut self,
        plan: &OpenPlan,
        mut progress: impl FnMut(u64),
    ) -> Result<Opened, LoadError> {
        let (share, threads) = (plan.count.div_ceil(self.threads.len()), self.threads.len());
        let mut started = 0;
        for (number, thread) in self.threads.iter().enumerate() {
            let count = share.min(plan.count - started);
            thread.order(Order::Open(Opening {
                target: plan.target,
                first_index: plan.first_index + started,
                count,
                window: plan.window.div_ceil(threads),
                ask: plan.ask,
                channels: plan.channels,
                request_len: plan.request_len,
                sources: net::sources(self.number * 20 + number, self.turn),
                first_seq: plan.first_seq,
                deadline: plan.deadline,
            }))?;
            started += count;
        }
        self.turn += 1;
        let mut all = Opened::default();
        for thread in &self.threads {
            let notice = thread.notice(|| progress(self.opened_so_far()))?;
            if let Notice::Opened(part) = notice {
                all.opened += part.opened;
                all.failed += part.failed;
                all.first_failure = all.first_failure.or(part.first_failure);
            }
        }
        Ok(all)
    }

    fn opened_so_far(&self) -> u64 {
        self.threads
            .iter()
            .map(|thread| thread.gauge.opened.load(Ordering::Relaxed))
            .sum()
    }

    /// Closes all streams.
    ///
    /// # Errors
    /// [`LoadError::ThreadGone`].
    pub(crate) fn close(&self) -> Result<(), LoadError> {
        self.ask_all(|| Order::Close, |_| {})
    }

    /// Announces that `count` more messages will arrive, to be waited for by
    /// [`Herd::wait_received`]. To be called before they are published.
    pub(crate) fn expect(&mut self, count: u64) {
        self.expected += count;
        for thread in &self.threads {
            // With several threads each one wakes at its every batch; the sum decides.
            let target = if self.threads.len() == 1 {
                self.expected
            } else {
                0
            };
            thread.gauge.target.store(target, Ordering::Release);
        }
    }

    /// Messages received since the last settlement.
    pub(crate) fn received(&self) -> u64 {
        self.threads
            .iter()
            .map(|thread| thread.gauge.received.load(Ordering::Acquire))
            .sum()
    }

    /// Waits until everything announced has arrived; false when the deadline passes first, or
    /// when nothing at all arrives for a while.
    pub(crate) fn wait_received(&self, deadline: Deadline) -> bool {
        let mut seen = self.received();
        let mut patience = deadline.or_after_ms(STALL_MS);
        while seen < self.expected {
            if patience.passed() {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(10));
            let now = self.received();
            if now > seen {
                patience = deadline.or_after_ms(STALL_MS);
            }
            seen = now;
        }
        true
    }

    /// Settles the accounts, `sent` messages having been published to each stream so far.
    ///
    /// # Errors
    /// [`LoadError::ThreadGone`].
    pub(crate) fn settle(&mut self, sent: u32) -> Result<Findings, LoadError> {
        let mut all = Findings::new();
        self.ask_all(
            || Order::Settle { sent },
            |notice| {
                if let Notice::Settled(part) = notice {
                    all.tally.add(&part.tally);
                    // Cannot fail: both have the same bounds.
                    let _ = all.latency.add(&part.latency);
                    all.first_break = all.first_break.or(part.first_break);
                }
            },
        )?;
        self.expected = 0;
        for thread in &self.threads {
            thread.gauge.received.store(0, Ordering::Release);
        }
        Ok(all)
    }

    fn ask_all(
        &self,
        order: impl Fn() -> Order,
        mut each: impl FnMut(Notice),
    ) -> Result<(), LoadError> {
        for thread in &self.threads {
            thread.order(order())?;
        }
        for thread in &self.threads {
            each(thread.notice(|| {})?);
        }
        Ok(())
    }
}

impl Thread {
    fn start(plan: &HerdPlan) -> Result<Self, LoadError> {
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map_err(LoadError::sys("making an eventfd"))?;
        let (wake, gauge) = (Arc::new(wake), Arc::new(Gauge::default()));
        let (orders, orders_in) = sync_channel(4);
        let (notices_out, notices) = sync_channel(4);
        let setup = Setup {
            cores: plan.cores.clone(),
            own_table: plan.own_tables,
            wake: Arc::clone(&wake),
            gauge: Arc::clone(&gauge),
            waiter: std::thread::current(),
            orders: orders_in,
            notices: notices_out,
        };
        let join = std::thread::Builder::new()
            .name("clients".to_owned())
            .spawn(move || worker::run(setup))
            .map_err(LoadError::io("starting a client thread"))?;
        Ok(Self {
            orders: Some(orders),
            notices,
            wake,
            gauge,
            join: Some(join),
        })
    }

    fn order(&self, order: Order) -> Result<(), LoadError> {
        let orders = self.orders.as_ref().ok_or(LoadError::ThreadGone)?;
        orders.send(order).map_err(|_| LoadError::ThreadGone)?;
        self.wake
            .write(1)
            .map_err(LoadError::sys("waking a client thread"))?;
        Ok(())
    }

    fn notice(&self, mut idle: impl FnMut()) -> Result<Notice, LoadError> {
        loop {
            match self.notices.recv_timeout(Duration::from_secs(1)) {
                Ok(notice) => return Ok(notice),
                Err(RecvTimeoutError::Timeout) => idle(),
                Err(RecvTimeoutError::Disconnected) => return Err(LoadError::ThreadGone),
            }
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.orders = None;
        // Fails only when the counter is full, and then the thread is awake anyway.
        let _ = self.wake.write(1);
        if let Some(join) = self.join.take()
            && let Ok(Err(error)) = join.join()
        {
            eprintln!("loadtest: a client thread stopped: {error}");
        }
    }
}
