//! The fake backend: answers by path, as cheaply as can be, in a process of its own.
//!
//! - `/stream?channel=X`: holds a stream on channel X, after a line `open`;
//! - `/poll?channel=X`: holds a long-poll on X for at most 55 s;
//! - `/plain/N`: N bytes, no hold;
//! - `/stats`: how many of each were answered, as JSON.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::net::TcpStream;

use memchr::memmem;
use nix::sys::epoll::EpollFlags;

use crate::child;
use crate::error::LoadError;
use crate::net::{self, Readiness};

/// The largest plain body, in bytes.
pub(crate) const PLAIN_LEN_MAX: usize = 64 * 1024 * 1024;

/// A request head must fit, in bytes.
const HEAD_LEN_MAX: usize = 65_536;

const LISTENER_KEY: usize = usize::MAX;
const BUF_LEN: usize = 65_536;

/// Filling for plain bodies, written piece by piece.
static FILLING: [u8; BUF_LEN] = [b'x'; BUF_LEN];

/// Requests answered, by kind.
#[derive(Debug, Default)]
struct Stats {
    streams: u64,
    polls: u64,
    plain: u64,
}

/// A connection from the server.
struct Conn {
    socket: TcpStream,
    input: Vec<u8>,
    out: Vec<u8>,
    filling_left: usize,
    close: bool,
}

