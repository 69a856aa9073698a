//! Rows with stable keys, in pages that come and go.
//!
//! A slab in one piece never gives its memory back. Here a page of [`PAGE_ROWS`] rows is allocated
//! when a row needs it and freed when its last row goes, and the lowest page with room is always
//! filled first, so that the high pages empty out after a storm. Memory of a page is touched only
//! as its rows are used.
//!
//! A freed page goes back to the allocator, which may sit on it: the io side must trim the
//! allocator after a storm if the system is to get it.
//!
//! A row costs nothing beside `T` when `T` has a niche (an enum or a `bool` will do) and a byte
//! beside it.

mod bits;

use std::mem;

use bits::Bits;

/// Rows in a page.
pub const PAGE_ROWS: usize = 256;

/// Key bits that select the row in its page.
const ROW_BITS: u32 = PAGE_ROWS.trailing_zeros();

/// A paged slab. Keys are small numbers and are used again after removal.
#[derive(Debug)]
pub struct Pages<T> {
    pages: Vec<Page<T>>,
    /// The pages of `pages` that have room.
    room: Bits,
    len: usize,
}

/// One page. Its free rows are a chain through the rows themselves, last freed first.
#[derive(Debug)]
struct Page<T> {
    /// The rows that were ever used; capacity is [`PAGE_ROWS`], or 0 when the page has no memory.
    slots: Vec<Slot<T>>,
    used: u16,
    /// First free row. Valid only when `used < slots.len()`: the chain is as long as the
    /// difference, so it needs no end mark and a link fits a byte.
    free: u8,
}

#[derive(Debug)]
enum Slot<T> {
    Used(T),
    /// Not in use; the next free row of the page.
    Free(u8),
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Pages<T> {
    /// No rows, no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pages: Vec::new(),
            room: Bits::new(),
            len: 0,
        }
    }

    /// Stores a row and answers its key. Amortised O(1).
    ///
    /// # Panics
    /// When all 2^32 keys are in use.
    pub fn insert(&mut self, row: T) -> u32 {
        let number = self.room.first().unwrap_or(self.pages.len());
        if number == self.pages.len() {
            self.pages.push(Page::new());
            self.room.set(number);
        }
        let key = key_of(number, 0);
        let Some(page) = self.pages.get_mut(number) else {
            return key;
        };
        let position = page.insert(row);
        if page.is_full() {
            self.room.clear(number);
        }
        self.len += 1;
        key | u32::from(position)
    }

    /// The key that the next [`Self::insert`] will answer.
    #[must_use]
    pub fn vacant_key(&self) -> u32 {
        let number = self.room.first().unwrap_or(self.pages.len());
        let position = self.pages.get(number).map_or(0, Page::vacant);
        key_of(number, position)
    }

    /// Takes a row out; frees its page when it was the last one there.
    pub fn remove(&mut self, key: u32) -> Option<T> {
        let (number, position) = split(key);
        let page = self.pages.get_mut(number)?;
        let row = page.remove(position)?;
        self.len -= 1;
        self.room.set(number);
        if page.used == 0 {
            *page = Page::new();
            self.trim();
        }
        Some(row)
    }

    /// The row of a key.
    #[must_use]
    pub fn get(&self, key: u32) -> Option<&T> {
        let (number, position) = split(key);
        match self.pages.get(number)?.slots.get(usize::from(position))? {
            Slot::Used(row) => Some(row),
            Slot::Free(_) => None,
        }
    }

    /// The row of a key, to change it.
    pub fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        let (number, position) = split(key);
        match self
            .pages
            .get_mut(number)?
            .slots
            .get_mut(usize::from(position))?
        {
            Slot::Used(row) => Some(row),
            Slot::Free(_) => None,
        }
    }

    /// How many rows are stored.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no row is stored.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All rows with their keys, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.pages.iter().enumerate().flat_map(|(number, page)| {
            let first = key_of(number, 0);
            (first..)
                .zip(&page.slots)
                .filter_map(|(key, slot)| match slot {
                    Slot::Used(row) => Some((key, row)),
                    Slot::Free(_) => None,
                })
        })
    }

    /// How many pages hold memory.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages.iter().filter(|page| page.used > 0).count()
    }

    /// Drops the directory's tail of pages without memory.
    fn trim(&mut self) {
        while self.pages.last().is_some_and(|page| page.used == 0) {
            self.pages.pop();
            self.room.clear(self.pages.len());
        }
        if self.pages.len() < self.pages.capacity() / 4 {
            self.pages.shrink_to(self.pages.len() * 2);
            self.room.shrink(self.pages.len() * 2);
        }
    }
}

impl<T> Page<T> {
    const fn new() -> Self {
        Self {
            slots: Vec::new(),
            used: 0,
            free: 0,
        }
    }

    const fn is_full(&self) -> bool {
        self.used as usize == PAGE_ROWS
    }

    /// Where the next row will go. Must not be asked of a full page.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a page that is not full has < 256 slots"
    )]
    const fn vacant(&self) -> u8 {
        if (self.used as usize) < self.slots.len() {
            self.free
        } else {
            self.slots.len() as u8
        }
    }

    fn insert(&mut self, row: T) -> u8 {
        let position = self.vacant();
        match self.slots.get_mut(usize::from(position)) {
            Some(slot) => {
                if let Slot::Free(next) = mem::replace(slot, Slot::Used(row)) {
                    self.free = next;
                }
            }
            None => {
                // The whole page at once: growing by steps would copy rows and strand the pieces.
                self.slots.reserve_exact(PAGE_ROWS - self.slots.len());
                self.slots.push(Slot::Used(row));
            }
        }
        self.used += 1;
        position
    }

    fn remove(&mut self, position: u8) -> Option<T> {
        let slot = self.slots.get_mut(usize::from(position))?;
        if matches!(slot, Slot::Free(_)) {
            return None;
        }
        let Slot::Used(row) = mem::replace(slot, Slot::Free(self.free)) else {
            return None;
        };
        self.free = position;
        self.used -= 1;
        Some(row)
    }
}

/// The key of a row in page `number`.
fn key_of(number: usize, position: u8) -> u32 {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    assert!(number <= u32::MAX >> ROW_BITS, "all keys are in use");
    number << ROW_BITS | u32::from(position)
}

/// Page and row of a key.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low byte is what is wanted"
)]
const fn split(key: u32) -> (usize, u8) {
    ((key >> ROW_BITS) as usize, key as u8)
}

#[cfg(test)]
mod tests;
