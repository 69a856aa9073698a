//! What a hold keeps beyond its subscriptions: positions, filters, links, and items that wait
//! while it is busy. Only holds whose instructions use any of that have one.

use std::collections::VecDeque;
use std::sync::Arc;

use proto::grip::{Instruct, Item};
use proto::http1::encode;

use super::Subscriptions;
use crate::core::ConnKey;
use crate::core::filter::{Filters, Meta};

/// Items that wait for one busy hold. What comes beyond is a gap where the channel has a position;
/// elsewhere nothing could repair the loss, and the connection ends.
pub(in crate::core) const QUEUE_MAX: usize = 100;

/// The larger part of a hold with positions, filters or links.
#[derive(Debug)]
pub(in crate::core) struct Session {
    /// What is known of each subscription, by its slot.
    pub(in crate::core) channels: Vec<SessionChannel>,
    /// Subscription variables for filters.
    pub(in crate::core) meta: Meta,
    /// The client's own URL: what gone links are resolved against.
    pub(in crate::core) client_url: Box<str>,
    /// The URL of the response that the hold goes by now: what next links and the URLs of filters
    /// are resolved against.
    pub(in crate::core) url: Box<str>,
    /// The next link, absolute.
    pub(in crate::core) next: Option<NextLink>,
    /// The gone link of the first instruct, absolute.
    pub(in crate::core) gone: Option<Box<str>>,
    pub(in crate::core) doing: Doing,
    /// Items that came while the hold was busy, in order.
    pub(in crate::core) queue: VecDeque<Queued>,
    /// Those at the head of the queue that do not fit the new position are what the fetched
    /// content has included.
    pub(in crate::core) is_skipping: bool,
    /// An update that was asked for while something else was under way.
    pub(in crate::core) wants_update: bool,
    /// The content that a filter asks about, in case the answer leaves it as it is.
    pub(in crate::core) asked: Vec<u8>,
    /// When the keep-alive is due; meaningless without one.
    pub(in crate::core) keep_alive_due_ms: u64,
}

/// One subscription of a session.
#[derive(Debug, Default, Clone)]
pub(in crate::core) struct SessionChannel {
    /// The id of the last item that the client has; `None`: everything is accepted.
    pub(in crate::core) position: Option<Box<str>>,
    pub(in crate::core) filters: Filters,
    /// Of the route's target, not of the instruct: without prefix, and never given up.
    pub(in crate::core) is_implicit: bool,
    /// An item was written in the running period of the next link.
    pub(in crate::core) is_active: bool,
}

/// Where a stream goes on.
#[derive(Debug, Clone)]
pub(in crate::core) struct NextLink {
    /// Absolute.
    pub(in crate::core) url: Box<str>,
    pub(in crate::core) timeout_ms: u32,
    /// When it is fetched, or fetched again.
    pub(in crate::core) due_ms: u64,
    /// Fetches that have failed in a row.
    pub(in crate::core) failures: u8,
}

/// What keeps a session from taking items at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) enum Doing {
    /// Nothing.
    Resting,
    /// Its update has been asked for and has not begun.
    WaitingToUpdate,
    /// Its next link could not be fetched and will be again.
    BackingOff,
    /// Its next link is being fetched, by this errand.
    Fetching(ConnKey),
    /// A filter asks a backend about the item at the head of the queue, by this errand.
    Asking(ConnKey),
}

/// An item that waits.
#[derive(Debug, Clone)]
pub(in crate::core) struct Queued {
    /// The entry of the hub that it was released to.
    pub(in crate::core) entry: u32,
    pub(in crate::core) slot: u32,
    pub(in crate::core) item: Arc<Item>,
}

/// How an item stands to the position of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) enum Fit {
    /// It follows, or there is no position.
    Follows,
    /// It is the very item that the position names: the client has it.
    Known,
    /// Something lies between.
    Gap,
}

impl SessionChannel {
    /// How an item stands to this channel's position. An item without prev-id follows the empty
    /// id only (GRIP; Pushpin does so).
    pub(in crate::core) fn fit(&self, item: &Item) -> Fit {
        let Some(position) = self.position.as_deref() else {
            return Fit::Follows;
        };
        if item.prev_id.as_deref().unwrap_or_default() == position {
            Fit::Follows
        } else if item.id.as_deref() == Some(position) {
            Fit::Known
        } else {
            Fit::Gap
        }
    }

    /// The client has the item, or shall not have it. Without an id the position is lost.
    pub(in crate::core) fn advance(&mut self, item: &Item) {
        if self.position.is_some() {
            self.position.clone_from(&item.id);
        }
    }
}

