//! An io_uring that takes only requests without buffers.
//!
//! That is what makes it safe: accept without an address, poll, and their cancelling hand no
//! memory of ours to the kernel, so no request can outlive something it points to.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::event_fd;

/// The events of a connection's only poll request. Errors and hang-ups are always reported.
const POLL_EVENTS: u32 = mask(libc::POLLIN) | mask(libc::POLLOUT) | mask(libc::POLLRDHUP);

/// One thing the kernel has to say about a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    /// The number given with the request.
    pub(crate) tag: u64,
    /// What the request's system call would have returned, a negative error number included.
    pub(crate) result: i32,
    /// Whether the same request will report again.
    pub(crate) more: bool,
}

/// How the kernel runs the ring's deferred work, best first.
///
/// Putting it off until the owner asks (`DEFER_TASKRUN`) would be as fast, but nobody could sleep
/// on the ring's eventfd: an event that itself comes from an eventfd, like a publish, would then
/// signal from within that write, which the kernel (6.18) does late once and never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// At the owner's next system call, whichever that is (kernel 6.0).
    Cooperative,
    /// By interrupting the owner.
    Plain,
}

/// The ring of one thread, with an eventfd that is signalled when a sleeper has to wake.
pub(crate) struct Ring {
    ring: IoUring,
    wake: OwnedFd,
    /// Requests that found the submission queue full and the kernel unwilling to empty it.
    backlog: VecDeque<squeue::Entry>,
    mode: Mode,
    /// The kernel refuses requests from another thread than the one that made the ring.
    _not_send: PhantomData<*const ()>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring with room for `depth` unsent requests and `completions_max` unread completions, both
    /// bounded by the kernel's own maximum.
    pub(crate) fn new(depth: u32, completions_max: u32) -> io::Result<Self> {
        let (ring, mode) = match build(depth, completions_max, Mode::Cooperative) {
            Err(error) if unknown_flag(&error) => {
                (build(depth, completions_max, Mode::Plain)?, Mode::Plain)
            }
            built => (built?, Mode::Cooperative),
        };
        Self::with(ring, mode)
    }

    /// [`Ring::new`] in one given mode, so that the others can be tested too.
    #[cfg(test)]
    pub(crate) fn with_mode(depth: u32, completions_max: u32, mode: Mode) -> io::Result<Self> {
        Self::with(build(depth, completions_max, mode)?, mode)
    }

    fn with(mut ring: IoUring, mode: Mode) -> io::Result<Self> {
        let wake = event_fd(true)?;
        ring.submitter().register_eventfd(wake.as_raw_fd())?;
        // Nobody sleeps yet, and a signal costs the kernel something each time.
        ring.completion().disable_eventfd();
        Ok(Self {
            ring,
            wake,
            backlog: VecDeque::new(),
            mode,
            _not_send: PhantomData,
        })
    }

    /// The eventfd; blocking, for a reader that waits.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Accepts on `listener` until cancelled; each result is a non-blocking socket for
    /// [`Ring::accepted`].
    pub(crate) fn accept_multishot(&mut self, listener: RawFd, tag: u64) {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let entry = opcode::AcceptMulti::new(Fd(listener)).flags(flags).build();
        self.queue(entry.user_data(tag));
    }

    /// Reports each change of `socket` to readable, writable, ended or broken (edge-triggered)
    /// until cancelled; the result is a set of poll bits.
    pub(crate) fn poll_multishot(&mut self, socket: RawFd, tag: u64) {
        let entry = opcode::PollAdd::new(Fd(socket), POLL_EVENTS)
            .multi(true)
            .build();
        self.queue(entry.user_data(tag));
    }

    /// Like [`Ring::poll_multishot`], for readable only.
    pub(crate) fn poll_readable(&mut self, fd: RawFd, tag: u64) {
        let entry = opcode::PollAdd::new(Fd(fd), mask(libc::POLLIN))
            .multi(true)
            .build();
        self.queue(entry.user_data(tag));
    }

    /// Ends the poll request `target`. Whether it was found is reported under `tag`.
    pub(crate) fn poll_remove(&mut self, target: u64, tag: u64) {
        let entry = opcode::PollRemove::new(target).build();
        self.queue(entry.user_data(tag));
    }

    /// Ends the request `target`. Whether it was found is reported under `tag`.
    pub(crate) fn cancel(&mut self, target: u64, tag: u64) {
        let entry = opcode::AsyncCancel::new(target).build();
        self.queue(entry.user_data(tag));
    }

    /// Whether a request waits to be handed to the kernel.
    pub(crate) fn has_queued(&mut self) -> bool {
        !self.backlog.is_empty() || !self.ring.submission().is_empty()
    }

