//! The instruct in its JSON form (`application/grip-instruct`), laid over the header form.

use std::borrow::Cow;

use super::draft::Draft;
use super::fields;
use super::instruct::{
    Channel, FILTERS_MAX, HOLD_TIMEOUT_S_MIN, HoldMode, Instruct, InstructError, InstructResponse,
    KEEP_ALIVE_TIMEOUT_S_DEFAULT, KEEP_ALIVE_TIMEOUT_S_MIN, KeepAlive, KeepAliveMode, Status,
    clamp_timeout_s, is_framing_name,
};
use super::keep_alive::lenient_base64;
use super::members::Object;
use super::shape::ShapeError;
use super::tree::parse_json;
use crate::http::Field;
use crate::zhttp::tnetstring::Tnet;

/// The only status code that a response with a JSON instruct may have.
const STATUS_CODE_NEEDED: u16 = 200;

/// Decodes a JSON instruct: the `Grip-` fields first, then the content laid over them.
///
/// `base` as in [`decode_fields`](crate::grip::decode_fields); `status` is the backend's status
/// code, `body` the whole content. `Instruct::response` is always present in the result: what the
/// instruct does not give is empty, so that its own text never reaches the client.
///
/// # Errors
/// [`InstructError`], the first one found.
pub fn decode_json(
    fields: &[Field<'_>],
    base: &str,
    status: u16,
    body: &[u8],
) -> Result<Instruct, InstructError> {
    let mut draft = fields::draft(fields, base)?;
    if status != STATUS_CODE_NEEDED {
        return Err(InstructError::JsonStatus);
    }
    let tree = parse_json(body).ok_or(InstructError::Json)?;
    let instruct = Object::new(&tree, "instruct").map_err(|_list| InstructError::NotObject)?;
    if let Some(hold) = instruct.object("hold", "hold")? {
        lay_hold(&hold, &mut draft)?;
    }
    let response = match instruct.object("response", "response")? {
        Some(response) => lay_response(&response, &mut draft)?,
        None => InstructResponse::default(),
    };
    Ok(draft.finish(Some(response)))
}

fn lay_hold(hold: &Object<'_>, draft: &mut Draft) -> Result<(), InstructError> {
    draft.mode = Some(match hold.text("mode")?.as_deref() {
        None | Some("response") => HoldMode::Response,
        Some("stream") => HoldMode::Stream,
        Some(_) => return Err(InstructError::JsonHoldMode),
    });
    let channels = hold
        .list("channels")?
        .ok_or_else(|| hold.missing("'channels'"))?;
    for value in channels {
        draft.channels.push(channel(value)?);
    }
    if let Some(seconds) = hold.natural("timeout")? {
        draft.timeout_s = clamp_timeout_s(seconds, HOLD_TIMEOUT_S_MIN);
    }
    if let Some(keep_alive) = hold.object("keep-alive", "keep-alive")? {
        lay_keep_alive(&keep_alive, draft)?;
    }
    let meta = hold.meta()?.into_iter();
    draft
        .meta
        .extend(meta.map(|(name, value)| (name.into_owned(), Some(value.into_owned()))));
    Ok(())
}

fn channel(value: &Tnet<'_>) -> Result<Channel, InstructError> {
    let channel = Object::new(value, "channel")?;
    let name = channel
        .text("name")?
        .ok_or_else(|| channel.missing("'name'"))?
        .into_owned();
    let prev_id = channel.text("prev-id")?.map(Cow::into_owned);
    let filters = channel.texts_in("filters", "value")?.unwrap_or_default();
    // Pushpin does not look here, and its handler aborts at the first item.
    if filters.len() > FILTERS_MAX {
        return Err(InstructError::TooManyFilters { channel: name });
    }
    Ok(Channel {
        name,
        prev_id,
        filters,
    })
}

fn lay_keep_alive(object: &Object<'_>, draft: &mut Draft) -> Result<(), ShapeError> {
    let content = match object.bytes("content-bin")? {
        Some(text) => Some(lenient_base64(text)),
        None => object.bytes("content")?.map(<[u8]>::to_vec),
    };
    let timeout_s = object
        .natural("timeout")?
        .and_then(|seconds| clamp_timeout_s(seconds, KEEP_ALIVE_TIMEOUT_S_MIN))
        .unwrap_or(KEEP_ALIVE_TIMEOUT_S_DEFAULT);
    let before = draft.keep_alive.take();
    // Without a field to say otherwise, the JSON form runs at a fixed pace (Pushpin does so).
    let mode = before
        .as_ref()
        .map_or(KeepAliveMode::Interval, |before| before.mode);
    let content = content
        .or_else(|| before.map(|before| before.content))
        .unwrap_or_default();
    draft.keep_alive = Some(KeepAlive {
        content,
        timeout_s,
        mode,
    });
    Ok(())
}

fn lay_response(response: &Object<'_>, draft: &mut Draft) -> Result<InstructResponse, ShapeError> {
    let code = response.status_code()?;
    let reason = response.reason()?.filter(|reason| !reason.is_empty());
    let before = draft
        .status
        .as_ref()
        .map_or(STATUS_CODE_NEEDED, |status| status.code);
    if code.is_some() || reason.is_some() {
        draft.status = Some(Status::new(code.unwrap_or(before), reason));
    }
    let mut headers = response.headers()?;
    headers.retain(|(name, _value)| !is_framing_name(name));
    let body = match response.bytes("body-bin")? {
        Some(text) => lenient_base64(text),
        None => response.bytes("body")?.unwrap_or_default().to_vec(),
    };
    Ok(InstructResponse { headers, body })
}

#[cfg(test)]
mod tests;
