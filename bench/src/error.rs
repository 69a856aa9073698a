//! What can end a run.

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BenchError {
    /// The command line.
    #[error("{0}; try --help")]
    Arguments(#[from] lexopt::Error),
    /// No benchmark's name begins with what was asked for.
    #[error("no benchmark of that name; --list shows them")]
    NoSuchName,
    /// Sockets, files, rings.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The code under test did something else than what was to be measured.
    #[error("not what was to be measured: {0}")]
    Unexpected(&'static str),
    /// Another thread did not do its part in time.
    #[error("gave up waiting: {0}")]
    TimedOut(&'static str),
    /// The instruction counter.
    #[error("cannot count instructions: {0}")]
    Counter(String),
}

impl From<rustix::io::Errno> for BenchError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno.into())
    }
}
