//! The control thread's sockets and waits, on a ring of its own like a shard's.
//!
//! Measured against glommio's sockets: those take about ten system calls and a memory barrier per
//! request, which was half of the time from a publish on an idle machine to its receipt. Tasks
//! remain glommio's; what they wait for is here. Nothing on this executor may wait for glommio's
//! own timers or sockets: they are not looked at while the ring is.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use slab::Slab;

use crate::io::clock::Clock;
use crate::io::readiness::{Readiness, Ready, SocketState, Token};
use crate::io::sys;

/// Requests the ring takes between two turns.
const RING_DEPTH: u32 = 256;

/// Passes without anything to do before the ring is waited in: a task may have woken another.
const IDLE_PASSES: u32 = 3;

/// The longest wait in the ring; the ticks are closer than that.
const WAIT_MS_MAX: u64 = 100;

/// States after which a read has something to say.
const INPUT: SocketState = SocketState::READABLE
    .union(SocketState::READ_CLOSED)
    .union(SocketState::HANGUP)
    .union(SocketState::ERROR);

/// States after which the input has an end.
const ENDING: SocketState = SocketState::READ_CLOSED
    .union(SocketState::HANGUP)
    .union(SocketState::ERROR);

/// States after which a write has something to say.
const OUTPUT: SocketState = SocketState::WRITABLE
    .union(SocketState::HANGUP)
    .union(SocketState::ERROR);

/// What all tasks of the control thread wait in.
pub(super) struct Reactor {
    clock: Clock,
    readiness: RefCell<Readiness>,
    slots: RefCell<Slab<Slot>>,
    pauses: RefCell<Slab<Pause>>,
    /// Tells the successive owners of a slot apart.
    generation: Cell<u16>,
    /// Passes without anything to do.
    idle_passes: Cell<u32>,
    /// Pauses so far.
    paused: Cell<u64>,
    /// When something is due at the earliest; may be too early, never too late.
    next_due_ms: Cell<u64>,
}

/// A socket that is watched.
#[derive(Default)]
struct Slot {
    generation: u16,
    is_readable: bool,
    is_writable: bool,
    /// The end of the input is near: it is read up to it, since no other event will tell.
    is_ending: bool,
    /// The kernel has ended the watch.
    is_unwatched: bool,
    waker: Option<Waker>,
    due_ms: Option<u64>,
}

/// A task that waits for a time.
struct Pause {
    due_ms: u64,
    /// Counts the pauses: who began first goes on first.
    number: u64,
    waker: Option<Waker>,
}

/// A socket whose reads and writes wait in the reactor.
pub(super) struct Socket {
    reactor: Rc<Reactor>,
    key: usize,
    fd: OwnedFd,
    /// The last read has taken all there was.
    is_drained: Cell<bool>,
}

