//! Tests of patches.

use super::*;
use crate::grip::test_random::Random;
use crate::grip::tree::parse_json;

fn ops(text: &str) -> Vec<PatchOp> {
    let tree = parse_json(text.as_bytes()).unwrap();
    tree.as_list()
        .unwrap()
        .iter()
        .map(PatchOp::from_tree)
        .collect()
}

fn patched(body: &str, patch: &str) -> Result<String, PatchError> {
    apply(&ops(patch), body.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn operations_change_the_document() {
    let body = r#"{"a":1,"z":[1,2,3],"o":{"p":"q"}}"#;
    let cases = [
        (
            r#"[{"op":"replace","path":"/a","value":2}]"#,
            r#"{"a":2,"o":{"p":"q"},"z":[1,2,3]}"#,
        ),
        (
            r#"[{"op":"add","path":"/b","value":null}]"#,
            r#"{"a":1,"b":null,"o":{"p":"q"},"z":[1,2,3]}"#,
        ),
        (
            r#"[{"op":"add","path":"/z/0","value":9}]"#,
            r#"{"a":1,"o":{"p":"q"},"z":[9,2,3]}"#,
        ),
        (
            r#"[{"op":"add","path":"/z/-","value":9}]"#,
            r#"{"a":1,"o":{"p":"q"},"z":[1,2,3,9]}"#,
        ),
        (
            r#"[{"op":"remove","path":"/z/0"}]"#,
            r#"{"a":1,"o":{"p":"q"},"z":[2,3]}"#,
        ),
        (
            r#"[{"op":"remove","path":"/o/p"}]"#,
            r#"{"a":1,"o":{},"z":[1,2,3]}"#,
        ),
        (
            r#"[{"op":"move","from":"/a","path":"/o/x"}]"#,
            r#"{"o":{"p":"q","x":1},"z":[1,2,3]}"#,
        ),
        (
            r#"[{"op":"move","from":"/z/0","path":"/z/0"}]"#,
            r#"{"a":1,"o":{"p":"q"},"z":[1,2,3]}"#,
        ),
        (
            r#"[{"op":"copy","from":"/o","path":"/z/1"}]"#,
            r#"{"a":1,"o":{"p":"q"},"z":[1,{"p":"q"},3]}"#,
        ),
        (r#"[{"op":"replace","path":"/","value":[0]}]"#, "[0]"),
        (r#"[{"op":"copy","from":"/z","path":"/"}]"#, "[1,2,3]"),
        (
            r#"[{"op":"replace","path":"/","value":1},{"op":"add","path":"/","value":{}}]"#,
            "{}",
        ),
        ("[]", r#"{"a":1,"o":{"p":"q"},"z":[1,2,3]}"#),
    ];
    for (patch, wanted) in cases {
        assert_eq!(patched(body, patch).as_deref(), Ok(wanted), "{patch}");
    }
}

#[test]
fn every_failure_has_its_error() {
    let body = r#"{"a":1,"z":[1,2,3],"o":{"p":"q"}}"#;
    let cases = [
        (
            r#"[{"op":"replace","path":"/x","value":1}]"#,
            PatchError::Missing,
        ),
        (
            r#"[{"op":"add","path":"/x/y","value":1}]"#,
            PatchError::Missing,
        ),
        (
            r#"[{"op":"add","path":"/a/y","value":1}]"#,
            PatchError::Missing,
        ),
        (
            r#"[{"op":"add","path":"/z/3","value":1}]"#,
            PatchError::Missing,
        ),
        (
            r#"[{"op":"add","path":"/z/x","value":1}]"#,
            PatchError::Missing,
        ),
        (
            r#"[{"op":"add","path":"/z/+1","value":1}]"#,
            PatchError::Missing,
        ),
        (
            r#"[{"op":"replace","path":"/z/-","value":1}]"#,
            PatchError::Missing,
        ),
        (r#"[{"op":"remove","path":"/z/3"}]"#, PatchError::Missing),
        (r#"[{"op":"remove","path":"/z/-"}]"#, PatchError::Missing),
        (r#"[{"op":"remove","path":"/x"}]"#, PatchError::Missing),
        (r#"[{"op":"remove","path":"/"}]"#, PatchError::Impossible),
        (
            r#"[{"op":"move","from":"/","path":"/x"}]"#,
            PatchError::Impossible,
        ),
        (
            r#"[{"op":"move","from":"/o","path":"/o/p"}]"#,
            PatchError::Impossible,
        ),
        (
            r#"[{"op":"move","from":"/x","path":"/x"}]"#,
            PatchError::Missing,
        ),
        (
            r#"[{"op":"copy","from":"/x","path":"/y"}]"#,
            PatchError::Missing,
        ),
        (
            r#"[{"op":"replace","path":"","value":{}}]"#,
            PatchError::Path,
        ),
        (
            r#"[{"op":"replace","path":"a","value":{}}]"#,
            PatchError::Path,
        ),
        (r#"[{"op":"add","path":"//a","value":1}]"#, PatchError::Path),
        (r#"[{"op":"add","path":"/a/","value":1}]"#, PatchError::Path),
        (r#"[{"op":"add","path":"/~2","value":1}]"#, PatchError::Path),
        (r#"[{"op":"add","path":"/~","value":1}]"#, PatchError::Path),
        (
            r#"[{"op":"test","path":"/a","value":2}]"#,
            PatchError::TestFailed,
        ),
        (
            r#"[{"op":"replace","path":"/","value":1}]"#,
            PatchError::ResultNotContainer,
        ),
        (r#"[{"op":"frob","path":"/a"}]"#, PatchError::Malformed),
        (r#"[{"op":"add","path":"/a"}]"#, PatchError::Malformed),
        (r#"[{"op":"move","path":"/a"}]"#, PatchError::Malformed),
        (r#"[{"op":"remove","path":1}]"#, PatchError::Malformed),
        ("[1]", PatchError::Malformed),
    ];
    for (patch, wanted) in cases {
        assert_eq!(patched(body, patch), Err(wanted), "{patch}");
    }
}

#[test]
fn only_objects_and_lists_can_be_patched() {
    for body in ["", "1", "null", "\"a\"", "{", "{} x"] {
        assert_eq!(
            patched(body, "[]"),
            Err(PatchError::NotContainer),
            "{body:?}"
        );
    }
}

#[test]
fn names_may_hold_slashes_and_tildes() {
    let patch = r#"[{"op":"replace","path":"/a~1b~0c~01","value":2}]"#;
    assert_eq!(
        patched(r#"{"a/b~c~1":1}"#, patch).as_deref(),
        Ok(r#"{"a/b~c~1":2}"#)
    );
}

#[test]
fn tests_compare_by_value() {
    let body = r#"{"n":1,"f":1.5,"s":"x","u":null,"l":[1,{"a":2}]}"#;
    let cases = [
        ("/n", "1.0", true),
        ("/n", "\"1\"", false),
        ("/n", "true", false),
        ("/f", "1.4", false),
        ("/f", "15e-1", true),
        ("/s", "\"x\"", true),
        ("/u", "null", true),
        ("/l", "[1.0,{\"a\":2}]", true),
        ("/l", "[1]", false),
        ("/l/1", "{}", false),
    ];
    for (path, value, wanted) in cases {
        let patch = format!(r#"[{{"op":"test","path":"{path}","value":{value}}}]"#);
        assert_eq!(patched(body, &patch).is_ok(), wanted, "{patch}");
    }
}

#[test]
fn the_result_is_compact_sorted_and_ends_like_the_original() {
    let cases = [
        ("{\"b\": 1.50, \"a\": null}", "{\"a\":null,\"b\":1.5}"),
        ("{\"b\": 1, \"a\": 2}\n", "{\"a\":2,\"b\":1}\n"),
        ("[ \"\\u00e9\" ]\r\n", "[\"é\"]\r\n"),
        ("[9223372036854775807]\n\n", "[9223372036854775807]\n"),
        ("[]\r", "[]"),
    ];
    for (body, wanted) in cases {
        assert_eq!(patched(body, "[]").as_deref(), Ok(wanted), "{body:?}");
    }
}

#[test]
fn copies_of_copies_stop_at_the_limit() {
    let doubling = r#"{"op":"copy","from":"/","path":"/x"},{"op":"copy","from":"/","path":"/y"}"#;
    let patch = format!("[{}]", [doubling; 40].join(","));
    assert_eq!(
        patched(r#"{"a":[1,2,3]}"#, &patch),
        Err(PatchError::TooLarge)
    );
    let copy = |len: usize| {
        let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(len));
        patched(&body, r#"[{"op":"copy","from":"/a","path":"/b"}]"#)
    };
    assert!(copy(COPIED_MAX - 1).is_ok());
    assert_eq!(copy(COPIED_MAX), Err(PatchError::TooLarge));
}

#[test]
fn nesting_stops_at_the_limit() {
    let nested = |levels: usize| {
        let list = |inner, _level| Value::Array(vec![inner]);
        let value = (0..levels).fold(Value::Null, list);
        apply(
            &[PatchOp::Add {
                path: "/a".into(),
                value,
            }],
            b"{}",
        )
    };
    assert!(nested(DEPTH_MAX - 1).is_ok());
    assert_eq!(nested(DEPTH_MAX), Err(PatchError::TooLarge));
}

#[test]
fn damaged_patches_never_panic() {
    let patch = r#"[{"op":"move","from":"/z/1","path":"/o/p"},{"op":"add","path":"/z/-",
        "value":{"a":[]}},{"op":"copy","from":"/","path":"/z/0"},{"op":"remove","path":"/a"}]"#;
    let body = br#"{"a":1,"z":[1,2,3],"o":{"p":"q"}}"#;
    assert!(apply(&ops(patch), body).is_ok());
    let mut random = Random::new(17);
    for _round in 0..10_000 {
        let mut text = patch.as_bytes().to_vec();
        random.damage(&mut text);
        let Some(tree) = parse_json(&text) else {
            continue;
        };
        let ops: Vec<_> = tree
            .as_list()
            .unwrap_or_default()
            .iter()
            .map(PatchOp::from_tree)
            .collect();
        let _either = apply(&ops, body);
    }
}
