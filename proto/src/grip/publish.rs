//! Reads published items, in JSON and in tnetstrings.
//!
//! The order of the checks and their texts are Pushpin's; one bad item refuses the whole request.

use std::borrow::Cow;
use std::sync::Arc;

use super::fields;
use super::instruct::Status;
use super::is_grip_name;
use super::item::{
    Item, ResponseBody, ResponseContent, ResponseForm, StreamContent, StreamForm, WsContent,
    WsForm, WsType,
};
use super::keep_alive::lenient_base64;
use super::members::Object;
use super::patch::PatchOp;
use super::shape::ShapeError;
use super::tree::{from_value, parse_json};
use crate::zhttp::tnetstring::{DEPTH_MAX_DEFAULT, Tnet, TnetLimits, decode};

/// What error texts call an item.
const ITEM: &str = "publish item object";
/// Status code of a published response that names none.
const STATUS_CODE_DEFAULT: u16 = 200;

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

/// What an item came in: the two differ in how they carry bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// The `-bin` members are base64.
    Json,
    /// Strings are bytes; most `-bin` members are not known.
    Tnet,
}

/// Reads the content of `POST /publish`: `{"items": [item, ...]}`. All items or none.
///
/// # Errors
/// [`PublishError`], the first one found.
pub fn parse_publish_body(body: &[u8]) -> Result<Vec<Item>, PublishError> {
    let tree = parse_json(body).ok_or(PublishError::NotJson)?;
    items(&tree, Encoding::Json)
}

/// Reads the arguments of the command socket's `publish` method: the same object, as tnetstring.
/// All items or none.
///
/// # Errors
/// [`PublishError`], the first one found.
pub fn parse_publish_args(args: &Tnet<'_>) -> Result<Vec<Item>, PublishError> {
    items(args, Encoding::Tnet)
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
    item(&from_value(value), Encoding::Json, envelope)
}

/// Reads one item from a tnetstring. `envelope` as in [`parse_item_json`].
///
/// # Errors
/// [`ShapeError`], the first one in the order of the checks.
pub fn parse_item_tnet(value: &Tnet<'_>, envelope: Option<&str>) -> Result<Item, ShapeError> {
    item(value, Encoding::Tnet, envelope)
}

/// Reads one item from the payload part of a ZeroMQ message (PULL, SUB): the first byte tells
/// JSON (`J`) from tnetstring (`T` or none). `envelope` as in [`parse_item_json`].
///
/// # Errors
/// [`PayloadError`].
pub fn parse_payload(payload: &[u8], envelope: Option<&str>) -> Result<Item, PayloadError> {
    if let Some(text) = payload.strip_prefix(b"J") {
        let tree = parse_json(text).ok_or(PayloadError::NotJson)?;
        return Ok(item(&tree, Encoding::Json, envelope)?);
    }
    let message = payload.strip_prefix(b"T").unwrap_or(payload);
    // The message is in memory already, so its own length is limit enough.
    let limits = TnetLimits {
        len_max: message.len(),
        depth_max: DEPTH_MAX_DEFAULT,
    };
    let tree = decode(message, &limits).map_err(|_bad| PayloadError::NotTnet)?;
    Ok(item(&tree, Encoding::Tnet, envelope)?)
}

fn items(tree: &Tnet<'_>, encoding: Encoding) -> Result<Vec<Item>, PublishError> {
    if tree.as_map().is_none() {
        return Err(PublishError::NotObject);
    }
    let items = tree.member(b"items").ok_or(PublishError::NoItems)?;
    let items = items.as_list().ok_or(PublishError::ItemsType)?;
    let mut parsed = Vec::with_capacity(items.len());
    for value in items {
        parsed.push(item(value, encoding, None)?);
    }
    Ok(parsed)
}

fn item(value: &Tnet<'_>, encoding: Encoding, envelope: Option<&str>) -> Result<Item, ShapeError> {
    let object = Object::new(value, ITEM)?;
    let channel = match envelope {
        Some(channel) => Cow::Borrowed(channel),
        None => object
            .text("channel")?
            .ok_or_else(|| object.missing("'channel'"))?,
    };
    let id = object.text("id")?;
    let prev_id = object.text("prev-id")?;
    let formats = formats(&object)?;
    let format = |key, name| {
        formats
            .member(key)
            .map(|value| Object::new(value, name))
            .transpose()
    };
    let response = format("http-response", "'http-response'")?
        .map(|object| response_form(&object, encoding))
        .transpose()?;
    let stream = format("http-stream", "'http-stream'")?
        .map(|object| stream_form(&object, encoding))
        .transpose()?;
    let ws = format("ws-message", "'ws-message'")?
        .map(|object| ws_form(&object, encoding))
        .transpose()?;
    let meta = object.meta()?.into_iter();
    let size = object.natural("size")?;
    Ok(Item {
        channel: Arc::from(channel),
        id: id.map(Into::into),
        prev_id: prev_id.map(Into::into),
        meta: meta
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        size: size.map(|size| u32::try_from(size).unwrap_or(u32::MAX)),
        no_seq: object.boolean("no-seq")?.unwrap_or(false),
        stream,
        response,
        ws,
    })
}

/// Where the formats stand: in `formats`, or, without it, in the item itself.
fn formats<'t>(object: &Object<'t>) -> Result<Object<'t>, ShapeError> {
    const SHORT_FORMS: [&str; 3] = ["http-response", "http-stream", "ws-message"];
    match object.object("formats", "formats")? {
        Some(formats) if formats.is_empty() => Err(ShapeError::NoFormats),
        Some(formats) => Ok(formats),
        None if SHORT_FORMS.iter().any(|form| object.member(form).is_some()) => Ok(*object),
        None => Err(ShapeError::NoFormats),
    }
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Send,
    Hint,
    Close,
    Refresh,
}

