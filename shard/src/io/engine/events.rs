//! What has happened to sockets, handed to the core.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::perform::{Feedback, Outcome};
use super::{Engine, generation};
use crate::core::ConnKey;
use crate::io::readiness::{Ready, SocketState, Token};
use crate::io::socket::{InputEnd, is_transient};
use crate::io::sys;

/// Reads from one socket in one go; then the others get their turn.
const READS_PER_EVENT_MAX: usize = 2;

/// Accepting goes on when one in so many of the sockets has gone.
const RESUME_PARTS: usize = 32;

/// Milliseconds after which accepting is tried again although nobody has left.
const ACCEPT_RETRY_MS: u64 = 1000;

/// Milliseconds between two lines in the log that say the same.
const ACCEPT_QUIET_MS: u64 = 60_000;

/// Milliseconds between two lines about slow clients.
const SLOW_QUIET_MS: u64 = 1000;

/// States in which the end of the input has to be looked for.
const ENDED: SocketState = SocketState::READ_CLOSED
    .union(SocketState::HANGUP)
    .union(SocketState::ERROR);

impl Engine {
    /// Handles one event.
    pub(super) fn handle(&mut self, event: Ready) {
        self.guarded(|engine| engine.handle_unguarded(event));
    }

    /// Does a step. A panic in it costs the connections it was about, never the shard.
    pub(super) fn guarded<T: Default>(&mut self, step: impl FnOnce(&mut Self) -> T) -> T {
        match catch_unwind(AssertUnwindSafe(|| step(self))) {
            Ok(done) => done,
            Err(_) => {
                self.after_panic();
                T::default()
            }
        }
    }

    /// Puts in order what a step has left half done.
    fn after_panic(&mut self) {
        self.counters.panics.add(1);
        log::error!("connections were closed because handling them panicked");
        // The step may have taken these out.
        if self.input.is_empty() {
            self.input = vec![0; self.core.settings().config.proxy.buffer_size].into_boxed_slice();
        }
        self.actions.clear();
        self.feedback.clear();
        self.core.mend(&mut self.actions);
        self.perform(&[]);
    }

    fn handle_unguarded(&mut self, event: Ready) {
        match event {
            Ready::Socket { token, state } => self.socket_ready(token, state),
            Ready::Accepted { listener, fd } => self.accepted(listener, fd),
            Ready::AcceptFailed { error, .. } => self.pause_accept(&error.to_string()),
            Ready::Wake => self.bus.clear_wake(),
        }
    }

    fn accepted(&mut self, listener: u16, fd: OwnedFd) {
        let tls = self
            .listeners
            .get(usize::from(listener))
            .and_then(|open| open.tls.as_ref());
        let session = tls.map(crate::io::tls::TlsAcceptor::accept);
        let key = self.core.accept(listener, &mut self.actions);
        if let Some(row) = self.core.socket_mut(key) {
            row.socket.fd = Some(fd);
            if session.is_some() {
                row.socket.extra.get_or_insert_default().tls = session;
            }
        }
        self.watch(key);
        self.perform(&[]);
        if self.core.connections() >= self.accept.until {
            self.pause_accept("the limit of open files is near");
        }
    }

    /// Accepts no more for now: who comes waits in the backlog.
    fn pause_accept(&mut self, why: &str) {
        if std::mem::replace(&mut self.accept.is_paused, true) {
            return;
        }
        self.counters.accepts.paused.add(1);
        let now_ms = self.clock.now_ms();
        self.accept.retry_ms = now_ms + ACCEPT_RETRY_MS;
        if now_ms >= self.accept.quiet_until_ms {
            self.accept.quiet_until_ms = now_ms + ACCEPT_QUIET_MS;
            log::warn!("no more clients are accepted until some leave: {why}");
        }
        for index in 0..self.listeners.len() {
            self.readiness
                .pause_accept(u16::try_from(index).unwrap_or(u16::MAX));
        }
    }

    /// Accepts again once enough clients have left, so that it does not pause at once again.
    pub(super) fn resume_accept(&mut self) {
        let until = self.accept.until;
        let has_room = self.core.connections() < until - until / RESUME_PARTS;
        if !self.accept.is_paused || !has_room {
            return;
        }
        self.accept.is_paused = false;
        for index in 0..self.listeners.len() {
            self.readiness
                .resume_accept(u16::try_from(index).unwrap_or(u16::MAX));
        }
    }

