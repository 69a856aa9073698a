//! Templates: text with `%(name)s` for values and `%%` for a percent sign.
//!
//! One pass from percent sign to percent sign, into the caller's buffer. Bytes in, bytes out: a
//! template need not be UTF-8. The directives of `build-id` (`%I`) are read in `id`, since their
//! arguments are not names and may come in pieces.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::GROWTH_LEN_MAX;
use super::error::TemplateError;
use super::id::Encoding;

/// Bytes of an unknown name that its error keeps.
const NAME_SHOWN_LEN_MAX: usize = 64;

/// Appends the filled `template` to `out`, all of it in `encoding`. What stands behind the old end
/// of `out` after an error is to be thrown away.
///
/// # Errors
/// A percent sign that starts no directive, a name without value, or too long a result.
pub(super) fn fill<'v>(
    template: &[u8],
    encoding: Encoding,
    value: &dyn Fn(&str) -> Option<&'v str>,
    out: &mut Vec<u8>,
) -> Result<(), TemplateError> {
    let limit = Limit::new(template.len(), out);
    let mut rest = template;
    while let Some(percent) = memchr(b'%', rest) {
        let (text, behind) = rest.split_at(percent);
        encoding.append(text, out);
        let directive = Directive::read(behind)?;
        match directive.name {
            None => encoding.append(b"%", out),
            Some(name) => {
                let name_text = std::str::from_utf8(&name).ok();
                let value = name_text.and_then(value);
                let value = value.ok_or_else(|| unknown_name(&name))?;
                encoding.append(value.as_bytes(), out);
                limit.check(out)?;
            }
        }
        rest = directive.rest;
    }
    encoding.append(rest, out);
    limit.check(out)
}

/// How long a result may get.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    end_max: usize,
}

impl Limit {
    /// For a template of `len` bytes whose result starts at the end of `out`.
    pub(super) fn new(len: usize, out: &[u8]) -> Self {
        let end_max = out.len().saturating_add(len);
        Self {
            end_max: end_max.saturating_add(GROWTH_LEN_MAX),
        }
    }

    /// Fails when `out` has become too long.
    pub(super) fn check(self, out: &[u8]) -> Result<(), TemplateError> {
        if out.len() > self.end_max {
            return Err(TemplateError::TooLong {
                max: GROWTH_LEN_MAX,
            });
        }
        Ok(())
    }
}

/// What a percent sign starts.
struct Directive<'t> {
    /// The name; `None` for `%%`.
    name: Option<Cow<'t, [u8]>>,
    /// What stands behind it.
    rest: &'t [u8],
}

impl<'t> Directive<'t> {
    /// Reads the directive at the front of `text`, which starts with a percent sign.
    fn read(text: &'t [u8]) -> Result<Self, TemplateError> {
        match text {
            [_, b'%', rest @ ..] => Ok(Self { name: None, rest }),
            [_, b'(', rest @ ..] => {
                let (name, rest) = argument(rest)?;
                match rest {
                    [b's', rest @ ..] => Ok(Self {
                        name: Some(name),
                        rest,
                    }),
                    [letter, ..] => Err(TemplateError::UnknownDirective { letter: *letter }),
                    [] => Err(TemplateError::Unfinished),
                }
            }
            [_, b's', ..] => Err(TemplateError::NoName),
            [_, letter, ..] => Err(TemplateError::UnknownDirective { letter: *letter }),
            _ => Err(TemplateError::Unfinished),
        }
    }
}

/// Reads an argument up to its closing parenthesis, which is left out; a backslash takes the next
/// character. The second part is what stands behind. Copies only what holds backslashes.
fn argument(text: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), TemplateError> {
    let mut escaped = Vec::new();
    let mut rest = text;
    loop {
        let end = memchr2(b')', b'\\', rest).ok_or(TemplateError::Unfinished)?;
        let (plain, behind) = rest.split_at(end);
        match behind {
            [b')', behind @ ..] if escaped.is_empty() => return Ok((Cow::Borrowed(plain), behind)),
            [b')', behind @ ..] => {
                escaped.extend_from_slice(plain);
                return Ok((Cow::Owned(escaped), behind));
            }
            // The first byte of the character is enough: no later one looks like a delimiter.
            [_, taken, behind @ ..] => {
                escaped.extend_from_slice(plain);
                escaped.push(*taken);
                rest = behind;
            }
            _ => return Err(TemplateError::Unfinished),
        }
    }
}

/// The error for a name without value.
fn unknown_name(name: &[u8]) -> TemplateError {
    let shown = name.get(..NAME_SHOWN_LEN_MAX).unwrap_or(name);
    TemplateError::UnknownName {
        name: String::from_utf8_lossy(shown).into(),
    }
}

#[cfg(test)]
mod tests;
