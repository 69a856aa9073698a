//! Every setting with its unit and its default.
//!
//! A field is named as its key in `pincushion.toml`, with the unit behind it where the key has none
//! (`header_timeout` is [`Http::header_timeout_s`]). `config/examples/pincushion.toml` lists all
//! keys; a test proves that it says the same as the defaults here.

mod handler;
mod proxy;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

pub use handler::{Handler, StatsFormat};
pub use proxy::{ForwardedProtocol, Proxy};

use crate::cores::CoreSet;

/// The port clients are served on when nothing else is said.
pub const HTTP_PORT_DEFAULT: u16 = 7999;

/// The control port when nothing else is said, on the loopback address only.
pub const CONTROL_PORT_DEFAULT: u16 = 5561;

/// The folder for run-time files when nothing else is said.
pub const RUN_DIR_DEFAULT: &str = "/run/pincushion";

/// All settings of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder relative file names are taken from: that of the settings file, or empty.
    pub base_dir: PathBuf,
    /// A file of route lines, already joined to [`base_dir`](Self::base_dir). `None`: use `routes`.
    pub routes_file: Option<PathBuf>,
    /// Route lines written inline; empty when `routes_file` is given. Default: `["* test"]`.
    pub routes: Vec<String>,
    /// The folder for sockets and other run-time files. Default: `/run/pincushion`.
    pub run_dir: PathBuf,
    /// `[shards]`: the engine's threads.
    pub shards: Shards,
    /// `[http]`: the side of the clients.
    pub http: Http,
    /// `[control]`: publishing, health and metrics over HTTP.
    pub control: Control,
    /// `[zmq]`: the same over ZeroMQ.
    pub zmq: Zmq,
    /// `[proxy]`: the side of the backends.
    pub proxy: Proxy,
    /// `[handler]`: holds, channels and statistics.
    pub handler: Handler,
}

/// `[shards]`: the engine's threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards {
    /// `cores`: which cores run a shard. Default: all.
    pub cores: CoreSet,
    /// `per_core`: shards on each core. Default 1; more only make sense in tests.
    pub per_core: usize,
    /// `private_descriptors`: each shard has its own descriptor table, so that the limit of open
    /// files counts per shard. Default: true.
    pub private_descriptors: bool,
    /// `queue`: broadcast messages that may wait for a shard. Default 512: a longer
    /// queue only makes items older when a shard is behind.
    pub queue: usize,
    /// `deliveries_per_turn`: deliveries in one turn before other work gets its share.
    /// Default 2048.
    pub deliveries_per_turn: usize,
}

/// What happens to a client that does not read what it subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowClient {
    /// `"close"`: its connection is closed once its outbox is full. It may come back and recover.
    Close,
}

/// `[http]`: the side of the clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// `listen`: plain addresses; a bare port means all IPv4 addresses. Default `0.0.0.0:7999`.
    pub listen: Vec<SocketAddr>,
    /// `https_listen`: TLS addresses. Default: none.
    pub https_listen: Vec<SocketAddr>,
    /// `local_listen`: Unix socket paths, relative to the settings file. Default: none.
    pub local_listen: Vec<PathBuf>,
    /// `local_mode`: permissions of the Unix sockets, written in octal. Default: as the umask says.
    pub local_mode: Option<u32>,
    /// `cert_dir`: the folder of `NAME.crt` and `NAME.key` files, relative to the settings file.
    pub cert_dir: Option<PathBuf>,
    /// `client_buffer_size`: bytes a request head may have. Default 8192.
    pub client_buffer_size: usize,
    /// `client_maxconn`: client connections in all, split evenly over the shards; more are
    /// refused with 503. Default 1,000,000.
    pub client_maxconn: usize,
    /// `allow_compression`: permessage-deflate on WebSockets. Default: false.
    pub allow_compression: bool,
    /// `header_timeout`: seconds a connection may be idle or have an unfinished head. Default 60.
    pub header_timeout_s: u32,
    /// `body_idle_timeout`: seconds without a byte of a request body. Default 60.
    pub body_idle_timeout_s: u32,
    /// `fields_max`: fields in a request head. Default 100.
    pub fields_max: usize,
    /// `request_body_max`: bytes of a request body. Default 0: `None`, no limit.
    pub request_body_max: Option<NonZeroU64>,
    /// `outbox_max`: bytes that may wait for one slow client. Default 1 MiB.
    pub outbox_max: usize,
    /// `outbox_items_max`: items that may wait for one slow client. Default 1000.
    pub outbox_items_max: usize,
    /// `slow_client`: what happens when the outbox is full. Default `"close"`.
    pub slow_client: SlowClient,
    /// `drain_timeout`: seconds that requests get to end when the process stops. Default 10.
    pub drain_timeout_s: u32,
}

