//! A gate at which backends wait until the test lets them on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::wait_until;

/// The test's side of it. It opens when dropped, so that nobody waits for a test that is over.
pub(crate) struct Gate(Arc<AtomicBool>);

/// The script's side of it.
#[derive(Clone)]
pub(crate) struct Door(Arc<AtomicBool>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// A place to wait.
    pub(crate) fn door(&self) -> Door {
        Door(Arc::clone(&self.0))
    }

    /// Lets all on, now and later.
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl Door {
    /// Waits until the gate is open.
    pub(crate) fn pass(&self) {
        wait_until("the gate opens", || self.0.load(Ordering::Acquire));
    }
}
