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
