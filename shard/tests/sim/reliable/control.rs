//! The process around the shards: ids and order of items, who listens to what, and the rings.
//! The same parts as the control thread has, in the same order, but told when to do what.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use config::Handler;
use proto::grip::Item;
use shard::admin::interest::{Interest, InterestSettings, Notice, NoticeKind};
use shard::core::hub::Mode;
use shard::core::id_cache::IdCache;
use shard::core::last_ids::LastIds;
use shard::core::sequencer::Sequencer;
use shard::io::reports::SubscriptionChange;

use crate::world::World;

/// Milliseconds between the first subscription of a channel and its update.
const FIRST_SUBSCRIPTION_DELAY_MS: u64 = 1_000;

/// Items whose time is over, released at once; rows of interest looked at.
const AT_ONCE_MAX: usize = 1_000;

/// What goes through a shard's ring.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Items(Vec<Arc<Item>>),
    Update(Vec<Arc<str>>),
    Recover,
}

impl Message {
    /// In a few words.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Items(items) => {
                let name = |item: &Arc<Item>| {
                    let forms = (item.stream.is_some(), item.response.is_some());
                    format!("{}#{:?} {forms:?}", item.channel, item.id)
                };
                items.iter().map(name).collect::<Vec<_>>().join(", ")
            }
            Self::Update(channels) => format!("an update of {channels:?}"),
            Self::Recover => "a recovery".to_owned(),
        }
    }
}

/// The control thread.
#[derive(Debug)]
pub(crate) struct Control {
    ids: IdCache,
    sequencer: Sequencer,
    interest: Interest,
    is_updating_firsts: bool,
    firsts: VecDeque<(u64, Arc<str>)>,
    reports: VecDeque<SubscriptionChange>,
    /// By shard.
    rings: Vec<VecDeque<Message>>,
    notices: Vec<Notice>,
}

impl Control {
    pub(crate) fn new(
        handler: &Handler,
        shards: usize,
        last_ids: Arc<LastIds>,
        now_ms: u64,
    ) -> Self {
        let settings = InterestSettings {
            linger_ms: u64::from(handler.subscription_linger_s) * 1_000,
            ttl_ms: u64::from(handler.stats_subscription_ttl_s) * 1_000,
        };
        Self {
            ids: IdCache::new(u64::from(handler.id_cache_ttl_s) * 1_000),
            sequencer: Sequencer::new(u64::from(handler.message_wait_ms), last_ids),
            interest: Interest::new(settings, now_ms),
            is_updating_firsts: handler.update_on_first_subscription,
            firsts: VecDeque::new(),
            reports: VecDeque::new(),
            rings: vec![VecDeque::new(); shards],
            notices: Vec::new(),
        }
    }

    /// A shard reports up to `max` channels.
    pub(crate) fn report(&mut self, world: &mut World, max: usize) {
        let reports = &mut self.reports;
        world.core.drain_changes(max, &mut |mode, channel, delta| {
            reports.push_back(SubscriptionChange {
                mode,
                channel: Arc::clone(channel),
                delta,
            });
        });
    }

    /// Items come from a publisher.
    pub(crate) fn publish(&mut self, now_ms: u64, body: &str) {
        self.take_reports(now_ms);
        let mut released = Vec::new();
        for item in proto::grip::parse_publish_body(body.as_bytes()).unwrap() {
            if let Some(id) = &item.id
                && !self.ids.is_new(now_ms, &item.channel, id)
            {
                continue;
            }
            let is_known = |channel: &str| self.interest.is_known(channel);
            self.sequencer
                .sequence(now_ms, Arc::new(item), is_known, &mut released);
        }
        self.put_items(released);
    }

    /// Does what is due. True: there was something.
    pub(crate) fn tick(&mut self, now_ms: u64) -> bool {
        let mut was_busy = self.take_reports(now_ms);
        self.interest.expire(now_ms, AT_ONCE_MAX, &mut self.notices);
        self.heed_notices();
        self.ids.expire(now_ms, AT_ONCE_MAX);
        let mut released = Vec::new();
        self.sequencer.expire(now_ms, AT_ONCE_MAX, &mut released);
        was_busy |= !released.is_empty();
        self.put_items(released);
        let mut due = Vec::new();
        while self.firsts.front().is_some_and(|first| first.0 <= now_ms) {
            due.extend(self.firsts.pop_front().map(|(_, channel)| channel));
        }
        due.retain(|channel| self.interest.is_held(channel));
        if !due.is_empty() {
            was_busy = true;
            self.put(&Message::Update(due));
        }
        was_busy
    }

    pub(crate) fn recover(&mut self) {
        self.sequencer.recover();
        self.put(&Message::Recover);
    }

    /// What a shard finds next in its ring.
    pub(crate) fn next(&mut self, shard: usize) -> Option<Message> {
        self.rings[shard].pop_front()
    }

    /// How many subscribers it knows of each of these, if it knows of no others.
    pub(crate) fn subscribers<'n>(
        &self,
        names: impl Iterator<Item = &'n (Mode, String)>,
    ) -> BTreeMap<(Mode, String), i64> {
        let count = |(mode, name): &(Mode, String)| i64::from(self.interest.count(*mode, name));
        names.map(|name| (name.clone(), count(name))).collect()
    }

    /// Channels that it knows, lingering ones included.
    pub(crate) fn known(&self) -> usize {
        self.interest.len()
    }

    /// Items that wait for those before them.
    pub(crate) fn waiting(&self) -> usize {
        self.sequencer.waiting()
    }

    fn put_items(&mut self, items: Vec<Arc<Item>>) {
        if !items.is_empty() {
            self.put(&Message::Items(items));
        }
    }

    fn put(&mut self, message: &Message) {
        for ring in &mut self.rings {
            ring.push_back(message.clone());
        }
    }

    fn take_reports(&mut self, now_ms: u64) -> bool {
        let is_empty = self.reports.is_empty();
        while let Some(change) = self.reports.pop_front() {
            let is_first = self.interest.apply(now_ms, &change, &mut self.notices);
            if is_first && self.is_updating_firsts {
                let due_ms = now_ms + FIRST_SUBSCRIPTION_DELAY_MS;
                self.firsts.push_back((due_ms, change.channel));
            }
            self.heed_notices();
        }
        !is_empty
    }

    fn heed_notices(&mut self) {
        for notice in self.notices.drain(..) {
            if notice.kind == NoticeKind::Gone && !self.interest.is_known(&notice.channel) {
                self.sequencer.forget(&notice.channel);
            }
        }
    }
}
