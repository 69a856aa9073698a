//! What the ZeroMQ thread and the control thread tell each other: bounded queues, and a wake for
//! each of those who wait.
//!
//! | Queue | Bound | When it is full |
//! | --- | --- | --- |
//! | items, for each way in | [`BATCHES_QUEUED_MAX`] batches | the socket is not read: libzmq holds its publishers back |
//! | commands | [`COMMANDS_RUNNING_MAX`] | the socket is not read |
//! | answers | as many as commands are running | cannot be |
//! | subscriptions | [`CHANGES_QUEUED_MAX`] batches | the control thread keeps them, joined by channel |

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use proto::grip::Item;

use super::command::{Answer, Asked, Caller};
use super::counters::ZeroMqCounters;
use crate::io::wake::Wake;

/// Batches of items that may wait for the control thread, for each way in: 65,536 small items, or 64
/// MiB of big ones.
const BATCHES_QUEUED_MAX: usize = 256;

/// Commands under way at once; more wait in libzmq.
pub(super) const COMMANDS_RUNNING_MAX: usize = 100;

/// Batches of subscriptions that may wait for the ZeroMQ thread.
const CHANGES_QUEUED_MAX: usize = 64;

/// A channel that publishers are to be told about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The channel.
    pub channel: Arc<str>,
    /// Whether its items are wanted from now on, or no longer.
    pub is_wanted: bool,
}

/// The control thread's end. The ZeroMQ thread ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    inputs: Vec<Receiver<Vec<Item>>>,
    /// Whose turn it is, so that no way in has to wait for another.
    turn: Cell<usize>,
    items_wake: Arc<Wake>,
    commands: Receiver<Asked>,
    commands_wake: Arc<Wake>,
    answers: Sender<(Caller, Answer)>,
    changes: Option<Sender<Vec<Change>>>,
    thread_wake: Arc<Wake>,
    is_paused: Arc<AtomicBool>,
    counters: Arc<ZeroMqCounters>,
}

/// The ZeroMQ thread's end.
#[derive(Debug)]
pub(super) struct ThreadEnd {
    pub(super) inputs: Vec<Sender<Vec<Item>>>,
    pub(super) commands: Sender<Asked>,
    pub(super) commands_wake: Arc<Wake>,
    pub(super) answers: Receiver<(Caller, Answer)>,
    pub(super) changes: Receiver<Vec<Change>>,
    pub(super) items_wake: Arc<Wake>,
    pub(super) wake: Arc<Wake>,
    /// Whether some way in waits for room.
    pub(super) is_paused: Arc<AtomicBool>,
    pub(super) counters: Arc<ZeroMqCounters>,
}

/// Makes both ends, with a queue for each of so many ways in.
pub(super) fn link(inputs: usize, subscribes: bool) -> io::Result<(Link, ThreadEnd)> {
    let (input_senders, inputs) = (0..inputs).map(|_| bounded(BATCHES_QUEUED_MAX)).unzip();
    let (command_sender, commands) = bounded(COMMANDS_RUNNING_MAX);
    let (answers, answer_receiver) = bounded(COMMANDS_RUNNING_MAX);
    let (changes, change_receiver) = bounded(CHANGES_QUEUED_MAX);
    let (items_wake, commands_wake, thread_wake) = (Wake::new()?, Wake::new()?, Wake::new()?);
    let is_paused = Arc::new(AtomicBool::new(false));
    let counters = Arc::new(ZeroMqCounters::default());
    let thread_end = ThreadEnd {
        inputs: input_senders,
        commands: command_sender,
        commands_wake: Arc::clone(&commands_wake),
        answers: answer_receiver,
        changes: change_receiver,
        items_wake: Arc::clone(&items_wake),
        wake: Arc::clone(&thread_wake),
        is_paused: Arc::clone(&is_paused),
        counters: Arc::clone(&counters),
    };
    let link = Link {
        inputs,
        turn: Cell::new(0),
        items_wake,
        commands,
        commands_wake,
        answers,
        changes: subscribes.then_some(changes),
        thread_wake,
        is_paused,
        counters,
    };
    Ok((link, thread_end))
}

impl Link {
    /// The next items of any way in, each in its turn; together they came in this order.
    #[must_use]
    pub fn next_items(&self) -> Option<Vec<Item>> {
        let start = self.turn.get();
        let count = self.inputs.len();
        for step in 0..count {
            let at = (start + step) % count;
            if let Some(items) = self.inputs.get(at).and_then(|input| input.try_recv().ok()) {
                self.turn.set(at + 1);
                self.wake_paused();
                return Some(items);
            }
        }
        None
    }

    /// The next command.
    #[must_use]
    pub fn next_command(&self) -> Option<Asked> {
        self.commands.try_recv().ok()
    }

    /// Answers a command.
    pub fn answer(&self, caller: Caller, answer: Answer) {
        // There is room for each command that is under way.
        let _ = self.answers.try_send((caller, answer));
        self.thread_wake.wake();
    }

    /// Whether publishers are told what is listened to.
    #[must_use]
    pub const fn subscribes(&self) -> bool {
        self.changes.is_some()
    }

    /// Tells publishers what is listened to.
    ///
    /// # Errors
    /// The changes, when there is no room for them at this moment.
    pub fn tell(&self, changes: Vec<Change>) -> Result<(), Vec<Change>> {
        let sent = self.changes.as_ref().map(|queue| queue.try_send(changes));
        self.thread_wake.wake();
        match sent {
            Some(Err(TrySendError::Full(changes))) => Err(changes),
            // Once the thread has ended nobody wants to know.
            None | Some(Ok(()) | Err(TrySendError::Disconnected(_))) => Ok(()),
        }
    }

    /// What the thread counts.
    #[must_use]
    pub fn counters(&self) -> &ZeroMqCounters {
        &self.counters
    }

    /// Says that whoever takes items is about to sleep; with `false` it must not.
    /// Afterwards: [`Self::items_awake`].
    #[must_use]
    pub fn items_prepare_sleep(&self) -> bool {
        let has_items = || self.inputs.iter().any(|input| !input.is_empty());
        self.items_wake.prepare_sleep(has_items)
    }

    /// Says that whoever takes items no longer sleeps.
    pub fn items_awake(&self) {
        self.items_wake.awake();
    }

    /// Becomes readable when there are items for a sleeper.
    ///
    /// # Errors
    /// The kernel's: no descriptor.
    pub fn items_fd(&self) -> io::Result<OwnedFd> {
        self.items_wake.own_fd()
    }

    /// The same for commands.
    #[must_use]
    pub fn commands_prepare_sleep(&self) -> bool {
        self.commands_wake
            .prepare_sleep(|| !self.commands.is_empty())
    }

    /// The same for commands.
    pub fn commands_awake(&self) {
        self.commands_wake.awake();
    }

    /// The same for commands.
    ///
    /// # Errors
    /// The kernel's: no descriptor.
    pub fn commands_fd(&self) -> io::Result<OwnedFd> {
        self.commands_wake.own_fd()
    }

    /// Wakes the thread if it waits for the room that was just made.
    fn wake_paused(&self) {
        // Pairs with the fence in `Wake::prepare_sleep`, before which the thread says that it
        // waits.
        fence(Ordering::SeqCst);
        if self.is_paused.load(Ordering::Relaxed) {
            self.thread_wake.wake();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.thread_wake.close();
    }
}
