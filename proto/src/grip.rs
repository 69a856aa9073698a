//! GRIP over HTTP: instructs of backends and published items.
//!
//! - `instruct`: the decoded instruct, as plain data; `fields`, `overlay`: its header and JSON form
//! - `item`: a published item; `publish`: reads them
//! - [`control`]: what a WebSocket backend says behind `c:`
//! - [`patch`]: `body-patch`; [`link`]: resolves links
//!
//! No rule about holding is here: what a hold does with an instruct or an item is the shard's.

pub mod control;
mod draft;
mod fields;
mod grammar;
mod instruct;
mod item;
mod keep_alive;
pub mod link;
mod members;
mod overlay;
pub mod patch;
mod publish;
mod shape;
#[cfg(test)]
pub(crate) mod test_random;
mod tree;

pub use fields::decode_fields;
pub use instruct::{
    CONTENT_LEN_MAX, Channel, FILTERS_MAX, HOLD_TIMEOUT_S_DEFAULT, HOLD_TIMEOUT_S_MIN, Hold,
    HoldMode, Instruct, InstructError, InstructResponse, KEEP_ALIVE_TIMEOUT_S_DEFAULT,
    KEEP_ALIVE_TIMEOUT_S_MIN, KeepAlive, KeepAliveMode, Link, NEXT_TIMEOUT_S_DEFAULT,
    STATUS_CODE_MAX, Status, TIMEOUT_S_MAX,
};
pub use item::{
    Format, Item, ResponseBody, ResponseContent, ResponseForm, StreamContent, StreamForm,
    WsContent, WsForm, WsType,
};
pub use overlay::decode_json;
pub use publish::{
    PayloadError, PublishError, parse_item_json, parse_item_tnet, parse_payload,
    parse_publish_args, parse_publish_body,
};
pub use shape::ShapeError;

use crate::http::Field;

/// The media type of the JSON form.
const INSTRUCT_TYPE: &[u8] = b"application/grip-instruct";
/// What the names of all GRIP fields start with, in any case.
const GRIP_PREFIX: &[u8] = b"grip-";

/// Whether a response carries instructions: a field whose name starts with `Grip-` (any case), or
/// the JSON form's content type. Cheap for ordinary responses.
#[must_use]
pub fn is_instruct(fields: &[Field<'_>]) -> bool {
    fields.iter().any(|field| is_grip_name(field.name)) || is_json_instruct(fields)
}

/// Whether the first `Content-Type`, cut at the first `;`, is exactly the JSON form's.
#[must_use]
pub fn is_json_instruct(fields: &[Field<'_>]) -> bool {
    let is_type = |field: &&Field<'_>| {
        field.name.len() == "content-type".len() && field.name.eq_ignore_ascii_case("content-type")
    };
    fields
        .iter()
        .find(is_type)
        .is_some_and(|field| field.value.split(|byte| *byte == b';').next() == Some(INSTRUCT_TYPE))
}

/// Whether `name` starts with `Grip-`, in any case.
#[must_use]
pub fn is_grip_name(name: &str) -> bool {
    let name = name.as_bytes();
    matches!(name.first(), Some(b'g' | b'G'))
        && name
            .get(..GRIP_PREFIX.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(GRIP_PREFIX))
}
