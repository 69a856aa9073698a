//! Gives the condition of a line its meaning: what it asks for and what it changes.
//!
//! Unknown options are ignored without a word, as Pushpin does: routes files are shared between
//! versions.

mod target;

use std::collections::HashSet;
use std::path::Path;

use log::LevelFilter;

use super::line::{Section, sections};
use super::{
    Condition, HostPort, Jsonp, JsonpMode, PathChange, Proto, Route, RouteLineError as Error,
    SigOverride, SockJs, is_token,
};
use crate::key::{Key, KeyError, KeyUse};

/// Reads the lines of one file, one after the other.
pub(super) struct Builder<'b> {
    /// The folder that relative file names are taken from.
    base_dir: &'b Path,
    /// Different ZeroMQ endpoints so far; each costs sockets.
    specs: HashSet<String>,
    /// What was odd about the last line.
    warnings: Vec<String>,
}

impl<'b> Builder<'b> {
    /// A reader that has read nothing.
    pub(super) fn new(base_dir: &'b Path) -> Self {
        Self {
            base_dir,
            specs: HashSet::new(),
            warnings: Vec::new(),
        }
    }

    /// The route of a line, `None` if it is empty or a comment.
    pub(super) fn route(&mut self, text: &str, line: usize) -> Result<Option<Route>, Error> {
        self.warnings.clear();
        let sections = sections(text)?;
        let Some((rule, targets)) = sections.split_first() else {
            return Ok(None);
        };
        if targets.is_empty() {
            return Err(Error::NoTarget);
        }
        let condition = condition(rule)?;
        let own_id = rule.last_text("id");
        if condition.domain.is_empty() && own_id.is_none() {
            return Err(Error::Unreachable);
        }
        let jsonp_mode = jsonp_mode(rule)?;
        let route = Route {
            has_own_id: own_id.is_some(),
            id: own_id.unwrap_or_else(|| condition.generated_id()),
            line,
            sig: self.sig(rule)?,
            prefix: rule.last_text("prefix").unwrap_or_default(),
            as_host: host(rule, "as_host")?,
            path_change: path_change(rule, &condition)?,
            headers: headers(rule)?,
            orig_headers: rule.has("orig_headers"),
            no_grip: rule.has("no_grip"),
            session: rule.has("session"),
            debug: rule.has("debug"),
            auto_cross_origin: rule.has("aco"),
            jsonp: jsonp(rule, jsonp_mode)?,
            sockjs: rule.last_text("sockjs").map(|path| SockJs {
                path,
                as_path: rule.last_text("sockjs_as_path"),
            }),
            log_level: log_level(rule)?,
            targets: targets
                .iter()
                .map(|target| self.target(target))
                .collect::<Result<_, _>>()?,
            condition,
        };
        self.warn_of_domain(&route.condition.domain);
        Ok(Some(route))
    }

    /// What was odd about the last line; it serves all the same.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// `sig_iss`, `sig_key`. A missing file falls back to the key of the settings, as in Pushpin.
    fn sig(&mut self, rule: &Section) -> Result<Option<SigOverride>, Error> {
        let text = rule.last("sig_key").unwrap_or_default();
        let key = match Key::parse(text, self.base_dir, KeyUse::Sign) {
            Ok(key) => key,
            Err(error @ KeyError::NoFile { .. }) => {
                self.warnings
                    .push(format!("sig_key: {error}; the key of the settings is used"));
                None
            }
            Err(error) => return Err(Error::BadKey(error)),
        };
        let iss = rule.last_text("sig_iss");
        Ok((iss.is_some() || key.is_some()).then_some(SigOverride { iss, key }))
    }

    /// Names that nobody can ask for.
    fn warn_of_domain(&mut self, domain: &str) {
        if domain.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.warnings.push(format!(
                "domain {domain:?} has capital letters: hosts are compared in lower case, so it \
                 never serves"
            ));
        }
        if domain.len() > 1 && domain.contains('*') {
            self.warnings.push(format!(
                "domain {domain:?}: there are no wildcards but \"*\" alone, so it never serves"
            ));
        }
    }
}

/// An option's value that cannot be used.
fn bad(option: &'static str, value: &str, expected: &'static str) -> Error {
    Error::BadValue {
        option,
        value: value.to_owned(),
        expected,
    }
}

