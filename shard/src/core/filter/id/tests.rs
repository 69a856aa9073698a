use super::super::GROWTH_LEN_MAX;
use super::super::tests::meta;
use super::*;

fn whole(content: &str, encoding: Encoding) -> Result<String, FilterError> {
    let mut out = Vec::new();
    let mut directives = Directives::new(encoding);
    directives.piece(content.as_bytes(), &mut out, &mut |out| {
        out.extend_from_slice(b"<id>");
        Ok(())
    })?;
    directives.end()?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn all_three_directives_are_read() {
    let content = "a %I b %(lit)I c %% d";
    assert_eq!(
        whole(content, Encoding::Raw).as_deref(),
        Ok("a <id> b lit c % d")
    );
}

#[test]
fn a_backslash_in_a_literal_takes_the_next_character() {
    assert_eq!(
        whole("%(a\\)\\\\\\b)I", Encoding::Raw).as_deref(),
        Ok("a)\\b")
    );
    assert_eq!(
        whole("%(\\\u{e9})I", Encoding::Raw).as_deref(),
        Ok("\u{e9}")
    );
}

#[test]
fn hex_covers_literals_whole_and_nothing_else() {
    assert_eq!(
        whole("x%(a\\)b)I%%", Encoding::Hex).as_deref(),
        Ok("x612962%")
    );
    assert_eq!(whole("%(\u{e9})I", Encoding::Hex).as_deref(), Ok("c3a9"));
}

#[test]
fn an_empty_literal_is_a_literal() {
    assert_eq!(whole("[%()I]", Encoding::Raw).as_deref(), Ok("[]"));
}

#[test]
fn hex_digits_are_lower_case_and_two_for_each_byte() {
    let mut out = Vec::new();
    Encoding::Hex.append(&[0, 0x0f, 0xab, 0xff], &mut out);
    assert_eq!(out, b"000fabff");
}

#[test]
fn an_id_without_format_is_refused_before_its_encoding_is_looked_at() {
    let meta = meta(&[("id_encoding", "x")]);
    assert_eq!(IdSource::new(&meta).unwrap_err(), FilterError::NoIdFormat);
}

#[test]
fn a_format_may_be_empty() {
    let meta = meta(&[("id_format", "")]);
    let source = IdSource::new(&meta).unwrap();
    let mut out = Vec::new();
    fill(&source, &|_| None, b"[%I]", &mut out).unwrap();
    assert_eq!(out, b"[]");
}

#[test]
fn a_channel_with_a_parenthesis_can_be_named_in_a_format() {
    let meta = meta(&[("id_format", "%(a\\))s")]);
    let source = IdSource::new(&meta).unwrap();
    let mut out = Vec::new();
    fill(
        &source,
        &|channel| (channel == "a)").then_some("5"),
        b"%I",
        &mut out,
    )
    .unwrap();
    assert_eq!(out, b"5");
}

#[test]
fn a_bad_format_fails_to_render() {
    for (format, reason) in [
        ("%", "unfinished directive"),
        ("%I", "unknown directive 'I'"),
        ("%s", "directive without a name"),
    ] {
        let meta = meta(&[("id_format", format)]);
        let source = IdSource::new(&meta).unwrap();
        let error = fill(&source, &|_| None, b"%I", &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("failed to render ID: {reason}"));
    }
}

#[test]
fn ids_cannot_blow_content_up_beyond_the_limit() {
    let id = "i".repeat(GROWTH_LEN_MAX / 2);
    let meta = meta(&[("id_format", &id)]);
    let source = IdSource::new(&meta).unwrap();
    let fill_with = |content: &[u8]| fill(&source, &|_| None, content, &mut Vec::new());
    assert_eq!(fill_with(b"%I%I"), Ok(()));
    let too_long = FilterError::Template(TemplateError::TooLong {
        max: GROWTH_LEN_MAX,
    });
    assert_eq!(fill_with(b"%I%I%I"), Err(too_long));
}
