use super::*;

fn section(value: &str, options: &[(&str, &str)]) -> Section {
    let options = options
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    Section {
        value: value.to_owned(),
        options,
    }
}

#[test]
fn spaces_part_sections_and_commas_part_options() {
    let found = sections("  a.b,ssl=yes,debug   host:80,over_http ").unwrap();
    let expected = [
        section("a.b", &[("ssl", "yes"), ("debug", "")]),
        section("host:80", &[("over_http", "")]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_first_piece_with_an_equals_sign_is_an_option() {
    assert_eq!(
        sections("id=x,debug").unwrap(),
        [section("", &[("id", "x"), ("debug", "")])]
    );
    assert_eq!(sections(",id=x").unwrap(), [section("", &[("id", "x")])]);
}

#[test]
fn only_the_first_equals_sign_parts_name_and_value() {
    assert_eq!(
        sections("a,b=c=d").unwrap(),
        [section("a", &[("b", "c=d")])]
    );
}

#[test]
fn a_number_sign_ends_the_line_but_not_within_quotes() {
    for (line, count) in [
        ("", 0),
        ("   ", 0),
        ("# a b", 0),
        ("a b#c d", 2),
        ("a \"b#c\" d", 3),
    ] {
        assert_eq!(sections(line).unwrap().len(), count, "{line:?}");
    }
}

#[test]
fn quotes_enclose_any_stretch() {
    let expected = section("a", &[("header", "X-A: 1, 2")]);
    for line in [
        r#"a,"header=X-A: 1, 2""#,
        r#"a,header="X-A: 1, 2""#,
        r#"a,head"er=X-A: 1, "2"#,
    ] {
        assert_eq!(
            sections(line).unwrap(),
            std::slice::from_ref(&expected),
            "{line}"
        );
    }
}

#[test]
fn two_escapes_are_known_within_quotes_and_none_outside() {
    assert_eq!(
        sections(r#"a,b="\"\\""#).unwrap(),
        [section("a", &[("b", r#""\"#)])]
    );
    assert_eq!(
        sections(r"a,b=\n").unwrap(),
        [section("a", &[("b", r"\n")])]
    );
}

#[test]
fn a_tab_does_not_part() {
    assert_eq!(sections("a\tb").unwrap(), [section("a\tb", &[])]);
}

#[test]
fn every_malformed_line_says_what_is_wrong() {
    let cases = [
        ("a,,b c:1", "an empty option"),
        ("a, c:1", "an empty option"),
        ("a c:1,", "an empty option"),
        ("a,=x c:1", "option \"=x\" has no name"),
        ("=x c:1", "option \"=x\" has no name"),
        ("\"a c:1", "a quote is not closed"),
        ("a \"c:1\\", "a quote is not closed"),
        ("\"a\\n\" c:1", "unknown escape \\n"),
        ("a\r b", "a control character"),
        ("\"a\0\" b", "a control character"),
    ];
    for (line, expected) in cases {
        let error = sections(line).expect_err(line).to_string();
        assert!(error.contains(expected), "{line:?}: {error}");
    }
}

#[test]
fn of_an_option_given_twice_the_last_counts() {
    let found = sections("a,ssl=yes,ssl=no,sub=x,sub=y").unwrap().remove(0);
    assert_eq!(found.last("ssl"), Some("no"));
    assert_eq!(found.all("sub").collect::<Vec<_>>(), ["x", "y"]);
    assert!(found.has("ssl") && !found.has("tls"));
}

#[test]
fn the_length_of_a_line_is_limited() {
    assert!(sections(&"a".repeat(LINE_LEN_MAX)).is_ok());
    let error = sections(&"a".repeat(LINE_LEN_MAX + 1))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "the line is longer than 16384 bytes");
}
