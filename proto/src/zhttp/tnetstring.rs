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
    parse_nested(buf, limits.len_max, limits.depth_max, limits.depth_max)
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
    match value {
        Tnet::Null => out.extend_from_slice(b"0:~"),
        Tnet::Bool(true) => out.extend_from_slice(b"4:true!"),
        Tnet::Bool(false) => out.extend_from_slice(b"5:false!"),
        Tnet::Int(value) => encode_bytes(out, value.to_string().as_bytes(), b'#'),
        Tnet::Float(value) if value.is_finite() => {
            encode_bytes(out, value.to_string().as_bytes(), b'^');
        }
        Tnet::Float(_) => out.extend_from_slice(b"0:~"),
        Tnet::Bytes(bytes) => encode_bytes(out, bytes, b','),
        Tnet::List(elements) => encode_nested(out, b']', |out| {
            elements.iter().for_each(|element| encode(out, element));
        }),
        Tnet::Map(members) => encode_nested(out, b'}', |out| {
            for (name, value) in members {
                encode_bytes(out, name, b',');
                encode(out, value);
            }
        }),
    }
}

fn encode_bytes(out: &mut Vec<u8>, data: &[u8], kind: u8) {
    out.extend_from_slice(data.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(data);
    out.push(kind);
}

/// Writes the data first and puts its length before it afterwards.
fn encode_nested(out: &mut Vec<u8>, kind: u8, data: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    data(out);
    let len = out.len() - start;
    out.splice(start..start, format!("{len}:").into_bytes());
    out.push(kind);
}

/// Reads one value; `depth_left` of `depth_max` levels may follow.
fn parse_nested(
    buf: &[u8],
    len_max: usize,
    depth_left: usize,
    depth_max: usize,
) -> Result<Parsed<Tnet<'_>>, TnetError> {
    let Some((len, data_at)) = parse_len(buf)? else {
        return Ok(Parsed::NeedMore);
    };
    // Checked before the data is complete: a peer must not make us keep what we will refuse.
    if len > len_max {
        return Err(TnetError::TooLong { max: len_max });
    }
    let type_at = data_at + len;
    let (Some(data), Some(kind)) = (buf.get(data_at..type_at), buf.get(type_at)) else {
        return Ok(Parsed::NeedMore);
    };
    let elements = || {
        let depth_left = depth_left
            .checked_sub(1)
            .ok_or(TnetError::TooDeep { max: depth_max })?;
        parse_elements(data, depth_left, depth_max)
    };
    let value = match kind {
        b']' => Tnet::List(elements()?),
        b'}' => Tnet::Map(pair_up(elements()?)?),
        _ => parse_scalar(data, *kind)?,
    };
    Ok(Parsed::Complete(value, type_at + 1))
}

/// The length and where the data behind it starts; `None` if more bytes are needed.
fn parse_len(buf: &[u8]) -> Result<Option<(usize, usize)>, TnetError> {
    let digits = buf
        .iter()
        .take(LEN_DIGITS_MAX + 1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits > LEN_DIGITS_MAX {
        return Err(TnetError::Len);
    }
    match buf.get(digits) {
        Some(b':') if digits > 0 => {
            let text = std::str::from_utf8(buf.get(..digits).unwrap_or_default());
            let len = text
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(TnetError::Len)?;
            Ok(Some((len, digits + 1)))
        }
        Some(_) => Err(TnetError::Len),
        None => Ok(None),
    }
}

fn parse_elements(
    mut data: &[u8],
    depth_left: usize,
    depth_max: usize,
) -> Result<Vec<Tnet<'_>>, TnetError> {
    let mut elements = Vec::new();
    while !data.is_empty() {
        match parse_nested(data, data.len(), depth_left, depth_max) {
            Ok(Parsed::Complete(element, used)) => {
                elements.push(element);
                data = data.get(used..).unwrap_or_default();
            }
            Ok(Parsed::NeedMore) | Err(TnetError::TooLong { .. }) => return Err(TnetError::Cut),
            Err(error) => return Err(error),
        }
    }
    Ok(elements)
}

