//! Wakes a thread that sleeps: one signal per sleep, none for a thread that is awake.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crate::io::sys;

/// What one sleeping thread and those who wake it share.
#[derive(Debug)]
pub(super) struct Wake {
    is_sleeping: AtomicBool,
    is_closed: AtomicBool,
    event: OwnedFd,
}

impl Wake {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            is_sleeping: false.into(),
            is_closed: false.into(),
            event: sys::event_fd(false)?,
        }))
    }

    /// Wakes the thread if it sleeps. To be called after what it is woken for is in its queue.
    pub(super) fn wake(&self) {
        // Pairs with the fence in `prepare_sleep`: either the sleeper is seen here, or the work
        // there.
        fence(Ordering::SeqCst);
        if self.is_sleeping.load(Ordering::Relaxed)
            && self.is_sleeping.swap(false, Ordering::Relaxed)
            && let Err(error) = sys::event_signal(&self.event)
        {
            log::warn!("cannot wake a thread: {error}");
        }
    }

    /// Nothing comes any more: the thread is to end.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether nothing comes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Says that the thread is about to sleep. With `false` it must not: there is work.
    pub(super) fn prepare_sleep(&self, has_work: impl FnOnce() -> bool) -> bool {
        self.is_sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if has_work() || self.is_closed() {
            self.is_sleeping.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Says that the thread no longer sleeps.
    pub(super) fn awake(&self) {
        self.is_sleeping.store(false, Ordering::Relaxed);
        // An error would only mean that the next sleep is short.
        let _ = sys::event_drain(&self.event);
    }

    /// Becomes readable when there is something for a sleeper.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// The same as a descriptor of its own.
    pub(super) fn own_fd(&self) -> io::Result<OwnedFd> {
        self.event.try_clone()
    }
}
