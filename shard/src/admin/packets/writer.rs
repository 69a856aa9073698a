//! Writes one packet in either format.

use std::borrow::Cow;

use config::StatsFormat;
use proto::zhttp::tnetstring::{self, Members, Tnet};
use serde_json::{Map, Value};

/// A packet under construction: its type and its members.
pub(super) struct Packet<'p> {
    kind: &'static str,
    members: Members<'p>,
}

impl<'p> Packet<'p> {
    pub(super) const fn new(kind: &'static str) -> Self {
        Self {
            kind,
            members: Vec::new(),
        }
    }

    pub(super) fn text(&mut self, name: &'static str, text: impl Into<Cow<'p, str>>) {
        let bytes = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        self.push(name, Tnet::Bytes(bytes));
    }

    pub(super) fn number(&mut self, name: &'static str, number: u64) {
        self.push(name, Tnet::Int(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    pub(super) fn yes(&mut self, name: &'static str) {
        self.push(name, Tnet::Bool(true));
    }

    /// The route, when it has an id of its own.
    pub(super) fn route(&mut self, route: Option<&'p str>) {
        if let Some(route) = route {
            self.text("route", route);
        }
    }

    pub(super) fn finish(self, format: StatsFormat) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(self.kind.as_bytes());
        match format {
            StatsFormat::Tnetstring => {
                out.extend_from_slice(b" T");
                tnetstring::encode(&mut out, &Tnet::Map(self.members));
            }
            StatsFormat::Json => {
                out.extend_from_slice(b" J");
                out.extend_from_slice(Value::Object(sorted(self.members)).to_string().as_bytes());
            }
        }
        out
    }

    fn push(&mut self, name: &'static str, value: Tnet<'p>) {
        self.members.push((Cow::Borrowed(name.as_bytes()), value));
    }
}

/// The members as JSON has them: by name.
fn sorted(mut members: Members<'_>) -> Map<String, Value> {
    members.sort_by(|(left, _), (right, _)| left.cmp(right));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let json = members.into_iter().map(|(name, value)| {
        let value = match value {
            Tnet::Bytes(bytes) => Value::String(text(&bytes)),
            Tnet::Int(number) => Value::from(number),
            Tnet::Bool(yes) => Value::Bool(yes),
            // Packets have no other members.
            Tnet::Null | Tnet::Float(_) | Tnet::List(_) | Tnet::Map(_) => Value::Null,
        };
        (text(&name), value)
    });
    json.collect()
}
