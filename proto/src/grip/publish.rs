//! Reads published items, in JSON and in tnetstrings.

use crate::grip::{Item, ShapeError};
use crate::zhttp::tnetstring::Tnet;

/// Why the content of `POST /publish` is refused. The text is the answer's content without its
/// newline; the status is 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Not JSON, or a bare scalar.
    #[error("Body is not valid JSON.")]
    NotJson,
    /// A list.
    #[error("Invalid format.")]
    NotObject,
    /// No `items`.
    #[error("Invalid format: object does not contain 'items'")]
    NoItems,
    /// `items` is not a list.
    #[error("Invalid format: object contains 'items' with wrong type")]
    ItemsType,
    /// One of the items is wrong; none is to be published.
    #[error("Invalid format: {0}")]
    Item(#[from] ShapeError),
}

/// Why the payload of a ZeroMQ message is no item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Starts with `J` and goes on with something else than JSON.
    #[error("payload is not valid JSON")]
    NotJson,
    /// Not a complete tnetstring.
    #[error("payload is not a valid tnetstring")]
    NotTnet,
    /// The item is wrong.
    #[error(transparent)]
    Item(#[from] ShapeError),
}

/// Reads the content of `POST /publish`: `{"items": [item, ...]}`. All items or none.
///
/// # Errors
/// [`PublishError`], the first one found.
pub fn parse_publish_body(body: &[u8]) -> Result<Vec<Item>, PublishError> {
    let _ = body;
    Err(PublishError::NotJson)
}

/// Reads the `items` of the command socket's `publish` method. All items or none.
///
/// # Errors
/// [`PublishError`], the first one found.
pub fn parse_publish_args(args: &Tnet<'_>) -> Result<Vec<Item>, PublishError> {
    let _ = args;
    Err(PublishError::NotJson)
}

/// Reads one item from JSON. `envelope` is the channel that came with a SUB message and then
/// stands in for the item's own.
///
/// # Errors
/// [`ShapeError`], the first one in the order of the checks.
pub fn parse_item_json(
    value: &serde_json::Value,
    envelope: Option<&str>,
) -> Result<Item, ShapeError> {
    let _ = (value, envelope);
    Err(ShapeError::NoFormats)
}

/// Reads one item from a tnetstring. `envelope` as in [`parse_item_json`].
///
/// # Errors
/// [`ShapeError`], the first one in the order of the checks.
pub fn parse_item_tnet(value: &Tnet<'_>, envelope: Option<&str>) -> Result<Item, ShapeError> {
    let _ = (value, envelope);
    Err(ShapeError::NoFormats)
}

/// Reads one item from the payload part of a ZeroMQ message (PULL, SUB): the first byte tells
/// JSON (`J`) from tnetstring (`T` or none). `envelope` as in [`parse_item_json`].
///
/// # Errors
/// [`PayloadError`].
pub fn parse_payload(payload: &[u8], envelope: Option<&str>) -> Result<Item, PayloadError> {
    let _ = (payload, envelope);
    Err(PayloadError::NotTnet)
}
