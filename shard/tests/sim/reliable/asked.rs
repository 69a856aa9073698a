//! What a request to a backend asks for: everything is in its URL, so that several clients may have
//! the same, and in its `Grip-Last` fields.

use crate::reader::Message;

use super::log::Filters;

/// A channel of a request, and the id of the last item that the client has of it.
pub(crate) type Position = (usize, Option<usize>);

/// What all requests of one client have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) user: usize,
    pub(crate) filters: Filters,
    /// Seconds of a response hold, or of a next link.
    pub(crate) timeout_s: usize,
    pub(crate) has_gone_link: bool,
    /// Backends leave out what filters would drop.
    pub(crate) is_filtering: bool,
    pub(crate) has_keep_alive: bool,
    /// Next links lead to another host: 1 by name, 2 by address.
    pub(crate) elsewhere: usize,
    /// Makes the URL another one than everybody else's.
    pub(crate) tag: usize,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) channels: Vec<Position>,
    /// Channels that a stream does not follow for a while.
    pub(crate) parked: Vec<Position>,
    pub(crate) wishes: Wishes,
    /// `Pub-Meta`, of a filter's question.
    pub(crate) pub_meta: String,
    pub(crate) content: Vec<u8>,
}

impl Message {
    /// The values of its `Grip-Last` fields.
    pub(crate) fn lasts(&self) -> Vec<&str> {
        let lines = self.fields.iter();
        let lasts = lines.filter(|(name, _)| name.eq_ignore_ascii_case("Grip-Last"));
        lasts.map(|(_, value)| value.as_str()).collect()
    }
}

impl Wishes {
    /// The URL of a request.
    pub(crate) fn target(self, path: &str, channels: &[Position], parked: &[Position]) -> String {
        format!(
            "{path}?c={}&p={}&u={}&f={}&t={}&g={}&b={}&k={}&e={}&x={}",
            positions(channels),
            positions(parked),
            self.user,
            self.filters.number(),
            self.timeout_s,
            usize::from(self.has_gone_link),
            usize::from(self.is_filtering),
            usize::from(self.has_keep_alive),
            self.elsewhere,
            self.tag
        )
    }
}

impl Asked {
    pub(crate) fn read(message: &Message) -> Self {
        let (path, query) = message.target().split_once('?').unwrap_or_default();
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(n, _)| *n == name)
                .map_or("", |(_, value)| value)
        };
        let number = |name: &str| value(name).parse().unwrap_or(0);
        let mut asked = Self {
            path: path.to_owned(),
            channels: read_positions(value("c")),
            parked: read_positions(value("p")),
            wishes: Wishes {
                user: number("u"),
                filters: Filters::of_number(number("f")),
                timeout_s: number("t"),
                has_gone_link: number("g") > 0,
                is_filtering: number("b") > 0,
                has_keep_alive: number("k") > 0,
                elsewhere: number("e"),
                tag: number("x"),
            },
            pub_meta: message.field("Pub-Meta").unwrap_or_default().to_owned(),
            content: message.content.clone(),
        };
        asked.heed_last(message);
        asked
    }

    /// What a hold has got by items counts, unless the URL is newer: that of a link behind an
    /// answer without a hold is.
    fn heed_last(&mut self, message: &Message) {
        for value in message.lasts() {
            let (name, id) = value.split_once("; last-id=").expect("Grip-Last");
            let channel: usize = name.strip_prefix('c').unwrap().parse().unwrap();
            let id: usize = id.parse().unwrap();
            if let Some(position) = self.channels.iter_mut().find(|(c, _)| *c == channel) {
                position.1 = position.1.max(Some(id));
            }
        }
    }
}

/// Without commas, which would end a link.
fn positions(list: &[Position]) -> String {
    let texts: Vec<String> = list
        .iter()
        .map(|(channel, id)| match id {
            Some(id) => format!("{channel}-{id}"),
            None => channel.to_string(),
        })
        .collect();
    texts.join(".")
}

fn read_positions(text: &str) -> Vec<Position> {
    let all = text.split('.').filter(|text| !text.is_empty());
    all.map(|text| match text.split_once('-') {
        Some((channel, id)) => (channel.parse().unwrap(), Some(id.parse().unwrap())),
        None => (text.parse().unwrap(), None),
    })
    .collect()
}
