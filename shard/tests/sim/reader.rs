//! A strict reader of HTTP/1 messages, written for these tests alone: it shares nothing with the
//! parsers it judges. Whatever a careful peer could misunderstand is a violation.

/// Which side's messages are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Responses, as a client gets them.
    Responses,
    /// Requests, as a backend gets them.
    Requests,
}

/// One message, as far as it has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) content: Vec<u8>,
    /// All of it is here, by its own framing.
    pub(crate) is_complete: bool,
    /// Ended by the end of the connection only.
    pub(crate) is_until_close: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Length(usize),
    ChunkSize,
    Chunk(usize),
    UntilClose,
    /// The last message said that nothing follows.
    Over,
}

/// Reads what one side sent, in pieces of any size.
#[derive(Debug)]
pub(crate) struct Reader {
    side: Side,
    input: Vec<u8>,
    phase: Phase,
    /// Final messages, the last of them perhaps incomplete.
    pub(crate) messages: Vec<Message>,
    /// Interim responses that were read.
    pub(crate) interim: Vec<u16>,
}

impl Message {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.as_str())
    }

    /// All values of the fields of this name, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let named = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        let fields = self.fields.iter().filter(named);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap()
    }

    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap()
    }

    pub(crate) fn says_close(&self) -> bool {
        self.field("Connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }
}

impl Reader {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            input: Vec::new(),
            phase: Phase::Head,
            messages: Vec::new(),
            interim: Vec::new(),
        }
    }

    /// Whether nothing may follow any more.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Takes more bytes. `is_head` tells whether the request with this number was a HEAD.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        is_head: &dyn Fn(usize) -> bool,
    ) -> Result<(), String> {
        self.input.extend_from_slice(bytes);
        loop {
            let progress = match self.phase {
                Phase::Head => self.head(is_head)?,
                Phase::Length(left) => self.length(left),
                Phase::ChunkSize => self.chunk_size()?,
                Phase::Chunk(left) => self.chunk(left)?,
                Phase::UntilClose => self.length(usize::MAX),
                Phase::Over if self.input.is_empty() => false,
                Phase::Over => {
                    return Err(format!(
                        "bytes behind the last message: {}",
                        text(&self.input)
                    ));
                }
            };
            if !progress {
                return Ok(());
            }
        }
    }

    /// The connection has ended: content without other end is complete.
    pub(crate) fn end(&mut self) {
        if self.phase == Phase::UntilClose {
            self.messages.last_mut().unwrap().is_complete = true;
            self.phase = Phase::Over;
        }
    }

    fn head(&mut self, is_head: &dyn Fn(usize) -> bool) -> Result<bool, String> {
        let Some(end) = self.input.windows(4).position(|w| w == b"\r\n\r\n") else {
            return match self.input.first() {
                Some(b) if !b.is_ascii_alphabetic() => {
                    Err(format!("no head: {}", text(&self.input)))
                }
                _ => Ok(false),
            };
        };
        let head: Vec<u8> = self.input.drain(..end + 4).collect();
        let head = String::from_utf8(head).map_err(|_| "a head that is no text".to_owned())?;
        let mut lines = head[..end].split("\r\n");
        let mut message = Message {
            start: lines.next().unwrap().to_owned(),
            ..Message::default()
        };
        for line in lines {
            let (name, value) = line
                .split_once(": ")
                .ok_or_else(|| format!("field line {line:?}"))?;
            let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(is_token) || value.contains(['\r', '\n']) {
                return Err(format!("field line {line:?}"));
            }
            message.fields.push((name.to_owned(), value.to_owned()));
        }
        check_start(self.side, &message.start)?;
        if self.side == Side::Responses && message.status() < 200 {
            if message.field("Content-Length").is_some()
                || message.field("Transfer-Encoding").is_some()
            {
                return Err(format!("an interim response with framing: {message:?}"));
            }
            self.interim.push(message.status());
            return Ok(true);
        }
        let is_head = self.side == Side::Responses && is_head(self.messages.len());
        self.phase = self.framing(&mut message, is_head)?;
        self.messages.push(message);
        if self.phase == Phase::Length(0) {
            self.complete();
        }
        Ok(true)
    }

    fn framing(&self, message: &mut Message, is_head: bool) -> Result<Phase, String> {
        let all = |name: &str| {
            message
                .fields
                .iter()
                .filter(|(n, _)| n.eq_ignore_ascii_case(name))
                .count()
        };
        let (lengths, encodings) = (all("Content-Length"), all("Transfer-Encoding"));
        if lengths + encodings > 1 || all("Connection") > 1 {
            return Err(format!("framed more than once: {message:?}"));
        }
        if self.side == Side::Requests && all("Host") != 1 {
            return Err(format!("not one Host: {message:?}"));
        }
        let is_chunked = message.field("Transfer-Encoding").map(|v| v == "chunked");
        if is_chunked == Some(false)
            || (is_chunked == Some(true) && message.start.contains("HTTP/1.0"))
        {
            return Err(format!("transfer coding: {message:?}"));
        }
        let is_empty = self.side == Side::Responses && matches!(message.status(), 204 | 304);
        if is_empty && lengths + encodings > 0 && message.status() == 204 {
            return Err(format!("204 with framing: {message:?}"));
        }
        if is_head || is_empty {
            return Ok(Phase::Length(0));
        }
        if is_chunked == Some(true) {
            return Ok(Phase::ChunkSize);
        }
        match message.field("Content-Length") {
            Some(len) => len
                .parse()
                .map(Phase::Length)
                .map_err(|_| format!("length {len:?}")),
            None if self.side == Side::Requests => Ok(Phase::Length(0)),
            None if message.says_close() => {
                message.is_until_close = true;
                Ok(Phase::UntilClose)
            }
            None => Err(format!("content without end: {message:?}")),
        }
    }

    fn length(&mut self, left: usize) -> bool {
        if self.input.is_empty() {
            return false;
        }
        let count = left.min(self.input.len());
        self.messages
            .last_mut()
            .unwrap()
            .content
            .extend(self.input.drain(..count));
        if self.phase != Phase::UntilClose {
            self.phase = Phase::Length(left - count);
            if left == count {
                self.complete();
            }
        }
        true
    }

    fn chunk_size(&mut self) -> Result<bool, String> {
        let Some(end) = self.input.windows(2).position(|w| w == b"\r\n") else {
            return Ok(false);
        };
        let line = text(&self.input[..end]);
        let is_hex =
            !line.is_empty() && line.len() <= 8 && line.chars().all(|c| c.is_ascii_hexdigit());
        let size = usize::from_str_radix(&line, 16).ok().filter(|_| is_hex);
        let size = size.ok_or_else(|| format!("chunk size {line:?}"))?;
        if size > 0 {
            self.input.drain(..end + 2);
            self.phase = Phase::Chunk(size);
            return Ok(true);
        }
        if self.input.len() < end + 4 {
            return Ok(false);
        }
        if self.input[end + 2..end + 4] != *b"\r\n" {
            return Err("something behind the last chunk".to_owned());
        }
        self.input.drain(..end + 4);
        self.complete();
        Ok(true)
    }

    fn chunk(&mut self, left: usize) -> Result<bool, String> {
        if left > 0 {
            let count = left.min(self.input.len());
            self.messages
                .last_mut()
                .unwrap()
                .content
                .extend(self.input.drain(..count));
            self.phase = Phase::Chunk(left - count);
            return Ok(count > 0);
        }
        if self.input.len() < 2 {
            return Ok(false);
        }
        if !self.input.starts_with(b"\r\n") {
            return Err(format!("no end of chunk: {}", text(&self.input)));
        }
        self.input.drain(..2);
        self.phase = Phase::ChunkSize;
        Ok(true)
    }

    fn complete(&mut self) {
        let message = self.messages.last_mut().unwrap();
        message.is_complete = true;
        let is_old = message.start.contains("HTTP/1.0") && self.side == Side::Responses;
        let keeps = message
            .field("Connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("keep-alive"));
        self.phase = if message.says_close() || (is_old && !keeps) {
            Phase::Over
        } else {
            Phase::Head
        };
    }
}

