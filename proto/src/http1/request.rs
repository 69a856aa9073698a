//! Request heads (RFC 9112 sections 2 to 6, 9.3; RFC 9110 sections 7.2, 7.8, 10.1.1).

use super::framing::{FramingError, FramingFields};
use super::{Framing, HeadLimits, Slots, head, host, target};
use crate::Parsed;
use crate::http::{Field, Version, fields, method};

/// Reads a request head from the front of `buf`.
///
/// `buf` may hold any prefix of the stream and whatever follows the head; only the head counts
/// against the limits. Empty lines before the request line are skipped (and count). The bytes used
/// include the empty line that ends the head.
///
/// # Errors
/// [`RequestError`] when no further byte could make the head acceptable; the stream cannot be
/// read on after it.
pub fn parse_request<'h, 'b>(
    buf: &'b [u8],
    slots: &'h mut Slots<'b>,
    limits: &HeadLimits,
) -> Result<Parsed<RequestHead<'h, 'b>>, RequestError> {
    let window = limits.window(buf);
    let slots = slots
        .fields
        .get_mut(..limits.slots_max())
        .unwrap_or_default();
    let mut split = httparse::Request::new(&mut []);
    let used = match split
        .parse_with_uninit_headers(window, slots)
        .map_err(|error| RequestError::from_split(error, limits))?
    {
        httparse::Status::Complete(used) => used,
        httparse::Status::Partial if window.len() >= limits.head_len_max => {
            return Err(RequestError::HeadTooLarge {
                max: limits.head_len_max,
            });
        }
        httparse::Status::Partial => return Ok(Parsed::NeedMore),
    };
    if !head::ends_lines_properly(window.get(..used).unwrap_or_default()) {
        return Err(RequestError::InvalidNewLine);
    }
    check(split).map(|head| Parsed::Complete(head, used))
}

/// A request head: the request line, its fields in order, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead<'h, 'b> {
    /// The method, case kept. Never `CONNECT`.
    pub method: &'b str,
    /// The target in origin form (path and query, as written), or `*`.
    pub target: &'b str,
    /// The version of the request line.
    pub version: Version,
    /// All fields in the order of the message, `Host` and hop-by-hop fields included.
    pub fields: &'h [Field<'b>],
    /// Where the request ends; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Whether the client means to keep the connection after this exchange.
    pub persistent: bool,
    /// The client waits for `100 Continue` before it sends its content. Only set if there is any.
    pub expect_continue: bool,
    /// `host[:port]`, valid: from the target if it is absolute, else from `Host`.
    pub host: &'b str,
    /// The value of the first `Upgrade` field; never set on HTTP/1.0.
    pub upgrade: Option<&'b [u8]>,
}

/// Why a request head is refused. Its text is what the peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The head is over the limit, or its end did not come within it.
    #[error("Request header size exceeded limit of {max} bytes.")]
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
    /// The method, or the shape of the request line.
    #[error("invalid token")]
    InvalidToken,
    /// Something else than `HTTP/1.0` or `HTTP/1.1`.
    #[error("invalid HTTP version")]
    InvalidVersion,
    /// A field name that is empty or no token, a blank before the colon, a folded line.
    #[error("invalid header name")]
    InvalidFieldName,
    /// A control byte in a field value.
    #[error("invalid header value")]
    InvalidFieldValue,
    /// A line that does not end in CRLF.
    #[error("invalid new line")]
    InvalidNewLine,
    /// A target in none of the forms that its method allows.
    #[error("invalid request target")]
    InvalidTarget,
    /// `CONNECT`: this is no forward proxy.
    #[error("unsupported method")]
    UnsupportedMethod,
    /// HTTP/1.1 without `Host`.
    #[error("missing host")]
    MissingHost,
    /// More than one `Host`.
    #[error("more than one host")]
    SeveralHosts,
    /// A host or port with characters that have no place there.
    #[error("invalid host")]
    InvalidHost,
    /// `Content-Length` that is no number, too big, or there more than once.
    #[error("invalid content length")]
    InvalidContentLength,
    /// `Transfer-Encoding` that is not exactly `chunked`, or on HTTP/1.0.
    #[error("unsupported transfer encoding")]
    UnsupportedTransferEncoding,
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("both content length and transfer encoding")]
    AmbiguousLength,
}

