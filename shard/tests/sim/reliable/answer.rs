//! What backends answer, out of what they know at that moment.

use crate::random::Random;

use super::asked::{Asked, Position, Wishes};
use super::log::Log;

/// An answer: field lines and content.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: usize,
    pub(crate) fields: String,
    pub(crate) content: String,
}

/// What a backend goes by when it makes an answer.
pub(crate) struct Desk<'d> {
    pub(crate) log: &'d Log,
    pub(crate) random: &'d mut Random,
    /// It gives all it has, and lets streams follow all of their channels.
    pub(crate) is_calm: bool,
    /// It holds only with what is its last word: that it has more is known to nobody else where
    /// the last id is not.
    pub(crate) is_strict: bool,
}

impl Desk<'_> {
    pub(crate) fn answer(&mut self, asked: &Asked) -> Answer {
        match asked.path.as_str() {
            "/poll" => self.poll(asked),
            "/stream" | "/next" => self.stream(asked),
            "/check" | "/modify" => self.judge(asked),
            "/gone" => Answer {
                status: 200,
                ..Answer::default()
            },
            path => panic!("nobody has asked for {path}"),
        }
    }

    /// What a client has missed of its channels, and how far it gets with that.
    fn missing(&mut self, asked: &Asked) -> (String, Vec<Position>) {
        let wishes = asked.wishes;
        let hidden_from = wishes.is_filtering.then_some((wishes.user, wishes.filters));
        let is_all = self.is_calm || wishes.is_filtering || self.random.chance(60);
        let mut content = String::new();
        let reached = asked.channels.iter().map(|(channel, from)| {
            let from = from.expect("requests say what the client has of each channel");
            let len = self.log.len(*channel);
            assert!(from <= len, "positions are those of items: {asked:?}");
            let most = if is_all {
                len
            } else {
                self.random.between(1, 5)
            };
            let to = len.min(from + most);
            content.push_str(&self.log.texts(*channel, from..to, hidden_from));
            (*channel, Some(to))
        });
        let reached = reached.collect();
        (content, reached)
    }

    fn poll(&mut self, asked: &Asked) -> Answer {
        let (content, reached) = self.missing(asked);
        if !content.is_empty() {
            return Answer {
                status: 200,
                content,
                ..Answer::default()
            };
        }
        let is_json = !asked.wishes.has_gone_link && asked.wishes.tag % 3 == 1;
        if is_json {
            return Answer {
                status: 200,
                fields: "Content-Type: application/grip-instruct\r\n".to_owned(),
                content: json_hold(asked.wishes, &reached),
            };
        }
        let timeout_s = asked.wishes.timeout_s;
        let mut fields = format!("Grip-Hold: response\r\nGrip-Timeout: {timeout_s}\r\n");
        fields.push_str(&channel_fields(asked.wishes, &reached));
        if asked.wishes.has_gone_link {
            let gone = asked.wishes.target("/gone", &[], &[]);
            fields.push_str(&format!("Grip-Link: <{gone}>; rel=gone\r\n"));
        }
        Answer {
            status: 200,
            fields,
            content: String::new(),
        }
    }

    fn stream(&mut self, asked: &Asked) -> Answer {
        let mut asked = asked.clone();
        let may_return = self.is_calm || self.random.chance(30);
        if may_return {
            asked.channels.append(&mut asked.parked);
        }
        let (items, mut reached) = self.missing(&asked);
        let wishes = asked.wishes;
        let is_behind = reached
            .iter()
            .any(|(channel, to)| *to != Some(self.log.len(*channel)));
        let is_hold = !is_behind || (!self.is_strict && self.random.chance(50));
        let mut parked = asked.parked;
        if !self.is_calm && reached.len() > 1 && self.random.chance(15) {
            let place = self.random.below(reached.len());
            parked.push(reached.remove(place));
        }
        let mut fields = String::new();
        let mut content = String::new();
        if is_hold {
            let names: Vec<String> = reached.iter().map(|(c, _)| c.to_string()).collect();
            content = format!("{{{}}}", names.join(","));
            fields.push_str("Grip-Hold: stream\r\n");
            fields.push_str(&channel_fields(wishes, &reached));
            if wishes.has_keep_alive {
                fields.push_str("Grip-Keep-Alive: \\n; format=cstring; timeout=7\r\n");
            }
            // Those who have come equally far by items ask for the same.
            for position in &mut reached {
                position.1 = None;
            }
        }
        content.push_str(&items);
        let next = wishes.target("/next", &reached, &parked);
        let host = ["", "http://other.example:81", "http://127.0.0.9:82"][wishes.elsewhere];
        let timeout_s = wishes.timeout_s;
        fields.push_str(&format!(
            "Grip-Link: <{host}{next}>; rel=next; timeout={timeout_s}\r\n"
        ));
        if wishes.has_gone_link {
            let gone = wishes.target("/gone", &[], &[]);
            fields.push_str(&format!("Grip-Link: <{gone}>; rel=gone\r\n"));
        }
        Answer {
            status: 200,
            fields,
            content,
        }
    }

    fn judge(&mut self, asked: &Asked) -> Answer {
        if asked.pub_meta.contains("refused") {
            return Answer {
                status: self.random.pick(&[200, 204]),
                fields: "Action: drop\r\n".to_owned(),
                content: String::new(),
            };
        }
        let is_replaced = asked.path == "/modify" && self.random.chance(50);
        let content = String::from_utf8(asked.content.clone()).unwrap();
        Answer {
            status: if is_replaced { 200 } else { 204 },
            fields: String::new(),
            content: if is_replaced { content } else { String::new() },
        }
    }
}

fn channel_fields(wishes: Wishes, reached: &[Position]) -> String {
    let names = wishes.filters.names();
    let filters: String = names
        .iter()
        .map(|name| format!("; filter={name}"))
        .collect();
    let mut fields = String::new();
    for (channel, to) in reached {
        let to = to.expect("how far each channel was reached");
        fields.push_str(&format!(
            "Grip-Channel: c{channel}; prev-id={to}{filters}\r\n"
        ));
    }
    fields.push_str(&format!(
        "Grip-Set-Meta: user=u{}, url=\"{}\"\r\n",
        wishes.user,
        question_url(wishes)
    ));
    fields
}

/// Where filters ask. Only one of them does, so the path says which.
fn question_url(wishes: Wishes) -> String {
    let path = if wishes.filters.modify {
        "/modify"
    } else {
        "/check"
    };
    wishes.target(path, &[], &[])
}

fn json_hold(wishes: Wishes, reached: &[Position]) -> String {
    let names: Vec<String> = wishes
        .filters
        .names()
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect();
    let filters = names.join(",");
    let channels: Vec<String> = reached
        .iter()
        .map(|(channel, to)| {
            let to = to.expect("how far each channel was reached");
            format!("{{\"name\":\"c{channel}\",\"prev-id\":\"{to}\",\"filters\":[{filters}]}}")
        })
        .collect();
    format!(
        "{{\"hold\":{{\"mode\":\"response\",\"timeout\":{},\"channels\":[{}],\
         \"meta\":{{\"user\":\"u{}\",\"url\":\"{}\"}}}},\"response\":{{\"body\":\"\"}}}}",
        wishes.timeout_s,
        channels.join(","),
        wishes.user,
        question_url(wishes)
    )
}
