//! Line ends, for requests and responses alike (RFC 9112 section 2.2).

/// Whether every line of a head that `httparse` took ends in CRLF.
///
/// `httparse` refuses a CR without LF but takes an LF without CR, as RFC 9112 section 2.2 allows.
/// Peers that do not would see other lines than we do.
pub(super) fn ends_lines_properly(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head)
        .all(|at| at.checked_sub(1).and_then(|before| head.get(before)) == Some(&b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_feed_alone_is_no_line_end() {
        assert!(ends_lines_properly(b"a\r\nb\r\n\r\n"));
        for head in ["\n", "a\r\nb\n\r\n", "a\r\n\n", "\na\r\n"] {
            assert!(!ends_lines_properly(head.as_bytes()), "{head:?}");
        }
    }
}
