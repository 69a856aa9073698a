//! Routes: which request goes where (Pushpin's routes syntax).
//!
//! A line is a condition and one or more targets, parted by spaces; each is a value with options,
//! parted by commas. [`line`] cuts a line, [`build`] gives its pieces a meaning, this file keeps
//! the table and finds the route of a request. Wrong lines are reported and left out; the others
//! serve.

mod build;
mod line;
mod route;
mod table;
mod target;

pub use route::{
    Condition, HostPort, Jsonp, JsonpMode, PathChange, Proto, Route, SigOverride, SockJs,
};
pub use table::{RouteError, RouteQuery, RouteTable};
pub use target::{ClientCert, Target, TargetKind, ZhttpMode};
