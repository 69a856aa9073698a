use config::JsonpMode;
use proto::Parsed;
use proto::http1::{HeadLimits, Slots, parse_request};

use super::*;

type Outcome = Result<Option<(JsonpRequest, JsonpContext)>, JsonpError>;

fn options() -> Jsonp {
    Jsonp {
        mode: JsonpMode::Extended,
        callback: "callback".to_owned(),
        body: None,
        default_callback: None,
        default_method: "GET".to_owned(),
    }
}

fn own_names() -> Jsonp {
    Jsonp {
        mode: JsonpMode::Basic,
        callback: "cb".to_owned(),
        body: Some("json".to_owned()),
        default_callback: Some("dflt".to_owned()),
        default_method: "POST".to_owned(),
    }
}

fn read_bytes(bytes: &str, options: &Jsonp) -> Outcome {
    let limits = HeadLimits {
        head_len_max: 65_536,
        fields_max: FIELDS_MAX,
    };
    let mut slots = Slots::new();
    match parse_request(bytes.as_bytes(), &mut slots, &limits) {
        Ok(Parsed::Complete(head, _)) => read(&head, options),
        other => panic!("no request: {other:?}"),
    }
}

fn read_target(target: &str, options: &Jsonp) -> Outcome {
    read_bytes(
        &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"),
        options,
    )
}

fn good(target: &str, options: &Jsonp) -> (JsonpRequest, JsonpContext) {
    read_target(target, options).unwrap().unwrap()
}

/// Names and values but for `Host`.
fn lines(request: &JsonpRequest) -> Vec<String> {
    let fields = request.fields.iter().filter(|(name, _)| name != "Host");
    fields
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect()
}

/// `text` as a query parameter's value.
fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

#[test]
fn a_callback_makes_it_jsonp_and_leaves_the_target() {
    let (request, context) = good("/a?callback=f&q=1", &options());
    assert_eq!((&*request.method, &*request.target), ("GET", "/a?q=1"));
    assert_eq!(&*context.callback, "f");
    assert_eq!(lines(&request), ["Accept: */*"]);
    assert_eq!(request.content(), b"");
}

