//! Reads the routes that the settings name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{RouteError, RouteTable};
use crate::file::ConfigError;
use crate::model::Config;

/// Bytes a routes file may have.
pub const ROUTES_FILE_LEN_MAX: u64 = 67_108_864;

impl Config {
    /// Reads the routes: the file if one is named, otherwise the inline lines.
    ///
    /// Names in the result are not yet looked up, see [`RouteTable::resolve`].
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read or is too long. Wrong lines are no error here:
    /// they are in the list.
    pub fn load_routes(&self) -> Result<(RouteTable, Vec<RouteError>), ConfigError> {
        let Some(path) = &self.routes_file else {
            return Ok(RouteTable::from_lines(&self.routes, &self.base_dir));
        };
        let mut text = String::new();
        let read = File::open(path)
            .and_then(|file| file.take(ROUTES_FILE_LEN_MAX + 1).read_to_string(&mut text));
        match read {
            Ok(len) if len as u64 <= ROUTES_FILE_LEN_MAX => {
                let base_dir = path.parent().unwrap_or_else(|| Path::new(""));
                Ok(RouteTable::parse(&text, base_dir))
            }
            Ok(_) => Err(ConfigError::TooLong {
                path: path.clone(),
                max: ROUTES_FILE_LEN_MAX,
            }),
            Err(source) => Err(ConfigError::Unreadable {
                path: path.clone(),
                source,
            }),
        }
    }
}
