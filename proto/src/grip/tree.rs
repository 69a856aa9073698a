//! JSON as a tree that borrows from its text.
//!
//! The tree is the one of tnetstrings, so that items are checked by the same code whatever they
//! came in: strings are bytes (here always UTF-8), and equal keys are kept, the last counts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::zhttp::tnetstring::{Members, Tnet};

/// Reads a JSON object or list; `None` if `text` is no JSON or a bare scalar. A byte order mark
/// before it is skipped, text behind it is refused, and so is deep nesting.
pub(super) fn parse_json(text: &[u8]) -> Option<Tnet<'_>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let Tree(tree) = serde_json::from_slice(text).ok()?;
    matches!(tree, Tnet::List(_) | Tnet::Map(_)).then_some(tree)
}

/// The tree of a value that was read elsewhere.
pub(super) fn from_value(value: &Value) -> Tnet<'_> {
    match value {
        Value::Null => Tnet::Null,
        Value::Bool(value) => Tnet::Bool(*value),
        Value::Number(number) => from_number(number),
        Value::String(text) => Tnet::from(text.as_str()),
        Value::Array(elements) => Tnet::List(elements.iter().map(from_value).collect()),
        Value::Object(members) => {
            let member = |(name, value)| (Cow::Borrowed(String::as_bytes(name)), from_value(value));
            Tnet::Map(members.iter().map(member).collect())
        }
    }
}

/// The value of a tree; bytes that are not UTF-8 become U+FFFD.
pub(super) fn to_value(tree: &Tnet<'_>) -> Value {
    match tree {
        Tnet::Null => Value::Null,
        Tnet::Bool(value) => Value::Bool(*value),
        Tnet::Int(value) => Value::from(*value),
        Tnet::Float(value) => Value::from(*value),
        Tnet::Bytes(bytes) => Value::from(String::from_utf8_lossy(bytes)),
        Tnet::List(elements) => elements.iter().map(to_value).collect(),
        Tnet::Map(members) => {
            let member = |(name, value): &(Cow<'_, [u8]>, Tnet<'_>)| {
                (String::from_utf8_lossy(name).into_owned(), to_value(value))
            };
            members.iter().map(member).collect()
        }
    }
}

fn from_number<'b>(number: &Number) -> Tnet<'b> {
    match (number.as_i64(), number.as_f64()) {
        (Some(int), _) => Tnet::Int(int),
        (None, Some(float)) => Tnet::Float(float),
        (None, None) => Tnet::Null,
    }
}

struct Tree<'b>(Tnet<'b>);

/// A string that borrows where it has no escapes.
struct Text<'b>(Cow<'b, [u8]>);

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tnet<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tnet<'de>, E> {
        Ok(Tnet::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tnet<'de>, E> {
        Ok(Tnet::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tnet<'de>, E> {
        Ok(Tnet::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tnet<'de>, E> {
        // Integers are kept to 64 bits, larger ones as doubles (GRIP section 14.4).
        Ok(from_number(&Number::from(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tnet<'de>, E> {
        Ok(Tnet::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Tnet<'de>, E> {
        Ok(Tnet::from(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tnet<'de>, E> {
        Ok(Tnet::from(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tnet<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(Tree(element)) = list.next_element()? {
            elements.push(element);
        }
        Ok(Tnet::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tnet<'de>, A::Error> {
        let mut members = Members::new();
        while let Some((Text(name), Tree(value))) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Tnet::Map(members))
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.as_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_readers_build_the_same_tree() {
        let text = r#" {"a":[null,true,-1,1.5,18446744073709551615,"x\n\u00e9"],"b\\":{}} "#;
        let value: Value = serde_json::from_str(text).unwrap();
        let tree = parse_json(text.as_bytes()).unwrap();
        assert_eq!(tree, from_value(&value));
        assert_eq!(
            parse_json(to_value(&tree).to_string().as_bytes()),
            Some(tree)
        );
    }

    #[test]
    fn only_one_whole_object_or_list_is_json() {
        for text in [
            "",
            "{",
            "1",
            "\"a\"",
            "null",
            "{} x",
            "{}{}",
            "{\"a\":1,}",
            "\u{feff}",
        ] {
            assert_eq!(parse_json(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_json(b"{\"a\":\"\xff\"}"), None, "not UTF-8");
        assert_eq!(
            parse_json("\u{feff}{} \n".as_bytes()),
            Some(Tnet::Map(vec![]))
        );
        let deep = "[".repeat(10_000);
        assert_eq!(parse_json(deep.as_bytes()), None);
    }
}