impl Session {
    /// Whether an item has to wait.
    pub(in crate::core) fn is_busy(&self) -> bool {
        self.doing != Doing::Resting || !self.queue.is_empty()
    }

    /// The errand that works for it.
    pub(in crate::core) fn errand(&self) -> Option<ConnKey> {
        match self.doing {
            Doing::Fetching(errand) | Doing::Asking(errand) => Some(errand),
            Doing::Resting | Doing::WaitingToUpdate | Doing::BackingOff => None,
        }
    }

    /// Keeps an item for later; false: there is no room.
    pub(in crate::core) fn enqueue(&mut self, entry: u32, slot: u32, item: &Arc<Item>) -> bool {
        if self.queue.len() >= QUEUE_MAX {
            return false;
        }
        let item = Arc::clone(item);
        self.queue.push_back(Queued { entry, slot, item });
        true
    }

    /// What is known of a subscription.
    pub(in crate::core) fn channel(&self, slot: u32) -> Option<&SessionChannel> {
        self.channels.get(slot as usize)
    }

    /// The same, to be changed.
    pub(in crate::core) fn channel_mut(&mut self, slot: u32) -> Option<&mut SessionChannel> {
        self.channels.get_mut(slot as usize)
    }

    /// Every channel had an item since the period of the next link began.
    pub(in crate::core) fn was_active(&self, subscriptions: &Subscriptions) -> bool {
        let slots = (0..).zip(subscriptions.slots());
        let mut used = slots.filter(|(_, subscription)| !subscription.is_none());
        let mut any = false;
        let all = used.all(|(slot, _)| {
            any = true;
            self.channel(slot).is_some_and(|channel| channel.is_active)
        });
        all && any
    }

    /// A new period begins.
    pub(in crate::core) fn forget_activity(&mut self) {
        for channel in &mut self.channels {
            channel.is_active = false;
        }
    }
}

/// Appends a `Grip-Last` line (GRIP): the channel without the route's prefix, the id as it is.
pub(in crate::core) fn write_last(out: &mut Vec<u8>, channel: &str, id: &str) {
    let mut value = Vec::with_capacity(channel.len() + id.len() + 10);
    value.extend_from_slice(channel.as_bytes());
    value.extend_from_slice(b"; last-id=");
    value.extend_from_slice(id.as_bytes());
    encode::field(out, "Grip-Last", &value);
}

/// Whether instructions ask for anything that a session is needed for.
pub(in crate::core) fn needs_session(instruct: &Instruct) -> bool {
    instruct.next.is_some()
        || instruct.gone.is_some()
        || instruct.channels().iter().any(|channel| {
            channel.prev_id.is_some() || !Filters::parse(&channel.filters).is_empty()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        let body = format!(r#"{{"items":[{text}]}}"#);
        proto::grip::parse_publish_body(body.as_bytes())
            .unwrap()
            .remove(0)
    }

    fn at(position: &str) -> SessionChannel {
        SessionChannel {
            position: Some(position.into()),
            ..SessionChannel::default()
        }
    }

    const FOLLOWER: &str =
        r#"{"channel":"c","id":"2","prev-id":"1","http-stream":{"content":"x"}}"#;

    #[test]
    fn an_item_fits_the_position_that_its_prev_id_names() {
        assert_eq!(at("1").fit(&item(FOLLOWER)), Fit::Follows);
        assert_eq!(at("0").fit(&item(FOLLOWER)), Fit::Gap);
        assert_eq!(at("2").fit(&item(FOLLOWER)), Fit::Known);
        assert_eq!(SessionChannel::default().fit(&item(FOLLOWER)), Fit::Follows);
    }

    #[test]
    fn an_item_without_prev_id_follows_the_empty_id() {
        let first = item(r#"{"channel":"c","id":"1","http-stream":{"content":"x"}}"#);
        assert_eq!(at("").fit(&first), Fit::Follows);
        assert_eq!(at("0").fit(&first), Fit::Gap);
    }

    #[test]
    fn an_item_without_id_ends_the_position() {
        let mut channel = at("1");
        channel.advance(&item(FOLLOWER));
        assert_eq!(channel.position.as_deref(), Some("2"));
        channel.advance(&item(
            r#"{"channel":"c","prev-id":"2","http-stream":{"content":"x"}}"#,
        ));
        assert_eq!(channel.position, None);
    }

    #[test]
    fn an_id_with_a_line_break_cannot_make_a_field_of_its_own() {
        let mut out = Vec::new();
        write_last(&mut out, "c", "1\r\nX: y");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
