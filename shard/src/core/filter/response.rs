//! The response filter: `build-id` on bodies of instructs (`grip-http.md` section 17.4).
//!
//! It works on the body of an answer without hold, on the first body of a stream and on the bodies
//! of next links, never on the answer that a long-poll's timeout brings.

use super::error::FilterError;
use super::id::{Directives, Encoding};
use super::meta::Meta;

/// A response filter failed: an answer without hold becomes a 502; a stream ends, its first body
/// empty. With `debug` on the route the client sees this text behind `filter error: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("build-id: {0}")]
pub(in crate::core) struct ResponseFilterError(FilterError);

/// Filters one body that comes in pieces; a directive may span them. Keeps no content.
///
/// There are no positions here, so `%I` without argument always fails.
#[derive(Debug, Clone, Copy)]
pub(in crate::core) struct ResponseFilter {
    directives: Directives,
}

impl ResponseFilter {
    /// For one body, as the subscription's variables say.
    ///
    /// # Errors
    /// They lack `id_format` or name an unknown encoding.
    pub(in crate::core) fn new(meta: &Meta) -> Result<Self, ResponseFilterError> {
        if meta.get("id_format").is_none() {
            return Err(ResponseFilterError(FilterError::NoIdFormat));
        }
        let encoding = Encoding::of(meta).map_err(ResponseFilterError)?;
        Ok(Self {
            directives: Directives::new(encoding),
        })
    }

    /// Appends what the next piece of the body becomes to `out`.
    ///
    /// # Errors
    /// A percent sign that starts no directive. The filter is then of no further use and `out` is
    /// as it was.
    pub(in crate::core) fn piece(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseFilterError> {
        let start = out.len();
        let mut no_id = |_: &mut Vec<u8>| Err(FilterError::NoId);
        let done = self.directives.piece(input, out, &mut no_id);
        done.map_err(|e| {
            out.truncate(start);
            ResponseFilterError(e)
        })
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// It ends within a directive.
    pub(in crate::core) fn end(self) -> Result<(), ResponseFilterError> {
        self.directives.end().map_err(ResponseFilterError)
    }
}

#[cfg(test)]
mod tests;
