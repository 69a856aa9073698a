//! Makes the sockets: limits, endpoints, permissions.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use config::Config;

use super::ZeroMqError;
use super::link::COMMANDS_RUNNING_MAX;

/// Packets that libzmq keeps for each slow stats listener; further ones are lost to it.
const STATS_HIGH_WATER_MARK: i32 = 200_000;

/// Bytes that a stats listener may send at once: it has nothing to say but what it subscribes to.
const TOPIC_LEN_MAX: i64 = 65_536;

/// Messages that libzmq reads ahead from each publisher: as many as the thread takes in a turn, since
/// libzmq cannot bound them by their length. What is more waits in the queue to the control thread,
/// which has such a bound, and then at the publisher.
const ITEMS_HIGH_WATER_MARK: i32 = 1_024;

/// Subscriptions on their way to a publisher that does not read them. Each is written once per
/// publisher when it connects, so this has to be more than there are channels. What does not fit
/// is lost to that publisher until it connects again.
const SUBSCRIPTIONS_HIGH_WATER_MARK: i32 = 4_194_304;

/// How long unsent messages may hold up the end of the process, in milliseconds.
const LINGER_MS: i32 = 100;

/// The least that a message may have, whatever `max_body_size` says: commands must fit.
const MESSAGE_LEN_MIN: usize = 65_536;

/// Peers that have vanished are found like this: idle and interval in seconds, probes.
const KEEP_ALIVE: (i32, i32, i32) = (30, 5, 6);

/// All sockets that the settings ask for.
pub(super) struct Sockets {
    pub(super) stats: Option<zmq::Socket>,
    pub(super) pull: Option<zmq::Socket>,
    pub(super) sub: Option<zmq::Socket>,
    pub(super) command: Option<zmq::Socket>,
}

impl Sockets {
    /// Makes them, and binds or connects them.
    pub(super) fn open(config: &Config) -> Result<Self, ZeroMqError> {
        let zmq = &config.zmq;
        let maker = Maker {
            context: zmq::Context::new(),
            ipc_file_mode: zmq.ipc_file_mode,
            message_len_max: message_len_max(config),
        };
        Ok(Self {
            stats: maker.stats(zmq.stats.as_deref())?,
            pull: maker.pull(zmq.pull.as_deref())?,
            sub: maker.sub(&zmq.sub, zmq.sub_connect)?,
            command: maker.command(zmq.command.as_deref())?,
        })
    }
}

/// Bytes of a frame of an item or command. libzmq closes the connection of who sends more.
fn message_len_max(config: &Config) -> i64 {
    let len = config.control.max_body_size.max(MESSAGE_LEN_MIN);
    i64::try_from(len).unwrap_or(i64::MAX)
}

struct Maker {
    context: zmq::Context,
    ipc_file_mode: Option<u32>,
    message_len_max: i64,
}

impl Maker {
    fn stats(&self, spec: Option<&str>) -> Result<Option<zmq::Socket>, ZeroMqError> {
        let specs = spec.map(str::to_owned);
        self.open("stats", zmq::XPUB, specs.as_slice(), false, |socket| {
            socket.set_sndhwm(STATS_HIGH_WATER_MARK)?;
            socket.set_maxmsgsize(TOPIC_LEN_MAX)
        })
    }

    fn pull(&self, spec: Option<&str>) -> Result<Option<zmq::Socket>, ZeroMqError> {
        let specs = spec.map(str::to_owned);
        self.open("pull", zmq::PULL, specs.as_slice(), false, |socket| {
            socket.set_rcvhwm(ITEMS_HIGH_WATER_MARK)?;
            socket.set_maxmsgsize(self.message_len_max)
        })
    }

    fn sub(&self, specs: &[String], connects: bool) -> Result<Option<zmq::Socket>, ZeroMqError> {
        self.open("sub", zmq::SUB, specs, connects, |socket| {
            socket.set_rcvhwm(ITEMS_HIGH_WATER_MARK)?;
            socket.set_sndhwm(SUBSCRIPTIONS_HIGH_WATER_MARK)?;
            socket.set_maxmsgsize(self.message_len_max)
        })
    }

    fn command(&self, spec: Option<&str>) -> Result<Option<zmq::Socket>, ZeroMqError> {
        let specs = spec.map(str::to_owned);
        let waiting = i32::try_from(COMMANDS_RUNNING_MAX).unwrap_or(i32::MAX);
        self.open("command", zmq::ROUTER, specs.as_slice(), false, |socket| {
            socket.set_rcvhwm(waiting)?;
            socket.set_sndhwm(waiting)?;
            socket.set_maxmsgsize(self.message_len_max)
        })
    }

    /// A socket with all its endpoints; none without endpoints.
    fn open(
        &self,
        key: &'static str,
        kind: zmq::SocketType,
        specs: &[String],
        connects: bool,
        prepare: impl Fn(&zmq::Socket) -> zmq::Result<()>,
    ) -> Result<Option<zmq::Socket>, ZeroMqError> {
        let Some(first) = specs.first() else {
            return Ok(None);
        };
        let failed = |spec: &String, error| ZeroMqError::Open {
            key,
            spec: spec.clone(),
            doing: if connects { "connect to" } else { "bind" },
            error,
        };
        let socket = self.context.socket(kind);
        let socket = socket.map_err(|error| failed(first, error))?;
        common(&socket)
            .and_then(|()| prepare(&socket))
            .map_err(|error| failed(first, error))?;
        for spec in specs {
            if connects {
                socket.connect(spec).map_err(|error| failed(spec, error))?;
                continue;
            }
            make_folder(key, spec)?;
            socket.bind(spec).map_err(|error| failed(spec, error))?;
            self.set_mode(key, spec)?;
        }
        Ok(Some(socket))
    }

    /// Gives the file of an `ipc://` endpoint its permissions.
    fn set_mode(&self, key: &'static str, spec: &str) -> Result<(), ZeroMqError> {
        let (Some(path), Some(mode)) = (ipc_path(spec), self.ipc_file_mode) else {
            return Ok(());
        };
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).map_err(|error| ZeroMqError::File {
            key,
            doing: "set the permissions of",
            path: path.to_owned(),
            error,
        })
    }
}

/// What all sockets have in common.
fn common(socket: &zmq::Socket) -> zmq::Result<()> {
    let (idle_s, interval_s, probes) = KEEP_ALIVE;
    socket.set_linger(LINGER_MS)?;
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(idle_s)?;
    socket.set_tcp_keepalive_intvl(interval_s)?;
    socket.set_tcp_keepalive_cnt(probes)
}

fn make_folder(key: &'static str, spec: &str) -> Result<(), ZeroMqError> {
    let Some(folder) = ipc_path(spec).and_then(Path::parent) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| ZeroMqError::File {
        key,
        doing: "create the folder",
        path: PathBuf::from(folder),
        error,
    })
}

/// The file of an `ipc://` endpoint; names that begin with `@` are none.
fn ipc_path(spec: &str) -> Option<&Path> {
    spec.strip_prefix("ipc://")
        .filter(|path| !path.starts_with('@'))
        .map(Path::new)
}
