//! Channels that got their first subscriber a moment ago (grip-http.md section 16 of the behaviour
//! reference: first subscription).
//!
//! Who publishes through a message bus, or asks who listens, may not have known of the channel
//! when the hold began. So a second later all its holds catch up, which brings what was published
//! in between. Who comes to a channel that is known, lingering included, needs none of this.

use std::collections::VecDeque;
use std::sync::Arc;

use config::Handler;

/// Milliseconds between the first subscription of a channel and its update.
pub(super) const FIRST_SUBSCRIPTION_DELAY_MS: u64 = 1_000;

/// Channels in one message to the shards.
pub(super) const CHANNELS_PER_UPDATE_MAX: usize = 4_096;

/// Channels that wait for their second to pass. While there are more, the oldest go before their
/// time.
const WAITING_MAX: usize = 131_072;

/// Channels in the list, those that go early but have not gone yet included: shards that take
/// nothing from their rings hold them up. A further channel gets no update and is counted.
const LIST_LEN_MAX: usize = 2 * WAITING_MAX;

/// The channels, in the order in which they came.
#[derive(Debug)]
pub(super) struct Firsts {
    is_wanted: bool,
    limits: Limits,
    list: VecDeque<(u64, Arc<str>)>,
    counts: FirstsCounts,
}

/// What became of the channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FirstsCounts {
    /// Channels whose holds were told to catch up.
    pub(super) updated: u64,
    /// Channels that got no update for want of room.
    pub(super) refused: u64,
}

/// Bounds; tests choose small ones.
#[derive(Debug, Clone, Copy)]
struct Limits {
    waiting: usize,
    list_len: usize,
    per_update: usize,
}

impl Firsts {
    /// An empty list. Without `update_on_first_subscription` it stays so.
    pub(super) fn new(handler: &Handler) -> Self {
        Self {
            is_wanted: handler.update_on_first_subscription,
            limits: Limits {
                waiting: WAITING_MAX,
                list_len: LIST_LEN_MAX,
                per_update: CHANNELS_PER_UPDATE_MAX,
            },
            list: VecDeque::new(),
            counts: FirstsCounts::default(),
        }
    }

    /// A channel has got its first subscriber.
    pub(super) fn add(&mut self, now_ms: u64, channel: &Arc<str>) {
        if !self.is_wanted {
            return;
        }
        if self.list.len() >= self.limits.list_len {
            self.counts.refused += 1;
            log::debug!("too many new channels: {channel} gets no update");
            return;
        }
        let due_ms = now_ms.saturating_add(FIRST_SUBSCRIPTION_DELAY_MS);
        self.list.push_back((due_ms, Arc::clone(channel)));
    }

    /// Whether [`Firsts::take`] would take something.
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        self.list.len() > self.limits.waiting
            || self.list.front().is_some_and(|first| first.0 <= now_ms)
    }

    /// Takes what is due, as much as goes into one message; only channels that `is_held` are in the
    /// answer.
    pub(super) fn take(&mut self, now_ms: u64, is_held: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let mut channels = Vec::new();
        for _ in 0..self.limits.per_update {
            if !self.is_due(now_ms) {
                break;
            }
            let Some((_, channel)) = self.list.pop_front() else {
                break;
            };
            if is_held(&channel) {
                channels.push(channel);
            }
        }
        self.counts.updated += u64::try_from(channels.len()).unwrap_or(u64::MAX);
        self.give_back();
        channels
    }

    /// What was done so far.
    pub(super) const fn counts(&self) -> FirstsCounts {
        self.counts
    }

    /// Lets the list's memory go after a storm.
    fn give_back(&mut self) {
        if self.list.is_empty() && self.list.capacity() > 1_024 {
            self.list = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        waiting: 4,
        list_len: 6,
        per_update: 3,
    };

    fn firsts(limits: Limits) -> Firsts {
        let mut firsts = Firsts::new(&Handler::default());
        firsts.limits = limits;
        firsts
    }

    fn add(firsts: &mut Firsts, now_ms: u64, channels: &str) {
        for channel in channels.split(' ') {
            firsts.add(now_ms, &Arc::from(channel));
        }
    }

    fn take(firsts: &mut Firsts, now_ms: u64) -> String {
        firsts.take(now_ms, |_| true).join(" ")
    }

    #[test]
    fn a_channel_is_due_a_second_after_its_first_subscription() {
        let mut firsts = firsts(LIMITS);
        add(&mut firsts, 5, "a");
        add(&mut firsts, 6, "b");
        assert!(!firsts.is_due(1_004));
        assert_eq!(take(&mut firsts, 1_004), "");
        assert_eq!(take(&mut firsts, 1_005), "a");
        assert_eq!(take(&mut firsts, 2_000), "b");
        assert_eq!(take(&mut firsts, 9_000), "");
        assert_eq!(firsts.counts().updated, 2);
    }

    #[test]
    fn a_message_holds_no_more_than_its_share() {
        let mut firsts = firsts(LIMITS);
        add(&mut firsts, 0, "a b c d");
        assert_eq!(take(&mut firsts, 1_000), "a b c");
        assert!(firsts.is_due(1_000));
        assert_eq!(take(&mut firsts, 1_000), "d");
    }

    #[test]
    fn of_too_many_the_oldest_go_before_their_time() {
        let mut firsts = firsts(LIMITS);
        add(&mut firsts, 0, "a b c d");
        assert!(!firsts.is_due(0));
        add(&mut firsts, 0, "e f");
        assert!(firsts.is_due(0));
        assert_eq!(take(&mut firsts, 0), "a b");
    }

    #[test]
    fn a_channel_beyond_the_list_is_counted_and_gets_no_update() {
        let mut firsts = firsts(LIMITS);
        add(&mut firsts, 0, "a b c d e f g");
        assert_eq!(firsts.counts().refused, 1);
        assert_eq!(take(&mut firsts, 1_000), "a b c");
        assert_eq!(take(&mut firsts, 1_000), "d e f");
    }

    #[test]
    fn a_channel_without_holds_is_left_out() {
        let mut firsts = firsts(LIMITS);
        add(&mut firsts, 0, "a b");
        let channels = firsts.take(1_000, |channel| channel == "b");
        assert_eq!(channels, [Arc::from("b")]);
        assert_eq!(firsts.counts().updated, 1);
    }

    #[test]
    fn when_it_is_not_wanted_nothing_is_kept() {
        let mut firsts = Firsts::new(&Handler {
            update_on_first_subscription: false,
            ..Handler::default()
        });
        add(&mut firsts, 0, "a");
        assert!(!firsts.is_due(9_000));
    }

    #[test]
    fn a_burst_of_channels_goes_in_few_messages_and_leaves_no_memory_behind() {
        let mut firsts = Firsts::new(&Handler::default());
        for number in 0..100_000 {
            firsts.add(0, &Arc::from(number.to_string()));
        }
        assert!(!firsts.is_due(999));
        let mut messages = 0;
        while firsts.is_due(1_000) {
            assert!(firsts.take(1_000, |_| true).len() <= CHANNELS_PER_UPDATE_MAX);
            messages += 1;
        }
        assert_eq!((messages, firsts.counts().updated), (25, 100_000));
        assert_eq!(firsts.list.capacity(), 0);
    }
}
