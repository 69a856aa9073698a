//! Message filters: which items a subscription gets, and how it gets them (GRIP; `grip-http.md`
//! section 17).
//!
//! Values in, verdicts out: no IO and no state. A filter that has to ask the backend ends the run
//! with [`Verdict::Ask`]; the caller asks, reads the answer with [`judge_answer`] and runs the
//! filters behind it. A fan-out runs this once per subscriber, so that filters which only keep or
//! drop allocate nothing and templates are filled into the caller's buffer in one pass.
//!
//! - `delivery`: filters that keep or drop; `template`: `var-subst`; `id`: `build-id`
//! - `ask`: `http-check` and `http-modify`; `response`: `build-id` on bodies of instructs
//! - `mismatch`: the content filters that an item counts on

mod ask;
mod delivery;
mod error;
mod id;
mod meta;
mod mismatch;
mod response;
mod template;

use memchr::memchr;
use proto::grip::FILTERS_MAX;

pub(super) use ask::{ANSWER_LEN_MAX, Decision, judge_answer, url};
pub(super) use error::{FilterError, RequestFailure};
pub(super) use meta::{Meta, item_meta_json};
pub(super) use mismatch::content_mismatch;
pub(super) use response::{ResponseFilter, ResponseFilterError};

/// Bytes that one content filter may add to the content it is given. A short template can name a
/// long variable very often; Pushpin has no such limit. Beyond it the filter fails.
const GROWTH_LEN_MAX: usize = 1_000_000;

/// A filter that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// Drops what the subscriber sent.
    SkipSelf,
    /// Drops what is not meant for the subscriber's user.
    SkipUsers,
    /// Drops what is only for subscribers of another channel too.
    RequireSub,
    /// Puts the subscriber's position into the content; also filters bodies of instructs.
    BuildId,
    /// Puts variables of the subscription into the content.
    VarSubst,
    /// Asks the backend whether to drop.
    HttpCheck,
    /// Asks the backend whether to drop, and for other content.
    HttpModify,
}

impl Filter {
    /// All of them, in the order of `Grip-Feature`.
    const ALL: [Self; 7] = [
        Self::SkipSelf,
        Self::SkipUsers,
        Self::RequireSub,
        Self::BuildId,
        Self::VarSubst,
        Self::HttpCheck,
        Self::HttpModify,
    ];

    /// The name, exactly as instructs and items write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SkipSelf => "skip-self",
            Self::SkipUsers => "skip-users",
            Self::RequireSub => "require-sub",
            Self::BuildId => "build-id",
            Self::VarSubst => "var-subst",
            Self::HttpCheck => "http-check",
            Self::HttpModify => "http-modify",
        }
    }

    /// The filter of that name; upper and lower case differ.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == name)
    }

    /// Whether it may change the content of items.
    const fn is_content(self) -> bool {
        match self {
            Self::BuildId | Self::VarSubst | Self::HttpModify => true,
            Self::SkipSelf | Self::SkipUsers | Self::RequireSub | Self::HttpCheck => false,
        }
    }
}

/// The filters of one subscription in the order they run; none by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Filters {
    /// The known ones first, repeats kept, then nothing.
    list: [Option<Filter>; FILTERS_MAX],
}

const _: () = assert!(
    size_of::<Filters>() <= 8,
    "every subscription carries its filters"
);

impl Filters {
    /// From the names of an instruct. Unknown names are skipped. More than [`FILTERS_MAX`] names
    /// are refused where instructs are decoded; should there be more, those behind are skipped.
    pub(super) fn parse(names: &[String]) -> Self {
        let mut filters = Self::default();
        let known = names.iter().filter_map(|name| Filter::from_name(name));
        for (slot, filter) in filters.list.iter_mut().zip(known) {
            *slot = Some(filter);
        }
        filters
    }

    /// Whether everything passes unchanged.
    pub(super) const fn is_empty(self) -> bool {
        matches!(self.list, [None, ..])
    }

    /// All of them in the order they run.
    pub(super) fn iter(self) -> impl Iterator<Item = Filter> {
        self.list.into_iter().flatten()
    }

    /// Whether any works on the bodies of instructs; then those go through a [`ResponseFilter`].
    pub(super) fn has_response_filter(self) -> bool {
        self.iter().any(|filter| filter == Filter::BuildId)
    }

    /// The names of those that may change the content, in order, repeats kept.
    pub(super) fn content_names(self) -> impl Iterator<Item = &'static str> {
        self.iter()
            .filter(|filter| filter.is_content())
            .map(Filter::name)
    }
}

