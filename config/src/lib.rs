//! Settings and routes: text in, typed values out.
//!
//! Whatever a person writes for pincushion is read here, once, into values that cannot be wrong
//! any more: addresses are addresses, keys are keys, rules are rules. A mistake becomes a text that
//! names file, line and key, never a silent default.
//!
//! # Modules
//!
//! | Module | What it holds |
//! | --- | --- |
//! | [`model`] | [`Config`] with every key, its unit and its default |
//! | [`file`](mod@file) | the reader for `pincushion.toml` |
//! | [`check`] | rules that join several keys |
//! | [`routes`] | the routes syntax, [`RouteTable`] and matching |
//! | [`key`] | signing and verifying keys |
//! | [`forwarded`] | the `X-Forwarded-For` rule |
//! | [`cores`] | which cores the shards run on |
//!
//! # What it refuses to do
//!
//! No socket, no clock, no thread, no environment variable, no name resolution. Files are read only
//! where the caller or a setting names one. What depends on the machine (cores, user, addresses of
//! backends) is passed in.
//!
//! # Example
//!
//! ```
//! use config::{Config, RouteQuery, RouteTable};
//! use std::path::Path;
//!
//! let config = Config::parse("[http]\nlisten = [\"8080\"]\n", Path::new("pincushion.toml"))?;
//! assert_eq!(config.http.listen[0].port(), 8080);
//!
//! let (table, errors) = RouteTable::parse("* localhost:8000\n", Path::new("."));
//! assert!(errors.is_empty());
//! let query = RouteQuery { host: "example.com", path: "/", is_ssl: false, is_ws: false };
//! assert!(table.find(&query).is_some());
//! # Ok::<(), config::ConfigError>(())
//! ```

#![forbid(unsafe_code)]

pub mod check;
pub mod cores;
pub mod file;
pub mod forwarded;
pub mod key;
pub mod model;
pub mod routes;

pub use cores::{CoreSet, CoresError};
pub use file::ConfigError;
pub use forwarded::{ForwardedError, ForwardedRule};
pub use key::{Key, KeyError, KeyUse};
pub use model::{
    Config, Control, ForwardedProtocol, Handler, Http, Proxy, Shards, SlowClient, StatsFormat,
    User, Zmq,
};
pub use routes::{
    ClientCert, Condition, HostPort, Jsonp, JsonpMode, PathChange, Proto, Route, RouteError,
    RouteQuery, RouteTable, SigOverride, SockJs, Target, TargetKind, ZhttpMode,
};
