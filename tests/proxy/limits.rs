//! Limits of size and time, each with what the client sees when it is reached.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rustix::net;

use crate::kit::{Backend, Settings, Wire};
use crate::{OK, settings};

#[test]
fn a_body_over_the_limit_is_413() {
    let backend = Backend::answering(OK);
    let server = settings(&backend)
        .with("http", "request_body_max = 1000")
        .start();
    let fits = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{}",
        "x".repeat(1000)
    );
    assert_eq!(server.client().ask(fits).status, 200);
    backend.request();

    let mut client = server.client();
    let response = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
    assert_eq!(
        (response.status, response.text().as_str()),
        (413, "Body must not exceed 1000 bytes\n")
    );
    client.expect_closed();
    assert!(backend.has_no_request(), "refused by its announcement");

    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let _ = client.try_send(format!(
        "3e8\r\n{}\r\n1\r\nx\r\n0\r\n\r\n",
        "x".repeat(1000)
    ));
    assert_eq!(client.response().status, 413);
    client.expect_closed();
}

#[test]
fn fields_over_the_limit_are_refused_at_once() {
    let backend = Backend::answering(OK);
    let server = settings(&backend).with("http", "fields_max = 20").start();
    let request = |count| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X-A: b\r\n".repeat(count)
        )
    };
    assert_eq!(server.client().ask(request(19)).status, 200);
    let mut client = server.client();
    let began = Instant::now();
    let response = client.ask(request(20));
    assert_eq!(
        response.text(),
        "Failed to parse request: too many headers\n"
    );
    client.expect_closed();
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_head_over_the_limit_is_refused_although_it_never_ends() {
    let backend = Backend::answering(OK);
    let server = settings(&backend).start();
    let mut client = server.client();
    let response = client.ask(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: {}",
        "x".repeat(9000)
    ));
    assert_eq!(response.status, 400);
    assert_eq!(
        response.text(),
        "Request header size exceeded limit of 8192 bytes.\n"
    );
    client.expect_closed();
}

#[test]
fn half_a_head_and_an_idle_connection_are_closed_in_silence() {
    let backend = Backend::answering(OK);
    let server = settings(&backend)
        .with("http", "header_timeout = 1")
        .start();
    let mut half = server.client();
    half.send("GET / HTTP/1.1\r\nHo");
    let mut mute = server.client();
    let mut used = server.client();
    assert_eq!(used.get("/").status, 200);
    for client in [&mut half, &mut mute, &mut used] {
        client.expect_closed();
    }
}

#[test]
fn a_head_that_trickles_in_is_closed_all_the_same() {
    let backend = Backend::answering(OK);
    let server = settings(&backend)
        .with("http", "header_timeout = 1")
        .start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nX-A: ");
    client.limit_reads(Duration::from_millis(100));
    let deadline = Instant::now() + Duration::from_secs(20);
    while client.try_take(1).is_err_and(|error| is_timeout(&error)) {
        assert!(Instant::now() < deadline, "still open");
        if client.try_send("x").is_err() {
            break;
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}

#[test]
fn an_upload_that_stops_is_ended() {
    let backend = Backend::answering(OK);
    let server = settings(&backend)
        .with("http", "body_idle_timeout = 1")
        .start();
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    let (_, _) = client.rest();
    assert!(backend.has_no_request(), "the backend never got all of it");
}

#[test]
fn a_backend_that_does_not_answer_in_time_is_502() {
    let backend = Backend::start(|visit| {
        visit.request();
        visit.wait_for_end();
    });
    let server = settings(&backend)
        .with("proxy", "response_timeout = 1\ndebug = true")
        .start();
    let mut client = server.client();
    let response = client.get("/");
    assert_eq!(
        (response.status, response.text().as_str()),
        (502, "Backend did not answer in time.\n")
    );
    assert_eq!(backend.connections(), 1, "it is not tried again");
    assert_eq!(client.get("/").status, 502, "the client's connection stays");
}

#[test]
fn a_backend_that_stops_within_its_body_cuts_the_client() {
    let backend = Backend::start(|visit| {
        visit.request();
        visit.answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        visit.wait_for_end();
    });
    let server = settings(&backend).with("proxy", "body_timeout = 1").start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.rest().0.ends_with(b"hello"));
}

#[test]
fn an_address_that_does_not_answer_is_502_or_the_next_targets() {
    let (port, _full) = full_listener();
    let backend = Backend::answering(OK);
    let server = Settings::one_shard()
        .with("proxy", "connect_timeout = 1\ndebug = true")
        .route(format!("alone 127.0.0.1:{port}"))
        .route(format!("* 127.0.0.1:{port} {}", backend.target()))
        .start();
    let response = server.client().ask("GET / HTTP/1.1\r\nHost: alone\r\n\r\n");
    assert_eq!(response.status, 502);
    let expected = format!("Unable to connect to any targets. Tried: 127.0.0.1:{port}\n");
    assert_eq!(response.text(), expected);
    assert_eq!(server.client().get("/").text(), "ok");
}

/// A listener whose backlog is full, so that nothing answers a further handshake.
pub(crate) fn full_listener() -> (u16, impl Drop) {
    struct Full {
        _listener: std::os::fd::OwnedFd,
        _clients: Vec<std::net::TcpStream>,
    }
    impl Drop for Full {
        fn drop(&mut self) {}
    }
    let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None);
    let socket = socket.expect("a socket");
    let any = std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    net::bind(&socket, &any).expect("a free port");
    net::listen(&socket, 0).expect("a listener");
    let listener = std::net::TcpListener::from(socket.try_clone().expect("a descriptor"));
    let address = listener.local_addr().expect("it is bound");
    let mut clients = Vec::new();
    // One may wait with this backlog; the kernel takes one or two more.
    while let Ok(client) =
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200))
    {
        clients.push(client);
        assert!(clients.len() < 100, "the backlog never fills up");
    }
    let full = Full {
        _listener: socket,
        _clients: clients,
    };
    (address.port(), full)
}

#[test]
fn an_error_page_names_its_length_and_kind() {
    let server = Settings::one_shard().route("other test").start();
    let mut client: Wire = server.client();
    let response = client.get("/");
    assert_eq!(response.head.start, "HTTP/1.1 502 Bad Gateway");
    assert_eq!(response.head.get("Content-Type"), Some("text/plain"));
    assert_eq!(response.text(), "Route not found\n");
    assert_eq!(client.get("/").status, 502, "the connection stays");
}
