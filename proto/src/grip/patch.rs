//! `body-patch`: operations upon the JSON content of a hold's own timeout answer.
//!
//! They look like RFC 6902 and differ where Pushpin differs: `/` alone is the whole document,
//! and `add` at an existing array index replaces.

use serde_json::Value;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub enum PatchOp {
    /// Sets a member or element, or appends one.
    Add {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Removes what is there.
    Remove {
        /// Where.
        path: String,
    },
    /// Sets what must be there already.
    Replace {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Removes what is at `from` and adds it at `path`.
    Move {
        /// From where.
        from: String,
        /// Where to.
        path: String,
    },
    /// Adds what is at `from` at `path`.
    Copy {
        /// From where.
        from: String,
        /// Where to.
        path: String,
    },
    /// Fails unless the value is there.
    Test {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Not an operation. Items that hold one are accepted, as with Pushpin; applying it fails.
    Invalid,
}

/// Why a patch could not be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The content is not a JSON object or array.
    #[error("content is not a JSON object or array")]
    NotContainer,
    /// An operation is malformed.
    #[error("malformed patch operation")]
    Malformed,
    /// A path is malformed.
    #[error("malformed path")]
    Path,
    /// A path leads nowhere.
    #[error("path does not exist")]
    Missing,
    /// The root cannot be removed, and nothing can move into itself.
    #[error("operation not possible at this path")]
    Impossible,
    /// A `test` found something else.
    #[error("test failed")]
    TestFailed,
    /// The result is neither object nor array.
    #[error("result is not a JSON object or array")]
    ResultNotContainer,
    /// The operations copy too much or nest too deep.
    #[error("result is too large")]
    TooLarge,
}

/// Applies `ops` in order to `body`; the value is the new content: compact JSON with sorted keys
/// and the line end of `body`, if it had one.
///
/// # Errors
/// [`PatchError`]; nothing of the patch is then applied.
pub fn apply(ops: &[PatchOp], body: &[u8]) -> Result<Vec<u8>, PatchError> {
    let _ = (ops, body);
    Err(PatchError::Malformed)
}