impl RequestError {
    /// The status code that the peer is told: 400 for all of them, as Pushpin does.
    #[must_use]
    pub const fn status(&self) -> u16 {
        400
    }

    fn from_split(error: httparse::Error, limits: &HeadLimits) -> Self {
        match error {
            httparse::Error::HeaderName => Self::InvalidFieldName,
            httparse::Error::HeaderValue => Self::InvalidFieldValue,
            httparse::Error::NewLine => Self::InvalidNewLine,
            httparse::Error::TooManyHeaders => Self::TooManyFields {
                max: limits.slots_max(),
            },
            httparse::Error::Version => Self::InvalidVersion,
            httparse::Error::Token | httparse::Error::Status => Self::InvalidToken,
        }
    }
}

impl From<FramingError> for RequestError {
    fn from(error: FramingError) -> Self {
        match error {
            FramingError::BadLength => Self::InvalidContentLength,
            FramingError::UnsupportedCoding => Self::UnsupportedTransferEncoding,
            FramingError::LengthAndCoding => Self::AmbiguousLength,
        }
    }
}

/// What the fields say that a proxy acts upon, gathered in one pass.
#[derive(Debug, Default)]
struct Noted<'b> {
    framing: FramingFields,
    host: Option<&'b str>,
    expects_continue: bool,
    upgrade: Option<&'b [u8]>,
}

fn check<'h, 'b>(split: httparse::Request<'h, 'b>) -> Result<RequestHead<'h, 'b>, RequestError> {
    let method = split.method.ok_or(RequestError::InvalidToken)?;
    let target = split.path.ok_or(RequestError::InvalidToken)?;
    let version = match split.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(RequestError::InvalidVersion),
    };
    if method == method::CONNECT {
        return Err(RequestError::UnsupportedMethod);
    }
    let target = target::parse(method, target)?;
    let fields: &'h [Field<'b>] = split.headers;
    let mut noted = Noted::default();
    for field in fields {
        noted.note(field)?;
    }
    let framing = noted.framing.framing(version)?.unwrap_or(Framing::None);
    let is_http11 = version == Version::Http11;
    let has_content = !matches!(framing, Framing::None | Framing::Length(0));
    let host = match noted.host {
        // A `Host` that the target overrules must be there all the same (section 3.2).
        Some(host) => host,
        None if is_http11 => return Err(RequestError::MissingHost),
        None => HOST_HTTP10,
    };
    Ok(RequestHead {
        method,
        target: target.path,
        version,
        fields,
        framing,
        persistent: noted.framing.is_persistent(version),
        expect_continue: noted.expects_continue && has_content && is_http11,
        host: target.host.unwrap_or(host),
        upgrade: noted.upgrade.filter(|_| is_http11),
    })
}

/// The host of an HTTP/1.0 request that names none.
const HOST_HTTP10: &str = "localhost";

impl<'b> Noted<'b> {
    fn note(&mut self, field: &Field<'b>) -> Result<(), RequestError> {
        let (name, value) = (field.name, field.value);
        // By length first: nearly every field is told apart by one comparison of numbers.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => self.note_host(value)?,
            6 if name.eq_ignore_ascii_case("expect") => {
                self.expects_continue |= fields::list_has_token(value, "100-continue");
            }
            7 if name.eq_ignore_ascii_case("upgrade") => {
                self.upgrade = self.upgrade.or(Some(value));
            }
            10 if name.eq_ignore_ascii_case("connection") => self.framing.note_connection(value),
            14 if name.eq_ignore_ascii_case("content-length") => {
                self.framing.note_single_length(value)?;
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                self.framing.note_coding(value)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn note_host(&mut self, value: &'b [u8]) -> Result<(), RequestError> {
        if self.host.is_some() {
            return Err(RequestError::SeveralHosts);
        }
        self.host = Some(host::authority(value).ok_or(RequestError::InvalidHost)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
