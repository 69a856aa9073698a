//! The same rules as plainly as they can be written, and random walks that compare the two.

#![expect(
    clippy::cast_possible_truncation,
    reason = "small random numbers become counts"
)]

use super::*;

const CHANNELS: [&str; 4] = ["a", "b", "c", "d"];

const LAST_IDS_MAX: usize = 3;

const LIMITS: Limits = Limits {
    waiting_per_channel: 5,
    waiting: 12,
    waiting_len: usize::MAX,
};

/// Lists that are searched from end to end.
#[derive(Default)]
struct Model {
    /// Set longest ago first.
    last_ids: Vec<(String, String)>,
    /// In the order of arrival, with the end of the wait.
    waiting: Vec<(u64, Arc<Item>)>,
}

impl Model {
    fn last_id(&self, channel: &str) -> Option<&String> {
        let mut found = self.last_ids.iter().filter(|(name, _)| name == channel);
        found.next().map(|(_, id)| id)
    }

    fn forget_last_id(&mut self, channel: &str) {
        self.last_ids.retain(|(name, _)| name != channel);
    }

    fn forget(&mut self, channel: &str) {
        self.forget_last_id(channel);
        self.waiting.retain(|(_, item)| &*item.channel != channel);
    }

    fn sequence(&mut self, now_ms: u64, item: Arc<Item>, is_subscribed: bool) -> Vec<Arc<Item>> {
        if item.no_seq || !is_subscribed {
            return vec![item];
        }
        let last_id = self.last_id(&item.channel);
        let fits = match (last_id, item.prev_id.as_deref()) {
            (Some(last_id), Some(prev_id)) => last_id == prev_id,
            _ => true,
        };
        if fits {
            return self.release(item);
        }
        let rivals = self.waiting.iter();
        let mut rivals = rivals.filter(|(_, other)| other.channel == item.channel);
        let count = rivals.clone().count();
        if count >= LIMITS.waiting_per_channel || rivals.any(|(_, o)| o.prev_id == item.prev_id) {
            return Vec::new();
        }
        self.waiting.push((now_ms + WAIT_MS, item));
        let mut out = Vec::new();
        while self.waiting.len() > LIMITS.waiting {
            out.extend(self.release_first());
        }
        out
    }

    fn expire(&mut self, now_ms: u64) -> Vec<Arc<Item>> {
        let mut out = Vec::new();
        while self.waiting.first().is_some_and(|first| first.0 <= now_ms) {
            out.extend(self.release_first());
        }
        out
    }

    fn release_first(&mut self) -> Vec<Arc<Item>> {
        let mut position = 0;
        for _ in 0..self
            .waiting
            .iter()
            .filter(|w| w.1.channel == self.waiting[0].1.channel)
            .count()
        {
            let follows = &self.waiting[position].1;
            let before = self.waiting.iter().position(|(_, other)| {
                other.channel == follows.channel
                    && other.id.is_some()
                    && other.id == follows.prev_id
            });
            position = before.unwrap_or(position);
        }
        let item = self.waiting.remove(position).1;
        self.release(item)
    }

    fn release(&mut self, item: Arc<Item>) -> Vec<Arc<Item>> {
        self.forget_last_id(&item.channel);
        let Some(id) = item.id.as_deref() else {
            return vec![item];
        };
        let entry = (item.channel.to_string(), id.to_owned());
        self.last_ids.push(entry);
        if self.last_ids.len() > LAST_IDS_MAX {
            self.last_ids.remove(0);
        }
        let follower = self.waiting.iter().position(|(_, other)| {
            other.channel == item.channel && other.prev_id.as_deref() == Some(id)
        });
        let mut out = vec![Arc::clone(&item)];
        if let Some(follower) = follower {
            let next = self.waiting.remove(follower).1;
            out.extend(self.release(next));
        }
        out
    }
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, max: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % max
    }

    fn item(&mut self) -> Arc<Item> {
        let channel = CHANNELS[self.below(4) as usize];
        // Few ids, so that they meet; some long, so that lengths change.
        let mut name = || match self.below(12) {
            0 => String::new(),
            11 => "eleven and more".to_owned(),
            number => number.to_string(),
        };
        let text = format!("{}<{}", name(), name());
        let mut item = (*item_on(channel, &text)).clone();
        item.no_seq = self.below(20) == 0;
        Arc::new(item)
    }
}

fn walk(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let last_ids = Arc::new(LastIds::new(LAST_IDS_MAX));
    let mut sequencer = Sequencer::with_limits(WAIT_MS, Arc::clone(&last_ids), LIMITS);
    let mut model = Model::default();
    let mut now_ms = 0;
    for step in 0..2_000 {
        now_ms += random.below(1_000);
        let channel = CHANNELS[random.below(4) as usize];
        let mut out = Vec::new();
        let expected = match random.below(100) {
            0 => {
                sequencer.forget(channel);
                model.forget(channel);
                Vec::new()
            }
            1 => {
                last_ids.forget(channel);
                model.forget_last_id(channel);
                Vec::new()
            }
            2 => {
                sequencer.recover();
                model.last_ids.clear();
                Vec::new()
            }
            3..20 => {
                sequencer.expire(now_ms, usize::MAX, &mut out);
                model.expire(now_ms)
            }
            kind => {
                let item = random.item();
                sequencer.sequence(now_ms, Arc::clone(&item), |_| kind > 21, &mut out);
                model.sequence(now_ms, item, kind > 21)
            }
        };
        let at = format!("seed {seed}, step {step}");
        assert_eq!(texts_of(&out), texts_of(&expected), "{at}");
        assert_eq!(sequencer.waiting(), model.waiting.len(), "{at}");
        for channel in CHANNELS {
            let last_id = last_ids.get(channel);
            assert_eq!(
                last_id.as_deref(),
                model.last_id(channel).map(String::as_str),
                "{at}"
            );
        }
    }
}

#[test]
fn random_items_agree_with_a_naive_model() {
    for seed in 1..=100 {
        walk(seed);
    }
}

#[test]
fn whatever_the_order_of_arrival_a_whole_chain_comes_out_once_and_in_order() {
    for seed in 1..=200 {
        let mut random = Random(seed * 0x9E37_79B9);
        let chain: Vec<_> = (1..100).map(|n| format!("{n}<{}", n - 1)).collect();
        let mut shuffled = chain.clone();
        for position in (1..shuffled.len()).rev() {
            shuffled.swap(position, random.below(position as u64 + 1) as usize);
        }
        let mut sequencer = Sequencer::new(WAIT_MS, Arc::default());
        let released = put(&mut sequencer, 0, &format!("0 {}", shuffled.join(" ")));
        assert_eq!(released, format!("0 {}", chain.join(" ")), "seed {seed}");
    }
}
