//! Load generator for a GRIP proxy: scenarios that users run themselves.
//!
//! `loadtest SCENARIO` starts the server under test and a fake backend, plays many clients on the
//! loopback interface, counts every message, and prints a table. Where it helps, a yardstick does
//! the same work in the same run, so that the result is a ratio and not a property of the machine.
//!
//! - `args`: the command line; `scenario`: what is measured, one file each; `report`: the table;
//! - `client`: herds of streams, request loops; `http`, `message`, `ledger`: what clients check;
//! - `backend`, `bare`, `haproxy`, `server`, `child`: the processes around them;
//! - `machine`, `net`, `clock`: what the kernel offers.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line tool prints its result")]

mod args;
mod backend;
mod bare;
mod child;
mod client;
mod clock;
mod error;
mod haproxy;
mod http;
mod lab;
mod ledger;
mod machine;
mod message;
mod net;
mod progress;
mod publish;
mod report;
mod scenario;
mod server;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::child::Role;
use crate::error::LoadError;
use crate::machine::cores;

/// Status when something was lost, doubled or failed.
const STATUS_FAULT: u8 = 1;

/// Status of a command line that cannot be obeyed.
const STATUS_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let text: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(result) = hidden(&text) {
        return result.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS);
    }
    match args::parse(words) {
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::from(STATUS_USAGE)
        }
        Ok(Command::Help(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Command::Run(args)) => match run(&args, &text) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(STATUS_FAULT),
            Err(error) => fail(&error),
        },
    }
}

fn fail(error: &LoadError) -> ExitCode {
    eprintln!("loadtest: {error}");
    ExitCode::from(STATUS_FAULT)
}

/// Runs a scenario and prints its report; false when the report has faults.
fn run(args: &Args, command: &[String]) -> Result<bool, LoadError> {
    let report = scenario::run(args)?;
    print!("{}", report::to_table(&report));
    if let Some(path) = &args.json {
        let text = format!("{:#}\n", report::to_json(&report, command));
        std::fs::write(path, text).map_err(LoadError::io("writing the JSON report"))?;
    }
    Ok(report.is_clean())
}

/// Runs a subcommand that only this program itself uses; `None` when it is none.
fn hidden(words: &[String]) -> Option<Result<(), LoadError>> {
    match words {
        [first, role, port, on] if first == child::ROLE_COMMAND => {
            Some(play(Role::from_name(role)?, port.parse().ok()?, on))
        }
        [first, on, program, arguments @ ..] if first == child::EXEC_COMMAND => {
            let pinned = cores::pin_to_list(on);
            Some(Err(pinned.map_or_else(
                |error| error,
                |()| child::exec(program, arguments),
            )))
        }
        _ => None,
    }
}

fn play(role: Role, port: u16, on: &str) -> Result<(), LoadError> {
    child::die_with_parent()?;
    machine::raise_files_limit()?;
    cores::pin_to_list(on)?;
    match role {
        Role::Backend => backend::run(port),
        Role::BareFanout => bare::fanout::run(port),
        Role::BarePublish => bare::publish::run(port),
    }
}
