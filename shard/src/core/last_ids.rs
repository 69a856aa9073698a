//! The last id of each channel (grip-http.md section 15.2 of the behaviour reference): the id of
//! the item that was released last. Once per process, and the only table that threads share.
//!
//! The sequencer writes it as it releases. A shard looks into it only when a hold begins that
//! names a position: whether the channel has got further must be known at once and exactly, or the
//! hold would wait for what it has missed. A hold without a position never touches it.
//!
//! Channels are spread over stripes by the hash of their name, each with a lock that is held for
//! one look or one change, never across another lock, an allocation of many entries, or a wait.
//!
//! There is room for a fixed number of channels, shared out evenly among the stripes. For one
//! more, the channel of the same stripe whose id was set longest ago is forgotten. An unknown last
//! id holds up nothing and conflicts with nothing. An entry costs 40 bytes, its id, a place in the
//! index, and the channel's name.

mod table;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
#[expect(
    clippy::disallowed_types,
    reason = "read only when a hold with a position begins, never on the way of an item to a client"
)]
use std::sync::{Mutex, MutexGuard, PoisonError};

use ahash::RandomState;

use table::Table;

/// Channels whose last id is known. For one more, another is forgotten: its next item does not
/// wait.
pub const LAST_IDS_MAX: usize = 1_000_000;

/// Stripes of a table; more shards than this rarely meet in one.
const STRIPES: usize = 16;

/// A table with fewer channels than this for each stripe has one stripe: it forgets strictly in
/// the order of age.
const CHANNELS_PER_STRIPE_MIN: usize = 1_024;

#[expect(clippy::disallowed_types, reason = "see the import")]
type Stripe = Mutex<Table>;

/// The table.
pub struct LastIds {
    first: Stripe,
    others: Box<[Stripe]>,
    hasher: RandomState,
    /// Channels over all stripes. Relaxed: it only saves looks and shows in metrics. Raised before
    /// a channel is added and lowered after one is gone, so that it never falls below what is there.
    len: AtomicUsize,
}

impl fmt::Debug for LastIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastIds")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Default for LastIds {
    /// A table for [`LAST_IDS_MAX`] channels.
    fn default() -> Self {
        Self::new(LAST_IDS_MAX)
    }
}

impl LastIds {
    /// An empty table with room for `channels_max` channels, at least one. It takes no memory to
    /// speak of.
    #[must_use]
    pub fn new(channels_max: usize) -> Self {
        let stripes = if channels_max < STRIPES * CHANNELS_PER_STRIPE_MIN {
            1
        } else {
            STRIPES
        };
        let share = channels_max.div_ceil(stripes).max(1);
        let stripe = || Stripe::new(Table::new(share));
        Self {
            first: stripe(),
            others: (1..stripes).map(|_| stripe()).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
        }
    }

    /// The last id of a channel, if it is known.
    #[must_use]
    pub fn get(&self, channel: &str) -> Option<Box<str>> {
        let hash = self.hasher.hash_one(channel);
        let table = self.lock(hash);
        let id = table.id(table.find(hash, channel)?)?;
        std::str::from_utf8(id).ok().map(Box::from)
    }

    /// Whether a channel's last id is known and is another one than `id`.
    #[must_use]
    pub fn conflicts(&self, channel: &str, id: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let hash = self.hasher.hash_one(channel);
        let table = self.lock(hash);
        let last_id = table.find(hash, channel).and_then(|key| table.id(key));
        last_id.is_some_and(|last_id| last_id != id.as_bytes())
    }

    /// Forgets a channel: a client's position did not fit it, or nobody listens any more.
    pub fn forget(&self, channel: &str) {
        if self.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one(channel);
        let mut table = self.lock(hash);
        if let Some(key) = table.find(hash, channel) {
            table.remove(&self.hasher, hash, key);
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Forgets all channels, stripe by stripe.
    pub fn clear(&self) {
        for stripe in std::iter::once(&self.first).chain(&self.others) {
            let mut table = self.guard(stripe);
            let empty = Table::new(table.channels_max());
            let old = std::mem::replace(&mut *table, empty);
            self.len.fetch_sub(old.len(), Ordering::Relaxed);
            // Freeing may take a while: not under the lock.
            drop(table);
            drop(old);
        }
    }

    /// How many channels are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether no channel is known. Takes no lock.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks whether an item that follows `prev_id` may be released now and, if so, makes `id` the
    /// last id of its channel, in one step; without an id the channel is forgotten. False, and
    /// nothing is changed: the channel's last id is known and is not `prev_id`.
    pub(super) fn advance(
        &self,
        channel: &Arc<str>,
        prev_id: Option<&str>,
        id: Option<&str>,
    ) -> bool {
        let hash = self.hasher.hash_one(&**channel);
        let mut table = self.lock(hash);
        let key = table.find(hash, channel);
        let last_id = key.and_then(|key| table.id(key));
        if let (Some(last_id), Some(prev_id)) = (last_id, prev_id)
            && last_id != prev_id.as_bytes()
        {
            return false;
        }
        match (key, id) {
            (Some(key), Some(id)) => table.set(key, id),
            (Some(key), None) => {
                table.remove(&self.hasher, hash, key);
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
            (None, Some(id)) => {
                // In a full table another one is forgotten for it.
                if !table.is_full() {
                    self.len.fetch_add(1, Ordering::Relaxed);
                }
                table.add(&self.hasher, hash, channel, id);
            }
            (None, None) => {}
        }
        true
    }

    /// The stripe of a channel with this hash.
    fn lock(&self, hash: u64) -> MutexGuard<'_, Table> {
        // The tables use the lowest and the highest bits themselves.
        let middle = usize::try_from((hash >> 32) & 0xFFFF).unwrap_or(0);
        let number = middle % (self.others.len() + 1);
        self.guard(self.others.get(number).unwrap_or(&self.first))
    }

    /// Locks a stripe. One whose holder panicked may be half changed and is emptied: what is not
    /// known does no harm.
    fn guard<'t>(&self, stripe: &'t Stripe) -> MutexGuard<'t, Table> {
        stripe.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut table = poisoned.into_inner();
            let empty = Table::new(table.channels_max());
            let old = std::mem::replace(&mut *table, empty);
            self.len.fetch_sub(old.len(), Ordering::Relaxed);
            stripe.clear_poison();
            table
        })
    }
}

#[cfg(test)]
mod tests;
