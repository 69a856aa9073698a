//! The `grip` extension: which of a backend's messages are for the client and which for us
//! (GRIP; Pushpin's documentation and behaviour).
//!
//! A backend turns it on in its answer to the handshake. From then on a text message that starts
//! with `c:` is a control message, one that starts with the prefix goes to the client without it,
//! and any other is dropped. Messages are judged as wholes, however they are fragmented; Pushpin
//! judges first frames, and lets the tails of dropped messages through.

use super::MessageType;
use super::extensions::{self, ExtensionsError, ParamValue};
use crate::http::Field;

/// The name of the extension; compares with regard to case.
pub const NAME: &str = "grip";
/// The prefix where the backend names none.
pub const PREFIX_DEFAULT: &[u8] = b"m:";
/// What control messages start with.
pub const CONTROL_PREFIX: &[u8] = b"c:";

const PREFIX_PARAM: &str = "message-prefix";

/// The extension as a backend turned it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GripExtension {
    prefix: Box<[u8]>,
}

impl GripExtension {
    /// The extension with this prefix, which may be empty.
    #[must_use]
    pub fn new(prefix: &[u8]) -> Self {
        Self {
            prefix: Box::from(prefix),
        }
    }

    /// Looks for the extension in the fields of a backend's answer. `None` if it is off: also
    /// with a prefix that is neither a value nor `""`, as in Pushpin. Of repeated prefixes the
    /// last counts.
    ///
    /// # Errors
    /// [`ExtensionsError`] for a malformed list; the handshake fails.
    pub fn in_fields(fields: &[Field<'_>]) -> Result<Option<Self>, ExtensionsError> {
        let mut found = None;
        for extension in extensions::in_fields(fields) {
            let extension = extension?;
            if extension.name != NAME || found.is_some() {
                continue;
            }
            let params = extension.params();
            let prefix = params.filter(|param| param.name == PREFIX_PARAM).last();
            found = Some(match prefix.map(|param| param.value) {
                None => Some(Self::new(PREFIX_DEFAULT)),
                Some(ParamValue::None | ParamValue::Bare("")) => None,
                Some(ParamValue::Bare(prefix)) => Some(Self::new(prefix.as_bytes())),
                Some(ParamValue::Quoted(prefix)) => Some(Self::new(&prefix)),
            });
        }
        Ok(found.flatten())
    }

    /// What a message for the client starts with.
    #[must_use]
    pub const fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// What a whole message is for.
    #[must_use]
    pub fn sort<'b>(&self, message_type: MessageType, message: &'b [u8]) -> Sorted<'b> {
        if message_type == MessageType::Text
            && let Some(control) = message.strip_prefix(CONTROL_PREFIX)
        {
            return Sorted::Control(control);
        }
        match message.strip_prefix(self.prefix()) {
            Some(content) => Sorted::Content(content),
            None => Sorted::Dropped,
        }
    }
}

/// What a whole message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sorted<'b> {
    /// A control message without its `c:`; see [`grip::control`](crate::grip::control).
    Control(&'b [u8]),
    /// For the client, without the prefix.
    Content(&'b [u8]),
    /// For nobody.
    Dropped,
}

/// Sorts one message that comes in pieces. A new one for each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageSorter {
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first `len` bytes of the message fit `c:`, the prefix, or both.
    Undecided {
        len: usize,
        fits_control: bool,
        fits_prefix: bool,
    },
    Control,
    Content,
    Dropped,
}

/// What the next piece of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortedPiece {
    /// Too little has come to tell. Nothing of the piece need be kept.
    Undecided,
    /// Part of a control message from `start` on; the `c:` lies before it.
    Control {
        /// Where in the piece it begins.
        start: usize,
    },
    /// For the client: `held`, then the piece from `start` on.
    Content {
        /// Bytes of earlier pieces that turned out to be content: `c` at most.
        held: &'static [u8],
        /// Where in the piece the content begins.
        start: usize,
    },
    /// For nobody, and so is the rest of the message.
    Dropped,
}

impl MessageSorter {
    /// A sorter at the start of a message.
    #[must_use]
    pub const fn new(message_type: MessageType) -> Self {
        Self {
            place: Place::Undecided {
                len: 0,
                fits_control: matches!(message_type, MessageType::Text),
                fits_prefix: true,
            },
        }
    }

