//! The proxy from end to end: the real binary between a raw client and a scripted backend.
//!
//! Every defect of HTTP handling that the behaviour reference lists is done right here, each with
//! a test of its own; beside them limits, time limits, pools and flow control.

#![expect(
    clippy::disallowed_methods,
    reason = "deadlines for programs that run in real time need the real clock"
)]
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and ends"
)]

mod connections;
mod cors;
mod expectations;
mod failover;
mod flow;
mod grip;
#[path = "../support/kit.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "each test target uses its own part"
)]
mod kit;
mod limits;
mod pools;
mod requests;
mod responses;
mod rewriting;
mod routing;
mod smuggling;

use kit::{Backend, Server, Settings};

/// A 200 with two bytes of content.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Pincushion with one shard before `backend`.
fn before(backend: &Backend) -> Server {
    settings(backend).start()
}

/// Settings of one shard before `backend`.
fn settings(backend: &Backend) -> Settings {
    Settings::one_shard().route(format!("* {}", backend.target()))
}
