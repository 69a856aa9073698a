//! The core's actions, done.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::Engine;
use crate::core::pools::PoolId;
use crate::core::{Action, Actions, ConnKey, Data};
use crate::io::readiness::SocketState;
use crate::io::socket::{Flushed, Piece, is_transient};
use crate::io::sys;

/// Pieces up to this many bytes in all are joined by copying, larger ones by a vectored write.
const JOINED_MAX: usize = 16 * 1024;

/// Pieces in one vectored write.
const PIECES_MAX: usize = 64;

/// What came of an action, for the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Feedback {
    pub(super) conn: ConnKey,
    /// Which connection of that row: it may have been closed, and its row taken, in between.
    pub(super) serial: u32,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Output waits.
    Blocked,
    /// Some of what waited is written.
    Progressed,
    /// All that waited is written.
    Drained,
    /// Too much waits.
    Overflowed,
    /// A write has failed.
    Broken,
    /// There is no connection to that backend.
    NotConnected,
}

impl Engine {
    /// Performs all actions in order, then those that follow from their outcome. `input` is what
    /// the core was given when it made them.
    pub(super) fn perform(&mut self, input: &[u8]) {
        self.perform_list(input);
        while !self.feedback.is_empty() {
            let feedback = std::mem::take(&mut self.feedback);
            for one in feedback {
                self.feed_back(one);
            }
            self.perform_list(&[]);
        }
    }

    fn note(&mut self, conn: ConnKey, outcome: Outcome) {
        if let Some(row) = self.core.socket(conn) {
            let serial = row.serial();
            self.feedback.push(Feedback {
                conn,
                serial,
                outcome,
            });
        }
    }

    fn perform_list(&mut self, input: &[u8]) {
        if self.actions.list.is_empty() {
            return;
        }
        let mut actions = std::mem::take(&mut self.actions);
        let mut rest = actions.list.as_slice();
        while let Some((action, behind)) = rest.split_first() {
            rest = behind;
            match action {
                Action::Send { conn, data } => {
                    let count = rest
                        .iter()
                        .take(PIECES_MAX - 1)
                        .take_while(|next| matches!(next, Action::Send { conn: other, .. } if other == conn))
                        .count();
                    if count == 0 {
                        self.send(*conn, data, &actions, input);
                    } else {
                        let (more, behind) = rest.split_at(count);
                        rest = behind;
                        self.send_joined(*conn, data, more, &actions, input);
                    }
                }
                Action::Connect {
                    conn,
                    address,
                    pool,
                } => self.connect(*conn, *address, *pool),
                Action::Resolve { conn, host, port } => {
                    if let Some(row) = self.core.socket(*conn) {
                        let serial = row.serial();
                        self.lookups.ask(*conn, serial, (host.clone(), *port));
                    }
                }
                Action::PauseReading(conn) => {
                    if let Some(row) = self.core.socket_mut(*conn) {
                        row.socket.flags.is_paused = true;
                    }
                }
                Action::ResumeReading(conn) => self.resume(*conn),
                Action::Close(conn) => self.close(*conn),
                Action::Reset(conn) => {
                    if let Some(fd) = self
                        .core
                        .socket(*conn)
                        .and_then(|row| row.socket.fd.as_ref())
                    {
                        // At worst the peer sees an ordinary close.
                        let _ = sys::reset_on_close(fd.as_fd());
                    }
                    self.close(*conn);
                }
                Action::Finish(conn) => self.finish(*conn),
            }
        }
        actions.clear();
        self.actions = actions;
    }

    fn send(&mut self, conn: ConnKey, data: &Data, actions: &Actions, input: &[u8]) {
        let bytes = bytes_of(data, actions, input);
        let Some(row) = self.core.socket(conn) else {
            return;
        };
        let Some(fd) = &row.socket.fd else {
            return;
        };
        // The way of nearly every delivery: one look at the row, one system call.
        if row.socket.extra.is_none() {
            let sent = sys::send(fd.as_fd(), bytes);
            if !matches!(sent, Ok(sent) if sent == bytes.len()) {
                self.after_send(conn, sent, &[data], actions, input);
            }
            return;
        }
        if self.queue_behind(conn, &[data], actions, input) {
            return;
        }
        if let Some(fd) = self
            .core
            .socket(conn)
            .and_then(|row| row.socket.fd.as_ref())
        {
            let sent = sys::send(fd.as_fd(), bytes);
            self.after_send(conn, sent, &[data], actions, input);
        }
    }

