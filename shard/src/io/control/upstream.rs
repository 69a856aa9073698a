//! What publishers on the SUB socket are to be told: a channel when its first subscriber comes, in
//! whatever mode and on whatever shard, and when it is known no more, lingering included (control.md
//! section 4.3 of the behaviour reference).
//!
//! Only the last word on a channel counts. So what waits is joined by channel, and there is never
//! more of it than there are channels, however far the ZeroMQ thread is behind.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::io::zeromq::Change;

/// Changes handed over at once.
const CHANGES_PER_BATCH_MAX: usize = 1_024;

/// Changes for which room is kept.
const ROOM_KEPT_MAX: usize = 4_096;

/// Changes that publishers have not been told yet.
#[derive(Debug)]
pub(super) struct Upstream {
    is_on: bool,
    pending: HashMap<Arc<str>, bool, RandomState>,
}

impl Upstream {
    /// Nothing to tell; and never anything if `is_on` is false.
    pub(super) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            pending: HashMap::default(),
        }
    }

    /// A channel has got its first subscriber, or is known no more. To be called in turns for each
    /// channel.
    pub(super) fn note(&mut self, channel: &Arc<str>, is_wanted: bool) {
        if !self.is_on {
            return;
        }
        match self.pending.entry(Arc::clone(channel)) {
            // Publishers do not know of the change before, so they need not know of either.
            Entry::Occupied(entry) if *entry.get() != is_wanted => {
                entry.remove();
            }
            Entry::Occupied(_) => debug_assert!(false, "{channel} was told twice"),
            Entry::Vacant(entry) => {
                entry.insert(is_wanted);
            }
        }
    }

    /// Takes changes to be told.
    pub(super) fn take(&mut self) -> Option<Vec<Change>> {
        if self.pending.is_empty() {
            if self.pending.capacity() > ROOM_KEPT_MAX {
                self.pending = HashMap::default();
            }
            return None;
        }
        let taken = self.pending.extract_if(|_, _| true);
        let taken = taken.take(CHANGES_PER_BATCH_MAX);
        Some(
            taken
                .map(|(channel, is_wanted)| Change { channel, is_wanted })
                .collect(),
        )
    }

    /// Takes back changes that found no room. Nothing may have been noted since they were taken.
    pub(super) fn put_back(&mut self, changes: Vec<Change>) {
        let changes = changes.into_iter();
        self.pending
            .extend(changes.map(|change| (change.channel, change.is_wanted)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(upstream: &mut Upstream) -> Vec<(String, bool)> {
        let changes = upstream.take().unwrap_or_default().into_iter();
        let mut changes: Vec<_> = changes
            .map(|change| (change.channel.to_string(), change.is_wanted))
            .collect();
        changes.sort();
        changes
    }

    fn name(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn each_channel_is_told_once_for_its_last_state() {
        let mut upstream = Upstream::new(true);
        upstream.note(&name("stays"), true);
        upstream.note(&name("flits"), true);
        upstream.note(&name("flits"), false);
        upstream.note(&name("goes"), false);
        let expected = [("goes".to_owned(), false), ("stays".to_owned(), true)];
        assert_eq!(taken(&mut upstream), expected);
        assert_eq!(taken(&mut upstream), []);
    }

    #[test]
    fn a_channel_that_comes_back_before_its_end_was_told_was_never_away() {
        let mut upstream = Upstream::new(true);
        upstream.note(&name("c"), false);
        upstream.note(&name("c"), true);
        assert_eq!(upstream.take(), None);
    }

    #[test]
    fn what_found_no_room_is_taken_again() {
        let mut upstream = Upstream::new(true);
        upstream.note(&name("c"), true);
        let changes = upstream.take().unwrap();
        upstream.put_back(changes);
        upstream.note(&name("d"), true);
        assert_eq!(taken(&mut upstream).len(), 2);
    }

    #[test]
    fn many_channels_go_in_batches_and_leave_no_memory_behind() {
        let mut upstream = Upstream::new(true);
        for number in 0..10_000 {
            upstream.note(&name(&number.to_string()), true);
        }
        let mut told = 0;
        while let Some(changes) = upstream.take() {
            assert!(changes.len() <= CHANGES_PER_BATCH_MAX);
            told += changes.len();
        }
        assert_eq!((told, upstream.pending.capacity()), (10_000, 0));
    }

    #[test]
    fn without_publishers_nothing_is_kept() {
        let mut upstream = Upstream::new(false);
        upstream.note(&name("c"), true);
        assert_eq!(upstream.take(), None);
    }
}
