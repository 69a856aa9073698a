//! The bounded queue of stats packets, from the control thread to the ZeroMQ thread.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::io::reports::StatsDemand;
use crate::io::wake::Wake;

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

/// Makes the queue; `wake` is the ZeroMQ thread's.
pub(super) fn queue(demand: Arc<StatsDemand>, wake: Arc<Wake>) -> (StatsSender, Receiver<Vec<u8>>) {
    let (queue, receiver) = crossbeam_channel::bounded(STATS_QUEUED_MAX);
    let sender = StatsSender {
        queue,
        wake,
        demand,
        has_news: false,
        dropped: 0,
    };
    (sender, receiver)
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
