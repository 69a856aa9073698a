//! The client side: herds of held streams, request loops, and control connections.

pub(crate) mod ask;
pub(crate) mod control;
pub(crate) mod herd;
mod orders;
pub(crate) mod requester;
mod stream;
mod worker;

#[cfg(test)]
mod tests;
