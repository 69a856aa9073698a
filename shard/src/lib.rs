//! One core's engine: the connections of a shard, what is held on them and who gets which item.
//!
//! Two halves. [`core`] decides: plain data and functions, fed with events and the time. [`io`]
//! does: sockets, rings, queues. `io` uses `core`; `core` never names `io`, a runtime, a socket
//! or a file.

// Only io/sys.rs, the one place that talks to the kernel without a safe wrapper, is excepted.
#![deny(unsafe_code)]

pub mod admin;
pub mod core;
pub mod counters;
pub mod io;
