//! Asks the shards which connections are alive, by the ids that the stats stream gives them.
//!
//! An id names its row, so each look costs the shard next to nothing, and nobody has to keep a
//! table of all connections for it.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

/// A client connection, unique within the process for as long as it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// Index of its shard.
    pub shard: u16,
    /// Its row there.
    pub key: u32,
    /// Which connection of the shard.
    pub serial: u32,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.shard, self.key, self.serial)
    }
}

impl ConnectionId {
    /// Reads what [`fmt::Display`] writes; nothing else is an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let id = Self {
            shard: u16::from_str_radix(parts.next()?, 16).ok()?,
            key: u32::from_str_radix(parts.next()?, 16).ok()?,
            serial: u32::from_str_radix(parts.next()?, 16).ok()?,
        };
        // Other spellings of the same numbers were never given out.
        (parts.next().is_none() && id.to_string() == text).then_some(id)
    }
}

/// The question; every shard answers for its own connections.
#[derive(Debug)]
pub struct ConnectionCheck {
    ids: Vec<ConnectionId>,
    alive: Sender<Vec<ConnectionId>>,
}

impl ConnectionCheck {
    /// A question to so many shards, and where their answers arrive: one of each.
    #[must_use]
    pub fn new(ids: Vec<ConnectionId>, shards: usize) -> (Arc<Self>, Receiver<Vec<ConnectionId>>) {
        let (alive, answers) = bounded(shards);
        (Arc::new(Self { ids, alive }), answers)
    }

    /// Answers for one shard.
    pub fn answer(&self, shard: u16, is_alive: impl Fn(&ConnectionId) -> bool) {
        let own = self.ids.iter().filter(|id| id.shard == shard);
        let alive = own.filter(|id| is_alive(id)).copied().collect();
        // There is room for an answer of every shard; whoever asked may have given up.
        let _ = self.alive.try_send(alive);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnectionId = ConnectionId {
        shard: 1,
        key: 0xab,
        serial: 7,
    };

    #[test]
    fn ids_are_read_as_they_are_written() {
        assert_eq!(ID.to_string(), "1-ab-7");
        assert_eq!(ConnectionId::parse("1-ab-7"), Some(ID));
        for text in [
            "", "1-ab", "1-ab-7-0", "1-AB-7", "01-ab-7", "+1-ab-7", "1-ab-x",
        ] {
            assert_eq!(ConnectionId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_shard_answers_for_its_own_connections_only() {
        let other = ConnectionId { shard: 2, ..ID };
        let (check, answers) = ConnectionCheck::new(vec![ID, other], 2);
        check.answer(1, |_| true);
        check.answer(2, |_| false);
        let alive: Vec<_> = answers.try_iter().flatten().collect();
        assert_eq!(alive, [ID]);
    }
}
