//! One blocking keep-alive connection: publishing and small questions.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use crate::error::LoadError;
use crate::http::{Part, Reader, get_request, post_request};

/// An answer may take this long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A persistent connection to a control port or a backend.
#[derive(Debug)]
pub(crate) struct Control {
    target: SocketAddrV4,
    stream: TcpStream,
    reader: Reader,
    request: Vec<u8>,
}

impl Control {
    /// Connects.
    ///
    /// # Errors
    /// [`LoadError::Io`] when nobody listens there.
    pub(crate) fn connect(target: SocketAddrV4) -> Result<Self, LoadError> {
        let what = "preparing a connection";
        let stream =
            TcpStream::connect(target).map_err(|source| LoadError::Connect { target, source })?;
        stream.set_nodelay(true).map_err(LoadError::io(what))?;
        stream
            .set_read_timeout(Some(ANSWER_TIMEOUT))
            .map_err(LoadError::io(what))?;
        Ok(Self {
            target,
            stream,
            reader: Reader::new(),
            request: Vec::new(),
        })
    }

    /// Publishes a body and waits for the answer, which must be 200.
    ///
    /// # Errors
    /// [`LoadError::Answer`] on another status, [`LoadError::Io`] when the connection breaks.
    pub(crate) fn publish(&mut self, body: &[u8]) -> Result<(), LoadError> {
        self.post("publishing", "/publish", body)
    }

    /// Tells the server to recover and waits for the answer, which must be 200.
    ///
    /// # Errors
    /// As [`Control::publish`].
    pub(crate) fn recover(&mut self) -> Result<(), LoadError> {
        self.post("telling the server to recover", "/recover", b"")
    }

    fn post(&mut self, what: &'static str, target: &str, body: &[u8]) -> Result<(), LoadError> {
        self.request.clear();
        post_request(&mut self.request, target, body);
        let (status, content) = self.exchange()?;
        if status == 200 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&content).trim().to_owned();
        let answer = format!("status {status}, {text}");
        Err(LoadError::Answer { what, answer })
    }

    /// Asks for `target`; returns status and content.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the connection breaks, [`LoadError::Answer`] when it is no HTTP.
    pub(crate) fn get(&mut self, target: &str) -> Result<(u16, Vec<u8>), LoadError> {
        self.request = get_request(target, 0);
        self.exchange()
    }

    fn exchange(&mut self) -> Result<(u16, Vec<u8>), LoadError> {
        let what = "waiting for an answer";
        if self.reader.closes() {
            let request = std::mem::take(&mut self.request);
            *self = Self {
                request,
                ..Self::connect(self.target)?
            };
        }
        self.stream
            .write_all(&self.request)
            .map_err(LoadError::io(what))?;
        let mut buf = [0; 4096];
        let (mut status, mut content, mut done) = (0, Vec::new(), false);
        while !done {
            let len = self.stream.read(&mut buf).map_err(LoadError::io(what))?;
            if len == 0 {
                let answer = "the connection was closed".to_owned();
                return Err(LoadError::Answer { what, answer });
            }
            let sink = &mut |part: Part<'_>| match part {
                Part::Head { status: code } => status = code,
                Part::Content(bytes) => content.extend_from_slice(bytes),
                Part::End => done = true,
            };
            self.reader
                .feed(buf.get(..len).unwrap_or_default(), sink)
                .map_err(|error| LoadError::Answer {
                    what,
                    answer: error.to_string(),
                })?;
        }
        Ok((status, content))
    }
}
