//! What a herd tells its threads, and what they answer.

use std::net::{Ipv4Addr, SocketAddrV4};

use hdrhistogram::Histogram;

use super::ask::Ask;
use crate::clock::Deadline;
use crate::ledger::Tally;

/// Which channels the streams of an order subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    /// All to the channel `all`.
    Shared,
    /// All to the channel `filtered`.
    Filtered,
    /// Each to a channel of its own, [`Channels::name`].
    Own,
}

impl Channels {
    /// The channel of stream number `index`.
    pub(crate) fn name(self, index: usize) -> String {
        match self {
            Self::Shared => "all".to_owned(),
            Self::Filtered => "filtered".to_owned(),
            Self::Own => format!("c{index:08}"),
        }
    }
}

/// Streams to open.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) target: SocketAddrV4,
    pub(super) first_index: usize,
    pub(super) count: usize,
    pub(super) window: usize,
    pub(super) ask: Ask,
    pub(super) channels: Channels,
    pub(super) request_len: usize,
    pub(super) sources: [Ipv4Addr; 2],
    pub(super) first_seq: u32,
    pub(super) deadline: Deadline,
}

/// What a thread is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Open(Opening),
    Close,
    /// Settle the accounts: so many messages were published to each stream.
    Settle {
        sent: u32,
    },
}

/// What a thread answers.
#[derive(Debug)]
pub(super) enum Notice {
    Opened(Opened),
    Closed,
    Settled(Box<Findings>),
}

/// How an opening went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Opened {
    /// Streams held now.
    pub(crate) opened: usize,
    /// Streams that could not be opened.
    pub(crate) failed: usize,
    /// Why the first of them could not.
    pub(crate) first_failure: Option<String>,
}

/// What a thread saw since the last settlement.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The counts.
    pub(crate) tally: Tally,
    /// Publish-to-receipt times, nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Why the first broken stream broke.
    pub(crate) first_break: Option<&'static str>,
}

impl Findings {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self {
            tally: Tally::default(),
            latency: new_histogram(),
            first_break: None,
        }
    }
}

/// The longest time that a histogram tells from longer ones, in nanoseconds.
const LATENCY_NS_MAX: u64 = 100_000_000_000;

/// A histogram of nanoseconds with three significant digits.
pub(crate) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_NS_MAX, 3)
        .unwrap_or_else(|_| unreachable!("these bounds are allowed"))
}
