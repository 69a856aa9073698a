//! The grammar of list and parameter fields (GRIP; Pushpin's reading of it).
//!
//! Not RFC 9110's: empty list members count, and the first item of a member is raw text up to
//! the first `;`, quotes included.

use std::borrow::Cow;

/// The members of one list value: cut at commas outside double quotes, trimmed, empty ones kept,
/// but none behind the last comma. An unclosed quote makes the rest one member.
pub(super) const fn pieces(value: &[u8]) -> Pieces<'_> {
    Pieces {
        rest: value.trim_ascii(),
    }
}

/// See [`pieces`].
pub(super) struct Pieces<'b> {
    rest: &'b [u8],
}

impl<'b> Iterator for Pieces<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = match comma(self.rest) {
            Some(at) => cut(self.rest, at),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(piece.trim_ascii())
    }
}

/// One parameter. Without `=` it has no value, which differs from an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param<'b> {
    pub(super) name: &'b [u8],
    pub(super) value: Option<Cow<'b, [u8]>>,
}

/// A quoted parameter value without its closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed;

/// The parameters of a piece, from front to back. Ends at the first that is unclosed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Params<'b> {
    rest: &'b [u8],
}

impl<'b> Params<'b> {
    /// Reads all of `piece` as parameters.
    pub(super) const fn new(piece: &'b [u8]) -> Self {
        Self { rest: piece }
    }

    /// The first item of `piece`, trimmed, and the parameters behind it.
    pub(super) fn behind_first(piece: &'b [u8]) -> (&'b [u8], Self) {
        let (first, rest) = match memchr::memchr(b';', piece) {
            Some(at) => cut(piece, at),
            None => (piece, &[][..]),
        };
        (first.trim_ascii(), Self { rest })
    }

    /// Whether every quoted value is closed. A piece where one is not is skipped as a whole.
    pub(super) fn are_closed(self) -> bool {
        memchr::memchr(b'"', self.rest).is_none() || self.into_iter().all(|param| param.is_ok())
    }

    /// Whether there is no parameter.
    pub(super) const fn is_empty(self) -> bool {
        self.rest.trim_ascii().is_empty()
    }

    /// The value of the first parameter called `name`, in any case. A parameter without `=`
    /// counts as not given.
    pub(super) fn find(self, name: &[u8]) -> Option<Cow<'b, [u8]>> {
        self.filter_map(Result::ok)
            .find(|param| param.name.eq_ignore_ascii_case(name))
            .and_then(|param| param.value)
    }
}

impl<'b> Iterator for Params<'b> {
    type Item = Result<Param<'b>, Unclosed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.trim_ascii().is_empty() {
            return None;
        }
        let Some(at) = memchr::memchr2(b'=', b';', self.rest) else {
            let name = std::mem::take(&mut self.rest).trim_ascii();
            return Some(Ok(Param { name, value: None }));
        };
        let has_value = self.rest.get(at) == Some(&b'=');
        let (name, rest) = cut(self.rest, at);
        let name = name.trim_ascii();
        if !has_value {
            self.rest = rest;
            return Some(Ok(Param { name, value: None }));
        }
        let (value, behind) = match rest.split_first() {
            Some((b'"', quoted)) => {
                let Some((value, behind)) = unquote(quoted) else {
                    self.rest = &[];
                    return Some(Err(Unclosed));
                };
                (Some(value), behind)
            }
            _ => (None, rest),
        };
        // Behind a closing quote, whatever stands before the next `;` is ignored.
        let (bare, rest) = match memchr::memchr(b';', behind) {
            Some(at) => cut(behind, at),
            None => (behind, &[][..]),
        };
        self.rest = rest;
        let value = value.unwrap_or_else(|| Cow::Borrowed(bare.trim_ascii()));
        Some(Ok(Param {
            name,
            value: Some(value),
        }))
    }
}

/// A whole decimal 32-bit integer; blanks around it, a leading `+` and zeros are fine.
pub(super) fn integer(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// Where the first comma outside double quotes is.
fn comma(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b',', b'"', bytes.get(from..)?)?;
        if bytes.get(at) == Some(&b',') {
            return Some(at);
        }
        from = at + 1 + closing_quote(bytes.get(at + 1..)?)? + 1;
    }
}

