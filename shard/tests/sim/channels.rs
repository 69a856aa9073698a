//! What was published, channel by channel: the record that deliveries are judged by.

use crate::plan::CHANNELS;
use crate::random::Random;

/// What an item is to streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToStreams {
    Nothing,
    Send,
    Close,
}

/// What an item is to long-polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToPolls {
    Nothing,
    Send,
    Hint,
}

/// One published item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    pub(crate) stream: ToStreams,
    pub(crate) response: ToPolls,
    padding: usize,
}

/// All items, by channel, in the order of publishing.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) items: [Vec<Published>; CHANNELS],
}

impl Log {
    /// Makes a batch of items and records them; the text that publishes them.
    pub(crate) fn batch(&mut self, count: usize, random: &mut Random) -> String {
        let items: Vec<String> = (0..count).map(|_| self.item(random)).collect();
        format!("{{\"items\":[{}]}}", items.join(","))
    }

    fn item(&mut self, random: &mut Random) -> String {
        use ToStreams::{Close, Nothing, Send};
        let channel = random.below(CHANNELS);
        let mut item = Published {
            stream: random.pick(&[Send, Send, Send, Send, Send, Send, Nothing]),
            response: random.pick(&[
                ToPolls::Send,
                ToPolls::Nothing,
                ToPolls::Nothing,
                ToPolls::Nothing,
            ]),
            padding: random.pick(&[0, 0, 0, 10, 200, 1000]),
        };
        if random.chance(3) {
            item.stream = Close;
        }
        if random.chance(5) || (item.stream == Nothing && item.response == ToPolls::Nothing) {
            item.response = ToPolls::Hint;
        }
        let seq = self.items[channel].len();
        let text = text_of(channel, seq, item.padding);
        self.items[channel].push(item);
        let stream = match item.stream {
            Nothing => String::new(),
            Send => format!(",\"http-stream\":{{\"content\":\"{text}\"}}"),
            Close => ",\"http-stream\":{\"action\":\"close\"}".to_owned(),
        };
        let response = match item.response {
            ToPolls::Nothing => String::new(),
            ToPolls::Send => {
                format!(
                    ",\"http-response\":{{\"headers\":{{\"X-Item\":\"c{channel}#{seq}\"}},\"body\":\"{text}\"}}"
                )
            }
            ToPolls::Hint => ",\"http-response\":{\"action\":\"hint\"}".to_owned(),
        };
        format!("{{\"channel\":\"c{channel}\"{stream}{response}}}")
    }

    pub(crate) fn lengths(&self) -> Vec<usize> {
        self.items.iter().map(Vec::len).collect()
    }

    /// The first item that long-polls of `channel` get from `from` on.
    pub(crate) fn first_for_polls(&self, channel: usize, from: usize) -> Option<(usize, ToPolls)> {
        let mut items = self.items[channel].iter().enumerate().skip(from);
        items
            .find(|(_, item)| item.response != ToPolls::Nothing)
            .map(|(seq, item)| (seq, item.response))
    }

    pub(crate) fn text(&self, channel: usize, seq: usize) -> String {
        text_of(channel, seq, self.items[channel][seq].padding)
    }

    /// Reads the items behind a stream's first content, each channel's in its order. The answer:
    /// which item of each channel is next, and whether one of them has closed the stream.
    pub(crate) fn read_stream(
        &self,
        text: &str,
        channels: &[usize],
        from: &[usize],
    ) -> Result<Reached, String> {
        let mut next: Vec<usize> = channels.iter().map(|channel| from[*channel]).collect();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(behind) = rest.strip_prefix('\n') {
                rest = behind;
                continue;
            }
            let due = channels.iter().enumerate().find_map(|(place, channel)| {
                let (seq, _) = self.next_sent(*channel, next[place])?;
                let behind = rest.strip_prefix(self.text(*channel, seq).as_str())?;
                Some((place, seq, behind))
            });
            let Some((place, seq, behind)) = due else {
                let is_cut = channels.iter().enumerate().any(|(place, channel)| {
                    let due = self.next_sent(*channel, next[place]);
                    due.is_some_and(|(seq, _)| self.text(*channel, seq).starts_with(rest))
                });
                if is_cut {
                    return Ok(Reached { next, is_cut: true });
                }
                return Err(format!(
                    "got {rest:?}, next are {next:?} of channels {channels:?}"
                ));
            };
            next[place] = seq + 1;
            rest = behind;
        }
        Ok(Reached {
            next,
            is_cut: false,
        })
    }

    /// The next item that streams of `channel` are sent, unless the channel closes them before.
    pub(crate) fn next_sent(&self, channel: usize, from: usize) -> Option<(usize, Published)> {
        let mut items = self.items[channel].iter().copied().enumerate().skip(from);
        items
            .find(|(_, item)| item.stream != ToStreams::Nothing)
            .filter(|(_, item)| item.stream == ToStreams::Send)
    }

    /// Whether the next thing for streams of `channel` is their end.
    pub(crate) fn closes_next(&self, channel: usize, from: usize) -> bool {
        let mut items = self.items[channel].iter().skip(from);
        items
            .find(|item| item.stream != ToStreams::Nothing)
            .is_some_and(|item| item.stream == ToStreams::Close)
    }
}

/// How far a stream has come.
#[derive(Debug)]
pub(crate) struct Reached {
    /// Per channel of the stream, the number of the item that is due.
    pub(crate) next: Vec<usize>,
    /// The last item is not whole.
    pub(crate) is_cut: bool,
}

fn text_of(channel: usize, seq: usize, padding: usize) -> String {
    format!("[c{channel}#{seq}|{}]", "x".repeat(padding))
}
