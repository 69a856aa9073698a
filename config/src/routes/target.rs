//! Where a route leads.

use std::net::SocketAddr;
use std::sync::Arc;

use super::HostPort;

/// What answers the requests of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// `test`: built-in answers.
    Test,
    /// `host:port`: an HTTP or WebSocket server.
    Http {
        /// A name or an address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// `zhttp/SPEC` and `zhttpreq/SPEC`: a ZeroMQ endpoint that we bind.
    Zhttp {
        /// Which of the two protocols.
        mode: ZhttpMode,
        /// The endpoint as written, such as `tcp://127.0.0.1:10000`.
        spec: String,
    },
}

/// The two ways to speak with ZeroMQ workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ZhttpMode {
    /// `zhttp/`: sessions, three sockets.
    Stream,
    /// `zhttpreq/`: one request, one answer.
    Request,
}

/// A client certificate, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCert {
    /// The certificate, with its chain.
    pub cert_pem: Arc<[u8]>,
    /// The private key.
    pub key_pem: Arc<[u8]>,
}

/// One target of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What answers.
    pub kind: TargetKind,
    /// The target as written, without options: so it is named in error texts and logs.
    pub text: String,
    /// The addresses of an HTTP target, in the order they are tried. An address that was written as
    /// such is there from the start; a name needs [`RouteTable::resolve`](super::RouteTable::resolve).
    pub resolved: Vec<SocketAddr>,
    /// `ssl`: TLS to the target.
    pub is_tls: bool,
    /// `insecure`: its certificate is not verified.
    pub insecure: bool,
    /// `trust_connect_host`: its certificate is verified for the target's own name.
    pub trust_connect_host: bool,
    /// `client_cert=`, `client_key=`: the certificate shown to it.
    pub client_cert: Option<ClientCert>,
    /// `host=`: the host of the request, applied after the route's `as_host`.
    pub host: Option<HostPort>,
    /// `untrusted`: private addresses are refused.
    pub untrusted: bool,
    /// `sub=`: channels every hold and every WebSocket is subscribed to, without the route's
    /// prefix.
    pub subs: Vec<String>,
    /// `over_http`: WebSockets are translated to WebSocket-over-HTTP.
    pub over_http: bool,
    /// `one_event`: with `over_http`, at most one event per request.
    pub one_event: bool,
    /// `ipc_file_mode=`: permissions of the files of a ZeroMQ target.
    pub ipc_file_mode: Option<u32>,
}

/// Names no key.
impl std::fmt::Debug for ClientCert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCert")
            .field("cert_len", &self.cert_pem.len())
            .finish_non_exhaustive()
    }
}
