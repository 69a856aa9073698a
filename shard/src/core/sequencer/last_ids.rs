//! The last id of each channel, as many channels as there is room for: the one whose id was set
//! longest ago goes first.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;

use crate::core::pages::Pages;

/// Stands for no row in the chain of age.
const NONE: u32 = u32::MAX;

/// The table. An entry costs 40 bytes, its id, a place in the index, and the channel's name.
#[derive(Debug)]
pub(super) struct LastIds {
    rows: Pages<Row>,
    index: HashTable<u32>,
    hasher: RandomState,
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

impl LastIds {
    pub(super) fn new(channels_max: usize) -> Self {
        Self {
            rows: Pages::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
            oldest: NONE,
            newest: NONE,
            channels_max,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The channel's row; good until the channel is forgotten.
    pub(super) fn find(&self, channel: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(channel);
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

    /// Adds a channel that is not in the table; answers its row.
    pub(super) fn add(&mut self, channel: &Arc<str>, id: &str) -> u32 {
        if self.rows.len() >= self.channels_max {
            self.remove(self.oldest);
        }
        let key = self.rows.insert(Row {
            channel: Arc::clone(channel),
            id: Box::from(id.as_bytes()),
            older: NONE,
            newer: NONE,
        });
        self.link(key);
        let Self {
            rows,
            index,
            hasher,
            ..
        } = self;
        index.insert_unique(hasher.hash_one(&**channel), key, |key| {
            hash_of(rows, hasher, *key)
        });
        key
    }

    /// Forgets the channel of a row.
    pub(super) fn remove(&mut self, key: u32) {
        self.unlink(key);
        let Some(row) = self.rows.remove(key) else {
            return;
        };
        let hash = self.hasher.hash_one(&*row.channel);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == key) {
            entry.remove();
        }
        self.give_back();
    }

    /// Forgets all channels.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.channels_max);
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
    fn give_back(&mut self) {
        if self.index.capacity() > 1_024 && self.index.len() < self.index.capacity() / 4 {
            let Self {
                rows,
                index,
                hasher,
                ..
            } = self;
            index.shrink_to(index.len() * 2, |key| hash_of(rows, hasher, *key));
        }
    }
}

fn hash_of(rows: &Pages<Row>, hasher: &RandomState, key: u32) -> u64 {
    rows.get(key)
        .map_or(0, |row| hasher.hash_one(&*row.channel))
}