/// `proto`, `ssl`, `path_beg`.
fn condition(rule: &Section) -> Result<Condition, Error> {
    let proto = match rule.last("proto") {
        None => None,
        Some("http") => Some(Proto::Http),
        Some("ws") => Some(Proto::WebSocket),
        Some(other) => return Err(bad("proto", other, "http or ws")),
    };
    let is_ssl = match rule.last("ssl") {
        None => None,
        Some("yes") => Some(true),
        Some("no") => Some(false),
        Some(other) => return Err(bad("ssl", other, "yes or no")),
    };
    let path_beg = rule.last("path_beg");
    if path_beg == Some("") {
        return Err(bad("path_beg", "", "a path prefix"));
    }
    let path_beg = path_beg.map(str::to_owned);
    Ok(Condition {
        domain: rule.value.clone(),
        proto,
        is_ssl,
        path_beg,
    })
}

/// `as_host`, `host`.
fn host(section: &Section, option: &'static str) -> Result<Option<HostPort>, Error> {
    let Some(text) = section.last_text(option) else {
        return Ok(None);
    };
    match HostPort::parse(&text) {
        Some(host) => Ok(Some(host)),
        None => Err(bad(option, &text, "HOST or HOST:PORT")),
    }
}

/// `path_rem`, `replace_beg`; the latter beats the former.
fn path_change(rule: &Section, condition: &Condition) -> Result<PathChange, Error> {
    if let Some(prefix) = rule.last("replace_beg") {
        let remove_len = condition.path_beg.as_ref().map_or(0, String::len);
        return Ok(PathChange::Replace {
            remove_len,
            prefix: prefix.to_owned(),
        });
    }
    let Some(count) = rule.last("path_rem") else {
        return Ok(PathChange::Keep);
    };
    match decimal(count) {
        Some(0) => Ok(PathChange::Keep),
        Some(remove_len) => Ok(PathChange::Replace {
            remove_len,
            prefix: String::new(),
        }),
        None => Err(bad("path_rem", count, "a number of characters")),
    }
}

/// A whole number without a sign.
fn decimal(text: &str) -> Option<usize> {
    // `parse` would take a plus sign.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// `header`, in the order of the wire.
fn headers(rule: &Section) -> Result<Vec<(String, String)>, Error> {
    let mut headers = Vec::new();
    for text in rule.all("header") {
        let expected = "NAME:VALUE with the name of a field";
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| bad("header", text, expected))?;
        if !is_token(name) {
            return Err(bad("header", text, expected));
        }
        headers.push((name.to_owned(), value.trim_start_matches(' ').to_owned()));
    }
    headers.reverse();
    Ok(headers)
}

/// `jsonp_mode`.
fn jsonp_mode(rule: &Section) -> Result<JsonpMode, Error> {
    match rule.last("jsonp_mode") {
        None | Some("extended") => Ok(JsonpMode::Extended),
        Some("basic") => Ok(JsonpMode::Basic),
        Some(other) => Err(bad("jsonp_mode", other, "basic or extended")),
    }
}

/// The other `jsonp_…` options.
fn jsonp(rule: &Section, mode: JsonpMode) -> Result<Jsonp, Error> {
    let default_method = rule.last_text("jsonp_defmethod").unwrap_or_else(|| {
        match mode {
            JsonpMode::Extended => "GET",
            JsonpMode::Basic => "POST",
        }
        .to_owned()
    });
    if !is_token(&default_method) {
        return Err(bad("jsonp_defmethod", &default_method, "a method"));
    }
    Ok(Jsonp {
        mode,
        callback: rule
            .last_text("jsonp_cb")
            .unwrap_or_else(|| "callback".to_owned()),
        body: rule.last_text("jsonp_body"),
        default_callback: rule.last_text("jsonp_defcb"),
        default_method,
    })
}

/// `log_level`, with Pushpin's numbers.
fn log_level(rule: &Section) -> Result<Option<LevelFilter>, Error> {
    let level = match rule.last("log_level") {
        None => return Ok(None),
        Some("0") => LevelFilter::Error,
        Some("1") => LevelFilter::Warn,
        Some("2") => LevelFilter::Info,
        Some("3") => LevelFilter::Debug,
        Some("4") => LevelFilter::Trace,
        Some(other) => return Err(bad("log_level", other, "a number from 0 to 4")),
    };
    Ok(Some(level))
}

#[cfg(test)]
mod tests;
