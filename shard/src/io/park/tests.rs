use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use super::super::clock::Clock;
use super::super::readiness::Ready;
use super::*;

/// Runs `test` as the only task of an executor made like a shard's.
fn on_executor<F: Future<Output = ()> + 'static>(test: fn() -> F) {
    let builder = executor_builder(Cores::Any, "park-test");
    builder
        .spawn(move || async move { test().await })
        .unwrap()
        .join()
        .unwrap();
}

/// A ring that watches an eventfd, and a parker for it.
struct Sleeper {
    readiness: Readiness,
    parker: Parker,
    bus: OwnedFd,
    events: Vec<Ready>,
}

impl Sleeper {
    fn new() -> Self {
        let mut readiness = Readiness::new(16).unwrap();
        let bus = sys::event_fd(false).unwrap();
        readiness.watch_wake(bus.as_fd());
        let parker = Parker::new(&readiness).unwrap();
        Self {
            readiness,
            parker,
            bus,
            events: Vec::new(),
        }
    }

    /// Sleeps, and has the ring get an event as soon as it does.
    async fn park_and_be_woken(&mut self, max: Duration) -> Woken {
        let Self {
            readiness,
            parker,
            bus,
            ..
        } = self;
        let mut parked = pin!(parker.park(readiness, max));
        let mut is_signalled = false;
        let woken = poll_fn(|ctx| {
            let woken = parked.as_mut().poll(ctx);
            if woken.is_pending() && !std::mem::replace(&mut is_signalled, true) {
                sys::event_signal(&*bus).unwrap();
            }
            woken
        });
        let woken = woken.await.unwrap();
        assert!(is_signalled, "it did not sleep");
        woken
    }

    /// Takes the events, as a turn of the loop does.
    fn turn(&mut self) -> usize {
        self.events.clear();
        let count = self
            .readiness
            .turn(Some(Duration::ZERO), &mut self.events)
            .unwrap();
        sys::event_drain(&self.bus).unwrap();
        count
    }
}

#[test]
fn an_event_ends_the_nap_each_time() {
    on_executor(|| async {
        let mut sleeper = Sleeper::new();
        for round in 0..10 {
            let woken = sleeper.park_and_be_woken(NAP_MAX).await;
            assert_eq!(woken, Woken::ByEvents, "round {round}");
            assert_eq!(sleeper.turn(), 1, "round {round}");
        }
    });
}

#[test]
fn without_events_the_clock_ends_the_nap() {
    on_executor(|| async {
        let mut sleeper = Sleeper::new();
        let clock = Clock::start();
        let max = Duration::from_millis(20);
        let woken = sleeper
            .parker
            .park(&mut sleeper.readiness, max)
            .await
            .unwrap();
        assert_eq!(woken, Woken::ByClock);
        assert!(clock.now_ms() >= 19);
        // The read that still stands serves the next nap.
        assert_eq!(sleeper.park_and_be_woken(NAP_MAX).await, Woken::ByEvents);
    });
}

#[test]
fn no_nap_is_longer_than_the_housekeeping_bound() {
    on_executor(|| async {
        let mut sleeper = Sleeper::new();
        let clock = Clock::start();
        let hour = Duration::from_secs(3_600);
        let woken = sleeper
            .parker
            .park(&mut sleeper.readiness, hour)
            .await
            .unwrap();
        assert_eq!(woken, Woken::ByClock);
        assert!(clock.now_ms() < 10_000);
    });
}

#[test]
fn events_that_are_there_already_are_not_slept_on() {
    on_executor(|| async {
        let mut sleeper = Sleeper::new();
        sleeper.turn();
        sys::event_signal(&sleeper.bus).unwrap();
        let clock = Clock::start();
        let woken = sleeper
            .parker
            .park(&mut sleeper.readiness, NAP_MAX)
            .await
            .unwrap();
        assert_eq!(woken, Woken::ByEvents);
        assert!(clock.now_ms() < 100);
        assert_eq!(sleeper.turn(), 1);
    });
}

#[test]
fn a_signal_from_another_thread_ends_the_nap() {
    on_executor(|| async {
        let mut sleeper = Sleeper::new();
        for _ in 0..20 {
            let bus = sleeper.bus.try_clone().unwrap();
            let other = std::thread::spawn(move || sys::event_signal(&bus).unwrap());
            sleeper
                .parker
                .park(&mut sleeper.readiness, NAP_MAX)
                .await
                .unwrap();
            other.join().unwrap();
            assert_eq!(sleeper.turn(), 1);
        }
    });
}

#[test]
fn other_tasks_run_during_the_nap() {
    on_executor(|| async {
        let mut sleeper = Sleeper::new();
        let bus = sleeper.bus.try_clone().unwrap();
        let other = glommio::spawn_local(async move { sys::event_signal(&bus).unwrap() });
        let woken = sleeper
            .parker
            .park(&mut sleeper.readiness, NAP_MAX)
            .await
            .unwrap();
        assert_eq!(woken, Woken::ByEvents);
        other.await;
    });
}

/// In a process of its own: the figures are the whole process's.
#[test]
fn a_hundred_thousand_naps_leave_nothing_behind() {
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "io::park::tests::soak",
            "--ignored",
            "--nocapture",
        ])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "run by a_hundred_thousand_naps_leave_nothing_behind"]
fn soak() {
    const WAKES: u64 = 100_000;
    // More than one task's wakers may be: glommio panics at 32,767.
    const NAPS_BY_CLOCK: u64 = 40_000;
    const RESIDENT_GROWTH_MAX: u64 = 1_000_000;
    on_executor(|| async {
        let mut sleeper = Sleeper::new();
        for _ in 0..1_000 {
            sleeper.park_and_be_woken(NAP_MAX).await;
            sleeper.turn();
        }
        let before = (resident(), files());
        let clock = Clock::start();
        for _ in 0..WAKES {
            sleeper.park_and_be_woken(NAP_MAX).await;
            assert_eq!(sleeper.turn(), 1);
        }
        let wakes_us = clock.now_us();
        for _ in 0..NAPS_BY_CLOCK {
            let nap = Duration::from_micros(1);
            sleeper
                .parker
                .park(&mut sleeper.readiness, nap)
                .await
                .unwrap();
        }
        let naps_us = clock.now_us() - wakes_us;
        let after = (resident(), files());
        println!("a wake {} ns, a nap {} ns", wakes_us / 100, naps_us / 40);
        println!("resident bytes and files before {before:?}, after {after:?}");
        assert!(after.0 < before.0 + RESIDENT_GROWTH_MAX);
        assert_eq!(after.1, before.1);
    });
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

/// Open files of this process.
fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