    /// Looks now and then whether accepting may go on, for pauses that others caused.
    pub(super) fn retry_accept(&mut self, now_ms: u64) {
        if self.accept.is_paused && now_ms >= self.accept.retry_ms {
            self.resume_accept();
        }
    }

    fn socket_ready(&mut self, token: Token, state: SocketState) {
        let key = token.key;
        let Some(row) = self.core.socket(key) else {
            return;
        };
        if generation(row.serial()) != token.generation {
            return;
        }
        if state.contains(SocketState::WATCH_ENDED) {
            self.watch(key);
        }
        let is_tls = row_is_tls(self, key);
        if self.core.is_connecting(key) && !is_tls {
            // There may be input already: a backend may answer before it is asked.
            self.connection_decided(key);
        }
        if state.contains(SocketState::WRITABLE) {
            self.flush(key);
        }
        if !state.intersects(SocketState::READABLE.union(ENDED)) {
            return;
        }
        let is_backend = self.core.is_backend(key);
        let row = self.core.socket_mut(key);
        let Some(row) = row.filter(|row| generation(row.serial()) == token.generation) else {
            return;
        };
        if state.intersects(ENDED) && row.socket.flags.end == InputEnd::Open {
            row.socket.flags.end = InputEnd::Near;
        }
        if !row.socket.flags.is_paused {
            self.read(key, state);
            return;
        }
        row.socket.flags.is_readable = true;
        // What a backend has answered is read first, whatever has become of the connection.
        let is_broken = state.intersects(SocketState::HANGUP.union(SocketState::ERROR));
        if is_broken && !is_backend {
            self.core.broken(key, &mut self.actions);
            self.perform(&[]);
        } else if state.contains(SocketState::READ_CLOSED) {
            self.core.peer_done(key, &mut self.actions);
            self.perform(&[]);
        }
    }

    /// A connection attempt has succeeded or failed. TLS is begun before the core is told.
    fn connection_decided(&mut self, key: ConnKey) {
        let Some(row) = self.core.socket(key) else {
            return;
        };
        let Some(fd) = &row.socket.fd else {
            return;
        };
        let result = sys::connect_result(fd.as_fd());
        if let Err(error) = &result {
            log::debug!("cannot connect to a backend: {error}");
        }
        if result.is_ok() && self.begin_backend_tls(key) {
            return;
        }
        self.core.connected(key, result.is_ok(), &mut self.actions);
        self.perform(&[]);
    }

    /// Reads what is there and lets the core have it.
    pub(super) fn read(&mut self, key: ConnKey, state: SocketState) {
        let serial = match self.core.socket(key) {
            Some(row) => row.serial(),
            None => return,
        };
        let mut input = std::mem::take(&mut self.input);
        self.read_into(key, serial, &mut input, state);
        self.input = input;
    }

    fn read_into(&mut self, key: ConnKey, serial: u32, input: &mut [u8], state: SocketState) {
        let head_len_max = self.core.settings().config.http.client_buffer_size;
        for _ in 0..READS_PER_EVENT_MAX {
            let Some(socket) = self
                .core
                .socket_mut(key)
                .filter(|row| row.serial() == serial)
            else {
                return;
            };
            let len_max = socket.read_max(head_len_max).min(input.len());
            let socket = &mut socket.socket;
            if socket.flags.is_paused {
                self.leave_unread(key);
                return;
            }
            let end = socket.flags.end;
            let is_output_broken = end == InputEnd::OutputBroken;
            let is_refused = state.intersects(SocketState::HANGUP.union(SocketState::ERROR));
            let room = input.get_mut(..len_max).unwrap_or_default();
            let Some(fd) = &socket.fd else {
                return;
            };
            match sys::recv(fd.as_fd(), room) {
                Ok(0) if !is_output_broken => {
                    self.core.ended(key, &mut self.actions);
                    self.perform(&[]);
                    return;
                }
                Ok(len @ 1..) => {
                    self.given(key, input.get(..len).unwrap_or_default());
                    // A short read has taken all there was; another event tells of what comes.
                    if len < len_max && end == InputEnd::Open {
                        return;
                    }
                }
                Err(error) if is_transient(&error) && !is_output_broken && !is_refused => return,
                Ok(0) | Err(_) => {
                    self.core.broken(key, &mut self.actions);
                    self.perform(&[]);
                    return;
                }
            }
        }
        self.again.push((key, serial));
    }

