//! A held client: plain data, a few words in its row and one block for the request.

mod answer;
mod begin;
pub(super) mod conflict;
mod deliver;
pub(super) mod session;
mod sessions;

pub(super) use sessions::{content_filters, send_framed};

use proto::grip::KeepAliveMode;

use super::conn::ClientTerms;
use super::cross_origin::CrossOrigin;
use super::exchange::Answer;
use super::hub::Subscription;
use super::routes::RouteId;
use session::Session;

/// A held request.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) subscriptions: Subscriptions,
    /// The request as it is sent again on a retry ([`super::request::StoredRequest::pack`]).
    pub(super) request: Box<[u8]>,
    /// What only some holds have.
    pub(super) details: Option<Box<HoldDetails>>,
    pub(super) route: RouteId,
    /// Which target of the route it came through.
    pub(super) target: u16,
    pub(super) kind: HoldKind,
    pub(super) terms: ClientTerms,
}

impl Hold {
    /// Items are appended, rather than one of them being the answer.
    pub(super) fn is_stream(&self) -> bool {
        self.kind != HoldKind::Response
    }

    /// The timeout of a keep-alive that an item puts off, in milliseconds.
    pub(super) fn idle_timeout_ms(&self) -> Option<u32> {
        let keep_alive = self.details.as_ref()?.keep_alive.as_ref()?;
        (keep_alive.mode == KeepAliveMode::Idle).then_some(keep_alive.timeout_ms)
    }

    /// Its session, if its instructions need one.
    pub(super) fn session(&self) -> Option<&Session> {
        self.details.as_ref()?.session.as_deref()
    }

    /// The same, to be changed.
    pub(super) fn session_mut(&mut self) -> Option<&mut Session> {
        self.details.as_mut()?.session.as_deref_mut()
    }
}

/// Stream or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldKind {
    /// Items are appended, chunked (HTTP/1.1).
    ChunkedStream,
    /// Items are appended as they are; the end is the close (HTTP/1.0).
    RawStream,
    /// The response has no content by definition; items are not written.
    MuteStream,
    /// One item or the timeout answers.
    Response,
}

/// The larger part of a hold, for those that need it.
#[derive(Debug, Default)]
pub(super) struct HoldDetails {
    pub(super) keep_alive: Option<HeldKeepAlive>,
    /// What a response hold is answered with when nothing else comes, and what items inherit from.
    pub(super) answer: Answer,
    /// What the answer of a response hold gets on top.
    pub(super) cross_origin: Option<Box<CrossOrigin>>,
    /// What the client sent behind the held request.
    pub(super) leftover: Box<[u8]>,
    /// The client's own URL, where the route has put another into the stored request.
    pub(super) original_url: Option<Box<str>>,
    /// Positions, filters, links.
    pub(super) session: Option<Box<Session>>,
}

/// Content that keeps a silent stream alive, framed for this client.
#[derive(Debug)]
pub(super) struct HeldKeepAlive {
    pub(super) bytes: Box<[u8]>,
    pub(super) timeout_ms: u32,
    pub(super) mode: KeepAliveMode,
}

/// The channels of a connection: up to two inside the row, more in a list of their own.
#[derive(Debug)]
pub(super) enum Subscriptions {
    /// Up to two; `len` of them count.
    Few {
        /// How many there are.
        len: u8,
        /// The subscriptions, by slot.
        list: [Subscription; 2],
    },
    /// Three or more. Behind one word, so that the row stays small.
    #[expect(
        clippy::box_collection,
        reason = "a fat pointer would cost every row eight bytes"
    )]
    Many(Box<Vec<Subscription>>),
}

impl Subscriptions {
    /// From a list, in the order of slots.
    pub(super) fn new(list: Vec<Subscription>) -> Self {
        let none = Subscription::NONE;
        match *list.as_slice() {
            [] => Self::Few {
                len: 0,
                list: [none, none],
            },
            [first] => Self::Few {
                len: 1,
                list: [first, none],
            },
            [first, second] => Self::Few {
                len: 2,
                list: [first, second],
            },
            _ => Self::Many(Box::new(list)),
        }
    }

    /// All of them, in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = Subscription> + '_ {
        self.slots().iter().copied()
    }

    /// All slots; those of subscriptions that were given up are [`Subscription::NONE`].
    pub(super) fn slots(&self) -> &[Subscription] {
        match self {
            Self::Few { len, list } => list.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(many) => many.as_slice(),
        }
    }

    /// The subscription in `slot`.
    pub(super) fn at(&self, slot: u32) -> Option<Subscription> {
        match self {
            Self::Few { len, list } if slot < u32::from(*len) => list.get(slot as usize).copied(),
            Self::Few { .. } => None,
            Self::Many(many) => many.get(slot as usize).copied(),
        }
    }

    /// Whether the subscription in `slot` is for that entry of the hub.
    pub(super) fn is_for(&self, slot: u32, entry: u32) -> bool {
        self.at(slot)
            .is_some_and(|subscription| subscription.entry == entry)
    }

    /// Notes the new place of a subscription in its channel's list.
    pub(super) fn set_position(&mut self, slot: u32, position: u32) {
        let subscription = match self {
            Self::Few { list, .. } => list.get_mut(slot as usize),
            Self::Many(many) => many.get_mut(slot as usize),
        };
        if let Some(subscription) = subscription {
            subscription.position = position;
        }
    }
}
