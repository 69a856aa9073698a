//! Pages of other sites: CORS fields and JSON-P, on answers that are relayed, held and made here.

use serde_json::{Value, json};

use crate::kit::{Backend, Gate, Response, Server, Settings, Wire, wait_until};

/// Pincushion before `backend` with these options on its one route.
fn with_options(options: &str, backend: &Backend) -> Server {
    let line = format!("*,aco{options} {}", backend.target());
    Settings::one_shard().route(line).start()
}

/// The argument of the call that a script is.
fn argument(response: &Response, callback: &str) -> String {
    let text = response.text();
    assert_eq!(response.status, 200, "{text}");
    let kind = response.head.get("Content-Type");
    assert_eq!(kind, Some("application/javascript"), "{text}");
    let inside = text.strip_prefix(&format!("/**/{callback}("));
    let inside = inside.and_then(|text| text.strip_suffix(");\n"));
    inside
        .unwrap_or_else(|| panic!("no call: {text}"))
        .to_owned()
}

/// The argument of an extended script.
fn object(response: &Response, callback: &str) -> Value {
    serde_json::from_str(&argument(response, callback)).expect("JSON")
}

/// `text` as a query parameter's value.
fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

/// A response hold on channel `c`.
fn long_poll(timeout_s: u32) -> Backend {
    Backend::answering(format!(
        "HTTP/1.1 200 OK\r\nGrip-Hold: response\r\nGrip-Channel: c\r\nGrip-Timeout: {timeout_s}\r\n\
         Content-Type: text/plain\r\nX-Own: 1\r\nContent-Length: 5\r\n\r\nlate\n"
    ))
}

fn wait_for_hold(server: &Server) {
    wait_until("a hold begins", || {
        server.metric("pincushion_held_long_polls") == 1
    });
}

#[test]
fn nothing_is_added_where_nobody_asked_for_it() {
    let backend = Backend::echo();
    let server = crate::before(&backend);
    let response = server.client().get("/?callback=f");
    assert_eq!(response.text(), "/?callback=f");
    assert_eq!(response.head.get("Access-Control-Allow-Origin"), None);
}

#[test]
fn the_global_setting_is_for_all_routes_and_for_none() {
    let backend = Backend::echo();
    let server = Settings::one_shard()
        .with("proxy", "auto_cross_origin = true")
        .route(format!("a {}", backend.target()))
        .start();
    let response = server.client().get("/");
    assert_eq!(response.head.get("Access-Control-Allow-Origin"), Some("*"));
    let ask = "GET /?callback=f HTTP/1.1\r\nHost: unknown\r\n";
    let response = server.client().ask(format!("{ask}\r\n"));
    assert_eq!(object(&response, "f")["code"], 502);
    let ask = "GET / HTTP/1.1\r\nHost: unknown\r\nOrigin: o\r\n\r\n";
    let response = server.client().ask(ask);
    assert_eq!(response.status, 502);
    assert_eq!(response.head.get("Access-Control-Allow-Origin"), Some("o"));
}

#[test]
fn a_preflight_is_the_backends_and_gets_all_six_fields() {
    let backend =
        Backend::answering("HTTP/1.1 200 OK\r\nX-A: 1\r\nVary: b\r\nContent-Length: 0\r\n\r\n");
    let server = with_options("", &backend);
    let response = server.client().ask(
        "OPTIONS /p HTTP/1.1\r\nHost: a\r\nOrigin: http://o\r\n\
         Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: X-B\r\n\
         Access-Control-Request-Headers: X-C, X-D\r\n\r\n",
    );
    assert!(backend.request().head.start.starts_with("OPTIONS /p "));
    for (name, value) in [
        ("Methods", "PUT"),
        ("Headers", "X-B, X-C, X-D"),
        ("Credentials", "true"),
        ("Origin", "http://o"),
    ] {
        let name = format!("Access-Control-Allow-{name}");
        assert_eq!(response.head.get(&name), Some(value), "{name}");
    }
    let exposed = response.head.get("Access-Control-Expose-Headers");
    assert_eq!(exposed, Some("X-A, Vary"));
    assert_eq!(response.head.get("Access-Control-Max-Age"), Some("3600"));
}

#[test]
fn a_backends_own_fields_win() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\naccess-control-allow-origin: only\r\nContent-Length: 0\r\n\r\n",
    );
    let server = with_options("", &backend);
    let response = server.client().get("/");
    let origins: Vec<&str> = response.head.all("Access-Control-Allow-Origin").collect();
    assert_eq!(origins, ["only"]);
}

