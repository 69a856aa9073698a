//! Response heads, as backends send them (RFC 9112 sections 4 to 6, 9.3).

use super::framing::{FramingError, FramingFields};
use super::{Framing, HeadLimits, Slots, head};
use crate::Parsed;
use crate::http::{Field, Version};

/// Reads a response head from the front of `buf`.
///
/// `buf` may hold any prefix of the stream and whatever follows the head; only the head counts
/// against the limits. `request_was_head` says that the request was `HEAD`, whose answers have no
/// content. Interim responses (1xx) are heads like others: the caller skips them.
///
/// # Errors
/// [`ResponseError`] when no further byte could make the head acceptable.
pub fn parse_response<'h, 'b>(
    buf: &'b [u8],
    slots: &'h mut Slots<'b>,
    limits: &HeadLimits,
    request_was_head: bool,
) -> Result<Parsed<ResponseHead<'h, 'b>>, ResponseError> {
    let window = limits.window(buf);
    // The splitter would skip empty lines here; only servers are asked to (section 2.2).
    if window.first().is_some_and(|&b| b != b'H') {
        return Err(ResponseError::InvalidVersion);
    }
    let slots = slots
        .fields
        .get_mut(..limits.slots_max())
        .unwrap_or_default();
    let mut split = httparse::Response::new(&mut []);
    let used = match httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut split, window, slots)
        .map_err(|error| ResponseError::from_split(error, limits))?
    {
        httparse::Status::Complete(used) => used,
        httparse::Status::Partial if window.len() >= limits.head_len_max => {
            return Err(ResponseError::HeadTooLarge {
                max: limits.head_len_max,
            });
        }
        httparse::Status::Partial => return Ok(Parsed::NeedMore),
    };
    let head = window.get(..used).unwrap_or_default();
    if !head::ends_lines_properly(head) {
        return Err(ResponseError::InvalidNewLine);
    }
    check(split, reason(head), request_was_head).map(|head| Parsed::Complete(head, used))
}

/// A response head: the status line, its fields in order, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead<'h, 'b> {
    /// The version of the status line.
    pub version: Version,
    /// The status code, 100 to 999.
    pub status: u16,
    /// The reason phrase as written, often empty.
    pub reason: &'b [u8],
    /// All fields in the order of the message, hop-by-hop fields included.
    pub fields: &'h [Field<'b>],
    /// Where the response ends.
    pub framing: Framing,
    /// Whether the connection may carry another exchange after this response.
    pub persistent: bool,
}

/// Why a response head is refused. The client is told 502 for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The head is over the limit, or its end did not come within it.
    #[error("response header size exceeded limit of {max} bytes")]
    HeadTooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// More field lines than allowed.
    #[error("too many headers")]
    TooManyFields {
        /// The limit, in field lines.
        max: usize,
    },
    /// Something else than `HTTP/1.0` or `HTTP/1.1`.
    #[error("invalid HTTP version")]
    InvalidVersion,
    /// A status that is not three digits from 100 up, or a bad reason phrase.
    #[error("invalid response status")]
    InvalidStatus,
    /// A field name that is empty or no token, a blank before the colon, a folded line.
    #[error("invalid header name")]
    InvalidFieldName,
    /// A control byte in a field value.
    #[error("invalid header value")]
    InvalidFieldValue,
    /// A line that does not end in CRLF.
    #[error("invalid new line")]
    InvalidNewLine,
    /// `Content-Length` that is no number, too big, or there with different values.
    #[error("invalid content length")]
    InvalidContentLength,
    /// `Transfer-Encoding` that is not exactly `chunked`, or on HTTP/1.0.
    #[error("unsupported transfer encoding")]
    UnsupportedTransferEncoding,
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("both content length and transfer encoding")]
    AmbiguousLength,
}

impl ResponseError {
    fn from_split(error: httparse::Error, limits: &HeadLimits) -> Self {
        match error {
            httparse::Error::HeaderName => Self::InvalidFieldName,
            httparse::Error::HeaderValue => Self::InvalidFieldValue,
            httparse::Error::NewLine => Self::InvalidNewLine,
            httparse::Error::TooManyHeaders => Self::TooManyFields {
                max: limits.slots_max(),
            },
            httparse::Error::Version => Self::InvalidVersion,
            httparse::Error::Status | httparse::Error::Token => Self::InvalidStatus,
        }
    }
}

impl From<FramingError> for ResponseError {
    fn from(error: FramingError) -> Self {
        match error {
            FramingError::BadLength => Self::InvalidContentLength,
            FramingError::UnsupportedCoding => Self::UnsupportedTransferEncoding,
            FramingError::LengthAndCoding => Self::AmbiguousLength,
        }
    }
}

/// The reason phrase of a head whose status line was found valid.
///
/// The splitter gives an empty one when it holds bytes beyond ASCII, which we pass on.
fn reason(head: &[u8]) -> &[u8] {
    const BEFORE: usize = "HTTP/1.1 200 ".len();
    let line_len = memchr::memchr(b'\r', head).unwrap_or(head.len());
    head.get(BEFORE..line_len).unwrap_or_default()
}

fn check<'h, 'b>(
    split: httparse::Response<'h, 'b>,
    reason: &'b [u8],
    request_was_head: bool,
) -> Result<ResponseHead<'h, 'b>, ResponseError> {
    let version = match split.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(ResponseError::InvalidVersion),
    };
    let status = split
        .code
        .filter(|code| *code >= 100)
        .ok_or(ResponseError::InvalidStatus)?;
    let fields: &'h [Field<'b>] = split.headers;
    let noted = note(fields)?;
    // Checked even where it frames nothing: the fields are passed on.
    let framed = noted.framing(version)?;
    let framing = if request_was_head || matches!(status, 100..=199 | 204 | 304) {
        Framing::None
    } else {
        framed.unwrap_or(Framing::UntilClose)
    };
    Ok(ResponseHead {
        version,
        status,
        reason,
        fields,
        framing,
        persistent: framing != Framing::UntilClose && noted.is_persistent(version),
    })
}

fn note(fields: &[Field<'_>]) -> Result<FramingFields, FramingError> {
    let mut noted = FramingFields::default();
    for Field { name, value } in fields {
        match name.len() {
            10 if name.eq_ignore_ascii_case("connection") => noted.note_connection(value),
            14 if name.eq_ignore_ascii_case("content-length") => noted.note_length(value)?,
            17 if name.eq_ignore_ascii_case("transfer-encoding") => noted.note_coding(value)?,
            _ => {}
        }
    }
    Ok(noted)
}

#[cfg(test)]
mod tests;
