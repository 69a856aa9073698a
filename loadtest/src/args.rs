//! The command line.

mod choice;
mod help;
mod scenario;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) use self::choice::{Filter, Switch, Update};
pub(crate) use self::help::{for_scenario, overview};
pub(crate) use self::scenario::{Count, Scenario};
use self::values::{channel_mode, check_size, core_list, loopback, number};
use crate::client::herd::Channels;

/// Executors that may share a core.
const PER_CORE_MAX: u64 = 64;

/// A run ends after at most this long, in seconds.
const TIMEOUT_S_MAX: u64 = 3_600;

/// The default of `--timeout`, in seconds.
const TIMEOUT_S: u64 = 300;

/// A command line that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ArgError {
    /// No scenario was named.
    #[error("which scenario? `loadtest --help` lists them")]
    NoScenario,
    /// A scenario that does not exist.
    #[error("there is no scenario `{0}`; `loadtest --help` lists them")]
    UnknownScenario(String),
    /// An option that the scenario does not have.
    #[error("`{scenario}` has no option {option}; see `loadtest {scenario} --help`")]
    UnknownOption {
        /// The scenario.
        scenario: &'static str,
        /// The option as typed.
        option: String,
    },
    /// A value outside its limits.
    #[error("{option} must be {expected}, not `{value}`")]
    BadValue {
        /// The option.
        option: String,
        /// What it may be.
        expected: String,
        /// What it was.
        value: String,
    },
    /// A target that is not on this machine.
    #[error("{option} must be on 127.0.0.0/8, not `{value}`: load is for your own machine only")]
    NotLoopback {
        /// The option.
        option: &'static str,
        /// What it was.
        value: String,
    },
    /// Options that need each other.
    #[error("{0}")]
    Combination(&'static str),
    /// A value is missing or is no text.
    #[error("{0}")]
    Syntax(String),
}

/// A server that runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    /// Its client port.
    pub(crate) client: SocketAddrV4,
    /// Its control port.
    pub(crate) control: SocketAddrV4,
    /// Its process, for memory and CPU.
    pub(crate) pid: Option<u32>,
}

/// A run to do.
#[derive(Debug, Clone)]
pub(crate) struct Args {
    /// The scenario.
    pub(crate) scenario: Scenario,
    counts: BTreeMap<Count, u64>,
    switches: BTreeSet<Switch>,
    /// Filter of `fanout`.
    pub(crate) filter: Filter,
    /// What updates the polls of `stampede`.
    pub(crate) update: Update,
    /// Channels of `idle` and `hold`.
    pub(crate) channel_mode: Channels,
    /// Cores of the server, if given.
    pub(crate) cores: Option<Vec<usize>>,
    /// Executors per core, if given.
    pub(crate) per_core: Option<u64>,
    /// The server's program, if given.
    pub(crate) bin: Option<PathBuf>,
    /// A server that runs already, instead.
    pub(crate) running: Option<Running>,
    /// The backend's port; 0 picks one.
    pub(crate) backend_port: u16,
    /// Where to write the report for machines.
    pub(crate) json: Option<PathBuf>,
    /// Whether to run the yardstick too.
    pub(crate) yardstick: bool,
    /// The limit of the whole run, in seconds.
    pub(crate) timeout_s: u64,
}

/// What the command line asks for.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// A help text.
    Help(String),
    /// A run.
    Run(Box<Args>),
}

impl Args {
    /// The value of a number option, given or default; 0 when the scenario has no such option.
    pub(crate) fn count(&self, count: Count) -> u64 {
        let default = self.scenario.counts().iter().find(|(one, _)| *one == count);
        let given = self.counts.get(&count).copied();
        given
            .or_else(|| default.map(|(_, value)| *value))
            .unwrap_or(0)
    }

    /// The same as a length.
    pub(crate) fn len(&self, count: Count) -> usize {
        usize::try_from(self.count(count)).unwrap_or(usize::MAX)
    }

    /// Whether a switch is set.
    pub(crate) fn has(&self, switch: Switch) -> bool {
        self.switches.contains(&switch)
    }
}

#[derive(Default)]
struct Raw {
    client: Option<SocketAddrV4>,
    control: Option<SocketAddrV4>,
    pid: Option<u32>,
}

