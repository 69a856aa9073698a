//! Tests of the header form.

use super::*;
use crate::grip::test_random::Random;
use crate::grip::{KeepAliveMode, is_instruct, is_json_instruct};

const BASE: &str = "http://h/a/b?x=1";

fn fields<'b>(lines: &[(&'b str, &'b str)]) -> Vec<Field<'b>> {
    let field = |&(name, value): &(&'b str, &'b str)| Field {
        name,
        value: value.as_bytes(),
    };
    lines.iter().map(field).collect()
}

fn decode(lines: &[(&str, &str)]) -> Instruct {
    decode_fields(&fields(lines), BASE).unwrap()
}

fn channel_names(instruct: &Instruct) -> Vec<&str> {
    instruct
        .channels()
        .iter()
        .map(|channel| channel.name.as_str())
        .collect()
}

#[test]
fn any_grip_field_makes_an_instruct() {
    for name in ["Grip-Hold", "grip-foo", "GRIP-", "gRiP-X"] {
        assert!(
            is_instruct(&fields(&[("Date", "x"), (name, "1")])),
            "{name}"
        );
    }
    for name in ["Grip", "Gripe-X", "X-Grip-Hold", "", "Content-Type"] {
        assert!(!is_instruct(&fields(&[(name, "1")])), "{name}");
    }
}

#[test]
fn the_json_type_is_exact_up_to_the_semicolon() {
    let cases = [
        ("application/grip-instruct", true),
        ("application/grip-instruct; charset=utf-8", true),
        ("application/grip-instruct;", true),
        ("application/grip-instruct ; charset=utf-8", false),
        ("Application/Grip-Instruct", false),
        ("application/grip-instructs", false),
        ("", false),
    ];
    for (value, wanted) in cases {
        let fields = fields(&[("content-TYPE", value)]);
        assert_eq!(is_json_instruct(&fields), wanted, "{value:?}");
        assert_eq!(is_instruct(&fields), wanted, "{value:?}");
    }
    let second = fields(&[
        ("Content-Type", "a/b"),
        ("Content-Type", "application/grip-instruct"),
    ]);
    assert!(!is_json_instruct(&second), "only the first counts");
}

#[test]
fn the_ordinary_hold_gets_all_defaults() {
    let instruct = decode(&[("Grip-Hold", "stream"), ("Grip-Channel", "news")]);
    let channel = Channel {
        name: "news".into(),
        prev_id: None,
        filters: vec![],
    };
    let hold = crate::grip::Hold {
        mode: HoldMode::Stream,
        timeout_s: 55,
        keep_alive: None,
        channels: vec![channel],
        meta: vec![],
    };
    assert_eq!(
        instruct,
        Instruct {
            hold: Some(hold),
            ..Instruct::default()
        }
    );
}

#[test]
fn every_mistake_has_its_text() {
    const TIMEOUT: &str = "failed to parse Grip-Timeout";
    const LINK: &str = "failed to parse Grip-Link value";
    const LINK_TIMEOUT: &str = "failed to parse Grip-Link timeout value";
    const CODE: &str = "Grip-Status contains invalid status code";
    const HOLD: &str = "Grip-Hold must be set to either 'response' or 'stream'";
    let cases = [
        ("Grip-Hold", "Response", HOLD),
        ("Grip-Hold", "", HOLD),
        (
            "Grip-Channel",
            "t; filter=a; filter=b; filter=c; filter=d; filter=e; filter=f",
            "too many filters for channel 't'",
        ),
        ("Grip-Timeout", "abc", TIMEOUT),
        ("Grip-Timeout", "5.5", TIMEOUT),
        ("Grip-Timeout", "0x10", TIMEOUT),
        ("Grip-Timeout", "", TIMEOUT),
        ("Grip-Timeout", "99999999999", TIMEOUT),
        ("Grip-Timeout", "-1", "Grip-Timeout has invalid value"),
        (
            "Grip-Keep-Alive",
            "; timeout=10",
            "Grip-Keep-Alive cannot be empty",
        ),
        ("Grip-Set-Meta", "a=b,,c=d", "Grip-Set-Meta cannot be empty"),
        ("Grip-Status", "abc", CODE),
        ("Grip-Status", "1000", CODE),
        ("Grip-Status", "-1", CODE),
        (
            "Grip-Status",
            "200 a\rb",
            "Grip-Status contains invalid reason",
        ),
        ("Grip-Link", "/x; rel=next", LINK),
        ("Grip-Link", "<>; rel=next", LINK),
        ("Grip-Link", "</a,b>; rel=next", LINK),
        (
            "Grip-Link",
            "<http://[bad>; rel=next",
            "Grip-Link contains invalid link",
        ),
        (
            "Grip-Link",
            "<http://[bad>; rel=foo",
            "Grip-Link contains invalid link",
        ),
        ("Grip-Link", "</x>; rel=next; timeout=x", LINK_TIMEOUT),
        ("Grip-Link", "</x>; rel=next; timeout=", LINK_TIMEOUT),
        (
            "Grip-Link",
            "</x>; rel=next; timeout=-2",
            "Grip-Link timeout has invalid value",
        ),
    ];
    for (name, value, wanted) in cases {
        let error = decode_fields(&fields(&[(name, value)]), BASE).unwrap_err();
        assert_eq!(error.to_string(), wanted, "{name}: {value:?}");
    }
}

