//! How long a sleeping shard takes to have a message, by what it sleeps in.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{Timespec, epoll};
use shard::io::bus::{Publisher, Subscriber, bus};
use shard::io::park::{Cores, Parker, executor_builder};
use shard::io::readiness::{Readiness, Ready};

use crate::clock;
use crate::error::BenchError;
use crate::harness::{Harness, quantile};

/// Wakes measured.
const WAKES: usize = 1_000;

/// Between two messages, so that the shard sleeps again: less than its direct wait.
const PAUSE_NS: u64 = 200_000;

/// How long a thread waits for the other at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// The message that ends the sleeper.
const STOP: u64 = u64::MAX;

/// A message is the time at which it was sent.
type Messages = Subscriber<u64>;

/// A thread that sleeps, and answers each message with the nanoseconds it took.
type Sleeper = fn(Messages, Sender<u64>) -> Result<(), BenchError>;

/// Measures all ways to sleep.
///
/// # Errors
/// The kernel's, or a sleeper that does not wake.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    let ways: [(&str, Sleeper); 3] = [
        ("asleep in epoll (yardstick)", in_epoll),
        ("asleep in the shard's ring", in_ring),
        ("asleep in glommio", in_glommio),
    ];
    for (way, sleeper) in ways {
        let name = format!("wake: {way}");
        if harness.wants(&name) && harness.calls().is_none() {
            measure(harness, &name, sleeper)?;
        }
    }
    Ok(())
}

fn measure(harness: &mut Harness, name: &str, sleeper: Sleeper) -> Result<(), BenchError> {
    let (mut publisher, mut subscribers) = bus(1, 16)?;
    let subscriber = subscribers
        .pop()
        .ok_or(BenchError::Unexpected("a bus without a shard"))?;
    let (answer, answers) = bounded(1);
    let thread = thread::spawn(move || sleeper(subscriber, answer));
    let latencies = publish(&mut publisher, &answers);
    // A sleeper that has failed takes nothing more.
    let _ = publisher.try_publish(STOP);
    publisher.wake();
    let ended = thread.join();
    ended.map_err(|_panic| BenchError::Unexpected("a sleeper panicked"))??;
    let mut latencies = latencies?;
    harness.record(&format!("{name}, latency"), "us", latencies.clone());
    latencies.sort_by(f64::total_cmp);
    let p99 = quantile(&latencies, 99);
    harness.record(&format!("{name}, latency p99"), "us", vec![p99]);
    Ok(())
}

/// Sends messages, one at a time, and collects how long each took, in microseconds.
fn publish(
    publisher: &mut Publisher<u64>,
    answers: &Receiver<u64>,
) -> Result<Vec<f64>, BenchError> {
    let mut latencies = Vec::with_capacity(WAKES);
    for _ in 0..WAKES {
        let until = clock::wall_ns() + PAUSE_NS;
        while clock::wall_ns() < until {
            thread::yield_now();
        }
        let full = |_message| BenchError::Unexpected("a ring is full");
        publisher.try_publish(clock::wall_ns()).map_err(full)?;
        publisher.wake();
        let late = |_error| BenchError::TimedOut("a sleeper did not wake");
        let ns = answers.recv_timeout(PATIENCE).map_err(late)?;
        latencies.push(ns as f64 / 1000.0);
    }
    Ok(latencies)
}

/// Answers what has come; false at the end.
fn answer(messages: &Messages, answers: &Sender<u64>) -> bool {
    while let Some(sent_ns) = messages.try_recv() {
        if sent_ns == STOP || answers.send(clock::wall_ns() - sent_ns).is_err() {
            return false;
        }
    }
    true
}

fn in_epoll(messages: Messages, answers: Sender<u64>) -> Result<(), BenchError> {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64(0);
    epoll::add(&set, messages.wake_fd(), data, epoll::EventFlags::IN)?;
    let patience = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    let mut events = Vec::with_capacity(8);
    while answer(&messages, &answers) {
        if messages.prepare_sleep() {
            events.clear();
            epoll::wait(
                &set,
                rustix::buffer::spare_capacity(&mut events),
                Some(&patience),
            )?;
            messages.awake();
            messages.clear_wake();
        }
    }
    Ok(())
}

fn in_ring(messages: Messages, answers: Sender<u64>) -> Result<(), BenchError> {
    let mut readiness = Readiness::new(64)?;
    readiness.watch_wake(messages.wake_fd());
    let mut ready = Vec::new();
    while answer(&messages, &answers) {
        if messages.prepare_sleep() {
            readiness.turn(Some(PATIENCE), &mut ready)?;
            after_sleep(&messages, &mut ready);
        }
    }
    Ok(())
}

fn in_glommio(messages: Messages, answers: Sender<u64>) -> Result<(), BenchError> {
    let executor = executor_builder(Cores::Any, "sleeper").spawn(move || async move {
        let mut readiness = Readiness::new(64)?;
        readiness.watch_wake(messages.wake_fd());
        let mut parker = Parker::new(&readiness)?;
        let mut ready = Vec::new();
        while answer(&messages, &answers) {
            if messages.prepare_sleep() {
                parker.park(&mut readiness, PATIENCE).await?;
                readiness.turn(Some(Duration::ZERO), &mut ready)?;
                after_sleep(&messages, &mut ready);
            }
        }
        Ok(())
    });
    let unexpected = |_error| BenchError::Unexpected("glommio does not start");
    let ended = executor.map_err(unexpected)?.join();
    ended.map_err(|_error| BenchError::Unexpected("an executor panicked"))?
}

fn after_sleep(messages: &Messages, ready: &mut Vec<Ready>) {
    messages.awake();
    if ready.drain(..).any(|event| matches!(event, Ready::Wake)) {
        messages.clear_wake();
    }
}