/// Reads a command line without the program's name.
///
/// # Errors
/// [`ArgError`], whose text is for the user.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, ArgError> {
    let mut parser = Parser::from_args(words);
    let scenario = match parser.next().map_err(syntax)? {
        None => return Err(ArgError::NoScenario),
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Command::Help(overview())),
        Some(Arg::Value(word)) => find(&word.string().map_err(syntax)?)?,
        Some(other) => {
            return Err(ArgError::Syntax(format!(
                "the scenario comes first: {other:?}"
            )));
        }
    };
    let mut raw = Raw::default();
    let mut args = Args {
        scenario,
        counts: BTreeMap::new(),
        switches: BTreeSet::new(),
        filter: Filter::None,
        update: Update::Hint,
        channel_mode: Channels::Shared,
        cores: None,
        per_core: None,
        bin: None,
        running: None,
        backend_port: 0,
        json: None,
        yardstick: true,
        timeout_s: TIMEOUT_S,
    };
    loop {
        let name = match parser.next().map_err(syntax)? {
            None => break,
            Some(Arg::Long("help") | Arg::Short('h')) => {
                return Ok(Command::Help(for_scenario(scenario)));
            }
            Some(Arg::Long(name)) => name.to_owned(),
            Some(Arg::Short(letter)) => return Err(unknown(scenario, format!("-{letter}"))),
            Some(Arg::Value(word)) => {
                return Err(unknown(scenario, word.to_string_lossy().into_owned()));
            }
        };
        option(&mut args, &mut raw, &name, &mut parser)?;
    }
    args.running = running(&raw, args.backend_port)?;
    check_size(&args)?;
    Ok(Command::Run(Box::new(args)))
}

fn find(name: &str) -> Result<Scenario, ArgError> {
    let found = Scenario::ALL
        .into_iter()
        .find(|scenario| scenario.name() == name);
    found.ok_or_else(|| ArgError::UnknownScenario(name.to_owned()))
}

fn syntax(error: lexopt::Error) -> ArgError {
    ArgError::Syntax(error.to_string())
}

fn unknown(scenario: Scenario, option: String) -> ArgError {
    ArgError::UnknownOption {
        scenario: scenario.name(),
        option,
    }
}

/// Takes one option and its value.
fn option(args: &mut Args, raw: &mut Raw, name: &str, parser: &mut Parser) -> Result<(), ArgError> {
    if name == "no-yardstick" {
        args.yardstick = false;
        return Ok(());
    }
    let scenario = args.scenario;
    let mut switches = scenario.switches().iter();
    if let Some(switch) = switches.find(|switch| switch.spec().0 == name) {
        args.switches.insert(*switch);
        return Ok(());
    }
    let count = scenario
        .counts()
        .iter()
        .find(|(count, _)| count.spec().name == name);
    let value = parser.value().map_err(syntax)?.string().map_err(syntax)?;
    if let Some((count, _)) = count {
        let spec = count.spec();
        let number = number(&format!("--{name}"), &value, spec.min, spec.max)?;
        args.counts.insert(*count, number);
        return Ok(());
    }
    match name {
        "channels" if scenario.has_channel_mode() => args.channel_mode = channel_mode(&value)?,
        "filter" if scenario.has_filter() => args.filter = choice::filter(&value)?,
        "update" if scenario.has_update() => args.update = choice::update(&value)?,
        "cores" => args.cores = Some(core_list(&value)?),
        "per-core" => args.per_core = Some(number("--per-core", &value, 1, PER_CORE_MAX)?),
        "bin" => args.bin = Some(PathBuf::from(value)),
        "url" => raw.client = Some(loopback("--url", &value)?),
        "control" => raw.control = Some(loopback("--control", &value)?),
        "pid" => raw.pid = u32::try_from(number("--pid", &value, 1, 4_194_304)?).ok(),
        "backend-port" => {
            let port = number("--backend-port", &value, 1, 65_535)?;
            args.backend_port = u16::try_from(port).unwrap_or(0);
        }
        "json" => args.json = Some(PathBuf::from(value)),
        "timeout" => args.timeout_s = number("--timeout", &value, 1, TIMEOUT_S_MAX)?,
        _ => return Err(unknown(scenario, format!("--{name}"))),
    }
    Ok(())
}

fn running(raw: &Raw, backend_port: u16) -> Result<Option<Running>, ArgError> {
    match (raw.client, raw.control) {
        (None, None) if raw.pid.is_some() => {
            Err(ArgError::Combination("--pid needs --url and --control"))
        }
        (None, None) => Ok(None),
        (Some(client), Some(control)) if backend_port != 0 => Ok(Some(Running {
            client,
            control,
            pid: raw.pid,
        })),
        (Some(_), Some(_)) => Err(ArgError::Combination(
            "a running server needs --backend-port, and a route to that port",
        )),
        _ => Err(ArgError::Combination("--url and --control go together")),
    }
}

#[cfg(test)]
mod tests;
