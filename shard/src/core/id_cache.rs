//! Which items were seen a moment ago, so that one published twice is delivered once
//! (grip-http.md section 15.1 of the behaviour reference).
//!
//! An id is remembered with its channel for a fixed time from its first sight. The texts
//! themselves are compared, so nothing is taken for a double that is none. They lie end to end in
//! segments (`SEGMENT_LEN`) in the order of first sight, which is the order in which they expire:
//! an entry costs its text, a head of 16 bytes and a place in the index, and no allocation.

use std::collections::VecDeque;

use ahash::RandomState;
use hashbrown::HashTable;

/// Bytes of remembered entries, heads included: some three million ids of usual length. When an
/// id has no room, the oldest ones are forgotten before their time and counted.
pub const ENTRIES_LEN_MAX: usize = 128 << 20;

/// Bytes that are allocated at once; a longer entry gets a segment of its own.
const SEGMENT_LEN: usize = 64 << 10;

/// Outdated entries dropped for each id that is looked up. More than one, so that they go faster
/// than they come; few, so that no item pays for all of them.
const EXPIRED_PER_ID: usize = 4;

/// First sight, length of the channel, length of the id.
const HEAD_LEN: usize = 16;

/// Remembers ids. Once per process.
#[derive(Debug)]
pub struct IdCache {
    ttl_ms: u64,
    entries_len_max: usize,
    segments: VecDeque<Segment>,
    /// Number of the front segment; numbers go up and wrap.
    first: u32,
    entries_len: usize,
    index: HashTable<Place>,
    hasher: RandomState,
    forgotten_early: u64,
}

/// Entries end to end.
#[derive(Debug)]
struct Segment {
    bytes: Vec<u8>,
    /// Where its oldest entry begins.
    begin: usize,
}

/// Where an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    segment: u32,
    offset: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry<'c> {
    seen_ms: u64,
    channel: &'c [u8],
    id: &'c [u8],
}

impl IdCache {
    /// A cache that remembers ids for `ttl_ms` milliseconds; 0 turns it off.
    #[must_use]
    pub fn new(ttl_ms: u64) -> Self {
        Self::with_room(ttl_ms, ENTRIES_LEN_MAX)
    }

    fn with_room(ttl_ms: u64, entries_len_max: usize) -> Self {
        Self {
            ttl_ms,
            entries_len_max,
            segments: VecDeque::new(),
            first: 0,
            entries_len: 0,
            index: HashTable::new(),
            hasher: RandomState::new(),
            forgotten_early: 0,
        }
    }

    /// Whether this id was not seen on this channel within the time to live. It is remembered
    /// from now on; a double does not prolong that.
    pub fn is_new(&mut self, now_ms: u64, channel: &str, id: &str) -> bool {
        if self.ttl_ms == 0 {
            return true;
        }
        self.expire(now_ms, EXPIRED_PER_ID);
        let (channel, id) = (channel.as_bytes(), id.as_bytes());
        let hash = self.hasher.hash_one((channel, id));
        let found = self.index.find(hash, |place| {
            self.entry(*place)
                .is_some_and(|entry| entry.channel == channel && entry.id == id)
        });
        if let Some(place) = found.copied() {
            let entry = self.entry(place);
            if entry.is_some_and(|entry| !self.is_outdated(now_ms, entry.seen_ms)) {
                return false;
            }
            self.unlink(hash, place);
        }
        self.remember(hash, now_ms, channel, id);
        true
    }

    /// Forgets up to `max` outdated ids; answers whether there may be more. Only gives memory
    /// back: an outdated id is never taken for a double.
    pub fn expire(&mut self, now_ms: u64, max: usize) -> bool {
        for _ in 0..max {
            let oldest = self.oldest().and_then(|place| self.entry(place));
            if !oldest.is_some_and(|entry| self.is_outdated(now_ms, entry.seen_ms)) {
                return false;
            }
            self.drop_oldest();
        }
        true
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no id is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many ids were forgotten before their time, for want of room.
    #[must_use]
    pub const fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }

    const fn is_outdated(&self, now_ms: u64, seen_ms: u64) -> bool {
        now_ms.saturating_sub(seen_ms) >= self.ttl_ms
    }