impl Reactor {
    /// A reactor. To be made and used on the control thread only.
    ///
    /// # Errors
    /// The kernel's: no ring.
    pub(super) fn new(clock: Clock) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            clock,
            readiness: RefCell::new(Readiness::new(RING_DEPTH)?),
            slots: RefCell::default(),
            pauses: RefCell::default(),
            generation: Cell::new(0),
            idle_passes: Cell::new(0),
            paused: Cell::new(0),
            next_due_ms: Cell::new(u64::MAX),
        }))
    }

    /// Serves the tasks until `is_over`.
    ///
    /// # Errors
    /// The kernel's, when the ring is broken for good.
    pub(super) async fn run(&self, is_over: impl Fn() -> bool) -> io::Result<()> {
        let mut ready = Vec::new();
        while !is_over() {
            let is_idle = self.idle_passes.get() >= IDLE_PASSES;
            let wait = if is_idle {
                self.until_due()
            } else {
                Duration::ZERO
            };
            self.readiness.borrow_mut().turn(Some(wait), &mut ready)?;
            let events = ready.drain(..).map(|event| self.handle(event));
            let woken = events.filter(|is_woken| *is_woken).count() + self.expire();
            self.idle_passes.set(if woken > 0 {
                0
            } else {
                self.idle_passes.get() + 1
            });
            futures_lite::future::yield_now().await;
        }
        Ok(())
    }

    fn until_due(&self) -> Duration {
        let now_ms = self.clock.now_ms();
        Duration::from_millis(
            self.next_due_ms
                .get()
                .saturating_sub(now_ms)
                .min(WAIT_MS_MAX),
        )
    }

    /// Notes what has happened to a socket; true if a task goes on because of it.
    fn handle(&self, event: Ready) -> bool {
        let Ready::Socket { token, state } = event else {
            return false;
        };
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(token.key as usize);
        let Some(slot) = slot.filter(|slot| slot.generation == token.generation) else {
            return false;
        };
        slot.is_readable |= state.intersects(INPUT);
        slot.is_writable |= state.intersects(OUTPUT);
        slot.is_ending |= state.intersects(ENDING);
        slot.is_unwatched |= state.contains(SocketState::WATCH_ENDED);
        slot.waker.take().map(Waker::wake).is_some()
    }

    /// Wakes whose time has come; answers how many.
    fn expire(&self) -> usize {
        let now_ms = self.clock.now_ms();
        if now_ms < self.next_due_ms.get() {
            return 0;
        }
        let (mut next_due_ms, mut woken) = (u64::MAX, 0);
        let mut look = |due_ms: Option<u64>, waker: &mut Option<Waker>| match due_ms {
            Some(due_ms) if due_ms <= now_ms => {
                woken += usize::from(waker.take().map(Waker::wake).is_some());
            }
            Some(due_ms) => next_due_ms = next_due_ms.min(due_ms),
            None => {}
        };
        for (_, slot) in self.slots.borrow_mut().iter_mut() {
            look(slot.due_ms, &mut slot.waker);
        }
        let mut pauses = self.pauses.borrow_mut();
        let mut pausing: Vec<&mut Pause> = pauses.iter_mut().map(|(_, pause)| pause).collect();
        pausing.sort_by_key(|pause| pause.number);
        for pause in pausing {
            look(Some(pause.due_ms), &mut pause.waker);
        }
        self.next_due_ms.set(next_due_ms);
        woken
    }

    fn note_due(&self, due_ms: u64) {
        self.next_due_ms.set(self.next_due_ms.get().min(due_ms));
    }

    /// Lets the other tasks have their turn. Not a mere yield: the ring must not be waited in while
    /// somebody has more to do.
    pub(super) async fn pass(&self) {
        self.idle_passes.set(0);
        futures_lite::future::yield_now().await;
    }

    /// Lets at least that time pass.
    pub(super) async fn pause(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let due_ms = self.clock.now_ms().saturating_add(ms.max(1));
        let number = self.paused.get() + 1;
        self.paused.set(number);
        let pause = Pause {
            due_ms,
            number,
            waker: None,
        };
        let place = PausePlace {
            reactor: self,
            key: self.pauses.borrow_mut().insert(pause),
        };
        self.note_due(due_ms);
        poll_fn(|ctx| {
            if self.clock.now_ms() >= due_ms {
                return Poll::Ready(());
            }
            if let Some(pause) = self.pauses.borrow_mut().get_mut(place.key) {
                pause.waker = Some(ctx.waker().clone());
            }
            self.note_due(due_ms);
            Poll::Pending
        })
        .await;
    }

    /// Watches a socket that does not block.
    pub(super) fn socket(self: &Rc<Self>, fd: OwnedFd) -> Socket {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        // Until the first event, both are tried.
        let slot = Slot {
            generation,
            is_readable: true,
            is_writable: true,
            ..Slot::default()
        };
        let key = self.slots.borrow_mut().insert(slot);
        self.readiness
            .borrow_mut()
            .watch(token(key, generation), fd.as_fd());
        Socket {
            reactor: Rc::clone(self),
            key,
            fd,
            is_drained: Cell::new(false),
        }
    }
}

fn token(key: usize, generation: u16) -> Token {
    Token {
        key: u32::try_from(key).unwrap_or(u32::MAX),
        generation,
    }
}

/// A place among those who pause, given up when dropped.
struct PausePlace<'r> {
    reactor: &'r Reactor,
    key: usize,
}

impl Drop for PausePlace<'_> {
    fn drop(&mut self) {
        self.reactor.pauses.borrow_mut().try_remove(self.key);
    }
}

