//! Routes: which request goes where (Pushpin's routes syntax).
//!
//! A line is a condition and one or more targets, parted by spaces; each is a value with options,
//! parted by commas. `line` cuts a line, `build` gives its pieces a meaning, `table` keeps the
//! routes and finds the one of a request. Wrong lines are reported and left out; the others
//! serve.

mod build;
mod error;
mod line;
mod load;
mod route;
mod table;
mod target;

use error::RouteLineError;

pub use load::ROUTES_FILE_LEN_MAX;
pub use route::{
    Condition, HostPort, Jsonp, JsonpMode, PathChange, Proto, Route, SigOverride, SockJs,
};
pub use table::{RouteError, RouteQuery, RouteTable};
pub use target::{ClientCert, Target, TargetKind, ZhttpMode};

/// A token (RFC 9110 section 5.6.2): what a field name or a method may be.
pub(crate) fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}
