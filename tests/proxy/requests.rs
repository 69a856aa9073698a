//! Request lines and bodies in their permitted forms.

use crate::kit::Backend;
use crate::{OK, before};

#[test]
fn an_absolute_target_is_cut_into_host_and_path() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let response = server
        .client()
        .ask("GET http://other.example/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(response.status, 200);
    let request = backend.request();
    assert_eq!(request.target(), "/x?y=1");
    let hosts: Vec<&str> = request.head.all("Host").collect();
    assert_eq!(hosts, ["other.example"]);
}

#[test]
fn the_asterisk_reaches_the_backend_with_options_only() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    assert_eq!(
        server
            .client()
            .ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            .status,
        200
    );
    assert_eq!(backend.request().target(), "*");
    let mut client = server.client();
    assert_eq!(client.ask("GET * HTTP/1.1\r\nHost: a\r\n\r\n").status, 400);
    client.expect_closed();
    assert!(backend.has_no_request());
}

#[test]
fn chunked_is_understood_in_any_case() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let server = before(&backend);
    let mut client = server.client();
    for word in ["chunked", "Chunked", "CHUNKED"] {
        let response = client.ask(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {word}\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ));
        assert_eq!(response.text(), "ok", "{word}");
        assert_eq!(backend.request().body, b"abc", "{word}");
    }
}

#[test]
fn ninety_fields_are_accepted_and_all_arrive() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let fields: String = (0..89).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    assert_eq!(server.client().ask(request).status, 200);
    let request = backend.request();
    for n in 0..89 {
        assert_eq!(
            request.head.get(&format!("X-{n}")),
            Some(n.to_string().as_str())
        );
    }
}

#[test]
fn a_body_of_any_kind_arrives_as_it_was() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let mut client = server.client();
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET", "brew"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na\0b");
        assert_eq!(client.ask(request).status, 200);
        let request = backend.request();
        assert!(request.head.start.starts_with(method), "{method}");
        assert_eq!(request.body, b"a\0b", "{method}");
    }
}

#[test]
fn a_request_without_content_is_framed_so_that_the_backend_knows() {
    let backend = Backend::answering(OK);
    let server = before(&backend);
    let mut client = server.client();
    for (method, expected) in [
        ("GET", None),
        ("OPTIONS", None),
        ("DELETE", Some("0")),
        ("POST", Some("0")),
    ] {
        client.ask(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(
            backend.request().head.get("Content-Length"),
            expected,
            "{method}"
        );
    }
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    let backend = Backend::echo();
    let server = before(&backend);
    assert_eq!(
        server
            .client()
            .ask("\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .text(),
        "/x"
    );
}
