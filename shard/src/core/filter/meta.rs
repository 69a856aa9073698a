//! The variables that filters look at, and how backends get to see them.

use serde_json::{Map, Value};

/// Name and value of a variable.
type Variable = (Box<str>, Option<Box<str>>);

/// The variables of a subscription. A variable without value (`Grip-Set-Meta: name`) is missing
/// to every filter, and to the backend too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::core) struct Meta(Box<[Variable]>);

impl Meta {
    /// From an instruct; names are unique.
    pub(in crate::core) fn new(meta: Vec<(String, Option<String>)>) -> Self {
        let pair = |(name, value): (String, Option<String>)| {
            (name.into_boxed_str(), value.map(String::into_boxed_str))
        };
        Self(meta.into_iter().map(pair).collect())
    }

    /// The value of a variable; `None` when it is missing or has none. Names are exact.
    pub(in crate::core) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(found, _)| **found == *name)?;
        value.as_deref()
    }

    /// The value of a variable, if that is not empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The value of `Sub-Meta` in filter requests: a compact JSON object, keys sorted. Variables
    /// without value are left out: they are missing to all other filters as well.
    pub(in crate::core) fn json(&self) -> String {
        let valued = |(name, value): &'_ Variable| {
            let value = value.as_deref()?;
            Some((String::from(&**name), Value::from(value)))
        };
        object(self.0.iter().filter_map(valued).collect())
    }
}

/// The value of `Pub-Meta` in filter requests: a compact JSON object, keys sorted.
pub(in crate::core) fn item_meta_json(meta: &[(Box<str>, Box<str>)]) -> String {
    let pair =
        |(name, value): &'_ (Box<str>, Box<str>)| (String::from(&**name), Value::from(&**value));
    object(meta.iter().map(pair).collect())
}

/// The value of a variable of an item, if that is not empty. Names are sorted, so that an item
/// with very many of them does not slow down its fan-out.
pub(super) fn filled<'i>(meta: &'i [(Box<str>, Box<str>)], name: &str) -> Option<&'i str> {
    debug_assert!(meta.is_sorted(), "items come with sorted variables");
    let at = meta
        .binary_search_by(|(found, _)| (**found).cmp(name))
        .ok()?;
    let (_, value) = meta.get(at)?;
    Some(&**value).filter(|value| !value.is_empty())
}

/// Writes an object so that it fits into a field value.
fn object(members: Map<String, Value>) -> String {
    let text = Value::Object(members).to_string();
    // JSON escapes the other control characters, but lets this one stand; fields may not hold it.
    text.replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(pairs: &[(&str, Option<&str>)]) -> Meta {
        let owned =
            |(name, value): &(&str, Option<&str>)| (String::from(*name), value.map(String::from));
        Meta::new(pairs.iter().map(owned).collect())
    }

    #[test]
    fn meta_without_variables_is_an_empty_object() {
        assert_eq!(Meta::default().json(), "{}");
        assert_eq!(item_meta_json(&[]), "{}");
    }

    #[test]
    fn meta_is_a_compact_object_with_sorted_keys() {
        let meta = meta(&[("b", Some("2")), ("a", Some("1 \"x\""))]);
        assert_eq!(meta.json(), r#"{"a":"1 \"x\"","b":"2"}"#);
        let item_meta = [("k".into(), "v".into()), ("l".into(), "".into())];
        assert_eq!(item_meta_json(&item_meta), r#"{"k":"v","l":""}"#);
    }

    #[test]
    fn a_variable_without_value_is_missing_everywhere() {
        let meta = meta(&[("a", None), ("b", Some(""))]);
        assert_eq!(meta.get("a"), None);
        assert_eq!(meta.get("b"), Some(""));
        assert_eq!(meta.json(), r#"{"b":""}"#);
    }

    #[test]
    fn the_json_of_meta_can_stand_in_a_field_whatever_it_holds() {
        let meta = meta(&[("a\r\n\0", Some("\t\u{7f}\u{1b}é"))]);
        let json = meta.json();
        assert!(
            !json.bytes().any(|byte| byte < b' ' || byte == 0x7f),
            "{json}"
        );
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["a\r\n\0"], "\t\u{7f}\u{1b}é");
    }

    #[test]
    fn names_of_variables_are_case_sensitive() {
        let meta = meta(&[("User", Some("al"))]);
        assert_eq!(meta.get("user"), None);
        let item_meta = [("Sender".into(), "al".into())];
        assert_eq!(filled(&item_meta, "sender"), None);
    }
}
