use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use super::super::clock::Clock;
use super::super::sys;
use super::super::sys::ring::Mode;
use super::*;

const READABLE: SocketState = SocketState::READABLE;
const WRITABLE: SocketState = SocketState::WRITABLE;
const TOKEN: Token = Token {
    key: 7,
    generation: 3,
};
/// Long enough for any machine; a test that meets it has failed.
const PATIENCE_MS: u64 = 10_000;

/// A ring, a listener numbered 0, and what has happened so far.
struct World {
    readiness: Readiness,
    listener: OwnedFd,
    events: Vec<Ready>,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        Self::over(Readiness::new(64).unwrap())
    }

    fn over(readiness: Readiness) -> Self {
        let addr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let listener = sys::listen_tcp(addr, 1_024, false).unwrap();
        Self {
            readiness,
            listener,
            events: Vec::new(),
            clock: Clock::start(),
        }
    }

    /// Turns until `found` picks an event; all before it are dropped.
    fn until<T>(&mut self, mut found: impl FnMut(&Ready) -> Option<T>) -> T {
        let deadline = self.clock.now_ms() + PATIENCE_MS;
        loop {
            while !self.events.is_empty() {
                let event = self.events.remove(0);
                if let Some(value) = found(&event) {
                    return value;
                }
            }
            assert!(self.clock.now_ms() < deadline, "it did not happen");
            let wait = Some(Duration::from_millis(100));
            self.readiness.turn(wait, &mut self.events).unwrap();
        }
    }

    fn until_state(&mut self, token: Token, wanted: SocketState) -> SocketState {
        self.until(|event| match event {
            Ready::Socket { token: of, state } if *of == token && state.contains(wanted) => {
                Some(*state)
            }
            _ => None,
        })
    }

    fn client(&self) -> OwnedFd {
        sys::connect(sys::local_addr(&self.listener).unwrap()).unwrap()
    }

    fn accept(&mut self) -> OwnedFd {
        self.until(|event| match event {
            Ready::Accepted { listener: 0, fd } => Some(fd.try_clone().unwrap()),
            _ => None,
        })
    }

    /// A connected pair: the client's end, and ours, watched under [`TOKEN`] and seen writable.
    fn pair(&mut self) -> (OwnedFd, OwnedFd) {
        if !self.readiness.is_accepting(0) {
            self.readiness.accept(0, self.listener.as_fd());
        }
        let client = self.client();
        let server = self.accept();
        self.readiness.watch(TOKEN, server.as_fd());
        self.until_state(TOKEN, WRITABLE);
        (client, server)
    }

    /// Whether everything is quiet: nothing comes of a turn that may wait a little.
    fn is_quiet(&mut self) -> bool {
        let wait = Some(Duration::from_millis(20));
        self.events.is_empty() && self.readiness.turn(wait, &mut self.events).unwrap() == 0
    }
}

fn drain(fd: &OwnedFd) -> usize {
    let mut buf = [0; 65_536];
    let mut total = 0;
    while let Ok(count @ 1..) = sys::recv(fd, &mut buf) {
        total += count;
    }
    total
}

fn fill(fd: &OwnedFd) -> usize {
    let mut total = 0;
    while let Ok(count) = sys::send(fd, &[0; 65_536]) {
        total += count;
    }
    total
}

#[test]
fn tags_survive_the_ring() {
    for tag in [
        Tag::Ignored,
        Tag::Wake,
        Tag::Accept {
            listener: u16::MAX,
            generation: u16::MAX,
        },
        Tag::Accept {
            listener: 0,
            generation: 1,
        },
        Tag::Socket(Token {
            key: u32::MAX,
            generation: u16::MAX,
        }),
        Tag::Socket(Token {
            key: 0,
            generation: 0,
        }),
    ] {
        assert_eq!(Tag::unpack(tag.pack()), tag);
    }
}

#[test]
fn each_arrival_is_one_event_though_nobody_has_read_the_last() {
    let mut world = World::new();
    let (client, _server) = world.pair();
    for _ in 0..3 {
        sys::send(&client, b"x").unwrap();
        world.until_state(TOKEN, READABLE);
        assert!(world.is_quiet(), "an edge was reported twice");
    }
}

#[test]
fn what_came_before_the_watch_is_reported_by_it() {
    let mut world = World::new();
    world.readiness.accept(0, world.listener.as_fd());
    let client = world.client();
    let server = world.accept();
    sys::send(&client, b"early").unwrap();
    sys::shutdown_write(&client).unwrap();
    world.readiness.watch(TOKEN, server.as_fd());
    world.until_state(
        TOKEN,
        READABLE.union(WRITABLE).union(SocketState::READ_CLOSED),
    );
    assert!(world.is_quiet());
}

#[test]
fn a_full_socket_becomes_writable_when_the_peer_reads() {
    let mut world = World::new();
    let (client, server) = world.pair();
    for round in 0..3 {
        let sent = fill(&server);
        assert!(sent > 0, "round {round}");
        let mut received = drain(&client);
        world.until_state(TOKEN, WRITABLE);
        // What the kernel still held back arrives now; the next round begins empty.
        while received < sent {
            received += drain(&client);
        }
    }
}

