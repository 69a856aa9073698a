//! One connection: a row of plain data, small when idle.
//!
//! What a connection needs only while it works (a partial head, an exchange with a backend) is
//! boxed and ends when the hold begins. `S` is what the io side keeps beside the row.

use proto::http::Version;
use proto::http1::BodyReader;

use super::ConnKey;
use super::exchange::Exchange;
use super::hold::Hold;
use super::pools::PoolId;
use super::wheel::TimerLinks;

/// Of a chunked upload, as many heads' worth is read at once.
const CHUNKED_READ_HEADS: usize = 4;

/// A row of the shard's connection table.
#[derive(Debug)]
pub struct Row<S> {
    /// The io side's part: descriptor, queued output.
    pub socket: S,
    pub(super) timer: TimerLinks,
    /// Tells this connection from earlier and later ones of the same key.
    pub(super) serial: u32,
    pub(super) flags: Flags,
    pub(super) state: State,
}

/// What can be true of a connection beside its state.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    /// The io side has queued output: the peer does not read fast enough.
    pub(super) is_blocked: bool,
    /// The stats stream was told about this connection.
    pub(super) is_announced: bool,
    /// The client came in over TLS.
    pub(super) is_ssl: bool,
    /// The peer has ended its side; there may be input before that.
    pub(super) is_peer_done: bool,
    /// All input up to that end was read.
    pub(super) is_read_to_end: bool,
    /// A client over the limit, which is only told so: it takes no place of a real one.
    pub(super) is_refused: bool,
    /// The hold is in the queue of those that ask their backend again.
    pub(super) is_update_queued: bool,
    /// Its place in that queue is not among those that have time.
    pub(super) is_update_urgent: bool,
}

/// Where a connection is in its life.
#[derive(Debug)]
pub(super) enum State {
    /// To be closed by an action already listed, or emptied while it is worked on.
    Gone,
    /// A client between requests.
    Idle,
    /// A client whose next request has begun, or waits here until its output is read.
    #[expect(
        clippy::box_collection,
        reason = "a row is as large as its largest state"
    )]
    Head(Box<Vec<u8>>),
    /// A client whose request is with a backend.
    Exchange(Box<Exchange>),
    /// A client that is held.
    Held(Hold),
    /// A client that gets its last bytes.
    Finishing,
    /// A connection to a backend.
    Backend(Backend),
}

/// The backend side of things: which pool, for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backend {
    pub(super) pool: PoolId,
    pub(super) phase: BackendPhase,
}

/// What a backend connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackendPhase {
    /// The handshake is under way, for this client.
    Connecting(ConnKey),
    /// Serving this client. `is_reused`: it has served before, so it may have been closed by the
    /// backend in the very moment that it was taken.
    Busy { client: ConnKey, is_reused: bool },
    /// Waiting in its pool.
    Idle,
}

impl Backend {
    /// Whom it serves, or will.
    pub(super) fn client(&self) -> Option<ConnKey> {
        match self.phase {
            BackendPhase::Connecting(client) | BackendPhase::Busy { client, .. } => Some(client),
            BackendPhase::Idle => None,
        }
    }
}

/// What is remembered of a client's request for as long as it is answered or held.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientTerms {
    pub(super) version: Version,
    /// The connection may serve another request afterwards.
    pub(super) is_persistent: bool,
    /// The answer has no content (RFC 9110 section 9.3.2).
    pub(super) is_head: bool,
    /// The client is itself a GRIP proxy: instructions pass.
    pub(super) is_trusted: bool,
}

impl ClientTerms {
    /// Before anything of a request is known.
    pub(super) const UNKNOWN: Self = Self {
        version: Version::Http11,
        is_persistent: false,
        is_head: false,
        is_trusted: false,
    };
}

impl<S> Row<S> {
    /// How many bytes may be read from this connection at once.
    ///
    /// What a client sends behind a request is kept for as long as that is answered or held, so no
    /// more of it is read than a head may have, as far as the end of the request can be foreseen.
    #[must_use]
    pub fn read_max(&self, head_len_max: usize) -> usize {
        let State::Exchange(exchange) = &self.state else {
            return match &self.state {
                State::Backend(_) => usize::MAX,
                _ => head_len_max,
            };
        };
        match exchange.upload.reader {
            BodyReader::Length { left } => {
                head_len_max.saturating_add(usize::try_from(left).unwrap_or(usize::MAX))
            }
            BodyReader::Chunked(_) => head_len_max.saturating_mul(CHUNKED_READ_HEADS),
            BodyReader::UntilClose | BodyReader::Done => head_len_max,
        }
    }

    /// Which connection this is, of all that ever had its key.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_sixteen_bytes_of_socket_fits_112_bytes() {
        assert!(
            size_of::<Row<[u64; 2]>>() <= 112,
            "{}",
            size_of::<Row<[u64; 2]>>()
        );
    }
}