    fn send_joined(
        &mut self,
        conn: ConnKey,
        first: &Data,
        more: &[Action],
        actions: &Actions,
        input: &[u8],
    ) {
        let mut pieces = Vec::with_capacity(more.len() + 1);
        pieces.push(first);
        pieces.extend(more.iter().filter_map(|action| match action {
            Action::Send { data, .. } => Some(data),
            _ => None,
        }));
        if self
            .core
            .socket(conn)
            .is_some_and(|row| row.socket.extra.is_some())
            && self.queue_behind(conn, &pieces, actions, input)
        {
            return;
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        let len: usize = pieces
            .iter()
            .map(|data| bytes_of(data, actions, input).len())
            .sum();
        if let Some(fd) = self
            .core
            .socket(conn)
            .and_then(|row| row.socket.fd.as_ref())
        {
            let sent = if len <= JOINED_MAX {
                for data in &pieces {
                    joined.extend_from_slice(bytes_of(data, actions, input));
                }
                sys::send(fd.as_fd(), &joined)
            } else {
                let slices: Vec<IoSlice<'_>> = pieces
                    .iter()
                    .map(|data| IoSlice::new(bytes_of(data, actions, input)))
                    .collect();
                sys::send_vectored(fd.as_fd(), &slices)
            };
            self.after_send(conn, sent, &pieces, actions, input);
        }
        self.joined = joined;
    }

    /// Queues behind what is queued already, or encrypts. False: neither was called for.
    fn queue_behind(
        &mut self,
        conn: ConnKey,
        pieces: &[&Data],
        actions: &Actions,
        input: &[u8],
    ) -> bool {
        let Some(row) = self.core.socket_mut(conn) else {
            return true;
        };
        let socket = &mut row.socket;
        if let Some(session) = socket.extra.as_mut().and_then(|extra| extra.tls.as_mut()) {
            for data in pieces {
                session.send(bytes_of(data, actions, input));
            }
            self.send_tls_output(conn);
            return true;
        }
        if !socket.has_output() {
            return false;
        }
        let (len, count) = (socket.outbox_mut().len(), socket.outbox_mut().pieces());
        let http = &self.core.settings().config.http;
        // One write may exceed the limit, so that a single large item is never refused.
        if len >= http.outbox_max || count >= http.outbox_items_max {
            self.note(conn, Outcome::Overflowed);
        }
        self.queue(conn, 0, pieces, actions, input);
        true
    }

    fn after_send(
        &mut self,
        conn: ConnKey,
        sent: std::io::Result<usize>,
        pieces: &[&Data],
        actions: &Actions,
        input: &[u8],
    ) {
        let len: usize = pieces
            .iter()
            .map(|data| bytes_of(data, actions, input).len())
            .sum();
        match sent {
            Ok(sent) if sent == len => {}
            Ok(sent) => {
                self.queue(conn, sent, pieces, actions, input);
                self.note(conn, Outcome::Blocked);
            }
            Err(error) if is_transient(&error) => {
                self.queue(conn, 0, pieces, actions, input);
                self.note(conn, Outcome::Blocked);
            }
            Err(_) => self.note(conn, Outcome::Broken),
        }
    }

    /// Keeps what was not written, without the first `skip` bytes.
    fn queue(
        &mut self,
        conn: ConnKey,
        mut skip: usize,
        pieces: &[&Data],
        actions: &Actions,
        input: &[u8],
    ) {
        let Some(row) = self.core.socket_mut(conn) else {
            return;
        };
        let outbox = row.socket.outbox_mut();
        let before = outbox.len();
        for data in pieces {
            let bytes = bytes_of(data, actions, input);
            let rest = bytes.get(skip..).unwrap_or_default();
            match data {
                Data::Shared(index, range) if !rest.is_empty() => {
                    if let Some(shared) = actions.shared.get(*index) {
                        outbox.push(Piece::shared(shared.clone(), range.start + skip, range.end));
                    }
                }
                Data::Shared(..) | Data::Input(_) | Data::Scratch(_) => {
                    outbox.push(Piece::own(rest))
                }
            }
            skip = skip.saturating_sub(bytes.len());
        }
        let added = outbox.len() - before;
        self.counters.deliveries.queued_bytes.add(added as u64);
    }

    /// Writes queued output now that the kernel takes some.
    pub(super) fn flush(&mut self, key: ConnKey) {
        let Some(row) = self.core.socket_mut(key) else {
            return;
        };
        let socket = &mut row.socket;
        let (Some(fd), Some(extra)) = (&socket.fd, socket.extra.as_mut()) else {
            return;
        };
        if extra.outbox.is_empty() {
            return;
        }
        let before = extra.outbox.len();
        let flushed = extra.outbox.flush(fd.as_fd());
        let written = before - extra.outbox.len();
        self.counters.deliveries.queued_bytes.sub(written as u64);
        match flushed {
            Flushed::Blocked if written > 0 => {
                self.note(key, Outcome::Progressed);
                self.perform(&[]);
            }
            Flushed::Blocked => {}
            Flushed::Broken => {
                self.note(key, Outcome::Broken);
                self.perform(&[]);
            }
            Flushed::All => {
                socket.shed();
                let is_finishing = socket.flags.is_finishing;
                if is_finishing {
                    self.end_output(key);
                }
                self.note(key, Outcome::Drained);
                self.perform(&[]);
            }
        }
    }

    fn resume(&mut self, conn: ConnKey) {
        let Some(row) = self.core.socket_mut(conn) else {
            return;
        };
        row.socket.flags.is_paused = false;
        if std::mem::take(&mut row.socket.flags.is_readable) {
            let serial = row.serial();
            self.again.push((conn, serial));
        }
    }

    fn finish(&mut self, conn: ConnKey) {
        let Some(row) = self.core.socket_mut(conn) else {
            return;
        };
        if row.socket.has_output() {
            row.socket.flags.is_finishing = true;
        } else {
            self.end_output(conn);
        }
    }

    /// Ends our side. The peer's end of it is an event that the core waits for.
    fn end_output(&mut self, conn: ConnKey) {
        if let Some(row) = self.core.socket_mut(conn)
            && let Some(session) = row
                .socket
                .extra
                .as_mut()
                .and_then(|extra| extra.tls.as_mut())
        {
            session.close_notify();
            self.send_tls_output(conn);
        }
        if let Some(fd) = self
            .core
            .socket(conn)
            .and_then(|row| row.socket.fd.as_ref())
        {
            // The peer may be gone already; then there is nothing left to end.
            let _ = sys::shutdown_write(fd.as_fd());
        }
    }

    fn close(&mut self, conn: ConnKey) {
        if let Some(token) = self.token(conn) {
            self.readiness.unwatch(token);
        }
        if let Some(row) = self.core.remove(conn)
            && let Some(extra) = &row.socket.extra
        {
            self.counters
                .deliveries
                .queued_bytes
                .sub(extra.outbox.len() as u64);
        }
        self.closed_since_trim += 1;
        self.resume_accept();
    }

    fn connect(&mut self, conn: ConnKey, address: SocketAddr, _pool: PoolId) {
        match sys::connect(address) {
            Ok(fd) => {
                if let Some(row) = self.core.socket_mut(conn) {
                    row.socket.fd = Some(fd);
                }
                self.watch(conn);
            }
            Err(error) => {
                log::debug!("cannot connect to {address}: {error}");
                self.note(conn, Outcome::NotConnected);
            }
        }
    }

    /// Begins TLS on a fresh backend connection whose pool asks for it. False: plain.
    pub(super) fn begin_backend_tls(&mut self, key: ConnKey) -> bool {
        let Some(tls) = self.core.backend_tls_of(key) else {
            return false;
        };
        let session = self
            .connector
            .as_ref()
            .map(|connector| connector.connect(&tls.server_name, tls.is_insecure));
        match session {
            Some(Ok(session)) => {
                if let Some(row) = self.core.socket_mut(key) {
                    row.socket.extra.get_or_insert_default().tls = Some(session);
                }
                self.send_tls_output(key);
                self.read(key, SocketState::default());
            }
            Some(Err(error)) => {
                log::warn!("cannot speak TLS to {}: {error}", tls.server_name);
                self.note(key, Outcome::NotConnected);
                self.perform(&[]);
            }
            None => {
                self.note(key, Outcome::NotConnected);
                self.perform(&[]);
            }
        }
        true
    }

    /// Writes what a TLS session has to say.
    pub(super) fn send_tls_output(&mut self, key: ConnKey) {
        let mut cipher = std::mem::take(&mut self.cipher);
        cipher.clear();
        let Some(row) = self.core.socket_mut(key) else {
            return;
        };
        let mut outcome = None;
        if let Some(extra) = row.socket.extra.as_mut() {
            if let Some(session) = extra.tls.as_mut() {
                session.take_output(&mut cipher);
            }
            let was_empty = extra.outbox.is_empty();
            let mut at = 0;
            if was_empty
                && !cipher.is_empty()
                && let Some(fd) = &row.socket.fd
            {
                // An error shows again as an event of the socket.
                at = sys::send(fd.as_fd(), &cipher).unwrap_or(0);
            }
            let rest = cipher.get(at..).unwrap_or_default();
            if !rest.is_empty() {
                extra.outbox.push(Piece::own(rest));
                self.counters.deliveries.queued_bytes.add(rest.len() as u64);
                let len = extra.outbox.len();
                outcome = match was_empty {
                    true => Some(Outcome::Blocked),
                    // The piece that exceeds the limit is kept, as on a plain connection.
                    false if len - rest.len() >= self.outbox_max => Some(Outcome::Overflowed),
                    false => None,
                };
            }
        }
        if let Some(outcome) = outcome {
            self.note(key, outcome);
        }
        self.cipher = cipher;
    }
}

fn bytes_of<'a>(data: &Data, actions: &'a Actions, input: &'a [u8]) -> &'a [u8] {
    match data {
        Data::Input(range) => input.get(range.clone()),
        Data::Scratch(range) => actions.scratch.get(range.clone()),
        Data::Shared(index, range) => actions
            .shared
            .get(*index)
            .and_then(|shared| shared.as_slice().get(range.clone())),
    }
    .unwrap_or_default()
}
