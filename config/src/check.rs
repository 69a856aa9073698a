//! Rules that join several settings.
//!
//! The reader of the settings file applies them; whoever changes settings afterwards (a port on the
//! command line) applies them again.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use crate::file::full_name;
use crate::model::Config;

/// Bytes the path of a Unix socket may have: `sun_path` less its final zero byte (unix(7)).
pub const LOCAL_PATH_LEN_MAX: usize = 107;

/// One rule that the settings break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The section of the key, without brackets; empty outside sections.
    pub section: &'static str,
    /// The key that is best changed.
    pub key: &'static str,
    /// What is wrong.
    pub text: String,
}

/// `[section] key: text`.
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", full_name(self.section, self.key), self.text)
    }
}

/// All rules that the settings break; empty when they can be used.
#[must_use]
pub fn check(config: &Config) -> Vec<Broken> {
    let mut broken = Vec::new();
    let http = &config.http;
    let mut add = |section, key, text: String| broken.push(Broken { section, key, text });
    if http.listen.is_empty() && http.https_listen.is_empty() && http.local_listen.is_empty() {
        add(
            "http",
            "listen",
            "no address to serve clients on".to_owned(),
        );
    }
    if !http.https_listen.is_empty() && http.cert_dir.is_none() {
        add(
            "http",
            "https_listen",
            "needs certificates: set cert_dir".to_owned(),
        );
    }
    for path in &http.local_listen {
        if path.as_os_str().len() > LOCAL_PATH_LEN_MAX {
            let path = path.display();
            let text = format!("{path}: the path is longer than {LOCAL_PATH_LEN_MAX} bytes");
            add("http", "local_listen", text);
        }
    }
    if config.proxy.response_head_max > config.proxy.buffer_size {
        add(
            "proxy",
            "response_head_max",
            "must not be greater than buffer_size".to_owned(),
        );
    }
    let mut taken = HashMap::new();
    for (section, key, address) in addresses(config) {
        if let Some((other_section, other_key)) = taken.insert(address, (section, key)) {
            let other = full_name(other_section, other_key);
            add(
                section,
                key,
                format!("{address} is already used by {other}"),
            );
        }
    }
    broken
}

/// All addresses that will be bound to a certain port, with their keys.
fn addresses(config: &Config) -> impl Iterator<Item = (&'static str, &'static str, SocketAddr)> {
    let Config { http, control, .. } = config;
    let plain = http
        .listen
        .iter()
        .map(|address| ("http", "listen", *address));
    let tls = http
        .https_listen
        .iter()
        .map(|address| ("http", "https_listen", *address));
    let publish = control
        .listen
        .iter()
        .map(|address| ("control", "listen", *address));
    let metrics = control.metrics_listen.iter();
    let metrics = metrics.map(|address| ("control", "metrics_listen", *address));
    // Port 0 is another one each time.
    plain
        .chain(tls)
        .chain(publish)
        .chain(metrics)
        .filter(|(_, _, address)| address.port() != 0)
}

#[cfg(test)]
mod tests;
