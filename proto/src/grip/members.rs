//! Typed access to the members of objects in JSON instructs and publish items, with Pushpin's
//! texts for what is wrong. `null` is never absence: it is a wrong type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::instruct::STATUS_CODE_MAX;
use super::shape::ShapeError;
use crate::http::{is_field_value, is_token};
use crate::zhttp::tnetstring::{Members, Tnet};

/// An object and what error texts call it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'t> {
    members: &'t Members<'t>,
    name: &'static str,
}

impl<'t> Object<'t> {
    /// `value` as an object that error texts call `name`.
    pub(super) fn new(value: &'t Tnet<'t>, name: &'static str) -> Result<Self, ShapeError> {
        match value.as_map() {
            Some(members) => Ok(Self { members, name }),
            None => Err(ShapeError::NotObject { object: name }),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member called `member`; the last of equal ones.
    pub(super) fn member(&self, member: &str) -> Option<&'t Tnet<'t>> {
        let found = self
            .members
            .iter()
            .rev()
            .find(|(name, _)| name.as_ref() == member.as_bytes());
        found.map(|(_name, value)| value)
    }

    /// A member that is an object, which error texts call `name`.
    pub(super) fn object(
        &self,
        member: &'static str,
        name: &'static str,
    ) -> Result<Option<Self>, ShapeError> {
        let object = self.typed(member, Tnet::as_map)?;
        Ok(object.map(|members| Self { members, name }))
    }

    /// A member that is a list.
    pub(super) fn list(&self, member: &'static str) -> Result<Option<&'t [Tnet<'t>]>, ShapeError> {
        self.typed(member, Tnet::as_list)
    }

    /// A member that is a string, as bytes.
    pub(super) fn bytes(&self, member: &'static str) -> Result<Option<&'t [u8]>, ShapeError> {
        self.typed(member, Tnet::as_bytes)
    }

    /// A member that is a string, as text.
    pub(super) fn text(&self, member: &'static str) -> Result<Option<Cow<'t, str>>, ShapeError> {
        self.typed(member, Tnet::as_text)
    }

    /// A member that is a boolean.
    pub(super) fn boolean(&self, member: &'static str) -> Result<Option<bool>, ShapeError> {
        self.typed(member, Tnet::as_bool)
    }

    /// A member that is a number, rounded; strings that spell one count.
    pub(super) fn number(&self, member: &'static str) -> Result<Option<i64>, ShapeError> {
        self.typed(member, number)
    }

    /// A number that must not be negative.
    pub(super) fn natural(&self, member: &'static str) -> Result<Option<i64>, ShapeError> {
        match self.number(member)? {
            Some(value) if value < 0 => Err(self.invalid(member)),
            value => Ok(value),
        }
    }

    /// The member `code`: a status code up to [`STATUS_CODE_MAX`].
    pub(super) fn status_code(&self) -> Result<Option<u16>, ShapeError> {
        let Some(code) = self.number("code")? else {
            return Ok(None);
        };
        match u16::try_from(code) {
            Ok(code) if code <= STATUS_CODE_MAX => Ok(Some(code)),
            _ => Err(self.invalid("code")),
        }
    }

    /// The member `reason`: text that cannot break a status line apart.
    pub(super) fn reason(&self) -> Result<Option<Vec<u8>>, ShapeError> {
        match self.bytes("reason")? {
            Some(reason) if !is_field_value(reason) => Err(self.invalid("reason")),
            reason => Ok(reason.map(<[u8]>::to_vec)),
        }
    }

    /// The member `meta`: an object of strings. Names are unique and sorted.
    pub(super) fn meta(&self) -> Result<BTreeMap<Cow<'t, str>, Cow<'t, str>>, ShapeError> {
        let Some(meta) = self.object("meta", "'meta'")? else {
            return Ok(BTreeMap::new());
        };
        meta.texts().collect()
    }

    /// The member `headers`: a list of pairs, in its order, or an object, in the order of its
    /// names. Names and values that would break a response apart are refused.
    pub(super) fn headers(&self) -> Result<Vec<(String, Vec<u8>)>, ShapeError> {
        let headers = match self.member("headers") {
            None => Vec::new(),
            Some(Tnet::List(pairs)) => pairs.iter().map(header).collect::<Result<_, _>>()?,
            Some(Tnet::Map(members)) => {
                let headers = Object {
                    members,
                    name: "headers",
                };
                let by_name: BTreeMap<_, _> = headers
                    .members
                    .iter()
                    .map(|(name, value)| {
                        let name = String::from_utf8_lossy(name).into_owned();
                        match value.as_bytes() {
                            Some(value) => Ok((name, value.to_vec())),
                            None => Err(headers.wrong_type(name)),
                        }
                    })
                    .collect::<Result<_, _>>()?;
                by_name.into_iter().collect()
            }
            Some(_) => return Err(self.wrong_type("headers")),
        };
        check_headers(&headers)?;
        Ok(headers)
    }

    /// A member that is a list of strings, whose elements error texts call `list` and `element`.
    pub(super) fn texts_in(
        &self,
        member: &'static str,
        element: &'static str,
    ) -> Result<Option<Vec<String>>, ShapeError> {
        let Some(elements) = self.list(member)? else {
            return Ok(None);
        };
        let text = |value: &Tnet<'_>| match value.as_text() {
            Some(text) => Ok(text.into_owned()),
            None => Err(ShapeError::Element {
                list: member,
                element,
            }),
        };
        elements
            .iter()
            .map(text)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(super) fn wrong_type(&self, member: impl Into<Cow<'static, str>>) -> ShapeError {
        ShapeError::WrongType {
            object: self.name,
            member: member.into(),
        }
    }

    pub(super) const fn invalid(&self, member: &'static str) -> ShapeError {
        ShapeError::InvalidValue {
            object: self.name,
            member,
        }
    }

    pub(super) const fn unknown(&self, member: &'static str) -> ShapeError {
        ShapeError::UnknownValue {
            object: self.name,
            member,
        }
    }

    /// The error for the absence of `members`, which are quoted and joined already.
    pub(super) const fn missing(&self, members: &'static str) -> ShapeError {
        ShapeError::Missing {
            object: self.name,
            members,
        }
    }

    fn texts(self) -> impl Iterator<Item = Result<(Cow<'t, str>, Cow<'t, str>), ShapeError>> {
        self.members.iter().map(move |(name, value)| {
            let name = String::from_utf8_lossy(name);
            match value.as_text() {
                Some(text) => Ok((name, text)),
                None => Err(self.wrong_type(name.into_owned())),
            }
        })
    }

    fn typed<T>(
        &self,
        member: &'static str,
        read: impl FnOnce(&'t Tnet<'t>) -> Option<T>,
    ) -> Result<Option<T>, ShapeError> {
        match self.member(member) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.wrong_type(member)),
            },
        }
    }
}

/// One `[name, value]`.
fn header(pair: &Tnet<'_>) -> Result<(String, Vec<u8>), ShapeError> {
    let wrong = |list, element| ShapeError::Element { list, element };
    let pair = pair.as_list().ok_or_else(|| wrong("headers", "element"))?;
    let [name, value] = pair else {
        return Err(ShapeError::HeaderLen);
    };
    let name = name
        .as_text()
        .ok_or_else(|| wrong("header", "name element"))?;
    let value = value
        .as_bytes()
        .ok_or_else(|| wrong("header", "value element"))?;
    Ok((name.into_owned(), value.to_vec()))
}

fn check_headers(headers: &[(String, Vec<u8>)]) -> Result<(), ShapeError> {
    for (name, value) in headers {
        if !is_token(name.as_bytes()) {
            return Err(ShapeError::HeaderName);
        }
        if !is_field_value(value) {
            return Err(ShapeError::HeaderValue);
        }
    }
    Ok(())
}

/// A number, rounded to the nearest integer, or a string that spells one.
fn number(value: &Tnet<'_>) -> Option<i64> {
    match value {
        Tnet::Int(value) => Some(*value),
        Tnet::Float(value) => rounded(*value),
        Tnet::Bytes(text) => {
            let text = std::str::from_utf8(text).ok()?.trim_ascii();
            let is_decimal = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
            let decimal = text.bytes().all(is_decimal).then_some(text)?;
            decimal
                .parse()
                .ok()
                .or_else(|| rounded(decimal.parse().ok()?))
        }
        Tnet::Null | Tnet::Bool(_) | Tnet::List(_) | Tnet::Map(_) => None,
    }
}

fn rounded(value: f64) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, and every bound checked afterwards is far inside"
    )]
    value.is_finite().then_some(value.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_nothing_else_is_one() {
        let cases = [
            (Tnet::Int(-3), Some(-3)),
            (Tnet::Float(404.6), Some(405)),
            (Tnet::Float(1e300), Some(i64::MAX)),
            (Tnet::from("404"), Some(404)),
            (Tnet::from(" +404 "), Some(404)),
            (Tnet::from("404.4"), Some(404)),
            (Tnet::from("99999999999999999999"), Some(i64::MAX)),
            (Tnet::from(""), None),
            (Tnet::from("abc"), None),
            (Tnet::from("1e3"), None),
            (Tnet::from("nan"), None),
            (Tnet::from("-"), None),
            (Tnet::Bool(true), None),
            (Tnet::Null, None),
            (Tnet::List(vec![]), None),
        ];
        for (value, wanted) in cases {
            assert_eq!(number(&value), wanted, "{value:?}");
        }
    }
}
