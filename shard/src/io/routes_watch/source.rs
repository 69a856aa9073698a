//! Routes as they are written: in a file or in the settings.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use config::{Config, ConfigError, RouteError, RouteTable};

/// Where routes are written.
#[derive(Debug, Clone)]
pub(super) struct Source {
    config: Arc<Config>,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    modified_s: i64,
    modified_ns: i64,
    len: u64,
    inode: u64,
}

impl Source {
    pub(super) const fn new(config: Arc<Config>) -> Self {
        Self { config }
    }

    /// How log lines name it.
    pub(super) fn name(&self) -> String {
        let path = self.config.routes_file.as_ref();
        path.map_or_else(|| "routes".to_owned(), |path| path.display().to_string())
    }

    pub(super) fn read(&self) -> Result<(RouteTable, Vec<RouteError>), ConfigError> {
        self.config.load_routes()
    }

    /// The state of the file; `None` when there is no file, or it cannot be looked at.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        let data = fs::metadata(self.config.routes_file.as_ref()?).ok()?;
        Some(Fingerprint {
            modified_s: data.mtime(),
            modified_ns: data.mtime_nsec(),
            len: data.len(),
            inode: data.ino(),
        })
    }
}