/// What a filter may look at.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The variables of the subscription.
    pub(super) meta: &'a Meta,
    /// The variables of the item, names unique and sorted.
    pub(super) item_meta: &'a [(Box<str>, Box<str>)],
    /// Whether the session is subscribed to a channel, named without route prefix.
    pub(super) is_subscribed: &'a dyn Fn(&str) -> bool,
    /// The session's position on a channel, named without route prefix. With this item already
    /// counted: a client that resumes from the rendered id must not get the item again. Pushpin
    /// gives the position before the item since 1.41.0, up to 1.40.1 it did as we do.
    pub(super) position: &'a dyn Fn(&str) -> Option<&'a str>,
}

/// How a run of filters ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(super) enum Verdict {
    /// The item is sent with the content given.
    Pass,
    /// The item is sent with the content that was appended to the buffer.
    Changed,
    /// The item is not sent; it counts as handled.
    Drop,
    /// The backend has to be asked at the subscription's [`url`], which is not missing.
    Ask {
        /// Number of the filter that asks; the run goes on at the next one.
        at: usize,
        /// The content so far is in the buffer, rather than the one given.
        is_changed: bool,
    },
    /// The item is not sent and does not count as handled.
    Failed(FilterError),
}

/// Runs the filters from number `from` on. They run on all actions of items; what has no content
/// has an empty one.
///
/// New content is appended to `out`, and only the final one: with any other verdict than
/// [`Verdict::Changed`], and [`Verdict::Ask`] with changed content, `out` is as it was.
pub(super) fn run(
    filters: Filters,
    from: usize,
    context: &Context<'_>,
    content: &[u8],
    out: &mut Vec<u8>,
) -> Verdict {
    let mut work = Work {
        content,
        start: out.len(),
        is_changed: false,
        out,
    };
    for (at, filter) in filters.iter().enumerate().skip(from) {
        let verdict = work.step(filter, context);
        if let Some(Step::Ask) = verdict {
            let is_changed = work.is_changed;
            return Verdict::Ask { at, is_changed };
        }
        if let Some(Step::End(verdict)) = verdict {
            work.out.truncate(work.start);
            return verdict;
        }
    }
    if work.is_changed {
        Verdict::Changed
    } else {
        Verdict::Pass
    }
}

/// What ends a run early.
enum Step {
    /// The content so far is asked about.
    Ask,
    /// The item is not sent.
    End(Verdict),
}

/// A run under way.
struct Work<'w> {
    /// As given.
    content: &'w [u8],
    /// New content, behind `start`, once `is_changed`.
    out: &'w mut Vec<u8>,
    start: usize,
    is_changed: bool,
}

impl Work<'_> {
    /// Runs one filter; `None` when the item is still to be sent.
    fn step(&mut self, filter: Filter, context: &Context<'_>) -> Option<Step> {
        let is_dropped = match filter {
            Filter::SkipSelf => delivery::is_from_self(context),
            Filter::SkipUsers => delivery::skips_user(context),
            Filter::RequireSub => delivery::lacks_subscription(context),
            Filter::BuildId | Filter::VarSubst => {
                let changed = self.rewrite(filter, context);
                return changed.err().map(|e| Step::End(Verdict::Failed(e)));
            }
            Filter::HttpCheck | Filter::HttpModify => {
                return Some(match url(context.meta) {
                    Ok(_) => Step::Ask,
                    Err(e) => Step::End(Verdict::Failed(e)),
                });
            }
        };
        is_dropped.then_some(Step::End(Verdict::Drop))
    }

    /// Runs one content filter on the content so far.
    fn rewrite(&mut self, filter: Filter, context: &Context<'_>) -> Result<(), FilterError> {
        if !self.is_changed {
            self.is_changed = fill(filter, context, self.content, self.out)?;
            return Ok(());
        }
        // The one place that allocates: a second content filter reads what the first one wrote.
        let before = self.out.split_off(self.start);
        if !fill(filter, context, &before, self.out)? {
            self.out.extend_from_slice(&before);
        }
        Ok(())
    }
}

/// Fills the template `content` into `out`; `false` when it is to stay as it is.
fn fill(
    filter: Filter,
    context: &Context<'_>,
    content: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, FilterError> {
    let id = match filter {
        Filter::BuildId => Some(id::IdSource::new(context.meta)?),
        _ => None,
    };
    // Without a directive there is nothing to copy.
    if memchr(b'%', content).is_none() {
        return Ok(false);
    }
    match id {
        Some(source) => id::fill(&source, context.position, content, out)?,
        None => {
            let value = |name: &str| context.meta.get(name);
            template::fill(content, id::Encoding::Raw, &value, out)
                .map_err(FilterError::Template)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
