//! One producer to every shard: the control thread's batches.
//!
//! Each shard has a bounded ring of its own, so that shards share no cursor. Who sleeps is woken
//! through an eventfd, once per batch and only if it said that it sleeps: a busy shard costs the
//! producer no system call.
//!
//! A shard looks at its ring on every turn; the eventfd only ends a wait.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{EventfdFlags, eventfd};

/// The sending end: one ring per shard.
#[derive(Debug)]
pub struct Publisher<T> {
    rings: Vec<Ring<T>>,
}

#[derive(Debug)]
struct Ring<T> {
    sender: Sender<T>,
    wake: Arc<Wake>,
}

/// A shard's end.
#[derive(Debug)]
pub struct Subscriber<T> {
    receiver: Receiver<T>,
    wake: Arc<Wake>,
}

/// What producer and shard share beside the ring; lines of its own, since both write.
#[derive(Debug)]
#[repr(align(128))]
struct Wake {
    sleeping: AtomicBool,
    event: OwnedFd,
}

/// Makes a bus for `shards` shards, each with room for `capacity` messages.
///
/// Must be called before any thread gets a descriptor table of its own: the eventfds are known by
/// their numbers on both sides.
///
/// # Errors
/// When the system gives no eventfd.
pub fn bus<T>(
    shards: usize,
    capacity: usize,
) -> std::io::Result<(Publisher<T>, Vec<Subscriber<T>>)> {
    let mut rings = Vec::with_capacity(shards);
    let mut subscribers = Vec::with_capacity(shards);
    for _ in 0..shards {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let wake = Arc::new(Wake {
            sleeping: AtomicBool::new(false),
            event,
        });
        // A capacity of 0 would be a rendezvous, in which nothing could ever be sent.
        let (sender, receiver) = bounded(capacity.max(1));
        rings.push(Ring {
            sender,
            wake: Arc::clone(&wake),
        });
        subscribers.push(Subscriber { receiver, wake });
    }
    Ok((Publisher { rings }, subscribers))
}

impl<T: Clone> Publisher<T> {
    /// Puts a message into every ring, or into none: then one of them is full and the message
    /// comes back. Wakes nobody; see [`Self::wake`].
    ///
    /// A shard that has ended counts as reached.
    ///
    /// # Errors
    /// The message, when the slowest shard has no room.
    pub fn try_publish(&mut self, message: T) -> Result<(), T> {
        // This is the only producer, so room that is seen now cannot get less.
        if !self.has_room() {
            return Err(message);
        }
        if let Some((last, others)) = self.rings.split_last() {
            for ring in others {
                ring.push(message.clone());
            }
            last.push(message);
        }
        Ok(())
    }
}

impl<T> Publisher<T> {
    /// Whether every ring has room for a message: then the next [`Self::try_publish`] succeeds.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.rings.iter().any(|ring| ring.sender.is_full())
    }

    /// How many messages the slowest shard has not taken yet.
    #[must_use]
    pub fn lag(&self) -> usize {
        self.rings
            .iter()
            .map(|ring| ring.sender.len())
            .max()
            .unwrap_or(0)
    }

    /// Wakes the shards that sleep. To be called once after a batch of [`Self::try_publish`].
    pub fn wake(&mut self) {
        // Pairs with the fence in `prepare_sleep`: either the shard sees the message or we see
        // that it sleeps.
        fence(Ordering::SeqCst);
        for ring in &self.rings {
            ring.wake.wake();
        }
    }
}

impl<T> Ring<T> {
    fn push(&self, message: T) {
        // Fails only when the shard has ended: room was checked.
        drop(self.sender.try_send(message));
    }
}

impl<T> Subscriber<T> {
    /// The next message, if there is one.
    #[must_use]
    pub fn try_recv(&self) -> Option<T> {
        self.receiver.try_recv().ok()
    }

    /// Says that this shard is about to sleep. With `false` it must not: a message has come.
    /// After the sleep: [`Self::awake`].
    #[must_use]
    pub fn prepare_sleep(&self) -> bool {
        self.wake.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.receiver.is_empty() {
            return true;
        }
        self.awake();
        false
    }

    /// Says that this shard no longer sleeps.
    pub fn awake(&self) {
        self.wake.sleeping.store(false, Ordering::Relaxed);
    }

    /// Becomes readable when there is a message for a sleeper.
    #[must_use]
    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.event.as_fd()
    }

    /// Makes [`Self::wake_fd`] unreadable again.
    pub fn clear_wake(&self) {
        // Nothing to read means nothing to clear.
        let _ = rustix::io::read(&self.wake.event, &mut [0_u8; 8]);
    }
}

impl Wake {
    fn wake(&self) {
        if !self.sleeping.load(Ordering::Relaxed) {
            return;
        }
        // One write per sleep; the shard itself may clear the flag at the same moment.
        if self.sleeping.swap(false, Ordering::Relaxed) {
            // Can fail only when 2^64 wakes were not read: then it is readable anyway.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
