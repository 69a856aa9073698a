//! Items that come over PULL and SUB (control.md section 4 of the behaviour reference): read in
//! batches, parsed here, handed to the control thread.
//!
//! Parsing happens on this thread, so that the control thread has only to put items in order.

use std::sync::Arc;

use crossbeam_channel::Sender;
use proto::grip::{Item, PayloadError, parse_payload};

use super::complaints::Complaints;
use super::counters::{InputCounters, ZeroMqCounters};
use super::frames::Frames;
use crate::io::clock::Clock;
use crate::io::wake::Wake;

/// Items in a batch: one message to the shards.
const BATCH_ITEMS_MAX: usize = 256;

/// Bytes of messages after which a batch ends.
const BATCH_LEN_MAX: usize = 262_144;

/// Messages read before the other sockets have their turn.
const MESSAGES_PER_TURN_MAX: usize = 1_024;

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One frame: an item.
    Pull,
    /// Two frames: a channel, and an item for it.
    Sub,
}

impl Kind {
    /// Its key in the settings.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Sub => "sub",
        }
    }

    const fn frames(self) -> usize {
        match self {
            Self::Pull => 1,
            Self::Sub => 2,
        }
    }

    const fn counters(self, all: &ZeroMqCounters) -> &InputCounters {
        match self {
            Self::Pull => &all.pull,
            Self::Sub => &all.sub,
        }
    }
}

/// One way in.
pub(super) struct Input {
    kind: Kind,
    socket: zmq::Socket,
    frames: Frames<2>,
    batch: Vec<Item>,
    batch_len: usize,
    queue: Sender<Vec<Item>>,
    wake: Arc<Wake>,
    counters: Arc<ZeroMqCounters>,
    complaints: Complaints,
    is_paused: bool,
}

/// What an input works with.
pub(super) struct InputParts {
    pub(super) socket: zmq::Socket,
    pub(super) queue: Sender<Vec<Item>>,
    /// The control thread's.
    pub(super) wake: Arc<Wake>,
    pub(super) counters: Arc<ZeroMqCounters>,
    pub(super) clock: Clock,
}

/// Why a message is no item.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("{got} frames instead of {wanted}")]
    Frames { got: usize, wanted: usize },
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl Input {
    pub(super) fn new(kind: Kind, parts: InputParts) -> Self {
        Self {
            kind,
            socket: parts.socket,
            frames: Frames::new(),
            batch: Vec::new(),
            batch_len: 0,
            queue: parts.queue,
            wake: parts.wake,
            counters: parts.counters,
            complaints: Complaints::new(kind.key(), parts.clock),
            is_paused: false,
        }
    }

    /// To be polled.
    pub(super) const fn socket(&self) -> &zmq::Socket {
        &self.socket
    }

    /// Whether there was no room for what is to be read.
    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether there is room for a batch. This is the only sender, so it will still be there.
    pub(super) fn has_room(&self) -> bool {
        !self.queue.is_full()
    }

    /// Reads what there is, within this turn's share; true if there may be more.
    pub(super) fn read(&mut self) -> bool {
        let mut has_more = true;
        for _ in 0..MESSAGES_PER_TURN_MAX {
            // Not read further without room: libzmq then holds those who push back, and lets
            // those who publish drop at their own limit.
            if !self.has_room() {
                self.pause();
                return false;
            }
            self.is_paused = false;
            let Some(frames) = self.frames.receive(&self.socket) else {
                has_more = false;
                break;
            };
            self.take(frames);
            if self.batch.len() >= BATCH_ITEMS_MAX || self.batch_len >= BATCH_LEN_MAX {
                self.hand_over();
            }
        }
        self.hand_over();
        has_more
    }

    fn pause(&mut self) {
        if !std::mem::replace(&mut self.is_paused, true) {
            self.kind.counters(&self.counters).paused.add(1);
            log::debug!("[zmq] {}: reading pauses", self.kind.key());
        }
    }

    fn take(&mut self, frames: usize) {
        let counters = self.kind.counters(&self.counters);
        match self.parse(frames) {
            Ok((item, len)) => {
                counters.received.add(1);
                self.batch.push(item);
                self.batch_len += len;
            }
            Err(error) => {
                counters.malformed.add(1);
                self.complaints.note(&error);
            }
        }
    }

    fn parse(&self, frames: usize) -> Result<(Item, usize), Malformed> {
        let [first, second] = self.frames.all();
        let wanted = self.kind.frames();
        if frames != wanted {
            let got = frames;
            return Err(Malformed::Frames { got, wanted });
        }
        Ok(match self.kind {
            Kind::Pull => (parse_payload(first, None)?, first.len()),
            Kind::Sub => {
                // What is no text is no channel that anybody has; the item counts all the same.
                let channel = String::from_utf8_lossy(first);
                (parse_payload(second, Some(&channel))?, second.len())
            }
        })
    }

    /// Gives the batch to the control thread. There is room.
    fn hand_over(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_len = 0;
        // Fails only when the control thread has ended.
        let _ = self.queue.try_send(batch);
        self.wake.wake();
    }
}
