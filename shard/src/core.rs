//! What the shard decides. No IO, no clock of its own: the time is always an argument.

pub mod hub;
pub mod pages;
pub mod wheel;

/// Index of a connection's row in its shard.
pub type ConnKey = u32;
