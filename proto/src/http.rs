//! What every version of HTTP shares (RFC 9110): versions, fields, methods, status codes, paths.
//!
//! Plain functions over borrowed bytes. How a message looks on the wire is the business of
//! [`http1`](crate::http1).

pub mod fields;
pub mod method;
mod path;
mod status;

pub use fields::{
    field_value, field_values, has_token, is_field_value, is_hop_by_hop, is_token, list_members,
    trim_ows,
};
pub use method::is_idempotent;
pub use path::normalize_path;
pub use status::reason_phrase;

/// One field line: `name`, as it was spelled, and `value`, trimmed of blanks at both ends.
///
/// This is the type of the splitter underneath ([`httparse`]), so that parsed fields reach the
/// caller without being copied once more.
pub type Field<'b> = httparse::Header<'b>;

/// A protocol version of the HTTP/1 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, not persistent unless asked for.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    /// The version as a start line spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}
