//! Programs that run beside a test: pincushion, curl, the example backends.
//!
//! What they print is read by threads and waited for with a deadline; nothing sleeps. A program
//! still running when its value is dropped is killed.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before the test fails.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long to listen to a program between two questions to it.
const PACE: Duration = Duration::from_millis(20);
/// Lines of output kept for the test; a program that prints more waits.
const LINES_MAX: usize = 10_000;

/// A program that runs, and what it has printed so far.
pub(crate) struct Running {
    name: String,
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Running {
    /// Starts a program with nothing to read; its two outputs are read as one.
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{name} cannot be started: {e}"));
        let (sender, lines) = sync_channel(LINES_MAX);
        send_lines(
            child.stdout.take().expect("its output is piped"),
            sender.clone(),
        );
        send_lines(
            child.stderr.take().expect("its error output is piped"),
            sender,
        );
        Self {
            name,
            child,
            lines,
            seen: String::new(),
        }
    }

    /// Waits until the program has printed `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + WAIT_MAX;
        while !self.seen.contains(text) {
            let more = self.listen(deadline.saturating_duration_since(Instant::now()));
            assert!(
                more,
                "{} never printed {text:?}, only:\n{}",
                self.name, self.seen
            );
        }
    }

    /// Listens for one more line; false when none came in that time and none can come any more.
    fn listen(&mut self, wait: Duration) -> bool {
        let line = self.lines.recv_timeout(wait);
        if let Ok(line) = &line {
            self.seen.push_str(line);
        }
        line.is_ok()
    }

    /// Asks `question` again and again until it says yes, while the program runs.
    pub(crate) fn ask_until(&mut self, what: &str, mut question: impl FnMut() -> bool) {
        let deadline = Instant::now() + WAIT_MAX;
        while !question() {
            let ended = self.child.try_wait().expect("a child of ours").is_some();
            let late = Instant::now() >= deadline;
            assert!(
                !ended && !late,
                "{}: never {what}; printed:\n{}",
                self.name,
                self.seen
            );
            self.listen(PACE);
        }
    }

    /// Does `step` again and again until the program has closed its output.
    pub(crate) fn repeat_until_closed(&mut self, mut step: impl FnMut()) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            step();
            match self.lines.recv_timeout(PACE) {
                Ok(line) => self.seen.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let late = Instant::now() >= deadline;
                    assert!(!late, "{} does not end; printed:\n{}", self.name, self.seen);
                }
            }
        }
    }

    /// What has been printed and read so far.
    pub(crate) fn seen(&self) -> &str {
        &self.seen
    }

    /// Sends a signal by name: `TERM`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh")
            .args(["-c", &script])
            .status()
            .expect("sh runs");
        assert!(sent.success(), "{script}");
    }

    /// Waits until the program has ended by itself: how, and all that it printed.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push_str(&line),
                // Both outputs are closed, so it has ended or is about to.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} does not end; printed:\n{}", self.name, self.seen)
                }
            }
        }
        let status = self.child.wait().expect("a child of ours");
        (status, std::mem::take(&mut self.seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send_lines(output: impl Read + Send + 'static, sender: SyncSender<String>) {
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            // Nobody listens any more once the test is over.
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
            line.clear();
        }
    });
}

/// An empty folder, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("walkthrough-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("the folder for temporary files can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ports that are free now: taken together, so that they differ, and let go.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let taken: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    taken
        .each_ref()
        .map(|listener| listener.local_addr().expect("it is bound").port())
}

/// A running pincushion on ports of its own.
pub(crate) struct Pincushion {
    pub(crate) running: Running,
    // Removed when the test is over.
    _folder: Folder,
    port: u16,
    control_port: u16,
}

impl Pincushion {
    /// Starts it with these lines at the head of its settings and these arguments, and waits
    /// until it is ready.
    pub(crate) fn start(settings: &str, args: &[&str]) -> Self {
        let folder = Folder::new();
        let [port, control_port] = free_ports();
        let run_dir = folder.path().display();
        let file = folder.write(
            "pincushion.toml",
            &format!(
                "{settings}\n\
                 run_dir = \"{run_dir}\"\n\
                 [http]\nlisten = [\"127.0.0.1:{port}\"]\n\
                 [control]\nlisten = \"127.0.0.1:{control_port}\"\n\
                 [zmq]\npull = \"\"\nsub = []\ncommand = \"\"\nstats = \"\"\n"
            ),
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_pincushion"));
        command
            .arg("--config")
            .arg(file)
            .args(args)
            .current_dir(folder.path());
        let mut running = Running::start(&mut command);
        running.ask_until("ready", || is_ready(control_port));
        Self {
            running,
            _folder: folder,
            port,
            control_port,
        }
    }

    /// The address for clients, as one types it for curl.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Publishes as the README shows; the answer of the control port.
    pub(crate) fn publish(&self, format: &str, content: &str) -> String {
        let items = format!(
            r#"{{ "items": [ {{ "channel": "test", "formats": {{ "{format}": {content} }} }} ] }}"#
        );
        let url = format!("http://localhost:{}/publish", self.control_port);
        let (status, answer) = curl(&["-d", &items, &url]).finish();
        assert!(
            status.success(),
            "curl to the control port: {status}, {answer}"
        );
        answer
    }
}

/// Whether `GET /readyz` on the control port answers 200.
fn is_ready(control_port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], control_port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, WAIT_MAX) else {
        return false;
    };
    let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut head = [0; 12];
    stream.set_read_timeout(Some(WAIT_MAX)).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && head.ends_with(b" 200")
}

/// A curl that shows what comes as it comes and asks no proxy of the environment.
pub(crate) fn curl(args: &[&str]) -> Running {
    let common = [
        "--silent",
        "--show-error",
        "--no-buffer",
        "--noproxy",
        "*",
        "--max-time",
        "60",
    ];
    Running::start(Command::new("curl").args(common).args(args))
}

/// One of the example backends, on a port of its own.
pub(crate) struct Backend {
    // Held so that it runs as long as the test.
    _running: Running,
    port: String,
}

impl Backend {
    /// Starts `examples/<path>` with `program` and waits until it listens.
    pub(crate) fn start(program: &str, path: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples")
            .join(path);
        let mut running = Running::start(Command::new(program).arg(script).arg("0"));
        let before = "backend on http://localhost:";
        running.wait_for(before);
        let (_, after) = running.seen().split_once(before).expect("just seen");
        let port = after
            .split('/')
            .next()
            .expect("a split has a first part")
            .to_owned();
        Self {
            _running: running,
            port,
        }
    }

    /// The route line that sends everything to this backend.
    pub(crate) fn route(&self) -> String {
        format!("* localhost:{}", self.port)
    }
}
