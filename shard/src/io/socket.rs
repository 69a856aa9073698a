//! What the io side keeps of a connection: its descriptor, and output that is waiting.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::sys;
use super::tls::TlsSession;
use crate::core::{self, SharedBytes};

/// A connection's io part. 16 bytes when idle.
#[derive(Debug, Default)]
pub struct Socket {
    pub(super) fd: Option<OwnedFd>,
    pub(super) flags: Flags,
    /// Only for who has output waiting or speaks TLS.
    pub(super) extra: Option<Box<Extra>>,
}

/// What can be true of a socket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    /// The core wants no input now.
    pub(super) is_paused: bool,
    /// There was an event while it was paused: there is input.
    pub(super) is_readable: bool,
    /// To be ended once its output is written.
    pub(super) is_finishing: bool,
    /// What is known of the end of its input.
    pub(super) end: InputEnd,
}

/// What is known of the end of a socket's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum InputEnd {
    /// Nothing.
    #[default]
    Open,
    /// An event has told of it: what is there is read up to the end, since no other event will.
    Near,
    /// A write has failed: after what can still be read there comes nothing.
    OutputBroken,
}

/// The larger part.
#[derive(Debug, Default)]
pub(super) struct Extra {
    pub(super) outbox: Outbox,
    pub(super) tls: Option<TlsSession>,
}

/// Output that the kernel has not taken, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Piece>,
    len: usize,
}

/// One piece of waiting output.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: PieceBytes,
    /// Bytes of it that are written already.
    at: usize,
    end: usize,
}

#[derive(Debug)]
enum PieceBytes {
    Own(Vec<u8>),
    Shared(SharedBytes),
}

impl Piece {
    /// Bytes of its own.
    pub(super) fn own(bytes: &[u8]) -> Self {
        Self {
            bytes: PieceBytes::Own(bytes.to_vec()),
            at: 0,
            end: bytes.len(),
        }
    }

    /// A range of bytes that others send too.
    pub(super) fn shared(bytes: SharedBytes, at: usize, end: usize) -> Self {
        Self {
            bytes: PieceBytes::Shared(bytes),
            at,
            end,
        }
    }

    fn rest(&self) -> &[u8] {
        let bytes = match &self.bytes {
            PieceBytes::Own(bytes) => bytes.as_slice(),
            PieceBytes::Shared(bytes) => bytes.as_slice(),
        };
        bytes.get(self.at..self.end).unwrap_or_default()
    }
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything is written.
    All,
    /// The kernel takes no more now.
    Blocked,
    /// The connection is broken.
    Broken,
}

impl Outbox {
    pub(super) fn push(&mut self, piece: Piece) {
        let len = piece.rest().len();
        if len > 0 {
            self.len += len;
            self.pieces.push_back(piece);
        }
    }

    /// Bytes waiting.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Pieces waiting.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Writes as much as the kernel takes.
    pub(super) fn flush(&mut self, fd: BorrowedFd<'_>) -> Flushed {
        while let Some(piece) = self.pieces.front_mut() {
            let rest = piece.rest();
            match sys::send(fd, rest) {
                Ok(sent) => {
                    self.len -= sent;
                    if sent < rest.len() {
                        piece.at += sent;
                        return Flushed::Blocked;
                    }
                    self.pieces.pop_front();
                }
                Err(error) if is_transient(&error) => return Flushed::Blocked,
                Err(_) => return Flushed::Broken,
            }
        }
        Flushed::All
    }
}

/// Whether a call may simply be made again later.
pub(super) fn is_transient(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted
    )
}

impl Socket {
    /// Output waits to be written.
    pub(super) fn has_output(&self) -> bool {
        self.extra
            .as_ref()
            .is_some_and(|extra| !extra.outbox.is_empty())
    }

    pub(super) fn is_tls(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.tls.is_some())
    }

    pub(super) fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.extra.get_or_insert_default().outbox
    }

    /// Gives back what an idle connection does not need.
    pub(super) fn shed(&mut self) {
        self.extra
            .take_if(|extra| extra.outbox.is_empty() && extra.tls.is_none());
    }
}

impl core::Socket for Socket {
    fn peer_ip(&self) -> Option<IpAddr> {
        let ip = sys::peer_addr(self.fd.as_ref()?.as_fd())?.ip();
        // Clients of a dual-stack listener are IPv4 clients all the same.
        Some(ip.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_socket_takes_16_bytes_and_its_row_112() {
        assert_eq!(size_of::<Socket>(), 16);
        assert!(size_of::<core::Row<Socket>>() <= 112);
    }
}