impl Socket {
    /// Reads once.
    ///
    /// # Errors
    /// `TimedOut` when nothing has come within that time, or the kernel's.
    pub(super) async fn read(&self, buf: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let due_ms = self.due_ms(timeout);
        loop {
            if self.is_drained.replace(false) {
                self.wait(due_ms, |slot| &mut slot.is_readable).await?;
            }
            match sys::recv(&self.fd, buf) {
                Ok(len) => {
                    self.is_drained.set(len < buf.len() && !self.is_ending());
                    return Ok(len);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_drained.set(true)
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until something can be read, and reads nothing: for what is no socket. May answer
    /// once too often.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.wait(None, |slot| &mut slot.is_readable).await
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// `TimedOut` when the peer has taken nothing for that time, or the kernel's.
    pub(super) async fn write_all(&self, mut bytes: &[u8], timeout: Duration) -> io::Result<()> {
        while !bytes.is_empty() {
            match sys::send(&self.fd, bytes) {
                Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(self.due_ms(timeout), |slot| &mut slot.is_writable)
                        .await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next client of a listener.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) async fn accept(&self) -> io::Result<Self> {
        loop {
            match sys::accept(&self.fd) {
                Ok(fd) => return Ok(self.reactor.socket(fd)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(None, |slot| &mut slot.is_readable).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends our side.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        sys::shutdown_write(&self.fd)
    }

    fn is_ending(&self) -> bool {
        let slots = self.reactor.slots.borrow();
        slots.get(self.key).is_some_and(|slot| slot.is_ending)
    }

    fn due_ms(&self, timeout: Duration) -> Option<u64> {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Some(self.reactor.clock.now_ms().saturating_add(ms))
    }

    /// Waits until an event has set the flag, and takes it.
    async fn wait(&self, due_ms: Option<u64>, flag: fn(&mut Slot) -> &mut bool) -> io::Result<()> {
        let reactor = &self.reactor;
        poll_fn(|ctx| {
            let mut slots = reactor.slots.borrow_mut();
            let Some(slot) = slots.get_mut(self.key) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            if std::mem::take(&mut slot.is_unwatched) {
                let token = token(self.key, slot.generation);
                reactor.readiness.borrow_mut().watch(token, self.fd.as_fd());
            }
            if std::mem::take(flag(slot)) {
                slot.due_ms = None;
                return Poll::Ready(Ok(()));
            }
            if due_ms.is_some_and(|due_ms| reactor.clock.now_ms() >= due_ms) {
                slot.due_ms = None;
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            slot.due_ms = due_ms;
            slot.waker = Some(ctx.waker().clone());
            reactor.note_due(due_ms.unwrap_or(u64::MAX));
            Poll::Pending
        })
        .await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let slot = self.reactor.slots.borrow_mut().try_remove(self.key);
        if let Some(slot) = slot {
            // Before the descriptor is closed: the ring keeps the socket alive otherwise.
            self.reactor
                .readiness
                .borrow_mut()
                .unwatch(token(self.key, slot.generation));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::park::{Cores, executor_builder};

    /// Runs `task` in a reactor until it is done; answers how long that took, in milliseconds.
    fn run<F: Future<Output = ()> + 'static>(task: impl FnOnce(Rc<Reactor>) -> F) -> u64 {
        let executor = executor_builder(Cores::Any, "reactor-test").make().unwrap();
        executor.run(async {
            let clock = Clock::start();
            let reactor = Reactor::new(clock).unwrap();
            let is_done = Rc::new(Cell::new(false));
            let (task, is_told) = (task(Rc::clone(&reactor)), Rc::clone(&is_done));
            glommio::spawn_local(async move {
                task.await;
                is_told.set(true);
            })
            .detach();
            reactor.run(|| is_done.get()).await.unwrap();
            clock.now_ms()
        })
    }

    #[test]
    fn nobody_waits_in_the_ring_while_a_task_has_more_to_do() {
        let took_ms = run(|reactor| async move {
            for _ in 0..1000 {
                reactor.pass().await;
            }
        });
        // A wait for every few passes would take half a minute.
        assert!(took_ms < 10_000, "{took_ms} ms");
    }

    #[test]
    fn who_pauses_first_goes_on_first() {
        run(|reactor| async move {
            let order = Rc::new(RefCell::new(Vec::new()));
            let task = |number: u32| {
                let (reactor, order) = (Rc::clone(&reactor), Rc::clone(&order));
                glommio::spawn_local(async move {
                    reactor.pause(Duration::from_millis(5)).await;
                    order.borrow_mut().push(number);
                })
            };
            let tasks: Vec<_> = (0..20).map(task).collect();
            for task in tasks {
                task.await;
            }
            assert_eq!(*order.borrow(), (0..20).collect::<Vec<_>>());
        });
    }

    #[test]
    fn a_read_from_who_says_nothing_ends_in_time() {
        run(|reactor| async move {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let server = reactor.socket(listener.into()).accept().await.unwrap();
            let result = server.read(&mut [0; 8], Duration::from_millis(20)).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn an_end_that_comes_together_with_bytes_is_seen_behind_them() {
        run(|reactor| async move {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let server = reactor.socket(listener.into()).accept().await.unwrap();
            let timeout = Duration::from_secs(10);
            let reader = glommio::spawn_local(async move {
                let mut buf = [0; 8];
                let first = server.read(&mut buf, timeout).await.unwrap();
                (first, server.read(&mut buf, timeout).await.unwrap())
            });
            // The reader waits by now, so that both come as news.
            reactor.pause(Duration::from_millis(5)).await;
            io::Write::write_all(&mut &client, b"bytes").unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(reader.await, (5, 0));
        });
    }
}