#[test]
fn the_first_mistake_in_the_order_of_decoding_wins() {
    let all = [
        ("Grip-Link", "x; y"),
        ("Grip-Status", "x"),
        ("Grip-Set-Meta", ","),
        ("Grip-Keep-Alive", "; x"),
        ("Grip-Timeout", "x"),
        (
            "Grip-Channel",
            "c; filter; filter; filter; filter; filter; filter",
        ),
        ("Grip-Hold", "x"),
    ];
    let wanted = [
        InstructError::HoldMode,
        InstructError::TooManyFilters {
            channel: "c".into(),
        },
        InstructError::Timeout,
        InstructError::KeepAliveEmpty,
        InstructError::SetMetaEmpty,
        InstructError::StatusCode,
        InstructError::Link,
    ];
    for (fixed, wanted) in wanted.into_iter().enumerate() {
        let left = &all[..all.len() - fixed];
        assert_eq!(decode_fields(&fields(left), BASE), Err(wanted));
    }
}

#[test]
fn only_the_first_of_a_single_field_counts() {
    let instruct = decode(&[
        ("Grip-Hold", "stream"),
        ("Grip-Hold", "bogus"),
        ("Grip-Timeout", "7"),
        ("Grip-Timeout", "bogus"),
        ("Grip-Status", "201"),
        ("Grip-Status", "bogus"),
        ("Grip-Keep-Alive", "a"),
        ("Grip-Keep-Alive", "; b"),
    ]);
    let hold = instruct.hold.unwrap();
    assert_eq!((hold.mode, hold.timeout_s), (HoldMode::Stream, 7));
    assert_eq!(hold.keep_alive.unwrap().content, b"a");
}

#[test]
fn response_timeouts_are_clamped_at_both_ends() {
    let cases = [
        ("0", 5),
        ("4", 5),
        ("5", 5),
        ("6", 6),
        ("+7", 7),
        ("007", 7),
        ("2147483", 2_147_483),
        ("2147484", 2_147_483),
        ("2147483647", 2_147_483),
    ];
    for (value, wanted) in cases {
        let instruct = decode(&[("Grip-Hold", "response"), ("Grip-Timeout", value)]);
        assert_eq!(instruct.hold.unwrap().timeout_s, wanted, "{value}");
    }
}

#[test]
fn channels_come_from_all_fields_in_order_and_may_be_empty() {
    let lines = [
        ("Grip-Channel", "a,,b"),
        ("grip-channel", "\"q, c\""),
        ("Grip-Channel", "a,"),
    ];
    let instruct = decode(&lines);
    assert_eq!(channel_names(&instruct), ["a", "", "b", "\"q, c\"", "a"]);
    assert_eq!(instruct.hold, None);
    assert_eq!(instruct.channels.len(), 5);
    let held = decode(&[("Grip-Hold", "stream")]);
    assert_eq!(held.hold.unwrap().channels, []);
}

