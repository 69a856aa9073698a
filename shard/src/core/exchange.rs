//! A request on its way: what was sent, what came back so far, what happens at its end.

use proto::grip::Instruct;
use proto::http1::BodyReader;

use super::ConnKey;
use super::conn::ClientTerms;
use super::cross_origin::CrossOrigin;
use super::errand::{Elsewhere, Errand};
use super::hold::conflict::SeenLastId;
use super::jsonp::JsonpBody;
use super::merge::MergeId;
use super::request::StoredRequest;
use super::routes::RouteId;

/// Working state of one request and its answer. Boxed, reused, gone once the client is held.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) request: StoredRequest,
    pub(super) route: RouteId,
    /// Which target of the route is tried, and which of its addresses.
    pub(super) target: usize,
    pub(super) address: usize,
    pub(super) terms: ClientTerms,
    /// What the answer gets on top; `None` as soon as it has got it.
    pub(super) cross_origin: Option<Box<CrossOrigin>>,
    /// A connection taken from the pool failed once already: the next is a fresh one.
    pub(super) needs_fresh: bool,
    /// `Grip-Last` lines: what the client has of each channel, when a hold asks again.
    pub(super) positions: Vec<u8>,
    /// How often in a row this request was made again for the sake of a hold.
    pub(super) retries: u32,
    /// Last ids that its answers have conflicted with.
    pub(super) seen_last_ids: Vec<SeenLastId>,
    /// The client's own URL, where the route has put another into the stored request.
    pub(super) original_url: Option<Box<str>>,
    /// Requests of others that are the same, and share its answer.
    pub(super) merge: Option<MergeId>,
    /// Where it goes instead of to its route's targets.
    pub(super) elsewhere: Option<Box<Elsewhere>>,
    /// It is no client's request but made here, for holds.
    pub(super) errand: Option<Box<Errand>>,
    pub(super) backend: Link,
    pub(super) upload: Upload,
    pub(super) response: ResponsePhase,
    /// What the client sent behind this request.
    pub(super) leftover: Vec<u8>,
}

/// The backend connection of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// None yet.
    None,
    /// Waits in the pool's queue for a connection to come free.
    Waiting,
    /// Waits for the addresses of a name.
    Resolving,
    /// Shares the answer to somebody else's request.
    Following,
    /// Being connected; nothing was sent.
    Connecting(ConnKey),
    /// The request head was sent.
    Open(ConnKey),
}

/// The request's content on its way to the backend.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) reader: BodyReader,
    /// How the content is framed towards the backend.
    pub(super) framing: UploadFraming,
    /// All content so far is in the stored request and can be sent again.
    pub(super) is_replayable: bool,
    /// Content bytes received in all.
    pub(super) received: u64,
    /// `100 Continue` is owed before the content comes (RFC 9110 section 10.1.1).
    pub(super) owes_continue: bool,
}

/// Framing of the content towards the backend (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadFraming {
    /// No content and no framing field.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The answer on its way to the client.
#[derive(Debug)]
pub(super) enum ResponsePhase {
    /// The head is not complete; these bytes of it came.
    Head(Vec<u8>),
    /// The head was sent on; content follows as it comes.
    Relay {
        reader: BodyReader,
        framing: ReplyFraming,
        is_backend_persistent: bool,
        /// The script that the content becomes part of.
        jsonp: Option<Box<JsonpBody>>,
        /// What begins when the content has ended.
        hold: Option<Box<StreamStart>>,
    },
    /// Instructions, or an answer for several: nothing is sent before all of it is here.
    Collect(Box<Collected>),
    /// The answer to an errand.
    Errand {
        reader: BodyReader,
        is_backend_persistent: bool,
    },
}

/// A stream hold that begins behind the content under way.
#[derive(Debug)]
pub(super) struct StreamStart {
    pub(super) instruct: Instruct,
    /// The response cannot have content (HEAD, 204, 304): nothing is ever written.
    pub(super) is_mute: bool,
    /// Why the stream ends behind its first content.
    pub(super) failure: Option<String>,
}

/// A buffered answer with instructions.
#[derive(Debug, Clone)]
pub(super) struct Collected {
    pub(super) reader: BodyReader,
    pub(super) is_backend_persistent: bool,
    pub(super) answer: Answer,
    pub(super) instruct: Instruct,
    /// The content is the instruct (`application/grip-instruct`): what is needed to decode it.
    pub(super) json: Option<JsonContext>,
}

/// What a JSON instruct is decoded with, since its own head is gone by then.
#[derive(Debug, Clone)]
pub(super) struct JsonContext {
    /// The response's fields of GRIP.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    /// The request's absolute URL.
    pub(super) url: String,
}

/// A whole response, ready to be sent now or when a hold times out.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: Vec<u8>,
    /// Field lines, without framing and connection fields.
    pub(super) fields: Vec<u8>,
    pub(super) content: Vec<u8>,
}

/// Framing of the content towards the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyFraming {
    /// There is no content.
    None,
    /// `Content-Length`: as it came.
    Length,
    /// Chunked, re-chunked by us.
    Chunked,
    /// Ended by closing.
    UntilClose,
}

impl Exchange {
    /// An exchange to be filled in.
    pub(super) fn new() -> Self {
        Self {
            request: StoredRequest::default(),
            route: RouteId::NONE,
            target: 0,
            address: 0,
            terms: ClientTerms::UNKNOWN,
            cross_origin: None,
            needs_fresh: false,
            positions: Vec::new(),
            retries: 0,
            seen_last_ids: Vec::new(),
            original_url: None,
            merge: None,
            elsewhere: None,
            errand: None,
            backend: Link::None,
            upload: Upload::none(),
            response: ResponsePhase::Head(Vec::new()),
            leftover: Vec::new(),
        }
    }

    /// Back to a new one's state, with its larger buffers kept for the next request.
    pub(super) fn reset(&mut self) {
        self.request.clear();
        self.route = RouteId::NONE;
        self.target = 0;
        self.address = 0;
        self.cross_origin = None;
        self.needs_fresh = false;
        self.positions.clear();
        self.retries = 0;
        self.seen_last_ids.clear();
        self.original_url = None;
        self.merge = None;
        self.elsewhere = None;
        self.errand = None;
        self.backend = Link::None;
        self.upload = Upload::none();
        self.response = ResponsePhase::Head(Vec::new());
        self.leftover.clear();
    }

    /// Bytes of buffer that would be kept by [`Exchange::reset`].
    pub(super) fn buffers_len(&self) -> usize {
        self.request.bytes.capacity() + self.leftover.capacity() + self.positions.capacity()
    }

    /// The client would take a close for the proper end of its answer.
    pub(super) fn ends_by_close(&self) -> bool {
        let ResponsePhase::Relay { framing, .. } = &self.response else {
            return false;
        };
        *framing == ReplyFraming::UntilClose
    }

    /// The connection whose bytes are this exchange's answer.
    pub(super) fn open_backend(&self) -> Option<ConnKey> {
        match self.backend {
            Link::Open(key) => Some(key),
            Link::None
            | Link::Waiting
            | Link::Resolving
            | Link::Following
            | Link::Connecting(_) => None,
        }
    }
}

impl Upload {
    /// A request without content.
    pub(super) fn none() -> Self {
        Self {
            reader: BodyReader::Done,
            framing: UploadFraming::None,
            is_replayable: true,
            received: 0,
            owes_continue: false,
        }
    }

    /// All content has come from the client.
    pub(super) fn is_complete(&self) -> bool {
        self.reader.is_done()
    }
}
