//! Just enough HTTP/1.1 for a client: request heads, and a reader of responses in pieces.
//!
//! Written apart from the server's codec on purpose: a mistake made there must not be repeated here.

use memchr::memmem;

/// A response head longer than this is an error, in bytes.
const HEAD_LEN_MAX: usize = 65_536;

/// Digits of a chunk size and its extensions may take this many bytes.
const CHUNK_LINE_LEN_MAX: usize = 256;

/// A response that is no HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WireError {
    /// No status line, or a head without end.
    #[error("malformed response head")]
    Head,
    /// No chunk size where one must be.
    #[error("malformed chunk")]
    Chunk,
}

/// A part of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'b> {
    /// The head is complete.
    Head {
        /// The status code.
        status: u16,
    },
    /// Some content, framing removed.
    Content(&'b [u8]),
    /// The response is complete.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Length { left: u64 },
    ChunkSize,
    ChunkData { left: u64 },
    ChunkEnd,
    Trailer,
    UntilClose,
}

/// Reads responses, one after another, from bytes that arrive in pieces.
#[derive(Debug)]
pub(crate) struct Reader {
    phase: Phase,
    closes: bool,
    spill: Vec<u8>,
}

impl Reader {
    /// A reader at the start of a response.
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Head,
            closes: false,
            spill: Vec::new(),
        }
    }

    /// Whether the connection's end now would cut a response short, or precede one.
    pub(crate) fn ends_with_close(&self) -> bool {
        self.phase == Phase::UntilClose
    }

    /// Whether the server said that it closes the connection after this response.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    /// Takes the next bytes and gives the parts they complete to `sink`.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are no response.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        sink: &mut impl FnMut(Part<'_>),
    ) -> Result<(), WireError> {
        if self.spill.is_empty() {
            let used = self.advance(input, sink)?;
            self.spill
                .extend_from_slice(input.get(used..).unwrap_or_default());
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.spill);
        joined.extend_from_slice(input);
        let used = self.advance(&joined, sink)?;
        self.spill
            .extend_from_slice(joined.get(used..).unwrap_or_default());
        Ok(())
    }

    /// Takes steps until one needs more bytes; returns the number of bytes used.
    fn advance(&mut self, buf: &[u8], sink: &mut impl FnMut(Part<'_>)) -> Result<usize, WireError> {
        let mut used = 0;
        while let Some(step) = self.step(buf.get(used..).unwrap_or_default(), sink)? {
            used += step;
        }
        Ok(used)
    }

    /// One step; `None` when it needs more bytes.
    fn step(
        &mut self,
        buf: &[u8],
        sink: &mut impl FnMut(Part<'_>),
    ) -> Result<Option<usize>, WireError> {
        match self.phase {
            Phase::Head => self.head(buf, sink),
            Phase::Length { left } => Ok(self.length(buf, left, sink)),
            Phase::ChunkSize => self.chunk_size(buf),
            Phase::ChunkData { left } => Ok(self.chunk_data(buf, left, sink)),
            Phase::ChunkEnd => self.chunk_end(buf),
            Phase::Trailer => Ok(self.trailer(buf, sink)),
            Phase::UntilClose if buf.is_empty() => Ok(None),
            Phase::UntilClose => {
                sink(Part::Content(buf));
                Ok(Some(buf.len()))
            }
        }
    }

    fn head(
        &mut self,
        buf: &[u8],
        sink: &mut impl FnMut(Part<'_>),
    ) -> Result<Option<usize>, WireError> {
        let Some(end) = memmem::find(buf, b"\r\n\r\n") else {
            return if buf.len() > HEAD_LEN_MAX {
                Err(WireError::Head)
            } else {
                Ok(None)
            };
        };
        let head = std::str::from_utf8(buf.get(..end).unwrap_or_default());
        let head = head.map_err(|_| WireError::Head)?;
        let status = status_of(head).ok_or(WireError::Head)?;
        if status >= 200 {
            self.phase = framing_of(head, status)?;
            self.closes =
                field(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            sink(Part::Head { status });
            if self.phase == (Phase::Length { left: 0 }) {
                self.end(sink);
            }
        }
        Ok(Some(end + 4))
    }

    fn length(&mut self, buf: &[u8], left: u64, sink: &mut impl FnMut(Part<'_>)) -> Option<usize> {
        let (piece, left) = take(buf, left)?;
        sink(Part::Content(piece));
        self.phase = Phase::Length { left };
        if left == 0 {
            self.end(sink);
        }
        Some(piece.len())
    }

    fn chunk_size(&mut self, buf: &[u8]) -> Result<Option<usize>, WireError> {
        let Some(end) = memmem::find(buf, b"\r\n") else {
            return if buf.len() > CHUNK_LINE_LEN_MAX {
                Err(WireError::Chunk)
            } else {
                Ok(None)
            };
        };
        let line = buf.get(..end).unwrap_or_default();
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits).map_err(|_| WireError::Chunk)?;
        let left = u64::from_str_radix(digits, 16).map_err(|_| WireError::Chunk)?;
        self.phase = if left == 0 {
            Phase::Trailer
        } else {
            Phase::ChunkData { left }
        };
        Ok(Some(end + 2))
    }

    fn chunk_data(
        &mut self,
        buf: &[u8],
        left: u64,
        sink: &mut impl FnMut(Part<'_>),
    ) -> Option<usize> {
        let (piece, left) = take(buf, left)?;
        sink(Part::Content(piece));
        self.phase = if left == 0 {
            Phase::ChunkEnd
        } else {
            Phase::ChunkData { left }
        };
        Some(piece.len())
    }

    fn chunk_end(&mut self, buf: &[u8]) -> Result<Option<usize>, WireError> {
        match buf {
            [b'\r', b'\n', ..] => {
                self.phase = Phase::ChunkSize;
                Ok(Some(2))
            }
            [] | [b'\r'] => Ok(None),
            _ => Err(WireError::Chunk),
        }
    }

    fn trailer(&mut self, buf: &[u8], sink: &mut impl FnMut(Part<'_>)) -> Option<usize> {
        let end = memmem::find(buf, b"\r\n")?;
        if end == 0 {
            self.end(sink);
        }
        Some(end + 2)
    }

    fn end(&mut self, sink: &mut impl FnMut(Part<'_>)) {
        self.phase = Phase::Head;
        sink(Part::End);
    }
}

/// The front of `buf`, at most `left` bytes of it, and what is left then; `None` when empty.
fn take(buf: &[u8], left: u64) -> Option<(&[u8], u64)> {
    if buf.is_empty() {
        return None;
    }
    let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
    Some((buf.get(..len)?, left - len as u64))
}

fn status_of(head: &str) -> Option<u16> {
    let rest = head.strip_prefix("HTTP/1.")?;
    rest.get(2..5)?.parse().ok()
}

fn framing_of(head: &str, status: u16) -> Result<Phase, WireError> {
    if status == 204 || status == 304 {
        return Ok(Phase::Length { left: 0 });
    }
    if field(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok(Phase::ChunkSize);
    }
    match field(head, "content-length") {
        Some(value) => {
            let left = value.parse().map_err(|_| WireError::Head)?;
            Ok(Phase::Length { left })
        }
        None => Ok(Phase::UntilClose),
    }
}

/// The value of the first field of that (lower-case) name.
fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A GET request without content, filled up to `len` bytes through its `User-Agent`.
///
/// A request that is longer without filling stays longer.
pub(crate) fn get_request(target: &str, len: usize) -> Vec<u8> {
    get_request_with(target, "", len)
}

/// The same with more fields, each with its line end.
pub(crate) fn get_request_with(target: &str, more: &str, len: usize) -> Vec<u8> {
    let front = format!(
        "GET {target} HTTP/1.1\r\nHost: loadtest.example\r\nAccept: */*\r\n{more}\
         User-Agent: loadtest"
    );
    let mut request = front.into_bytes();
    request.resize(len.saturating_sub(4).max(request.len()), b'.');
    request.extend_from_slice(b"\r\n\r\n");
    request
}

/// A POST request with a JSON body.
pub(crate) fn post_request(out: &mut Vec<u8>, target: &str, body: &[u8]) {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: loadtest.example\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests;
