//! One of the examples with pincushion before it.

use std::path::Path;
use std::process::Command;

use crate::kit::{Running, Server, Settings, Wire, free_ports, wait_until};

/// A running example.
pub(crate) struct Example {
    server: Server,
    // Held so that it runs as long as the test.
    _backend: Running,
}

impl Example {
    /// Starts `examples/<folder>/backend.py` and pincushion before it.
    pub(crate) fn start(folder: &str) -> Self {
        let [port] = free_ports();
        // A shard per core, as the README starts it.
        let settings = Settings::all_cores().route(format!("* localhost:{port}"));
        let server = settings.start();
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples")
            .join(folder)
            .join("backend.py");
        let control = format!("http://localhost:{}", server.control_port);
        let mut command = Command::new("python3");
        command.arg(script).arg(port.to_string());
        // Only the example that publishes itself looks at it.
        let mut backend = Running::start(command.arg(control));
        backend.wait_for("backend on http://localhost:");
        Self {
            server,
            _backend: backend,
        }
    }

    /// The address for the browser.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.server.port)
    }

    /// Publishes an item on the control port.
    pub(crate) fn publish(&self, item: &str) {
        self.server.publish(item);
    }

    /// Posts a text through pincushion, as anybody can.
    pub(crate) fn post(&self, path: &str, text: &str) {
        let response = Wire::connect(self.server.port).ask(format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ));
        assert_eq!(response.status, 200, "{}", response.text());
    }

    /// Waits until this many long-polls are held.
    pub(crate) fn wait_for_held_polls(&self, count: u64) {
        wait_until("the polls are held", || {
            self.server.metric("pincushion_held_long_polls") == count
        });
    }
}
