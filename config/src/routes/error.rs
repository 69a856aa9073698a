//! What can be wrong with a line of the routes.

use std::io;
use std::path::PathBuf;

use crate::key::KeyError;

/// Why a line is left out.
#[derive(Debug, thiserror::Error)]
pub(super) enum RouteLineError {
    #[error("the line is longer than {max} bytes")]
    LineTooLong { max: usize },
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("unknown escape \\{escaped}: within quotes only \\\\ and \\\" are known")]
    BadEscape { escaped: char },
    #[error("a control character")]
    ControlCharacter,
    #[error("an empty option: two commas in a row, or a comma at the end")]
    EmptyOption,
    #[error("option {text:?} has no name")]
    NamelessOption { text: String },
    #[error("no target: a condition and at least one target are needed, parted by spaces")]
    NoTarget,
    #[error("neither a domain nor an id: no request could reach it")]
    Unreachable,
    #[error("{option}={value}: expected {expected}")]
    BadValue {
        option: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("sig_key: {0}")]
    BadKey(KeyError),
    #[error(
        "target {text:?}: expected HOST:PORT with a port from 1 to 65535, [V6ADDRESS]:PORT, zhttp/SPEC, zhttpreq/SPEC or test"
    )]
    BadTarget { text: String },
    #[error("target {text:?}: expected {expected}")]
    BadSpec {
        text: String,
        expected: &'static str,
    },
    #[error("target {text:?}: more than {max} different ZeroMQ targets")]
    TooManySpecs { text: String, max: usize },
    #[error("client_cert and client_key must be given together")]
    HalfClientCert,
    #[error("{option}: {} cannot be read: {source}", path.display())]
    UnreadableFile {
        option: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{option}: {} is no PEM file of at most {max} bytes", path.display())]
    NoPemFile {
        option: &'static str,
        path: PathBuf,
        max: u64,
    },
}
