//! Cuts a line of the routes into sections, values and options.

/// Why a line is wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {}