    /// Whether the kernel has something to say, without asking it.
    pub(crate) fn has_completions(&self) -> bool {
        // SAFETY: the ring is not shared with another thread (`_not_send`), and this view of the
        // queue lives only within the expression; nobody else holds one.
        let waiting = unsafe { !self.ring.completion_shared().is_empty() };
        waiting || self.has_deferred()
    }

    /// Whether the kernel waits for [`Ring::submit`] to say more than it has.
    pub(crate) fn has_deferred(&self) -> bool {
        // SAFETY: as in `has_completions`.
        let submission = unsafe { self.ring.submission_shared() };
        submission.taskrun() || submission.cq_overflow()
    }

    /// Hands all queued requests to the kernel and lets it run what it has put off.
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        loop {
            let result = self.ring.submit();
            settled(result)?;
            if self.backlog.is_empty() || !self.refill() {
                return Ok(());
            }
        }
    }

    /// [`Ring::submit`], then waits for a completion; not longer than `max_wait`.
    pub(crate) fn submit_and_wait(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        if !self.backlog.is_empty() {
            return self.submit();
        }
        let Some(max_wait) = max_wait else {
            return settled(self.ring.submit_and_wait(1));
        };
        let timeout = Timespec::from(max_wait);
        let args = SubmitArgs::new().timespec(&timeout);
        settled(self.ring.submitter().submit_with_args(1, &args))
    }

    /// Takes at most `count_max` completions, oldest first; how many.
    pub(crate) fn take(&mut self, count_max: usize, mut each: impl FnMut(Completion)) -> usize {
        let mut count = 0;
        for entry in self.ring.completion().take(count_max) {
            let more = cqueue::more(entry.flags());
            each(Completion {
                tag: entry.user_data(),
                result: entry.result(),
                more,
            });
            count += 1;
        }
        count
    }

    /// From now on completions signal the eventfd. Look for completions after this, before
    /// sleeping: those that came earlier have not signalled.
    pub(crate) fn signals_on(&mut self) {
        self.ring.completion().enable_eventfd();
        // The kernel must see the flag before we look at the queues, or both sides could miss.
        fence(Ordering::SeqCst);
    }

    /// From now on completions do not signal.
    pub(crate) fn signals_off(&mut self) {
        self.ring.completion().disable_eventfd();
    }

    /// The socket of an accept's completion: the kernel made it for us alone.
    ///
    /// None for a result that is no descriptor. To be called once per completion.
    pub(crate) fn accepted(completion: Completion) -> Option<OwnedFd> {
        if completion.result < 0 {
            return None;
        }
        // SAFETY: the kernel has just installed this descriptor for this completion, which
        // `take` yields once; nobody else knows the number.
        Some(unsafe { OwnedFd::from_raw_fd(completion.result) })
    }

    /// Puts `entry` into the submission queue; makes room by handing over what is there.
    fn queue(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() && push(&mut self.ring, &entry) {
            return;
        }
        // A kernel short of memory may refuse; the request then waits in the backlog, in order.
        self.backlog.push_back(entry);
        if settled(self.ring.submit()).is_ok() {
            self.refill();
        }
    }

    /// Moves requests from the backlog into the submission queue; whether any fitted.
    fn refill(&mut self) -> bool {
        let before = self.backlog.len();
        while let Some(entry) = self.backlog.front() {
            if !push(&mut self.ring, entry) {
                break;
            }
            self.backlog.pop_front();
        }
        self.backlog.len() < before
    }
}

/// Adds `entry` to the submission queue; false when that is full.
fn push(ring: &mut IoUring, entry: &squeue::Entry) -> bool {
    // SAFETY: the requests built in this file carry no pointer, so nothing must outlive them. A
    // descriptor that is closed meanwhile makes the request fail or watch another file, which is
    // no memory error.
    unsafe { ring.submission().push(entry) }.is_ok()
}

/// Makes the ring itself.
fn build(depth: u32, completions_max: u32, mode: Mode) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .dontfork()
        .setup_clamp()
        .setup_cqsize(completions_max.max(depth));
    match mode {
        Mode::Cooperative => {
            builder.setup_submit_all().setup_single_issuer();
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        Mode::Plain => {}
    }
    builder.build(depth)
}

/// The kernel is older than a flag we asked for.
fn unknown_flag(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// A wait that ended without completion is no failure, nor is a kernel that wants its completions
/// taken first or is short of memory: requests stay queued and the next turn tries again.
fn settled(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

/// Poll bits as the ring wants them.
const fn mask(bits: libc::c_short) -> u32 {
    bits.cast_unsigned() as u32
}
