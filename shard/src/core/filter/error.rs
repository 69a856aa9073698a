//! Why a filter could not decide.

use super::ask::ANSWER_LEN_MAX;

/// A message filter failed: the item is not sent and does not count as handled. With `debug` on
/// the session's route the session ends with this text behind `filter error: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(in crate::core) enum FilterError {
    /// The subscription of a `build-id` filter lacks the template of the id.
    #[error("no sub meta 'id_format'")]
    NoIdFormat,
    /// The template of the id cannot be filled.
    #[error("failed to render ID: {0}")]
    RenderId(TemplateError),
    /// `id_encoding` is something else than `hex`.
    #[error("unsupported encoding: {0}")]
    UnsupportedEncoding(Box<str>),
    /// `%I` without argument in the body of an instruct, where there are no positions.
    #[error("No ID specified and no default ID in context")]
    NoId,
    /// The content is not a template that can be filled.
    #[error("{0}")]
    Template(TemplateError),
    /// The subscription does not name whom to ask.
    #[error("missing url value")]
    MissingUrl,
    /// The subscription's `url` cannot be resolved.
    #[error("invalid url value")]
    InvalidUrl,
    /// The answer is neither 200 nor 204.
    #[error("unexpected network request status: code={code}")]
    UnexpectedStatus {
        /// The answer's status code.
        code: u16,
    },
    /// The answer's content is over the limit.
    #[error("network response exceeded {ANSWER_LEN_MAX} bytes")]
    AnswerTooLarge,
    /// There was no answer.
    #[error("network request failed: {0}")]
    Request(RequestFailure),
}

/// Why a filter's request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(in crate::core) enum RequestFailure {
    /// Nobody listens.
    #[error("connection refused")]
    ConnectionRefused,
    /// The connection did not come about in time.
    #[error("connection timed out")]
    ConnectionTimedOut,
    /// The connection ended before the answer.
    #[error("disconnected")]
    Disconnected,
    /// The answer did not come in time.
    #[error("request timed out")]
    RequestTimedOut,
    /// Anything else.
    #[error("general error")]
    General,
}

/// Why a template cannot be filled. The texts are ours: the reference names none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(in crate::core) enum TemplateError {
    /// The template ends within a directive.
    #[error("unfinished directive")]
    Unfinished,
    /// A letter (or another byte) that means nothing here.
    #[error("unknown directive '{}'", .letter.escape_ascii())]
    UnknownDirective {
        /// The byte in the place of the letter.
        letter: u8,
    },
    /// A directive that needs a name stands without one.
    #[error("directive without a name")]
    NoName,
    /// There is no variable, or no position, of that name.
    #[error("no value for '{name}'")]
    UnknownName {
        /// The name, cut when it is very long.
        name: Box<str>,
    },
    /// The result would be too long.
    #[error("result is more than {max} bytes longer than the template")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
}
