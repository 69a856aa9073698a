//! The `pincushion` program: reads what it is told, starts the shards, waits, drains.
//!
//! Wiring only; every rule is in `config` and `shard`.

mod args;
mod boot;
mod signals;

use std::process::ExitCode;

use args::{Args, Wanted};

fn main() -> ExitCode {
    let args = match Args::from_command_line() {
        Ok(Wanted::Run(args)) => args,
        Ok(Wanted::Print(text)) => {
            print(&text);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(&format!("{error}\ntry: pincushion --help"));
            return ExitCode::from(2);
        }
    };
    start_logging(&args.log_level);
    match boot::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// `RUST_LOG` goes before `--log-level`.
fn start_logging(level: &str) {
    let environment = env_logger::Env::default().default_filter_or(level);
    env_logger::Builder::from_env(environment).init();
}

#[expect(clippy::print_stdout, reason = "the program's own output")]
fn print(text: &str) {
    println!("{text}");
}

fn complain(text: &str) {
    eprintln!("pincushion: {text}");
}
