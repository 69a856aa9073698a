//! A client with a plain socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than anything takes, so that a hang is a failure.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

pub(super) struct Client {
    pub(super) stream: TcpStream,
    input: Vec<u8>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    content: Vec<u8>,
}

impl Client {
    pub(super) fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            input: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn exchange(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer()
    }

    /// Reads one answer with a `Content-Length`.
    pub(super) fn answer(&mut self) -> Answer {
        loop {
            if let Some((answer, used)) = parse(&self.input) {
                self.input.drain(..used);
                return answer;
            }
            let mut piece = [0; 4_096];
            let len = self.stream.read(&mut piece).unwrap();
            assert!(
                len > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.input)
            );
            self.input.extend_from_slice(&piece[..len]);
        }
    }

    /// Whether nothing comes any more but the end.
    pub(super) fn is_closed(&mut self) -> bool {
        self.input.is_empty() && matches!(self.stream.read(&mut [0]), Ok(0))
    }
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.content.clone()).unwrap()
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn parse(input: &[u8]) -> Option<(Answer, usize)> {
    let head_len = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(input[..head_len].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer {
        status,
        head,
        content: Vec::new(),
    };
    let len: usize = answer.field("content-length").unwrap().parse().unwrap();
    answer.content = input.get(head_len..head_len + len)?.to_vec();
    Some((answer, head_len + len))
}

/// A POST of `content` with its length.
pub(super) fn post(target: &str, content: &str) -> String {
    let len = content.len();
    format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{content}")
}
