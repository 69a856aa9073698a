//! The `X-Forwarded-For` rule (Pushpin's `x_forwarded_for` settings).
//!
//! A rule is a comma list of `truncate:N` (keep the last N incoming addresses) and `append` (add
//! the peer's own). An empty rule lets the incoming addresses pass. Whatever the rule, the result
//! is a single field, and none at all rather than an empty one.

use std::net::IpAddr;

/// How the `X-Forwarded-For` field towards the backend is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForwardedRule {
    /// How many incoming addresses are kept, counted from the end. `None`: all.
    pub truncate: Option<usize>,
    /// The address of the TCP peer is added.
    pub append: bool,
}

/// Why a rule is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardedError {
    /// A member is neither `truncate:N` nor `append`.
    #[error("expected a comma list of \"truncate:N\" and \"append\", found {member:?}")]
    BadMember {
        /// The member as it was written.
        member: String,
    },
}

impl ForwardedRule {
    /// Reads a rule; the empty text is the rule that lets everything pass.
    ///
    /// # Errors
    /// [`ForwardedError::BadMember`] for an unknown word or a bad number. Pushpin ignores both,
    /// which makes a slip of the pen trust every client.
    pub fn parse(text: &str) -> Result<Self, ForwardedError> {
        let mut rule = Self::default();
        if text.trim().is_empty() {
            return Ok(rule);
        }
        for member in text.split(',').map(str::trim) {
            let bad = || ForwardedError::BadMember {
                member: member.to_owned(),
            };
            match member.split_once(':') {
                None if member == "append" => rule.append = true,
                Some(("truncate", count)) if count.bytes().all(|b| b.is_ascii_digit()) => {
                    rule.truncate = Some(count.parse().map_err(|_| bad())?);
                }
                _ => return Err(bad()),
            }
        }
        Ok(rule)
    }

    /// The value of the outgoing field, or `None` if there is nothing to say.
    ///
    /// `values` are the values of all incoming `X-Forwarded-For` fields in order, each a comma
    /// list. `peer` is the client's address, `None` for a Unix socket.
    #[must_use]
    pub fn apply(&self, values: &[&[u8]], peer: Option<IpAddr>) -> Option<Vec<u8>> {
        let mut members: Vec<&[u8]> = members(values).collect();
        if let Some(keep) = self.truncate {
            members.drain(..members.len().saturating_sub(keep));
        }
        let peer = peer
            .filter(|_| self.append)
            .map(|ip| ip.to_canonical().to_string());
        members.extend(peer.as_deref().map(str::as_bytes));
        if members.is_empty() {
            return None;
        }
        Some(members.join(&b", "[..]))
    }

    /// The address the client is known by in logs and statistics: the first incoming one if the
    /// rule believes it, else that of the peer.
    #[must_use]
    pub fn logical_peer(&self, values: &[&[u8]], peer: Option<IpAddr>) -> Option<IpAddr> {
        if self.truncate == Some(0) {
            return peer;
        }
        let first = members(values).next();
        let claimed = first.and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok());
        claimed.or(peer)
    }
}

/// The members of several comma lists, trimmed; empty ones are no members (RFC 9110 section 5.6.1).
fn members<'v>(values: &[&'v [u8]]) -> impl Iterator<Item = &'v [u8]> {
    let parts = values
        .iter()
        .flat_map(|value| value.split(|byte| *byte == b','));
    parts
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)));
    const THREE: &[&[u8]] = &[b"1.1.1.1, 2.2.2.2", b"3.3.3.3"];

    fn applied(rule: &str, values: &[&[u8]], peer: Option<IpAddr>) -> Option<String> {
        let value = ForwardedRule::parse(rule).unwrap().apply(values, peer)?;
        Some(String::from_utf8(value).unwrap())
    }

    #[test]
    fn each_rule_gives_one_field() {
        let cases = [
            ("", "1.1.1.1, 2.2.2.2, 3.3.3.3"),
            ("append", "1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.9"),
            ("truncate:1,append", "3.3.3.3, 10.0.0.9"),
            ("append, truncate:1", "3.3.3.3, 10.0.0.9"),
            ("truncate:0, append", "10.0.0.9"),
            ("truncate:2", "2.2.2.2, 3.3.3.3"),
            ("truncate:9", "1.1.1.1, 2.2.2.2, 3.3.3.3"),
        ];
        for (rule, expected) in cases {
            assert_eq!(
                applied(rule, THREE, PEER).as_deref(),
                Some(expected),
                "{rule:?}"
            );
        }
    }

    #[test]
    fn there_is_no_empty_field() {
        assert_eq!(applied("", &[], PEER), None);
        assert_eq!(applied("", &[b"", b" , "], PEER), None);
        assert_eq!(applied("truncate:0", THREE, PEER), None);
    }

    #[test]
    fn a_client_on_a_unix_socket_appends_nothing() {
        assert_eq!(applied("append", &[], None), None);
        assert_eq!(
            applied("append", &[b"1.1.1.1"], None).as_deref(),
            Some("1.1.1.1")
        );
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_listener_is_written_as_ipv4() {
        let mapped = Some("::ffff:10.0.0.9".parse().unwrap());
        assert_eq!(applied("append", &[], mapped).as_deref(), Some("10.0.0.9"));
    }

    #[test]
    fn wrong_members_are_named() {
        for rule in [
            "apend",
            "truncate",
            "truncate:",
            "truncate:x",
            "truncate:-1",
            "append,,",
        ] {
            let error = ForwardedRule::parse(rule).expect_err(rule).to_string();
            assert!(
                error.starts_with("expected a comma list"),
                "{rule:?}: {error}"
            );
        }
    }

    #[test]
    fn the_logical_peer_is_the_first_address_if_the_rule_believes_it() {
        let first = Some("1.1.1.1".parse().unwrap());
        let peer = |rule: &str, values| {
            ForwardedRule::parse(rule)
                .unwrap()
                .logical_peer(values, PEER)
        };
        assert_eq!(peer("", THREE), first);
        assert_eq!(peer("append", THREE), first);
        assert_eq!(peer("truncate:0,append", THREE), PEER);
        assert_eq!(peer("", &[b"unknown, 1.1.1.1"]), PEER);
        assert_eq!(peer("", &[]), PEER);
    }
}
