//! Published items on this shard: joined per channel, released to whoever is subscribed now.

use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use proto::grip::{Item, StreamForm};

use super::actions::SharedBytes;
use super::hold::content_filters;
use super::hub::Mode;
use super::{Core, Socket};

/// Items in one group.
const GROUP_ITEMS_MAX: usize = 64;

/// Bytes in one group of more than one item.
const GROUP_LEN_MAX: usize = 256 * 1024;

/// Items of one channel that are delivered together: what one connection gets of them leaves in one
/// write.
#[derive(Debug)]
pub(super) struct Group {
    items: Vec<Arc<Item>>,
    /// Bytes of content in it.
    len: usize,
    stream: OnceCell<StreamWire>,
    raw: OnceCell<SharedBytes>,
}

/// A group as streams get it.
#[derive(Debug)]
pub(super) struct StreamWire {
    /// Chunks, one per item.
    pub(super) chunked: SharedBytes,
    /// Items in it, those of action `send`.
    pub(super) items: u32,
    /// The stream ends behind it.
    pub(super) closes: bool,
    /// Where the chunk of each item ends.
    ends: Vec<usize>,
}

impl StreamWire {
    /// Where the chunk of an item lies; nowhere if it comes behind a close, which a filter may have
    /// kept from one stream or another.
    pub(super) fn chunk_of(&self, number: usize) -> Option<Range<usize>> {
        let end = self.ends.get(number).copied()?;
        let before = number.checked_sub(1);
        let start = before.and_then(|before| self.ends.get(before).copied());
        Some(start.unwrap_or(0)..end)
    }
}

impl Group {
    fn new(item: Arc<Item>) -> Self {
        Self {
            len: content_len(&item),
            items: vec![item],
            stream: OnceCell::new(),
            raw: OnceCell::new(),
        }
    }

    /// Whether another item may join. Bounded, because a group is what is written at once, and
    /// because the publisher is held back by the number of groups.
    fn has_room(&self, item: &Item) -> bool {
        self.items.len() < GROUP_ITEMS_MAX
            && self.len + content_len(item) <= GROUP_LEN_MAX
            && !relies_on_filters(item)
            && !self
                .items
                .first()
                .is_some_and(|first| relies_on_filters(first))
    }

    pub(super) fn items(&self) -> &[Arc<Item>] {
        &self.items
    }

    /// The chunks of all items up to the first that closes, joined on first use.
    pub(super) fn stream(&self) -> &StreamWire {
        self.stream.get_or_init(|| {
            let closes = self.items.iter().any(|item| closes(item));
            let sent = self.sent();
            let chunked = match sent.as_slice() {
                [only] => SharedBytes::Process(Arc::clone(only.chunk())),
                several => {
                    let mut joined = Vec::new();
                    for content in several {
                        joined.extend_from_slice(content.chunk());
                    }
                    SharedBytes::Shard(joined.into())
                }
            };
            let items = u32::try_from(sent.len()).unwrap_or(u32::MAX);
            let mut end = 0;
            let ends = self.items.iter().take_while(|item| !self::closes(item));
            let ends = ends.map(|item| {
                end += content_len(item);
                end
            });
            StreamWire {
                ends: ends.collect(),
                chunked,
                items,
                closes,
            }
        })
    }

    /// The same without framing, for HTTP/1.0.
    pub(super) fn raw_stream(&self) -> SharedBytes {
        let join = || {
            let sent = self.sent();
            let joined: Vec<u8> = sent
                .iter()
                .flat_map(|content| content.content())
                .copied()
                .collect();
            SharedBytes::Shard(joined.into())
        };
        self.raw.get_or_init(join).clone()
    }

    fn sent(&self) -> Vec<&proto::grip::StreamContent> {
        let open = self.items.iter().take_while(|item| !closes(item));
        open.filter_map(|item| match &item.stream {
            Some(StreamForm::Send(content)) => Some(content),
            _ => None,
        })
        .collect()
    }
}

/// Bytes that an item adds to a group.
fn content_len(item: &Item) -> usize {
    match &item.stream {
        Some(StreamForm::Send(content)) => content.chunk().len(),
        Some(StreamForm::Hint | StreamForm::Close | StreamForm::Refresh) | None => 0,
    }
}

/// Whether streams without filters do not get the item: it stays by itself, so that what they get
/// of a group is the same for all.
fn relies_on_filters(item: &Item) -> bool {
    content_filters(item, Mode::Stream).is_some_and(|names| !names.is_empty())
}

fn closes(item: &Item) -> bool {
    matches!(item.stream, Some(StreamForm::Close))
}

impl<S: Socket> Core<S> {
    /// Releases items, in order, to everyone who is subscribed at this moment.
    ///
    /// Items for a channel that is waiting already for the very same subscribers join what waits.
    pub fn publish(&mut self, items: &[Arc<Item>]) {
        for item in items {
            if item.response.is_some() {
                self.release(Mode::Response, item);
            }
            if item.stream.is_some() {
                self.release(Mode::Stream, item);
            }
        }
    }

    fn release(&mut self, mode: Mode, item: &Arc<Item>) {
        // The rate counts items.
        let may_join = self.limiter.is_none();
        let join = |waiting: &mut Rc<Group>| match Rc::get_mut(waiting) {
            Some(group) if may_join && group.has_room(item) => {
                group.len += content_len(item);
                group.items.push(Arc::clone(item));
                true
            }
            Some(_) | None => false,
        };
        let make = || Rc::new(Group::new(Arc::clone(item)));
        self.hub.release_or_join(mode, &item.channel, join, make);
    }

    /// Groups that are released and not delivered to everyone yet; what waits for the rate is not
    /// counted.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.hub.pending()
    }

    /// [`Core::deliver`] has something to do.
    #[must_use]
    pub fn has_deliveries(&self) -> bool {
        let limiter = self.limiter.as_ref();
        self.pending() > 0 && limiter.is_none_or(|limiter| !limiter.is_full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(body: &str) -> Group {
        let mut items = proto::grip::parse_publish_body(body.as_bytes())
            .unwrap()
            .into_iter();
        let mut group = Group::new(Arc::new(items.next().unwrap()));
        for item in items {
            group.len += content_len(&item);
            group.items.push(Arc::new(item));
        }
        group
    }

    #[test]
    fn items_up_to_a_close_are_joined_and_the_rest_is_dropped() {
        let group = group(
            r#"{"items":[{"channel":"a","http-stream":{"content":"one"}},
                {"channel":"a","http-stream":{"content":"two"}},
                {"channel":"a","http-stream":{"action":"close"}},
                {"channel":"a","http-stream":{"content":"late"}}]}"#,
        );
        let wire = group.stream();
        assert_eq!(wire.chunked.as_slice(), b"3\r\none\r\n3\r\ntwo\r\n");
        assert!(wire.closes);
        assert_eq!(wire.items, 2);
        assert_eq!(group.raw_stream().as_slice(), b"onetwo");
    }
}
