//! A raw connection that sends what it is told, byte by byte, and reads HTTP messages.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::WAIT_MAX;
use super::message::{Head, Response};

/// Bytes asked for in one read.
const READ_LEN: usize = 32 * 1024;

/// One end of a connection, a client's or a backend's.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    unread: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Connects to a port of this machine.
    pub(crate) fn connect(port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let socket = TcpStream::connect_timeout(&address, WAIT_MAX)
            .unwrap_or_else(|e| panic!("cannot connect to port {port}: {e}"));
        Self::of(socket)
    }

    /// Connects to a Unix socket.
    pub(crate) fn connect_unix(path: &Path) -> Self {
        let socket = UnixStream::connect(path)
            .unwrap_or_else(|e| panic!("cannot connect to {}: {e}", path.display()));
        let wire = Self {
            socket: Socket::Unix(socket),
            unread: Vec::new(),
        };
        wire.limit_reads(WAIT_MAX);
        wire
    }

    /// The end that was accepted or connected.
    pub(crate) fn of(socket: TcpStream) -> Self {
        // Best effort: without it only the timing differs.
        let _ = socket.set_nodelay(true);
        let _ = socket.set_write_timeout(Some(WAIT_MAX));
        let wire = Self {
            socket: Socket::Tcp(socket),
            unread: Vec::new(),
        };
        wire.limit_reads(WAIT_MAX);
        wire
    }

    /// How long a read waits.
    pub(crate) fn limit_reads(&self, wait_max: Duration) {
        let limited = match &self.socket {
            Socket::Tcp(socket) => socket.set_read_timeout(Some(wait_max)),
            Socket::Unix(socket) => socket.set_read_timeout(Some(wait_max)),
        };
        limited.expect("a time limit that is not zero");
    }

    /// Sends these bytes; fails the test when the peer does not take them.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).expect("the peer takes what is sent");
        self
    }

    /// Sends these bytes.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => socket.write_all(bytes.as_ref()),
            Socket::Unix(socket) => socket.write_all(bytes.as_ref()),
        }
    }

    /// Ends the sending side only.
    pub(crate) fn end_sending(&mut self) -> &mut Self {
        let ended = match &self.socket {
            Socket::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Socket::Unix(socket) => socket.shutdown(Shutdown::Write),
        };
        ended.expect("a connected socket");
        self
    }

    /// Ends the connection with a reset, as a program does that dies.
    pub(crate) fn reset(self) {
        let linger = Some(Duration::ZERO);
        if let Socket::Tcp(socket) = &self.socket {
            rustix::net::sockopt::set_socket_linger(socket, linger).expect("a connected socket");
        }
    }

    /// Takes in what comes next; 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut buf = [0; READ_LEN];
        let len = match &mut self.socket {
            Socket::Tcp(socket) => socket.read(&mut buf)?,
            Socket::Unix(socket) => socket.read(&mut buf)?,
        };
        self.unread.extend(buf.iter().take(len));
        Ok(len)
    }

    fn fill_some(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Takes what is read up to and with `end`.
    fn through(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut from = 0;
        loop {
            let behind = self.unread.get(from..).unwrap_or_default();
            if let Some(at) = behind.windows(end.len()).position(|window| window == end) {
                return Ok(self.unread.drain(..from + at + end.len()).collect());
            }
            from = self.unread.len().saturating_sub(end.len() - 1);
            self.fill_some()?;
        }
    }

    /// Takes this many bytes.
    pub(crate) fn try_take(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < len {
            self.fill_some()?;
        }
        Ok(self.unread.drain(..len).collect())
    }

    /// The next head. An end before its first byte is an error like any other end.
    pub(crate) fn try_head(&mut self) -> io::Result<Head> {
        self.through(b"\r\n\r\n").map(|bytes| Head::parse(&bytes))
    }

    /// The next chunk's content; `None` for the last one, whose trailers must be absent.
    pub(crate) fn try_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.through(b"\r\n")?;
        let size = String::from_utf8_lossy(&line);
        let size = size.trim_end().split(';').next().unwrap_or_default();
        let len = usize::from_str_radix(size, 16).map_err(|_| ErrorKind::InvalidData)?;
        let mut content = self.try_take(len + 2)?;
        if !content.ends_with(b"\r\n") {
            return Err(ErrorKind::InvalidData.into());
        }
        content.truncate(len);
        Ok((len > 0).then_some(content))
    }

    /// The content behind `head`, by its framing; without any, `open_end` says whether it lasts
    /// to the end of the connection.
    pub(crate) fn try_body(&mut self, head: &Head, open_end: bool) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.is_chunked() {
            while let Some(content) = self.try_chunk()? {
                body.extend_from_slice(&content);
            }
        } else if let Some(len) = head.content_length() {
            body = self.try_take(len)?;
        } else if open_end {
            while self.fill()? > 0 {}
            body = std::mem::take(&mut self.unread);
        }
        Ok(body)
    }

    /// The next head.
    pub(crate) fn head(&mut self) -> Head {
        let head = self.try_head();
        head.unwrap_or_else(|e| panic!("no head: {e}; unread: {}", self.unread_text()))
    }

    /// The next response to a request that is not HEAD.
    pub(crate) fn response(&mut self) -> Response {
        let head = self.head();
        let status = head.status();
        let body = if matches!(status, 100..=199 | 204 | 304) {
            Ok(Vec::new())
        } else {
            self.try_body(&head, true)
        };
        let body = body.unwrap_or_else(|e| panic!("{head:?} without its content: {e}"));
        Response { head, status, body }
    }

    /// Sends a request and reads its response.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request).response()
    }

    /// Asks for `path` of host `a`.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
    }

    /// The next chunk's content; `None` for the last one.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let chunk = self.try_chunk();
        chunk.unwrap_or_else(|e| panic!("no chunk: {e}; unread: {}", self.unread_text()))
    }

    /// Reads chunks until their contents hold `text`.
    pub(crate) fn chunks_until(&mut self, text: &str) -> String {
        let (mut seen, mut from) = (Vec::new(), 0);
        loop {
            let chunk = self.chunk();
            seen.extend(chunk.unwrap_or_else(|| panic!("ended before {text:?}")));
            let fresh = seen.get(from..).unwrap_or_default();
            let mut windows = fresh.windows(text.len());
            if windows.any(|window| window == text.as_bytes()) {
                return String::from_utf8_lossy(&seen).into_owned();
            }
            from = (seen.len() + 1).saturating_sub(text.len());
        }
    }

    /// All that comes until the connection ends, and whether it ended in order.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, bool) {
        loop {
            match self.fill() {
                Ok(0) => return (std::mem::take(&mut self.unread), true),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return (std::mem::take(&mut self.unread), false);
                }
                Err(error) => panic!("not closed: {error}; unread: {}", self.unread_text()),
            }
        }
    }

    /// Fails the test unless the peer ends the connection without another byte.
    pub(crate) fn expect_closed(&mut self) {
        let (bytes, _) = self.rest();
        let text = String::from_utf8_lossy(&bytes);
        assert!(bytes.is_empty(), "more came before the end: {text}");
    }

    fn unread_text(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}
