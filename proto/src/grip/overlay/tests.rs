//! Tests of the JSON form.

use super::*;
use crate::grip::test_random::Random;

const BASE: &str = "http://h/a";

fn try_decode(lines: &[(&str, &str)], body: &str) -> Result<Instruct, InstructError> {
    let fields: Vec<Field<'_>> = lines
        .iter()
        .map(|(name, value)| Field {
            name,
            value: value.as_bytes(),
        })
        .collect();
    decode_json(&fields, BASE, 200, body.as_bytes())
}

fn decode(lines: &[(&str, &str)], body: &str) -> Instruct {
    try_decode(lines, body).unwrap()
}

fn status(instruct: &Instruct) -> (u16, &str) {
    let status = instruct.status.as_ref().unwrap();
    (status.code, std::str::from_utf8(&status.reason).unwrap())
}

#[test]
fn every_mistake_has_its_text() {
    const JSON: &str = "failed to parse application/grip-instruct content as JSON";
    let hold = |member: &str| format!(r#"{{"hold":{{"channels":[],{member}}}}}"#);
    let channel = |channel: &str| format!(r#"{{"hold":{{"channels":[{channel}]}}}}"#);
    let response = |member: &str| format!(r#"{{"response":{{{member}}}}}"#);
    let cases = [
        (String::new(), JSON),
        ("{".into(), JSON),
        ("5".into(), JSON),
        ("\"x\"".into(), JSON),
        ("[]".into(), "instruct must be an object"),
        (
            r#"{"hold":null}"#.into(),
            "instruct contains 'hold' with wrong type",
        ),
        (
            r#"{"hold":1}"#.into(),
            "instruct contains 'hold' with wrong type",
        ),
        (
            hold(r#""mode":null"#),
            "hold contains 'mode' with wrong type",
        ),
        (
            hold(r#""mode":"Stream""#),
            "hold 'mode' must be set to either 'response' or 'stream'",
        ),
        (r#"{"hold":{}}"#.into(), "hold does not contain 'channels'"),
        (
            r#"{"hold":{"channels":null}}"#.into(),
            "hold contains 'channels' with wrong type",
        ),
        (channel("1"), "channel is not an object"),
        (channel("{}"), "channel does not contain 'name'"),
        (
            channel(r#"{"name":1}"#),
            "channel contains 'name' with wrong type",
        ),
        (
            channel(r#"{"name":"a","prev-id":null}"#),
            "channel contains 'prev-id' with wrong type",
        ),
        (
            channel(r#"{"name":"a","filters":""}"#),
            "channel contains 'filters' with wrong type",
        ),
        (
            channel(r#"{"name":"a","filters":[1]}"#),
            "filters contains value with wrong type",
        ),
        (
            channel(r#"{"name":"a","filters":["","","","","",""]}"#),
            "too many filters for channel 'a'",
        ),
        (
            hold(r#""timeout":null"#),
            "hold contains 'timeout' with wrong type",
        ),
        (
            hold(r#""timeout":[]"#),
            "hold contains 'timeout' with wrong type",
        ),
        (
            hold(r#""timeout":"abc""#),
            "hold contains 'timeout' with wrong type",
        ),
        (
            hold(r#""timeout":true"#),
            "hold contains 'timeout' with wrong type",
        ),
        (
            hold(r#""timeout":-1"#),
            "hold contains 'timeout' with invalid value",
        ),
        (
            hold(r#""keep-alive":[]"#),
            "hold contains 'keep-alive' with wrong type",
        ),
        (
            hold(r#""keep-alive":{"content":1}"#),
            "keep-alive contains 'content' with wrong type",
        ),
        (
            hold(r#""keep-alive":{"content-bin":1}"#),
            "keep-alive contains 'content-bin' with wrong type",
        ),
        (
            hold(r#""keep-alive":{"timeout":{}}"#),
            "keep-alive contains 'timeout' with wrong type",
        ),
        (
            hold(r#""keep-alive":{"timeout":-1}"#),
            "keep-alive contains 'timeout' with invalid value",
        ),
        (hold(r#""meta":1"#), "hold contains 'meta' with wrong type"),
        (
            hold(r#""meta":{"k":1}"#),
            "'meta' contains 'k' with wrong type",
        ),
        (
            r#"{"response":1}"#.into(),
            "instruct contains 'response' with wrong type",
        ),
        (
            response(r#""code":null"#),
            "response contains 'code' with wrong type",
        ),
        (
            response(r#""code":"abc""#),
            "response contains 'code' with wrong type",
        ),
        (
            response(r#""code":true"#),
            "response contains 'code' with wrong type",
        ),
        (
            response(r#""code":1000"#),
            "response contains 'code' with invalid value",
        ),
        (
            response(r#""code":-1"#),
            "response contains 'code' with invalid value",
        ),
        (
            response(r#""reason":1"#),
            "response contains 'reason' with wrong type",
        ),
        (
            response(r#""reason":"a\nb""#),
            "response contains 'reason' with invalid value",
        ),
        (
            response(r#""body":1"#),
            "response contains 'body' with wrong type",
        ),
        (
            response(r#""body-bin":null"#),
            "response contains 'body-bin' with wrong type",
        ),
        (
            response(r#""headers":1"#),
            "response contains 'headers' with wrong type",
        ),
        (
            response(r#""headers":[1]"#),
            "headers contains element with wrong type",
        ),
        (
            response(r#""headers":[["a"]]"#),
            "headers contains list with wrong number of elements",
        ),
        (
            response(r#""headers":[[1,"a"]]"#),
            "header contains name element with wrong type",
        ),
        (
            response(r#""headers":[["a",1]]"#),
            "header contains value element with wrong type",
        ),
        (
            response(r#""headers":{"a":1}"#),
            "headers contains 'a' with wrong type",
        ),
        (
            response(r#""headers":{"a":"b\r\nc"}"#),
            "headers contains invalid value",
        ),
        (
            response(r#""headers":[["a","b\u0000"]]"#),
            "headers contains invalid value",
        ),
        (
            response(r#""headers":{"a\r\nb":"c"}"#),
            "headers contains invalid name",
        ),
        (
            response(r#""headers":[["","c"]]"#),
            "headers contains invalid name",
        ),
    ];
    for (body, wanted) in cases {
        assert_eq!(
            try_decode(&[], &body).unwrap_err().to_string(),
            wanted,
            "{body}"
        );
    }
}

#[test]
fn the_backends_status_must_be_200() {
    let error = decode_json(&[], BASE, 201, b"{}").unwrap_err();
    let wanted = "response code for application/grip-instruct content must be 200";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn a_mistake_in_the_fields_comes_first() {
    assert_eq!(
        try_decode(&[("Grip-Timeout", "x")], "["),
        Err(InstructError::Timeout)
    );
}

#[test]
fn nothing_at_all_is_an_empty_response() {
    for body in [
        "{}",
        r#"{"response":{}}"#,
        r#"{"response":{"body":""}}"#,
        r#"{"x":null}"#,
    ] {
        let wanted = Instruct {
            response: Some(InstructResponse::default()),
            ..Instruct::default()
        };
        assert_eq!(decode(&[], body), wanted, "{body}");
    }
}

#[test]
fn a_hold_without_mode_is_a_response_hold_even_over_a_stream_field() {
    let instruct = decode(&[("Grip-Hold", "stream")], r#"{"hold":{"channels":[]}}"#);
    assert_eq!(instruct.hold.unwrap().mode, HoldMode::Response);
    let kept = decode(&[("Grip-Hold", "stream")], "{}");
    assert_eq!(kept.hold.unwrap().mode, HoldMode::Stream);
}

#[test]
fn channels_are_appended_and_the_rest_replaces() {
    let lines = [
        ("Grip-Hold", "response"),
        ("Grip-Channel", "j1"),
        ("Grip-Timeout", "70"),
        ("Grip-Set-Meta", "a=1, b=1"),
        ("Grip-Link", "</n>; rel=next"),
        ("Grip-Expose-Headers", "X"),
    ];
    let body = r#"{"hold":{"mode":"stream","timeout":80,"meta":{"b":"2","c":"3"},
        "channels":[{"name":"j2","prev-id":"p","filters":["f"]}]}}"#;
    let instruct = decode(&lines, body);
    assert!(instruct.next.is_some() && instruct.expose.is_some());
    let hold = instruct.hold.unwrap();
    assert_eq!((hold.mode, hold.timeout_s), (HoldMode::Stream, 80));
    let names: Vec<_> = hold
        .channels
        .iter()
        .map(|channel| channel.name.as_str())
        .collect();
    assert_eq!(names, ["j1", "j2"]);
    assert_eq!(hold.channels[1].prev_id.as_deref(), Some("p"));
    assert_eq!(hold.channels[1].filters, ["f"]);
    let some = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    assert_eq!(hold.meta, [some("a", "1"), some("b", "2"), some("c", "3")]);
    let silent = decode(&lines, r#"{"hold":{"channels":[]}}"#);
    assert_eq!(
        silent.hold.unwrap().timeout_s,
        70,
        "the field's timeout stays"
    );
}

#[test]
fn timeouts_are_rounded_and_clamped() {
    let cases = [
        ("0", 5),
        ("4.4", 5),
        ("5.5", 6),
        ("\"7\"", 7),
        ("1e300", 2_147_483),
        ("2147483.4", 2_147_483),
        ("2147484", 2_147_483),
    ];
    for (timeout, wanted) in cases {
        let body = format!(r#"{{"hold":{{"channels":[],"timeout":{timeout}}}}}"#);
        assert_eq!(
            decode(&[], &body).hold.unwrap().timeout_s,
            wanted,
            "{timeout}"
        );
    }
}

#[test]
fn a_keep_alive_without_field_runs_at_a_fixed_pace() {
    let keep_alive = |lines: &[(&str, &str)], keep_alive: &str| {
        let body = format!(r#"{{"hold":{{"channels":[],"keep-alive":{keep_alive}}}}}"#);
        decode(lines, &body).hold.unwrap().keep_alive.unwrap()
    };
    let wanted = |content: &[u8], timeout_s, mode| KeepAlive {
        content: content.to_vec(),
        timeout_s,
        mode,
    };
    use KeepAliveMode::{Idle, Interval};
    assert_eq!(
        keep_alive(&[], r#"{"content":"a","timeout":2}"#),
        wanted(b"a", 2, Interval)
    );
    assert_eq!(keep_alive(&[], "{}"), wanted(b"", 55, Interval));
    assert_eq!(
        keep_alive(&[], r#"{"timeout":0}"#),
        wanted(b"", 1, Interval)
    );
    let both = r#"{"content":"a","content-bin":"A!P8K"}"#;
    assert_eq!(keep_alive(&[], both), wanted(b"\x00\xff\n", 55, Interval));
    let line = [("Grip-Keep-Alive", "x; timeout=9")];
    assert_eq!(keep_alive(&line, r#"{"timeout":2}"#), wanted(b"x", 2, Idle));
    assert_eq!(
        keep_alive(&line, r#"{"content":""}"#),
        wanted(b"", 55, Idle)
    );
}

#[test]
fn code_and_reason_take_the_place_of_the_fields_or_leave_them() {
    let none: &[(&str, &str)] = &[];
    let line: &[(&str, &str)] = &[("Grip-Status", "404 Nope")];
    let cases = [
        (
            none,
            r#"{"response":{"code":404.6}}"#,
            (405, "Method Not Allowed"),
        ),
        (none, r#"{"response":{"code":"404"}}"#, (404, "Not Found")),
        (none, r#"{"response":{"code":0}}"#, (0, "Undefined Reason")),
        (
            none,
            r#"{"response":{"code":999,"reason":""}}"#,
            (999, "Undefined Reason"),
        ),
        (none, r#"{"response":{"reason":"Yo"}}"#, (200, "Yo")),
        (line, r#"{"response":{"body":"x"}}"#, (404, "Nope")),
        (line, r#"{"response":{"code":201}}"#, (201, "Created")),
        (line, r#"{"response":{"reason":"Yo"}}"#, (404, "Yo")),
    ];
    for (lines, body, wanted) in cases {
        assert_eq!(status(&decode(lines, body)), wanted, "{body}");
    }
    assert_eq!(
        decode(none, r#"{"response":{"body":"x"}}"#).status,
        None,
        "the backend's stay"
    );
}

#[test]
fn headers_keep_their_order_as_a_list_and_are_sorted_as_an_object() {
    let headers = |headers: &str| {
        let body = format!(r#"{{"response":{{"headers":{headers}}}}}"#);
        let headers = decode(&[], &body).response.unwrap().headers;
        let line = |(name, value): (String, Vec<u8>)| {
            format!("{name}: {}", String::from_utf8(value).unwrap())
        };
        headers.into_iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        headers(r#"[["b","1"],["a","2"],["b","3"]]"#),
        ["b: 1", "a: 2", "b: 3"]
    );
    assert_eq!(headers(r#"{"b":"1","a":"2","b":"3"}"#), ["a: 2", "b: 3"]);
    let framing = r#"{"Connection":"x","Keep-Alive":"x","Content-Encoding":"x",
        "Transfer-Encoding":"x","Content-Length":"7","Grip-Foo":"y"}"#;
    assert_eq!(headers(framing), ["Grip-Foo: y"]);
}

#[test]
fn binary_content_wins_and_is_read_leniently() {
    let body = r#"{"response":{"body":"x","body-bin":"Y*WI"}}"#;
    assert_eq!(decode(&[], body).response.unwrap().body, b"ab");
}

#[test]
fn damaged_content_never_panics() {
    let body = r#"{"hold":{"mode":"stream","channels":[{"name":"a","prev-id":"\u00e9",
        "filters":["x"]}],"timeout":5.5,"keep-alive":{"content-bin":"AA","timeout":"3"},
        "meta":{"a":"b"}},"response":{"code":200,"reason":"x","headers":[["a","b"]],"body":""}}"#;
    assert!(try_decode(&[], body).is_ok());
    let mut random = Random::new(13);
    for _round in 0..20_000 {
        let mut body = body.as_bytes().to_vec();
        random.damage(&mut body);
        let _either = decode_json(&[], BASE, 200, &body);
    }
}
