//! Connections to backends that are used again.

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use crate::kit::{Backend, Folder, Settings, wait_until};
use crate::{OK, before, settings};

/// A backend that takes the second request of its first connection and closes without an answer,
/// as if it had given the connection up in that very moment.
fn gives_up_once() -> Backend {
    Backend::start(|visit| {
        let mut left = if visit.number == 0 { 1 } else { usize::MAX };
        while visit.request().is_some() && left > 0 {
            left -= 1;
            visit.answer(OK);
        }
    })
}

#[test]
fn a_get_on_a_stale_connection_is_sent_again() {
    let backend = gives_up_once();
    let server = before(&backend);
    let mut client = server.client();
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.get(path).text(), "ok", "{path}");
    }
    let seen: Vec<String> = (0..4)
        .map(|_| backend.request().target().to_owned())
        .collect();
    assert_eq!(seen, ["/1", "/2", "/2", "/3"]);
    assert_eq!(server.metric("pincushion_backend_retries_total"), 1);
}

#[test]
fn a_put_on_a_stale_connection_is_sent_again_with_its_content() {
    let backend = gives_up_once();
    let server = before(&backend);
    let mut client = server.client();
    assert_eq!(client.get("/1").text(), "ok");
    let put = "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(client.ask(put).text(), "ok");
    let bodies: Vec<Vec<u8>> = (0..3).map(|_| backend.request().body).collect();
    assert_eq!(bodies, [&b""[..], b"hello", b"hello"]);
}

#[test]
fn a_post_on_a_stale_connection_is_never_sent_again() {
    let backend = gives_up_once();
    let server = before(&backend);
    let mut client = server.client();
    assert_eq!(client.get("/1").text(), "ok");
    let post = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(client.ask(post).status, 502);
    assert_eq!(client.get("/3").text(), "ok");
    let seen: Vec<String> = (0..3)
        .map(|_| backend.request().target().to_owned())
        .collect();
    assert_eq!(seen, ["/1", "/2", "/3"]);
}

#[test]
fn a_connection_that_the_backend_closed_meanwhile_is_not_used() {
    let backend = Backend::start(|visit| {
        visit.request();
        visit.answer(OK);
    });
    let server = before(&backend);
    let mut client = server.client();
    for number in 0..5 {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(client.ask(post).text(), "ok");
        assert_eq!(backend.request().connection, number);
        wait_until("the end was seen", || {
            server.metric("pincushion_backends") == 0
        });
    }
}

#[test]
fn an_idle_connection_is_closed_when_its_time_is_over() {
    let backend = Backend::answering(OK);
    let server = settings(&backend)
        .with("proxy", "backend_keep_alive = 1")
        .start();
    assert_eq!(server.client().get("/").text(), "ok");
    wait_until("the idle connection is closed", || {
        server.metric("pincushion_backends") == 0
    });
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let (sender, ended) = std::sync::mpsc::sync_channel(1);
    let backend = Backend::start(move |visit| {
        visit.request();
        visit.wait_for_end();
        let _ = sender.try_send(());
    });
    let server = before(&backend);
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.request();
    // Half-closed would be answered; a reset says that nobody is there.
    client.reset();
    ended
        .recv_timeout(crate::kit::WAIT_MAX)
        .expect("the backend's connection ends");
}

#[test]
fn a_connection_that_was_not_verified_does_not_serve_a_route_that_verifies() {
    let folder = Folder::new();
    let port = tls_backend(&folder);
    let server = Settings::one_shard()
        .route(format!("lax 127.0.0.1:{port},ssl,insecure"))
        .route(format!("* 127.0.0.1:{port},ssl"))
        .start();
    let ask = |host: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        server.client().ask(request).status
    };
    assert_eq!(ask("lax"), 200);
    assert_eq!(
        server.metric("pincushion_backends_idle"),
        1,
        "it waits in a pool"
    );
    assert_eq!(ask("strict"), 502);
    assert_eq!(ask("lax"), 200);
}

/// A backend over TLS with a certificate that nobody trusts.
fn tls_backend(folder: &Folder) -> u16 {
    let [cert, key] = ["a.crt", "a.key"].map(|name| folder.path().join(name));
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1".split(' '))
        .args("-nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1".split(' '))
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    let read = |path| BufReader::new(std::fs::File::open(path).expect("just made"));
    let chain = rustls_pemfile::certs(&mut read(cert)).collect::<Result<Vec<_>, _>>();
    let key = rustls_pemfile::private_key(&mut read(key)).expect("readable");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("readable"), key.expect("a key"))
        .expect("they fit");
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut tls = rustls::StreamOwned::new(session, socket);
            thread::spawn(move || {
                let mut buf = [0; 4096];
                while tls.read(&mut buf).is_ok_and(|len| len > 0) {
                    if tls.write_all(OK.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