fn pair_up(elements: Vec<Tnet<'_>>) -> Result<Members<'_>, TnetError> {
    let mut members = Vec::with_capacity(elements.len() / 2);
    let mut elements = elements.into_iter();
    while let Some(name) = elements.next() {
        let (Tnet::Bytes(name), Some(value)) = (name, elements.next()) else {
            return Err(TnetError::Map);
        };
        members.push((name, value));
    }
    Ok(members)
}

fn parse_scalar(data: &[u8], kind: u8) -> Result<Tnet<'_>, TnetError> {
    let text = || std::str::from_utf8(data).map_err(|_| TnetError::Data);
    match (kind, data) {
        (b',', _) => Ok(Tnet::Bytes(Cow::Borrowed(data))),
        (b'#', _) => text()?.parse().map(Tnet::Int).map_err(|_| TnetError::Data),
        (b'^', _) => {
            let value: f64 = text()?.parse().map_err(|_| TnetError::Data)?;
            // The words for infinity and the like are no numbers that anyone could use.
            value
                .is_finite()
                .then_some(Tnet::Float(value))
                .ok_or(TnetError::Data)
        }
        (b'!', b"true") => Ok(Tnet::Bool(true)),
        (b'!', b"false") => Ok(Tnet::Bool(false)),
        (b'~', b"") => Ok(Tnet::Null),
        (b'!' | b'~', _) => Err(TnetError::Data),
        _ => Err(TnetError::Type),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TnetLimits = TnetLimits {
        len_max: 1000,
        depth_max: 4,
    };

    fn samples() -> Vec<(&'static [u8], Tnet<'static>)> {
        vec![
            (b"0:~", Tnet::Null),
            (b"4:true!", Tnet::Bool(true)),
            (b"5:false!", Tnet::Bool(false)),
            (b"2:42#", Tnet::Int(42)),
            (b"20:-9223372036854775808#", Tnet::Int(i64::MIN)),
            (b"3:1.5^", Tnet::Float(1.5)),
            (b"0:,", Tnet::from("")),
            (b"5:h:,\xff\0,", Tnet::from(&b"h:,\xff\0"[..])),
            (b"0:]", Tnet::List(vec![])),
            (b"8:1:1#1:2#]", Tnet::List(vec![Tnet::Int(1), Tnet::Int(2)])),
            (b"0:}", Tnet::Map(vec![])),
            (
                b"11:1:a,4:1:1#]}",
                Tnet::Map(vec![(Cow::Borrowed(b"a"), Tnet::List(vec![Tnet::Int(1)]))]),
            ),
        ]
    }

    #[test]
    fn values_and_bytes_match_both_ways() {
        for (bytes, value) in samples() {
            let parsed = parse(bytes, &LIMITS);
            assert_eq!(
                parsed,
                Ok(Parsed::Complete(value.clone(), bytes.len())),
                "{bytes:?}"
            );
            let mut out = b"x".to_vec();
            encode(&mut out, &value);
            assert_eq!(out.get(1..), Some(bytes), "{value:?}");
        }
    }

    #[test]
    fn a_value_cut_anywhere_is_incomplete_not_wrong() {
        for (bytes, _value) in samples() {
            for cut in 0..bytes.len() {
                assert_eq!(
                    parse(&bytes[..cut], &LIMITS),
                    Ok(Parsed::NeedMore),
                    "{bytes:?} {cut}"
                );
                assert_eq!(decode(&bytes[..cut], &LIMITS), Err(TnetError::Cut));
            }
        }
    }

    #[test]
    fn bytes_behind_the_value_are_left_alone() {
        assert_eq!(
            parse(b"1:a,xyz", &LIMITS),
            Ok(Parsed::Complete(Tnet::from("a"), 4))
        );
        assert_eq!(decode(b"1:a,xyz", &LIMITS), Ok(Tnet::from("a")));
    }

    #[test]
    fn every_mistake_has_its_error() {
        let cases: [(&[u8], TnetError); 19] = [
            (b":a,", TnetError::Len),
            (b"a", TnetError::Len),
            (b"-1:a,", TnetError::Len),
            (b"1 :a,", TnetError::Len),
            (b"00000000001:a,", TnetError::Len),
            (b"1:a?", TnetError::Type),
            (b"1:a#", TnetError::Data),
            (b"0:#", TnetError::Data),
            (b"3:nan^", TnetError::Data),
            (b"3:inf^", TnetError::Data),
            (b"5:1e999^", TnetError::Data),
            (b"4:True!", TnetError::Data),
            (b"1:0~", TnetError::Data),
            (b"4:9:a,]", TnetError::Cut),
            (b"2:1:]", TnetError::Cut),
            (b"4:1:a,}", TnetError::Map),
            (b"8:1:1#1:2#}", TnetError::Map),
            (b"3:1:a]", TnetError::Cut),
            (b"4:1:a?]", TnetError::Type),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(
                parse(bytes, &LIMITS),
                Err(wanted),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn length_and_depth_stop_at_their_limits() {
        let limits = TnetLimits {
            len_max: 12,
            depth_max: 3,
        };
        let too_long = Err(TnetError::TooLong { max: 12 });
        assert!(matches!(
            parse(b"12:123456789012,", &limits),
            Ok(Parsed::Complete(..))
        ));
        assert_eq!(parse(b"13:", &limits), too_long, "before the data is there");
        assert!(matches!(
            parse(b"6:3:0:]]]", &limits),
            Ok(Parsed::Complete(..))
        ));
        assert_eq!(
            parse(b"9:6:3:0:]]]]", &limits),
            Err(TnetError::TooDeep { max: 3 })
        );
        let scalars = TnetLimits {
            len_max: 12,
            depth_max: 0,
        };
        assert_eq!(parse(b"0:]", &scalars), Err(TnetError::TooDeep { max: 0 }));
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let map = decode(b"16:1:a,1:1#1:a,1:2#}", &LIMITS).unwrap();
        assert_eq!(map.member(b"a"), Some(&Tnet::Int(2)));
        assert_eq!(map.member(b"b"), None);
        assert_eq!(Tnet::Null.member(b"a"), None);
    }

    #[test]
    fn random_bytes_never_panic_and_what_parses_survives_a_round_trip() {
        let mut random = crate::grip::test_random::Random::new(7);
        let alphabet = b"0123456789:,#^!~}]truefals";
        for _round in 0..20_000 {
            let bytes: Vec<u8> = (0..random.below(24))
                .map(|_| *random.pick(alphabet))
                .collect();
            if let Ok(Parsed::Complete(value, _used)) = parse(&bytes, &LIMITS) {
                let mut out = Vec::new();
                encode(&mut out, &value);
                assert_eq!(decode(&out, &LIMITS), Ok(value), "{bytes:?}");
            }
        }
    }
}
