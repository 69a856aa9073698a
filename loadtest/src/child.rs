//! Child processes: the backend, the yardsticks, and the servers under test.
//!
//! Our own roles are hidden subcommands of this program. They, and what [`exec`] starts, are
//! killed by the kernel when the load generator dies, so nothing is left behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::machine::cores;

/// The subcommand that runs a role of our own: `ROLE PORT CORES`.
pub(crate) const ROLE_COMMAND: &str = "__role";

/// The subcommand that becomes another program: `CORES PROGRAM ARGUMENTS…`.
pub(crate) const EXEC_COMMAND: &str = "__exec";

/// A child process gets this long to end by itself, in milliseconds.
const STOP_MS: u64 = 5_000;

/// How much of a failed child's output is shown, in bytes.
const OUTPUT_LEN_MAX: usize = 2_000;

/// What this program can be as a child of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The fake backend.
    Backend,
    /// The fan-out yardstick.
    BareFanout,
    /// The one-subscriber-per-channel yardstick.
    BarePublish,
}

impl Role {
    /// All of them.
    const ALL: [Self; 3] = [Self::Backend, Self::BareFanout, Self::BarePublish];

    fn name(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::BareFanout => "bare-fanout",
            Self::BarePublish => "bare-publish",
        }
    }

    /// The role of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A process that ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    output: Option<PathBuf>,
}

impl Process {
    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// An error about it, with the end of its output.
    pub(crate) fn failure(&self, problem: &'static str) -> LoadError {
        let text = self
            .output
            .as_ref()
            .and_then(|path| std::fs::read(path).ok());
        let text = text.unwrap_or_default();
        let tail = text
            .get(text.len().saturating_sub(OUTPUT_LEN_MAX)..)
            .unwrap_or_default();
        let tail = String::from_utf8_lossy(tail);
        let output = if tail.is_empty() {
            String::new()
        } else {
            format!(":\n{}", tail.trim_end())
        };
        LoadError::Child {
            name: self.name.clone(),
            problem,
            output,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap_or(i32::MAX);
        if self.has_ended() {
            return;
        }
        // It cannot be gone: it has not been waited for.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        if !clock::wait_until(Deadline::after_ms(STOP_MS), || self.has_ended()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Starts this program in a role, on `cores`; returns it and the ports it announces.
///
/// # Errors
/// [`LoadError::Child`] when it does not come up.
pub(crate) fn spawn_role(
    role: Role,
    port: u16,
    on: &[usize],
) -> Result<(Process, Vec<u16>), LoadError> {
    let what = "starting a process of our own";
    let program = std::env::current_exe().map_err(LoadError::io(what))?;
    let mut child = Command::new(program)
        .args([
            ROLE_COMMAND,
            role.name(),
            &port.to_string(),
            &cores::write_list(on),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(LoadError::io(what))?;
    let stdout = child.stdout.take();
    let process = Process {
        name: role.name().to_owned(),
        child,
        output: None,
    };
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(LoadError::io(what))?;
    }
    let words = line
        .strip_prefix("ports ")
        .unwrap_or_default()
        .split_whitespace();
    let ports: Vec<u16> = words.filter_map(|word| word.parse().ok()).collect();
    if ports.is_empty() {
        return Err(process.failure("did not start"));
    }
    Ok((process, ports))
}

/// Tells the parent the ports of a role that is ready.
///
/// # Errors
/// [`LoadError::Io`] when the parent is gone.
pub(crate) fn announce(ports: &[u16]) -> Result<(), LoadError> {
    let words: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let mut out = std::io::stdout();
    writeln!(out, "ports {}", words.join(" ")).map_err(LoadError::io("announcing ports"))?;
    out.flush().map_err(LoadError::io("announcing ports"))
}

/// Starts another program on some cores; its output goes to the file `output`.
///
/// # Errors
/// [`LoadError::NoBinary`] when it is not there, [`LoadError::Io`] when it cannot be started.
pub(crate) fn spawn(
    name: &str,
    program: &Path,
    arguments: &[&str],
    output: &Path,
    on: &[usize],
) -> Result<Process, LoadError> {
    if !program.exists() {
        return Err(LoadError::NoBinary {
            path: program.to_owned(),
        });
    }
    let what = "starting the server";
    let file = File::create(output).map_err(LoadError::io(what))?;
    let second = file.try_clone().map_err(LoadError::io(what))?;
    let this = std::env::current_exe().map_err(LoadError::io(what))?;
    let child = Command::new(this)
        .args([EXEC_COMMAND, &cores::write_list(on)])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(second)
        .spawn()
        .map_err(LoadError::io(what))?;
    Ok(Process {
        name: name.to_owned(),
        child,
        output: Some(output.to_owned()),
    })
}

/// Asks the kernel to kill this process when its parent dies.
///
/// # Errors
/// [`LoadError::Io`] when the kernel refuses.
pub(crate) fn die_with_parent() -> Result<(), LoadError> {
    set_pdeathsig(Signal::SIGKILL).map_err(LoadError::sys("binding to the parent's life"))
}

/// Becomes another program that dies with our parent; returns only on failure.
pub(crate) fn exec(program: &str, arguments: &[String]) -> LoadError {
    if let Err(error) = die_with_parent() {
        return error;
    }
    LoadError::io("starting the server")(Command::new(program).args(arguments).exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_found_by_its_name() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("other"), None);
    }
}
