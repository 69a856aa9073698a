//! The instruct in its header form: the `Grip-` fields of a backend's response.

use super::draft::Draft;
use super::grammar::{Params, integer, pieces};
use super::instruct::{
    Channel, FILTERS_MAX, HOLD_TIMEOUT_S_MIN, HoldMode, Instruct, InstructError, Link,
    NEXT_TIMEOUT_S_DEFAULT, STATUS_CODE_MAX, Status, clamp_timeout_s,
};
use super::{is_grip_name, keep_alive, link};
use crate::http::{Field, field_values, is_field_value};

/// Decodes the `Grip-` fields of a backend's response.
///
/// `base` is the absolute URL of the request, against which links resolve.
///
/// # Errors
/// [`InstructError`], the first one in the order of decoding: hold, channels, timeout, exposed
/// names, keep-alive, meta, status, links. They count even if nothing is held.
pub fn decode_fields(fields: &[Field<'_>], base: &str) -> Result<Instruct, InstructError> {
    draft(fields, base).map(|draft| draft.finish(None))
}

/// Reads the fields without applying defaults.
pub(super) fn draft(fields: &[Field<'_>], base: &str) -> Result<Draft, InstructError> {
    let seen = Seen::new(fields);
    let mut draft = Draft {
        mode: seen.hold.map(mode).transpose()?,
        ..Draft::default()
    };
    if seen.channel {
        draft.channels = channels(fields)?;
    }
    draft.timeout_s = seen.timeout.map(timeout).transpose()?;
    if seen.expose {
        draft.expose = names(field_values(fields, "Grip-Expose-Headers"));
    }
    if let Some(value) = seen.keep_alive {
        draft.keep_alive = keep_alive::parse(value)?;
    }
    if seen.meta {
        meta(fields, &mut draft)?;
    }
    if let Some(value) = seen.status {
        draft.status = status(value)?;
    }
    if seen.link {
        links(fields, base, &mut draft)?;
    }
    Ok(draft)
}

/// The members of list values as names; `None` if there are none.
pub(super) fn names<'b>(values: impl Iterator<Item = &'b [u8]>) -> Option<Vec<String>> {
    let names: Vec<String> = values.flat_map(pieces).map(text).collect();
    (!names.is_empty()).then_some(names)
}

/// What one pass over the fields finds: the first of each single field, and which lists exist.
#[derive(Default)]
struct Seen<'b> {
    hold: Option<&'b [u8]>,
    timeout: Option<&'b [u8]>,
    keep_alive: Option<&'b [u8]>,
    status: Option<&'b [u8]>,
    channel: bool,
    expose: bool,
    meta: bool,
    link: bool,
}