    fn remember(&mut self, hash: u64, now_ms: u64, channel: &[u8], id: &[u8]) {
        // Texts of 4 GiB do not come in; should they ever, they are not remembered.
        let lengths = (u32::try_from(channel.len()), u32::try_from(id.len()));
        let (Ok(channel_len), Ok(id_len)) = lengths else {
            return;
        };
        let len = HEAD_LEN + channel.len() + id.len();
        while self.entries_len + len > self.entries_len_max && self.oldest().is_some() {
            self.drop_oldest();
            self.forgotten_early += 1;
        }
        let Some((place, bytes)) = self.room(len) else {
            return;
        };
        bytes.extend_from_slice(&now_ms.to_le_bytes());
        bytes.extend_from_slice(&channel_len.to_le_bytes());
        bytes.extend_from_slice(&id_len.to_le_bytes());
        bytes.extend_from_slice(channel);
        bytes.extend_from_slice(id);
        self.entries_len += len;
        let Self {
            segments,
            first,
            index,
            hasher,
            ..
        } = self;
        index.insert_unique(hash, place, |place| {
            entry_in(segments, *first, *place)
                .map_or(0, |entry| hasher.hash_one((entry.channel, entry.id)))
        });
    }

    /// The place of the next entry, of `len` bytes, and where to append it.
    fn room(&mut self, len: usize) -> Option<(Place, &mut Vec<u8>)> {
        let has_room = self
            .segments
            .back()
            .is_some_and(|last| last.bytes.capacity() - last.bytes.len() >= len);
        if !has_room {
            self.segments.push_back(Segment {
                bytes: Vec::with_capacity(len.max(SEGMENT_LEN)),
                begin: 0,
            });
        }
        let behind_first = u32::try_from(self.segments.len() - 1).ok()?;
        let segment = self.first.wrapping_add(behind_first);
        let bytes = &mut self.segments.back_mut()?.bytes;
        let offset = u32::try_from(bytes.len()).ok()?;
        Some((Place { segment, offset }, bytes))
    }

    fn oldest(&self) -> Option<Place> {
        let front = self.segments.front()?;
        Some(Place {
            segment: self.first,
            offset: u32::try_from(front.begin).ok()?,
        })
    }

    fn drop_oldest(&mut self) {
        let Some(place) = self.oldest() else {
            return;
        };
        let Some(entry) = self.entry(place) else {
            return;
        };
        let len = HEAD_LEN + entry.channel.len() + entry.id.len();
        let hash = self.hasher.hash_one((entry.channel, entry.id));
        self.unlink(hash, place);
        self.entries_len -= len;
        let Some(front) = self.segments.front_mut() else {
            return;
        };
        front.begin += len;
        if front.begin == front.bytes.len() {
            self.segments.pop_front();
            self.first = self.first.wrapping_add(1);
            self.give_back();
        }
    }

    /// Takes an entry out of the index, if it is still in it: an id that came again after its
    /// time has a newer entry.
    fn unlink(&mut self, hash: u64, place: Place) {
        if let Ok(found) = self.index.find_entry(hash, |other| *other == place) {
            found.remove();
        }
    }

    /// Lets the index shrink after a storm; by half at a time, so that it does not swing.
    fn give_back(&mut self) {
        if self.index.capacity() <= 1_024 || self.index.len() >= self.index.capacity() / 4 {
            return;
        }
        let Self {
            segments,
            first,
            index,
            hasher,
            ..
        } = self;
        index.shrink_to(index.len() * 2, |place| {
            entry_in(segments, *first, *place)
                .map_or(0, |entry| hasher.hash_one((entry.channel, entry.id)))
        });
    }

    fn entry(&self, place: Place) -> Option<Entry<'_>> {
        entry_in(&self.segments, self.first, place)
    }
}

/// Reads the entry at a place.
fn entry_in(segments: &VecDeque<Segment>, first: u32, place: Place) -> Option<Entry<'_>> {
    let behind_first = usize::try_from(place.segment.wrapping_sub(first)).ok()?;
    let segment = segments.get(behind_first)?;
    let bytes = segment.bytes.get(usize::try_from(place.offset).ok()?..)?;
    let (seen_ms, bytes) = bytes.split_first_chunk()?;
    let (channel_len, bytes) = bytes.split_first_chunk()?;
    let (id_len, bytes) = bytes.split_first_chunk()?;
    let channel_len = usize::try_from(u32::from_le_bytes(*channel_len)).ok()?;
    let id_len = usize::try_from(u32::from_le_bytes(*id_len)).ok()?;
    let (channel, bytes) = bytes.split_at_checked(channel_len)?;
    Some(Entry {
        seen_ms: u64::from_le_bytes(*seen_ms),
        channel,
        id: bytes.get(..id_len)?,
    })
}

#[cfg(test)]
mod tests;
