//! One line per answered request, for whoever turns it on: `RUST_LOG=pincushion::request=debug`.
//!
//! Off by default: at 50,000 requests per second a log is the most expensive part of a proxy.

use std::fmt;

use super::exchange::Exchange;
use super::rewrite::absolute_url;
use super::{ConnKey, Core, Socket};

/// The target of these lines, by which they are turned on and off.
const LOG_TARGET: &str = "pincushion::request";

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// Answered with this status code.
    Status(u16),
    /// Held.
    Held,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "code={code}"),
            Self::Held => f.write_str("accept"),
        }
    }
}

impl<S: Socket> Core<S> {
    /// Logs a request in the form of Pushpin's log (proxy.md section 17).
    pub(super) fn log_request(&self, key: ConnKey, exchange: &Exchange, outcome: Outcome) {
        if !log::log_enabled!(target: LOG_TARGET, log::Level::Debug) {
            return;
        }
        let request = &exchange.request;
        let row = self.rows.get(key);
        let url = absolute_url(request, row.is_some_and(|row| row.flags.is_ssl));
        let local = self.routes.get(exchange.route);
        let target = local.and_then(|local| local.route.targets.get(exchange.target));
        let mut line = format!(
            "{} {url} -> {}",
            String::from_utf8_lossy(request.method()),
            target.map_or("none", |target| target.text.as_str()),
        );
        let proxy = &self.settings.config.proxy;
        if proxy.log_from
            && let Some(ip) = row.and_then(|row| row.socket.peer_ip())
        {
            line.push_str(&format!(" from={ip}"));
        }
        if let Some(local) = local.filter(|local| local.route.has_own_id) {
            line.push_str(&format!(" route={}", local.route.id));
        }
        line.push_str(&format!(" {outcome}"));
        if proxy.log_user_agent
            && let Some(agent) = request.field("user-agent")
        {
            line.push_str(&format!(" ua={}", String::from_utf8_lossy(agent)));
        }
        log::debug!(target: LOG_TARGET, "{line}");
    }
}
