//! Sleeping: the only door between the shard's loop and glommio, and the only maker of executors.
//!
//! glommio offers no "readable descriptor" type. What it does have is a read of a file through
//! its ring, and an eventfd is a file: one such read stands for as long as it takes, across naps
//! that ended by the clock, and completes when the shard's own ring has something to say. It costs
//! one request per wake and nothing per nap.
//!
//! glommio 0.9.0 can go to sleep with a runnable task when its preempt timer fires at the wrong
//! moment. Two remedies live here: that timer is far away ([`executor_builder`]), and no nap is
//! longer than [`NAP_MAX`], so that a lost run costs a bounded stall.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use glommio::io::BufferedFile;
use glommio::timer::Timer;
use glommio::{CpuSet, LocalExecutorBuilder, Placement};

use super::readiness::Readiness;
use super::sys;

/// The longest nap, whatever the caller asks for.
pub const NAP_MAX: Duration = Duration::from_millis(200);
/// Memory that an executor pins for disk files, which a shard does not use; the default pins 30 MB.
const IO_MEMORY: usize = 65_536;
/// Entries of each of an executor's three rings; a shard has a handful of requests in them.
const RING_DEPTH: usize = 128;
/// How often glommio interrupts a busy executor, which a shard bounds by itself.
const PREEMPT_TIMER: Duration = Duration::from_secs(60);

/// How often one read may be looked at in vain. glommio keeps a waker for each look and panics
/// when one task has 32,767; a new read starts with none.
const LOOKS_MAX: u32 = 64;

/// The read that stands in glommio's ring.
struct Standing {
    read: Pin<Box<dyn Future<Output = io::Result<()>>>>,
    looks: u32,
}

/// Lets the shard's task sleep until its ring has events.
pub struct Parker {
    file: Rc<BufferedFile>,
    standing: Option<Standing>,
}

/// Why a nap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Events are there.
    ByEvents,
    /// The time is up.
    ByClock,
}

impl std::fmt::Debug for Parker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parker")
            .field("standing", &self.standing.is_some())
            .finish_non_exhaustive()
    }
}

impl Parker {
    /// For the ring of the same shard. To be called on its executor.
    ///
    /// # Errors
    /// The kernel's: no descriptor left.
    pub fn new(readiness: &Readiness) -> io::Result<Self> {
        // glommio closes what it is given, hence a descriptor of its own.
        let event_fd = readiness.event_fd().try_clone_to_owned()?;
        Ok(Self {
            file: Rc::new(sys::glommio_file(event_fd)),
            standing: None,
        })
    }

    /// Hands the ring's requests over and sleeps until it has events, or `max` has passed, or
    /// [`NAP_MAX`]. Returns at once when events are there already. Other tasks of the executor
    /// run meanwhile.
    ///
    /// # Errors
    /// The kernel's, when a ring is broken for good.
    pub async fn park(&mut self, readiness: &mut Readiness, max: Duration) -> io::Result<Woken> {
        if !readiness.signals_on()? {
            return Ok(Woken::ByEvents);
        }
        let woken = self.nap(max.min(NAP_MAX)).await;
        readiness.signals_off();
        woken
    }

    async fn nap(&mut self, max: Duration) -> io::Result<Woken> {
        let mut timer = pin!(Timer::new(max));
        poll_fn(|ctx| {
            if let Poll::Ready(result) = self.poll_events(ctx) {
                return Poll::Ready(result.map(|()| Woken::ByEvents));
            }
            timer.as_mut().poll(ctx).map(|_| Ok(Woken::ByClock))
        })
        .await
    }

    /// Whether the eventfd was signalled; begins a read if none stands.
    fn poll_events(&mut self, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Giving a read up may lose a signal it has just taken. The loop looks at its ring after
        // every nap, so that costs nothing.
        self.standing
            .take_if(|standing| standing.looks >= LOOKS_MAX);
        let file = &self.file;
        let standing = self.standing.get_or_insert_with(|| Standing::begin(file));
        standing.looks += 1;
        let result = standing.read.as_mut().poll(ctx);
        if result.is_ready() {
            self.standing = None;
        }
        result
    }
}

impl Standing {
    fn begin(file: &Rc<BufferedFile>) -> Self {
        Self {
            read: Box::pin(read(Rc::clone(file))),
            looks: 0,
        }
    }
}

/// Waits for the eventfd and resets it.
async fn read(file: Rc<BufferedFile>) -> io::Result<()> {
    const COUNTER_LEN: usize = 8;
    file.read_at(0, COUNTER_LEN)
        .await
        .map(drop)
        .map_err(io::Error::from)
}

/// Where an executor runs.
#[derive(Debug, Clone, Copy)]
pub enum Cores<'a> {
    /// Anywhere.
    Any,
    /// Pinned to this one.
    One(usize),
    /// On any of these.
    Among(&'a [usize]),
}

/// An executor as every thread of this project has it: small rings, hardly any pinned memory.
#[must_use]
pub fn executor_builder(cores: Cores<'_>, name: &str) -> LocalExecutorBuilder {
    let placement = match cores {
        Cores::Any => Placement::Unbound,
        Cores::One(core) => Placement::Fixed(core),
        // Without the machine's topology there is no set to choose from.
        Cores::Among(cores) => CpuSet::online().map_or(Placement::Unbound, |online| {
            Placement::Fenced(online.filter(|location| cores.contains(&location.cpu)))
        }),
    };
    LocalExecutorBuilder::new(placement)
        .name(name)
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT_TIMER)
}

#[cfg(test)]
mod tests;