#[test]
fn writable_says_nothing_while_the_socket_is_not_full() {
    let mut world = World::new();
    let (client, server) = world.pair();
    sys::send(&server, b"a little").unwrap();
    assert!(world.is_quiet());
    drain(&client);
    assert!(world.is_quiet());
}

#[test]
fn a_peer_that_finishes_is_read_closed_and_not_hung_up() {
    let mut world = World::new();
    let (client, _server) = world.pair();
    sys::shutdown_write(&client).unwrap();
    let state = world.until_state(TOKEN, READABLE.union(SocketState::READ_CLOSED));
    assert!(
        !state.intersects(SocketState::HANGUP.union(SocketState::ERROR)),
        "{state:?}"
    );
    assert!(!state.contains(SocketState::WATCH_ENDED), "{state:?}");
}

#[test]
fn a_peer_that_resets_is_an_error_and_a_hangup() {
    let mut world = World::new();
    let (client, server) = world.pair();
    sys::reset_on_close(&client).unwrap();
    drop(client);
    world.until_state(TOKEN, SocketState::ERROR.union(SocketState::HANGUP));
    let error = sys::connect_result(&server).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_connection_attempt_is_writable_when_decided() {
    let mut world = World::new();
    let client = world.client();
    world.readiness.watch(TOKEN, client.as_fd());
    world.until_state(TOKEN, WRITABLE);
    sys::connect_result(&client).unwrap();

    let addr = sys::local_addr(&world.listener).unwrap();
    world.listener =
        sys::listen_tcp(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), 16, false).unwrap();
    let refused = Token {
        key: 8,
        generation: 0,
    };
    if let Ok(client) = sys::connect(addr) {
        world.readiness.watch(refused, client.as_fd());
        world.until_state(refused, SocketState::ERROR);
        sys::connect_result(&client).unwrap_err();
    }
}

#[test]
fn an_unwatched_socket_is_silent_and_closes_at_once() {
    let mut world = World::new();
    let (client, server) = world.pair();
    world.readiness.unwatch(TOKEN);
    drop(server);
    world.readiness.submit().unwrap();
    let watched = Token {
        key: 9,
        generation: 0,
    };
    world.readiness.watch(watched, client.as_fd());
    // The FIN shows that the ring no longer keeps the file alive.
    world.until_state(watched, SocketState::READ_CLOSED);
    assert!(world.is_quiet());
}

#[test]
fn a_watch_that_ended_asks_to_be_made_again() {
    let ended = Completion {
        tag: 0,
        result: i32::from(libc::POLLIN),
        more: false,
    };
    let state = socket_state(ended).unwrap();
    assert!(state.contains(READABLE.union(WRITABLE).union(SocketState::WATCH_ENDED)));
    let unwatched = Completion {
        result: -libc::ECANCELED,
        ..ended
    };
    assert_eq!(socket_state(unwatched), None);
    let broken = socket_state(Completion {
        result: -libc::EBADF,
        ..ended
    })
    .unwrap();
    assert!(broken.contains(SocketState::ERROR) && !broken.contains(SocketState::WATCH_ENDED));
}

#[test]
fn more_events_than_the_ring_holds_are_all_reported() {
    const SOCKETS: u32 = 200;
    let ring = Ring::with_mode(8, 16, Mode::Cooperative).unwrap();
    let mut world = World::over(Readiness::over(ring));
    world.readiness.accept(0, world.listener.as_fd());
    let mut kept = Vec::new();
    for key in 0..SOCKETS {
        let client = world.client();
        let server = world.accept();
        world
            .readiness
            .watch(Token { key, generation: 0 }, server.as_fd());
        kept.push((client, server));
    }
    for (client, _) in &kept {
        sys::send(client, b"x").unwrap();
    }
    // Some watches end when the ring overflows; those say READABLE and are made again.
    let mut missing: std::collections::HashSet<u32> = (0..SOCKETS).collect();
    while !missing.is_empty() {
        let (token, state) = world.until(|event| match event {
            Ready::Socket { token, state } => Some((*token, *state)),
            _ => None,
        });
        let (_, server) = &kept[token.key as usize];
        if state.contains(SocketState::WATCH_ENDED) {
            world.readiness.watch(token, server.as_fd());
        }
        if state.contains(READABLE) && drain(server) > 0 {
            missing.remove(&token.key);
        }
    }
}

#[test]
fn a_paused_listener_lets_its_clients_wait() {
    let mut world = World::new();
    world.readiness.accept(0, world.listener.as_fd());
    let _first = (world.client(), world.accept());
    world.readiness.pause_accept(0);
    assert!(world.is_quiet());
    let _waiting = world.client();
    assert!(world.is_quiet());
    world.readiness.resume_accept(0);
    world.accept();
}