    /// Judges the next piece; `is_last` if the message ends with it. Never undecided then.
    pub fn piece(&mut self, extension: &GripExtension, piece: &[u8], is_last: bool) -> SortedPiece {
        let (len, fits_control, fits_prefix) = match self.place {
            Place::Undecided {
                len,
                fits_control,
                fits_prefix,
            } => (len, fits_control, fits_prefix),
            Place::Control => return SortedPiece::Control { start: 0 },
            Place::Content => {
                return SortedPiece::Content {
                    held: b"",
                    start: 0,
                };
            }
            Place::Dropped => return SortedPiece::Dropped,
        };
        let control = fits(CONTROL_PREFIX, len, piece, fits_control);
        let prefix = fits(extension.prefix(), len, piece, fits_prefix);
        let sorted = match (control, prefix) {
            (Fit::Whole { start }, _) => SortedPiece::Control { start },
            // It may still be a control message, or the prefix may still come.
            (Fit::Part, _) | (_, Fit::Part) if !is_last => SortedPiece::Undecided,
            (_, Fit::Whole { start }) => SortedPiece::Content {
                // Bytes behind a whole prefix wait only while they may be the start of `c:`.
                held: CONTROL_PREFIX
                    .get(extension.prefix().len()..len)
                    .unwrap_or_default(),
                start,
            },
            (Fit::No | Fit::Part, Fit::No | Fit::Part) => SortedPiece::Dropped,
        };
        self.place = match sorted {
            SortedPiece::Undecided => Place::Undecided {
                len: len + piece.len(),
                fits_control: control != Fit::No,
                fits_prefix: prefix != Fit::No,
            },
            SortedPiece::Control { .. } => Place::Control,
            SortedPiece::Content { .. } => Place::Content,
            SortedPiece::Dropped => Place::Dropped,
        };
        sorted
    }
}

/// How `piece`, which follows `len` bytes that fit `prefix` or are longer, fits it.
fn fits(prefix: &[u8], len: usize, piece: &[u8], has_fit: bool) -> Fit {
    let rest = prefix.get(len..).unwrap_or_default();
    if !has_fit {
        Fit::No
    } else if piece.starts_with(rest) {
        Fit::Whole { start: rest.len() }
    } else if rest.starts_with(piece) {
        Fit::Part
    } else {
        Fit::No
    }
}