/// `[control]`: publishing, health and metrics over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// `listen`: the control address; a bare port means the loopback address. Empty: `None`, off.
    /// Default `127.0.0.1:5561`.
    pub listen: Option<SocketAddr>,
    /// `metrics_listen`: a further address with nothing but metrics. Default: off.
    pub metrics_listen: Option<SocketAddr>,
    /// `max_headers_size`: bytes of a request head (Pushpin: `push_in_http_max_headers_size`).
    /// Default 10,000.
    pub max_headers_size: usize,
    /// `max_body_size`: bytes of a request body (Pushpin: `push_in_http_max_body_size`).
    /// Default 1,000,000.
    pub max_body_size: usize,
    /// `connections_max`: connections at once; more wait to be accepted. Default 128.
    pub connections_max: usize,
    /// `idle_timeout`: seconds a connection may be silent. Default 60.
    pub idle_timeout_s: u32,
}

/// `[zmq]`: ZeroMQ endpoints. `{run_dir}` in them is already replaced; an empty text is `None`: off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zmq {
    /// `pull`: publish items, pushed (Pushpin: `push_in_spec`). Default `tcp://127.0.0.1:5560`.
    pub pull: Option<String>,
    /// `sub`: publish items, subscribed (Pushpin: `push_in_sub_specs`).
    /// Default `tcp://127.0.0.1:5562`.
    pub sub: Vec<String>,
    /// `sub_connect`: connect the `sub` sockets instead of binding them. Default: false.
    pub sub_connect: bool,
    /// `command`: commands (Pushpin: `command_spec`). Default `tcp://127.0.0.1:5563`.
    pub command: Option<String>,
    /// `stats`: statistics are published there. Default `ipc://{run_dir}/pincushion-stats`.
    pub stats: Option<String>,
    /// `ipc_file_mode`: permissions of the files of `ipc://` endpoints, written in octal. Default:
    /// as the umask says.
    pub ipc_file_mode: Option<u32>,
}

/// What [`Config::embedded`] must know about whoever started the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's number; 0 is root.
    pub uid: u32,
    /// The value of `XDG_RUNTIME_DIR`, if it is set and not empty.
    pub runtime_dir: Option<PathBuf>,
    /// The folder for temporary files.
    pub temp_dir: PathBuf,
}

impl Config {
    /// The settings for a start without a settings file: the defaults, with a `run_dir` that the
    /// user may write to.
    ///
    /// Root keeps `/run/pincushion`; others get `pincushion` in their run-time folder, or else
    /// `pincushion-UID` in the folder for temporary files.
    #[must_use]
    pub fn embedded(user: &User) -> Self {
        let mut config = Self::unexpanded();
        if user.uid != 0 {
            config.run_dir = user.runtime_dir.as_ref().map_or_else(
                || user.temp_dir.join(format!("pincushion-{}", user.uid)),
                |dir| dir.join("pincushion"),
            );
        }
        config.zmq.expand(&config.run_dir);
        config
    }

