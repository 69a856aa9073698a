//! One connection between the shard and a simulated peer: what the kernel and the io side do.

use std::net::SocketAddr;

use shard::core::ConnKey;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Client,
    Backend(SocketAddr),
}

/// What the peer has done with its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerSide {
    Open,
    /// Ended in order, behind what it sent.
    Ended,
    /// Reset: what it sent and was not read is lost.
    Reset,
}

/// A connection.
pub(crate) struct Wire {
    pub(crate) key: ConnKey,
    pub(crate) serial: u32,
    pub(crate) peer: Peer,
    /// Everything that the peer's kernel has taken.
    pub(crate) taken: Vec<u8>,
    /// Waits in the io side's outbox.
    pub(crate) outbox: Vec<u8>,
    /// Bytes that the kernel takes before it blocks.
    pub(crate) room: usize,
    /// Sent by the peer, not read yet.
    pub(crate) incoming: Vec<u8>,
    /// Bytes read so far.
    pub(crate) read_len: usize,
    pub(crate) side: PeerSide,
    /// The core was told about the peer's end.
    pub(crate) is_end_told: bool,
    pub(crate) is_paused: bool,
    /// To be ended once the outbox is empty.
    pub(crate) is_finishing: bool,
    /// Our side has ended.
    pub(crate) is_output_ended: bool,
    pub(crate) is_connecting: bool,
    /// Forgotten by the shard.
    pub(crate) is_closed: bool,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("key", &self.key)
            .field("peer", &self.peer)
            .field("taken", &self.taken.len())
            .field("outbox", &self.outbox.len())
            .field("incoming", &self.incoming.len())
            .field("read", &self.read_len)
            .field("side", &self.side)
            .field("is_end_told", &self.is_end_told)
            .field("is_paused", &self.is_paused)
            .field("is_output_ended", &self.is_output_ended)
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}

impl Wire {
    pub(crate) fn new(key: ConnKey, serial: u32, peer: Peer) -> Self {
        Self {
            key,
            serial,
            peer,
            taken: Vec::new(),
            outbox: Vec::new(),
            room: usize::MAX,
            incoming: Vec::new(),
            read_len: 0,
            side: PeerSide::Open,
            is_end_told: false,
            is_paused: false,
            is_finishing: false,
            is_output_ended: false,
            is_connecting: false,
            is_closed: false,
        }
    }

    pub(crate) fn is_client(&self) -> bool {
        self.peer == Peer::Client
    }

    /// Bytes go to the kernel; what it does not take stays.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(!self.is_output_ended, "bytes behind the end of our side");
        let count = bytes.len().min(self.room);
        // Also for a peer that is gone: the shard cannot tell, and what it sent counts.
        self.taken.extend_from_slice(&bytes[..count]);
        if self.room != usize::MAX {
            self.room -= count;
        }
        self.outbox.extend_from_slice(&bytes[count..]);
    }

    /// The peer has read: the kernel takes `more` bytes. True: the outbox has become empty.
    pub(crate) fn make_room(&mut self, more: usize) -> bool {
        self.room = self.room.saturating_add(more);
        if self.outbox.is_empty() {
            return false;
        }
        let waiting = std::mem::take(&mut self.outbox);
        self.write(&waiting);
        self.outbox.is_empty()
    }

    /// Whether there is something that the shard would find if it looked.
    pub(crate) fn is_readable(&self) -> bool {
        !self.is_closed
            && !self.is_connecting
            && match self.side {
                PeerSide::Reset => true,
                _ if self.is_paused => self.side == PeerSide::Ended && !self.is_end_told,
                PeerSide::Open => !self.incoming.is_empty(),
                PeerSide::Ended => !self.incoming.is_empty() || !self.is_end_told,
            }
    }
}
