//! `Sec-WebSocket-Protocol` (RFC 6455 sections 1.9, 4.1 and 11.3.4).

use crate::http::{Field, field_values, is_token, list_members};

/// The name of the field, as we write it.
pub const FIELD: &str = "Sec-WebSocket-Protocol";

/// A list of subprotocols that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid subprotocol list")]
pub struct SubprotocolError;

/// The subprotocols that a client offers, in its order of preference; over all fields of the name.
///
/// # Errors
/// [`SubprotocolError`] for one that is no token. Repeated ones are let pass: nothing depends on it.
pub fn offered<'f, 'b>(
    fields: &'f [Field<'b>],
) -> impl Iterator<Item = Result<&'b str, SubprotocolError>> + use<'f, 'b> {
    field_values(fields, FIELD)
        .flat_map(list_members)
        .map(token)
}

/// The subprotocol that a backend chose, if any.
///
/// # Errors
/// [`SubprotocolError`] for more than one, or what is no token.
pub fn chosen<'b>(fields: &[Field<'b>]) -> Result<Option<&'b str>, SubprotocolError> {
    let mut members = field_values(fields, FIELD).flat_map(list_members);
    let first = members.next().map(token).transpose()?;
    match members.next() {
        Some(_) => Err(SubprotocolError),
        None => Ok(first),
    }
}

/// Whether `chosen` is among what the client offered. A client fails the connection otherwise
/// (RFC 6455 section 4.1).
#[must_use]
pub fn is_offered(request_fields: &[Field<'_>], chosen: &str) -> bool {
    // Compared with regard to case, as browsers do.
    offered(request_fields).any(|offer| offer == Ok(chosen))
}

fn token(member: &[u8]) -> Result<&str, SubprotocolError> {
    if !is_token(member) {
        return Err(SubprotocolError);
    }
    std::str::from_utf8(member).map_err(|_bad| SubprotocolError)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'b>(values: &[&'b str]) -> Vec<Field<'b>> {
        let field = |value: &&'b str| Field {
            name: "sec-websocket-protocol",
            value: value.as_bytes(),
        };
        values.iter().map(field).collect()
    }

    #[test]
    fn offers_are_one_list_over_all_lines() {
        let fields = fields(&["a, b", "c"]);
        let offers: Result<Vec<_>, _> = offered(&fields).collect();
        assert_eq!(offers, Ok(vec!["a", "b", "c"]));
        assert!(is_offered(&fields, "c"));
        assert!(!is_offered(&fields, "C"));
    }

    #[test]
    fn a_backend_chooses_one_or_none() {
        assert_eq!(chosen(&fields(&[])), Ok(None));
        assert_eq!(chosen(&fields(&["chat"])), Ok(Some("chat")));
        for wrong in [&["a, b"][..], &["a", "b"], &["a b"]] {
            assert_eq!(chosen(&fields(wrong)), Err(SubprotocolError), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let offers: Result<Vec<_>, _> = offered(&fields(&["a, b/c"])).collect();
        assert_eq!(offers, Err(SubprotocolError));
    }
}
