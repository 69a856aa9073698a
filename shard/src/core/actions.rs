//! What the core asks the io side to do, as a list that is filled by one call and performed at once.
//!
//! Payloads are named, not copied: a range of the bytes that the core was just given, a range of
//! the scratch buffer that it wrote to, or a shared buffer that many connections get.

use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::{ConnKey, pools::PoolId};

/// Bytes that several connections are sent, and that live until the last of them has them.
#[derive(Debug, Clone)]
pub enum SharedBytes {
    /// Encoded by the control thread, shared by all shards.
    Process(Arc<[u8]>),
    /// Joined on this shard out of several items of one batch.
    Shard(Rc<[u8]>),
}

impl SharedBytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Process(bytes) => bytes,
            Self::Shard(bytes) => bytes,
        }
    }
}

impl From<Arc<[u8]>> for SharedBytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Process(bytes)
    }
}

/// A part of the shared bytes of the actions under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Which bytes a [`Action::Send`] means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A range of the input of the call that made the action.
    Input(Range<usize>),
    /// A range of [`Actions::scratch`].
    Scratch(Range<usize>),
    /// A range of the shared buffer with this index in [`Actions::shared`].
    Shared(usize, Range<usize>),
}

/// One thing to do. Performed in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write to a connection, behind what is queued for it. Neighbouring sends to one connection
    /// leave together.
    Send {
        /// The receiver.
        conn: ConnKey,
        /// The bytes.
        data: Data,
    },
    /// Open the backend connection whose row the core has just made.
    Connect {
        /// The new row.
        conn: ConnKey,
        /// Where to.
        address: SocketAddr,
        /// The pool it will belong to, which also knows about TLS.
        pool: PoolId,
    },
    /// Look up the addresses of a name, for [`Core::resolved`](super::Core::resolved).
    Resolve {
        /// Whom it is for.
        conn: ConnKey,
        /// The name.
        host: String,
        /// The port that the addresses shall have.
        port: u16,
    },
    /// Read no more from this connection until told.
    PauseReading(ConnKey),
    /// Read again.
    ResumeReading(ConnKey),
    /// Forget the connection now, with whatever is queued for it.
    Close(ConnKey),
    /// Close, and let the peer see that it is not the proper end: for responses whose end is the
    /// close.
    Reset(ConnKey),
    /// Write what is queued, then end our side. The peer's input is thrown away until it closes or
    /// the row's timer fires: a reset would destroy the answer on its way.
    Finish(ConnKey),
}

/// The list, with the buffers its payloads live in.
#[derive(Debug, Default)]
pub struct Actions {
    /// What to do, in order.
    pub list: Vec<Action>,
    /// Bytes made for this list.
    pub scratch: Vec<u8>,
    /// Shared buffers that this list names.
    pub shared: Vec<SharedBytes>,
}

/// A scratch buffer that grew beyond this many bytes is given back after use.
const SCRATCH_KEPT_MAX: usize = 1 << 20;

impl Actions {
    /// Empties the list for the next call, keeping its buffers.
    pub fn clear(&mut self) {
        self.list.clear();
        self.scratch.clear();
        self.shared.clear();
        if self.scratch.capacity() > SCRATCH_KEPT_MAX {
            self.scratch = Vec::new();
        }
    }

    /// Asks for everything that was written to the scratch buffer since `start` to be sent.
    pub(super) fn send_scratch(&mut self, conn: ConnKey, start: usize) {
        let end = self.scratch.len();
        if end > start {
            self.list.push(Action::Send {
                conn,
                data: Data::Scratch(start..end),
            });
        }
    }

    /// Asks for a range of the input to be sent.
    pub(super) fn send_input(&mut self, conn: ConnKey, range: Range<usize>) {
        if !range.is_empty() {
            self.list.push(Action::Send {
                conn,
                data: Data::Input(range),
            });
        }
    }

    /// Asks for a range of a shared buffer to be sent.
    pub(super) fn send_shared(&mut self, conn: ConnKey, index: usize, range: Range<usize>) {
        // What lies behind the bytes asked for last leaves with them.
        if let Some(Action::Send {
            conn: last,
            data: Data::Shared(other, before),
        }) = self.list.last_mut()
            && (*last, *other, before.end) == (conn, index, range.start)
        {
            before.end = range.end;
            return;
        }
        if !range.is_empty() {
            self.list.push(Action::Send {
                conn,
                data: Data::Shared(index, range),
            });
        }
    }
}
