//! `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): a list of names with parameters.
//!
//! Read in place, without allocation but for escapes in quoted values.

use std::borrow::Cow;

use crate::http::fields::is_token_byte;
use crate::http::{Field, field_values, trim_ows};

/// The name of the field, as we write it.
pub const FIELD: &str = "Sec-WebSocket-Extensions";

/// An extension list that does not follow its grammar: an empty member, name or parameter name, a
/// quote that is not closed, an empty field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid extension list")]
pub struct ExtensionsError;

/// One extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'b> {
    /// Its name; compares with regard to case.
    pub name: &'b str,
    params: &'b [u8],
}

/// One parameter of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param<'b> {
    /// Its name.
    pub name: &'b str,
    /// What stands behind `=`.
    pub value: ParamValue<'b>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue<'b> {
    /// No `=`.
    None,
    /// As it stands; may be empty.
    Bare(&'b str),
    /// In quotes, without them and with its escapes resolved; may be empty.
    Quoted(Cow<'b, [u8]>),
}

impl ParamValue<'_> {
    /// The bytes of the value; `None` without `=`.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::Bare(value) => Some(value.as_bytes()),
            Self::Quoted(value) => Some(value),
        }
    }
}

impl<'b> Extension<'b> {
    /// The parameters in their order; repeated ones are all there.
    pub fn params(&self) -> impl Iterator<Item = Param<'b>> + use<'b> {
        let mut rest = self.params;
        std::iter::from_fn(move || {
            // The grammar was checked when the extension was read.
            let behind = skip_byte(rest, b';')?;
            let (param, behind) = param(behind).ok()?;
            rest = behind;
            Some(param)
        })
    }
}

/// The extensions in all fields of the name, in order; ends with the first error.
pub fn in_fields<'f, 'b>(
    fields: &'f [Field<'b>],
) -> impl Iterator<Item = Result<Extension<'b>, ExtensionsError>> + use<'f, 'b> {
    let mut is_over = false;
    let all = field_values(fields, FIELD).flat_map(in_value);
    all.take_while(move |item| !std::mem::replace(&mut is_over, item.is_err()))
}

/// The extensions in one field value, in order; ends with the first error.
pub fn in_value(value: &[u8]) -> impl Iterator<Item = Result<Extension<'_>, ExtensionsError>> {
    let mut rest = Some(value);
    std::iter::from_fn(move || match extension(rest.take()?) {
        Ok((extension, behind)) => {
            rest = behind;
            Some(Ok(extension))
        }
        Err(error) => Some(Err(error)),
    })
}

/// Checks the extension lists of a message without looking at what they say.
///
/// # Errors
/// [`ExtensionsError`].
pub fn check(fields: &[Field<'_>]) -> Result<(), ExtensionsError> {
    in_fields(fields).try_for_each(|item| item.map(drop))
}

/// Reads one extension; the result has what follows its comma, if there is one.
type ExtensionAndRest<'b> = (Extension<'b>, Option<&'b [u8]>);

fn extension(list: &[u8]) -> Result<ExtensionAndRest<'_>, ExtensionsError> {
    let (name, params) = token(list)?;
    let mut rest = params;
    while let Some(behind) = skip_byte(rest, b';') {
        (_, rest) = param(behind)?;
    }
    let params = params.get(..params.len() - rest.len()).unwrap_or_default();
    let rest = match skip_byte(rest, b',') {
        Some(behind) => Some(behind),
        None if trim_ows(rest).is_empty() => None,
        None => return Err(ExtensionsError),
    };
    Ok((Extension { name, params }, rest))
}

/// Reads one parameter, behind its `;`.
fn param(text: &[u8]) -> Result<(Param<'_>, &[u8]), ExtensionsError> {
    let (name, rest) = token(text)?;
    let Some(behind) = skip_byte(rest, b'=') else {
        let value = ParamValue::None;
        return Ok((Param { name, value }, rest));
    };
    if let Some(quoted) = skip_byte(behind, b'"') {
        let (value, rest) = quoted_value(quoted)?;
        let value = ParamValue::Quoted(value);
        return Ok((Param { name, value }, rest));
    }
    // An empty value is a matter for whoever reads the parameter.
    let (value, rest) = run(skip_ows(behind), is_bare_value_byte);
    let value = ParamValue::Bare(value);
    Ok((Param { name, value }, rest))
}

/// Reads a token and the blanks before it.
fn token(text: &[u8]) -> Result<(&str, &[u8]), ExtensionsError> {
    match run(skip_ows(text), is_token_byte) {
        ("", _) => Err(ExtensionsError),
        token => Ok(token),
    }
}

