//! Counts messages that were lost or doubled.
//!
//! Every stream gets consecutive sequence numbers. A jump forward is a loss, a step back a double;
//! a message out of order is therefore counted as both, which it deserves.

/// What all streams together saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Messages that arrived, doubled ones included.
    pub(crate) received: u64,
    /// Messages that never arrived.
    pub(crate) lost: u64,
    /// Messages that arrived again or too late.
    pub(crate) doubled: u64,
    /// Lines that are no message of ours.
    pub(crate) foreign: u64,
    /// Streams that ended although nobody ended them.
    pub(crate) broken: u64,
}

impl Tally {
    /// Adds what another thread counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.foreign += other.foreign;
        self.broken += other.broken;
    }

    /// Whether everything arrived once and nothing else did.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.foreign == 0 && self.broken == 0
    }
}

/// One stream's place in the sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Track {
    next: u32,
}

impl Track {
    /// A stream that will see the messages from `next` on.
    pub(crate) fn from(next: u32) -> Self {
        Self { next }
    }

    /// Notes that message `seq` arrived.
    pub(crate) fn take(&mut self, seq: u32, tally: &mut Tally) {
        tally.received += 1;
        if seq < self.next {
            tally.doubled += 1;
            return;
        }
        tally.lost += u64::from(seq - self.next);
        self.next = seq.saturating_add(1);
    }

    /// Notes what never came, when `sent` messages have been published in all.
    pub(crate) fn finish(&mut self, sent: u32, tally: &mut Tally) {
        tally.lost += u64::from(sent.saturating_sub(self.next));
        self.next = self.next.max(sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(seqs: &[u32], sent: u32) -> Tally {
        let mut tally = Tally::default();
        let mut track = Track::from(0);
        for &seq in seqs {
            track.take(seq, &mut tally);
        }
        track.finish(sent, &mut tally);
        tally
    }

    #[test]
    fn a_full_sequence_is_clean() {
        let tally = tally_of(&[0, 1, 2, 3], 4);
        assert!(tally.is_clean());
        assert_eq!(tally.received, 4);
    }

    #[test]
    fn a_gap_is_counted_by_its_width() {
        assert_eq!(tally_of(&[0, 3], 4).lost, 2);
    }

    #[test]
    fn what_never_came_is_lost() {
        assert_eq!(tally_of(&[0, 1], 5).lost, 3);
        assert_eq!(tally_of(&[], 5).lost, 5);
    }

    #[test]
    fn a_repeated_message_is_doubled() {
        let tally = tally_of(&[0, 1, 1, 2], 3);
        assert_eq!((tally.lost, tally.doubled), (0, 1));
    }

    #[test]
    fn a_message_out_of_order_is_lost_and_doubled() {
        let tally = tally_of(&[1, 0], 2);
        assert_eq!((tally.lost, tally.doubled), (1, 1));
    }

    #[test]
    fn finishing_twice_counts_once() {
        let mut tally = Tally::default();
        let mut track = Track::from(0);
        track.finish(2, &mut tally);
        track.finish(2, &mut tally);
        assert_eq!(tally.lost, 2);
    }

    #[test]
    fn a_stream_that_joined_late_lost_nothing_from_before() {
        let mut tally = Tally::default();
        let mut track = Track::from(7);
        track.take(7, &mut tally);
        track.finish(8, &mut tally);
        assert!(tally.is_clean());
    }
}