#[test]
fn an_error_page_gets_cors_fields_or_is_a_script() {
    let server = Settings::one_shard().route("*,aco 127.0.0.1:1").start();
    let response = server.client().get("/");
    assert_eq!(response.status, 502);
    assert_eq!(response.head.get("Access-Control-Allow-Origin"), Some("*"));
    let told = object(&server.client().get("/?callback=f"), "f");
    assert_eq!(told["code"], 502);
    assert_eq!(told["body"], "Error while proxying to origin.\n");
}

#[test]
fn a_long_poll_gets_cors_fields_with_its_item_and_with_its_timeout() {
    let backend = long_poll(60);
    let server = with_options("", &backend);
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nOrigin: o\r\n\r\n");
    wait_for_hold(&server);
    server.publish_response("c", "item");
    let response = client.response();
    assert_eq!(response.text(), "item");
    assert_eq!(response.head.get("Access-Control-Allow-Origin"), Some("o"));
    let exposed = response.head.get("Access-Control-Expose-Headers");
    assert_eq!(exposed, Some("X-Own"));

    let backend = long_poll(1);
    let server = with_options("", &backend);
    let response = server.client().get("/");
    assert_eq!(response.text(), "late\n");
    assert_eq!(response.head.get("Access-Control-Allow-Origin"), Some("*"));
}

#[test]
fn a_stream_gets_cors_fields_and_is_never_wrapped() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\nContent-Length: 6\r\n\r\nfirst\n",
    );
    let server = with_options("", &backend);
    for target in ["/", "/?callback=f"] {
        let mut client = server.client();
        client.send(format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nOrigin: o\r\n\r\n"
        ));
        let head = client.head();
        assert_eq!(
            head.get("Access-Control-Allow-Origin"),
            Some("o"),
            "{target}"
        );
        assert_eq!(client.chunk().as_deref(), Some(&b"first\n"[..]), "{target}");
    }
}

#[test]
fn an_extended_script_tells_status_fields_and_content() {
    let backend = Backend::answering(
        "HTTP/1.1 404 Nope\r\nX-A: 1\r\nCache-Control: no-store\r\nContent-Length: 9\r\n\r\nsay \"hi\"\n",
    );
    let server = with_options("", &backend);
    let response = server.client().get("/p?callback=cb&q=%201");
    assert_eq!(backend.request().target(), "/p?q=%201");
    let told = object(&response, "cb");
    assert_eq!(told["code"], 404);
    assert_eq!(told["reason"], "Nope");
    assert_eq!(told["body"], "say \"hi\"\n");
    assert_eq!(told["headers"]["X-A"], "1");
    assert_eq!(response.head.get("Cache-Control"), Some("no-store"));
    assert_eq!(response.head.get("Access-Control-Allow-Origin"), None);
}

#[test]
fn a_basic_script_is_a_call_with_the_content() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n");
    let server = with_options(",jsonp_mode=basic", &backend);
    let response = server.client().get("/?callback=cb");
    assert_eq!(argument(&response, "cb"), "{\"a\": 1}");
    assert!(backend.request().head.start.starts_with("POST / "));
}

#[test]
fn the_connection_goes_on_behind_a_script() {
    let backend = Backend::echo();
    let server = with_options("", &backend);
    let mut client = server.client();
    for number in 0..3 {
        let told = object(&client.get(&format!("/?callback=f&n={number}")), "f");
        assert_eq!(told["body"], format!("/?n={number}"));
    }
}

#[test]
fn a_response_in_pieces_is_wrapped_while_it_arrives() {
    let text = "\u{20ac}\"\u{1f600}\n".repeat(60_000);
    let content = text.clone().into_bytes();
    let backend = Backend::start(move |visit| {
        while visit.request().is_some() {
            visit.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            // A prime, so that characters are cut everywhere.
            for piece in content.chunks(997) {
                let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
                chunk.extend_from_slice(piece);
                chunk.extend_from_slice(b"\r\n");
                visit.answer(chunk);
            }
            visit.answer("0\r\n\r\n");
        }
    });
    let server = with_options("", &backend);
    let mut client = server.client();
    for _ in 0..2 {
        assert_eq!(
            object(&client.get("/?callback=f"), "f")["body"],
            text.as_str()
        );
    }
    let server = with_options(",jsonp_mode=basic", &backend);
    let response = server.client().get("/?callback=f");
    assert_eq!(argument(&response, "f"), text.trim_end_matches('\n'));
}

