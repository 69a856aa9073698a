//! One client thread: an epoll set full of streams, steered by orders.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::Thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::EpollFlags;
use nix::sys::eventfd::EventFd;

use super::ask::Ask;
use super::orders::{Findings, Notice, Opened, Opening, Order};
use super::stream::{Outcome, Reading, Stage, Stream};
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::machine::cores;
use crate::net::{self, Readiness};

/// Bytes read at once; shared by all streams of a thread.
const BUF_LEN: usize = 65_536;

/// An opening in which nothing happens for so long is over, in milliseconds.
const STALL_MS: u64 = 20_000;

/// The key of the eventfd that announces orders.
const WAKE_KEY: usize = usize::MAX;

/// The peer has ended its half, or the connection is broken.
const CLOSING: EpollFlags = EpollFlags::EPOLLRDHUP
    .union(EpollFlags::EPOLLHUP)
    .union(EpollFlags::EPOLLERR);

/// Counters that the thread publishes after every batch of events.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// Messages received since the thread began.
    pub(super) received: AtomicU64,
    /// When `received` reaches this, the waiting thread is woken.
    pub(super) target: AtomicU64,
    /// Streams opened since the last opening began; for progress lines.
    pub(super) opened: AtomicU64,
}

/// How a thread is set up.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) cores: Vec<usize>,
    pub(super) own_table: bool,
    pub(super) wake: Arc<EventFd>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) waiter: Thread,
    pub(super) orders: Receiver<Order>,
    pub(super) notices: SyncSender<Notice>,
}

struct Progress {
    order: Opening,
    started: usize,
    in_flight: usize,
    result: Opened,
    done_before: usize,
    patience: Deadline,
}

struct Worker {
    setup: Setup,
    readiness: Readiness,
    streams: Vec<Stream>,
    /// What the streams of the last order asked for, the first one's number and key.
    ask: Ask,
    first_index: usize,
    first_key: usize,
    progress: Option<Progress>,
    findings: Findings,
    buf: Vec<u8>,
}

/// Runs a thread until its orders end.
///
/// # Errors
/// [`LoadError::Io`] when the kernel refuses descriptors, cores or memory.
pub(super) fn run(setup: Setup) -> Result<(), LoadError> {
    cores::pin(&setup.cores)?;
    if setup.own_table {
        // Before the first socket: from here on, the limit on open files counts for this thread.
        unshare(CloneFlags::CLONE_FILES).map_err(LoadError::sys("getting a descriptor table"))?;
    }
    let readiness = Readiness::new()?;
    readiness.add(setup.wake.as_fd(), EpollFlags::EPOLLIN, WAKE_KEY)?;
    let worker = Worker {
        setup,
        readiness,
        streams: Vec::new(),
        ask: Ask::Stream,
        first_index: 0,
        first_key: 0,
        progress: None,
        findings: Findings::new(),
        buf: vec![0; BUF_LEN],
    };
    worker.serve()
}

impl Worker {
    fn serve(mut self) -> Result<(), LoadError> {
        let mut ready = Vec::new();
        loop {
            let wait_ms = if self.progress.is_some() { 100 } else { 60_000 };
            self.readiness.wait(wait_ms, &mut ready)?;
            for &(flags, key) in &ready {
                if key == WAKE_KEY {
                    // The count does not matter: all orders are taken below.
                    let _ = self.setup.wake.read();
                    if !self.take_orders() {
                        return Ok(());
                    }
                } else {
                    self.handle(flags, key);
                }
            }
            self.open_more();
            self.show();
        }
    }

