//! What operators and their programs get to see: plain data in, texts and packets out.
//!
//! No socket, no clock: the control thread ([`crate::io::control`]) feeds these and sends what
//! they make.

pub mod health;
pub mod interest;
pub mod metrics;
pub mod packets;
pub mod totals;
