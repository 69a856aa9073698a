//! All routes of the process, and the search for the one that serves a request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::{Condition, Route, TargetKind, build};

/// Addresses of one name that are kept and tried.
pub(super) const ADDRESSES_MAX: usize = 16;

/// Something wrong with a line of the routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct RouteError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
    /// The line is left out. If not, it serves, but probably not as it was meant.
    pub is_skipped: bool,
}

/// What a route is chosen by.
#[derive(Debug, Clone, Copy)]
pub struct RouteQuery<'q> {
    /// The request's host; a port, brackets and capital letters do not matter.
    pub host: &'q str,
    /// The encoded path without the query.
    pub path: &'q str,
    /// The request came by TLS, or counts as if it had.
    pub is_ssl: bool,
    /// It is the opening handshake of a WebSocket.
    pub is_ws: bool,
}

/// The routes in use; replaced as a whole, never changed while it serves.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    /// All routes, in the order of writing.
    routes: Vec<Arc<Route>>,
    /// Places in `routes` by domain, best first: the first that fits is the answer.
    by_domain: HashMap<String, Vec<usize>>,
    /// Places in `routes` by id. More than one: the id is ambiguous.
    by_id: HashMap<String, Vec<usize>>,
}

impl RouteTable {
    /// Reads the text of a routes file. Relative files named in it are taken from `base_dir`.
    ///
    /// Never fails: what is wrong is in the list, the rest is in the table.
    #[must_use]
    pub fn parse(text: &str, base_dir: &Path) -> (Self, Vec<RouteError>) {
        Self::read(&mut text.lines(), base_dir)
    }

    /// Reads routes given line by line, as in `routes = [...]` or on the command line.
    #[must_use]
    pub fn from_lines(lines: &[String], base_dir: &Path) -> (Self, Vec<RouteError>) {
        Self::read(&mut lines.iter().map(String::as_str), base_dir)
    }

    /// All routes, in the order of writing.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The route that serves a request.
    ///
    /// Rules of the exact domain if there are any, otherwise those of `*`: a known domain never
    /// falls back to `*`. Among them the highest [rank](Condition::rank), then the first written.
    #[must_use]
    pub fn find(&self, query: &RouteQuery<'_>) -> Option<&Arc<Route>> {
        let host = host_name(query.host);
        let places = self
            .by_domain
            .get(host.as_ref())
            .or_else(|| self.by_domain.get("*"))?;
        let mut routes = places.iter().filter_map(|place| self.routes.get(*place));
        routes.find(|route| route.condition.fits(query.path, query.is_ssl, query.is_ws))
    }

    /// The route of an id, written or generated, if its `path_beg` fits `path`.
    ///
    /// Domain, protocol and TLS are not looked at. An id of two routes finds none; see
    /// [`is_ambiguous`](Self::is_ambiguous).
    #[must_use]
    pub fn by_id(&self, id: &str, path: &str) -> Option<&Arc<Route>> {
        let &[place] = self.by_id.get(id)?.as_slice() else {
            return None;
        };
        self.routes
            .get(place)
            .filter(|route| route.condition.path_fits(path))
    }

    /// Whether two routes have this id.
    #[must_use]
    pub fn is_ambiguous(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(|places| places.len() > 1)
    }

    /// Looks up the names of all HTTP targets; true if any address has changed.
    ///
    /// Written addresses are not asked for. Each (name, port) is asked once. An empty answer
    /// leaves the old addresses: a name server that is down for a moment must not empty a route.
    pub fn resolve(&mut self, resolver: &mut dyn FnMut(&str, u16) -> Vec<SocketAddr>) -> bool {
        let mut known = HashMap::new();
        let mut changed = false;
        for route in &mut self.routes {
            for index in 0..route.targets.len() {
                let Some((host, port)) = name_of(route, index) else {
                    continue;
                };
                let found = known
                    .entry((host.to_owned(), port))
                    .or_insert_with(|| resolver(host, port));
                changed |= set_addresses(route, index, found);
            }
        }
        changed
    }

    /// Reads lines one by one.
    fn read(lines: &mut dyn Iterator<Item = &str>, base_dir: &Path) -> (Self, Vec<RouteError>) {
        let mut table = Self::default();
        let mut errors = Vec::new();
        let mut builder = build::Builder::new(base_dir);
        let mut seen: HashMap<Condition, usize> = HashMap::new();
        for (index, text) in lines.enumerate() {
            let line = index + 1;
            let route = match builder.route(text, line) {
                Ok(Some(route)) => route,
                Ok(None) => continue,
                Err(error) => {
                    errors.push(RouteError {
                        line,
                        text: error.to_string(),
                        is_skipped: true,
                    });
                    continue;
                }
            };
            if let Some(first) = seen.get(&route.condition) {
                let text = format!("same condition as line {first}; this one never serves");
                errors.push(RouteError {
                    line,
                    text,
                    is_skipped: true,
                });
                continue;
            }
            // Without a domain only the id counts, so such routes are no duplicates of each other.
            if !route.condition.domain.is_empty() {
                seen.insert(route.condition.clone(), line);
            }
            let warnings = builder.take_warnings().into_iter();
            errors.extend(warnings.map(|text| RouteError {
                line,
                text,
                is_skipped: false,
            }));
            table.routes.push(Arc::new(route));
        }
        table.index();
        (table, errors)
    }

    /// Fills the two maps.
    fn index(&mut self) {
        for (place, route) in self.routes.iter().enumerate() {
            self.by_id.entry(route.id.clone()).or_default().push(place);
            if !route.condition.domain.is_empty() {
                self.by_domain
                    .entry(route.condition.domain.clone())
                    .or_default()
                    .push(place);
            }
        }
        let rank = |place: &usize| self.routes.get(*place).map(|route| route.condition.rank());
        for places in self.by_domain.values_mut() {
            // Stable: of equals the first written stays in front.
            places.sort_by_key(|place| std::cmp::Reverse(rank(place)));
        }
    }
}

/// The host in lower case, without port and brackets.
fn host_name(authority: &str) -> Cow<'_, str> {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => match authority.split_once(':') {
            // More than one colon: an IPv6 address without brackets, all of it.
            Some((host, port)) if !port.contains(':') => host,
            _ => authority,
        },
    };
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(host.to_ascii_lowercase());
    }
    Cow::Borrowed(host)
}

/// Name and port of a target that needs a look-up.
fn name_of(route: &Route, index: usize) -> Option<(&str, u16)> {
    match &route.targets.get(index)?.kind {
        TargetKind::Http { host, port } if host.parse::<std::net::IpAddr>().is_err() => {
            Some((host, *port))
        }
        TargetKind::Http { .. } | TargetKind::Test | TargetKind::Zhttp { .. } => None,
    }
}

/// Puts addresses into a target; true if they are others than before.
fn set_addresses(route: &mut Arc<Route>, index: usize, found: &[SocketAddr]) -> bool {
    let found = found.get(..ADDRESSES_MAX).unwrap_or(found);
    let is_same = |target: &super::Target| found.is_empty() || target.resolved == found;
    if route.targets.get(index).is_none_or(is_same) {
        return false;
    }
    if let Some(target) = Arc::make_mut(route).targets.get_mut(index) {
        target.resolved = found.to_vec();
    }
    true
}

#[cfg(test)]
mod tests;