/// How the start of a message fits a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    No,
    /// As far as the message has come.
    Part,
    /// All of it, which ends at `start` in the piece.
    Whole {
        start: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grip::test_random::Random;

    fn negotiated(value: &str) -> Result<Option<GripExtension>, ExtensionsError> {
        GripExtension::in_fields(&[Field {
            name: "sec-websocket-extensions",
            value: value.as_bytes(),
        }])
    }

    #[test]
    fn the_backend_turns_it_on_and_names_a_prefix() {
        let cases: [(&str, Option<&[u8]>); 11] = [
            ("grip", Some(b"m:")),
            ("grip; message-prefix=x:", Some(b"x:")),
            ("grip; message-prefix=x", Some(b"x")),
            (r#"grip; message-prefix="q;:""#, Some(b"q;:")),
            (r#"grip; message-prefix="""#, Some(b"")),
            ("grip; message-prefix=", None),
            ("grip; message-prefix", None),
            ("foo, grip", Some(b"m:")),
            ("grip; a=b; message-prefix=x; message-prefix=y", Some(b"y")),
            ("Grip", None),
            ("foo", None),
        ];
        for (value, prefix) in cases {
            let found = negotiated(value).unwrap();
            assert_eq!(found.as_ref().map(GripExtension::prefix), prefix, "{value}");
        }
        assert_eq!(GripExtension::in_fields(&[]), Ok(None));
    }

    #[test]
    fn malformed_lists_fail_the_handshake() {
        for value in ["grip;", "grip; message-prefix=\"x", "grip,"] {
            assert_eq!(negotiated(value), Err(ExtensionsError), "{value}");
        }
    }

    use MessageType::{Binary, Text};

    #[test]
    fn messages_go_where_their_start_says() {
        let grip = GripExtension::new(b"m:");
        let cases: [(MessageType, &[u8], Sorted<'_>); 9] = [
            (Text, b"m:hello", Sorted::Content(b"hello")),
            (Text, b"m:", Sorted::Content(b"")),
            (Text, b"nope", Sorted::Dropped),
            (Text, b"M:x", Sorted::Dropped),
            (Text, b"", Sorted::Dropped),
            (Text, b"c:{}", Sorted::Control(b"{}")),
            (Text, b"c:", Sorted::Control(b"")),
            (Binary, b"m:bin", Sorted::Content(b"bin")),
            (Binary, b"c:{}", Sorted::Dropped),
        ];
        for (message_type, message, sorted) in cases {
            assert_eq!(grip.sort(message_type, message), sorted, "{message:?}");
        }
    }

    #[test]
    fn an_empty_prefix_passes_all_but_control_messages() {
        let grip = GripExtension::new(b"");
        assert_eq!(grip.sort(Text, b"any"), Sorted::Content(b"any"));
        assert_eq!(grip.sort(Text, b"c:{}"), Sorted::Control(b"{}"));
        assert_eq!(grip.sort(Binary, b"c:{}"), Sorted::Content(b"c:{}"));
    }

    /// The whole message as its pieces are sorted: `c` or `m`, then what is left of it.
    fn sort_pieces(
        grip: &GripExtension,
        message_type: MessageType,
        pieces: &[&[u8]],
    ) -> Option<(char, Vec<u8>)> {
        let mut sorter = MessageSorter::new(message_type);
        let mut joined = None;
        for (at, piece) in pieces.iter().enumerate() {
            let is_last = at + 1 == pieces.len();
            let (kind, held, start) = match sorter.piece(grip, piece, is_last) {
                SortedPiece::Undecided => {
                    assert!(!is_last && joined.is_none());
                    continue;
                }
                SortedPiece::Dropped => {
                    assert!(joined.is_none());
                    continue;
                }
                SortedPiece::Control { start } => ('c', &b""[..], start),
                SortedPiece::Content { held, start } => ('m', held, start),
            };
            let (kind_so_far, rest) = joined.get_or_insert((kind, Vec::new()));
            assert_eq!(*kind_so_far, kind);
            rest.extend_from_slice(held);
            rest.extend_from_slice(&piece[start..]);
        }
        joined
    }

    fn sort_whole(
        grip: &GripExtension,
        message_type: MessageType,
        message: &[u8],
    ) -> Option<(char, Vec<u8>)> {
        match grip.sort(message_type, message) {
            Sorted::Control(rest) => Some(('c', rest.to_vec())),
            Sorted::Content(rest) => Some(('m', rest.to_vec())),
            Sorted::Dropped => None,
        }
    }

    #[test]
    fn a_prefix_may_be_cut_and_the_tail_of_a_dropped_message_is_dropped() {
        let grip = GripExtension::new(b"m:");
        let sorted = |pieces: &[&[u8]]| sort_pieces(&grip, Text, pieces);
        assert_eq!(sorted(&[b"m:aa", b"bb"]), Some(('m', b"aabb".to_vec())));
        assert_eq!(sorted(&[b"m", b"", b":x"]), Some(('m', b"x".to_vec())));
        assert_eq!(sorted(&[b"no", b"pe"]), None);
        assert_eq!(sorted(&[b"no", b"m:x"]), None);
        assert_eq!(sorted(&[b"c", b":{", b"}"]), Some(('c', b"{}".to_vec())));
    }

    #[test]
    fn pieces_cut_anywhere_are_sorted_like_the_whole() {
        let mut random = Random::new(17);
        for _round in 0..50_000 {
            let prefix: &[u8] =
                random.pick::<&[u8]>(&[b"", b"m:", b"c", b"c:", b"cc", b"cm:", b"m"]);
            let grip = GripExtension::new(prefix);
            let message: Vec<u8> = (0..random.below(6)).map(|_| *random.pick(b"cm:")).collect();
            let message_type = *random.pick(&[Text, Binary]);
            let mut pieces = vec![];
            let mut rest = message.as_slice();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(random.below(rest.len() + 1));
                pieces.push(piece);
                rest = behind;
            }
            if pieces.is_empty() || random.below(2) == 0 {
                pieces.push(b"");
            }
            assert_eq!(
                sort_pieces(&grip, message_type, &pieces),
                sort_whole(&grip, message_type, &message),
                "prefix {prefix:?}, pieces {pieces:?}"
            );
        }
    }
}
