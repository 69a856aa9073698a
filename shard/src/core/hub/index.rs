//! Finds the entry of a (mode, channel name).
//!
//! Holds entry numbers only, no copies of names. Cut into parts, so that growing or shrinking at a
//! million channels stops the shard for the time of one part, not of all.

use ahash::RandomState;
use hashbrown::HashTable;

use super::Mode;

/// Number of parts: with a million channels, growing one part stops the shard for
/// 2 to 4 ms.
const PARTS: usize = 256;

/// A part that has room for no more than this is only shrunk when it is empty.
const PART_KEPT: usize = 16;

/// The index.
#[derive(Debug)]
pub(super) struct Index {
    parts: Vec<HashTable<u32>>,
    /// Seeded at random: who chooses channel names must not be able to choose collisions.
    seed: RandomState,
}

impl Index {
    pub(super) fn new() -> Self {
        let parts = (0..PARTS).map(|_| HashTable::new()).collect();
        Self {
            parts,
            seed: RandomState::new(),
        }
    }

    /// The hash of an entry's key, for the calls below.
    pub(super) fn hash(&self, mode: Mode, name: &str) -> u64 {
        hash(&self.seed, (mode, name))
    }

    /// The entry with this hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts
            .get(part(hash))?
            .find(hash, |entry| is_it(*entry))
            .copied()
    }

    /// Adds an entry that is not in the index. `key_of` tells the keys of other entries.
    pub(super) fn insert<'k>(
        &mut self,
        hash_of_entry: u64,
        entry: u32,
        key_of: impl Fn(u32) -> (Mode, &'k str),
    ) {
        let seed = &self.seed;
        if let Some(table) = self.parts.get_mut(part(hash_of_entry)) {
            table.insert_unique(hash_of_entry, entry, |other| hash(seed, key_of(*other)));
        }
    }

    /// Takes an entry out. `key_of` tells the keys of other entries.
    pub(super) fn remove<'k>(
        &mut self,
        hash_of_entry: u64,
        entry: u32,
        key_of: impl Fn(u32) -> (Mode, &'k str),
    ) {
        let Some(table) = self.parts.get_mut(part(hash_of_entry)) else {
            return;
        };
        if let Ok(found) = table.find_entry(hash_of_entry, |other| *other == entry) {
            found.remove();
        }
        let kept = if table.is_empty() { 0 } else { PART_KEPT };
        if table.capacity() > kept && table.len() < table.capacity() / 4 {
            let seed = &self.seed;
            table.shrink_to(table.len() * 2, |other| hash(seed, key_of(*other)));
        }
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(HashTable::allocation_size).sum()
    }
}

fn hash(seed: &RandomState, key: (Mode, &str)) -> u64 {
    seed.hash_one(key)
}

/// The part of a hash: from bits that the tables look at neither for the bucket nor for the tag.
const fn part(hash: u64) -> usize {
    (hash >> 48) as usize % PARTS
}
