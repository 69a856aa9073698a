//! Texts with a meaning that several keys share: addresses, endpoints, paths, names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What an address must look like.
const BAD_ADDRESS: &str = "expected PORT, IPV4:PORT or [IPV6]:PORT";

/// What a ZeroMQ endpoint must look like.
pub(super) const BAD_SPEC: &str = "expected tcp://ADDRESS:PORT or ipc://PATH";

/// An address; a bare port belongs to `any`.
pub(super) fn address(text: &str, any: IpAddr) -> Result<SocketAddr, &'static str> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse()
            .map(|port| SocketAddr::new(any, port))
            .map_err(|_| BAD_ADDRESS);
    }
    text.parse().map_err(|_| BAD_ADDRESS)
}

/// An address, or `None` for an empty text. A bare port belongs to the loopback address: whoever
/// may publish must be chosen on purpose.
pub(super) fn loopback_address(text: &str) -> Result<Option<SocketAddr>, &'static str> {
    match text {
        "" => Ok(None),
        _ => address(text, Ipv4Addr::LOCALHOST.into()).map(Some),
    }
}

/// A ZeroMQ endpoint, or `None` for an empty text.
pub(super) fn optional_spec(text: &str) -> Result<Option<String>, &'static str> {
    let is_spec = match text.split_once("://") {
        None => text.is_empty(),
        Some(("tcp", address)) => address.contains(':'),
        Some(("ipc", path)) => !path.is_empty(),
        Some(_) => false,
    };
    if !is_spec {
        return Err(BAD_SPEC);
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// A path that must be there, relative to the settings file.
pub(super) fn folder(base_dir: &Path, text: &str) -> Result<PathBuf, &'static str> {
    optional_path(base_dir, text).ok_or("expected a path")
}

/// A path, relative to the settings file; `None` for an empty text.
pub(super) fn optional_path(base_dir: &Path, text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| base_dir.join(text))
}

/// A text that goes into a field of a request.
pub(super) fn field_value(text: &str) -> Result<Option<String>, &'static str> {
    if !text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        return Err("expected printable ASCII characters");
    }
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// The name of a field.
pub(super) fn field_name(text: &str) -> Result<String, &'static str> {
    match crate::routes::is_token(text) {
        true => Ok(text.to_owned()),
        false => Err("expected names of fields"),
    }
}

/// What the name of a metric may begin with.
pub(super) fn metric_prefix(text: &str) -> Result<String, &'static str> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    if !text.bytes().all(is_legal) || text.starts_with(|char: char| char.is_ascii_digit()) {
        return Err("expected letters, digits, \"_\" and \":\", not beginning with a digit");
    }
    Ok(text.to_owned())
}
