//! Cuts a line of the routes into sections, values and options.
//!
//! Spaces part sections, commas part the pieces of a section, a number sign ends the line, double
//! quotes protect all three. Tabs are ordinary characters. No piece has a meaning yet.

use super::RouteLineError as Error;

/// Bytes a line may have, comment included.
pub(super) const LINE_LEN_MAX: usize = 16_384;

/// A value and its options: the condition, or one target.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// The first piece; empty if that was an option.
    pub(super) value: String,
    /// Name and value of each option; the value of a flag is empty.
    options: Vec<(String, String)>,
}

impl Section {
    /// Whether the option is there, with a value or without.
    pub(super) fn has(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// The value of an option that counts once: the last one.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().rfind(|(option, _)| option == name);
        found.map(|(_, value)| value.as_str())
    }

    /// As [`last`](Self::last), an empty value being none.
    pub(super) fn last_text(&self, name: &str) -> Option<String> {
        self.last(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// All values of an option that may be repeated, in order.
    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        let found = self
            .options
            .iter()
            .filter(move |(option, _)| option == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The sections of a line; none for an empty line or a comment.
///
/// # Errors
/// When quotes, escapes, options or characters are wrong.
pub(super) fn sections(line: &str) -> Result<Vec<Section>, Error> {
    if line.len() > LINE_LEN_MAX {
        return Err(Error::LineTooLong { max: LINE_LEN_MAX });
    }
    let mut chars = line.chars();
    let mut pieces = Pieces::default();
    while let Some(char) = chars.next() {
        match char {
            '#' => break,
            ' ' => pieces.end_section()?,
            ',' => pieces.end_piece(),
            '"' => quoted(&mut chars, pieces.text())?,
            _ => pieces.text().push(printable(char)?),
        }
    }
    pieces.end_section()?;
    Ok(pieces.sections)
}

/// Reads up to the closing quote.
fn quoted(chars: &mut std::str::Chars<'_>, text: &mut String) -> Result<(), Error> {
    loop {
        match chars.next().ok_or(Error::OpenQuote)? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or(Error::OpenQuote)? {
                escaped @ ('\\' | '"') => text.push(escaped),
                escaped => return Err(Error::BadEscape { escaped }),
            },
            char => text.push(printable(char)?),
        }
    }
}

/// Refuses what could end a field's line on its way to a backend.
fn printable(char: char) -> Result<char, Error> {
    if char.is_control() && char != '\t' {
        return Err(Error::ControlCharacter);
    }
    Ok(char)
}

/// What has been cut so far.
#[derive(Default)]
struct Pieces {
    sections: Vec<Section>,
    /// The section that is being read: its finished pieces and the one that grows. `None` between
    /// sections.
    open: Option<(Vec<String>, String)>,
}

impl Pieces {
    /// The piece that grows, begun if need be.
    fn text(&mut self) -> &mut String {
        &mut self.open.get_or_insert_default().1
    }

    /// A comma: the next piece begins, even if it stays empty.
    fn end_piece(&mut self) {
        let (pieces, text) = self.open.get_or_insert_default();
        pieces.push(std::mem::take(text));
    }

    /// A space or the end of the line.
    fn end_section(&mut self) -> Result<(), Error> {
        let Some((mut pieces, last)) = self.open.take() else {
            return Ok(());
        };
        pieces.push(last);
        let has_value = pieces.first().is_some_and(|first| !first.contains('='));
        let value = if has_value {
            pieces.remove(0)
        } else {
            String::new()
        };
        let options = pieces.into_iter().map(option).collect::<Result<_, _>>()?;
        self.sections.push(Section { value, options });
        Ok(())
    }
}

/// Name and value of an option.
fn option(piece: String) -> Result<(String, String), Error> {
    if piece.is_empty() {
        return Err(Error::EmptyOption);
    }
    match piece.split_once('=') {
        None => Ok((piece, String::new())),
        Some(("", _)) => Err(Error::NamelessOption { text: piece }),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
    }
}

#[cfg(test)]
mod tests;
