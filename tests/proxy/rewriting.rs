//! What is changed on a request's way to the backend.

use crate::kit::{Backend, Request, Settings};
use crate::{OK, before};

/// What the backend gets for `request` on a route with these options.
fn seen_with(options: &str, target_options: &str, request: &str) -> Request {
    let backend = Backend::answering(OK);
    let line = format!("*{options} {}{target_options}", backend.target());
    let server = Settings::one_shard().route(line).start();
    assert_eq!(server.client().ask(request).status, 200);
    backend.request()
}

/// What the backend gets for `request` under this `[proxy]` setting.
fn seen_under(setting: &str, request: &str) -> Request {
    let backend = Backend::answering(OK);
    let server = crate::settings(&backend).with("proxy", setting).start();
    assert_eq!(server.client().ask(request).status, 200);
    backend.request()
}

#[test]
fn fields_of_one_hop_do_not_reach_the_backend() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    server.client().ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nConnection: x-more\r\n\
         X-Hop: 1\r\nX-More: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n\
         Proxy-Authorization: x\r\nProxy-Connection: close\r\nAccept-Encoding: gzip\r\n\
         X-Stays: 1\r\nCookie: a=b\r\n\r\n",
    );
    let request = backend.request();
    let names: Vec<&str> = request
        .head
        .fields
        .iter()
        .map(|(n, _)| n.as_str())
        .collect();
    assert_eq!(
        names,
        ["Host", "X-Stays", "Cookie", "Grip-Sig", "Grip-Feature"]
    );
}

#[test]
fn replace_beg_takes_the_place_of_path_beg() {
    let request = seen_with(
        ",path_beg=/strip,replace_beg=/new",
        "",
        "GET /strip/a?b=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(request.target(), "/new/a?b=1");
}

#[test]
fn path_rem_takes_bytes_off_the_front() {
    let request = seen_with(
        ",path_rem=4",
        "",
        "GET /rem/abc HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(request.target(), "/abc");
}

#[test]
fn as_host_and_host_choose_the_host() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let request = seen_with(",as_host=new.example:99", "", get);
    assert_eq!(request.head.get("Host"), Some("new.example:99"));
    let request = seen_with(",as_host=new.example:99", ",host=foo.example:8080", get);
    assert_eq!(request.head.get("Host"), Some("foo.example:8080"));
    assert_eq!(request.head.all("Host").count(), 1);
}

#[test]
fn header_sets_replaces_and_removes() {
    let request = seen_with(
        ",header=X-Set:1,header=X-Own:mine,header=Accept:",
        "",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Own: theirs\r\nx-own: again\r\nAccept: */*\r\n\r\n",
    );
    assert_eq!(request.head.get("X-Set"), Some("1"));
    let own: Vec<&str> = request.head.all("X-Own").collect();
    assert_eq!(own, ["mine"]);
    assert_eq!(request.head.get("Accept"), None);
}

#[test]
fn dot_segments_are_resolved() {
    let request = seen_with("", "", "GET /y/../x/./a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request.target(), "/x/a");
}

#[test]
fn forwarded_addresses_follow_the_rule() {
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\
                       X-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n\r\n";
    for (rule, expected) in [
        ("", Some("1.1.1.1, 2.2.2.2, 3.3.3.3")),
        ("append", Some("1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1")),
        ("truncate:1,append", Some("3.3.3.3, 127.0.0.1")),
        ("truncate:0,append", Some("127.0.0.1")),
        ("truncate:0", None),
    ] {
        let request = seen_under(&format!("x_forwarded_for = \"{rule}\""), GET);
        let values: Vec<&str> = request.head.all("X-Forwarded-For").collect();
        assert_eq!(values, expected.into_iter().collect::<Vec<_>>(), "{rule:?}");
    }
}

#[test]
fn a_client_on_a_unix_socket_adds_no_address_and_paths_are_taken_as_written() {
    let backend = Backend::answering(OK);
    let server = crate::settings(&backend)
        .with(
            "http",
            "local_listen = [\"my clients, mode=1.sock\", \"second.sock\"]\nlocal_mode = \"600\"",
        )
        .with("proxy", "x_forwarded_for = \"append\"")
        .start();
    for name in ["my clients, mode=1.sock", "second.sock"] {
        let path = server.folder.path().join(name);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path)
                .expect("the socket is there")
                .permissions(),
        );
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let mut client = crate::kit::Wire::connect_unix(&path);
        assert_eq!(client.get("/").text(), "ok");
        assert_eq!(backend.request().head.get("X-Forwarded-For"), None);
    }
}

#[test]
fn forwarded_protocols_of_the_client_do_not_pass() {
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\
                       X-Forwarded-Protocol: https\r\n\r\n";
    let request = seen_under("set_x_forwarded_protocol = \"true\"", GET);
    assert_eq!(request.head.get("X-Forwarded-Proto"), None);
    assert_eq!(request.head.get("X-Forwarded-Protocol"), None);
    let request = seen_under("set_x_forwarded_protocol = \"false\"", GET);
    assert_eq!(request.head.get("X-Forwarded-Proto"), Some("https"));
}

#[test]
fn original_headers_are_copied_under_their_mark() {
    let request = seen_with(
        ",orig_headers",
        "",
        "GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nConnection: keep-alive\r\n\r\n",
    );
    for (name, value) in [("Host", "a"), ("Accept", "x"), ("Connection", "keep-alive")] {
        assert_eq!(request.head.get(&format!("eb9bf0f5-{name}")), Some(value));
    }
}

#[test]
fn the_loop_member_is_added_behind_those_that_came() {
    let request = seen_under(
        "cdn_loop = \"mine\"",
        "GET / HTTP/1.1\r\nHost: a\r\nCDN-Loop: old; x=\"a, b\"\r\n\r\n",
    );
    assert_eq!(request.head.get("CDN-Loop"), Some("old; x=\"a, b\", mine"));
}
