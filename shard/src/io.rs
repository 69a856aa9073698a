//! What the shard does: queues between threads, sockets, rings. Nothing here decides policy.

pub mod bus;
