//! A headless Chromium, driven through chromedriver by plain HTTP (W3C WebDriver).

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{Folder, Running, WAIT_MAX, Wire};

/// Debian's packages `chromium` and `chromium-driver` bring it, and the browser that it starts.
const DRIVER: &str = "chromedriver";
/// What it prints, up to the port that it has chosen.
const STARTED: &str = "ChromeDriver was started successfully on port ";
/// How long to let the browser be between two questions to it.
const PACE: Duration = Duration::from_millis(20);
/// Asks the browser nothing of the network but the page, and needs no sandbox of the kernel: the
/// only pages are ours, and root may not have one.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
];

/// A browser with one window; it ends with the value.
pub(crate) struct Browser {
    // Held so that it runs as long as the browser.
    _driver: Running,
    // The browser's own files, removed after it has ended.
    _folder: Folder,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts it with a profile of its own.
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        let mut driver = Running::start(
            Command::new(DRIVER)
                .arg("--port=0")
                // Whatever the browser writes for itself stays with the test.
                .env("HOME", folder.path()),
        );
        driver.wait_for(STARTED);
        let (_, after) = driver.seen().split_once(STARTED).expect("just seen");
        let port = after.split('.').next().and_then(|port| port.parse().ok());
        let port = port.expect("a port");
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        let profile = folder.path().join("profile");
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "timeouts": { "pageLoad": millis(WAIT_MAX), "script": millis(WAIT_MAX) },
        }}});
        let answer = call(port, "POST", "/session", &capabilities);
        let session = answer.get("sessionId").and_then(Value::as_str);
        let session = session.expect("a session").to_owned();
        Self {
            _driver: driver,
            _folder: folder,
            port,
            session,
        }
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// The texts of all elements that match, in the page's order.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let script = "return Array.from(document.querySelectorAll(arguments[0]), e => e.innerText)";
        let found = self.post(
            "/execute/sync",
            &json!({ "script": script, "args": [selector] }),
        );
        let found = found.as_array().expect("a list");
        let texts = found.iter().map(|text| text.as_str().expect("a text"));
        texts.map(str::to_owned).collect()
    }

    /// Waits until these are the texts of all elements that match.
    pub(crate) fn wait_for_texts<T: AsRef<str>>(&self, selector: &str, texts: &[T]) {
        let wanted: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let seen = self.texts(selector);
            if seen == wanted {
                return;
            }
            let late = Instant::now() >= deadline;
            assert!(!late, "{selector} never showed {wanted:?}, but {seen:?}");
            std::thread::park_timeout(PACE);
        }
    }

    /// Waits until the one element that matches has this text.
    pub(crate) fn wait_for_text(&self, selector: &str, text: &str) {
        self.wait_for_texts(selector, &[text]);
    }

    /// Types into a field of a form and sends the form, as a person does with Enter.
    pub(crate) fn send(&self, form: &str, field: &str, text: &str) {
        let selector = format!("{form} {field}");
        let found = self.post(
            "/element",
            &json!({ "using": "css selector", "value": selector }),
        );
        let found = found.as_object().and_then(|found| found.values().next());
        let element = found.and_then(Value::as_str).expect("an element");
        // U+E007 is WebDriver's Enter.
        let keys = json!({ "text": format!("{text}\u{e007}") });
        self.post(&format!("/element/{element}/value"), &keys);
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        call(self.port, "POST", &path, body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver must be asked to end the browser: killed, it would leave it behind.
        let path = format!("/session/{}", self.session);
        let _ = try_call(self.port, "DELETE", &path, "");
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a short time")
}

/// Asks the driver; its answer's value, or the end of the test.
fn call(port: u16, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) =
        try_call(port, method, path, &body.to_string()).expect("the driver answers");
    let mut answer: Value = serde_json::from_slice(&answer).expect("the driver answers with JSON");
    let value = answer.get_mut("value").map_or(Value::Null, Value::take);
    assert_eq!(status, 200, "{method} {path}: {value}");
    value
}

fn try_call(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
    let mut wire = Wire::connect(port);
    // To start a browser on a busy machine takes a while.
    wire.limit_reads(2 * WAIT_MAX);
    wire.try_send(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))?;
    let head = wire.try_head()?;
    let content = wire.try_body(&head, false)?;
    Ok((head.status(), content))
}
