//! One stripe: the last ids of its channels, as many as there is room for. The one whose id was
//! set longest ago goes first.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;

use crate::core::pages::Pages;

/// Stands for no row in the chain of age.
const NONE: u32 = u32::MAX;

/// The rows. Hashes of channels are the caller's, always by the same `hasher`.
#[derive(Debug)]
pub(super) struct Table {
    rows: Pages<Row>,
    index: HashTable<u32>,
    oldest: u32,
    newest: u32,
    channels_max: usize,
}

#[derive(Debug)]
struct Row {
    channel: Arc<str>,
    id: Box<[u8]>,
    older: u32,
    newer: u32,
}

impl Table {
    pub(super) const fn new(channels_max: usize) -> Self {
        Self {
            rows: Pages::new(),
            index: HashTable::new(),
            oldest: NONE,
            newest: NONE,
            channels_max,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn channels_max(&self) -> usize {
        self.channels_max
    }

    /// Whether a channel is forgotten for the next one that is added.
    pub(super) const fn is_full(&self) -> bool {
        self.rows.len() >= self.channels_max
    }

    /// The channel's row; good until the channel is forgotten.
    pub(super) fn find(&self, hash: u64, channel: &str) -> Option<u32> {
        let is_row = |key: &u32| {
            self.rows
                .get(*key)
                .is_some_and(|row| &*row.channel == channel)
        };
        self.index.find(hash, is_row).copied()
    }

    /// The last id in a row.
    pub(super) fn id(&self, key: u32) -> Option<&[u8]> {
        self.rows.get(key).map(|row| &*row.id)
    }

    /// Sets the last id in a row, which is the newest from now on.
    pub(super) fn set(&mut self, key: u32, id: &str) {
        if self.newest != key {
            self.unlink(key);
            self.link(key);
        }
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        // Ids of a channel mostly have one length: nothing is allocated then.
        if row.id.len() == id.len() {
            row.id.copy_from_slice(id.as_bytes());
        } else {
            row.id = Box::from(id.as_bytes());
        }
    }

    /// Adds a channel that is not in the table.
    pub(super) fn add(&mut self, hasher: &RandomState, hash: u64, channel: &Arc<str>, id: &str) {
        if self.is_full() {
            self.remove_oldest(hasher);
        }
        let key = self.rows.insert(Row {
            channel: Arc::clone(channel),
            id: Box::from(id.as_bytes()),
            older: NONE,
            newer: NONE,
        });
        self.link(key);
        let Self { rows, index, .. } = self;
        index.insert_unique(hash, key, |key| hash_of(rows, hasher, *key));
    }

    /// Forgets the channel of a row.
    pub(super) fn remove(&mut self, hasher: &RandomState, hash: u64, key: u32) {
        self.unlink(key);
        if self.rows.remove(key).is_none() {
            return;
        }
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == key) {
            entry.remove();
        }
        self.give_back(hasher);
    }

    fn remove_oldest(&mut self, hasher: &RandomState) {
        let hash = hash_of(&self.rows, hasher, self.oldest);
        self.remove(hasher, hash, self.oldest);
    }

    /// Appends a row to the chain of age.
    fn link(&mut self, key: u32) {
        let newest = std::mem::replace(&mut self.newest, key);
        if let Some(row) = self.rows.get_mut(key) {
            (row.older, row.newer) = (newest, NONE);
        }
        match self.rows.get_mut(newest) {
            Some(row) => row.newer = key,
            None => self.oldest = key,
        }
    }

    fn unlink(&mut self, key: u32) {
        let Some(row) = self.rows.get(key) else {
            return;
        };
        let (older, newer) = (row.older, row.newer);
        match self.rows.get_mut(older) {
            Some(row) => row.newer = newer,
            None => self.oldest = newer,
        }
        match self.rows.get_mut(newer) {
            Some(row) => row.older = older,
            None => self.newest = older,
        }
    }

    /// Lets the index shrink after a storm; by half at a time, so that it does not swing.
    fn give_back(&mut self, hasher: &RandomState) {
        if self.index.capacity() > 1_024 && self.index.len() < self.index.capacity() / 4 {
            let Self { rows, index, .. } = self;
            index.shrink_to(index.len() * 2, |key| hash_of(rows, hasher, *key));
        }
    }
}

fn hash_of(rows: &Pages<Row>, hasher: &RandomState, key: u32) -> u64 {
    rows.get(key)
        .map_or(0, |row| hasher.hash_one(&*row.channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_40_bytes() {
        assert_eq!(size_of::<Row>(), 40);
    }
}
