//! TLS for clients and towards backends: rustls over memory, no socket.
//!
//! A session takes ciphertext in and gives plaintext out, and the other way round; who reads and
//! writes the socket is the engine. Versions 1.2 and 1.3, no client certificates, no ALPN: what
//! is spoken inside is HTTP/1.1.

mod certificates;
mod client;

use std::cell::RefCell;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{Connection, ServerConfig};

use certificates::Certificates;
pub use client::TlsConnector;

/// Why a session ended. What the peer has to be told is in [`TlsSession::take_output`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer broke the protocol, has nothing in common with us, or its certificate is refused.
    #[error("TLS failed: {0}")]
    Protocol(#[from] rustls::Error),
    /// Neither the name that the client asked for nor the listener's port has a certificate.
    #[error("no certificate for {}", name.as_deref().unwrap_or("clients that name no host"))]
    NoCertificate {
        /// The name, lower case.
        name: Option<String>,
    },
    /// A backend's name that no certificate could carry.
    #[error("{0:?} is no server name")]
    BadServerName(String),
    /// The session has failed before.
    #[error("the TLS session is over")]
    Over,
}

/// Where a session stands after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlsProgress {
    /// The handshake is not complete: nothing of the inner protocol can have come.
    pub is_handshaking: bool,
    /// There is something for [`TlsSession::take_output`].
    pub has_output: bool,
    /// The peer has ended its side in the proper way (`close_notify`). A socket that ends without
    /// it may have been cut by somebody else.
    pub peer_closed: bool,
}

/// Makes the sessions of one listener. Belongs to one shard.
#[derive(Debug, Clone)]
pub struct TlsAcceptor {
    certificates: Rc<RefCell<Certificates>>,
}

impl TlsAcceptor {
    /// For the listener on `port`, with the certificates in `cert_dir`: `<name>.crt` (chain) and
    /// `<name>.key`, both PEM, where the name is the host, `_.` and the host without its first
    /// label, `default_<port>` or `default`, in this order.
    ///
    /// Nothing is read before a client asks for it, so a missing file does not stop the start; a
    /// replaced one is taken at the next handshake.
    #[must_use]
    pub fn new(cert_dir: &Path, port: u16) -> Self {
        Self {
            certificates: Rc::new(RefCell::new(Certificates::new(cert_dir, port))),
        }
    }

    /// A session with a client that has just connected.
    #[must_use]
    pub fn accept(&self) -> TlsSession {
        let hello = Hello {
            acceptor: Acceptor::default(),
            certificates: Rc::clone(&self.certificates),
        };
        TlsSession {
            state: State::Hello(Box::new(hello)),
        }
    }
}

/// One connection's TLS, in the middle between ciphertext and plaintext.
#[derive(Debug)]
pub struct TlsSession {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The client has not said which host it wants.
    Hello(Box<Hello>),
    Open(Box<Connection>),
    /// Nothing more but an alert for the peer.
    Over(Vec<u8>),
}

struct Hello {
    acceptor: Acceptor,
    certificates: Rc<RefCell<Certificates>>,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hello")
    }
}

