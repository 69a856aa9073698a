//! Towards backends.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::{TlsError, TlsSession, provider};

/// Makes sessions with backends. A clone shares the roots and the remembered sessions, so one is
/// enough for a process.
#[derive(Debug, Clone)]
pub struct TlsConnector {
    checked: Arc<ClientConfig>,
    unchecked: Arc<ClientConfig>,
}

impl TlsConnector {
    /// Trusts the machine's root certificates. Reads files: for the start, not for a shard's turn.
    ///
    /// # Errors
    /// [`TlsError::Protocol`] when the library has no protocol version to offer.
    pub fn with_system_roots() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            log::warn!("no root certificates on this machine: https backends need 'insecure'");
        }
        log::debug!("{added} root certificates, {ignored} ignored");
        Self::with_roots(roots)
    }

    /// Trusts `roots`.
    ///
    /// # Errors
    /// As [`TlsConnector::with_system_roots`].
    pub fn with_roots(roots: RootCertStore) -> Result<Self, TlsError> {
        let provider = provider();
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
        };
        let checked = builder()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let unchecked = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(Arc::clone(&provider))))
            .with_no_client_auth();
        Ok(Self {
            checked: Arc::new(checked),
            unchecked: Arc::new(unchecked),
        })
    }

    /// A session with the backend `server_name` (a host name or an address), whose first bytes are
    /// in [`TlsSession::take_output`]. With `insecure` any certificate will do.
    ///
    /// # Errors
    /// [`TlsError::BadServerName`].
    pub fn connect(&self, server_name: &str, insecure: bool) -> Result<TlsSession, TlsError> {
        let name = ServerName::try_from(server_name)
            .map_err(|_| TlsError::BadServerName(server_name.to_owned()))?
            .to_owned();
        let config = if insecure {
            &self.unchecked
        } else {
            &self.checked
        };
        let conn = ClientConnection::new(Arc::clone(config), name)?;
        Ok(TlsSession {
            state: TlsSession::open(conn.into()),
        })
    }
}

/// Takes whatever certificate comes, for routes marked `insecure`. That the backend holds its key
/// is still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
