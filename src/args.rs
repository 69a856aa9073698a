//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use config::model::{CONTROL_PORT_DEFAULT, HTTP_PORT_DEFAULT};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// To serve.
    Run(Args),
    /// To print this and end.
    Print(String),
}

/// How to serve.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// The settings file.
    pub(crate) config: Option<PathBuf>,
    /// Route lines that take the place of those of the settings.
    pub(crate) routes: Vec<String>,
    /// The one plain listener in place of those of the settings.
    pub(crate) listen: Option<SocketAddr>,
    /// The least severe level that is logged.
    pub(crate) log_level: String,
}

impl Args {
    /// Reads the process's own command line.
    ///
    /// # Errors
    /// A text that says which argument is wrong, and how.
    pub(crate) fn from_command_line() -> Result<Wanted, String> {
        Self::parse(std::env::args_os().skip(1))
    }

    fn parse(words: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Wanted, String> {
        use lexopt::prelude::{Long, Short, ValueExt};
        let mut args = Self {
            log_level: "info".to_owned(),
            ..Self::default()
        };
        let mut parser = lexopt::Parser::from_args(words);
        let wrong = |error: lexopt::Error| error.to_string();
        while let Some(arg) = parser.next().map_err(wrong)? {
            match arg {
                Short('c') | Long("config") => {
                    args.config = Some(parser.value().map_err(wrong)?.into());
                }
                Short('r') | Long("route") => {
                    args.routes.push(
                        parser
                            .value()
                            .and_then(|value| value.string())
                            .map_err(wrong)?,
                    );
                }
                Short('p') | Long("port") => {
                    let text = parser
                        .value()
                        .and_then(|value| value.string())
                        .map_err(wrong)?;
                    args.listen = Some(listen_address(&text)?);
                }
                Long("log-level") => {
                    args.log_level = parser
                        .value()
                        .and_then(|value| value.string())
                        .map_err(wrong)?;
                    check_level(&args.log_level)?;
                }
                Short('h') | Long("help") => return Ok(Wanted::Print(help())),
                Short('V') | Long("version") => {
                    return Ok(Wanted::Print(format!(
                        "pincushion {}",
                        env!("CARGO_PKG_VERSION")
                    )));
                }
                other => return Err(other.unexpected().to_string()),
            }
        }
        Ok(Wanted::Run(args))
    }
}

/// `N` or `ADDRESS:N`.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let whole = if text.contains(':') {
        text.to_owned()
    } else {
        format!("0.0.0.0:{text}")
    };
    whole
        .parse()
        .map_err(|_| format!("--port: {text:?} is neither a port nor an address with one"))
}

fn check_level(text: &str) -> Result<(), String> {
    match text {
        "off" | "error" | "warn" | "info" | "debug" | "trace" => Ok(()),
        other => Err(format!(
            "--log-level: {other:?} is none of off, error, warn, info, debug, trace"
        )),
    }
}

fn help() -> String {
    format!(
        "pincushion {version}: holds client connections open so that web backends can push to them\n\
         \n\
         usage: pincushion [--config FILE] [--route LINE]... [--port N]\n\
         \n  \
         -c, --config FILE      settings (TOML); without it the defaults: clients on port {http},\n                         \
         control on 127.0.0.1:{control}, the built-in test handler\n  \
         -r, --route LINE       a route, as in the routes file, in place of the configured ones;\n                         \
         may be given several times: --route '* localhost:8000'\n  \
         -p, --port [ADDR:]N    the one listener for plain clients\n      \
         --log-level LEVEL  off, error, warn, info (default), debug or trace\n  \
         -h, --help             this text\n  \
         -V, --version          the version",
        version = env!("CARGO_PKG_VERSION"),
        http = HTTP_PORT_DEFAULT,
        control = CONTROL_PORT_DEFAULT,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Wanted, String> {
        Args::parse(words.iter().map(Into::into))
    }

    #[test]
    fn routes_add_up_and_a_bare_port_means_all_addresses() {
        let Ok(Wanted::Run(args)) = parse(&["--route", "a test", "-r", "b test", "--port=8080"])
        else {
            panic!("is well-formed");
        };
        assert_eq!(args.routes, ["a test", "b test"]);
        assert_eq!(args.listen, Some("0.0.0.0:8080".parse().unwrap()));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for words in [
            &["--frobnicate"][..],
            &["--port", "x"],
            &["--port"],
            &["stray"],
            &["--log-level", "2"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
