//! The server under test: started by us with a settings file of our own, or running already.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::{self, Process};
use crate::client::control::Control;
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::machine::{self, cores, memory};
use crate::net;

/// A server gets this long to answer after its start, in milliseconds.
const START_MS: u64 = 15_000;

/// Quiet means: less CPU than this share of a core over one look.
const QUIET_SHARE: f64 = 0.02;

/// The length of one look, in milliseconds.
const QUIET_LOOK_MS: u64 = 300;

/// Waiting for quiet ends after this long, in milliseconds; a busy server is then measured busy.
const QUIET_MS_MAX: u64 = 15_000;

/// How to start a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerPlan {
    /// Its program.
    pub(crate) bin: PathBuf,
    /// Its cores.
    pub(crate) cores: Vec<usize>,
    /// Executors per core.
    pub(crate) per_core: u64,
    /// The backend it routes everything to.
    pub(crate) backend: SocketAddrV4,
}

/// A server under test.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its client port.
    pub(crate) client: SocketAddrV4,
    /// Its control port.
    pub(crate) control: SocketAddrV4,
    pid: Option<u32>,
    // Dropped before the folder: the process may still write there.
    _process: Option<Process>,
    _folder: Option<Folder>,
}

impl Server {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be started or does not answer.
    pub(crate) fn start(plan: &ServerPlan) -> Result<Self, LoadError> {
        let folder = Folder::new()?;
        let [client, control] = net::free_ports()?.map(local);
        let settings = settings(plan, folder.path(), client, control);
        let file = folder.path().join("pincushion.toml");
        std::fs::write(&file, settings).map_err(LoadError::io("writing the settings file"))?;
        let output = folder.path().join("output.txt");
        let file = file.to_string_lossy();
        // Not confined to its cores: what it pins it pins itself, the rest may float.
        let everywhere = cores::allowed();
        let arguments = ["--config", &file];
        let mut process = child::spawn("the server", &plan.bin, &arguments, &output, &everywhere)?;
        wait_for(&mut process, control, "/")?;
        wait_for(&mut process, client, "/plain/1")?;
        let pid = Some(process.pid());
        Ok(Self {
            client,
            control,
            pid,
            _process: Some(process),
            _folder: Some(folder),
        })
    }

    /// Takes one that runs already.
    ///
    /// # Errors
    /// [`LoadError`] when it does not lead to our backend.
    pub(crate) fn running(running: &crate::args::Running) -> Result<Self, LoadError> {
        let (status, _) = Control::connect(running.client)?.get("/plain/1")?;
        if status != 200 {
            let what = "the running server does not lead to our backend";
            return Err(LoadError::Answer {
                what,
                answer: format!("status {status}"),
            });
        }
        Ok(Self {
            client: running.client,
            control: running.control,
            pid: running.pid,
            _process: None,
            _folder: None,
        })
    }

    /// Its memory; `None` when its process is not known.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the process is gone.
    pub(crate) fn memory(&self) -> Result<Option<memory::ProcessMemory>, LoadError> {
        self.pid.map(memory::of_process).transpose()
    }

    /// CPU time it has used, in nanoseconds; `None` when its process is not known.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the process is gone.
    pub(crate) fn cpu_ns(&self) -> Result<Option<u64>, LoadError> {
        self.pid.map(machine::cpu_time_ns).transpose()
    }

    /// Waits until it has nothing more to do: closing connections goes on after the clients left.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the process is gone.
    pub(crate) fn wait_quiet(&self) -> Result<(), LoadError> {
        let deadline = Deadline::after_ms(QUIET_MS_MAX);
        while !deadline.passed() {
            let (before, at) = (self.cpu_ns()?, clock::now_ns());
            clock::pause(Duration::from_millis(QUIET_LOOK_MS));
            let (Some(before), Some(after)) = (before, self.cpu_ns()?) else {
                return Ok(());
            };
            let share = (after - before) as f64 / (clock::now_ns() - at) as f64;
            if share < QUIET_SHARE {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// 127.0.0.1 with a port.
pub(crate) fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// Waits until a GET is answered with 200.
///
/// # Errors
/// [`LoadError::Child`] when the process ends, or does not answer so in time.
pub(crate) fn wait_for(
    process: &mut Process,
    target: SocketAddrV4,
    path: &str,
) -> Result<(), LoadError> {
    let mut ended = false;
    let answered = clock::wait_until(Deadline::after_ms(START_MS), || {
        ended = process.has_ended();
        let answer = Control::connect(target).and_then(|mut control| control.get(path));
        ended || matches!(answer, Ok((200, _)))
    });
    match (ended, answered) {
        (true, _) => Err(process.failure("ended at its start")),
        (false, false) => Err(process.failure("did not answer with 200 in time")),
        (false, true) => Ok(()),
    }
}

fn settings(
    plan: &ServerPlan,
    folder: &Path,
    client: SocketAddrV4,
    control: SocketAddrV4,
) -> String {
    let (cores, per_core, backend) = (cores::write_list(&plan.cores), plan.per_core, plan.backend);
    let folder = folder.display();
    // Lingering subscriptions would count as memory that clients left behind.
    format!(
        "routes = [\"* {backend}\"]\nrun_dir = \"{folder}\"\n\n\
         [shards]\ncores = \"{cores}\"\nper_core = {per_core}\n\n\
         [http]\nlisten = [\"{client}\"]\n\n\
         [control]\nlisten = \"{control}\"\n\n\
         [zmq]\npull = \"\"\nsub = []\ncommand = \"\"\nstats = \"\"\n\n\
         [handler]\nsubscription_linger = 1\n"
    )
}

/// A temporary folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new one.
    ///
    /// # Errors
    /// [`LoadError::Io`] when it cannot be made.
    pub(crate) fn new() -> Result<Self, LoadError> {
        let name = format!("loadtest-{}-{}", std::process::id(), clock::now_ns());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(LoadError::io("making a temporary folder"))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_name_cores_ports_and_backend() {
        let plan = ServerPlan {
            bin: PathBuf::new(),
            cores: vec![0, 1],
            per_core: 4,
            backend: local(8000),
        };
        let text = settings(&plan, Path::new("/tmp/x"), local(7000), local(5000));
        for line in [
            "routes = [\"* 127.0.0.1:8000\"]",
            "cores = \"0,1\"",
            "per_core = 4",
            "listen = [\"127.0.0.1:7000\"]",
            "listen = \"127.0.0.1:5000\"",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_temporary_folder_goes_with_its_owner() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
