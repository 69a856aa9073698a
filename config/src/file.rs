//! The reader for `pincushion.toml`.
//!
//! An unknown key, a wrong type or a bad value is a problem with a line number. All problems of a
//! file are reported together, so that it is mended in one go.

mod section;
mod sections;
mod values;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::check::check;
use crate::model::Config;
pub(crate) use section::full_name;
use section::{Problems, Section};

/// Bytes a settings file may have.
pub const CONFIG_FILE_LEN_MAX: u64 = 1_048_576;

/// The largest permissions a file may get.
const MODE_MAX: u32 = 0o777;

/// Why the settings cannot be used. The text names file, line and key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read, or is no UTF-8 text.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is too long.
    #[error("{}: longer than {max} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        max: u64,
    },
    /// The text is wrong somewhere. One line of text for each problem.
    #[error("{}", joined(path, problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong in a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// Section, key and what is wrong with it.
    pub text: String,
}

/// `LINE: TEXT`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.text)
    }
}

impl Config {
    /// Reads a settings file.
    ///
    /// # Errors
    /// [`ConfigError`] when it cannot be read or anything in it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut text = String::new();
        let read = File::open(path)
            .and_then(|file| file.take(CONFIG_FILE_LEN_MAX + 1).read_to_string(&mut text));
        match read {
            Ok(len) if len as u64 <= CONFIG_FILE_LEN_MAX => Self::parse(&text, path),
            Ok(_) => Err(ConfigError::TooLong {
                path: path.to_owned(),
                max: CONFIG_FILE_LEN_MAX,
            }),
            Err(source) => Err(ConfigError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads the text of a settings file; `origin` is its name, and its folder the one that
    /// relative names are taken from.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] when anything in it is wrong.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let base_dir = origin.parent().unwrap_or_else(|| Path::new(""));
        let mut problems = Problems::new(text);
        let config = read(text, base_dir, &mut problems);
        match problems.into_list() {
            list if list.is_empty() => Ok(config),
            list => Err(ConfigError::Wrong {
                path: origin.to_owned(),
                problems: list,
            }),
        }
    }
}

/// The settings as far as they can be read; what cannot is noted.
fn read(text: &str, base_dir: &Path, problems: &mut Problems<'_>) -> Config {
    let mut config = Config::unexpanded();
    config.base_dir = base_dir.to_owned();
    let document = match DeTable::parse(text) {
        Ok(document) => document.into_inner(),
        Err(error) => {
            let offset = error.span().map_or(text.len(), |span| span.start);
            problems.note(offset, error.message().trim_end().replace('\n', ", "));
            return config;
        }
    };
    let mut offsets = HashMap::new();
    for (name, read_section) in sections::ALL {
        let table = table_of(&document, name, problems);
        let mut section = Section::new(name, table, problems, &mut offsets);
        read_section(&mut section, &mut config);
        section.finish();
    }
    config.zmq.expand(&config.run_dir);
    if problems.is_empty() {
        for found in check(&config) {
            // A rule broken by a default has no line of its own.
            let offset = offsets
                .get(&(found.section, found.key))
                .copied()
                .unwrap_or(0);
            problems.note(offset, found.to_string());
        }
    }
    config
}

/// The table of a section; the empty name is the document itself.
fn table_of<'t, 'i>(
    document: &'t DeTable<'i>,
    name: &str,
    problems: &mut Problems<'_>,
) -> Option<&'t DeTable<'i>> {
    if name.is_empty() {
        return Some(document);
    }
    let value = document.get(name)?;
    if let DeValue::Table(table) = value.get_ref() {
        return Some(table);
    }
    problems.note(value.span().start, format!("[{name}]: expected a section"));
    None
}

/// Permissions written in octal, with or without a leading `0` or `0o`; at most 777.
pub(crate) fn octal_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    // `from_str_radix` would take a sign.
    let is_octal = digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(digits, 8).ok();
    mode.filter(|mode| is_octal && *mode <= MODE_MAX)
}

/// All problems, each as `FILE:LINE: TEXT` on a line of its own.
fn joined(path: &Path, problems: &[Problem]) -> String {
    let lines = problems
        .iter()
        .map(|problem| format!("{}:{problem}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
