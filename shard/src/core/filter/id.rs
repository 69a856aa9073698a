//! `build-id`: puts the id of a session's position into content (`grip-http.md` section 17.1).
//!
//! `%I` becomes the id, `%(literal)I` the literal, `%%` a percent sign. The reader takes content in
//! pieces and keeps nothing but where it stands, so that bodies of any length can stream through.

use std::ops::Range;
use std::slice;

use memchr::{memchr, memchr2};

use super::error::{FilterError, TemplateError};
use super::meta::Meta;
use super::template::{self, Limit};

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// How ids are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As they are.
    Raw,
    /// As pairs of lower-case digits.
    Hex,
}

impl Encoding {
    /// As the subscription's `id_encoding` says.
    pub(super) fn of(meta: &Meta) -> Result<Self, FilterError> {
        match meta.get("id_encoding") {
            None => Ok(Self::Raw),
            Some("hex") => Ok(Self::Hex),
            Some(other) => Err(FilterError::UnsupportedEncoding(other.into())),
        }
    }

    /// Appends `bytes` in this encoding.
    pub(super) fn append(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Raw => out.extend_from_slice(bytes),
            Self::Hex => out.extend(bytes.iter().flat_map(|byte| {
                [byte >> 4, byte & 0xf]
                    .map(|digit| HEX_DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'))
            })),
        }
    }
}

/// What ids are made of in one subscription.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdSource<'m> {
    format: &'m str,
    encoding: Encoding,
}

impl<'m> IdSource<'m> {
    /// As the subscription says. Checked for every item, also for one that holds no directive.
    pub(super) fn new(meta: &'m Meta) -> Result<Self, FilterError> {
        Ok(Self {
            format: meta.get("id_format").ok_or(FilterError::NoIdFormat)?,
            encoding: Encoding::of(meta)?,
        })
    }
}

/// Appends the filled `content` of an item to `out`. The id is made when the content asks for it,
/// and once; what stands behind the old end of `out` after an error is to be thrown away.
pub(super) fn fill<'v>(
    source: &IdSource<'_>,
    position: &dyn Fn(&str) -> Option<&'v str>,
    content: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), FilterError> {
    let limit = Limit::new(content.len(), out);
    let mut made: Option<Range<usize>> = None;
    let mut id = |out: &mut Vec<u8>| {
        if let Some(place) = &made {
            out.extend_from_within(place.clone());
        } else {
            let start = out.len();
            template::fill(source.format.as_bytes(), source.encoding, position, out)
                .map_err(FilterError::RenderId)?;
            made = Some(start..out.len());
        }
        limit.check(out).map_err(FilterError::Template)
    };
    let mut directives = Directives::new(source.encoding);
    directives.piece(content, out, &mut id)?;
    directives.end()
}

/// Reads content with directives for ids, in pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directives {
    encoding: Encoding,
    place: Place,
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of directives.
    Text,
    /// Behind a percent sign.
    Percent,
    /// Within the parentheses.
    Argument,
    /// Behind a backslash within the parentheses.
    Escape,
    /// Behind the closing parenthesis.
    Letter,
}

impl Directives {
    /// At the start of some content.
    pub(super) const fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            place: Place::Text,
        }
    }

    /// Appends what `input` becomes to `out`; `id` appends the encoded id.
    pub(super) fn piece(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        id: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), FilterError>,
    ) -> Result<(), FilterError> {
        let mut rest = input;
        while let Some((byte, behind)) = rest.split_first() {
            rest = match self.place {
                Place::Text => self.text(rest, out),
                Place::Argument => self.argument(rest, out),
                Place::Percent => {
                    self.place = match byte {
                        b'%' => {
                            out.push(b'%');
                            Place::Text
                        }
                        b'(' => Place::Argument,
                        b'I' => {
                            id(out)?;
                            Place::Text
                        }
                        letter => return Err(unknown(*letter)),
                    };
                    behind
                }
                Place::Escape => {
                    self.encoding.append(slice::from_ref(byte), out);
                    self.place = Place::Argument;
                    behind
                }
                Place::Letter if *byte == b'I' => {
                    self.place = Place::Text;
                    behind
                }
                Place::Letter => return Err(unknown(*byte)),
            };
        }
        Ok(())
    }

    /// Fails within a directive.
    pub(super) fn end(self) -> Result<(), FilterError> {
        match self.place {
            Place::Text => Ok(()),
            Place::Percent | Place::Argument | Place::Escape | Place::Letter => {
                Err(FilterError::Template(TemplateError::Unfinished))
            }
        }
    }

    /// Takes text up to the next directive; answers what stands behind.
    fn text<'i>(&mut self, input: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
        let (text, behind) = cut(input, memchr(b'%', input));
        out.extend_from_slice(text);
        if behind.is_some() {
            self.place = Place::Percent;
        }
        behind.map_or(&[], |(_, behind)| behind)
    }

    /// Takes a literal up to its end or a backslash; answers what stands behind.
    fn argument<'i>(&mut self, input: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
        let (literal, behind) = cut(input, memchr2(b')', b'\\', input));
        self.encoding.append(literal, out);
        match behind {
            None => return &[],
            Some((b')', _)) => self.place = Place::Letter,
            Some(_) => self.place = Place::Escape,
        }
        behind.map_or(&[], |(_, behind)| behind)
    }
}

/// Cuts `input` at the delimiter found: what stands before it, then the delimiter and the rest.
fn cut(input: &[u8], at: Option<usize>) -> (&[u8], Option<(u8, &[u8])>) {
    let (before, behind) = input.split_at(at.unwrap_or(input.len()));
    let behind = behind.split_first();
    (before, behind.map(|(delimiter, rest)| (*delimiter, rest)))
}

/// The error for a letter that means nothing here.
const fn unknown(letter: u8) -> FilterError {
    FilterError::Template(TemplateError::UnknownDirective { letter })
}

#[cfg(test)]
mod tests;
