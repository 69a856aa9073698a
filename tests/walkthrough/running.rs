//! What a newcomer has beside the test: pincushion, curl, the example backends.

use std::path::Path;
use std::process::Command;

use crate::kit::{Running, Server, Settings};

/// A running pincushion on ports of its own, asked as one asks it by hand.
pub(crate) struct Pincushion {
    server: Server,
}

impl Pincushion {
    /// Starts it with these lines at the head of its settings and these arguments, and waits
    /// until it is ready.
    pub(crate) fn start(settings: &str, args: &[&str]) -> Self {
        let settings = Settings::all_cores().with("", settings);
        let settings = args
            .iter()
            .fold(settings, |settings, arg| settings.arg(arg));
        Self {
            server: settings.start(),
        }
    }

    /// The program itself.
    pub(crate) fn running(&mut self) -> &mut Running {
        &mut self.server.running
    }

    /// Waits until it has ended, as [`Running::finish`] does.
    pub(crate) fn finish(self) -> (std::process::ExitStatus, String) {
        self.server.running.finish()
    }

    /// The address for clients, as one types it for curl.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.server.port)
    }

    /// Publishes as the README shows; the answer of the control port.
    pub(crate) fn publish(&self, format: &str, content: &str) -> String {
        let items = format!(
            r#"{{ "items": [ {{ "channel": "test", "formats": {{ "{format}": {content} }} }} ] }}"#
        );
        let url = format!("http://localhost:{}/publish", self.server.control_port);
        let (status, answer) = curl(&["-d", &items, &url]).finish();
        assert!(
            status.success(),
            "curl to the control port: {status}, {answer}"
        );
        answer
    }
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
