//! Readers of option values.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{ArgError, Args, Count, Filter, Scenario};
use crate::client::herd::Channels;
use crate::machine::cores;
use crate::message::{SIZE_MAX, SIZE_MIN, USER_LEN};

/// Reads a whole number within limits; underscores may group its digits.
pub(super) fn number(option: &str, value: &str, min: u64, max: u64) -> Result<u64, ArgError> {
    let number = value
        .replace('_', "")
        .parse()
        .ok()
        .filter(|n| (min..=max).contains(n));
    number.ok_or_else(|| ArgError::BadValue {
        option: option.to_owned(),
        expected: format!("a whole number from {min} to {max}"),
        value: value.to_owned(),
    })
}

/// Reads `shared` or `own`.
pub(super) fn channel_mode(value: &str) -> Result<Channels, ArgError> {
    match value {
        "shared" => Ok(Channels::Shared),
        "own" => Ok(Channels::Own),
        _ => Err(ArgError::BadValue {
            option: "--channels".to_owned(),
            expected: "`shared` or `own`".to_owned(),
            value: value.to_owned(),
        }),
    }
}

/// Reads a list of cores.
pub(super) fn core_list(value: &str) -> Result<Vec<usize>, ArgError> {
    cores::parse_list(value).ok_or_else(|| ArgError::BadValue {
        option: "--cores".to_owned(),
        expected: format!(
            "`all` or a list out of {}",
            cores::write_list(&cores::allowed())
        ),
        value: value.to_owned(),
    })
}

/// Reads `host:port`, with `http://` in front or a slash behind if one likes.
pub(super) fn loopback(option: &'static str, value: &str) -> Result<SocketAddrV4, ArgError> {
    let text = value.strip_prefix("http://").unwrap_or(value);
    let text = text.strip_suffix('/').unwrap_or(text);
    let bad = || ArgError::BadValue {
        option: option.to_owned(),
        expected: "an address such as 127.0.0.1:7999".to_owned(),
        value: value.to_owned(),
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse().map_err(|_| bad())?;
    let ip = if host == "localhost" {
        Some(Ipv4Addr::LOCALHOST)
    } else {
        host.parse().ok()
    };
    // A name is not looked up: it could lead anywhere.
    match ip {
        Some(ip) if ip.is_loopback() => Ok(SocketAddrV4::new(ip, port)),
        _ => Err(ArgError::NotLoopback {
            option,
            value: value.to_owned(),
        }),
    }
}

/// Messages have a shortest and a longest form; only bodies of `proxy` may be any size.
pub(super) fn check_size(args: &Args) -> Result<(), ArgError> {
    let has_size = args
        .scenario
        .counts()
        .iter()
        .any(|(count, _)| *count == Count::Size);
    if !has_size || args.scenario == Scenario::Proxy {
        return Ok(());
    }
    let value = args.count(Count::Size).to_string();
    let name_len = if args.filter == Filter::VarSubst {
        USER_LEN
    } else {
        0
    };
    let min = (SIZE_MIN + name_len) as u64;
    number("--size", &value, min, SIZE_MAX as u64).map(drop)
}
