//! What can go wrong in a load test, apart from what it counts: lost and doubled messages.

use std::io;
use std::path::PathBuf;

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LoadError {
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Nobody listens.
    #[error("cannot connect to {target}: {source}")]
    Connect {
        /// Where.
        target: std::net::SocketAddrV4,
        /// The system's answer.
        source: io::Error,
    },
    /// The program to start is not there.
    #[error(
        "{} does not exist; build it with `cargo build --release`, or name it with --bin",
        path.display()
    )]
    NoBinary {
        /// Where it was expected.
        path: PathBuf,
    },
    /// A process that we started ended or did not answer in time.
    #[error("{name} {problem}{output}")]
    Child {
        /// Which process.
        name: String,
        /// What it did.
        problem: &'static str,
        /// The end of what it wrote, on lines of its own, or empty.
        output: String,
    },
    /// Something took longer than its limit.
    #[error("{what} took longer than {limit_s} s")]
    TooSlow {
        /// What was being waited for.
        what: &'static str,
        /// The limit, in seconds.
        limit_s: u64,
    },
    /// The peer answered something unexpected.
    #[error("{what}: {answer}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// What came back.
        answer: String,
    },
    /// The open-files limit is too small for the run.
    #[error(
        "the open-files limit is {limit}, the run needs {needed} in one table: raise it with \
         `ulimit -n`, or share the streams among more executors with --cores or --per-core"
    )]
    FilesLimit {
        /// The limit in force.
        limit: u64,
        /// Descriptors needed in one table.
        needed: u64,
    },
    /// A thread of ours ended early.
    #[error("a client thread ended early; this is a defect of the load generator")]
    ThreadGone,
}

impl LoadError {
    /// Puts a description in front of an I/O error.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The same for the errors of system-call wrappers.
    pub(crate) fn sys(what: &'static str) -> impl FnOnce(nix::Error) -> Self {
        move |errno| Self::Io {
            what,
            source: errno.into(),
        }
    }
}