#[test]
fn a_script_whose_response_breaks_off_is_not_ended() {
    let backend = Backend::start(|visit| {
        if visit.request().is_some() {
            visit.answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        }
    });
    let server = with_options("", &backend);
    let mut client = server.client();
    client.send("GET /?callback=f HTTP/1.1\r\nHost: a\r\n\r\n");
    let (bytes, _) = client.rest();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("\r\n0\r\n\r\n"), "ended as if whole: {text}");
}

#[test]
fn responses_without_content_are_scripts_too() {
    for response in [
        "HTTP/1.1 204 None\r\n\r\n",
        "HTTP/1.1 304 Same\r\nETag: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let backend = Backend::answering(response);
        let server = with_options("", &backend);
        let told = object(&server.client().get("/?callback=f"), "f");
        assert_eq!(told["body"], "", "{response}");
        let server = with_options(",jsonp_mode=basic", &backend);
        assert_eq!(argument(&server.client().get("/?callback=f"), "f"), "");
    }
}

#[test]
fn a_script_can_ask_for_the_head_alone() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-A: 1\r\n\r\n");
    let server = with_options("", &backend);
    let mut client = server.client();
    for _ in 0..2 {
        let told = object(&client.get("/?callback=f&_method=HEAD"), "f");
        assert_eq!(told["headers"]["X-A"], "1");
        assert_eq!(told["body"], "");
        assert!(backend.request().head.start.starts_with("HEAD / "));
    }
}

