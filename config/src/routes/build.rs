//! Gives the pieces of a line their meaning.

use std::path::Path;

use super::Route;
use super::line::LineError;

/// Reads lines of one file.
pub(super) struct Builder;

impl Builder {
    pub(super) fn new(_base_dir: &Path) -> Self {
        Self
    }

    pub(super) fn route(&mut self, _text: &str, _line: usize) -> Result<Option<Route>, LineError> {
        Ok(None)
    }

    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}
