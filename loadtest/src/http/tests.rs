//! Tests of the response reader.

use super::*;

/// Feeds `bytes` in two pieces and writes the parts down, adjoining content joined.
fn parts(bytes: &[u8], cut: usize) -> Result<String, WireError> {
    let mut reader = Reader::new();
    let mut seen = String::new();
    let mut content = Vec::new();
    for piece in [&bytes[..cut], &bytes[cut..]] {
        reader.feed(piece, &mut |part| match part {
            Part::Head { status } => seen.push_str(&format!("[{status}]")),
            Part::Content(bytes) => content.extend_from_slice(bytes),
            Part::End => {
                seen.push_str(&String::from_utf8_lossy(&content));
                content.clear();
                seen.push('|');
            }
        })?;
    }
    seen.push_str(&String::from_utf8_lossy(&content));
    Ok(seen)
}

#[test]
fn responses_read_the_same_wherever_they_are_cut() {
    let cases: [(&[u8], &str); 5] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "[200]abc|"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "[200]abc"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: 1\r\n\r\n",
            "[200]ab|",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "[204]|[404]|"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end", "[200]to the end"),
    ];
    for (bytes, expected) in cases {
        for cut in 0..=bytes.len() {
            assert_eq!(parts(bytes, cut).as_deref(), Ok(expected), "cut at {cut}");
        }
    }
}

#[test]
fn what_is_no_http_is_refused() {
    let cases: [&[u8]; 4] = [
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
    ];
    for bytes in cases {
        assert!(
            parts(bytes, 0).is_err(),
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn a_request_is_filled_up_to_its_length() {
    for len in [150, 151, 400] {
        let request = get_request("/stream?channel=all", len);
        assert_eq!(request.len(), len);
        assert!(request.ends_with(b"\r\n\r\n"));
    }
    assert!(get_request("/stream?channel=all", 1).len() > 50);
}
