//! Signing and verifying keys: `sig_key`, `upstream_key` and the route option `sig_key`.
//!
//! | Text | Key |
//! | --- | --- |
//! | empty | none |
//! | `base64:DATA` | HMAC secret, decoded |
//! | `file:PATH` | the file's content: PEM, or an HMAC secret in hexadecimal |
//! | `-----BEGIN …` | PEM |
//! | anything else | HMAC secret, the bytes of the text |
//!
//! A PEM key is EC (P-256) or RSA. It is only recognised here, not used: whoever signs gets the PEM
//! text as it is. A key that could not be used later is refused now, with the way to convert it.

mod pem;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Bytes a key file may have; a 16,384-bit RSA key in PEM has less than 13,000.
pub const KEY_FILE_LEN_MAX: u64 = 65_536;

/// A key that is known to be usable. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// An HMAC secret (HS256).
    Hmac(Arc<[u8]>),
    /// An EC key on P-256 as PEM text (ES256): PKCS#8 to sign, SubjectPublicKeyInfo to verify.
    EcPem(Arc<[u8]>),
    /// An RSA key as PEM text (RS256): PKCS#8 or PKCS#1 to sign, SubjectPublicKeyInfo or PKCS#1 to
    /// verify.
    RsaPem(Arc<[u8]>),
}

/// What a key is for; it decides which half of a key pair is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// To sign: a PEM key must be the private one.
    Sign,
    /// To verify: a PEM key must be the public one.
    Verify,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The data behind `base64:` is not base64.
    #[error("the text behind \"base64:\" is not base64")]
    BadBase64,
    /// The key has no bytes: anybody could sign with it.
    #[error("the key is empty")]
    Empty,
    /// The key file is not there. A route falls back to the key of the settings file.
    #[error("key file {} does not exist", path.display())]
    NoFile {
        /// The file, joined to the folder it is relative to.
        path: PathBuf,
    },
    /// The key file cannot be read.
    #[error("key file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file, joined to the folder it is relative to.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key file is over [`KEY_FILE_LEN_MAX`].
    #[error("key file {} is longer than {KEY_FILE_LEN_MAX} bytes", path.display())]
    FileTooLong {
        /// The file, joined to the folder it is relative to.
        path: PathBuf,
    },
    /// The file is neither PEM nor hexadecimal.
    #[error("a key file must hold PEM text or an HMAC secret in hexadecimal")]
    BadHex,
    /// The PEM text cannot be read, or its content is no key of a known kind.
    #[error("the PEM text holds no key that can be read")]
    BadPem,
    /// An EC key in the old SEC1 form.
    #[error(
        "an \"EC PRIVATE KEY\" (SEC1) cannot be used; convert it to PKCS#8: \
         openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW"
    )]
    Sec1,
    /// The key is protected by a pass phrase.
    #[error("the key is encrypted; store it without a pass phrase")]
    Encrypted,
    /// An EC key on another curve than P-256.
    #[error("the EC key is not on the curve P-256 (prime256v1)")]
    WrongCurve,
    /// Neither EC nor RSA.
    #[error("the key is neither EC nor RSA")]
    WrongAlgorithm,
    /// A public key where a private one is needed.
    #[error("a private key is needed to sign, this is a public one")]
    NotPrivate,
    /// A private key where a public one is needed.
    #[error("a public key is needed to verify, this is a private one")]
    NotPublic,
}

impl Key {
    /// Reads a key as it is written in a setting; the empty text is `None`, no key.
    ///
    /// A relative `file:` name is taken from `base_dir`.
    ///
    /// # Errors
    /// [`KeyError`] when the text names a key that cannot be used.
    pub fn parse(text: &str, base_dir: &Path, key_use: KeyUse) -> Result<Option<Self>, KeyError> {
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(data) = text.strip_prefix("base64:") {
            return hmac(from_base64(data)?).map(Some);
        }
        if let Some(name) = text.strip_prefix("file:") {
            let content = read(base_dir.join(name))?;
            return from_file(&content, key_use).map(Some);
        }
        if text.starts_with(pem::BEGIN) {
            return pem::parse(text, key_use).map(Some);
        }
        hmac(text.as_bytes().to_vec()).map(Some)
    }

    /// The bytes of the secret or of the PEM text.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        match self {
            Self::Hmac(bytes) | Self::EcPem(bytes) | Self::RsaPem(bytes) => bytes,
        }
    }
}

/// Names the kind only: keys must never get into a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(secret)",
            Self::EcPem(_) => "EcPem(secret)",
            Self::RsaPem(_) => "RsaPem(secret)",
        })
    }
}

/// An HMAC key that is not empty.
fn hmac(secret: Vec<u8>) -> Result<Key, KeyError> {
    if secret.is_empty() {
        return Err(KeyError::Empty);
    }
    Ok(Key::Hmac(secret.into()))
}

/// Decodes base64 with or without padding.
fn from_base64(data: &str) -> Result<Vec<u8>, KeyError> {
    let data = data.trim();
    let decoded = STANDARD
        .decode(data)
        .or_else(|_| STANDARD_NO_PAD.decode(data));
    decoded.map_err(|_| KeyError::BadBase64)
}

/// The content of a key file.
fn read(path: PathBuf) -> Result<Vec<u8>, KeyError> {
    let mut content = Vec::new();
    let read = File::open(&path)
        .and_then(|file| file.take(KEY_FILE_LEN_MAX + 1).read_to_end(&mut content));
    match read {
        Ok(len) if len as u64 > KEY_FILE_LEN_MAX => Err(KeyError::FileTooLong { path }),
        Ok(_) => Ok(content),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Err(KeyError::NoFile { path }),
        Err(source) => Err(KeyError::Unreadable { path, source }),
    }
}

/// A key out of a file: PEM or hexadecimal.
fn from_file(content: &[u8], key_use: KeyUse) -> Result<Key, KeyError> {
    let text = std::str::from_utf8(content)
        .map_err(|_| KeyError::BadHex)?
        .trim();
    if text.starts_with(pem::BEGIN) {
        return pem::parse(text, key_use);
    }
    hmac(from_hex(text)?)
}

/// Decodes pairs of hexadecimal digits.
fn from_hex(text: &str) -> Result<Vec<u8>, KeyError> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| hex_byte(pair).ok_or(KeyError::BadHex))
        .collect()
}

/// The value of two hexadecimal digits.
fn hex_byte(pair: &[u8]) -> Option<u8> {
    let &[high, low] = pair else {
        return None;
    };
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests;
