//! Gives a target its meaning.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::{Builder, bad, host};
use crate::routes::line::Section;
use crate::routes::{ClientCert, HostPort, RouteLineError as Error, Target, TargetKind, ZhttpMode};

/// Different ZeroMQ endpoints in one table; Pushpin has the same limit.
const SPECS_MAX: usize = 100;

/// Bytes a certificate or key file may have.
const PEM_FILE_LEN_MAX: u64 = 1_048_576;

/// A streaming ZeroMQ target over TCP uses this many ports in a row.
const STREAM_PORTS: u16 = 3;

impl Builder<'_> {
    /// One target of a line.
    pub(super) fn target(&mut self, section: &Section) -> Result<Target, Error> {
        let kind = kind(&section.value)?;
        if let TargetKind::Zhttp { spec, .. } = &kind {
            self.count_spec(spec, &section.value)?;
        }
        if section.all("sub").any(str::is_empty) {
            return Err(bad("sub", "", "a channel"));
        }
        Ok(Target {
            resolved: written_address(&kind).into_iter().collect(),
            kind,
            text: section.value.clone(),
            is_tls: section.has("ssl"),
            insecure: section.has("insecure"),
            trust_connect_host: section.has("trust_connect_host"),
            client_cert: client_cert(section, self.base_dir)?,
            host: host(section, "host")?,
            untrusted: section.has("untrusted"),
            subs: section.all("sub").map(str::to_owned).collect(),
            over_http: section.has("over_http"),
            one_event: section.has("one_event"),
            ipc_file_mode: file_mode(section)?,
        })
    }

    /// Counts a ZeroMQ endpoint against the limit.
    fn count_spec(&mut self, spec: &str, text: &str) -> Result<(), Error> {
        if !self.specs.contains(spec) && self.specs.len() >= SPECS_MAX {
            return Err(Error::TooManySpecs {
                text: text.to_owned(),
                max: SPECS_MAX,
            });
        }
        self.specs.insert(spec.to_owned());
        Ok(())
    }
}

/// What answers, by the value of the section.
fn kind(text: &str) -> Result<TargetKind, Error> {
    if text == "test" {
        return Ok(TargetKind::Test);
    }
    let modes = [
        ("zhttp/", ZhttpMode::Stream),
        ("zhttpreq/", ZhttpMode::Request),
    ];
    for (begin, mode) in modes {
        if let Some(spec) = text.strip_prefix(begin) {
            check_spec(spec, mode).map_err(|expected| Error::BadSpec {
                text: text.to_owned(),
                expected,
            })?;
            return Ok(TargetKind::Zhttp {
                mode,
                spec: spec.to_owned(),
            });
        }
    }
    match HostPort::parse(text) {
        Some(HostPort {
            host,
            port: Some(port),
        }) => Ok(TargetKind::Http { host, port }),
        _ => Err(Error::BadTarget {
            text: text.to_owned(),
        }),
    }
}

/// Refuses an endpoint that could not be bound; the error is what was expected.
fn check_spec(spec: &str, mode: ZhttpMode) -> Result<(), &'static str> {
    let ports = match mode {
        ZhttpMode::Stream => STREAM_PORTS,
        ZhttpMode::Request => 1,
    };
    match spec.split_once("://") {
        Some(("ipc", path)) if !path.is_empty() => Ok(()),
        Some(("tcp", address)) => {
            let port = address
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty());
            let port = port.and_then(|(_, port)| super::decimal(port)).unwrap_or(0);
            // The last of the ports must exist as well.
            if port == 0 || port > usize::from(u16::MAX - (ports - 1)) {
                return Err("tcp://HOST:PORT, with room for 3 ports in a row behind zhttp/");
            }
            Ok(())
        }
        _ => Err("tcp://HOST:PORT or ipc://PATH"),
    }
}

/// The address of a target that was written as an address.
fn written_address(kind: &TargetKind) -> Option<SocketAddr> {
    match kind {
        TargetKind::Http { host, port } => host
            .parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, *port)),
        TargetKind::Test | TargetKind::Zhttp { .. } => None,
    }
}

/// `client_cert`, `client_key`.
fn client_cert(section: &Section, base_dir: &Path) -> Result<Option<ClientCert>, Error> {
    match (
        section.last_text("client_cert"),
        section.last_text("client_key"),
    ) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(ClientCert {
            cert_pem: pem_file("client_cert", &base_dir.join(cert))?,
            key_pem: pem_file("client_key", &base_dir.join(key))?,
        })),
        _ => Err(Error::HalfClientCert),
    }
}

/// The content of a PEM file; whether it fits its purpose is seen by whoever uses it.
fn pem_file(option: &'static str, path: &Path) -> Result<Arc<[u8]>, Error> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(PEM_FILE_LEN_MAX + 1).read_to_end(&mut content))
        .map_err(|source| Error::UnreadableFile {
            option,
            path: path.to_owned(),
            source,
        })?;
    let begin = b"-----BEGIN ";
    let is_pem = content.windows(begin.len()).any(|window| window == begin);
    if !is_pem || content.len() as u64 > PEM_FILE_LEN_MAX {
        return Err(Error::NoPemFile {
            option,
            path: path.to_owned(),
            max: PEM_FILE_LEN_MAX,
        });
    }
    Ok(content.into())
}

/// `ipc_file_mode`.
fn file_mode(section: &Section) -> Result<Option<u32>, Error> {
    let Some(text) = section.last_text("ipc_file_mode") else {
        return Ok(None);
    };
    match crate::file::octal_mode(&text) {
        Some(mode) => Ok(Some(mode)),
        None => Err(bad("ipc_file_mode", &text, "octal permissions such as 660")),
    }
}
