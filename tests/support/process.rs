//! Programs that run beside a test.
//!
//! What they print is read by threads and waited for with a deadline; nothing sleeps. A program
//! still running when its value is dropped is killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::WAIT_MAX;

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

    /// Takes in what has been printed, without waiting.
    pub(crate) fn catch_up(&mut self) -> &str {
        while self.listen(Duration::ZERO) {}
        &self.seen
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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
    pub(crate) fn finish(self) -> (ExitStatus, String) {
        self.finish_within(WAIT_MAX)
    }

    /// The same for a program that may take longer.
    pub(crate) fn finish_within(mut self, wait_max: Duration) -> (ExitStatus, String) {
        let deadline = Instant::now() + wait_max;
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
