//! Why the control server refuses a request: the exact texts (control.md section 2.6 of the
//! behaviour reference).

use proto::grip::PublishError;
use proto::http1::{BodyError, RequestError};

use super::answer::{Answer, Manner};

/// A publisher that was held back in vain is told to come again after this many seconds.
pub(crate) const RETRY_AFTER_S: u64 = 1;

/// Why a request is refused. The text is the answer's content without its newline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// The head breaks the rules.
    #[error("Failed to parse request header.")]
    BadHead,
    /// The head is over its limit.
    #[error("Request header too large.")]
    HeadTooLarge,
    /// A method that has content, without a length.
    #[error("Request requires Content-Length.")]
    LengthRequired,
    /// A length that is no number, or there twice.
    #[error("Bad Content-Length.")]
    BadLength,
    /// The content is over its limit, announced or grown.
    #[error("Request body too large.")]
    BodyTooLarge,
    /// Chunked content breaks the rules.
    #[error("Failed to parse request body.")]
    BadBody,
    /// No media type that we have would do.
    #[error("Not Acceptable. Supported formats are text/plain and application/json.")]
    NotAcceptable,
    /// An unknown path.
    #[error("Not Found")]
    NotFound,
    /// A known path with another method.
    #[error("Method not allowed: {method}.")]
    MethodNotAllowed {
        /// The method as sent.
        method: Box<str>,
        /// What the path allows.
        allow: &'static str,
    },
    /// The items are wrong; none was published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The shards did not take the items in time; none was published.
    #[error("The subscribers' side does not keep up. Try again later.")]
    Overloaded,
}

impl Refusal {
    /// The status code.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::BadHead
            | Self::HeadTooLarge
            | Self::BadLength
            | Self::BodyTooLarge
            | Self::BadBody
            | Self::Publish(_) => 400,
            Self::LengthRequired => 411,
            Self::NotAcceptable => 406,
            Self::NotFound => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::Overloaded => 503,
        }
    }

    /// Appends the answer as it goes over the wire.
    pub(crate) fn answer_into(&self, manner: Manner, out: &mut Vec<u8>) {
        let text = format!("{self}\n");
        let mut answer = Answer::text(self.status(), &text);
        match self {
            Self::MethodNotAllowed { allow, .. } => answer.allow = Some(allow),
            Self::Overloaded => answer.retry_after_s = Some(RETRY_AFTER_S),
            _ => {}
        }
        answer.write(manner, out);
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::HeadTooLarge { .. } => Self::HeadTooLarge,
            RequestError::InvalidContentLength => Self::BadLength,
            // The peer sees no more than that; which rule it was is in the log.
            _ => Self::BadHead,
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(_: BodyError) -> Self {
        Self::BadBody
    }
}