    /// A socket with input was paused: no event will tell again of what is there already, nor that
    /// the peer has ended its side.
    fn leave_unread(&mut self, key: ConnKey) {
        let Some(row) = self.core.socket_mut(key) else {
            return;
        };
        row.socket.flags.is_readable = true;
        if row.socket.flags.end == InputEnd::Near {
            self.core.peer_done(key, &mut self.actions);
            self.perform(&[]);
        }
    }

    /// Bytes from a socket: decrypted if need be, then the core's.
    fn given(&mut self, key: ConnKey, bytes: &[u8]) {
        if row_is_tls(self, key) {
            self.given_cipher(key, bytes);
            return;
        }
        self.core.received(key, bytes, &mut self.actions);
        self.perform(bytes);
    }

    fn given_cipher(&mut self, key: ConnKey, cipher: &[u8]) {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        let serial = self.core.socket(key).map_or(0, |row| row.serial());
        let session = self
            .core
            .socket_mut(key)
            .and_then(|row| row.socket.extra.as_mut()?.tls.as_mut());
        let progress = session.map(|session| session.receive(cipher, &mut plain));
        self.send_tls_output(key);
        if let Some(Ok(progress)) = &progress
            && !progress.is_handshaking
            && self.core.is_connecting(key)
        {
            self.core.connected(key, true, &mut self.actions);
            self.perform(&[]);
        }
        if !plain.is_empty() {
            self.core.received(key, &plain, &mut self.actions);
            self.perform(&plain);
        }
        let is_same = self
            .core
            .socket(key)
            .is_some_and(|row| row.serial() == serial);
        match progress {
            _ if !is_same => {}
            Some(Ok(progress)) if progress.peer_closed => {
                self.core.ended(key, &mut self.actions);
                self.perform(&[]);
            }
            Some(Err(error)) => {
                log::debug!("a TLS session failed: {error}");
                self.core.broken(key, &mut self.actions);
                self.perform(&[]);
            }
            Some(Ok(_)) | None => {}
        }
        self.plain = plain;
    }

    /// Reads on where one event's share was not enough; answers how many sockets that were.
    pub(super) fn read_again(&mut self) -> usize {
        let mut again = std::mem::replace(&mut self.again, std::mem::take(&mut self.again_spare));
        let count = again.len();
        for (key, serial) in again.drain(..) {
            let row = self.core.socket_mut(key);
            if row.is_some_and(|row| row.serial() == serial) {
                self.guarded(|engine| engine.read(key, SocketState::default()));
            }
        }
        self.again_spare = again;
        count
    }

    /// A client does not read what it is sent. Said in the log once in a while, always counted.
    fn overflowed(&mut self, key: ConnKey) {
        let closed = self.counters.deliveries.slow_clients_closed.get();
        self.core.overflowed(key, &mut self.actions);
        let total = self.counters.deliveries.slow_clients_closed.get();
        let now_ms = self.clock.now_ms();
        if total > closed && now_ms >= self.slow_quiet_until_ms {
            self.slow_quiet_until_ms = now_ms + SLOW_QUIET_MS;
            log::warn!(
                "closed a client that does not read what it is sent; {total} so far on this shard"
            );
        }
    }

    /// A write has failed. A backend may have answered before it closed, so what came is read first;
    /// the next read ends in an error and tells the core.
    fn write_failed(&mut self, key: ConnKey) {
        if !self.core.is_backend(key) {
            self.core.broken(key, &mut self.actions);
            return;
        }
        let Some(row) = self.core.socket_mut(key) else {
            return;
        };
        let serial = row.serial();
        if row.socket.flags.end != InputEnd::OutputBroken {
            row.socket.flags.end = InputEnd::OutputBroken;
            self.again.push((key, serial));
        }
    }

    /// Tells the core what came of its actions, if that connection is still there.
    pub(super) fn feed_back(
        &mut self,
        Feedback {
            conn,
            serial,
            outcome,
        }: Feedback,
    ) {
        if self
            .core
            .socket(conn)
            .is_none_or(|row| row.serial() != serial)
        {
            return;
        }
        match outcome {
            Outcome::Blocked => self.core.blocked(conn, &mut self.actions),
            Outcome::Progressed => self.core.progressed(conn),
            Outcome::Drained => self.core.drained(conn, &mut self.actions),
            Outcome::Overflowed => self.overflowed(conn),
            Outcome::Broken => self.write_failed(conn),
            Outcome::NotConnected => self.core.connected(conn, false, &mut self.actions),
        }
    }
}

fn row_is_tls(engine: &Engine, key: ConnKey) -> bool {
    engine
        .core
        .socket(key)
        .is_some_and(|row| row.socket.is_tls())
}
