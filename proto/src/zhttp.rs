//! Packets between Pushpin-compatible programs over ZeroMQ.

pub mod tnetstring;
