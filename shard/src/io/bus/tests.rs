//! Nothing is lost, order is kept, sleepers are woken.

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

/// A test that waits longer than this has hung.
const DEADLINE: Timespec = Timespec {
    tv_sec: 20,
    tv_nsec: 0,
};

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Whether the descriptor becomes readable within the time.
fn readable<T>(subscriber: &Subscriber<T>, wait: &Timespec) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(
        subscriber.wake_fd(),
        PollFlags::IN,
    )];
    poll(&mut polled, Some(wait)).expect("poll works") == 1
}

/// Takes the next message; sleeps the way a shard does.
fn next<T>(subscriber: &Subscriber<T>) -> T {
    loop {
        if let Some(message) = subscriber.try_recv() {
            return message;
        }
        if subscriber.prepare_sleep() {
            assert!(readable(subscriber, &DEADLINE), "a sleeper was not woken");
            subscriber.awake();
            subscriber.clear_wake();
        }
    }
}

#[test]
fn all_shards_get_a_message_or_none_does() {
    let (mut publisher, subscribers) = bus(2, 3).expect("eventfds");
    for message in 0..3 {
        assert_eq!(publisher.try_publish(message), Ok(()));
    }
    assert_eq!(publisher.lag(), 3);
    assert_eq!(subscribers[0].try_recv(), Some(0));
    assert_eq!(publisher.try_publish(3), Err(3), "shard 1 has no room");
    assert_eq!(subscribers[1].try_recv(), Some(0));
    assert_eq!(publisher.try_publish(4), Ok(()));
    for subscriber in &subscribers {
        let rest: Vec<i32> = std::iter::from_fn(|| subscriber.try_recv()).collect();
        assert_eq!(rest, [1, 2, 4]);
    }
    assert_eq!(publisher.lag(), 0);
}

#[test]
fn only_who_sleeps_is_woken_and_once() {
    let (mut publisher, subscribers) = bus(2, 8).expect("eventfds");
    assert!(subscribers[0].prepare_sleep());
    for message in 0..2 {
        assert_eq!(publisher.try_publish(message), Ok(()));
        publisher.wake();
    }
    assert!(readable(&subscribers[0], &NOW));
    assert!(!readable(&subscribers[1], &NOW));
    subscribers[0].awake();
    subscribers[0].clear_wake();
    assert!(!readable(&subscribers[0], &NOW));
    subscribers[0].clear_wake();
}

#[test]
fn a_shard_with_a_message_does_not_fall_asleep() {
    let (mut publisher, subscribers) = bus(1, 8).expect("eventfds");
    assert_eq!(publisher.try_publish(()), Ok(()));
    assert!(!subscribers[0].prepare_sleep());
    publisher.wake();
    assert!(
        !readable(&subscribers[0], &NOW),
        "it said that it does not sleep"
    );
}

#[test]
fn a_shard_that_has_ended_does_not_stop_the_others() {
    let (mut publisher, mut subscribers) = bus(2, 1).expect("eventfds");
    drop(subscribers.remove(0));
    for message in 0..10 {
        assert_eq!(publisher.try_publish(message), Ok(()));
        publisher.wake();
        assert_eq!(subscribers[0].try_recv(), Some(message));
    }
    assert_eq!(publisher.lag(), 0);
}

#[test]
fn a_bus_without_shards_takes_everything() {
    let (mut publisher, _) = bus(0, 1).expect("eventfds");
    assert_eq!((publisher.try_publish(1), publisher.lag()), (Ok(()), 0));
}

#[test]
fn a_flood_arrives_whole_and_in_order() {
    const MESSAGES: u32 = 100_000;
    let (mut publisher, subscribers) = bus(3, 64).expect("eventfds");
    std::thread::scope(|scope| {
        for subscriber in subscribers {
            scope.spawn(move || {
                for expected in 0..MESSAGES {
                    assert_eq!(next(&subscriber), expected);
                }
            });
        }
        for message in 0..MESSAGES {
            while publisher.try_publish(message).is_err() {
                publisher.wake();
                std::thread::yield_now();
            }
            if message % 16 == 0 {
                publisher.wake();
            }
        }
        publisher.wake();
    });
}

#[test]
fn a_sleeper_is_woken_for_every_lone_message() {
    const ROUNDS: u32 = 20_000;
    let (mut there, mut far) = bus(1, 4).expect("eventfds");
    let (mut back, mut near) = bus(1, 4).expect("eventfds");
    let (far, near) = (far.remove(0), near.remove(0));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..ROUNDS {
                let message: u32 = next(&far);
                back.try_publish(message).expect("there is room");
                back.wake();
            }
        });
        for round in 0..ROUNDS {
            there.try_publish(round).expect("there is room");
            there.wake();
            assert_eq!(next(&near), round);
        }
    });
}
