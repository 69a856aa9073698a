//! What every scenario needs: a backend, the server under test, cores, descriptors, time.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use crate::args::{Args, Count, Filter, Scenario};
use crate::child::{self, Process, Role};
use crate::client::ask::Ask;
use crate::client::herd::{Findings, Herd, HerdPlan, OpenPlan, Opened};
use crate::clock::{self, Deadline};
use crate::error::LoadError;
use crate::machine::{self, cores};
use crate::progress::Progress;
use crate::report::Report;
use crate::server::{Server, ServerPlan, local};

/// Length of the head of every held stream's request, in bytes.
pub(crate) const REQUEST_LEN: usize = 150;

/// Streams per executor that the number of executors is chosen for; SO_REUSEPORT shares unevenly.
const STREAMS_PER_EXECUTOR: usize = 15_000;

/// Descriptors of a server that are not its clients'.
const SPARE_DESCRIPTORS: u64 = 400;

/// After the last message that is expected, so long for those that are not, in milliseconds.
const LAST_LOOK_MS: u64 = 200;

/// The set-up of a run.
pub(crate) struct Lab<'a> {
    /// What was asked for.
    pub(crate) args: &'a Args,
    /// The server under test.
    pub(crate) server: Server,
    /// A second one of the same kind, where it is compared with itself under other conditions.
    pub(crate) second: Option<Server>,
    /// The fake backend.
    pub(crate) backend: SocketAddrV4,
    /// Cores of the server and the yardsticks.
    pub(crate) server_cores: Vec<usize>,
    /// Cores of clients and backend.
    pub(crate) client_cores: Vec<usize>,
    /// When the run gives up.
    pub(crate) deadline: Deadline,
    /// How far the run is.
    pub(crate) progress: std::cell::RefCell<Progress>,
    files_limit: u64,
    _backend_process: Process,
}

/// How an opening went and what it took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Opening {
    /// Streams held and failed.
    pub(crate) result: Opened,
    /// How long it took, in seconds.
    pub(crate) took_s: f64,
    /// CPU time of the server, in nanoseconds, if known.
    pub(crate) cpu_ns: Option<f64>,
}

impl<'a> Lab<'a> {
    /// Starts backend and server and moves this thread to the clients' cores.
    ///
    /// # Errors
    /// [`LoadError`] when any of it does not come up.
    pub(crate) fn start(args: &'a Args) -> Result<Self, LoadError> {
        let files_limit = machine::raise_files_limit()?;
        let server_cores = server_cores(args);
        let per_core = args
            .per_core
            .unwrap_or_else(|| per_core(args, server_cores.len()));
        if args.running.is_none() {
            check_tables(args, server_cores.len() as u64 * per_core, files_limit)?;
        }
        let client_cores = cores::besides(&server_cores);
        let (process, ports) = child::spawn_role(Role::Backend, args.backend_port, &client_cores)?;
        let backend = local(ports.first().copied().unwrap_or_default());
        let (server, second) = match &args.running {
            Some(running) => (Server::running(running)?, None),
            None => {
                let plan = ServerPlan {
                    bin: args.bin.clone().map_or_else(default_bin, Ok)?,
                    per_core,
                    cores: server_cores.clone(),
                    backend,
                };
                let wanted = args.filter != Filter::None && args.yardstick;
                let second = wanted.then(|| Server::start(&plan)).transpose()?;
                (Server::start(&plan)?, second)
            }
        };
        // After the server's start: a child inherits its parent's cores.
        cores::pin(&client_cores)?;
        Ok(Self {
            args,
            server,
            second,
            backend,
            server_cores,
            client_cores,
            deadline: Deadline::after_ms(args.timeout_s * 1_000),
            progress: Progress::new(args.scenario.name()).into(),
            files_limit,
            _backend_process: process,
        })
    }

    /// A herd for `streams` streams, in a run with `in_all` sockets of clients.
    ///
    /// # Errors
    /// [`LoadError::Io`] when threads are refused.
    pub(crate) fn herd(
        &self,
        number: usize,
        streams: usize,
        in_all: usize,
    ) -> Result<Herd, LoadError> {
        let per_table = usize::try_from(self.files_limit * 9 / 10).unwrap_or(usize::MAX);
        Herd::start(&HerdPlan {
            streams,
            streams_per_thread: per_table,
            cores: self.client_cores.clone(),
            own_tables: in_all > per_table,
            number,
        })
    }

