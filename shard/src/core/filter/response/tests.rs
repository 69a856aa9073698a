use super::super::tests::meta;
use super::*;

/// Filters a body that comes in the pieces given.
fn filtered(encoding: Option<&str>, pieces: &[&str]) -> Result<String, String> {
    let format = ("id_format", "%(a)s");
    let meta = match encoding {
        None => meta(&[format]),
        Some(encoding) => meta(&[format, ("id_encoding", encoding)]),
    };
    let mut out = Vec::new();
    let mut filter = ResponseFilter::new(&meta).map_err(|e| e.to_string())?;
    for piece in pieces {
        filter
            .piece(piece.as_bytes(), &mut out)
            .map_err(|e| e.to_string())?;
    }
    filter.end().map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

// Line 204.
#[test]
fn build_id_on_a_body_fails_without_id_format() {
    let error = ResponseFilter::new(&Meta::default()).unwrap_err();
    assert_eq!(error.to_string(), "build-id: no sub meta 'id_format'");
}

#[test]
fn build_id_on_a_body_fails_for_an_unknown_encoding() {
    let expected = Err(String::from("build-id: unsupported encoding: Hex"));
    assert_eq!(filtered(Some("Hex"), &[]), expected);
}

// Line 205.
#[test]
fn an_id_without_argument_fails_on_a_body() {
    let expected = "build-id: No ID specified and no default ID in context";
    assert_eq!(filtered(None, &["at %I"]), Err(expected.into()));
}

#[test]
fn a_literal_id_on_a_body_is_written_raw() {
    assert_eq!(filtered(None, &["%(abc)I"]).as_deref(), Ok("abc"));
}

#[test]
fn a_literal_id_on_a_body_is_written_in_hex_when_asked() {
    assert_eq!(filtered(Some("hex"), &["%(abc)I"]).as_deref(), Ok("616263"));
}

// Line 207.
#[test]
fn a_directive_may_span_pieces_at_any_byte() {
    let body = "a%%b%(c\\)d)Ie";
    for cut in 0..=body.len() {
        let (first, second) = body.split_at(cut);
        let found = filtered(None, &[first, second]);
        assert_eq!(found.as_deref(), Ok("a%bc)de"), "cut at {cut}");
    }
    let bytes: Vec<_> = body.split("").collect();
    assert_eq!(filtered(None, &bytes).as_deref(), Ok("a%bc)de"));
}

#[test]
fn a_body_that_ends_within_a_directive_fails() {
    for body in ["a%", "a%(", "a%(b", "a%(b\\", "a%(b)"] {
        let expected = Err(String::from("build-id: unfinished directive"));
        assert_eq!(filtered(None, &[body]), expected, "{body:?}");
    }
}

#[test]
fn other_letters_fail_on_a_body() {
    let expected = Err(String::from("build-id: unknown directive 's'"));
    assert_eq!(filtered(None, &["%", "s"]), expected);
    assert_eq!(filtered(None, &["%(a)", "s"]), expected);
}

#[test]
fn bodies_without_directives_are_kept() {
    assert_eq!(filtered(None, &[]).as_deref(), Ok(""));
    assert_eq!(
        filtered(Some("hex"), &["plain", " (text)"]).as_deref(),
        Ok("plain (text)")
    );
}

#[test]
fn a_piece_that_fails_leaves_the_buffer_as_it_was() {
    let mut filter = ResponseFilter::new(&meta(&[("id_format", "x")])).unwrap();
    let mut out = b"old".to_vec();
    assert!(filter.piece(b"new %x", &mut out).is_err());
    assert_eq!(out, b"old");
}
