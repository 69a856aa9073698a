//! A client's request as it goes to the backend, kept whole so that it can be sent again: to the
//! next target when one fails, and for as long as a hold lives, because a hold is retried.
//!
//! Bytes only: the request line, `Host`, the fields that pass, then the content. What is made
//! anew for each attempt (`Grip-Sig`, `Grip-Last`, framing) is not in here.

/// A request in its stored form.
#[derive(Debug, Default, Clone)]
pub(super) struct StoredRequest {
    /// Request line, `Host: `, host, fields (each with its line end); then the content.
    pub(super) bytes: Vec<u8>,
    /// Where the value of the Host field lies.
    pub(super) host_start: u32,
    /// End of that value.
    pub(super) host_end: u32,
    /// End of the fields and start of the content.
    pub(super) head_end: u32,
}

/// Bytes of the three offsets behind a packed request.
const TRAILER_LEN: usize = 12;

impl StoredRequest {
    /// Empties it, keeping the buffer.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.host_start = 0;
        self.host_end = 0;
        self.head_end = 0;
    }

    /// The method, up to the first blank.
    pub(super) fn method(&self) -> &[u8] {
        let end = memchr::memchr(b' ', &self.bytes).unwrap_or(0);
        self.bytes.get(..end).unwrap_or_default()
    }

    /// The request target, as the backend sees it.
    pub(super) fn target(&self) -> &[u8] {
        let mut parts = self.bytes.splitn(3, |b| *b == b' ');
        parts.next();
        parts.next().unwrap_or_default()
    }

    /// The host, port included.
    pub(super) fn host(&self) -> &[u8] {
        self.part(self.host_start, self.host_end)
    }

    /// Request line up to the Host value.
    pub(super) fn before_host(&self) -> &[u8] {
        self.part(0, self.host_start)
    }

    /// The rest of the head behind the Host value, its line end included.
    pub(super) fn behind_host(&self) -> &[u8] {
        self.part(self.host_end, self.head_end)
    }

    /// The value of the first field of this name that passes.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        let lines = self.behind_host().split(|b| *b == b'\n');
        lines.into_iter().find_map(|line| {
            let (found, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            let is_it = found.eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| value.get(1..).unwrap_or_default().trim_ascii())
        })
    }

    /// The content so far.
    pub(super) fn content(&self) -> &[u8] {
        self.bytes.get(self.head_end as usize..).unwrap_or_default()
    }

    /// Number of content bytes so far.
    pub(super) fn content_len(&self) -> usize {
        self.bytes.len().saturating_sub(self.head_end as usize)
    }

    /// Forgets the content: it has become too long to be sent a second time.
    pub(super) fn drop_content(&mut self) {
        self.bytes.truncate(self.head_end as usize);
    }

    /// One block of exactly the needed size, for the life of a hold.
    pub(super) fn pack(&self) -> Box<[u8]> {
        let mut packed = Vec::with_capacity(self.bytes.len() + TRAILER_LEN);
        packed.extend_from_slice(&self.bytes);
        for offset in [self.host_start, self.host_end, self.head_end] {
            packed.extend_from_slice(&offset.to_le_bytes());
        }
        packed.into_boxed_slice()
    }

    /// The request out of its block.
    pub(super) fn unpack(&mut self, packed: &[u8]) {
        let Some((bytes, offsets)) =
            packed.split_at_checked(packed.len().saturating_sub(TRAILER_LEN))
        else {
            return;
        };
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        let mut words = offsets
            .chunks_exact(4)
            .map(|word| word.try_into().map_or(0, u32::from_le_bytes));
        self.host_start = words.next().unwrap_or_default();
        self.host_end = words.next().unwrap_or_default();
        self.head_end = words.next().unwrap_or_default();
    }

    fn part(&self, start: u32, end: u32) -> &[u8] {
        self.bytes
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_request_comes_back_whole() {
        let head = b"PUT /a?b HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\n";
        let mut request = StoredRequest {
            bytes: head.to_vec(),
            host_start: 25,
            host_end: 28,
            head_end: u32::try_from(head.len()).unwrap(),
        };
        request.bytes.extend_from_slice(b"content");
        let mut again = StoredRequest::default();
        again.unpack(&request.pack());
        assert_eq!(again.method(), b"PUT");
        assert_eq!(again.target(), b"/a?b");
        assert_eq!(again.host(), b"h:1");
        assert_eq!(again.behind_host(), b"\r\nX-A: 1\r\n");
        assert_eq!(again.field("x-a"), Some(&b"1"[..]));
        assert_eq!(again.field("x-b"), None);
        assert_eq!(again.content(), b"content");
    }
}
