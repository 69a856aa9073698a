//! The subscribers of one entry: one lies inside the entry, more in a vector.

use super::Subscriber;

/// The list. Its order is the hub's business.
#[derive(Debug, Default)]
pub(super) enum List {
    /// Nobody.
    #[default]
    None,
    /// One, as in a channel of one's own: no memory beside the entry.
    One(Subscriber),
    /// More than one.
    Many(Vec<Subscriber>),
}

impl List {
    pub(super) fn as_slice(&self) -> &[Subscriber] {
        match self {
            Self::None => &[],
            Self::One(subscriber) => std::slice::from_ref(subscriber),
            Self::Many(subscribers) => subscribers,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Subscriber] {
        match self {
            Self::None => &mut [],
            Self::One(subscriber) => std::slice::from_mut(subscriber),
            Self::Many(subscribers) => subscribers,
        }
    }

    /// Number of subscribers.
    pub(super) fn len(&self) -> u32 {
        // A shard has fewer than 2^32 connections, so only a bug could get here with more.
        u32::try_from(self.as_slice().len()).unwrap_or(u32::MAX)
    }

    /// The subscriber at an index.
    pub(super) fn at(&self, index: u32) -> Option<Subscriber> {
        self.as_slice().get(index as usize).copied()
    }

    /// Replaces the subscriber at an index that is in the list.
    pub(super) fn put(&mut self, index: u32, subscriber: Subscriber) {
        if let Some(place) = self.as_mut_slice().get_mut(index as usize) {
            *place = subscriber;
        }
    }

    /// Adds one at the end.
    pub(super) fn push(&mut self, subscriber: Subscriber) {
        match self {
            Self::None => *self = Self::One(subscriber),
            Self::One(first) => *self = Self::Many(vec![*first, subscriber]),
            Self::Many(subscribers) => subscribers.push(subscriber),
        }
    }

    /// Drops the last one, and memory when much more is held than used.
    pub(super) fn pop(&mut self) {
        let Self::Many(subscribers) = self else {
            *self = Self::None;
            return;
        };
        subscribers.pop();
        if let [last] = subscribers.as_slice() {
            *self = Self::One(*last);
        } else if subscribers.len() < subscribers.capacity() / 4 {
            subscribers.shrink_to(subscribers.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_its_memory_back_as_it_gets_shorter() {
        let mut list = List::default();
        for conn in 0..10_000 {
            list.push(Subscriber { conn, slot: 0 });
        }
        for len in (0..10_000).rev() {
            list.pop();
            assert_eq!(list.len(), len);
            if let List::Many(subscribers) = &list {
                assert!(subscribers.capacity() <= 8 * subscribers.len());
            }
        }
        assert!(matches!(list, List::None));
    }
}
