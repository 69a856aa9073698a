//! Where the routes come from: read before anything is served, then looked at again and again by
//! a plain thread, since files and name servers may block.

mod source;
mod watcher;

use std::sync::Arc;

use config::{Config, ConfigError, RouteError, RouteTable};
use crossbeam_channel::{Receiver, Sender, bounded};

use self::watcher::Watcher;

/// Tables that may wait for the control thread; the thread keeps the newest one until it fits.
const TABLES_QUEUED_MAX: usize = 2;

/// Reload requests that may wait; more of them would ask for the same.
const RELOADS_QUEUED_MAX: usize = 1;

/// The control thread's end of the thread that looks at the routes.
///
/// The thread ends when this is dropped.
#[derive(Debug)]
pub struct RoutesWatch {
    tables: Receiver<Arc<RouteTable>>,
    reloads: Sender<()>,
}

impl RoutesWatch {
    /// Starts the thread. `initial` is the table that is served so far.
    ///
    /// # Errors
    /// The system's, when it gives no thread.
    pub fn start(config: Arc<Config>, initial: RouteTable) -> std::io::Result<Self> {
        let (tables, received) = bounded(TABLES_QUEUED_MAX);
        let (reloads, asked) = bounded(RELOADS_QUEUED_MAX);
        let watcher = Watcher::new(config, initial, tables, asked);
        std::thread::Builder::new()
            .name("routes".to_owned())
            .spawn(move || watcher.run())?;
        Ok(Self {
            tables: received,
            reloads,
        })
    }

    /// Asks for the routes to be read again, changed or not.
    pub fn reload(&mut self) {
        // A request that waits already asks for the same.
        let _ = self.reloads.try_send(());
    }

    /// A table that takes the place of the one before.
    pub fn next_table(&mut self) -> Option<Arc<RouteTable>> {
        // Only the newest matters.
        self.tables.try_iter().last()
    }
}

/// Reads the routes before anything is served, and looks up the names in them for a few seconds
/// at most; those that are not found in time are looked up again later.
///
/// Lines that are wrong come back as errors; the rest is in the table.
///
/// # Errors
/// [`ConfigError`] when the file cannot be read.
pub fn load_initial(config: &Config) -> Result<(RouteTable, Vec<RouteError>), ConfigError> {
    let (mut table, errors) = config.load_routes()?;
    watcher::resolve_names(&mut table);
    Ok((table, errors))
}

#[cfg(test)]
mod tests;