#[test]
fn pausing_and_resuming_within_a_turn_loses_no_client() {
    let mut world = World::new();
    world.readiness.accept(0, world.listener.as_fd());
    let mut clients = Vec::new();
    for _ in 0..50 {
        world.readiness.pause_accept(0);
        world.readiness.resume_accept(0);
        clients.push(world.client());
        world.accept();
    }
    clients.push(world.client());
    world.accept();
}

#[test]
fn a_shortage_of_descriptors_pauses_the_listener() {
    for (errno, pauses) in [
        (libc::EMFILE, true),
        (libc::ENFILE, true),
        (libc::ECONNABORTED, false),
    ] {
        let mut slot = [Listener {
            fd: 3,
            generation: 1,
            armed: true,
            paused: false,
        }];
        let (mut out, mut ended) = (Vec::new(), Vec::new());
        let tag = Tag::Accept {
            listener: 0,
            generation: 1,
        };
        let failed = Completion {
            tag: tag.pack(),
            result: -errno,
            more: false,
        };
        translate(failed, &mut slot, &mut out, &mut ended);
        assert!(
            matches!(&out[..], [Ready::AcceptFailed { listener: 0, .. }]),
            "{out:?}"
        );
        assert_eq!(slot[0].paused, pauses, "errno {errno}");
        assert!(!slot[0].armed);
        assert_eq!(ended, [tag]);
    }
}

#[test]
fn an_old_accept_request_does_not_end_the_new_one() {
    let mut slot = [Listener {
        fd: 3,
        generation: 2,
        armed: true,
        paused: false,
    }];
    let (mut out, mut ended) = (Vec::new(), Vec::new());
    let old = Tag::Accept {
        listener: 0,
        generation: 1,
    };
    let cancelled = Completion {
        tag: old.pack(),
        result: -libc::ECANCELED,
        more: false,
    };
    translate(cancelled, &mut slot, &mut out, &mut ended);
    assert!(slot[0].armed && out.is_empty() && ended.is_empty());
}

#[test]
fn a_burst_of_clients_needs_one_request() {
    let mut world = World::new();
    world.readiness.accept(0, world.listener.as_fd());
    let clients: Vec<OwnedFd> = (0..100).map(|_| world.client()).collect();
    for _ in &clients {
        world.accept();
    }
    assert_eq!(world.readiness.listeners[0].generation, 1);
}

#[test]
fn a_signalled_eventfd_wakes_the_ring_each_time() {
    let mut world = World::new();
    let bus = sys::event_fd(false).unwrap();
    world.readiness.watch_wake(bus.as_fd());
    for _ in 0..3 {
        sys::event_signal(&bus).unwrap();
        world.until(|event| matches!(event, Ready::Wake).then_some(()));
        assert_eq!(sys::event_drain(&bus).unwrap(), 1);
        assert!(world.is_quiet());
    }
}

#[test]
fn requests_beyond_the_depth_are_handed_over_in_order() {
    let mut world = World::over(Readiness::new(4).unwrap());
    let pairs: Vec<_> = (0..100).map(|_| world.client()).collect();
    for (key, client) in (0_u32..).zip(&pairs) {
        world
            .readiness
            .watch(Token { key, generation: 0 }, client.as_fd());
    }
    for key in 0..100 {
        world.until_state(Token { key, generation: 0 }, WRITABLE);
        world.readiness.unwatch(Token { key, generation: 0 });
    }
}

#[test]
fn a_turn_that_may_not_wait_returns_at_once_and_one_that_may_at_its_end() {
    let mut world = World::new();
    assert_eq!(
        world
            .readiness
            .turn(Some(Duration::ZERO), &mut world.events)
            .unwrap(),
        0
    );
    let before = world.clock.now_ms();
    let wait = Duration::from_millis(30);
    assert_eq!(
        world.readiness.turn(Some(wait), &mut world.events).unwrap(),
        0
    );
    assert!(world.clock.now_ms() - before >= 29);
}

#[test]
fn older_kernels_report_the_same() {
    let mut world = World::over(Readiness::over(
        Ring::with_mode(8, 64, Mode::Plain).unwrap(),
    ));
    let (client, server) = world.pair();
    sys::send(&client, b"x").unwrap();
    world.until_state(TOKEN, READABLE);
    assert_eq!(drain(&server), 1);
    assert!(world.is_quiet());
    sys::shutdown_write(&client).unwrap();
    world.until_state(TOKEN, SocketState::READ_CLOSED);
}

#[test]
fn clients_that_nobody_took_are_disconnected_with_the_ring() {
    let mut world = World::new();
    world.readiness.accept(0, world.listener.as_fd());
    world.readiness.submit().unwrap();
    let client = world.client();
    // The other ring sees the client's side end when this one is dropped.
    let mut other = World::new();
    other.readiness.watch(TOKEN, client.as_fd());
    other.until_state(TOKEN, WRITABLE);
    while !world.readiness.has_completions() {
        assert!(other.clock.now_ms() < PATIENCE_MS);
    }
    world.readiness.ring.submit().unwrap();
    drop(world);
    other.until_state(TOKEN, SocketState::READ_CLOSED);
}
