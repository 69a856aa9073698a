//! The thread that looks at the routes file and at the names in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use config::{Config, RouteError, RouteTable};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use log::{info, warn};

use super::source::{Fingerprint, Source};
use crate::io::clock::Clock;
use crate::io::resolve::{Addresses, Name, resolve};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A file that was seen changing is read once it has been quiet for so long: whoever writes it in
/// place empties it first.
const SETTLE: Duration = Duration::from_millis(50);

/// How long a table may wait for the names in it.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the thread owns.
pub(super) struct Watcher {
    source: Source,
    table: RouteTable,
    tables: Sender<Arc<RouteTable>>,
    reloads: Receiver<()>,
    /// The state that was read.
    read: Option<Fingerprint>,
    /// A state that differs from it and may still change.
    changing: Option<Fingerprint>,
    /// The table in use, when the control thread had no room for it yet.
    is_unsent: bool,
    clock: Clock,
    refresh_every_ms: u64,
    refresh_due_ms: u64,
}

impl Watcher {
    pub(super) fn new(
        config: Arc<Config>,
        table: RouteTable,
        tables: Sender<Arc<RouteTable>>,
        reloads: Receiver<()>,
    ) -> Self {
        let refresh_every_ms = u64::from(config.proxy.dns_refresh_s) * 1_000;
        let source = Source::new(config);
        Self {
            // What changed between the first reading and now is read again once; better than never.
            read: source.fingerprint(),
            source,
            table,
            tables,
            reloads,
            changing: None,
            is_unsent: false,
            clock: Clock::start(),
            refresh_every_ms,
            refresh_due_ms: refresh_every_ms,
        }
    }

    /// Runs until the control thread has gone.
    pub(super) fn run(mut self) {
        loop {
            let pause = if self.changing.is_some() {
                SETTLE
            } else {
                LOOK_EVERY
            };
            match self.reloads.recv_timeout(pause) {
                Ok(()) => self.load(),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.refresh_names();
            self.send();
        }
    }

    /// Reads the file once it has changed and is quiet again.
    fn look(&mut self) {
        let seen = self.source.fingerprint();
        if seen == self.read {
            self.changing = None;
        } else if seen.is_some() && seen == self.changing {
            self.load();
        } else {
            // A file that is gone for a moment is being replaced; the old routes stay.
            self.changing = seen;
        }
    }

    fn load(&mut self) {
        // Before the reading: a change in between is seen as one.
        self.read = self.source.fingerprint();
        self.changing = None;
        let name = self.source.name();
        let (mut table, errors) = match self.source.read() {
            Ok(read) => read,
            Err(error) => {
                warn!("{error}; the routes so far stay in use");
                return;
            }
        };
        log_errors(&name, &errors);
        let known = addresses_of(&self.table);
        let mut is_new = false;
        table.resolve(&mut |host, port| {
            let name = (host.to_owned(), port);
            known.get(&name).cloned().unwrap_or_else(|| {
                is_new = true;
                Vec::new()
            })
        });
        if is_new {
            resolve_names(&mut table);
        }
        info!("{name}: {} routes", table.routes().len());
        self.table = table;
        self.is_unsent = true;
    }

    /// Looks the names up again when it is time; a table with changed addresses is a new table.
    fn refresh_names(&mut self) {
        let now_ms = self.clock.now_ms();
        if self.refresh_every_ms == 0 || now_ms < self.refresh_due_ms {
            return;
        }
        if resolve_names(&mut self.table) {
            info!("addresses of backends have changed");
            self.is_unsent = true;
        }
        self.refresh_due_ms = self.clock.now_ms() + self.refresh_every_ms;
    }

    fn send(&mut self) {
        if self.is_unsent {
            self.is_unsent = self.tables.try_send(Arc::new(self.table.clone())).is_err();
        }
    }
}

/// Names the lines that are wrong.
fn log_errors(name: &str, errors: &[RouteError]) {
    for error in errors {
        let outcome = if error.is_skipped { " (left out)" } else { "" };
        warn!("{name}: {error}{outcome}");
    }
}

/// Looks up all names of a table; whether an address changed.
pub(super) fn resolve_names(table: &mut RouteTable) -> bool {
    let names = names_of(table).into_iter().collect();
    let found = resolve(names, RESOLVE_TIMEOUT);
    table.resolve(&mut |host, port| {
        // An empty answer leaves what was known.
        found
            .get(&(host.to_owned(), port))
            .cloned()
            .unwrap_or_default()
    })
}

/// The names that a table has to look up.
fn names_of(table: &mut RouteTable) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    table.resolve(&mut |host, port| {
        names.insert((host.to_owned(), port));
        Vec::new()
    });
    names
}

/// What is known about the names of a table.
fn addresses_of(table: &RouteTable) -> Addresses {
    let mut known = Addresses::new();
    for target in table.routes().iter().flat_map(|route| &route.targets) {
        if let config::TargetKind::Http { host, port } = &target.kind
            && !target.resolved.is_empty()
        {
            known.insert((host.clone(), *port), target.resolved.clone());
        }
    }
    known
}
