//! Publish yardstick: one thread, one epoll set, a map from channel to socket.
//!
//! `GET /stream?channel=X` joins the map; `POST /publish` is parsed with the standard JSON parser,
//! its items are sent to their channels' sockets, and the answer is 200. Nothing else.

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};

use memchr::memmem;
use nix::sys::epoll::EpollFlags;
use serde_json::Value;

use super::{STREAM_HEAD, send_all};
use crate::child;
use crate::error::LoadError;
use crate::net::{self, Readiness};

/// A publish request with its head must fit, in bytes.
const REQUEST_LEN_MAX: usize = 4 * 1024 * 1024;

const LISTENER_KEY: usize = usize::MAX;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nPublished\n";

struct Server {
    conns: Vec<Option<(TcpStream, Vec<u8>)>>,
    channels: HashMap<String, usize>,
    chunk: Vec<u8>,
}

/// Serves until the parent ends; a hidden subcommand. Streams and publishes share one port.
///
/// # Errors
/// [`LoadError::Io`] when the kernel refuses something.
pub(crate) fn run(port: u16) -> Result<(), LoadError> {
    let listener = net::listen_on(port)?;
    child::announce(&[net::port_of(&listener)?])?;
    serve(&listener)
}

/// Serves on a listener until the process ends.
///
/// # Errors
/// [`LoadError::Io`] when the kernel refuses something.
pub(crate) fn serve(listener: &TcpListener) -> Result<(), LoadError> {
    let mut readiness = Readiness::new()?;
    readiness.add(listener, EpollFlags::EPOLLIN, LISTENER_KEY)?;
    let mut server = Server {
        conns: Vec::new(),
        channels: HashMap::new(),
        chunk: Vec::new(),
    };
    let (mut ready, mut buf) = (Vec::new(), vec![0; 65_536]);
    loop {
        readiness.wait(60_000, &mut ready)?;
        for &(_, key) in &ready {
            if key != LISTENER_KEY {
                server.serve(key, &mut buf);
                continue;
            }
            while let Ok((socket, _)) = listener.accept() {
                socket
                    .set_nonblocking(true)
                    .map_err(LoadError::io("accepting"))?;
                readiness.add(&socket, EpollFlags::EPOLLIN, server.conns.len())?;
                server.conns.push(Some((socket, Vec::new())));
            }
        }
    }
}

impl Server {
    fn serve(&mut self, key: usize, buf: &mut [u8]) {
        let Some(place) = self.conns.get_mut(key) else {
            return;
        };
        let Some((mut socket, mut input)) = place.take() else {
            return;
        };
        let alive = match socket.read(buf) {
            Ok(0) => false,
            Ok(len) => {
                input.extend_from_slice(buf.get(..len).unwrap_or_default());
                input.len() <= REQUEST_LEN_MAX && self.requests(key, &socket, &mut input)
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        if alive && let Some(place) = self.conns.get_mut(key) {
            *place = Some((socket, input));
        }
    }

    /// Answers the complete requests of `input`; false when the connection is of no use.
    fn requests(&mut self, key: usize, socket: &TcpStream, input: &mut Vec<u8>) -> bool {
        while let Some(end) = memmem::find(input, b"\r\n\r\n") {
            let head = input.get(..end).unwrap_or_default();
            let body_len = content_length(head);
            let Some(body) = input.get(end + 4..end + 4 + body_len) else {
                return true;
            };
            if let Some(channel) = channel_of(head) {
                self.channels.insert(channel, key);
                if send_all(socket, STREAM_HEAD).is_err() {
                    return false;
                }
            } else {
                let sent = publish(body, &self.channels, &self.conns, &mut self.chunk);
                if sent.is_none() || send_all(socket, ANSWER).is_err() {
                    return false;
                }
            }
            input.drain(..end + 4 + body_len);
        }
        true
    }
}

/// Sends the items of a body; `None` when it is no publish body.
fn publish(
    body: &[u8],
    channels: &HashMap<String, usize>,
    conns: &[Option<(TcpStream, Vec<u8>)>],
    chunk: &mut Vec<u8>,
) -> Option<()> {
    let body: Value = serde_json::from_slice(body).ok()?;
    for item in body.get("items")?.as_array()? {
        let content = item
            .get("formats")?
            .get("http-stream")?
            .get("content")?
            .as_str()?;
        let key = channels.get(item.get("channel")?.as_str()?);
        if let Some(Some((socket, _))) = key.and_then(|&key| conns.get(key)) {
            chunk.clear();
            crate::publish::chunk(chunk, content.as_bytes());
            // A client that left gets nothing; its own event removes it.
            let _ = send_all(socket, chunk);
        }
    }
    Some(())
}

fn channel_of(head: &[u8]) -> Option<String> {
    let rest = head.strip_prefix(b"GET /stream?channel=")?;
    let name = rest.split(|&byte| byte == b' ').next()?;
    String::from_utf8(name.to_vec()).ok()
}

fn content_length(head: &[u8]) -> usize {
    let value = memmem::find(head, b"Content-Length: ").and_then(|at| head.get(at + 16..));
    let digits = value.and_then(|value| value.split(|&byte| byte == b'\r').next());
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_read_from_the_path() {
        assert_eq!(
            channel_of(b"GET /stream?channel=c1 HTTP/1.1\r\n").as_deref(),
            Some("c1")
        );
        assert_eq!(channel_of(b"POST /publish HTTP/1.1\r\n"), None);
    }

    #[test]
    fn the_content_length_is_found_or_zero() {
        assert_eq!(
            content_length(b"POST / HTTP/1.1\r\nContent-Length: 123\r\nA: b"),
            123
        );
        assert_eq!(content_length(b"GET / HTTP/1.1"), 0);
    }
}
