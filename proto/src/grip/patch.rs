//! `body-patch`: operations upon the JSON content of a hold's own timeout answer.
//!
//! They look like RFC 6902 and differ where Pushpin differs: `/` alone is the whole document,
//! and `add` at an existing array index replaces.

use serde_json::Value;

use super::tree::to_value;
use crate::zhttp::tnetstring::Tnet;

/// What the `copy` operations of one patch may put in, weighed by [`measure`]: copies of copies
/// would otherwise double with every operation. What others put in is bounded by the item.
const COPIED_MAX: usize = 1_000_000;
/// What a list or an object weighs by itself; other values weigh 1, strings and names their bytes.
const CONTAINER_WEIGHT: usize = 32;
/// Lists and objects within each other, in values that operations put in, the levels above
/// included: deep ones would exhaust the stack.
const DEPTH_MAX: usize = 256;

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

impl PatchOp {
    /// Reads one operation; what is none becomes [`PatchOp::Invalid`].
    pub(super) fn from_tree(tree: &Tnet<'_>) -> Self {
        Self::read(tree).unwrap_or(Self::Invalid)
    }

    fn read(tree: &Tnet<'_>) -> Option<Self> {
        let text = |key: &[u8]| Some(tree.member(key)?.as_text()?.into_owned());
        let value = || Some(to_value(tree.member(b"value")?));
        let path = text(b"path")?;
        Some(match tree.member(b"op")?.as_bytes()? {
            b"add" => Self::Add {
                path,
                value: value()?,
            },
            b"remove" => Self::Remove { path },
            b"replace" => Self::Replace {
                path,
                value: value()?,
            },
            b"move" => Self::Move {
                from: text(b"from")?,
                path,
            },
            b"copy" => Self::Copy {
                from: text(b"from")?,
                path,
            },
            b"test" => Self::Test {
                path,
                value: value()?,
            },
            _ => return None,
        })
    }
}

/// Applies `ops` in order to `body`; the value is the new content: compact JSON with sorted keys
/// and the line end of `body`, if it had one.
///
/// # Errors
/// [`PatchError`]; nothing of the patch is then applied.
pub fn apply(ops: &[PatchOp], body: &[u8]) -> Result<Vec<u8>, PatchError> {
    let root: Value = serde_json::from_slice(body).map_err(|_| PatchError::NotContainer)?;
    if !is_container(&root) {
        return Err(PatchError::NotContainer);
    }
    let mut document = Document {
        root,
        copies_left: COPIED_MAX,
    };
    for op in ops {
        document.apply(op)?;
    }
    if !is_container(&document.root) {
        return Err(PatchError::ResultNotContainer);
    }
    let mut patched = document.root.to_string().into_bytes();
    let line_end: &[u8] = match body {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    };
    patched.extend_from_slice(line_end);
    Ok(patched)
}

const fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

/// The document while operations are applied to it.
struct Document {
    root: Value,
    /// What may still be copied; see [`COPIED_MAX`].
    copies_left: usize,
}

impl Document {
    fn apply(&mut self, op: &PatchOp) -> Result<(), PatchError> {
        match op {
            PatchOp::Add { path, value } => {
                let path = segments(path)?;
                self.insert(&path, value.clone())
            }
            PatchOp::Remove { path } => self.remove(&segments(path)?).map(drop),
            PatchOp::Replace { path, value } => {
                let path = segments(path)?;
                self.at(&path)?;
                self.insert(&path, value.clone())
            }
            PatchOp::Move { from, path } => self.shift(&segments(from)?, &segments(path)?),
            PatchOp::Copy { from, path } => {
                let path = segments(path)?;
                let found = self.at(&segments(from)?)?;
                // Measured before it is cloned.
                let mut copies_left = self.copies_left;
                measure(found, depth_left(&path), &mut copies_left)?;
                let value = found.clone();
                self.copies_left = copies_left;
                self.put(&path, value)
            }
            PatchOp::Test { path, value } => {
                if are_equal(self.at(&segments(path)?)?, value) {
                    Ok(())
                } else {
                    Err(PatchError::TestFailed)
                }
            }
            PatchOp::Invalid => Err(PatchError::Malformed),
        }
    }

    /// Moves what is at `from`. Onto itself it stays where it is: removing it first would let
    /// `put` overwrite its neighbour in an array.
    fn shift(&mut self, from: &[String], path: &[String]) -> Result<(), PatchError> {
        if from.is_empty() || (path.len() > from.len() && path.starts_with(from)) {
            return Err(PatchError::Impossible);
        }
        if from == path {
            return self.at(from).map(drop);
        }
        let value = self.remove(from)?;
        self.insert(path, value)
    }