fn action(object: &Object<'_>) -> Result<Action, ShapeError> {
    match object.bytes("action")? {
        None | Some(b"send") => Ok(Action::Send),
        Some(b"hint") => Ok(Action::Hint),
        Some(b"close") => Ok(Action::Close),
        Some(b"refresh") => Ok(Action::Refresh),
        // Pushpin says nothing at all here.
        Some(_) => Err(object.unknown("action")),
    }
}

fn content_filters(object: &Object<'_>) -> Result<Option<Vec<String>>, ShapeError> {
    object.texts_in("content-filters", "element")
}

fn stream_form(object: &Object<'_>, encoding: Encoding) -> Result<StreamForm, ShapeError> {
    match action(object)? {
        Action::Send => {}
        Action::Hint => return Ok(StreamForm::Hint),
        Action::Close => return Ok(StreamForm::Close),
        Action::Refresh => return Ok(StreamForm::Refresh),
    }
    let filters = content_filters(object)?;
    if encoding == Encoding::Json
        && let Some(text) = object.bytes("content-bin")?
    {
        return Ok(StreamForm::Send(StreamContent::new(
            &lenient_base64(text),
            filters,
        )));
    }
    match (object.bytes("content")?, encoding) {
        (Some(content), _) => Ok(StreamForm::Send(StreamContent::new(content, filters))),
        (None, Encoding::Json) => Err(object.missing("'content' or 'content-bin'")),
        (None, Encoding::Tnet) => Err(object.missing("'content'")),
    }
}

fn response_form(object: &Object<'_>, encoding: Encoding) -> Result<ResponseForm, ShapeError> {
    match action(object)? {
        Action::Send => {}
        Action::Hint => return Ok(ResponseForm::Hint),
        Action::Close => return Ok(ResponseForm::Close),
        Action::Refresh => return Ok(ResponseForm::Refresh),
    }
    let code = object.status_code()?.unwrap_or(STATUS_CODE_DEFAULT);
    let status = Status::new(code, object.reason()?);
    let mut headers = object.headers()?;
    let exposed = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Grip-Expose-Headers"));
    let expose = fields::names(exposed.map(|(_name, value)| value.as_slice()));
    headers.retain(|(name, _value)| !is_grip_name(name) && !is_item_framing_name(name));
    let content_filters = content_filters(object)?;
    let body = response_body(object, encoding)?;
    Ok(ResponseForm::Send(Box::new(ResponseContent {
        code,
        reason: Box::from(status.reason.as_ref()),
        headers,
        expose,
        body,
        content_filters,
    })))
}

/// Whether a published response cannot set the field `name`. Its content's coding is its own.
fn is_item_framing_name(name: &str) -> bool {
    const NAMES: [&str; 4] = [
        "connection",
        "keep-alive",
        "content-length",
        "transfer-encoding",
    ];
    NAMES
        .iter()
        .any(|framing| framing.eq_ignore_ascii_case(name))
}

/// Exactly one content member is used, the others are not even looked at.
fn response_body(object: &Object<'_>, encoding: Encoding) -> Result<ResponseBody, ShapeError> {
    if encoding == Encoding::Json
        && let Some(text) = object.bytes("body-bin")?
    {
        return Ok(ResponseBody::Bytes(Arc::from(lenient_base64(text))));
    }
    if let Some(body) = object.bytes("body")? {
        return Ok(ResponseBody::Bytes(Arc::from(body)));
    }
    match (object.list("body-patch")?, encoding) {
        (Some(ops), _) => Ok(ResponseBody::Patch(
            ops.iter().map(PatchOp::from_tree).collect(),
        )),
        (None, Encoding::Json) => Err(object.missing("'body', 'body-bin', or 'body-patch'")),
        (None, Encoding::Tnet) => Err(object.missing("'body' or 'body-patch'")),
    }
}

fn ws_form(object: &Object<'_>, encoding: Encoding) -> Result<WsForm, ShapeError> {
    match action(object)? {
        Action::Send => ws_content(object, encoding).map(WsForm::Send),
        Action::Hint => Ok(WsForm::Hint),
        Action::Refresh => Ok(WsForm::Refresh),
        Action::Close => {
            let code = object.natural("code")?;
            Ok(WsForm::Close {
                code: code.map(|code| u32::try_from(code).unwrap_or(u32::MAX)),
                reason: object.text("reason")?.map(Cow::into_owned),
            })
        }
    }
}

fn ws_content(object: &Object<'_>, encoding: Encoding) -> Result<WsContent, ShapeError> {
    let given_type = match object.bytes("type")? {
        None => None,
        Some(b"text") => Some(WsType::Text),
        Some(b"binary") => Some(WsType::Binary),
        Some(b"ping") => Some(WsType::Ping),
        Some(b"pong") => Some(WsType::Pong),
        Some(_) => return Err(object.unknown("type")),
    };
    let content_filters = content_filters(object)?;
    let (default_type, content) = match object.bytes("content-bin")? {
        Some(text) if encoding == Encoding::Json => {
            (WsType::Binary, Some(Arc::from(lenient_base64(text))))
        }
        Some(bytes) => (WsType::Binary, Some(Arc::from(bytes))),
        None => (WsType::Text, object.bytes("content")?.map(Arc::from)),
    };
    let message_type = given_type.unwrap_or(default_type);
    let content = match (content, message_type) {
        (Some(content), _) => content,
        (None, WsType::Ping | WsType::Pong) => Arc::from([]),
        (None, WsType::Text | WsType::Binary) => {
            return Err(object.missing("'content' or 'content-bin'"));
        }
    };
    Ok(WsContent {
        message_type,
        content,
        content_filters,
    })
}

#[cfg(test)]
mod tests;
