use super::*;

fn filled(template: &[u8], encoding: Encoding) -> Result<Vec<u8>, TemplateError> {
    let value = |name: &str| match name {
        "a" => Some("1"),
        "long" => Some("0123456789"),
        "x)y\\z" => Some("odd"),
        "\u{e9}t\u{e9}" => Some("summer"),
        "" => Some("nameless"),
        _ => None,
    };
    let mut out = b"old".to_vec();
    fill(template, encoding, &value, &mut out)?;
    Ok(out.strip_prefix(b"old").expect("old bytes stay").to_vec())
}

fn text(template: &str) -> Result<String, TemplateError> {
    filled(template.as_bytes(), Encoding::Raw).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn text_without_directives_is_kept() {
    for template in ["", "plain", "(a)s \\ )"] {
        assert_eq!(text(template).as_deref(), Ok(template));
    }
}

#[test]
fn names_are_replaced_wherever_they_stand() {
    assert_eq!(
        text("%(a)s%(a)s x %(long)s").as_deref(),
        Ok("11 x 0123456789")
    );
}

#[test]
fn a_double_percent_sign_is_one() {
    assert_eq!(text("100%%%%, %%(a)s").as_deref(), Ok("100%%, %(a)s"));
}

#[test]
fn a_backslash_in_a_name_takes_the_next_character() {
    assert_eq!(text("%(x\\)y\\\\z)s").as_deref(), Ok("odd"));
    assert_eq!(text("%(\\\u{e9}\\t\u{e9})s").as_deref(), Ok("summer"));
    assert_eq!(text("%(\\a)s").as_deref(), Ok("1"));
}

#[test]
fn a_backslash_outside_of_names_is_text() {
    assert_eq!(text("\\%(a)s\\").as_deref(), Ok("\\1\\"));
}

#[test]
fn values_are_not_read_as_templates() {
    let value = |_: &str| Some("%(a)s%");
    let mut out = Vec::new();
    fill(b"%(x)s", Encoding::Raw, &value, &mut out).unwrap();
    assert_eq!(out, b"%(a)s%");
}

#[test]
fn an_empty_name_is_a_name() {
    assert_eq!(text("%()s").as_deref(), Ok("nameless"));
}

#[test]
fn a_template_cut_within_a_directive_fails() {
    let directive = "%(x\\)y\\\\z)s";
    for cut in 1..directive.len() {
        let cut_text = directive.get(..cut).unwrap();
        assert_eq!(
            text(cut_text),
            Err(TemplateError::Unfinished),
            "{cut_text:?}"
        );
    }
}

#[test]
fn unknown_letters_fail() {
    for (template, letter) in [
        ("%d", b'd'),
        ("%S", b'S'),
        ("%I", b'I'),
        ("50% off", b' '),
        ("%(a)d", b'd'),
        ("%(a)S", b'S'),
        ("%(a)%", b'%'),
    ] {
        let expected = Err(TemplateError::UnknownDirective { letter });
        assert_eq!(text(template), expected, "{template:?}");
    }
}

#[test]
fn an_unknown_letter_can_be_read_in_the_error_whatever_byte_it_is() {
    let error = filled(b"%\xff", Encoding::Raw).unwrap_err();
    assert_eq!(error.to_string(), "unknown directive '\\xff'");
}

#[test]
fn a_directive_without_a_name_fails() {
    assert_eq!(text("hi %s"), Err(TemplateError::NoName));
}

#[test]
fn an_unknown_name_fails_and_is_named() {
    let error = text("%(A)s").unwrap_err();
    assert_eq!(error.to_string(), "no value for 'A'");
    let error = filled(b"%(\xff)s", Encoding::Raw).unwrap_err();
    assert_eq!(error.to_string(), "no value for '\u{fffd}'");
}

#[test]
fn a_very_long_unknown_name_is_cut_in_the_error() {
    let name = "n".repeat(NAME_SHOWN_LEN_MAX + 1);
    let error = text(&format!("%({name})s")).unwrap_err();
    let shown = "n".repeat(NAME_SHOWN_LEN_MAX);
    assert_eq!(error.to_string(), format!("no value for '{shown}'"));
}

#[test]
fn the_first_error_of_a_template_counts() {
    assert_eq!(text("%s %d"), Err(TemplateError::NoName));
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    assert_eq!(
        filled(b"\xff\x00%(a)s\xfe", Encoding::Raw).unwrap(),
        b"\xff\x001\xfe"
    );
}

#[test]
fn a_whole_template_can_be_filled_in_hex() {
    assert_eq!(filled(b"%(a)s-%%", Encoding::Hex).unwrap(), b"312d25");
}

#[test]
fn a_template_may_grow_up_to_the_limit_and_no_further() {
    let directive = "%(v)s";
    let grown = |value_len: usize| {
        let long = "v".repeat(value_len);
        let mut out = Vec::new();
        fill(
            directive.as_bytes(),
            Encoding::Raw,
            &|_| Some(long.as_str()),
            &mut out,
        )
    };
    let len_max = GROWTH_LEN_MAX + directive.len();
    let too_long = TemplateError::TooLong {
        max: GROWTH_LEN_MAX,
    };
    assert_eq!(grown(len_max - 1), Ok(()));
    assert_eq!(grown(len_max), Ok(()));
    assert_eq!(grown(len_max + 1), Err(too_long));
}
