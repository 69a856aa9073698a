//! Pincushion itself, with the settings of a test.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use super::folder::{Folder, free_ports};
use super::process::Running;
use super::wire::Wire;
use super::{WAIT_MAX, message::Response};

/// Settings of a run, and how it is started.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    lines: BTreeMap<&'static str, Vec<String>>,
    routes: Vec<String>,
    args: Vec<String>,
    shell: Option<String>,
}

impl Settings {
    /// One shard, on a core that this process may use; the ZeroMQ sockets are off.
    pub(crate) fn one_shard() -> Self {
        Self::all_cores().with("shards", &format!("cores = [{}]", first_core()))
    }

    /// A shard per core; the ZeroMQ sockets are off.
    pub(crate) fn all_cores() -> Self {
        Self::default().with("zmq", "pull = \"\"\nsub = []\ncommand = \"\"\nstats = \"\"")
    }

    /// One more line in a section; `""` is the head of the file.
    pub(crate) fn with(mut self, section: &'static str, line: &str) -> Self {
        self.lines.entry(section).or_default().push(line.to_owned());
        self
    }

    /// One more route.
    pub(crate) fn route(mut self, line: impl Into<String>) -> Self {
        self.routes.push(line.into());
        self
    }

    /// One more argument.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Runs this in the shell that becomes pincushion, such as `ulimit -n 64`.
    pub(crate) fn under(mut self, script: &str) -> Self {
        self.shell = Some(script.to_owned());
        self
    }

    /// The settings file's text for these two ports.
    pub(crate) fn text(&self, folder: &Path, port: u16, control_port: u16) -> String {
        let mut lines = self.lines.clone();
        let mut add = |section, line: String| lines.entry(section).or_default().push(line);
        add("", format!("run_dir = \"{}\"", folder.display()));
        if !self.routes.is_empty() {
            add("", format!("routes = {:?}", self.routes));
        }
        add("http", format!("listen = [\"127.0.0.1:{port}\"]"));
        add("control", format!("listen = \"127.0.0.1:{control_port}\""));
        let mut text = String::new();
        for (section, lines) in &lines {
            if !section.is_empty() {
                text.push_str(&format!("[{section}]\n"));
            }
            text.push_str(&lines.join("\n"));
            text.push('\n');
        }
        text
    }

    /// The program with a settings file in `folder`, not yet started.
    pub(crate) fn command(&self, folder: &Folder, port: u16, control_port: u16) -> Command {
        let text = self.text(folder.path(), port, control_port);
        let file = folder.write("pincushion.toml", &text);
        let binary = env!("CARGO_BIN_EXE_pincushion");
        let mut command = match &self.shell {
            None => Command::new(binary),
            Some(script) => {
                let mut shell = Command::new("sh");
                let script = format!("{script}; exec \"$0\" \"$@\"");
                shell.args(["-c", &script, binary]);
                shell
            }
        };
        command
            .arg("--config")
            .arg(file)
            .args(&self.args)
            .current_dir(folder.path());
        command
    }

    /// Starts pincushion and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        let folder = Folder::new();
        let [port, control_port] = free_ports();
        let mut running = Running::start(&mut self.command(&folder, port, control_port));
        running.ask_until("ready", || is_ready(control_port));
        Server {
            running,
            folder,
            port,
            control_port,
        }
    }
}

/// A running pincushion on ports of its own.
pub(crate) struct Server {
    pub(crate) running: Running,
    /// Where its settings are; removed when the test is over.
    pub(crate) folder: Folder,
    pub(crate) port: u16,
    pub(crate) control_port: u16,
}

impl Server {
    /// A new client.
    pub(crate) fn client(&self) -> Wire {
        Wire::connect(self.port)
    }

    /// Publishes these items, a JSON list without its brackets.
    pub(crate) fn publish(&self, items: &str) {
        publish_on(&mut Wire::connect(self.control_port), items);
    }

    /// Publishes one item of a stream.
    pub(crate) fn publish_stream(&self, channel: &str, content: &str) {
        self.publish(&stream_item(channel, content));
    }

    /// Publishes the answer of long-polls.
    pub(crate) fn publish_response(&self, channel: &str, content: &str) {
        self.publish(&format!(
            r#"{{"channel":"{channel}","formats":{{"http-response":{{"body":"{content}"}}}}}}"#
        ));
    }

    /// A metric's value.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let response = self.control("/metrics");
        let text = response.text();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("no metric {name} in:\n{text}"))
    }

    /// Memory in use, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.running.id());
        let status = fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|n| n.parse().ok()).expect("a number")
    }

    fn control(&self, path: &str) -> Response {
        let mut wire = Wire::connect(self.control_port);
        wire.ask(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ))
    }
}

/// Publishes on a connection to the control port, which stays open.
pub(crate) fn publish_on(control: &mut Wire, items: &str) {
    let body = format!(r#"{{"items":[{items}]}}"#);
    let response = control.ask(format!(
        "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(response.text(), "Published\n");
}

/// A publish item for streams.
pub(crate) fn stream_item(channel: &str, content: &str) -> String {
    format!(r#"{{"channel":"{channel}","formats":{{"http-stream":{{"content":"{content}"}}}}}}"#)
}

/// Whether `GET /readyz` on the control port answers 200.
fn is_ready(control_port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], control_port));
    let Ok(socket) = TcpStream::connect_timeout(&address, WAIT_MAX) else {
        return false;
    };
    let mut wire = Wire::of(socket);
    let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    wire.try_send(request).is_ok() && wire.try_head().is_ok_and(|head| head.status() == 200)
}

/// The first core that this process may run on.
fn first_core() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = list.and_then(|list| list.trim().split([',', '-']).next());
    first.and_then(|core| core.parse().ok()).unwrap_or(0)
}
