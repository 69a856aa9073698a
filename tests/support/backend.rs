//! A backend that does what a script says, one thread per connection.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::WAIT_MAX;
use super::message::Request;
use super::wire::Wire;

/// Requests kept for the test.
const SEEN_MAX: usize = 10_000;
/// Stack of a connection's thread: there may be a thousand.
const STACK_LEN: usize = 256 * 1024;

/// A backend on a port of its own.
pub(crate) struct Backend {
    port: u16,
    seen: Receiver<Request>,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

/// A connection to the backend.
pub(crate) struct Visit {
    /// The connection itself.
    pub(crate) wire: Wire,
    /// Its number, counted from 0.
    pub(crate) number: usize,
    seen: SyncSender<Request>,
}

impl Backend {
    /// Does `script` for each connection, then closes it.
    pub(crate) fn start(script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (sender, seen) = sync_channel(SEEN_MAX);
        let connections = Arc::new(AtomicUsize::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let (count, over) = (Arc::clone(&connections), Arc::clone(&is_over));
        let script = Arc::new(script);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let mut visit = Visit {
                    wire: Wire::of(socket),
                    number: count.fetch_add(1, Ordering::Relaxed),
                    seen: sender.clone(),
                };
                let script = Arc::clone(&script);
                let builder = thread::Builder::new().stack_size(STACK_LEN);
                let spawned = builder.spawn(move || script(&mut visit));
                spawned.expect("a thread for a connection");
            }
        });
        Self {
            port,
            seen,
            connections,
            is_over,
        }
    }

    /// Answers each request with the same bytes, on connections that stay.
    pub(crate) fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(move |visit| while visit.request().is_some() && visit.answer(&response) {})
    }

    /// Answers each request with 200 and its own target.
    pub(crate) fn echo() -> Self {
        Self::start(|visit| {
            while let Some(request) = visit.request() {
                let target = request.target();
                let len = target.len();
                visit.answer(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{target}"
                ));
            }
        })
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// As a target of a route.
    pub(crate) fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The next request that it got.
    pub(crate) fn request(&self) -> Request {
        let request = self.seen.recv_timeout(WAIT_MAX);
        request.expect("a request reaches the backend")
    }

    /// Whether it got no further request so far.
    pub(crate) fn has_no_request(&self) -> bool {
        self.seen.try_recv().is_err()
    }

    /// How many connections it has got.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; if that fails, the end of the process ends it.
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let _ = TcpStream::connect_timeout(&address, WAIT_MAX);
    }
}

impl Visit {
    /// The next request, whole; `None` when none comes any more.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let head = self.wire.try_head().ok()?;
        let body = self.wire.try_body(&head, false).ok()?;
        let request = Request {
            head,
            body,
            connection: self.number,
        };
        self.note(&request);
        Some(request)
    }

    /// Shows the test a request.
    pub(crate) fn note(&self, request: &Request) {
        // Nobody looks any more once the test is over.
        let _ = self.seen.try_send(request.clone());
    }

    /// Sends a response; whether the peer took it.
    pub(crate) fn answer(&mut self, response: impl AsRef<[u8]>) -> bool {
        self.wire.try_send(response).is_ok()
    }

    /// Waits until the peer has closed the connection.
    pub(crate) fn wait_for_end(&mut self) {
        while self.wire.try_take(1).is_ok() {}
    }
}
