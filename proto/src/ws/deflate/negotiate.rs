//! The parameters of permessage-deflate (RFC 7692 section 7.1).

use crate::http::Field;
use crate::ws::extensions::{self, Extension, ParamValue};

use super::history::History;

/// The name of the extension; compares with regard to case.
pub const NAME: &str = "permessage-deflate";
/// Smallest window, in bits.
pub const WINDOW_BITS_MIN: u8 = 8;
/// Largest window, in bits; what counts where none is named.
pub const WINDOW_BITS_MAX: u8 = 15;
/// Smallest window that we compress with: the library has no smaller one.
pub const SERVER_WINDOW_BITS_MIN: u8 = 9;

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// What we are willing to keep per connection. Named after the ends of the connection: as a
/// client of a backend, we are the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflatePolicy {
    /// Whether what the server sends may refer to earlier messages.
    pub server_context_takeover: bool,
    /// Whether what the client sends may.
    pub client_context_takeover: bool,
    /// The server's window, at most, in bits; 9 to 15.
    pub server_window_bits: u8,
    /// The client's window, at most, in bits; 8 to 15 (9 to 15 where we are the client). A client
    /// that did not offer to limit it keeps 15.
    pub client_window_bits: u8,
}

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateParams {
    /// What the server sends may refer to earlier messages.
    pub server_context_takeover: bool,
    /// What the client sends may.
    pub client_context_takeover: bool,
    /// The server's window, in bits.
    pub server_window_bits: u8,
    /// The client's window, in bits.
    pub client_window_bits: u8,
    /// Whether the answer names the server's window.
    tells_server_window: bool,
    /// Whether the answer names the client's window.
    tells_client_window: bool,
}

/// Why a backend's answer to our offer cannot be accepted (RFC 7692 section 7.1). The client is
/// told 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid permessage-deflate parameters")]
pub struct OfferError;

/// The parameters of one offer or answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Asked {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// Outer: named at all. Inner: with a value.
    client_max_window_bits: Option<Option<u8>>,
}

impl Asked {
    /// `None` for parameters that are unknown, repeated or malformed.
    fn read(extension: &Extension<'_>) -> Option<Self> {
        let mut asked = Self::default();
        for param in extension.params() {
            let is_new = match param.name {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    set(&mut asked.server_no_context_takeover, &param.value)
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    set(&mut asked.client_no_context_takeover, &param.value)
                }
                SERVER_MAX_WINDOW_BITS => {
                    let bits = window_bits(&param.value)?;
                    asked.server_max_window_bits.replace(bits).is_none()
                }
                CLIENT_MAX_WINDOW_BITS => {
                    let bits = match param.value {
                        ParamValue::None => None,
                        value => Some(window_bits(&value)?),
                    };
                    asked.client_max_window_bits.replace(bits).is_none()
                }
                _unknown => return None,
            };
            if !is_new {
                return None;
            }
        }
        Some(asked)
    }
}

/// Sets a flag once, and only without a value.
fn set(flag: &mut bool, value: &ParamValue<'_>) -> bool {
    !std::mem::replace(flag, true) && *value == ParamValue::None
}