#[test]
fn a_position_may_be_quoted_empty_or_absent() {
    let cases = [
        ("g; prev-id=\"b,c;d\"", Some("b,c;d")),
        ("g; Prev-ID=a", Some("a")),
        ("g; prev-id=", Some("")),
        ("g; prev-id=\"\"", Some("")),
        ("g; prev-id", None),
        ("g; other=1", None),
        ("g", None),
    ];
    for (value, wanted) in cases {
        let instruct = decode(&[("Grip-Channel", value)]);
        assert_eq!(instruct.channels[0].prev_id.as_deref(), wanted, "{value:?}");
    }
}

#[test]
fn five_filters_are_kept_in_order_and_only_in_lower_case() {
    let value = "t; filter=e; filter=d; Filter=x; filter=c; filter=b; filter=a; FILTER=y";
    let instruct = decode(&[("Grip-Channel", value)]);
    assert_eq!(instruct.channels[0].filters, ["e", "d", "c", "b", "a"]);
}

#[test]
fn a_piece_with_an_unclosed_quote_is_skipped() {
    assert_eq!(decode(&[("Grip-Channel", "t; prev-id=\"abc")]).channels, []);
    assert_eq!(
        channel_names(&decode(&[("Grip-Channel", "s, t; prev-id=\"abc")])),
        ["s"]
    );
    assert_eq!(decode(&[("Grip-Set-Meta", "a=\"b")]).meta, []);
    assert_eq!(decode(&[("Grip-Link", "</x>; rel=\"next")]).next, None);
}

#[test]
fn meta_values_may_be_quoted_empty_or_absent_and_the_last_wins() {
    let value = r#"user="a\"b, c", x=1; y=2, n, e=, z=1, z=2"#;
    let instruct = decode(&[("Grip-Set-Meta", value), ("Grip-Set-Meta", "")]);
    let some = |text: &str| Some(text.to_owned());
    let wanted = [
        ("e".into(), some("")),
        ("n".into(), None),
        ("user".into(), some("a\"b, c")),
        ("x".into(), some("1")),
        ("z".into(), some("2")),
    ];
    assert_eq!(instruct.meta, wanted);
}

#[test]
fn a_status_has_its_own_reason_or_the_standard_one() {
    let cases = [
        ("404", 404, "Not Found"),
        ("404 Foo Bar", 404, "Foo Bar"),
        ("599", 599, "Undefined Reason"),
        ("0", 0, "Undefined Reason"),
        ("999 x", 999, "x"),
        ("204  ", 204, "No Content"),
    ];
    for (value, code, reason) in cases {
        let status = decode(&[("Grip-Status", value)]).status.unwrap();
        assert_eq!(
            (status.code, status.reason.as_ref()),
            (code, reason.as_bytes()),
            "{value}"
        );
    }
    assert_eq!(decode(&[("Grip-Status", "")]).status, None);
}

#[test]
fn links_are_kept_as_written_and_the_last_wins() {
    let instruct = decode(&[
        (
            "Grip-Link",
            "<../n1>; rel=next, <n2>; REL=next; timeout=3, <http://x/g>; rel=gone",
        ),
        (
            "Grip-Link",
            "</x>, </y>; rel=Next, </z>; rel=foo, <urn:a>; timeout=x",
        ),
    ]);
    assert_eq!(
        instruct.next,
        Some(Link {
            url: "n2".into(),
            timeout_s: 3
        })
    );
    assert_eq!(
        instruct.gone,
        Some(Link {
            url: "http://x/g".into(),
            timeout_s: 0
        })
    );
}

#[test]
fn next_timeouts_have_a_default_and_no_minimum() {
    let cases = [
        ("", 120),
        ("; timeout", 120),
        ("; timeout=0", 0),
        ("; timeout=1", 1),
        ("; timeout=2147483", 2_147_483),
        ("; timeout=2147484", 2_147_483),
    ];
    for (timeout, wanted) in cases {
        let instruct = decode(&[("Grip-Link", &format!("</x>; rel=next{timeout}"))]);
        assert_eq!(instruct.next.unwrap().timeout_s, wanted, "{timeout:?}");
    }
}