impl TlsSession {
    /// Takes `cipher`, bytes as they came from the socket, cut anywhere, and appends what they
    /// hold for the inner protocol to `plain`; at most as much as came.
    ///
    /// # Errors
    /// [`TlsError`] when the session has failed. What `plain` got before that is genuine.
    pub fn receive(
        &mut self,
        mut cipher: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<TlsProgress, TlsError> {
        while !cipher.is_empty() {
            match &mut self.state {
                State::Hello(hello) => {
                    // A slice never fails to be read, and the hello's own buffer is bounded.
                    if hello.acceptor.read_tls(&mut cipher).is_err() {
                        self.state = State::Over(Vec::new());
                        return Err(TlsError::Over);
                    }
                    self.greet()?;
                }
                State::Open(conn) => {
                    if conn.read_tls(&mut cipher).is_err() {
                        return Err(TlsError::Over);
                    }
                    // The alert that a failure calls for is in the connection's output.
                    let arrived = conn.process_new_packets()?.plaintext_bytes_to_read();
                    take_plain(conn, arrived, plain);
                }
                State::Over(_) => return Err(TlsError::Over),
            }
        }
        self.progress()
    }

    /// Encrypts `plain` for [`TlsSession::take_output`]; before the handshake is complete it waits
    /// for that. Of a session that is over, or whose client has not begun, it is dropped.
    pub fn send(&mut self, plain: &[u8]) {
        if let State::Open(conn) = &mut self.state {
            // Cannot fail: the buffer has no limit of its own, the outbox has.
            let _ = std::io::Write::write_all(&mut conn.writer(), plain);
        }
    }

    /// Appends what has to be written to the socket to `cipher`: handshake, records, alerts.
    pub fn take_output(&mut self, cipher: &mut Vec<u8>) {
        match &mut self.state {
            State::Hello(_) => {}
            State::Open(conn) => {
                while conn.wants_write() {
                    // A Vec takes everything.
                    let _ = conn.write_tls(cipher);
                }
            }
            State::Over(alert) => cipher.append(alert),
        }
    }

    /// Queues the proper end of our side. To be sent before the socket is closed.
    pub fn close_notify(&mut self) {
        if let State::Open(conn) = &mut self.state {
            conn.send_close_notify();
        }
    }

    /// Whether the inner protocol cannot have begun.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        match &self.state {
            State::Hello(_) => true,
            State::Open(conn) => conn.is_handshaking(),
            State::Over(_) => false,
        }
    }

    fn open(mut conn: Connection) -> State {
        conn.set_buffer_limit(None);
        State::Open(Box::new(conn))
    }

    /// Chooses the certificate once the client's hello is complete.
    fn greet(&mut self) -> Result<(), TlsError> {
        let State::Hello(hello) = &mut self.state else {
            return Ok(());
        };
        match hello.acceptor.accept() {
            Ok(None) => Ok(()),
            Ok(Some(accepted)) => {
                let name = accepted
                    .client_hello()
                    .server_name()
                    .map(str::to_ascii_lowercase);
                let config = hello.certificates.borrow_mut().choose(name.as_deref());
                match config {
                    Some(config) => self.begin(accepted, config),
                    None => Err(self.refuse(accepted, name)),
                }
            }
            Err((error, alert)) => Err(self.end(error, alert)),
        }
    }

    fn begin(&mut self, accepted: Accepted, config: Arc<ServerConfig>) -> Result<(), TlsError> {
        match accepted.into_connection(config) {
            Ok(conn) => {
                self.state = Self::open(conn.into());
                Ok(())
            }
            Err((error, alert)) => Err(self.end(error, alert)),
        }
    }

    /// Ends the session of a client for whom there is no certificate, with the alert for that.
    fn refuse(&mut self, accepted: Accepted, name: Option<String>) -> TlsError {
        self.state = State::Over(Vec::new());
        let config = certificates::without_certificate();
        if let Ok(Err((error, alert))) = config.map(|config| accepted.into_connection(config)) {
            self.end(error, alert);
        }
        TlsError::NoCertificate { name }
    }

    fn end(&mut self, error: rustls::Error, mut alert: AcceptedAlert) -> TlsError {
        let mut bytes = Vec::new();
        // A Vec takes everything.
        let _ = alert.write_all(&mut bytes);
        self.state = State::Over(bytes);
        TlsError::Protocol(error)
    }

    fn progress(&mut self) -> Result<TlsProgress, TlsError> {
        match &mut self.state {
            State::Hello(_) => Ok(TlsProgress {
                is_handshaking: true,
                ..TlsProgress::default()
            }),
            State::Open(conn) => Ok(TlsProgress {
                is_handshaking: conn.is_handshaking(),
                has_output: conn.wants_write(),
                peer_closed: conn.process_new_packets()?.peer_has_closed(),
            }),
            State::Over(_) => Err(TlsError::Over),
        }
    }
}

/// Appends the `len` bytes that rustls has decrypted to `plain`.
fn take_plain(conn: &mut Connection, len: usize, plain: &mut Vec<u8>) {
    if len == 0 {
        return;
    }
    let before = plain.len();
    plain.resize(before + len, 0);
    let read = plain
        .get_mut(before..)
        .map(|room| conn.reader().read_exact(room));
    debug_assert!(
        matches!(read, Some(Ok(()))),
        "rustls said there were {len} bytes"
    );
}

/// The cryptography of every session.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests;