    /// The defaults with `{run_dir}` still in the ZeroMQ endpoints.
    pub(crate) fn unexpanded() -> Self {
        Self {
            base_dir: PathBuf::new(),
            routes_file: None,
            routes: vec!["* test".to_owned()],
            run_dir: PathBuf::from(RUN_DIR_DEFAULT),
            shards: Shards::default(),
            http: Http::default(),
            control: Control::default(),
            zmq: Zmq::unexpanded(),
            proxy: Proxy::default(),
            handler: Handler::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self::unexpanded();
        config.zmq.expand(&config.run_dir);
        config
    }
}

impl Default for Shards {
    fn default() -> Self {
        Self {
            cores: CoreSet::All,
            per_core: 1,
            private_descriptors: true,
            queue: 512,
            deliveries_per_turn: 2048,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(
                Ipv4Addr::UNSPECIFIED.into(),
                HTTP_PORT_DEFAULT,
            )],
            https_listen: Vec::new(),
            local_listen: Vec::new(),
            local_mode: None,
            cert_dir: None,
            client_buffer_size: 8192,
            client_maxconn: 1_000_000,
            allow_compression: false,
            header_timeout_s: 60,
            body_idle_timeout_s: 60,
            fields_max: 100,
            request_body_max: None,
            outbox_max: 1_048_576,
            outbox_items_max: 1000,
            slow_client: SlowClient::Close,
            drain_timeout_s: 10,
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            listen: Some(SocketAddr::new(loopback, CONTROL_PORT_DEFAULT)),
            metrics_listen: None,
            max_headers_size: 10_000,
            max_body_size: 1_000_000,
            connections_max: 128,
            idle_timeout_s: 60,
        }
    }
}

impl Zmq {
    /// The defaults as they are written in the settings file.
    fn unexpanded() -> Self {
        Self {
            pull: Some("tcp://127.0.0.1:5560".to_owned()),
            sub: vec!["tcp://127.0.0.1:5562".to_owned()],
            sub_connect: false,
            command: Some("tcp://127.0.0.1:5563".to_owned()),
            stats: Some("ipc://{run_dir}/pincushion-stats".to_owned()),
            ipc_file_mode: None,
        }
    }

    /// Puts the folder where `{run_dir}` stands.
    pub(crate) fn expand(&mut self, run_dir: &Path) {
        let dir = run_dir.to_string_lossy();
        let specs = [&mut self.pull, &mut self.command, &mut self.stats];
        for spec in specs.into_iter().flatten().chain(&mut self.sub) {
            *spec = spec.replace("{run_dir}", &dir);
        }
    }
}

impl Default for Zmq {
    fn default() -> Self {
        let mut zmq = Self::unexpanded();
        zmq.expand(Path::new(RUN_DIR_DEFAULT));
        zmq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, runtime_dir: Option<&str>) -> User {
        User {
            uid,
            runtime_dir: runtime_dir.map(PathBuf::from),
            temp_dir: "/tmp".into(),
        }
    }

    #[test]
    fn without_a_file_everybody_gets_a_folder_they_may_write_to() {
        let cases = [
            (user(0, None), "/run/pincushion"),
            (user(0, Some("/run/user/0")), "/run/pincushion"),
            (user(7, Some("/run/user/7")), "/run/user/7/pincushion"),
            (user(7, None), "/tmp/pincushion-7"),
        ];
        for (user, expected) in cases {
            let config = Config::embedded(&user);
            assert_eq!(config.run_dir, Path::new(expected), "{user:?}");
            assert_eq!(
                config.zmq.stats,
                Some(format!("ipc://{expected}/pincushion-stats"))
            );
        }
    }

    #[test]
    fn without_a_file_only_the_folder_differs_from_the_defaults() {
        assert_eq!(Config::embedded(&user(0, None)), Config::default());
    }

    #[test]
    fn the_default_route_is_the_test_handler() {
        let (table, errors) = Config::default().load_routes().unwrap();
        assert!(errors.is_empty());
        assert_eq!(table.routes()[0].targets[0].kind, crate::TargetKind::Test);
    }

    #[test]
    fn a_routes_file_that_is_not_there_is_named() {
        let config = Config {
            routes_file: Some("/nowhere/routes".into()),
            ..Config::default()
        };
        let error = config.load_routes().unwrap_err().to_string();
        assert!(
            error.starts_with("/nowhere/routes: cannot be read: "),
            "{error}"
        );
    }
}