    /// Refuses a run in which a single descriptor table of a yardstick would not do.
    ///
    /// # Errors
    /// [`LoadError::FilesLimit`].
    pub(crate) fn check_single_table(&self, streams: usize) -> Result<(), LoadError> {
        let needed = streams as u64 + SPARE_DESCRIPTORS;
        if needed > self.files_limit {
            return Err(LoadError::FilesLimit {
                limit: self.files_limit,
                needed,
            });
        }
        Ok(())
    }

    /// A plan to open `count` streams to the server on the channels of the run.
    pub(crate) fn open_plan(&self, count: usize, window: usize) -> OpenPlan {
        OpenPlan {
            target: self.server.client,
            ask: Ask::Stream,
            first_index: 0,
            count,
            window,
            channels: self.args.channel_mode,
            request_len: REQUEST_LEN,
            first_seq: 0,
            deadline: self.deadline,
        }
    }

    /// Opens streams and measures it.
    ///
    /// # Errors
    /// [`LoadError::Answer`] when not a single stream could be opened.
    pub(crate) fn open(&self, herd: &mut Herd, plan: &OpenPlan) -> Result<Opening, LoadError> {
        let (cpu, at) = (self.server.cpu_ns()?, clock::now_ns());
        let result = herd.open(plan, |opened| {
            self.say(|| format!("{opened} of {} streams open", plan.count));
        })?;
        let took_s = clock::seconds(clock::now_ns() - at);
        if result.opened == 0 {
            let answer = result.first_failure.unwrap_or_default();
            return Err(LoadError::Answer {
                what: "no stream could be opened",
                answer,
            });
        }
        let cpu_ns = cpu
            .zip(self.server.cpu_ns()?)
            .map(|(from, to)| (to - from) as f64);
        Ok(Opening {
            result,
            took_s,
            cpu_ns,
        })
    }

    /// Says how far the run is, now and then.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        self.progress.borrow_mut().say(text);
    }
}

/// Settles a herd's accounts after a last look: what is doubled comes right behind the rest.
///
/// # Errors
/// [`LoadError::ThreadGone`].
pub(crate) fn settle(herd: &mut Herd, sent: u32) -> Result<Findings, LoadError> {
    clock::pause(Duration::from_millis(LAST_LOOK_MS));
    herd.settle(sent)
}

/// Makes failed openings a fault.
pub(crate) fn blame(report: &mut Report, what: &str, opened: &Opened) {
    if opened.failed > 0 {
        let reason = opened.first_failure.as_deref().unwrap_or("unknown");
        report.faults.push(format!(
            "{what}: {} streams not opened ({reason})",
            opened.failed
        ));
    }
}

fn server_cores(args: &Args) -> Vec<usize> {
    let all = cores::allowed();
    match &args.cores {
        Some(cores) => cores.clone(),
        None if args.scenario.wants_one_core() => all.into_iter().take(1).collect(),
        None => all,
    }
}

/// Executors per core when the user does not say: one, or as many as the streams need.
fn per_core(args: &Args, cores: usize) -> u64 {
    if !matches!(args.scenario, Scenario::Hold | Scenario::Stampede) {
        return 1;
    }
    let streams = args.len(Count::Connections);
    streams.div_ceil(STREAMS_PER_EXECUTOR * cores.max(1)) as u64
}

/// Refuses more streams than the server's descriptor tables hold, one table per executor.
fn check_tables(args: &Args, executors: u64, limit: u64) -> Result<(), LoadError> {
    let streams = args
        .count(Count::Connections)
        .max(args.count(Count::Channels));
    // A tenth more: the kernel shares connections out by chance.
    let needed = streams.div_ceil(executors.max(1)) * 11 / 10 + SPARE_DESCRIPTORS;
    if needed > limit {
        return Err(LoadError::FilesLimit { limit, needed });
    }
    Ok(())
}

/// The server beside this program.
fn default_bin() -> Result<PathBuf, LoadError> {
    let this = std::env::current_exe().map_err(LoadError::io("finding this program"))?;
    Ok(this.with_file_name("pincushion"))
}
