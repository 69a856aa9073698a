//! What the shard does: queues between threads, sockets, rings. Nothing here decides policy.

pub mod bus;
pub mod clock;
pub mod park;
pub mod readiness;
pub mod sys;
