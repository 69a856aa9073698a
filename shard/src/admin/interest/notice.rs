//! What listeners are told about a channel.

use std::sync::Arc;

use crate::core::hub::Mode;

/// One thing to tell about one (mode, channel).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How the subscribers listen.
    pub mode: Mode,
    /// The channel.
    pub channel: Arc<str>,
    /// What is told.
    pub kind: NoticeKind,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// So many subscribers; 0 while the channel lingers.
    Subscribers(u32),
    /// Nobody is there any more.
    Gone,
}