impl<'b> Seen<'b> {
    fn new(fields: &[Field<'b>]) -> Self {
        let mut seen = Self::default();
        for field in fields.iter().filter(|field| is_grip_name(field.name)) {
            seen.see(field);
        }
        seen
    }

    fn see(&mut self, field: &Field<'b>) {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let first = |slot: &mut Option<&'b [u8]>| *slot = slot.or(Some(field.value));
        if is("Grip-Hold") {
            first(&mut self.hold);
        } else if is("Grip-Channel") {
            self.channel = true;
        } else if is("Grip-Timeout") {
            first(&mut self.timeout);
        } else if is("Grip-Keep-Alive") {
            first(&mut self.keep_alive);
        } else if is("Grip-Status") {
            first(&mut self.status);
        } else if is("Grip-Link") {
            self.link = true;
        } else if is("Grip-Set-Meta") {
            self.meta = true;
        } else if is("Grip-Expose-Headers") {
            self.expose = true;
        }
    }
}

fn mode(value: &[u8]) -> Result<HoldMode, InstructError> {
    match value {
        b"response" => Ok(HoldMode::Response),
        b"stream" => Ok(HoldMode::Stream),
        _ => Err(InstructError::HoldMode),
    }
}

fn channels(fields: &[Field<'_>]) -> Result<Vec<Channel>, InstructError> {
    let mut channels = Vec::new();
    for piece in field_values(fields, "Grip-Channel").flat_map(pieces) {
        channels.extend(channel(piece)?);
    }
    Ok(channels)
}

/// Reads one piece; `None` if it is to be skipped.
fn channel(piece: &[u8]) -> Result<Option<Channel>, InstructError> {
    let (name, params) = Params::behind_first(piece);
    if !params.are_closed() {
        return Ok(None);
    }
    let name = text(name);
    // Only this parameter's name is compared in its exact case (Pushpin does so).
    let filters: Vec<String> = params
        .filter_map(Result::ok)
        .filter(|param| param.name == b"filter")
        .map(|param| text(&param.value.unwrap_or_default()))
        .collect();
    if filters.len() > FILTERS_MAX {
        return Err(InstructError::TooManyFilters { channel: name });
    }
    let prev_id = params.find(b"prev-id").map(|id| text(&id));
    Ok(Some(Channel {
        name,
        prev_id,
        filters,
    }))
}

fn timeout(value: &[u8]) -> Result<u32, InstructError> {
    let seconds = integer(value).ok_or(InstructError::Timeout)?;
    clamp_timeout_s(i64::from(seconds), HOLD_TIMEOUT_S_MIN).ok_or(InstructError::TimeoutNegative)
}

fn meta(fields: &[Field<'_>], draft: &mut Draft) -> Result<(), InstructError> {
    for piece in field_values(fields, "Grip-Set-Meta").flat_map(pieces) {
        let mut params = Params::new(piece);
        if !params.are_closed() {
            continue;
        }
        let Some(Ok(variable)) = params.next() else {
            return Err(InstructError::SetMetaEmpty);
        };
        let value = variable.value.map(|value| text(&value));
        draft.meta.insert(text(variable.name), value);
    }
    Ok(())
}

fn status(value: &[u8]) -> Result<Option<Status>, InstructError> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return Ok(None);
    }
    let blank = value
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(value.len());
    let (code, reason) = value.split_at_checked(blank).unwrap_or((value, &[]));
    let code = integer(code)
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| *code <= STATUS_CODE_MAX)
        .ok_or(InstructError::StatusCode)?;
    if !is_field_value(reason) {
        return Err(InstructError::StatusReason);
    }
    Ok(Some(Status::new(code, Some(reason.trim_ascii().to_vec()))))
}

fn links(fields: &[Field<'_>], base: &str, draft: &mut Draft) -> Result<(), InstructError> {
    for piece in field_values(fields, "Grip-Link").flat_map(pieces) {
        let (reference, params) = Params::behind_first(piece);
        if params.is_empty() || !params.are_closed() {
            continue;
        }
        let url = match reference {
            [b'<', url @ .., b'>'] if !url.is_empty() => text(url),
            _ => return Err(InstructError::Link),
        };
        link::resolve(base, &url).map_err(|_invalid| InstructError::LinkUrl)?;
        match params.find(b"rel").as_deref() {
            Some(b"next") => {
                let timeout_s = next_timeout(params)?;
                draft.next = Some(Link { url, timeout_s });
            }
            Some(b"gone") => draft.gone = Some(Link { url, timeout_s: 0 }),
            _ => {}
        }
    }
    Ok(())
}

fn next_timeout(params: Params<'_>) -> Result<u32, InstructError> {
    let Some(value) = params.find(b"timeout") else {
        return Ok(NEXT_TIMEOUT_S_DEFAULT);
    };
    let seconds = integer(&value).ok_or(InstructError::LinkTimeout)?;
    clamp_timeout_s(i64::from(seconds), 0).ok_or(InstructError::LinkTimeoutNegative)
}

/// Text as the backend meant it; bytes that are not UTF-8 become U+FFFD.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
