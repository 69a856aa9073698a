//! The shard's own io_uring: what has happened to its sockets.
//!
//! One multishot accept per listener and one multishot edge-triggered poll per connection for its
//! whole life; no request pins a buffer. Events are handed out in batches, what to do with them
//! is the engine's. A closed connection's last events may still come: its token tells by the
//! generation.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use super::sys::ring::{Completion, Ring};

/// Unread completions a ring can hold before the kernel keeps them in dearer memory.
pub const COMPLETIONS_MAX: u32 = 16_384;
/// Events handed out by one turn, so that a flood leaves room for timers and publishes.
pub const EVENTS_PER_TURN_MAX: usize = 1_024;

/// A socket's row in the shard's slab, and which of the row's successive owners it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// The row.
    pub key: u32,
    /// Counts the row's owners.
    pub generation: u16,
}

/// What is true of a socket, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketState(u8);

impl SocketState {
    /// Something can be read, an end or an error included.
    pub const READABLE: Self = Self(1);
    /// Something can be written, or the connection attempt is decided.
    pub const WRITABLE: Self = Self(1 << 1);
    /// The peer has finished sending (FIN).
    pub const READ_CLOSED: Self = Self(1 << 2);
    /// Both directions have ended.
    pub const HANGUP: Self = Self(1 << 3);
    /// The connection is broken; [`super::sys::connect_result`] has the reason.
    pub const ERROR: Self = Self(1 << 4);
    /// The kernel has ended the watch: call [`Readiness::watch`] again. An edge may have been
    /// lost, so [`Self::READABLE`] and [`Self::WRITABLE`] are set with it.
    pub const WATCH_ENDED: Self = Self(1 << 5);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits as a number, for logs.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// Something has happened.
#[derive(Debug)]
pub enum Ready {
    /// A client has connected.
    Accepted {
        /// The number given to [`Readiness::accept`].
        listener: u16,
        /// Its socket: non-blocking, closed on exec.
        fd: std::os::fd::OwnedFd,
    },
    /// A client could not be accepted. When the reason is lack of descriptors or memory, the
    /// listener is paused (its clients wait in the backlog) until [`Readiness::resume_accept`].
    AcceptFailed {
        /// The number given to [`Readiness::accept`].
        listener: u16,
        /// Why.
        error: io::Error,
    },
    /// A watched socket has changed.
    Socket {
        /// Whose.
        token: Token,
        /// What is true of it now.
        state: SocketState,
    },
    /// The descriptor of [`Readiness::watch_wake`] was signalled; reset it before looking at what
    /// it stands for.
    Wake,
}

/// The ring of one shard. Made and used on the shard's thread only.
#[derive(Debug)]
pub struct Readiness {
    ring: Ring,
    listeners: Vec<Listener>,
    wake: Option<RawFd>,
}

/// A listener by its number.
#[derive(Debug, Clone, Copy)]
struct Listener {
    fd: RawFd,
    /// Counts its accept requests: an old one may still report after a new one was made.
    generation: u16,
    armed: bool,
    paused: bool,
}

impl Readiness {
    /// A ring with room for `depth` requests between two turns; more only cost a system call.
    ///
    /// # Errors
    /// The kernel's: io_uring is forbidden, or no memory or descriptor is left.
    pub fn new(depth: u32) -> io::Result<Self> {
        let ring = Ring::new(depth, COMPLETIONS_MAX)?;
        log::debug!("readiness by {ring:?}");
        Ok(Self::over(ring))
    }

    pub(crate) fn over(ring: Ring) -> Self {
        Self {
            ring,
            listeners: Vec::new(),
            wake: None,
        }
    }

    /// Accepts on the listening socket `fd` from the next turn on, under the number `listener`.
    ///
    /// The request goes by the descriptor's number, and is made again whenever the kernel ends it:
    /// `fd` must stay open until [`Readiness::pause_accept`] or the end.
    pub fn accept(&mut self, listener: u16, fd: BorrowedFd<'_>) {
        let new = Listener {
            fd: fd.as_raw_fd(),
            generation: 0,
            armed: false,
            paused: true,
        };
        let index = usize::from(listener);
        if self.listeners.len() <= index {
            // Numbers without a listener stay paused and are never armed.
            let none = Listener { fd: -1, ..new };
            self.listeners.resize(index + 1, none);
        }
        if let Some(slot) = self.listeners.get_mut(index) {
            let generation = slot.generation;
            *slot = Listener { generation, ..new };
        }
        self.resume_accept(listener);
    }

    /// Lets clients of `listener` wait in its backlog. Those accepted already still come.
    pub fn pause_accept(&mut self, listener: u16) {
        let Some(slot) = self.listeners.get_mut(usize::from(listener)) else {
            return;
        };
        slot.paused = true;
        if std::mem::take(&mut slot.armed) {
            let target = Tag::Accept {
                listener,
                generation: slot.generation,
            };
            self.ring.cancel(target.pack(), Tag::Ignored.pack());
        }
    }