/// The longest start of `text` whose bytes are all of a kind, and the rest.
fn run(text: &[u8], is_of_kind: impl Fn(u8) -> bool) -> (&str, &[u8]) {
    let len = text.iter().position(|&byte| !is_of_kind(byte));
    let (run, rest) = text.split_at(len.unwrap_or(text.len()));
    (std::str::from_utf8(run).unwrap_or_default(), rest)
}

/// What a value without quotes is made of: more than the tokens of the RFC, since backends write
/// `message-prefix=m:`.
const fn is_bare_value_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'"')
}

/// Reads a quoted value, behind its opening quote.
fn quoted_value(text: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), ExtensionsError> {
    let end = memchr::memchr2(b'"', b'\\', text).ok_or(ExtensionsError)?;
    let (plain, rest) = text.split_at_checked(end).ok_or(ExtensionsError)?;
    if let Some(rest) = rest.strip_prefix(b"\"") {
        return Ok((Cow::Borrowed(plain), rest));
    }
    let (mut value, mut rest) = (plain.to_vec(), rest);
    loop {
        match rest {
            [b'"', behind @ ..] => return Ok((Cow::Owned(value), behind)),
            [b'\\', byte, behind @ ..] | [byte, behind @ ..] => {
                value.push(*byte);
                rest = behind;
            }
            [] => return Err(ExtensionsError),
        }
    }
}

fn skip_ows(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

/// What follows `byte` and the blanks before it.
fn skip_byte(text: &[u8], byte: u8) -> Option<&[u8]> {
    skip_ows(text).strip_prefix(&[byte])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grip::test_random::Random;

    /// The list, written out in one canonical form.
    fn shown(value: &[u8]) -> Result<Vec<String>, ExtensionsError> {
        in_value(value)
            .map(|extension| {
                let extension = extension?;
                let params = extension.params().map(|param| match param.value {
                    ParamValue::None => format!(";{}", param.name),
                    ParamValue::Bare(value) => format!(";{}={value}", param.name),
                    ParamValue::Quoted(value) => {
                        format!(";{}={:?}", param.name, String::from_utf8_lossy(&value))
                    }
                });
                Ok(extension.name.to_owned() + &params.collect::<String>())
            })
            .collect()
    }

    #[test]
    fn lists_with_parameters_are_read() {
        let cases: [(&str, &[&str]); 8] = [
            ("foo", &["foo"]),
            (" foo ;\ta ; b = c,bar ", &["foo;a;b=c", "bar"]),
            (
                "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
                &["permessage-deflate;client_max_window_bits;server_max_window_bits=10"],
            ),
            (
                r#"grip; message-prefix="q;,:""#,
                &[r#"grip;message-prefix="q;,:""#],
            ),
            ("grip; message-prefix=x:", &["grip;message-prefix=x:"]),
            (r#"a;b="";c=;d"#, &[r#"a;b="";c=;d"#]),
            (r#"a;b="x\"\y", z"#, &[r#"a;b="x\"y""#, "z"]),
            ("a;b=1;b=2", &["a;b=1;b=2"]),
        ];
        for (value, expected) in cases {
            assert_eq!(shown(value.as_bytes()).unwrap(), expected, "{value:?}");
        }
    }

    #[test]
    fn lists_that_break_the_grammar_are_refused() {
        for value in [
            "",
            " ",
            "foo,",
            ",foo",
            "a,,b",
            "foo;",
            "foo; ;a",
            "foo; =3",
            "=3",
            "a b",
            "a;b c",
            "a;b=\"x",
            "a;b=\"x\\",
            "a;b=\"x\"y",
            "a=b",
            "a;b=\u{e4}",
            "a/b",
            "\u{e4}",
        ] {
            assert_eq!(shown(value.as_bytes()), Err(ExtensionsError), "{value:?}");
        }
    }

    #[test]
    fn all_fields_are_one_list() {
        let field = |value: &'static str| Field {
            name: "sec-websocket-extensions",
            value: value.as_bytes(),
        };
        let fields = [field("a, b"), field("c")];
        let names: Vec<_> = in_fields(&fields).map(|item| item.unwrap().name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(check(&fields), Ok(()));
        assert_eq!(check(&[]), Ok(()));
        let fields = [field("a"), field("b,"), field("c")];
        assert_eq!(in_fields(&fields).count(), 3, "nothing behind the error");
        assert_eq!(check(&fields), Err(ExtensionsError));
    }

    #[test]
    fn damaged_lists_never_panic_and_their_parameters_are_whole() {
        let mut random = Random::new(16);
        for _round in 0..20_000 {
            let mut value = br#"a; b=c; d="e\"f", permessage-deflate; x"#.to_vec();
            random.damage(&mut value);
            let Ok(list) = shown(&value) else { continue };
            // What was read is read the same way once more.
            assert_eq!(
                shown(list.join(",").as_bytes()).map(|list| list.len()),
                Ok(list.len())
            );
        }
    }
}
