//! `Grip-Sig`: proves to a backend that a request came through us, and to us that a client is
//! itself a GRIP proxy (GRIP; RFC 7519).

use config::Key;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

/// Seconds for which a signature is good.
pub(super) const SIGNATURE_LIFE_S: u64 = 3600;

/// Seconds for which a made signature is used again: RSA costs a millisecond.
const SIGNATURE_REUSE_S: u64 = 30;

/// Makes signatures for one issuer and key.
pub(super) struct Signer {
    header: Header,
    key: EncodingKey,
    iss: String,
    last: String,
    made_s: u64,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("iss", &self.iss)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer, or none if the key cannot sign (which [`config`] has refused before).
    pub(super) fn new(iss: &str, key: &Key) -> Option<Self> {
        let (algorithm, key) = match key {
            Key::Hmac(secret) => (Algorithm::HS256, EncodingKey::from_secret(secret)),
            Key::EcPem(pem) => (Algorithm::ES256, EncodingKey::from_ec_pem(pem).ok()?),
            Key::RsaPem(pem) => (Algorithm::RS256, EncodingKey::from_rsa_pem(pem).ok()?),
        };
        Some(Self {
            header: Header::new(algorithm),
            key,
            iss: iss.to_owned(),
            last: String::new(),
            made_s: 0,
        })
    }

    /// A token that is good for [`SIGNATURE_LIFE_S`], give or take the time of reuse.
    pub(super) fn token(&mut self, unix_s: u64) -> &str {
        if self.last.is_empty() || unix_s.abs_diff(self.made_s) >= SIGNATURE_REUSE_S {
            let claims = serde_json::json!({ "iss": self.iss, "exp": unix_s + SIGNATURE_LIFE_S });
            match jsonwebtoken::encode(&self.header, &claims, &self.key) {
                Ok(token) => self.last = token,
                Err(error) => {
                    log::error!("cannot sign requests as {}: {error}", self.iss);
                    self.last.clear();
                }
            }
            self.made_s = unix_s;
        }
        &self.last
    }
}

/// Checks signatures of clients that are GRIP proxies themselves.
pub(super) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier, or none if the key cannot verify.
    pub(super) fn new(key: &Key) -> Option<Self> {
        let (algorithm, key) = match key {
            Key::Hmac(secret) => (Algorithm::HS256, DecodingKey::from_secret(secret)),
            Key::EcPem(pem) => (Algorithm::ES256, DecodingKey::from_ec_pem(pem).ok()?),
            Key::RsaPem(pem) => (Algorithm::RS256, DecodingKey::from_rsa_pem(pem).ok()?),
        };
        let mut validation = Validation::new(algorithm);
        // The library would ask the system's clock; the core is given the time.
        validation.validate_exp = false;
        Some(Self { key, validation })
    }

    /// Whether `token` was signed with the key and is good at `unix_s`. `exp` is required; a token
    /// with `aud` is refused, because it was meant for somebody else.
    pub(super) fn accepts(&self, token: &[u8], unix_s: u64) -> bool {
        let Ok(data) =
            jsonwebtoken::decode::<serde_json::Value>(token, &self.key, &self.validation)
        else {
            return false;
        };
        let claims = data.claims;
        #[expect(clippy::cast_precision_loss, reason = "seconds fit a double for ages")]
        let now = unix_s as f64;
        claims.get("aud").is_none()
            && claims
                .get("exp")
                .and_then(serde_json::Value::as_f64)
                .is_some_and(|exp| exp > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &[u8]) -> Key {
        Key::Hmac(text.into())
    }

    #[test]
    fn what_one_end_signs_the_other_accepts_until_it_expires() {
        let mut signer = Signer::new("me", &key(b"secret")).unwrap();
        let token = signer.token(1000).to_owned();
        let verifier = Verifier::new(&key(b"secret")).unwrap();
        assert!(verifier.accepts(token.as_bytes(), 1000));
        assert!(!verifier.accepts(token.as_bytes(), 1000 + SIGNATURE_LIFE_S));
        assert!(
            !Verifier::new(&key(b"other"))
                .unwrap()
                .accepts(token.as_bytes(), 1000)
        );
        assert!(!verifier.accepts(b"nonsense", 1000));
    }

    #[test]
    fn a_signature_is_made_anew_after_a_while() {
        let mut signer = Signer::new("me", &key(b"secret")).unwrap();
        let first = signer.token(1000).to_owned();
        assert_eq!(signer.token(1000 + SIGNATURE_REUSE_S - 1), first);
        assert_ne!(signer.token(1000 + SIGNATURE_REUSE_S), first);
    }
}
