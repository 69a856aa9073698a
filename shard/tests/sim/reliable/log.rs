//! What backends know: the items of each channel, in order. They write them down before they
//! publish them.

use crate::random::Random;

/// Channels of the world.
pub(crate) const CHANNELS: usize = 3;

/// Users that clients and authors of items are.
pub(crate) const USERS: usize = 3;

/// What an item is to the holds of one mode, as it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Send,
    Hint,
    /// Ends streams; long-polls do not care.
    Close,
    Nothing,
}

/// Filters of a client, on all of its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Filters {
    pub(crate) skip_self: bool,
    pub(crate) skip_users: bool,
    pub(crate) check: bool,
    pub(crate) modify: bool,
    pub(crate) subst: bool,
}

/// One item, as it was written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    stream: Form,
    response: Form,
    sender: Option<usize>,
    skipped_user: Option<usize>,
    /// Backends tell filters to drop it.
    is_refused: bool,
    is_no_seq: bool,
    padding: usize,
}

/// All items; the id of an item is its place in its channel, counted from 1.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) channels: [Vec<Entry>; CHANNELS],
}

impl Filters {
    pub(crate) fn random(random: &mut Random) -> Self {
        Self::of_number(random.pick(&[0, 0, 0, 1, 1, 2, 3, 4, 8, 16, 5, 20, 31]))
    }

    pub(crate) const fn of_number(bits: usize) -> Self {
        Self {
            skip_self: bits & 1 > 0,
            skip_users: bits & 2 > 0,
            check: bits & 4 > 0,
            modify: bits & 8 > 0,
            subst: bits & 16 > 0,
        }
    }

    pub(crate) fn number(self) -> usize {
        let bits = [
            self.skip_self,
            self.skip_users,
            self.check,
            self.modify,
            self.subst,
        ];
        let bits = bits.into_iter().enumerate();
        bits.map(|(place, is_set)| usize::from(is_set) << place)
            .sum()
    }

    pub(crate) fn names(self) -> Vec<&'static str> {
        let all = [
            (self.skip_self, "skip-self"),
            (self.skip_users, "skip-users"),
            (self.check, "http-check"),
            (self.modify, "http-modify"),
            (self.subst, "var-subst"),
        ];
        let wanted = all.into_iter().filter(|(is_wanted, _)| *is_wanted);
        wanted.map(|(_, name)| name).collect()
    }
}

impl Entry {
    fn random(random: &mut Random) -> Self {
        use Form::{Close, Hint, Nothing, Send};
        Self {
            stream: random.pick(&[
                Send, Send, Send, Send, Send, Send, Send, Send, Hint, Nothing, Close,
            ]),
            response: random.pick(&[
                Send, Send, Send, Send, Send, Send, Send, Send, Hint, Nothing,
            ]),
            sender: random.chance(50).then(|| random.below(USERS)),
            skipped_user: random.chance(20).then(|| random.below(USERS)),
            is_refused: random.chance(15),
            is_no_seq: random.chance(5),
            padding: random.pick(&[0, 0, 0, 5, 100, 700]),
        }
    }

    /// An item that every hold takes.
    fn plain() -> Self {
        Self {
            stream: Form::Send,
            response: Form::Send,
            sender: None,
            skipped_user: None,
            is_refused: false,
            is_no_seq: false,
            padding: 0,
        }
    }

    /// Whether filters keep it from a user, so that who does not get it misses nothing.
    fn may_be_dropped(&self, user: usize, filters: Filters) -> bool {
        let is_own = filters.skip_self && self.sender == Some(user);
        let is_skipped = filters.skip_users && self.skipped_user == Some(user);
        let is_refused = (filters.check || filters.modify) && self.is_refused;
        is_own || is_skipped || is_refused
    }

    fn meta(&self) -> String {
        let mut pairs = Vec::new();
        pairs.extend(self.sender.map(|user| format!("\"sender\":\"u{user}\"")));
        let skipped = self.skipped_user;
        pairs.extend(skipped.map(|user| format!("\"skip_users\":\"nobody, u{user}\"")));
        if self.is_refused {
            pairs.push("\"verdict\":\"refused\"".to_owned());
        }
        pairs.join(",")
    }
}

impl Log {
    /// Writes a new item down. `is_for_all`: it means something to both modes, and is one that
    /// holds can conflict with, so that nobody has to wait for the next item to learn of it.
    pub(crate) fn append(&mut self, channel: usize, is_for_all: bool, random: &mut Random) {
        let mut entry = Entry::random(random);
        entry.is_no_seq &= !is_for_all;
        for form in [&mut entry.stream, &mut entry.response] {
            if is_for_all && *form == Form::Nothing {
                *form = Form::Send;
            }
        }
        self.channels[channel].push(entry);
    }

    /// Writes down one that every hold takes.
    pub(crate) fn append_plain(&mut self, channel: usize) {
        self.channels[channel].push(Entry::plain());
    }

    pub(crate) fn len(&self, channel: usize) -> usize {
        self.channels[channel].len()
    }

    /// The item as clients see it.
    pub(crate) fn text(&self, channel: usize, id: usize) -> String {
        let padding = self.channels[channel][id - 1].padding;
        format!("[c{channel}#{id}|{}]", "x".repeat(padding))
    }

    /// The item as it is published.
    pub(crate) fn published(&self, prefix: &str, channel: usize, id: usize) -> String {
        let entry = &self.channels[channel][id - 1];
        let text = self.text(channel, id);
        let mut formats = String::new();
        match entry.stream {
            Form::Send => formats.push_str(&format!(",\"http-stream\":{{\"content\":\"{text}\"}}")),
            Form::Hint => formats.push_str(",\"http-stream\":{\"action\":\"hint\"}"),
            Form::Close => formats.push_str(",\"http-stream\":{\"action\":\"close\"}"),
            Form::Nothing => {}
        }
        match entry.response {
            Form::Send => formats.push_str(&format!(",\"http-response\":{{\"body\":\"{text}\"}}")),
            Form::Hint => formats.push_str(",\"http-response\":{\"action\":\"hint\"}"),
            Form::Close | Form::Nothing => {}
        }
        if formats.is_empty() {
            formats.push_str(",\"ws-message\":{\"content\":\"to nobody here\"}");
        }
        let no_seq = if entry.is_no_seq {
            ",\"no-seq\":true"
        } else {
            ""
        };
        format!(
            "{{\"channel\":\"{prefix}c{channel}\",\"id\":\"{id}\",\"prev-id\":\"{}\"{no_seq},\
             \"meta\":{{{}}}{formats}}}",
            id - 1,
            entry.meta()
        )
    }

    /// Whether somebody with these filters has all there is between two places.
    pub(crate) fn may_skip(
        &self,
        channel: usize,
        between: std::ops::Range<usize>,
        user: usize,
        filters: Filters,
    ) -> bool {
        let mut skipped = self.channels[channel][between].iter();
        skipped.all(|entry| entry.may_be_dropped(user, filters))
    }

    /// The items behind `from`, up to `to`; `is_filtering`: without those that filters would drop.
    pub(crate) fn texts(
        &self,
        channel: usize,
        between: std::ops::Range<usize>,
        hidden_from: Option<(usize, Filters)>,
    ) -> String {
        let shown = between.filter(|place| {
            let entry = &self.channels[channel][*place];
            hidden_from.is_none_or(|(user, filters)| !entry.may_be_dropped(user, filters))
        });
        shown.map(|place| self.text(channel, place + 1)).collect()
    }
}
