//! Yardsticks: servers that do the least a server can do for the same deliveries.
//!
//! What a real server costs more than these is its own overhead; the rest is the kernel's.

pub(crate) mod fanout;
pub(crate) mod publish;

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};

/// The head of every stream; what follows are chunks.
const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A full socket gets this long to drain before its client counts as gone, in milliseconds.
const DRAIN_MS: u16 = 1_000;

/// Sends all bytes with plain non-blocking sends; waits only when the socket is full.
///
/// # Errors
/// The kind of failure; the connection is then of no use.
fn send_all(socket: &TcpStream, mut bytes: &[u8]) -> Result<(), ErrorKind> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    while !bytes.is_empty() {
        match send(socket.as_raw_fd(), bytes, flags) {
            Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
            Err(Errno::EAGAIN) => {
                let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
                match poll(&mut watched, PollTimeout::from(DRAIN_MS)) {
                    Ok(0) => return Err(ErrorKind::TimedOut),
                    Ok(_) => {}
                    Err(errno) => return Err(std::io::Error::from(errno).kind()),
                }
            }
            Err(errno) => return Err(std::io::Error::from(errno).kind()),
        }
    }
    Ok(())
}
