//! What can be wrong with the members of a JSON instruct or of a publish item.

use std::borrow::Cow;

/// A member that is missing or has the wrong type or value. The texts are Pushpin's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Something else than an object.
    #[error("{object} is not an object")]
    NotObject {
        /// What should have been an object, with the quotes it needs.
        object: &'static str,
    },
    /// A member of the wrong type; `null` always is one.
    #[error("{object} contains '{member}' with wrong type")]
    WrongType {
        /// The object, with the quotes it needs.
        object: &'static str,
        /// The member's name.
        member: Cow<'static, str>,
    },
    /// A member of the right type whose value is out of range.
    #[error("{object} contains '{member}' with invalid value")]
    InvalidValue {
        /// The object, with the quotes it needs.
        object: &'static str,
        /// The member's name.
        member: &'static str,
    },
    /// A member that must be one of a few words.
    #[error("{object} contains '{member}' with unknown value")]
    UnknownValue {
        /// The object, with the quotes it needs.
        object: &'static str,
        /// The member's name.
        member: &'static str,
    },
    /// None of the members that are needed.
    #[error("{object} does not contain {members}")]
    Missing {
        /// The object, with the quotes it needs.
        object: &'static str,
        /// The members' names, quoted and joined.
        members: &'static str,
    },
    /// An element of the wrong type.
    #[error("{list} contains {element} with wrong type")]
    Element {
        /// The list.
        list: &'static str,
        /// What the element is called there.
        element: &'static str,
    },
    /// A header that is a list of another length than two.
    #[error("headers contains list with wrong number of elements")]
    HeaderLen,
    /// A header name that is no token: it would break the response apart.
    #[error("headers contains invalid name")]
    HeaderName,
    /// A header value with CR, LF or NUL: it would split the response.
    #[error("headers contains invalid value")]
    HeaderValue,
    /// An item without any format.
    #[error("no formats specified")]
    NoFormats,
}
