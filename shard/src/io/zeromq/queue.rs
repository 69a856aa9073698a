//! The bounded queue between the control thread and the ZeroMQ thread.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam_channel::{Receiver, Sender};

use crate::io::reports::StatsDemand;
use crate::io::sys;

/// Packets that may wait for the ZeroMQ thread. Stats are lossy by contract: a packet that does
/// not fit is dropped and counted.
pub const STATS_QUEUED_MAX: usize = 16_384;

/// The control thread's end.
#[derive(Debug)]
pub struct StatsSender {
    queue: Sender<Vec<u8>>,
    wake: Arc<Wake>,
    demand: Arc<StatsDemand>,
    /// Something was queued since the last wake.
    has_news: bool,
    dropped: u64,
}

/// The ZeroMQ thread's end.
#[derive(Debug)]
pub(super) struct StatsReceiver {
    queue: Receiver<Vec<u8>>,
    wake: Arc<Wake>,
}

#[derive(Debug)]
struct Wake {
    is_sleeping: AtomicBool,
    is_closed: AtomicBool,
    event: OwnedFd,
}

/// Makes the queue.
pub(super) fn queue(demand: Arc<StatsDemand>) -> io::Result<(StatsSender, StatsReceiver)> {
    let event = sys::event_fd(false)?;
    let wake = Arc::new(Wake {
        is_sleeping: false.into(),
        is_closed: false.into(),
        event,
    });
    let (sender, receiver) = crossbeam_channel::bounded(STATS_QUEUED_MAX);
    Ok((
        StatsSender {
            queue: sender,
            wake: Arc::clone(&wake),
            demand,
            has_news: false,
            dropped: 0,
        },
        StatsReceiver {
            queue: receiver,
            wake,
        },
    ))
}

impl StatsSender {
    /// Queues a packet, or drops and counts it. To be followed by [`Self::wake`] after a batch.
    pub fn send(&mut self, packet: Vec<u8>) {
        self.has_news = true;
        if self.queue.try_send(packet).is_err() {
            self.dropped += 1;
        }
    }

    /// Whether anybody listens; a packet for nobody need not be made.
    #[must_use]
    pub fn is_listened(&self) -> bool {
        self.demand.anything()
    }

    /// Wakes the ZeroMQ thread if it sleeps and there is something for it.
    pub fn wake(&mut self) {
        if std::mem::take(&mut self.has_news) {
            self.wake.wake();
        }
    }

    /// Packets dropped so far.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Drop for StatsSender {
    fn drop(&mut self) {
        self.wake.is_closed.store(true, Ordering::SeqCst);
        self.wake.wake();
    }
}

impl StatsReceiver {
    /// The next packet, if there is one.
    pub(super) fn try_recv(&self) -> Option<Vec<u8>> {
        self.queue.try_recv().ok()
    }

    /// Whether nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.wake.is_closed.load(Ordering::SeqCst) && self.queue.is_empty()
    }

    /// Becomes readable when there is something for a sleeper.
    pub(super) fn wake_fd(&self) -> RawFd {
        self.wake.event.as_raw_fd()
    }

    /// Says that the thread is about to sleep. With `false` it must not.
    pub(super) fn prepare_sleep(&self) -> bool {
        self.wake.is_sleeping.store(true, Ordering::Relaxed);
        // Pairs with the fence in `Wake::wake`: either the packet is seen here, or the sleeper
        // there.
        fence(Ordering::SeqCst);
        self.queue.is_empty() && !self.is_over()
    }

    /// Says that the thread no longer sleeps.
    pub(super) fn awake(&self) {
        self.wake.is_sleeping.store(false, Ordering::Relaxed);
        // An error would only mean that the next sleep is short.
        let _ = sys::event_drain(&self.wake.event);
    }
}

impl Wake {
    fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.is_sleeping.load(Ordering::Relaxed)
            && self.is_sleeping.swap(false, Ordering::Relaxed)
            && let Err(error) = sys::event_signal(&self.event)
        {
            log::warn!("cannot wake the ZeroMQ thread: {error}");
        }
    }
}
