//! The messages that exist, for polls that say how far they are.

use super::desk::number;
use crate::client::requester::CONTENT_KEPT_MAX;
use crate::message::{self, Stamp};

/// Messages that are kept at most: more than a run of the longest kind publishes.
const MESSAGES_MAX: usize = 1_000_000;

/// Numbered messages from 1 on; what they say is made anew for each answer.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    sent_ns: Vec<u64>,
    size: usize,
    held: u64,
}

impl Shelf {
    /// The number of the newest message; 0 when there is none.
    pub(super) fn newest(&self) -> u32 {
        u32::try_from(self.sent_ns.len()).unwrap_or(u32::MAX)
    }

    /// Polls held since the newest message came.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Takes a new message, `seq=N&sent_ns=T&size=S`; false when it is not the next one.
    pub(super) fn put(&mut self, query: &str) -> bool {
        let parts = (
            number(query, "seq"),
            number(query, "sent_ns"),
            number(query, "size"),
        );
        let (Some(seq), Some(sent_ns), Some(size)) = parts else {
            return false;
        };
        if seq != u64::from(self.newest()) + 1 || self.sent_ns.len() >= MESSAGES_MAX {
            return false;
        }
        self.sent_ns.push(sent_ns);
        self.size = usize::try_from(size).unwrap_or(0).min(message::SIZE_MAX);
        self.held = 0;
        true
    }

    /// What a client that has everything up to `last` has missed; `None` when that is nothing,
    /// and its poll is held. The rest waits for the next poll when it is too much for one answer.
    pub(super) fn missed(&mut self, last: u32) -> Option<Vec<u8>> {
        if last >= self.newest() {
            self.held += 1;
            return None;
        }
        let first = usize::try_from(last).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        for (seq, &sent_ns) in (last + 1..).zip(self.sent_ns.get(first..).unwrap_or_default()) {
            if !out.is_empty() && out.len() + self.size > CONTENT_KEPT_MAX {
                break;
            }
            message::write(&mut out, Stamp { seq, sent_ns }, self.size);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf_of(count: u32, size: usize) -> Shelf {
        let mut shelf = Shelf::default();
        for seq in 1..=count {
            assert!(shelf.put(&format!("seq={seq}&sent_ns={}&size={size}", seq * 10)));
        }
        shelf
    }

    fn seqs(content: &[u8]) -> Vec<u32> {
        let lines = content.split(|&byte| byte == b'\n');
        lines
            .filter_map(message::parse)
            .map(|stamp| stamp.seq)
            .collect()
    }

    #[test]
    fn a_client_that_has_all_is_held_and_counted() {
        let mut shelf = shelf_of(3, 100);
        assert_eq!(shelf.missed(3), None);
        assert_eq!(shelf.missed(3), None);
        assert_eq!(shelf.held(), 2);
        assert!(shelf.put("seq=4&sent_ns=1&size=100"));
        assert_eq!(shelf.held(), 0);
    }

    #[test]
    fn a_client_that_is_behind_gets_what_it_missed_in_order() {
        let mut shelf = shelf_of(5, 100);
        assert_eq!(seqs(&shelf.missed(2).unwrap()), [3, 4, 5]);
        assert_eq!(seqs(&shelf.missed(0).unwrap()), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_answer_is_no_longer_than_a_client_reads_but_has_one_message() {
        let mut shelf = shelf_of(50, 100);
        let content = shelf.missed(0).unwrap();
        assert_eq!(seqs(&content), (1..=10).collect::<Vec<_>>());
        assert!(content.len() <= CONTENT_KEPT_MAX);
        assert_eq!(seqs(&shelf_of(3, 2_000).missed(0).unwrap()), [1]);
    }

    #[test]
    fn only_the_next_message_is_taken() {
        let mut shelf = shelf_of(2, 100);
        for query in ["seq=2&sent_ns=1&size=100", "seq=4&sent_ns=1&size=100", ""] {
            assert!(!shelf.put(query), "{query}");
        }
        assert_eq!(shelf.newest(), 2);
    }
}
