//! Tests of published items.

use serde_json::json;

use super::*;
use crate::grip::Format;
use crate::grip::test_random::Random;
use crate::zhttp::tnetstring::encode;

fn from_json(text: &str) -> Result<Item, ShapeError> {
    item(&parse_json(text.as_bytes()).unwrap(), Encoding::Json, None)
}

/// The same JSON, sent as a tnetstring.
fn from_tnet(text: &str) -> Result<Item, ShapeError> {
    parse_item_tnet(&parse_json(text.as_bytes()).unwrap(), None)
}

fn response(members: &str) -> Result<ResponseContent, ShapeError> {
    let text = format!(r#"{{"channel":"c","http-response":{{{members}}}}}"#);
    match from_json(&text)?.response {
        Some(ResponseForm::Send(content)) => Ok(*content),
        other => panic!("not sent: {other:?}"),
    }
}

fn lines(content: &ResponseContent) -> Vec<String> {
    let line = |(name, value): &(String, Vec<u8>)| {
        format!("{name}: {}", std::str::from_utf8(value).unwrap())
    };
    content.headers.iter().map(line).collect()
}

#[test]
fn the_body_of_a_publish_is_refused_with_the_exact_texts() {
    let cases = [
        ("", "Body is not valid JSON."),
        ("5", "Body is not valid JSON."),
        ("{} x", "Body is not valid JSON."),
        ("{\"items\":[]", "Body is not valid JSON."),
        ("[]", "Invalid format."),
        ("{}", "Invalid format: object does not contain 'items'"),
        (
            "{\"items\":{}}",
            "Invalid format: object contains 'items' with wrong type",
        ),
        (
            "{\"items\":null}",
            "Invalid format: object contains 'items' with wrong type",
        ),
        (
            "{\"items\":[1]}",
            "Invalid format: publish item object is not an object",
        ),
        (
            r#"{"items":[{"channel":"a","http-stream":{"content":""}},{}]}"#,
            "Invalid format: publish item object does not contain 'channel'",
        ),
    ];
    for (body, wanted) in cases {
        assert_eq!(
            parse_publish_body(body.as_bytes()).unwrap_err().to_string(),
            wanted,
            "{body}"
        );
    }
    assert_eq!(
        parse_publish_body(b"{\"items\":[\"\xff\"]}"),
        Err(PublishError::NotJson),
        "invalid UTF-8"
    );
}

#[test]
fn a_publish_may_be_empty_and_start_with_a_byte_order_mark() {
    assert_eq!(parse_publish_body(b"{\"items\":[]}"), Ok(vec![]));
    assert_eq!(
        parse_publish_body(b"\xef\xbb\xbf{\"items\":[]}\n"),
        Ok(vec![])
    );
    assert_eq!(
        parse_publish_body(br#"{"items":1,"items":[]}"#),
        Ok(vec![]),
        "the last counts"
    );
}

#[test]
fn every_mistake_in_an_item_has_its_text() {
    let cases = [
        ("[]", "publish item object is not an object"),
        ("{}", "publish item object does not contain 'channel'"),
        (
            r#"{"channel":5}"#,
            "publish item object contains 'channel' with wrong type",
        ),
        (
            r#"{"channel":"","id":null}"#,
            "publish item object contains 'id' with wrong type",
        ),
        (
            r#"{"channel":"","prev-id":1}"#,
            "publish item object contains 'prev-id' with wrong type",
        ),
        (
            r#"{"channel":"","formats":[]}"#,
            "publish item object contains 'formats' with wrong type",
        ),
        (r#"{"channel":"","formats":{}}"#, "no formats specified"),
        (r#"{"channel":""}"#, "no formats specified"),
        (
            r#"{"channel":"","http-response":1}"#,
            "'http-response' is not an object",
        ),
        (
            r#"{"channel":"","http-stream":null}"#,
            "'http-stream' is not an object",
        ),
        (
            r#"{"channel":"","formats":{"ws-message":[]}}"#,
            "'ws-message' is not an object",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(from_json(text).unwrap_err().to_string(), wanted, "{text}");
        assert_eq!(from_tnet(text).unwrap_err().to_string(), wanted, "{text}");
    }
}

#[test]
fn every_mistake_behind_the_formats_has_its_text() {
    let cases = [
        (
            r#""meta":[]"#,
            "publish item object contains 'meta' with wrong type",
        ),
        (
            r#""meta":{"k":null}"#,
            "'meta' contains 'k' with wrong type",
        ),
        (
            r#""size":null"#,
            "publish item object contains 'size' with wrong type",
        ),
        (
            r#""size":"abc""#,
            "publish item object contains 'size' with wrong type",
        ),
        (
            r#""size":true"#,
            "publish item object contains 'size' with wrong type",
        ),
        (
            r#""size":-1"#,
            "publish item object contains 'size' with invalid value",
        ),
        (
            r#""no-seq":1"#,
            "publish item object contains 'no-seq' with wrong type",
        ),
    ];
    for (member, wanted) in cases {
        let text = format!(r#"{{"channel":"","formats":{{"x":1}},{member}}}"#);
        assert_eq!(from_json(&text).unwrap_err().to_string(), wanted, "{text}");
    }
}

#[test]
fn every_mistake_in_a_format_has_its_text() {
    let cases = [
        (
            "http-response",
            r#""action":1"#,
            "'http-response' contains 'action' with wrong type",
        ),
        (
            "http-stream",
            r#""action":"""#,
            "'http-stream' contains 'action' with unknown value",
        ),
        (
            "ws-message",
            r#""action":"foo""#,
            "'ws-message' contains 'action' with unknown value",
        ),
        (
            "http-response",
            r#""code":[]"#,
            "'http-response' contains 'code' with wrong type",
        ),
        (
            "http-response",
            r#""code":"abc""#,
            "'http-response' contains 'code' with wrong type",
        ),
        (
            "http-response",
            r#""code":1000"#,
            "'http-response' contains 'code' with invalid value",
        ),
        (
            "http-response",
            r#""code":-1"#,
            "'http-response' contains 'code' with invalid value",
        ),
        (
            "http-response",
            r#""reason":1"#,
            "'http-response' contains 'reason' with wrong type",
        ),
        (
            "http-response",
            r#""reason":"a\r\nb""#,
            "'http-response' contains 'reason' with invalid value",
        ),
        (
            "http-response",
            r#""headers":1"#,
            "'http-response' contains 'headers' with wrong type",
        ),
        (
            "http-response",
            r#""headers":[1]"#,
            "headers contains element with wrong type",
        ),
        (
            "http-response",
            r#""headers":[["a","b","c"]]"#,
            "headers contains list with wrong number of elements",
        ),
        (
            "http-response",
            r#""headers":[[1,"a"]]"#,
            "header contains name element with wrong type",
        ),
        (
            "http-response",
            r#""headers":[["a",1]]"#,
            "header contains value element with wrong type",
        ),
        (
            "http-response",
            r#""headers":{"a":1}"#,
            "headers contains 'a' with wrong type",
        ),
        (
            "http-response",
            r#""headers":{"a":"\n"}"#,
            "headers contains invalid value",
        ),
        (
            "http-response",
            r#""headers":[["a:","b"]]"#,
            "headers contains invalid name",
        ),
        (
            "http-response",
            r#""content-filters":"x""#,
            "'http-response' contains 'content-filters' with wrong type",
        ),
        (
            "http-response",
            r#""content-filters":[1]"#,
            "content-filters contains element with wrong type",
        ),
        (
            "http-response",
            r#""body-bin":1,"body":"x""#,
            "'http-response' contains 'body-bin' with wrong type",
        ),
        (
            "http-response",
            r#""body":null,"body-patch":[]"#,
            "'http-response' contains 'body' with wrong type",
        ),
        (
            "http-response",
            r#""body-patch":{}"#,
            "'http-response' contains 'body-patch' with wrong type",
        ),
        (
            "http-response",
            "",
            "'http-response' does not contain 'body', 'body-bin', or 'body-patch'",
        ),
        (
            "http-stream",
            r#""content-filters":{}"#,
            "'http-stream' contains 'content-filters' with wrong type",
        ),
        (
            "http-stream",
            r#""content-bin":1"#,
            "'http-stream' contains 'content-bin' with wrong type",
        ),
        (
            "http-stream",
            r#""content":1"#,
            "'http-stream' contains 'content' with wrong type",
        ),
        (
            "http-stream",
            "",
            "'http-stream' does not contain 'content' or 'content-bin'",
        ),
        (
            "ws-message",
            r#""type":null"#,
            "'ws-message' contains 'type' with wrong type",
        ),
        (
            "ws-message",
            r#""type":"TEXT""#,
            "'ws-message' contains 'type' with unknown value",
        ),
        (
            "ws-message",
            r#""content":null"#,
            "'ws-message' contains 'content' with wrong type",
        ),
        (
            "ws-message",
            r#""content-bin":5"#,
            "'ws-message' contains 'content-bin' with wrong type",
        ),
        (
            "ws-message",
            "",
            "'ws-message' does not contain 'content' or 'content-bin'",
        ),
        (
            "ws-message",
            r#""type":"binary""#,
            "'ws-message' does not contain 'content' or 'content-bin'",
        ),
        (
            "ws-message",
            r#""action":"close","code":[]"#,
            "'ws-message' contains 'code' with wrong type",
        ),
        (
            "ws-message",
            r#""action":"close","code":-1"#,
            "'ws-message' contains 'code' with invalid value",
        ),
        (
            "ws-message",
            r#""action":"close","reason":1"#,
            "'ws-message' contains 'reason' with wrong type",
        ),
    ];
    for (format, members, wanted) in cases {
        let text = format!(r#"{{"channel":"c","formats":{{"{format}":{{{members}}}}}}}"#);
        assert_eq!(from_json(&text).unwrap_err().to_string(), wanted, "{text}");
    }
}

#[test]
fn tnetstrings_know_fewer_binary_members() {
    let cases = [
        (
            r#"{"channel":"c","http-stream":{"content-bin":"x"}}"#,
            "'http-stream' does not contain 'content'",
        ),
        (
            r#"{"channel":"c","http-response":{"body-bin":"x"}}"#,
            "'http-response' does not contain 'body' or 'body-patch'",
        ),
        (
            r#"{"channel":"c","ws-message":{}}"#,
            "'ws-message' does not contain 'content' or 'content-bin'",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(from_tnet(text).unwrap_err().to_string(), wanted, "{text}");
    }
    let text = r#"{"channel":"c","ws-message":{"content-bin":"AA=="}}"#;
    let content = |item: Item| match item.ws {
        Some(WsForm::Send(content)) => (content.message_type, content.content.to_vec()),
        other => panic!("not sent: {other:?}"),
    };
    assert_eq!(
        content(from_tnet(text).unwrap()),
        (WsType::Binary, b"AA==".to_vec())
    );
    assert_eq!(
        content(from_json(text).unwrap()),
        (WsType::Binary, b"\0".to_vec())
    );
}

#[test]
fn all_members_of_an_item_arrive() {
    let text = r#"{"channel":"c\u00e9","id":"i","prev-id":"p","meta":{"b":"2","a":"1"},
        "size":"5","no-seq":true,"http-stream":{"content":"x","content-filters":["f"]}}"#;
    let item = from_json(text).unwrap();
    assert_eq!(item.channel.as_ref(), "cé");
    assert_eq!(
        (item.id.as_deref(), item.prev_id.as_deref()),
        (Some("i"), Some("p"))
    );
    assert_eq!(
        item.meta,
        [("a".into(), "1".into()), ("b".into(), "2".into())]
    );
    assert_eq!((item.size, item.no_seq), (Some(5), true));
    assert!(item.has(Format::Stream) && !item.has(Format::Response) && !item.has(Format::Ws));
    let wanted = StreamContent::new(b"x", Some(vec!["f".into()]));
    assert_eq!(item.stream, Some(StreamForm::Send(wanted)));
    assert_eq!(from_tnet(text).unwrap(), item);
}

#[test]
fn formats_hide_the_short_forms_and_may_be_unknown() {
    let text = r#"{"channel":"c","formats":{"foo":1},"http-response":1}"#;
    let item = from_json(text).unwrap();
    assert_eq!((item.stream, item.response, item.ws), (None, None, None));
}

#[test]
fn other_actions_need_no_content_and_do_not_look_at_it() {
    let text = |action: &str| {
        let form = format!(r#"{{"action":"{action}","content":1,"body":1,"code":7}}"#);
        format!(
            r#"{{"channel":"c","http-response":{form},"http-stream":{form},"ws-message":{form}}}"#
        )
    };
    let forms = |action| {
        let item = from_json(&text(action)).unwrap();
        (
            item.response.unwrap(),
            item.stream.unwrap(),
            item.ws.unwrap(),
        )
    };
    assert_eq!(
        forms("hint"),
        (ResponseForm::Hint, StreamForm::Hint, WsForm::Hint)
    );
    assert_eq!(
        forms("refresh"),
        (ResponseForm::Refresh, StreamForm::Refresh, WsForm::Refresh)
    );
    let close = WsForm::Close {
        code: Some(7),
        reason: None,
    };
    assert_eq!(
        forms("close"),
        (ResponseForm::Close, StreamForm::Close, close)
    );
}

#[test]
fn stream_content_is_framed_once() {
    let content = StreamContent::new(b"hello world, hello", None);
    assert_eq!(content.chunk().as_ref(), b"12\r\nhello world, hello\r\n");
    assert_eq!(content.content(), b"hello world, hello");
    assert_eq!(content.content_range(), 4..22);
    let empty = StreamContent::new(b"", None);
    assert_eq!((empty.chunk().len(), empty.content().len()), (0, 0));
}

#[test]
fn binary_stream_content_wins_and_is_base64() {
    let text = r#"{"channel":"c","http-stream":{"content":1,"content-bin":"AP8K"}}"#;
    let wanted = StreamForm::Send(StreamContent::new(b"\x00\xff\n", None));
    assert_eq!(from_json(text).unwrap().stream, Some(wanted));
}

#[test]
fn a_response_has_code_and_reason_by_default() {
    let status = |members: &str| {
        let content = response(members).unwrap();
        (
            content.code,
            String::from_utf8(content.reason.to_vec()).unwrap(),
        )
    };
    let cases = [
        ("", 200, "OK"),
        (r#""code":404,"#, 404, "Not Found"),
        (r#""code":"404","reason":"","#, 404, "Not Found"),
        (r#""code":299,"#, 299, "Undefined Reason"),
        (r#""code":403.5,"reason":"Yo","#, 404, "Yo"),
        (r#""code":0,"#, 0, "Undefined Reason"),
        (r#""code":999,"#, 999, "Undefined Reason"),
    ];
    for (members, code, reason) in cases {
        let members = format!(r#"{members}"body":"""#);
        assert_eq!(status(&members), (code, reason.to_owned()), "{members}");
    }
}

#[test]
fn fields_of_grip_and_of_framing_are_taken_off_a_response() {
    let members = r#""body":"","headers":[["X-D","1"],["Grip-Foo","x"],["Content-Length","77"],
        ["Connection","x"],["transfer-encoding","x"],["Keep-Alive","x"],["X-D","2"],
        ["grip-expose-headers","X-D, X-E"],["Content-Encoding","gzip"]]"#;
    let content = response(members).unwrap();
    assert_eq!(
        lines(&content),
        ["X-D: 1", "X-D: 2", "Content-Encoding: gzip"]
    );
    assert_eq!(content.expose, Some(vec!["X-D".into(), "X-E".into()]));
    let sorted = response(r#""body":"","headers":{"b":"1","a":"2"}"#).unwrap();
    assert_eq!(
        (lines(&sorted), sorted.expose),
        (vec!["a: 2".into(), "b: 1".into()], None)
    );
}

#[test]
fn exactly_one_content_member_is_used_and_looked_at() {
    let body = |members: &str| response(members).unwrap().body;
    let bytes = |bytes: &[u8]| ResponseBody::Bytes(Arc::from(bytes));
    assert_eq!(
        body(r#""body-bin":"YQ","body":1,"body-patch":1"#),
        bytes(b"a")
    );
    assert_eq!(body(r#""body":"x","body-patch":1"#), bytes(b"x"));
    let patch = body(r#""body-patch":[{"op":"remove","path":"/a"},{"op":"?"}]"#);
    let wanted = vec![PatchOp::Remove { path: "/a".into() }, PatchOp::Invalid];
    assert_eq!(patch, ResponseBody::Patch(wanted));
}

#[test]
fn the_type_of_a_websocket_message_follows_its_content() {
    let cases: [(&str, WsType, &[u8]); 7] = [
        (r#""content":"hi""#, WsType::Text, b"hi"),
        (
            r#""content":"hi","content-bin":"AA""#,
            WsType::Binary,
            b"\0",
        ),
        (r#""type":"text","content-bin":"YQ""#, WsType::Text, b"a"),
        (r#""type":"binary","content":"hi""#, WsType::Binary, b"hi"),
        (r#""type":"ping""#, WsType::Ping, b""),
        (r#""type":"pong","content":"x""#, WsType::Pong, b"x"),
        (r#""content":"""#, WsType::Text, b""),
    ];
    for (members, message_type, content) in cases {
        let text = format!(r#"{{"channel":"c","ws-message":{{{members}}}}}"#);
        let wanted = WsContent {
            message_type,
            content: Arc::from(content),
            content_filters: None,
        };
        assert_eq!(
            from_json(&text).unwrap().ws,
            Some(WsForm::Send(wanted)),
            "{members}"
        );
    }
}

#[test]
fn close_codes_have_no_upper_bound() {
    let close = |members: &str| {
        let text = format!(r#"{{"channel":"c","ws-message":{{"action":"close"{members}}}}}"#);
        from_json(&text).unwrap().ws.unwrap()
    };
    let wanted = |code, reason: Option<&str>| WsForm::Close {
        code,
        reason: reason.map(Into::into),
    };
    assert_eq!(close(""), wanted(None, None));
    assert_eq!(
        close(r#","code":4321,"reason":"bye""#),
        wanted(Some(4321), Some("bye"))
    );
    assert_eq!(close(r#","code":70000"#), wanted(Some(70000), None));
    assert_eq!(close(r#","code":1e20"#), wanted(Some(u32::MAX), None));
}

#[test]
fn blocks_count_the_size_given_or_the_content() {
    let text = |size: &str| {
        format!(
            r#"{{"channel":"c",{size}"http-stream":{{"content":"abc"}},
                "http-response":{{"body":"abcd"}},"ws-message":{{"action":"close"}}}}"#
        )
    };
    let item = from_json(&text("")).unwrap();
    let lens =
        [Format::Stream, Format::Response, Format::Ws].map(|format| item.counted_len(format));
    assert_eq!(lens, [3, 4, 0]);
    let item = from_json(&text(r#""size":0,"#)).unwrap();
    assert_eq!(item.counted_len(Format::Stream), 0);
    let item = from_json(&text(r#""size":1e12,"#)).unwrap();
    assert_eq!(item.size, Some(u32::MAX));
}

#[test]
fn an_envelope_stands_in_for_the_channel() {
    for text in [
        r#"{"http-stream":{"content":""}}"#,
        r#"{"channel":5,"formats":{"x":1}}"#,
    ] {
        let tree = parse_json(text.as_bytes()).unwrap();
        assert_eq!(
            parse_item_tnet(&tree, Some("e")).unwrap().channel.as_ref(),
            "e",
            "{text}"
        );
    }
}

#[test]
fn payloads_tell_their_encoding_by_the_first_byte() {
    let value = json!({"channel": "c", "http-stream": {"content": "x"}});
    let item = parse_item_json(&value, None).unwrap();
    let mut tnet = Vec::new();
    encode(&mut tnet, &from_value(&value));
    let json = format!("J{value}");
    assert_eq!(parse_payload(json.as_bytes(), None).as_ref(), Ok(&item));
    assert_eq!(parse_payload(&tnet, None).as_ref(), Ok(&item));
    assert_eq!(
        parse_payload(&[b"T", &tnet[..], b"junk"].concat(), None).as_ref(),
        Ok(&item)
    );
    assert_eq!(
        parse_payload(value.to_string().as_bytes(), None),
        Err(PayloadError::NotTnet)
    );
    assert_eq!(parse_payload(b"J1", None), Err(PayloadError::NotJson));
    assert_eq!(parse_payload(b"", None), Err(PayloadError::NotTnet));
    let not_object = Err(PayloadError::Item(ShapeError::NotObject { object: ITEM }));
    assert_eq!(parse_payload(b"J[]", None), not_object);
    assert_eq!(parse_payload(b"1:a,", None), not_object);
    let args = Tnet::Map(vec![(
        Cow::Borrowed(b"items"),
        Tnet::List(vec![from_value(&value)]),
    )]);
    assert_eq!(parse_publish_args(&args), Ok(vec![item]));
    assert_eq!(
        parse_publish_args(&Tnet::Null),
        Err(PublishError::NotObject)
    );
}

#[test]
fn items_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<Item>>();
}

#[test]
fn damaged_items_never_panic() {
    let body = r#"{"items":[{"channel":"c","id":"1","prev-id":"0","meta":{"a":"b"},"size":3,
        "formats":{"http-response":{"code":200,"headers":[["a","b"]],"body-patch":[{"op":"add",
        "path":"/a","value":[1]}]},"http-stream":{"content-bin":"AA"},"ws-message":{"type":
        "ping","content-filters":["x"]}}}]}"#;
    assert_eq!(parse_publish_body(body.as_bytes()).unwrap().len(), 1);
    let mut tnet = Vec::new();
    encode(&mut tnet, &parse_json(body.as_bytes()).unwrap());
    for cut in 0..body.len() {
        assert_eq!(
            parse_publish_body(&body.as_bytes()[..cut]),
            Err(PublishError::NotJson)
        );
    }
    for cut in 0..tnet.len() {
        assert_eq!(
            parse_payload(&tnet[..cut], None),
            Err(PayloadError::NotTnet),
            "cut at {cut}"
        );
    }
    let mut random = Random::new(19);
    for _round in 0..20_000 {
        let mut json = body.as_bytes().to_vec();
        random.damage(&mut json);
        let _either = parse_publish_body(&json);
        let mut payload = tnet.clone();
        random.damage(&mut payload);
        let _either = parse_payload(&payload, None);
    }
}