    /// Ends the pause of `listener`, whoever began it.
    pub fn resume_accept(&mut self, listener: u16) {
        if let Some(slot) = self.listeners.get_mut(usize::from(listener)) {
            slot.paused = slot.fd < 0;
            arm(&mut self.ring, listener, slot);
        }
    }

    /// Whether `listener` accepts, as far as is known.
    #[must_use]
    pub fn is_accepting(&self, listener: u16) -> bool {
        self.listeners
            .get(usize::from(listener))
            .is_some_and(|slot| !slot.paused)
    }

    /// Watches a socket for its life; what is true of it at the next turn is reported at once.
    ///
    /// Edge-triggered: an event comes when something changes, so read until `WouldBlock` and write
    /// until `WouldBlock` before waiting for one.
    pub fn watch(&mut self, token: Token, fd: BorrowedFd<'_>) {
        self.ring
            .poll_multishot(fd.as_raw_fd(), Tag::Socket(token).pack());
    }

    /// Ends a watch, to be called before the socket is closed: the ring keeps the file alive until
    /// the next turn hands this over, and with it the connection. Events on their way still come.
    pub fn unwatch(&mut self, token: Token) {
        self.ring
            .poll_remove(Tag::Socket(token).pack(), Tag::Ignored.pack());
    }

    /// Reports signals of the eventfd `fd` as [`Ready::Wake`]. It must stay open to the end.
    pub fn watch_wake(&mut self, fd: BorrowedFd<'_>) {
        self.wake = Some(fd.as_raw_fd());
        self.ring.poll_readable(fd.as_raw_fd(), Tag::Wake.pack());
    }

    /// Hands all requests to the kernel and appends what has happened to `out`, at most
    /// [`EVENTS_PER_TURN_MAX`] events; returns how many.
    ///
    /// Waits at most `max_wait` for the first (none: as long as it takes; zero: not at all). No
    /// system call is made when there is nothing to hand over and nothing to wait for.
    ///
    /// # Errors
    /// The kernel's, when the ring is broken for good.
    pub fn turn(&mut self, max_wait: Option<Duration>, out: &mut Vec<Ready>) -> io::Result<usize> {
        let patient = max_wait != Some(Duration::ZERO);
        if patient && !self.ring.has_completions() {
            self.ring.submit_and_wait(max_wait)?;
        } else if self.ring.has_queued() || self.ring.has_deferred() {
            self.ring.submit()?;
        }
        let before = out.len();
        let Self {
            ring,
            listeners,
            wake,
        } = self;
        let mut ended = Vec::new();
        ring.take(EVENTS_PER_TURN_MAX, |completion| {
            translate(completion, listeners, out, &mut ended);
        });
        for tag in ended {
            rearm(ring, listeners, *wake, tag);
        }
        Ok(out.len() - before)
    }

    /// Hands all requests to the kernel without looking at what has happened, as at the end of a
    /// turn that unwatched sockets.
    ///
    /// # Errors
    /// As [`Readiness::turn`].
    pub fn submit(&mut self) -> io::Result<()> {
        if self.ring.has_queued() {
            self.ring.submit()?;
        }
        Ok(())
    }

    /// Whether the next turn would find something without waiting.
    #[must_use]
    pub fn has_completions(&self) -> bool {
        self.ring.has_completions()
    }

    /// The eventfd that is signalled while [`Readiness::signals_on`] holds.
    #[must_use]
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.ring.wake_fd()
    }

    /// Prepares for sleeping on [`Readiness::event_fd`]: hands all requests over and has events
    /// signalled. False when something has happened already, and the caller must not sleep.
    ///
    /// # Errors
    /// As [`Readiness::turn`].
    pub fn signals_on(&mut self) -> io::Result<bool> {
        self.submit()?;
        self.ring.signals_on();
        if self.ring.has_completions() {
            self.ring.signals_off();
            return Ok(false);
        }
        Ok(true)
    }

    /// The sleep is over: events are no longer signalled.
    pub fn signals_off(&mut self) {
        self.ring.signals_off();
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        // Clients that were accepted but never handed out would stay connected to nobody.
        let accepts = |tag| matches!(Tag::unpack(tag), Tag::Accept { .. });
        while self.ring.take(EVENTS_PER_TURN_MAX, |completion| {
            if accepts(completion.tag) {
                drop(Ring::accepted(completion));
            }
        }) > 0
        {}
    }
}

/// What a completion is about, packed into the 64 bits that a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// The end of a cancelling; nobody waits for it.
    Ignored,
    Socket(Token),
    Accept {
        listener: u16,
        generation: u16,
    },
    Wake,
}

