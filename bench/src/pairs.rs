//! Loopback connections with both ends in this process.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use shard::io::sys;

use crate::error::BenchError;

/// Descriptors left for everything else.
const SPARE_FDS: u64 = 500;

/// One connection, no end of which blocks.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The end of the server under test.
    pub(crate) server: OwnedFd,
    /// The client's end.
    pub(crate) peer: TcpStream,
}

/// Connects up to `wanted` pairs, as many as the limit of open files allows.
///
/// # Errors
/// The kernel's.
pub(crate) fn connect(wanted: usize) -> Result<Vec<Pair>, BenchError> {
    let limit = sys::raise_open_files_limit()?;
    let allowed = usize::try_from(limit.saturating_sub(SPARE_FDS) / 2).unwrap_or(usize::MAX);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut pairs = Vec::new();
    for _ in 0..wanted.min(allowed) {
        let peer = TcpStream::connect(address)?;
        let (server, _) = listener.accept()?;
        for end in [&peer, &server] {
            end.set_nodelay(true)?;
            end.set_nonblocking(true)?;
        }
        // Thousands of ports would wait out their time otherwise.
        sys::reset_on_close(&peer)?;
        pairs.push(Pair {
            server: server.into(),
            peer,
        });
    }
    Ok(pairs)
}
