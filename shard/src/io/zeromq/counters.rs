//! What the ZeroMQ thread counts; it alone writes.

use crate::counters::{Counter, Gauge};

/// All counters of the thread.
#[derive(Debug, Default)]
pub struct ZeroMqCounters {
    /// Items that were pushed.
    pub pull: InputCounters,
    /// Items that came to a subscription.
    pub sub: InputCounters,
    /// Channels subscribed to at publishers.
    pub subscriptions: Gauge,
    /// Commands taken.
    pub commands: Counter,
    /// Commands refused: not understood, unknown, or wrong.
    pub commands_refused: Counter,
}

/// Counters of one way in.
#[derive(Debug, Default)]
pub struct InputCounters {
    /// Items received.
    pub received: Counter,
    /// Messages that are no item.
    pub malformed: Counter,
    /// Times reading was put off, since the shards did not keep up.
    pub paused: Counter,
}
