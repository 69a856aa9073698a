//! `http-check` and `http-modify`: what is asked and what the answer means (`grip-http.md` section
//! 17.2). The request itself is the caller's.

use super::Filter;
use super::error::FilterError;
use super::meta::Meta;

/// Bytes that an answer to `http-modify` may bring as new content.
pub(in crate::core) const ANSWER_LEN_MAX: usize = 100_000;

/// What an answer means for the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) enum Decision {
    /// It is not sent.
    Drop,
    /// It goes on with the content it has.
    Keep,
    /// It goes on with the answer's content.
    Replace,
}

/// Whom to ask: an absolute URL, or one relative to the session's current one. Names nobody when
/// empty: resolved, it would be the session's own URL.
///
/// # Errors
/// [`FilterError::MissingUrl`].
pub(in crate::core) fn url(meta: &Meta) -> Result<&str, FilterError> {
    meta.filled("url").ok_or(FilterError::MissingUrl)
}

/// Reads the answer to a filter's request. `action` is the value of the answer's `Action` field,
/// exact; `content` may be cut behind [`ANSWER_LEN_MAX`] and one more byte.
///
/// # Errors
/// Any other status code than 200 and 204, redirects included; content that is used and too long.
pub(in crate::core) fn judge_answer(
    filter: Filter,
    status: u16,
    action: Option<&[u8]>,
    content: &[u8],
) -> Result<Decision, FilterError> {
    if !matches!(status, 200 | 204) {
        return Err(FilterError::UnexpectedStatus { code: status });
    }
    // A check has no use for the content, whatever its length.
    let is_used = filter == Filter::HttpModify && status == 200;
    if is_used && content.len() > ANSWER_LEN_MAX {
        return Err(FilterError::AnswerTooLarge);
    }
    if action == Some(b"drop") {
        return Ok(Decision::Drop);
    }
    Ok(if is_used {
        Decision::Replace
    } else {
        Decision::Keep
    })
}

#[cfg(test)]
mod tests;