fn check_start(side: Side, line: &str) -> Result<(), String> {
    let parts: Vec<&str> = line.splitn(3, ' ').collect();
    let is_good = match (side, parts.as_slice()) {
        (Side::Responses, [version, status, _]) => {
            matches!(*version, "HTTP/1.1" | "HTTP/1.0")
                && status.len() == 3
                && status.parse::<u16>().is_ok()
        }
        (Side::Requests, [method, target, "HTTP/1.1"]) => {
            method.chars().all(|c| c.is_ascii_uppercase()) && target.starts_with('/')
        }
        _ => false,
    };
    if is_good {
        Ok(())
    } else {
        Err(format!("start line {line:?}"))
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &str) -> Result<Reader, String> {
        let mut reader = Reader::new(Side::Responses);
        for byte in bytes.as_bytes() {
            reader.feed(&[*byte], &|_| false)?;
        }
        Ok(reader)
    }

    #[test]
    fn the_reader_knows_right_from_wrong() {
        let good = "HTTP/1.1 103 E\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab\
                    HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\ncd\r\n0\r\n\r\n";
        let reader = read(good).unwrap();
        assert_eq!(reader.messages[1].content, b"cd");
        assert!(reader.is_over() && reader.interim == [103]);
        for bad in [
            "HTTP/1.1 200 OK\r\n\r\nx",
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\nHTTP",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