#[test]
fn requests_without_a_callback_or_with_another_method_are_left_alone() {
    for target in ["/", "/?a=1", "/callback=f", "/?_body=x&_method=PUT"] {
        assert_eq!(read_target(target, &options()), Ok(None), "{target}");
    }
    for method in ["HEAD", "POST", "get"] {
        let bytes = format!("{method} /?callback=f HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(read_bytes(&bytes, &options()), Ok(None), "{method}");
    }
}

#[test]
fn callbacks_that_could_be_more_than_a_name_are_refused() {
    let long = "a".repeat(CALLBACK_LEN_MAX);
    for name in ["f", "a.b", "a_b$1", "a[0].b", &long] {
        let (_, context) = good(&format!("/?callback={name}"), &options());
        assert_eq!(&*context.callback, name);
    }
    let long = "a".repeat(CALLBACK_LEN_MAX + 1);
    for name in [
        "",
        "%zz",
        "%ff",
        "a+b",
        "a%20b",
        "alert(1)//",
        "a;b",
        "%3cscript%3e",
        "%c3%a9",
        "a%0a",
        "a'",
        &long,
    ] {
        let outcome = read_target(&format!("/?callback={name}"), &options());
        assert_eq!(outcome, Err(JsonpError::Callback), "{name}");
    }
    assert_eq!(
        read_target("/?callback", &options()),
        Err(JsonpError::Callback)
    );
}

#[test]
fn the_query_gives_method_fields_and_content() {
    let fields = encoded(r#"{"X-H": "v", "Cookie": "c"}"#);
    let target = format!("/?callback=f&_method=PUT&_headers={fields}&_body=a%20b+c");
    let (request, _) = good(&target, &options());
    assert_eq!((&*request.method, &*request.target), ("PUT", "/"));
    assert_eq!(lines(&request), ["Cookie: c", "X-H: v", "Accept: */*"]);
    assert_eq!(request.content(), b"a b+c");
}

#[test]
fn methods_that_are_none_are_refused() {
    for method in ["", "a%20b", "%00", "a%0d%0aX:%20y", "%c3%a9", "CONNECT"] {
        let outcome = read_target(&format!("/?callback=f&_method={method}"), &options());
        assert_eq!(outcome, Err(JsonpError::Method), "{method}");
    }
}

#[test]
fn headers_that_are_no_fields_are_refused() {
    for json in [
        "",
        "[]",
        "1",
        "{",
        r#"{"A": 1}"#,
        r#"{"A": null}"#,
        r#"{"A b": "x"}"#,
        r#"{"": "x"}"#,
        r#"{"A": "x\r\nB: y"}"#,
        r#"{"A": "\u0000"}"#,
    ] {
        let target = format!("/?callback=f&_headers={}", encoded(json));
        let outcome = read_target(&target, &options());
        assert_eq!(outcome, Err(JsonpError::Headers), "{json}");
    }
}

#[test]
fn fields_about_the_message_and_its_way_cannot_be_given() {
    let json = r#"{"Host": "x", "accept": "x", "Content-Length": "9", "Transfer-Encoding":
        "chunked", "Connection": "x", "Upgrade": "websocket", "Expect": "100-continue",
        "X-Forwarded-For": "1.1.1.1", "x-forwarded-proto": "https", "Forwarded": "x", "X": "é"}"#;
    let (request, _) = good(
        &format!("/?callback=f&_headers={}", encoded(json)),
        &options(),
    );
    assert_eq!(lines(&request), ["X: é", "Accept: */*"]);
}

#[test]
fn as_many_fields_as_a_head_may_have_can_be_given() {
    let json = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!(r#""x{n}":"1""#)).collect();
        encoded(&format!("{{{}}}", members.join(",")))
    };
    // Beside them are `Host` and `Accept`.
    let target = |count| format!("/?callback=f&_headers={}", json(count));
    assert!(read_target(&target(FIELDS_MAX - 2), &options()).is_ok());
    let over = read_target(&target(FIELDS_MAX - 1), &options());
    assert_eq!(over, Err(JsonpError::Headers));
}

#[test]
fn the_clients_other_fields_stay() {
    let target = format!("/?callback=f&_headers={}", encoded(r#"{"X-A": "given"}"#));
    let bytes = format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nAccept: text/x\r\nx-a: own\r\nOrigin: o\r\nB: 1\r\n\
         B: 2\r\n\r\n"
    );
    let (request, _) = read_bytes(&bytes, &options()).unwrap().unwrap();
    assert_eq!(
        lines(&request),
        ["X-A: given", "Accept: */*", "Origin: o", "B: 1", "B: 2"]
    );
}

#[test]
fn a_body_parameter_of_its_own_name_is_json_and_needs_no_callback() {
    let given = encoded(r#"{"Content-Type": "a/b"}"#);
    let bytes = format!(
        "GET /?x=1&json=%7b%7d&_headers={given}&_body=y HTTP/1.1\r\nHost: a\r\n\
         Content-Type: c/d\r\n\r\n"
    );
    let (request, context) = read_bytes(&bytes, &own_names()).unwrap().unwrap();
    assert_eq!(
        (&*request.method, &*request.target),
        ("POST", "/?x=1&_body=y")
    );
    let expected = ["Content-Type: application/json", "Accept: */*"];
    assert_eq!(lines(&request), expected);
    assert_eq!(request.content(), b"{}");
    assert_eq!(&*context.callback, "dflt");
    let (_, context) = good("/?json=1&cb=named", &own_names());
    assert_eq!(&*context.callback, "named");
    assert_eq!(read_target("/?callback=f", &own_names()), Ok(None));
}

#[test]
fn an_empty_body_parameter_is_refused() {
    let outcome = read_target("/?callback=f&_body=", &options());
    assert_eq!(outcome, Err(JsonpError::UnderscoreBody));
    let outcome = read_target("/?json=", &own_names());
    assert_eq!(outcome, Err(JsonpError::Body));
}

#[test]
fn content_comes_from_the_query_or_the_client_but_not_from_both() {
    let with = |query: &str, framing: &str| {
        let bytes = format!("GET /?callback=f{query} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        read_bytes(&bytes, &options())
    };
    let (request, _) = with("", "Content-Length: 5").unwrap().unwrap();
    assert_eq!(request.content(), b"");
    assert!(with("&_body=x", "Content-Length: 0").is_ok());
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let outcome = with("&_body=x", framing);
        assert_eq!(outcome, Err(JsonpError::UnderscoreBody), "{framing}");
    }
}

#[test]
fn the_new_head_borrows_from_both() {
    let bytes = b"GET /a?callback=f&_method=PUT HTTP/1.0\r\nHost: h\r\n\r\n";
    let limits = HeadLimits {
        head_len_max: 8192,
        fields_max: FIELDS_MAX,
    };
    let mut slots = Slots::new();
    let Ok(Parsed::Complete(client, _)) = parse_request(bytes, &mut slots, &limits) else {
        panic!("no request");
    };
    let (request, _) = read(&client, &options()).unwrap().unwrap();
    let fields = request.fields();
    let head = request.head(&fields, &client);
    assert_eq!((head.method, head.target, head.host), ("PUT", "/a", "h"));
    assert_eq!(head.version, client.version);
    assert_eq!(head.fields.len(), 2);
}
