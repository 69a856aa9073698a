//! tnetstring: `<length>:<data><type>`, the encoding of ZeroMQ messages.
//!
//! Types: `,` string, `#` integer, `^` float, `!` boolean, `~` null, `}` map, `]` list. Strings are
//! bytes; reading borrows them from the input. Depth and length are bounded by the caller.

use std::borrow::Cow;

use crate::Parsed;

/// The members of a map, in the order of the message.
pub type Members<'b> = Vec<(Cow<'b, [u8]>, Tnet<'b>)>;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Tnet<'b> {
    /// `0:~`
    Null,
    /// `4:true!` or `5:false!`
    Bool(bool),
    /// `2:42#`
    Int(i64),
    /// `3:1.5^`
    Float(f64),
    /// `5:hello,`
    Bytes(Cow<'b, [u8]>),
    /// `8:1:1#1:2#]`
    List(Vec<Self>),
    /// `8:1:a,1:1#}`; keys are strings, the last of equal ones counts.
    Map(Members<'b>),
}

/// Bounds of what [`parse`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TnetLimits {
    /// Bytes of data of the outermost value.
    pub len_max: usize,
    /// Lists and maps within each other; 0 accepts scalars only.
    pub depth_max: usize,
}

/// Depth that no known message needs.
pub const DEPTH_MAX_DEFAULT: usize = 64;

/// Digits that a length may have; more could not be a length that fits a limit.
const LEN_DIGITS_MAX: usize = 10;

/// Why bytes are no tnetstring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TnetError {
    /// The length is missing, too long, or not followed by a colon.
    #[error("bad tnetstring length")]
    Len,
    /// The announced length is over the limit.
    #[error("tnetstring is longer than {max} bytes")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// Lists and maps are nested too deep.
    #[error("tnetstring is nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// An unknown type byte.
    #[error("unknown tnetstring type")]
    Type,
    /// The data does not fit the type.
    #[error("bad tnetstring data")]
    Data,
    /// A value inside a list or map runs over its end.
    #[error("tnetstring is cut short inside a list or map")]
    Cut,
    /// A key of a map is no string, or has no value.
    #[error("bad tnetstring map")]
    Map,
}

/// Reads one value from the front of `buf`; bytes behind it are left alone.
///
/// `buf` may hold any prefix of the value.
///
/// # Errors
/// [`TnetError`] when no further byte could make it valid.
pub fn parse<'b>(buf: &'b [u8], limits: &TnetLimits) -> Result<Parsed<Tnet<'b>>, TnetError> {
    let _ = (buf, limits);
    Err(TnetError::Len)
}

/// Reads the value that a whole message starts with; bytes behind it are ignored, as with Pushpin.
///
/// # Errors
/// [`TnetError`]; a message that ends early is [`TnetError::Cut`].
pub fn decode<'b>(message: &'b [u8], limits: &TnetLimits) -> Result<Tnet<'b>, TnetError> {
    match parse(message, limits)? {
        Parsed::Complete(value, _used) => Ok(value),
        Parsed::NeedMore => Err(TnetError::Cut),
    }
}

/// Appends `value` to `out`. A float that is not finite has no form and becomes null.
pub fn encode(out: &mut Vec<u8>, value: &Tnet<'_>) {
    let _ = (out, value);
}

impl<'b> Tnet<'b> {
    /// The member `key` of a map; the last of equal ones. `None` if this is no map.
    #[must_use]
    pub fn member(&self, key: &[u8]) -> Option<&Self> {
        let members = self.as_map()?;
        members
            .iter()
            .rev()
            .find(|(name, _value)| name.as_ref() == key)
            .map(|(_name, value)| value)
    }

    /// The members of a map in order.
    #[must_use]
    pub const fn as_map(&self) -> Option<&Members<'b>> {
        match self {
            Self::Map(members) => Some(members),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Bytes(_)
            | Self::List(_) => None,
        }
    }

    /// The elements of a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Bytes(_)
            | Self::Map(_) => None,
        }
    }

    /// The bytes of a string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::List(_)
            | Self::Map(_) => None,
        }
    }

    /// A string as text; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        self.as_bytes().map(String::from_utf8_lossy)
    }

    /// A boolean.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Null
            | Self::Int(_)
            | Self::Float(_)
            | Self::Bytes(_)
            | Self::List(_)
            | Self::Map(_) => None,
        }
    }

    /// An integer.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Null
            | Self::Bool(_)
            | Self::Float(_)
            | Self::Bytes(_)
            | Self::List(_)
            | Self::Map(_) => None,
        }
    }
}

impl<'b> From<&'b [u8]> for Tnet<'b> {
    fn from(bytes: &'b [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'b> From<&'b str> for Tnet<'b> {
    fn from(text: &'b str) -> Self {
        Self::Bytes(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Tnet<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

impl From<String> for Tnet<'_> {
    fn from(text: String) -> Self {
        Self::Bytes(Cow::Owned(text.into_bytes()))
    }
}

impl From<bool> for Tnet<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Tnet<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
