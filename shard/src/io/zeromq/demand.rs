//! What listeners subscribe to, as an XPUB socket tells it.

/// What `conn` packets begin with.
const CONNECTIONS: &[u8] = b"conn ";

/// Counts the topics, and those that let `conn` packets through.
///
/// An XPUB socket tells each topic once when its first listener comes and once when its last one
/// has gone, so a number is all that must be kept.
#[derive(Debug, Default)]
pub(super) struct Topics {
    all: usize,
    matching: usize,
}

impl Topics {
    /// Takes a message of the socket: 1 or 0, then the topic. Others are ignored.
    pub(super) fn note(&mut self, message: &[u8]) {
        match message.first() {
            Some(1) => self.all += 1,
            Some(0) => self.all = self.all.saturating_sub(1),
            _ => {}
        }
        match message.split_first() {
            Some((1, topic)) if lets_through(topic) => self.matching += 1,
            Some((0, topic)) if lets_through(topic) => {
                self.matching = self.matching.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// Whether somebody listens to anything.
    pub(super) const fn wants_anything(&self) -> bool {
        self.all > 0
    }

    /// Whether somebody listens to `conn` packets.
    pub(super) const fn wants_connections(&self) -> bool {
        self.matching > 0
    }
}

/// Whether a listener to `topic` gets `conn` packets, or some of them: topics match prefixes.
fn lets_through(topic: &[u8]) -> bool {
    topic.starts_with(CONNECTIONS) || CONNECTIONS.starts_with(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_match_by_prefix_in_both_directions() {
        for (topic, expected) in [
            ("", true),
            ("c", true),
            ("conn", true),
            ("conn ", true),
            ("conn T", true),
            ("counts ", false),
            ("sub ", false),
            ("connection", false),
        ] {
            let mut topics = Topics::default();
            topics.note(format!("\u{1}{topic}").as_bytes());
            assert_eq!(topics.wants_connections(), expected, "{topic:?}");
        }
    }

    #[test]
    fn the_last_listener_who_leaves_ends_the_demand() {
        let mut topics = Topics::default();
        topics.note(b"\x01");
        topics.note(b"\x01conn ");
        topics.note(b"\x00");
        assert!(topics.wants_connections());
        topics.note(b"\x00conn ");
        assert!(!topics.wants_connections());
        topics.note(b"\x00conn ");
        topics.note(b"");
        assert!(!topics.wants_connections());
    }

    #[test]
    fn any_topic_is_a_demand_until_it_is_given_up() {
        let mut topics = Topics::default();
        assert!(!topics.wants_anything());
        topics.note(b"\x01sub ");
        assert!(topics.wants_anything());
        topics.note(b"\x00sub ");
        assert!(!topics.wants_anything());
    }
}