impl Tag {
    /// Kind in the top 16 bits, generation in the next 16, key below.
    fn pack(self) -> u64 {
        let (kind, generation, key) = match self {
            Self::Ignored => (0, 0, 0),
            Self::Socket(Token { key, generation }) => (1_u64, generation, key),
            Self::Accept {
                listener,
                generation,
            } => (2, generation, u32::from(listener)),
            Self::Wake => (3, 0, 0),
        };
        kind << 48 | u64::from(generation) << 32 | u64::from(key)
    }

    fn unpack(bits: u64) -> Self {
        let [k0, k1, k2, k3, g0, g1, kind, _] = bits.to_le_bytes();
        let (key, generation) = (
            u32::from_le_bytes([k0, k1, k2, k3]),
            u16::from_le_bytes([g0, g1]),
        );
        match kind {
            1 => Self::Socket(Token { key, generation }),
            2 => Self::Accept {
                listener: u16::from_le_bytes([k0, k1]),
                generation,
            },
            3 => Self::Wake,
            _ => Self::Ignored,
        }
    }
}

/// Appends what `completion` says to `out`; requests of ours to be made again go to `ended`.
fn translate(
    completion: Completion,
    listeners: &mut [Listener],
    out: &mut Vec<Ready>,
    ended: &mut Vec<Tag>,
) {
    let tag = Tag::unpack(completion.tag);
    match tag {
        Tag::Ignored => {}
        Tag::Socket(token) => {
            if let Some(state) = socket_state(completion) {
                out.push(Ready::Socket { token, state });
            }
        }
        Tag::Wake => {
            out.push(Ready::Wake);
            if !completion.more {
                ended.push(tag);
            }
        }
        Tag::Accept {
            listener,
            generation,
        } => {
            if let Some(slot) = listeners.get_mut(usize::from(listener)) {
                let current = slot.generation == generation;
                if current && !completion.more {
                    slot.armed = false;
                    slot.paused |= is_shortage(completion.result);
                    ended.push(tag);
                }
            }
            out.extend(accept_event(listener, completion));
        }
    }
}

/// An accept's completion as an event; none for the end that a pause asked for.
fn accept_event(listener: u16, completion: Completion) -> Option<Ready> {
    if let Some(fd) = Ring::accepted(completion) {
        return Some(Ready::Accepted { listener, fd });
    }
    if completion.result == -libc::ECANCELED {
        return None;
    }
    let error = io::Error::from_raw_os_error(-completion.result);
    Some(Ready::AcceptFailed { listener, error })
}

/// A poll's completion as a state; none for the end that [`Readiness::unwatch`] asked for.
fn socket_state(completion: Completion) -> Option<SocketState> {
    const BOTH: SocketState = SocketState::READABLE.union(SocketState::WRITABLE);
    if completion.result == -libc::ECANCELED {
        return None;
    }
    if completion.result < 0 {
        // The watch could not be made: no memory, or a descriptor that cannot be polled.
        return Some(SocketState::ERROR.union(SocketState::HANGUP));
    }
    let mut state = SocketState::default();
    for (poll, bit) in [
        (libc::POLLIN, SocketState::READABLE),
        (libc::POLLOUT, SocketState::WRITABLE),
        (libc::POLLRDHUP, SocketState::READ_CLOSED),
        (libc::POLLHUP, SocketState::HANGUP),
        (libc::POLLERR, SocketState::ERROR),
    ] {
        if completion.result & i32::from(poll) != 0 {
            state = state.union(bit);
        }
    }
    if !completion.more {
        state = state.union(SocketState::WATCH_ENDED).union(BOTH);
    }
    Some(state)
}

/// Reasons of a failed accept that the next attempt would meet again at once: trying on would
/// spin.
fn is_shortage(result: i32) -> bool {
    matches!(
        -result,
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EINVAL
    )
}

/// Makes the accept request of a listener unless it stands or is not wanted.
fn arm(ring: &mut Ring, listener: u16, slot: &mut Listener) {
    if slot.armed || slot.paused {
        return;
    }
    slot.armed = true;
    slot.generation = slot.generation.wrapping_add(1);
    let tag = Tag::Accept {
        listener,
        generation: slot.generation,
    };
    ring.accept_multishot(slot.fd, tag.pack());
}

/// Makes a request again that the kernel has ended.
fn rearm(ring: &mut Ring, listeners: &mut [Listener], wake: Option<RawFd>, tag: Tag) {
    match tag {
        Tag::Accept { listener, .. } => {
            if let Some(slot) = listeners.get_mut(usize::from(listener)) {
                arm(ring, listener, slot);
            }
        }
        Tag::Wake => {
            if let Some(fd) = wake {
                ring.poll_readable(fd, tag.pack());
            }
        }
        // The engine watches again: only it knows the socket's descriptor.
        Tag::Socket(_) | Tag::Ignored => {}
    }
}

#[cfg(test)]
mod tests;
