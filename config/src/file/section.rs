//! Takes values out of one section and notes what is wrong with them.
//!
//! Each method takes one key. A key that is missing leaves the default alone; one that no method
//! asked for is unknown.

use std::collections::HashMap;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// Where each key stands: its section and name, and the offset of its value in the text.
pub(super) type Offsets = HashMap<(&'static str, &'static str), usize>;

/// What has been found wrong so far.
pub(super) struct Problems<'t> {
    text: &'t str,
    /// Each with its offset in the text.
    found: Vec<(usize, String)>,
}

impl<'t> Problems<'t> {
    /// None yet.
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    /// Notes a problem at an offset of the text.
    pub(super) fn note(&mut self, offset: usize, text: String) {
        self.found.push((offset, text));
    }

    /// Whether all is well so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All problems in the order of the text.
    pub(super) fn into_list(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(offset, _)| *offset);
        let line = |offset: usize| {
            let before = self.text.as_bytes().iter().take(offset);
            before.filter(|byte| **byte == b'\n').count() + 1
        };
        let found = self.found.into_iter();
        found
            .map(|(offset, text)| Problem {
                line: line(offset),
                text,
            })
            .collect()
    }
}

/// One section that is being read.
pub(super) struct Section<'s, 't, 'i> {
    name: &'static str,
    /// `None`: the section is not there.
    table: Option<&'s DeTable<'i>>,
    problems: &'s mut Problems<'t>,
    offsets: &'s mut Offsets,
    /// The keys that were asked for.
    pub(super) known: Vec<&'static str>,
}

impl<'s, 't, 'i> Section<'s, 't, 'i> {
    /// A section of which nothing has been read.
    pub(super) fn new(
        name: &'static str,
        table: Option<&'s DeTable<'i>>,
        problems: &'s mut Problems<'t>,
        offsets: &'s mut Offsets,
    ) -> Self {
        Self {
            name,
            table,
            problems,
            offsets,
            known: Vec::new(),
        }
    }

    /// The value of a key.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'s Spanned<DeValue<'i>>> {
        self.known.push(key);
        let value = self.table?.get(key)?;
        self.offsets.insert((self.name, key), value.span().start);
        Some(value)
    }

    /// Notes that a value is wrong.
    pub(super) fn wrong(&mut self, key: &str, at: &Spanned<DeValue<'i>>, text: impl Display) {
        let text = format!("{}: {text}", full_name(self.name, key));
        self.problems.note(at.span().start, text);
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, flag: &mut bool) {
        let Some(value) = self.value(key) else {
            return;
        };
        match value.get_ref() {
            DeValue::Boolean(found) => *flag = *found,
            _ => self.wrong(key, value, "expected true or false"),
        }
    }

    /// A whole number within `range`, which is a count of `unit`.
    pub(super) fn whole<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
        unit: &str,
        number: &mut T,
    ) {
        let Some(value) = self.value(key) else {
            return;
        };
        let found = integer(value).filter(|found| range.contains(found));
        match found.and_then(|found| T::try_from(found).ok()) {
            Some(found) => *number = found,
            None => {
                let (min, max) = range.into_inner();
                let text = format!("expected a whole number of {unit} from {min} to {max}");
                self.wrong(key, value, text);
            }
        }
    }

    /// A limit that is off when it is zero or less.
    pub(super) fn limit(&mut self, key: &'static str, unit: &str, limit: &mut Option<NonZeroU32>) {
        let Some(value) = self.value(key) else {
            return;
        };
        match integer(value).map(|found| u32::try_from(found.max(0))) {
            Some(Ok(found)) => *limit = NonZeroU32::new(found),
            _ => {
                let max = u32::MAX;
                let text = format!("expected a whole number of {unit} up to {max}, 0: no limit");
                self.wrong(key, value, text);
            }
        }
    }

    /// A text, or `None` if it is empty.
    pub(super) fn optional_text(&mut self, key: &'static str, text: &mut Option<String>) {
        self.parsed(key, text, |found| {
            Ok::<_, String>(Some(found.to_owned()).filter(|found| !found.is_empty()))
        });
    }

    /// A text with a meaning.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        key: &'static str,
        target: &mut T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) {
        let Some(value) = self.value(key) else {
            return;
        };
        match value.get_ref() {
            DeValue::String(text) => match parse(text) {
                Ok(found) => *target = found,
                Err(error) => self.wrong(key, value, error),
            },
            _ => self.wrong(key, value, "expected a text"),
        }
    }

    /// An array of texts with a meaning.
    pub(super) fn list<T, E: Display>(
        &mut self,
        key: &'static str,
        target: &mut Vec<T>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) {
        let Some(value) = self.value(key) else {
            return;
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(key, value, "expected an array of texts");
            return;
        };
        target.clear();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => match parse(text) {
                    Ok(found) => target.push(found),
                    Err(error) => self.wrong(key, item, error),
                },
                _ => self.wrong(key, item, "expected an array of texts"),
            }
        }
    }

    /// Notes the keys that nothing asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let text = format!("{}: unknown key", full_name(self.name, name));
            self.problems.note(key.span().start, text);
        }
    }
}

/// The value of a whole number that fits.
pub(super) fn integer(value: &Spanned<DeValue<'_>>) -> Option<i64> {
    let number = value.get_ref().as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// `[section] key`, or the key alone outside sections.
pub(crate) fn full_name(section: &str, key: &str) -> String {
    match section {
        "" => key.to_owned(),
        _ => format!("[{section}] {key}"),
    }
}