/// Serves until the parent ends; a hidden subcommand.
///
/// # Errors
/// [`LoadError::Io`] when the port is taken or the kernel refuses something.
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
    let mut conns: Vec<Option<Conn>> = Vec::new();
    let (mut free, mut ready) = (Vec::new(), Vec::new());
    let (mut stats, mut buf) = (Stats::default(), vec![0; BUF_LEN]);
    loop {
        readiness.wait(60_000, &mut ready)?;
        for &(_, key) in &ready {
            if key == LISTENER_KEY {
                accept(listener, &readiness, &mut conns, &mut free)?;
            } else if let Some(place) = conns.get_mut(key)
                && let Some(conn) = place
                && !conn.serve(&mut buf, &mut stats)
            {
                *place = None;
                free.push(key);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    readiness: &Readiness,
    conns: &mut Vec<Option<Conn>>,
    free: &mut Vec<usize>,
) -> Result<(), LoadError> {
    // Any failure, out of descriptors included: the listener stays readable and is tried again.
    while let Ok((socket, _)) = listener.accept() {
        socket
            .set_nonblocking(true)
            .map_err(LoadError::io("accepting"))?;
        let key = free.pop().unwrap_or(conns.len());
        readiness.add(&socket, net::all_events(), key)?;
        let conn = Conn {
            socket,
            input: Vec::new(),
            out: Vec::new(),
            filling_left: 0,
            close: false,
        };
        match conns.get_mut(key) {
            Some(place) => *place = Some(conn),
            None => conns.push(Some(conn)),
        }
    }
    Ok(())
}

impl Conn {
    /// Does what can be done now; false when the connection is over.
    fn serve(&mut self, buf: &mut [u8], stats: &mut Stats) -> bool {
        loop {
            if !self.write() {
                return false;
            }
            if !self.out.is_empty() || self.filling_left > 0 {
                return true;
            }
            if self.close {
                return false;
            }
            if self.answer(stats) {
                continue;
            }
            match self.socket.read(buf) {
                Ok(0) => return false,
                Ok(len) => self
                    .input
                    .extend_from_slice(buf.get(..len).unwrap_or_default()),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            if self.input.len() > HEAD_LEN_MAX {
                return false;
            }
        }
    }

    /// Writes what is due; false when the connection is broken.
    fn write(&mut self) -> bool {
        while !self.out.is_empty() || self.filling_left > 0 {
            let (piece, filling) = if self.out.is_empty() {
                (
                    FILLING
                        .get(..self.filling_left.min(BUF_LEN))
                        .unwrap_or(&FILLING),
                    true,
                )
            } else {
                (self.out.as_slice(), false)
            };
            match self.socket.write(piece) {
                Ok(len) if filling => self.filling_left -= len,
                Ok(len) if len == self.out.len() => self.out.clear(),
                Ok(len) => drop(self.out.drain(..len)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Answers the next request of the input; false when none is complete.
    fn answer(&mut self, stats: &mut Stats) -> bool {
        let Some(end) = memmem::find(&self.input, b"\r\n\r\n") else {
            return false;
        };
        let head = self.input.get(..end).unwrap_or_default();
        self.close = memmem::find(head, b"onnection: close").is_some();
        let mut words = head.split(|&byte| byte == b' ');
        let target = words.nth(1).and_then(|word| std::str::from_utf8(word).ok());
        self.filling_left = respond(target.unwrap_or_default(), &mut self.out, stats);
        self.input.drain(..end + 4);
        true
    }
}

/// Writes the response to `target` to `out`; returns how many filling bytes must follow.
fn respond(target: &str, out: &mut Vec<u8>, stats: &mut Stats) -> usize {
    if let Some(channel) = target.strip_prefix("/stream?channel=") {
        stats.streams += 1;
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nGrip-Hold: stream\r\n\
             Grip-Channel: {channel}\r\nContent-Length: 5\r\n\r\nopen\n"
        );
        out.extend_from_slice(text.as_bytes());
        return 0;
    }
    if let Some(channel) = target.strip_prefix("/poll?channel=") {
        stats.polls += 1;
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nGrip-Hold: response\r\n\
             Grip-Channel: {channel}\r\nGrip-Timeout: 55\r\nContent-Length: 8\r\n\r\ntimeout\n"
        );
        out.extend_from_slice(text.as_bytes());
        return 0;
    }
    let len = target
        .strip_prefix("/plain/")
        .and_then(|len| len.parse().ok());
    if let Some(len) = len.filter(|&len| len <= PLAIN_LEN_MAX) {
        stats.plain += 1;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {len}\r\n\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        return small(len, out);
    }
    let (status, body) = match target {
        "/stats" => ("200 OK", stats_json(stats)),
        _ => ("404 Not Found", "no such path\n".to_owned()),
    };
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    out.extend_from_slice(text.as_bytes());
    0
}

/// Puts a small body behind its head, so that both leave in one packet; the rest is filling.
fn small(len: usize, out: &mut Vec<u8>) -> usize {
    let joined = len.min(4096);
    out.extend_from_slice(FILLING.get(..joined).unwrap_or_default());
    len - joined
}

fn stats_json(stats: &Stats) -> String {
    let Stats {
        streams,
        polls,
        plain,
    } = stats;
    format!("{{\"streams\":{streams},\"polls\":{polls},\"plain\":{plain}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response_to(target: &str) -> (String, usize) {
        let mut out = Vec::new();
        let filling = respond(target, &mut out, &mut Stats::default());
        (String::from_utf8(out).unwrap(), filling)
    }

    #[test]
    fn a_stream_is_held_on_the_channel_of_its_path() {
        let (text, filling) = response_to("/stream?channel=abc");
        assert!(
            text.contains("\r\nGrip-Hold: stream\r\nGrip-Channel: abc\r\n"),
            "{text}"
        );
        assert!(text.ends_with("Content-Length: 5\r\n\r\nopen\n"), "{text}");
        assert_eq!(filling, 0);
    }

    #[test]
    fn a_poll_is_held_with_a_timeout() {
        let (text, _) = response_to("/poll?channel=abc");
        assert!(
            text.contains("\r\nGrip-Hold: response\r\nGrip-Channel: abc\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nGrip-Timeout: 55\r\n"), "{text}");
    }

    #[test]
    fn a_plain_body_has_the_length_asked_for() {
        for len in [0, 1, 100, 4096, 4097, PLAIN_LEN_MAX] {
            let (text, filling) = response_to(&format!("/plain/{len}"));
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {len}")), "{head}");
            assert_eq!(body.len() + filling, len);
        }
    }

    #[test]
    fn unknown_paths_and_huge_bodies_are_not_found() {
        for target in [
            "/",
            "",
            "/plain/x",
            &format!("/plain/{}", PLAIN_LEN_MAX + 1),
        ] {
            assert!(
                response_to(target).0.starts_with("HTTP/1.1 404 "),
                "{target}"
            );
        }
    }
}
