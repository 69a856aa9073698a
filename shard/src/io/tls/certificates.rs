//! Which certificate a client gets, by file name, and the files that have been read.
//!
//! The names are Pushpin's, with `default` as a last resort that needs no port.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCertUsingSni;

use super::provider;

/// The longest host name in DNS, in bytes.
const NAME_LEN_MAX: usize = 253;
/// Certificates kept in memory; past it all are dropped and read again when asked for.
const CERTIFICATES_MAX: usize = 4_096;

/// The certificates of one listener.
#[derive(Debug)]
pub(super) struct Certificates {
    dir: PathBuf,
    port: u16,
    read: HashMap<String, Loaded>,
}

/// What came of a pair of files.
#[derive(Debug)]
struct Loaded {
    /// Of the certificate and of the key, when they were read last, whatever came of it.
    modified: [SystemTime; 2],
    /// None when they were no good and no good ones came before.
    config: Option<Arc<ServerConfig>>,
}

/// Why a pair of files is no certificate.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("no private key in it")]
    NoKey,
    #[error(transparent)]
    Refused(#[from] rustls::Error),
}

impl Certificates {
    pub(super) fn new(dir: &Path, port: u16) -> Self {
        Self {
            dir: dir.to_owned(),
            port,
            read: HashMap::new(),
        }
    }

    /// The settings for a client that asks for the host `name`, lower case.
    ///
    /// Asks the file system for the times of up to four pairs; reads files that are new.
    pub(super) fn choose(&mut self, name: Option<&str>) -> Option<Arc<ServerConfig>> {
        candidates(name, self.port)
            .iter()
            .find_map(|stem| self.by_stem(stem))
    }

    fn by_stem(&mut self, stem: &str) -> Option<Arc<ServerConfig>> {
        let (crt, key) = self.paths(stem);
        let Ok(modified) = modified(&crt, &key) else {
            self.read.remove(stem);
            return None;
        };
        if let Some(loaded) = self
            .read
            .get(stem)
            .filter(|loaded| loaded.modified == modified)
        {
            return loaded.config.clone();
        }
        let config = match load(&crt, &key) {
            Ok(config) => Some(config),
            Err(error) => {
                log::warn!("certificate {}: {error}", crt.display());
                // Halfway through a replacement the two files do not fit: the old pair goes on.
                self.read.get(stem).and_then(|loaded| loaded.config.clone())
            }
        };
        if self.read.len() >= CERTIFICATES_MAX {
            self.read.clear();
        }
        self.read.insert(
            stem.to_owned(),
            Loaded {
                modified,
                config: config.clone(),
            },
        );
        config
    }

    fn paths(&self, stem: &str) -> (PathBuf, PathBuf) {
        (
            self.dir.join(format!("{stem}.crt")),
            self.dir.join(format!("{stem}.key")),
        )
    }
}

/// File names without their ending, best first.
fn candidates(name: Option<&str>, port: u16) -> Vec<String> {
    let mut stems = Vec::with_capacity(4);
    if let Some(name) = name.filter(|name| is_file_name(name)) {
        stems.push(name.to_owned());
        if let Some((_, rest)) = name.split_once('.') {
            stems.push(format!("_.{rest}"));
        }
    }
    stems.push(format!("default_{port}"));
    stems.push("default".to_owned());
    stems
}

/// Whether a client may have us look for a file of this name.
fn is_file_name(name: &str) -> bool {
    let harmless = |byte: u8| !byte.is_ascii_control() && byte != b'/';
    !name.is_empty()
        && name.len() <= NAME_LEN_MAX
        && !name.starts_with('.')
        && name.bytes().all(harmless)
}

fn modified(crt: &Path, key: &Path) -> io::Result<[SystemTime; 2]> {
    Ok([
        fs::metadata(crt)?.modified()?,
        fs::metadata(key)?.modified()?,
    ])
}

fn load(crt: &Path, key: &Path) -> Result<Arc<ServerConfig>, LoadError> {
    let chain: Vec<_> =
        rustls_pemfile::certs(&mut fs::read(crt)?.as_slice()).collect::<Result<_, _>>()?;
    let key = rustls_pemfile::private_key(&mut fs::read(key)?.as_slice())?;
    let key = key.ok_or(LoadError::NoKey)?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// Settings under which every handshake ends with the proper alert.
pub(super) fn without_certificate() -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_comes_first_then_its_wildcard_then_the_port_then_the_default() {
        let table: [(Option<&str>, &[&str]); 5] = [
            (None, &[]),
            (Some("localhost"), &["localhost"]),
            (Some("example.test"), &["example.test", "_.test"]),
            (
                Some("a.b.example.test"),
                &["a.b.example.test", "_.b.example.test"],
            ),
            (Some("default"), &["default"]),
        ];
        for (name, expected) in table {
            let mut expected = expected.to_vec();
            expected.extend(["default_8443", "default"]);
            assert_eq!(candidates(name, 8443), expected, "{name:?}");
        }
    }

    #[test]
    fn names_that_could_leave_the_folder_are_never_looked_up() {
        let long = "a".repeat(NAME_LEN_MAX + 1);
        for name in [
            "../secret",
            "a/b",
            ".",
            "..",
            ".hidden",
            "a\0b",
            "a\nb",
            "",
            &long,
        ] {
            assert_eq!(
                candidates(Some(name), 443),
                ["default_443", "default"],
                "{name:?}"
            );
        }
        let longest = "a".repeat(NAME_LEN_MAX);
        assert_eq!(candidates(Some(&longest), 443)[0], longest);
    }
}
