//! Recognises what kind of key a PEM text holds (RFC 7468, RFC 5958, RFC 5280).
//!
//! Nothing is computed with the key here; only its algorithm is looked up, so that a key which the
//! signing code would refuse is refused at start.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Key, KeyError, KeyUse};

/// How every PEM text begins.
pub(super) const BEGIN: &str = "-----BEGIN ";

/// What ends the line of a PEM label.
const DASHES: &str = "-----";

/// DER of the object identifier `id-ecPublicKey` (RFC 5480 section 2.1.1).
const OID_EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// DER of the object identifier `secp256r1` (RFC 5480 section 2.1.1.1).
const OID_P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// DER of the object identifier `rsaEncryption` (RFC 8017 appendix A.1).
const OID_RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
];

/// The algorithm identifier stands within that many bytes at the front of the DER, behind at most
/// two headers of a sequence and a version number.
const ALGORITHM_END_MAX: usize = 48;

/// Reads a PEM text whose first block is the key.
pub(super) fn parse(text: &str, key_use: KeyUse) -> Result<Key, KeyError> {
    let (label, der) = block(text)?;
    match (label, key_use) {
        // `openssl ecparam -genkey` writes the parameters before a SEC1 key.
        ("EC PRIVATE KEY" | "EC PARAMETERS", _) => Err(KeyError::Sec1),
        ("ENCRYPTED PRIVATE KEY", _) => Err(KeyError::Encrypted),
        ("PRIVATE KEY", KeyUse::Sign) | ("PUBLIC KEY", KeyUse::Verify) => {
            with_algorithm(text, &der)
        }
        ("RSA PRIVATE KEY", KeyUse::Sign) | ("RSA PUBLIC KEY", KeyUse::Verify) => {
            Ok(Key::RsaPem(text.as_bytes().into()))
        }
        ("PUBLIC KEY" | "RSA PUBLIC KEY", KeyUse::Sign) => Err(KeyError::NotPrivate),
        ("PRIVATE KEY" | "RSA PRIVATE KEY", KeyUse::Verify) => Err(KeyError::NotPublic),
        _ => Err(KeyError::BadPem),
    }
}

/// The label and the decoded content of the first block.
fn block(text: &str) -> Result<(&str, Vec<u8>), KeyError> {
    let split = || {
        let (label, rest) = text.strip_prefix(BEGIN)?.split_once(DASHES)?;
        let (body, end) = rest.split_once("-----END ")?;
        end.strip_prefix(label)?.strip_prefix(DASHES)?;
        Some((label, body))
    };
    let (label, body) = split().ok_or(KeyError::BadPem)?;
    // An old-style encrypted key has fields before its content.
    if body.contains("Proc-Type:") {
        return Err(KeyError::Encrypted);
    }
    let base64: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(base64).map_err(|_| KeyError::BadPem)?;
    // An outer SEQUENCE: without it this is no key at all.
    if der.first() != Some(&0x30) {
        return Err(KeyError::BadPem);
    }
    Ok((label, der))
}

/// A key by the algorithm identifier in its DER.
fn with_algorithm(text: &str, der: &[u8]) -> Result<Key, KeyError> {
    let front = der.get(..ALGORITHM_END_MAX).unwrap_or(der);
    let pem = text.as_bytes().into();
    if has(front, OID_RSA) {
        Ok(Key::RsaPem(pem))
    } else if !has(front, OID_EC) {
        Err(KeyError::WrongAlgorithm)
    } else if has(front, OID_P256) {
        Ok(Key::EcPem(pem))
    } else {
        Err(KeyError::WrongCurve)
    }
}

/// Whether `part` occurs in `bytes`.
fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
