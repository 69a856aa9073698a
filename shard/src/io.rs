//! What the shard does: queues between threads, sockets, rings. Nothing here decides policy.

pub mod broadcast;
pub mod bus;
pub mod clock;
pub mod conn_check;
pub mod control;
pub mod engine;
mod lookup;
pub mod park;
pub mod preflight;
pub mod readiness;
pub mod reports;
pub mod resolve;
pub mod routes_watch;
pub mod socket;
pub mod sys;
pub mod tls;
mod wake;
pub mod zeromq;