/// A decimal number from 8 to 15 without leading zeros.
fn window_bits(value: &ParamValue<'_>) -> Option<u8> {
    match value.bytes()? {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

impl DeflateParams {
    /// As a server: answers the first offer in a client's fields that is acceptable. `None` means
    /// no compression, which is no error. The grammar of the lists was checked by the handshake.
    #[must_use]
    pub fn accept_offer(fields: &[Field<'_>], policy: &DeflatePolicy) -> Option<Self> {
        extensions::in_fields(fields)
            .map_while(Result::ok)
            .filter(|extension| extension.name == NAME)
            .find_map(|offer| Self::answer(&Asked::read(&offer)?, policy))
    }

    fn answer(offer: &Asked, policy: &DeflatePolicy) -> Option<Self> {
        let server_max = offer.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX);
        if server_max < SERVER_WINDOW_BITS_MIN {
            return None;
        }
        let policy_bits = policy.server_window_bits;
        let policy_bits = policy_bits.clamp(SERVER_WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        let server_window_bits = policy_bits.min(server_max);
        // A client that does not say so cannot limit its window (RFC 7692 section 7.1.2.2).
        let can_limit_client = offer.client_max_window_bits.is_some();
        let client_max = offer.client_max_window_bits.flatten();
        let client_max = client_max.unwrap_or(WINDOW_BITS_MAX);
        let policy_bits = policy.client_window_bits;
        let policy_bits = policy_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        let tells_client_window = can_limit_client && policy_bits < client_max;
        Some(Self {
            server_context_takeover: policy.server_context_takeover
                && !offer.server_no_context_takeover,
            client_context_takeover: policy.client_context_takeover
                && !offer.client_no_context_takeover,
            server_window_bits,
            client_window_bits: if tells_client_window {
                policy_bits
            } else {
                client_max
            },
            // Needed only where it was asked for: a smaller window than promised harms nobody.
            tells_server_window: offer.server_max_window_bits.is_some(),
            tells_client_window,
        })
    }

    /// As a client: appends the value of our offer to a backend.
    pub fn write_offer(out: &mut Vec<u8>, policy: &DeflatePolicy) {
        out.extend_from_slice(NAME.as_bytes());
        if !policy.server_context_takeover {
            write_flag(out, SERVER_NO_CONTEXT_TAKEOVER);
        }
        if !policy.client_context_takeover {
            write_flag(out, CLIENT_NO_CONTEXT_TAKEOVER);
        }
        if policy.server_window_bits < WINDOW_BITS_MAX {
            write_bits(out, SERVER_MAX_WINDOW_BITS, policy.server_window_bits);
        }
        // Says that we can limit ours, if asked to.
        write_flag(out, CLIENT_MAX_WINDOW_BITS);
    }

    /// As a client: reads a backend's answer to [`DeflateParams::write_offer`]. `None` if it chose
    /// no compression. `offered` is the policy that was offered, if one was: a backend must not
    /// answer what nobody asked (RFC 6455 section 9.1).
    ///
    /// # Errors
    /// [`OfferError`] for parameters that are malformed, that the offer does not allow, or that we
    /// cannot keep; the connection fails.
    pub fn accept_answer(
        fields: &[Field<'_>],
        offered: Option<&DeflatePolicy>,
    ) -> Result<Option<Self>, OfferError> {
        let mut answers = extensions::in_fields(fields)
            .map_while(Result::ok)
            .filter(|extension| extension.name == NAME);
        let Some(answer) = answers.next() else {
            return Ok(None);
        };
        let policy = offered.ok_or(OfferError)?;
        let answer = Asked::read(&answer).ok_or(OfferError)?;
        let server_bits = answer.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX);
        let client_bits = match answer.client_max_window_bits {
            None => WINDOW_BITS_MAX,
            Some(bits) => bits.ok_or(OfferError)?,
        };
        let is_kept = server_bits <= policy.server_window_bits
            && (answer.server_no_context_takeover || policy.server_context_takeover)
            && client_bits >= SERVER_WINDOW_BITS_MIN
            && answers.next().is_none();
        if !is_kept {
            return Err(OfferError);
        }
        let policy_bits = policy.client_window_bits;
        let policy_bits = policy_bits.clamp(SERVER_WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        Ok(Some(Self {
            server_context_takeover: !answer.server_no_context_takeover,
            client_context_takeover: policy.client_context_takeover
                && !answer.client_no_context_takeover,
            server_window_bits: server_bits,
            client_window_bits: client_bits.min(policy_bits),
            tells_server_window: false,
            tells_client_window: false,
        }))
    }

    /// As a server: appends the value of the field that answers the offer.
    pub fn write_answer(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME.as_bytes());
        if !self.server_context_takeover {
            write_flag(out, SERVER_NO_CONTEXT_TAKEOVER);
        }
        if !self.client_context_takeover {
            write_flag(out, CLIENT_NO_CONTEXT_TAKEOVER);
        }
        if self.tells_server_window {
            write_bits(out, SERVER_MAX_WINDOW_BITS, self.server_window_bits);
        }
        if self.tells_client_window {
            write_bits(out, CLIENT_MAX_WINDOW_BITS, self.client_window_bits);
        }
    }

    /// What a connection keeps of what the server sends.
    #[must_use]
    pub const fn server_history(&self) -> History {
        history(self.server_context_takeover, self.server_window_bits)
    }

    /// What a connection keeps of what the client sends.
    #[must_use]
    pub const fn client_history(&self) -> History {
        history(self.client_context_takeover, self.client_window_bits)
    }
}

const fn history(is_taken_over: bool, window_bits: u8) -> History {
    if is_taken_over {
        History::window(window_bits)
    } else {
        History::none()
    }
}

fn write_flag(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"; ");
    out.extend_from_slice(name.as_bytes());
}

fn write_bits(out: &mut Vec<u8>, name: &str, bits: u8) {
    write_flag(out, name);
    out.push(b'=');
    if bits >= 10 {
        out.push(b'1');
    }
    out.push(b'0' + bits % 10);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: DeflatePolicy = DeflatePolicy {
        server_context_takeover: true,
        client_context_takeover: true,
        server_window_bits: 15,
        client_window_bits: 15,
    };
    const FRUGAL: DeflatePolicy = DeflatePolicy {
        server_context_takeover: false,
        client_context_takeover: false,
        server_window_bits: 12,
        client_window_bits: 10,
    };

    fn fields<'b>(values: &[&'b str]) -> Vec<Field<'b>> {
        let field = |value: &&'b str| Field {
            name: extensions::FIELD,
            value: value.as_bytes(),
        };
        values.iter().map(field).collect()
    }

    fn answered(offers: &[&str], policy: &DeflatePolicy) -> Option<String> {
        let params = DeflateParams::accept_offer(&fields(offers), policy)?;
        let mut answer = Vec::new();
        params.write_answer(&mut answer);
        Some(String::from_utf8(answer).unwrap())
    }

    #[test]
    fn offers_are_answered_with_what_they_ask_for() {
        for (offer, answer) in [
            ("permessage-deflate", "permessage-deflate"),
            (
                "permessage-deflate; client_max_window_bits=10",
                "permessage-deflate",
            ),
            (
                "permessage-deflate; client_max_window_bits",
                "permessage-deflate",
            ),
            (
                "permessage-deflate; server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
            ),
            (
                "permessage-deflate; server_max_window_bits=\"9\"",
                "permessage-deflate; server_max_window_bits=9",
            ),
        ] {
            assert_eq!(
                answered(&[offer], &FULL).as_deref(),
                Some(answer),
                "{offer}"
            );
        }
    }

    #[test]
    fn offers_that_break_the_rules_are_declined() {
        for params in [
            "unknown",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover=1",
            "server_no_context_takeover=\"\"",
            "server_max_window_bits",
            "server_max_window_bits=",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=7",
            "client_max_window_bits=x",
            "client_max_window_bits; client_max_window_bits",
            // Allowed, but our library has no such window.
            "server_max_window_bits=8",
        ] {
            let offer = format!("permessage-deflate; {params}");
            assert_eq!(answered(&[&offer], &FULL), None, "{params}");
        }
        for offers in [&["Permessage-Deflate"][..], &["foo"], &[]] {
            assert_eq!(answered(offers, &FULL), None, "{offers:?}");
        }
    }

    #[test]
    fn the_first_acceptable_offer_counts() {
        let bad = "permessage-deflate; foo";
        let good = "permessage-deflate; server_no_context_takeover";
        let answer = Some(good);
        let one_line = format!("{bad}, x, {good}, permessage-deflate");
        assert_eq!(answered(&[&one_line], &FULL).as_deref(), answer);
        assert_eq!(
            answered(&[bad, good, "permessage-deflate"], &FULL).as_deref(),
            answer
        );
    }

    #[test]
    fn the_policy_limits_what_is_kept() {
        assert_eq!(
            answered(&["permessage-deflate; client_max_window_bits"], &FRUGAL).as_deref(),
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 client_max_window_bits=10"
            )
        );
        let params = |offer, policy| {
            let params = DeflateParams::accept_offer(&fields(&[offer]), policy).unwrap();
            (params.server_window_bits, params.client_window_bits)
        };
        assert_eq!(params("permessage-deflate", &FRUGAL), (12, 15));
        let hinted = "permessage-deflate; client_max_window_bits=9; server_max_window_bits=13";
        assert_eq!(params(hinted, &FRUGAL), (12, 9));
        assert_eq!(params(hinted, &FULL), (13, 9));
    }

    #[test]
    fn our_offer_gets_an_answer_that_we_accept() {
        for policy in [FULL, FRUGAL] {
            let mut offer = Vec::new();
            DeflateParams::write_offer(&mut offer, &policy);
            let offer = String::from_utf8(offer).unwrap();
            for backend in [FULL, FRUGAL] {
                let answer = answered(&[&offer], &backend).unwrap();
                let params = DeflateParams::accept_answer(&fields(&[&answer]), Some(&policy));
                let params = params.unwrap().unwrap();
                assert!(params.server_window_bits <= policy.server_window_bits);
                assert!(params.client_window_bits <= backend.client_window_bits);
                assert!(policy.server_context_takeover || !params.server_context_takeover);
                assert!(backend.client_context_takeover || !params.client_context_takeover);
            }
        }
    }

    #[test]
    fn answers_that_the_offer_does_not_allow_fail() {
        for answer in [
            "permessage-deflate; foo",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate, permessage-deflate",
        ] {
            let accepted = DeflateParams::accept_answer(&fields(&[answer]), Some(&FULL));
            assert_eq!(accepted, Err(OfferError), "{answer}");
        }
        for answer in [
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_max_window_bits=12",
        ] {
            let accepted = DeflateParams::accept_answer(&fields(&[answer]), Some(&FRUGAL));
            assert_eq!(accepted, Err(OfferError), "{answer}");
        }
        let uninvited = DeflateParams::accept_answer(&fields(&["permessage-deflate"]), None);
        assert_eq!(uninvited, Err(OfferError));
        assert_eq!(
            DeflateParams::accept_answer(&fields(&["grip"]), Some(&FULL)),
            Ok(None)
        );
        let small = "permessage-deflate; client_max_window_bits=10";
        let accepted = DeflateParams::accept_answer(&fields(&[small]), Some(&FULL));
        assert_eq!(accepted.unwrap().unwrap().client_window_bits, 10);
    }
}
