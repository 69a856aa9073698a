//! HAProxy as a yardstick for plain proxying, with settings a careful operator would choose.

use std::net::SocketAddrV4;
use std::path::Path;

use crate::child::{self, Process};
use crate::error::LoadError;
use crate::net;
use crate::server::{Folder, local, wait_for};

/// Where Debian and most others put it.
const PROGRAM: &str = "/usr/sbin/haproxy";

/// Connections besides those of the clients.
const SPARE_CONNECTIONS: usize = 100;

/// A running HAProxy.
#[derive(Debug)]
pub(crate) struct Haproxy {
    /// Its client port.
    pub(crate) client: SocketAddrV4,
    process: Process,
    _folder: Folder,
}

/// Whether it is installed.
pub(crate) fn is_installed() -> bool {
    Path::new(PROGRAM).exists()
}

impl Haproxy {
    /// Starts it in front of `backend` for so many clients, one thread on each of `cores`.
    ///
    /// # Errors
    /// [`LoadError`] when it does not come up.
    pub(crate) fn start(
        backend: SocketAddrV4,
        cores: &[usize],
        clients: usize,
    ) -> Result<Self, LoadError> {
        let folder = Folder::new()?;
        let [client] = net::free_ports()?.map(local);
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, settings(client, backend, cores.len(), clients))
            .map_err(LoadError::io("writing HAProxy's settings"))?;
        let output = folder.path().join("output.txt");
        let file = file.to_string_lossy();
        let arguments = ["-db", "-f", &file];
        let mut process = child::spawn("HAProxy", Path::new(PROGRAM), &arguments, &output, cores)?;
        wait_for(&mut process, client, "/plain/1")?;
        Ok(Self {
            client,
            process,
            _folder: folder,
        })
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn settings(client: SocketAddrV4, backend: SocketAddrV4, threads: usize, clients: usize) -> String {
    let connections = clients + SPARE_CONNECTIONS;
    format!(
        "global\n  nbthread {threads}\n  maxconn {connections}\n  tune.bufsize 16384\n\
         \ndefaults\n  mode http\n  no log\n  timeout connect 5s\n  timeout client 60s\n\
         \x20 timeout server 60s\n  timeout http-keep-alive 60s\n  option http-keep-alive\n\
         \x20 option splice-auto\n  http-reuse always\n\
         \nfrontend clients\n  bind {client}\n  default_backend plain\n\
         \nbackend plain\n  server one {backend} pool-max-conn -1 pool-purge-delay 60s\n"
    )
}