#[test]
fn the_query_gives_method_fields_and_content() {
    let backend = Backend::echo();
    let server = with_options("", &backend);
    let fields = encoded(r#"{"X-H": "v", "Transfer-Encoding": "chunked", "Grip-Sig": "x"}"#);
    let target = format!("/?callback=f&_method=PUT&_headers={fields}&_body=the%20body");
    assert_eq!(object(&server.client().get(&target), "f")["code"], 200);
    let request = backend.request();
    assert_eq!(request.head.start, "PUT / HTTP/1.1");
    assert_eq!(request.head.get("X-H"), Some("v"));
    assert_eq!(request.head.get("Accept"), Some("*/*"));
    assert_ne!(request.head.get("Grip-Sig"), Some("x"));
    assert_eq!(request.head.get("Content-Length"), Some("8"));
    assert_eq!(request.body, b"the body");
}

#[test]
fn a_body_parameter_is_json_for_the_default_callback() {
    let backend = Backend::echo();
    let options = ",jsonp_cb=cb,jsonp_body=json,jsonp_defcb=dflt,jsonp_defmethod=PUT";
    let server = with_options(options, &backend);
    let response = server.client().get("/?json=%7b%7d");
    assert_eq!(object(&response, "dflt")["code"], 200);
    let request = backend.request();
    assert_eq!(request.head.start, "PUT / HTTP/1.1");
    assert_eq!(request.head.get("Content-Type"), Some("application/json"));
    assert_eq!(request.body, b"{}");
}

#[test]
fn bad_parameters_are_refused_without_asking_the_backend() {
    let backend = Backend::echo();
    let server = with_options("", &backend);
    let mut client = server.client();
    for (query, name) in [
        ("callback=", "callback"),
        ("callback=alert(1)//", "callback"),
        ("callback=f&_method=a%20b", "_method"),
        ("callback=f&_headers=%5b%5d", "_headers"),
        ("callback=f&_body=", "_body"),
    ] {
        let response = client.get(&format!("/?{query}"));
        assert_eq!(response.status, 400, "{query}");
        let text = format!("Invalid {name} parameter.\n");
        assert_eq!(response.text(), text, "{query}");
        let origin = response.head.get("Access-Control-Allow-Origin");
        assert_eq!(origin, Some("*"), "{query}");
    }
    assert!(backend.has_no_request());
}

#[test]
fn other_methods_are_not_wrapped() {
    let backend = Backend::echo();
    let server = with_options("", &backend);
    let response = server
        .client()
        .ask("POST /?callback=f HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(response.text(), "/?callback=f");
}

#[test]
fn a_long_poll_ends_as_a_script_with_its_item_or_its_timeout() {
    let backend = long_poll(60);
    for (options, expected) in [
        (
            "",
            json!({
                "body": "item", "code": 200, "reason": "OK",
                "headers": {"Content-Type": "text/plain", "X-Own": "1"},
            })
            .to_string(),
        ),
        (",jsonp_mode=basic", "item".to_owned()),
    ] {
        let server = with_options(options, &backend);
        let mut client = server.client();
        client.send("GET /?callback=f HTTP/1.1\r\nHost: a\r\n\r\n");
        wait_for_hold(&server);
        server.publish_response("c", "item");
        let response = client.response();
        assert_eq!(argument(&response, "f"), expected, "{options}");
        assert_eq!(response.head.get("X-Own"), Some("1"), "{options}");
        let origin = response.head.get("Access-Control-Allow-Origin");
        assert_eq!(origin, None, "{options}");
    }
    let backend = long_poll(1);
    let server = with_options("", &backend);
    let told = object(&server.client().get("/?callback=f"), "f");
    assert_eq!(told["body"], "late\n");
}

#[test]
fn a_retried_long_poll_is_still_a_script() {
    let backend = Backend::start(|visit| {
        let mut is_first = visit.number == 0;
        while visit.request().is_some() {
            let answer: &[u8] = if std::mem::take(&mut is_first) {
                b"HTTP/1.1 200 OK\r\nGrip-Hold: response\r\nGrip-Channel: c\r\nContent-Length: 0\r\n\r\n"
            } else {
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain"
            };
            visit.answer(answer);
        }
    });
    let server = with_options("", &backend);
    let mut client = server.client();
    client.send("GET /p?callback=f&_body=x HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for_hold(&server);
    server.publish(r#"{"channel":"c","formats":{"http-response":{"action":"hint"}}}"#);
    assert_eq!(object(&client.response(), "f")["body"], "again");
    for _ in 0..2 {
        let request = backend.request();
        assert_eq!((request.target(), &*request.body), ("/p", &b"x"[..]));
    }
}

/// Pincushion with `share_all`, before a backend that waits at `gate` and then gives `answer`.
fn sharing(gate: &Gate, answer: &'static str) -> (Server, Backend) {
    let door = gate.door();
    let backend = Backend::start(move |visit| {
        while visit.request().is_some() {
            door.pass();
            visit.answer(answer);
        }
    });
    let server = Settings::one_shard()
        .with("handler", "share_all = true")
        .route(format!("*,aco {}", backend.target()))
        .start();
    (server, backend)
}

/// Three clients that ask for the same: as a script twice, and from a page of another site.
fn three_that_share(server: &Server) -> [Wire; 3] {
    let asks = ["/p?callback=f", "/p?callback=g", "/p"];
    let clients = asks.map(|target| {
        let mut client = server.client();
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nOrigin: {target}\r\n\r\n");
        client.send(head);
        client
    });
    wait_until("all have asked", || {
        server.metric("pincushion_clients_active") == 3
    });
    clients
}

#[test]
fn a_shared_answer_is_completed_for_each_who_shares_it() {
    let gate = Gate::new();
    let (server, backend) = sharing(&gate, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let [mut f, mut g, mut plain] = three_that_share(&server);
    gate.open();
    assert_eq!(object(&f.response(), "f")["body"], "ok");
    assert_eq!(object(&g.response(), "g")["body"], "ok");
    let response = plain.response();
    assert_eq!(response.text(), "ok");
    let origin = response.head.get("Access-Control-Allow-Origin");
    assert_eq!(origin, Some("/p"));
    assert_eq!(backend.request().target(), "/p");
    assert!(backend.has_no_request());
}

#[test]
fn a_shared_hold_ends_for_each_as_it_was_asked_for() {
    let gate = Gate::new();
    let hold =
        "HTTP/1.1 200 OK\r\nGrip-Hold: response\r\nGrip-Channel: c\r\nContent-Length: 0\r\n\r\n";
    let (server, _backend) = sharing(&gate, hold);
    let [mut f, mut g, mut plain] = three_that_share(&server);
    gate.open();
    wait_until("all are held", || {
        server.metric("pincushion_held_long_polls") == 3
    });
    server.publish_response("c", "item");
    assert_eq!(object(&f.response(), "f")["body"], "item");
    assert_eq!(object(&g.response(), "g")["body"], "item");
    let response = plain.response();
    assert_eq!(response.text(), "item");
    let origin = response.head.get("Access-Control-Allow-Origin");
    assert_eq!(origin, Some("/p"));
}

#[test]
fn requests_with_content_in_the_query_are_not_taken_for_the_same() {
    let gate = Gate::new();
    let (server, held) = sharing(&gate, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let mut clients = ["a", "b"].map(|content| {
        let mut client = server.client();
        client.send(format!(
            "GET /?callback=f&_body={content} HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        client
    });
    let mut seen = [held.request().body, held.request().body];
    seen.sort();
    assert_eq!(seen, [b"a", b"b"]);
    gate.open();
    for client in &mut clients {
        assert_eq!(object(&client.response(), "f")["code"], 200);
    }
}
