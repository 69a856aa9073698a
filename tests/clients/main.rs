//! The GRIP libraries that backends and publishers use, with the real binary: `gripcontrol` and
//! `pubcontrol` for Python, `@fanoutio/grip` for Node.
//!
//! The single tests stand in `python/test_gripcontrol.py` and `node/grip.test.mjs`, in the
//! language of the library and with names that are sentences. Here the libraries are installed and
//! pincushion is started: its ports, its keys and its address for publishers are in the
//! environment of the tests.

#![expect(
    clippy::disallowed_methods,
    reason = "deadlines for programs that run in real time need the real clock"
)]
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and ends"
)]

mod install;
#[path = "../support/kit.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "each test target uses its own part"
)]
mod kit;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use kit::{Running, Server, Settings, free_ports};

/// How long all tests of a library may take; they take about 7 s.
const TESTS_WAIT_MAX: Duration = Duration::from_secs(120);
/// The issuer that the signatures name, and the key that makes them.
const ISSUER: &str = "client-tests";
const KEY: &str = "base64:YSBrZXkgb2YgMzIgYnl0ZXMgZm9yIEhNQUMg/z4/KyAA";

/// Pincushion as the tests expect it, before the backend that they start on the port returned.
fn start() -> (Server, u16) {
    let [backend_port] = free_ports();
    let target = format!("localhost:{backend_port}");
    let route = |condition: &str, file: &str| {
        let key = keys().join(file);
        format!(
            "*,path_beg={condition},sig_key=file:{} {target}",
            key.display()
        )
    };
    let server = Settings::all_cores()
        .with("proxy", &format!("sig_iss = {ISSUER:?}"))
        .with("proxy", &format!("sig_key = {KEY:?}"))
        .route(route("/es256", "ec-private.pem"))
        .route(route("/rs256", "rsa-private.pem"))
        .route(format!("* {target}"))
        .start();
    (server, backend_port)
}

/// Key pairs made for these tests.
fn keys() -> PathBuf {
    install::folder("keys")
}

/// Runs the tests of a library before a pincushion of their own; what they printed is shown if
/// one fails.
fn run(tests: &mut Command) {
    let (server, backend_port) = start();
    let control = format!("http://localhost:{}/", server.control_port);
    tests
        .env("CLIENT_PORT", server.port.to_string())
        .env("CONTROL_PORT", server.control_port.to_string())
        .env("BACKEND_PORT", backend_port.to_string())
        .env(
            "GRIP_URL",
            format!("{control}?verify-iss={ISSUER}&verify-key={KEY}"),
        )
        .env("KEYS", keys())
        // No proxy of the environment stands between two programs of this machine.
        .env("NO_PROXY", "*");
    let (status, output) = Running::start(tests).finish_within(TESTS_WAIT_MAX);
    assert!(status.success(), "{status}\n{output}");
}

#[test]
fn backends_and_publishers_with_the_python_libraries_work() {
    let python = install::python();
    run(Command::new(python)
        .arg(install::folder("python").join("test_gripcontrol.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1"));
}

#[test]
fn backends_and_publishers_with_the_node_library_work() {
    let folder = install::node();
    run(Command::new("node")
        .args(["--test", "grip.test.mjs"])
        .current_dir(folder));
}