    /// Takes all orders; false when there will be no more.
    fn take_orders(&mut self) -> bool {
        loop {
            match self.setup.orders.try_recv() {
                Ok(order) => self.obey(order),
                Err(std::sync::mpsc::TryRecvError::Empty) => return true,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Open(order) => {
                self.setup.gauge.opened.store(0, Ordering::Relaxed);
                self.ask = order.ask;
                (self.first_index, self.first_key) = (order.first_index, self.streams.len());
                // What an earlier order left undone was counted as failed.
                for stream in &mut self.streams {
                    if stream.stage == Stage::Connecting {
                        stream.stage = Stage::Ended;
                    }
                }
                let result = Opened::default();
                self.progress = Some(Progress {
                    order,
                    started: 0,
                    in_flight: 0,
                    result,
                    done_before: 0,
                    patience: Deadline::after_ms(STALL_MS),
                });
            }
            Order::Close => {
                self.streams = Vec::new();
                self.notify(Notice::Closed);
            }
            Order::Settle { sent } => {
                let mut findings = std::mem::replace(&mut self.findings, Findings::new());
                for stream in &mut self.streams {
                    stream.track.finish(sent, &mut findings.tally);
                }
                self.notify(Notice::Settled(Box::new(findings)));
            }
        }
    }

    fn notify(&self, notice: Notice) {
        // Fails only when the herd is being dropped; then nobody wants to know.
        let _ = self.setup.notices.send(notice);
    }

    /// The number of the stream with this key, of the last order.
    fn index_of(&self, key: usize) -> usize {
        self.first_index + key.saturating_sub(self.first_key)
    }

    fn handle(&mut self, flags: EpollFlags, key: usize) {
        let index = self.index_of(key);
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        let before = stream.stage;
        if before == Stage::Ended {
            return;
        }
        let mut outcome = Outcome::Alive;
        if before == Stage::Connecting
            && let Some(progress) = &self.progress
        {
            let order = &progress.order;
            let request = order.ask.request(index, order.channels, order.request_len);
            outcome = stream.ask(&request);
        }
        // Both in one go: a server that speaks first reports both with one edge.
        if outcome == Outcome::Alive && flags.intersects(CLOSING | EpollFlags::EPOLLIN) {
            let now = clock::now_ns();
            let latency = &mut self.findings.latency;
            let receipt = |sent_ns: u64| latency.saturating_record(now.saturating_sub(sent_ns));
            let mut reading = Reading {
                buf: &mut self.buf,
                closing: flags.intersects(CLOSING),
                is_poll: self.ask.is_poll(),
                expectation: self.ask.expectation(index),
                tally: &mut self.findings.tally,
            };
            outcome = stream.read(&mut reading, receipt);
        }
        self.note(key, before, outcome);
    }

    /// Books what became of a stream.
    fn note(&mut self, key: usize, before: Stage, outcome: Outcome) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if let Outcome::Gone(_) = outcome {
            // The socket stays open until all are closed: its number must not be used again.
            stream.stage = Stage::Ended;
        }
        let after = stream.stage;
        // A poll is open when it has been sent: its answer is what the run waits for.
        let (opening, open) = if self.ask.is_poll() {
            (before == Stage::Connecting, after != Stage::Connecting)
        } else {
            (
                matches!(before, Stage::Connecting | Stage::Asked),
                after == Stage::Held,
            )
        };
        match (outcome, &mut self.progress) {
            (Outcome::Gone(reason), Some(progress)) if opening => {
                progress.in_flight = progress.in_flight.saturating_sub(1);
                progress.result.failed += 1;
                progress
                    .result
                    .first_failure
                    .get_or_insert_with(|| reason.to_owned());
            }
            // A connection may go when its poll was answered.
            (Outcome::Gone(_), _) if before == Stage::Answered => {}
            (Outcome::Gone(reason), _) => {
                self.findings.tally.broken += 1;
                self.findings.first_break.get_or_insert(reason);
            }
            (Outcome::Alive, Some(progress)) if opening && open => {
                progress.in_flight = progress.in_flight.saturating_sub(1);
                progress.result.opened += 1;
            }
            (Outcome::Alive, _) => {}
        }
    }

    /// Starts connections as far as the window allows; reports when all have come to an end.
    fn open_more(&mut self) {
        let Some(mut progress) = self.progress.take() else {
            return;
        };
        let done = progress.result.opened + progress.result.failed;
        if done > progress.done_before {
            progress.done_before = done;
            progress.patience = Deadline::after_ms(STALL_MS);
        }
        let late = progress.order.deadline.passed() || progress.patience.passed();
        while !late
            && progress.started < progress.order.count
            && progress.in_flight < progress.order.window
        {
            self.start(&mut progress);
        }
        self.setup
            .gauge
            .opened
            .store(progress.result.opened as u64, Ordering::Relaxed);
        let result = &mut progress.result;
        if late {
            result.failed = progress.order.count - result.opened;
            result
                .first_failure
                .get_or_insert_with(|| "not answered in time".to_owned());
        }
        if late || result.opened + result.failed == progress.order.count {
            self.notify(Notice::Opened(progress.result));
        } else {
            self.progress = Some(progress);
        }
    }

    fn start(&mut self, progress: &mut Progress) {
        let order = &progress.order;
        let source = order.sources.get(progress.started % 2).copied();
        progress.started += 1;
        let key = self.streams.len();
        let socket = net::connect_from(source, order.target);
        let added = socket.and_then(|socket| {
            let stream = Stream::new(socket, order.first_seq);
            self.readiness.add(&stream, net::all_events(), key)?;
            Ok(stream)
        });
        match added {
            Ok(stream) => {
                self.streams.push(stream);
                progress.in_flight += 1;
            }
            Err(error) => {
                progress.result.failed += 1;
                progress
                    .result
                    .first_failure
                    .get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// Publishes the counters, and wakes the waiting thread when its target is reached.
    fn show(&self) {
        let gauge = &self.setup.gauge;
        gauge
            .received
            .store(self.findings.tally.received, Ordering::Release);
        if self.findings.tally.received >= gauge.target.load(Ordering::Acquire) {
            self.setup.waiter.unpark();
        }
    }
}