#[test]
fn links_resolve_or_fail_with_the_request() {
    let lines = fields(&[("Grip-Link", "</x>; rel=next")]);
    assert_eq!(
        decode_fields(&lines, "nonsense"),
        Err(InstructError::LinkUrl)
    );
    let plain = fields(&[("Grip-Hold", "stream")]);
    assert!(
        decode_fields(&plain, "nonsense").is_ok(),
        "the base is not looked at"
    );
}

#[test]
fn exposed_names_decide_which_fields_stay() {
    let named = decode(&[
        ("Grip-Expose-Headers", "x-a, Foo"),
        ("Grip-Expose-Headers", ""),
    ]);
    assert!(named.keeps_field("X-A") && named.keeps_field("foo"));
    assert!(!named.keeps_field("X-B") && !named.keeps_field("Content-Type"));
    let empty = decode(&[("Grip-Expose-Headers", "")]);
    assert!(empty.keeps_field("X-B"));
    let comma = decode(&[("Grip-Expose-Headers", ",")]);
    assert!(!comma.keeps_field("X-B"));
    let greedy = decode(&[("Grip-Expose-Headers", "Grip-Hold, Connection")]);
    assert!(!greedy.keeps_field("Grip-Hold") && !greedy.keeps_field("Connection"));
}

#[test]
fn fields_of_framing_and_of_grip_never_reach_the_client() {
    let instruct = Instruct::default();
    let gone = [
        "Grip-Foo",
        "grip-hold",
        "Connection",
        "Keep-Alive",
        "Content-Encoding",
        "Transfer-Encoding",
        "content-length",
    ];
    for name in gone {
        assert!(!instruct.keeps_field(name), "{name}");
    }
    for name in ["Content-Type", "Set-Cookie", "ETag", "X-Grip-Hold"] {
        assert!(instruct.keeps_field(name), "{name}");
    }
}

#[test]
fn keep_alive_belongs_to_the_hold() {
    let line = ("Grip-Keep-Alive", "x; timeout=2; mode=interval");
    let hold = decode(&[("Grip-Hold", "stream"), line]).hold.unwrap();
    let keep_alive = hold.keep_alive.unwrap();
    assert_eq!(
        (keep_alive.timeout_s, keep_alive.mode),
        (2, KeepAliveMode::Interval)
    );
    assert_eq!(decode(&[line]), Instruct::default(), "nothing is held");
}

#[test]
fn bytes_that_are_not_utf8_become_replacement_characters() {
    let field = [Field {
        name: "Grip-Channel",
        value: b"a\xff",
    }];
    let instruct = decode_fields(&field, BASE).unwrap();
    assert_eq!(instruct.channels[0].name, "a\u{fffd}");
}

#[test]
fn values_cut_anywhere_never_panic() {
    let values = [
        ("Grip-Channel", r#"a; prev-id="b\"c"; filter=x, d; filter"#),
        (
            "Grip-Link",
            r#"<http://[::1]:80/%2e/?a#b>; rel="next"; timeout=5"#,
        ),
        (
            "Grip-Keep-Alive",
            r#"a\x41\\; format=cstring; timeout="7"; mode=idle"#,
        ),
    ];
    for (name, value) in values {
        for cut in 0..=value.len() {
            let value = value.as_bytes().get(..cut).unwrap();
            let _either = decode_fields(&[Field { name, value }], BASE);
        }
    }
}

#[test]
fn damaged_values_never_panic() {
    let values = [
        ("Grip-Channel", r#"a; prev-id="b\"c"; filter=x, d; filter"#),
        ("Grip-Set-Meta", r#"a="b\\", c; d=e, f="#),
        (
            "Grip-Link",
            r#"<http://[::1]:80/%2e/?a#b>; rel="next"; timeout=5"#,
        ),
        (
            "Grip-Keep-Alive",
            r#"a\x41\\; format=cstring; timeout="7"; mode=idle"#,
        ),
        ("Grip-Status", "404 Not Found"),
        ("Grip-Timeout", "+55"),
    ];
    let mut random = Random::new(11);
    for _round in 0..20_000 {
        let (name, value) = *random.pick(&values);
        let mut value = value.as_bytes().to_vec();
        random.damage(&mut value);
        let _either = decode_fields(
            &[Field {
                name,
                value: &value,
            }],
            BASE,
        );
    }
}
