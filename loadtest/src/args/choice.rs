//! Options that are words: switches, and choices out of a few.

use super::{ArgError, Scenario};

/// An option without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Switch {
    /// Every client sends a cookie of its own.
    Distinct,
    /// The backend answers the polls that come again, instead of holding them.
    Answer,
    /// Polls and messages carry ids.
    PrevId,
}

impl Switch {
    /// Its name without the dashes, and what it means.
    pub(crate) fn spec(self) -> (&'static str, &'static str) {
        match self {
            Self::Distinct => (
                "distinct",
                "a cookie of its own for each client, so that no answer may be shared",
            ),
            Self::Answer => (
                "answer",
                "after the update the backend answers instead of holding again",
            ),
            Self::PrevId => (
                "prev-id",
                "polls and messages carry ids: every client gets every message once",
            ),
        }
    }
}

/// The filter on the channel of a fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// None.
    None,
    /// A client does not get what it sent itself.
    SkipSelf,
    /// Each client gets the message with its own name in it.
    VarSubst,
}

impl Filter {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::SkipSelf, Self::VarSubst, Self::None];

    /// Its name, as GRIP has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SkipSelf => "skip-self",
            Self::VarSubst => "var-subst",
        }
    }
}

/// What makes the server ask the backend again for every held poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    /// A published hint.
    Hint,
    /// The control port's `/recover`.
    Recover,
}

impl Update {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Hint, Self::Recover];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Recover => "recover",
        }
    }
}

impl Scenario {
    /// Its switches.
    pub(crate) fn switches(self) -> &'static [Switch] {
        match self {
            Self::Stampede => &[Switch::Distinct, Switch::Answer],
            Self::Longpoll => &[Switch::PrevId],
            Self::Idle
            | Self::Fanout
            | Self::Channels
            | Self::Proxy
            | Self::Churn
            | Self::Latency
            | Self::Hold => &[],
        }
    }

    /// Whether `--filter` applies.
    pub(crate) fn has_filter(self) -> bool {
        self == Self::Fanout
    }

    /// Whether `--update` applies.
    pub(crate) fn has_update(self) -> bool {
        self == Self::Stampede
    }
}

/// Reads the name of a filter.
pub(super) fn filter(value: &str) -> Result<Filter, ArgError> {
    one_of("--filter", value, &Filter::ALL, Filter::name)
}

/// Reads the name of an update.
pub(super) fn update(value: &str) -> Result<Update, ArgError> {
    one_of("--update", value, &Update::ALL, Update::name)
}

fn one_of<T: Copy>(
    option: &str,
    value: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, ArgError> {
    let found = all.iter().copied().find(|&one| name(one) == value);
    found.ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|&one| format!("`{}`", name(one))).collect();
        ArgError::BadValue {
            option: option.to_owned(),
            expected: names.join(" or "),
            value: value.to_owned(),
        }
    })
}
