//! The engine from end to end: crowds, shortages, slow clients, the end of the process.
//!
//! The real binary, with settings that make a limit near or a race likely. Figures are bounds that
//! hold on a busy machine with two cores, not measurements.

#![expect(
    clippy::disallowed_methods,
    reason = "deadlines for programs that run in real time need the real clock"
)]
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and ends"
)]

mod crowd;
mod drain;
#[path = "../support/kit.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "each test target uses its own part"
)]
mod kit;
mod publishing;
mod rate;
mod shortage;
mod stall;
mod start;

use kit::{Server, Wire};

/// A client that holds the built-in stream of this channel, opened.
fn stream(server: &Server, channel: &str) -> Wire {
    let mut client = server.client();
    open_stream(&mut client, channel);
    client
}

/// Opens the built-in stream of this channel.
fn open_stream(client: &mut Wire, channel: &str) {
    client.send(format!(
        "GET /stream?channel={channel} HTTP/1.1\r\nHost: a\r\n\r\n"
    ));
    assert_eq!(client.head().status(), 200);
    client.chunks_until("[stream opened]\n");
}
