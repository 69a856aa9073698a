//! Liveness and readiness, as orchestrators ask for them.

/// What `/healthz` says for as long as the control thread answers at all.
pub const ALIVE: &str = "ok\n";

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Some shard does not serve yet.
    Starting,
    /// All shards serve.
    Serving,
    /// The process is about to end; new clients belong elsewhere.
    Draining,
}

impl Phase {
    /// The status code and the text of `/readyz`.
    #[must_use]
    pub const fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Starting => (503, "starting\n"),
            Self::Serving => (200, "ready\n"),
            Self::Draining => (503, "draining\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_serving_process_is_ready() {
        let codes =
            [Phase::Starting, Phase::Serving, Phase::Draining].map(|phase| phase.answer().0);
        assert_eq!(codes, [503, 200, 503]);
    }
}
