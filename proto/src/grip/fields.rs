//! The instruct in its header form.

use crate::grip::{Instruct, InstructError};
use crate::http::Field;

/// Decodes the `Grip-` fields of a backend's response.
///
/// `base` is the absolute URL of the request, against which links resolve.
///
/// # Errors
/// [`InstructError`], the first one in the order of the fields' decoding.
pub fn decode_fields(fields: &[Field<'_>], base: &str) -> Result<Instruct, InstructError> {
    let _ = (fields, base);
    Ok(Instruct::default())
}