    fn at(&self, path: &[String]) -> Result<&Value, PatchError> {
        path.iter()
            .try_fold(&self.root, |value, segment| match value {
                Value::Object(members) => members.get(segment).ok_or(PatchError::Missing),
                Value::Array(elements) => elements.get(index(segment)?).ok_or(PatchError::Missing),
                _ => Err(PatchError::Missing),
            })
    }

    fn at_mut(&mut self, path: &[String]) -> Result<&mut Value, PatchError> {
        path.iter()
            .try_fold(&mut self.root, |value, segment| match value {
                Value::Object(members) => members.get_mut(segment).ok_or(PatchError::Missing),
                Value::Array(elements) => {
                    elements.get_mut(index(segment)?).ok_or(PatchError::Missing)
                }
                _ => Err(PatchError::Missing),
            })
    }

    fn insert(&mut self, path: &[String], value: Value) -> Result<(), PatchError> {
        let mut unlimited = usize::MAX;
        measure(&value, depth_left(path), &mut unlimited)?;
        self.put(path, value)
    }

    fn put(&mut self, path: &[String], value: Value) -> Result<(), PatchError> {
        let Some((last, parent)) = path.split_last() else {
            self.root = value;
            return Ok(());
        };
        match self.at_mut(parent)? {
            Value::Object(members) => {
                members.insert(last.clone(), value);
            }
            Value::Array(elements) if last == "-" => elements.push(value),
            Value::Array(elements) => {
                *elements.get_mut(index(last)?).ok_or(PatchError::Missing)? = value;
            }
            _ => return Err(PatchError::Missing),
        }
        Ok(())
    }

    fn remove(&mut self, path: &[String]) -> Result<Value, PatchError> {
        let (last, parent) = path.split_last().ok_or(PatchError::Impossible)?;
        match self.at_mut(parent)? {
            Value::Object(members) => members.remove(last).ok_or(PatchError::Missing),
            Value::Array(elements) => {
                let at = index(last)?;
                if at >= elements.len() {
                    return Err(PatchError::Missing);
                }
                Ok(elements.remove(at))
            }
            _ => Err(PatchError::Missing),
        }
    }
}

/// The segments of a path; none for `/`, which is the whole document.
fn segments(path: &str) -> Result<Vec<String>, PatchError> {
    let path = path.strip_prefix('/').ok_or(PatchError::Path)?;
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/').map(segment).collect()
}

fn segment(escaped: &str) -> Result<String, PatchError> {
    if escaped.is_empty() {
        return Err(PatchError::Path);
    }
    let mut plain = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PatchError::Path),
            },
            c => c,
        });
    }
    Ok(plain)
}

/// An array index; `-` is none but for `add`.
fn index(segment: &str) -> Result<usize, PatchError> {
    let is_index = segment.bytes().all(|byte| byte.is_ascii_digit());
    is_index
        .then(|| segment.parse().ok())
        .flatten()
        .ok_or(PatchError::Missing)
}

/// How deep a value at `path` may be.
const fn depth_left(path: &[String]) -> usize {
    DEPTH_MAX.saturating_sub(path.len())
}

/// Takes the weight of `value` off `left`.
fn measure(value: &Value, depth_left: usize, left: &mut usize) -> Result<(), PatchError> {
    let own_weight = match value {
        Value::Array(_) | Value::Object(_) => CONTAINER_WEIGHT,
        Value::String(text) => 1 + text.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    };
    *left = left.checked_sub(own_weight).ok_or(PatchError::TooLarge)?;
    if !is_container(value) {
        return Ok(());
    }
    let depth_left = depth_left.checked_sub(1).ok_or(PatchError::TooLarge)?;
    if let Value::Array(elements) = value {
        return elements
            .iter()
            .try_for_each(|element| measure(element, depth_left, left));
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        *left = left.checked_sub(name.len()).ok_or(PatchError::TooLarge)?;
        measure(member, depth_left, left)?;
    }
    Ok(())
}

/// Equality of RFC 6902 section 4.6: numbers by value, so that 1 equals 1.0.
fn are_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left.is_f64() != right.is_f64() && left.as_f64() == right.as_f64())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| are_equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, left)| right.get(name).is_some_and(|right| are_equal(left, right)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests;