/// Where the quote that ends `quoted` is; a backslash takes the next byte along.
fn closing_quote(quoted: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'\\', b'"', quoted.get(from..)?)?;
        if quoted.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

/// The text up to the closing quote with its escapes resolved, and what stands behind the quote.
fn unquote(quoted: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let (text, behind) = cut(quoted, closing_quote(quoted)?);
    if memchr::memchr(b'\\', text).is_none() {
        return Some((Cow::Borrowed(text), behind));
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'\\' { *bytes.next()? } else { byte };
        plain.push(byte);
    }
    Some((Cow::Owned(plain), behind))
}

/// What stands before the byte at `at`, and what stands behind it.
fn cut(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    let (before, from) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    (before, from.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: &str) -> Vec<&str> {
        pieces(value.as_bytes())
            .map(|piece| std::str::from_utf8(piece).unwrap())
            .collect()
    }

    #[test]
    fn lists_keep_empty_members_but_none_behind_the_last_comma() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("  ", &[]),
            ("a", &["a"]),
            ("a,", &["a"]),
            ("a, ", &["a"]),
            (",", &[""]),
            ("a,,b", &["a", "", "b"]),
            (" a , b ", &["a", "b"]),
        ];
        for (value, wanted) in cases {
            assert_eq!(list(value), wanted, "{value:?}");
        }
    }

    #[test]
    fn quotes_protect_commas_and_angle_brackets_do_not() {
        assert_eq!(list(r#""q, c", d"#), [r#""q, c""#, "d"]);
        assert_eq!(list(r#"a="x\",y",b"#), [r#"a="x\",y""#, "b"]);
        assert_eq!(list("</a,b>; rel=next"), ["</a", "b>; rel=next"]);
        assert_eq!(list(r#"a,b="c,d"#), ["a", r#"b="c,d"#], "unclosed");
        assert_eq!(list(r#"a,b="c\"#), ["a", r#"b="c\"#], "cut in an escape");
    }

    fn params(piece: &str) -> Vec<Option<(String, Option<String>)>> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Params::new(piece.as_bytes())
            .map(|param| {
                param
                    .ok()
                    .map(|param| (text(param.name), param.value.map(|value| text(&value))))
            })
            .collect()
    }

    #[test]
    fn parameters_tell_absent_empty_and_quoted_values_apart() {
        let some = |name: &str, value: Option<&str>| Some((name.into(), value.map(Into::into)));
        assert_eq!(
            params(" a ; b= ;c"),
            [some("a", None), some("b", Some("")), some("c", None)]
        );
        assert_eq!(
            params(r#"a="x;\"y" junk; b = c "#),
            [some("a", Some(r#"x;"y"#)), some("b", Some("c")),]
        );
        assert_eq!(
            params(r#"a= "x""#),
            [some("a", Some(r#""x""#))],
            "quote not directly behind ="
        );
        assert_eq!(params(r#"a="x"#), [None]);
        assert_eq!(params(";"), [some("", None)]);
        assert_eq!(params(""), []);
    }

    #[test]
    fn the_first_item_is_raw_up_to_the_first_semicolon() {
        let (first, rest) = Params::behind_first(br#" "a;b" ; Prev-ID=x; prev-id=y"#);
        assert_eq!(first, br#""a"#);
        assert_eq!(
            rest.find(b"prev-id").as_deref(),
            Some(&b"x"[..]),
            "the first of a name"
        );
        let (first, rest) = Params::behind_first(b" </x> ");
        assert_eq!((first, rest.is_empty()), (&b"</x>"[..], true));
    }

    #[test]
    fn integers_are_whole_decimal_and_32_bits() {
        let cases = [
            ("7", 7),
            (" +7 ", 7),
            ("007", 7),
            ("-1", -1),
            ("2147483647", i32::MAX),
        ];
        for (text, wanted) in cases {
            assert_eq!(integer(text.as_bytes()), Some(wanted), "{text:?}");
        }
        for text in [
            "",
            " ",
            "5.5",
            "0x10",
            "7 s",
            "2147483648",
            "99999999999",
            "+-1",
            "é",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
    }
}
