//! Installs the libraries below the target folder, in the versions that this folder pins, from the
//! registries that the machine's pip and npm are set up for. Done again only when the pins change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::kit::Running;

/// How long an installation may take; on an idle machine it takes a few seconds.
const INSTALL_WAIT_MAX: Duration = Duration::from_secs(300);
/// The file that says what an installation was made for.
const MADE_FOR: &str = "made-for";

/// A folder of this test's sources.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// A Python with the libraries.
pub(crate) fn python() -> PathBuf {
    let installed = installed("python");
    let requirements = folder("python").join("requirements.txt");
    // A new interpreter needs an environment of its own.
    let version = finish(Command::new("python3").arg("--version"));
    unless_made_for(&installed, &(version + &read(&requirements)), || {
        finish(Command::new("python3").args(["-m", "venv"]).arg(&installed));
        finish(
            Command::new(installed.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(&requirements),
        );
    });
    installed.join("bin/python")
}

/// A folder with the library and a copy of the tests: Node looks for modules beside their user.
pub(crate) fn node() -> PathBuf {
    let installed = installed("node");
    let sources = folder("node");
    unless_made_for(
        &installed,
        &read(&sources.join("package-lock.json")),
        || {
            fs::create_dir_all(&installed).expect("the target folder can be written");
            copy("package.json", &sources, &installed);
            copy("package-lock.json", &sources, &installed);
            finish(
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(&installed),
            );
        },
    );
    for file in ["kit.mjs", "grip.test.mjs"] {
        copy(file, &sources, &installed);
    }
    installed
}

fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn copy(name: &str, from: &Path, to: &Path) {
    fs::copy(from.join(name), to.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// Fills `folder` by `make` unless that was done for the same pins.
fn unless_made_for(folder: &Path, pins: &str, make: impl FnOnce()) {
    let note = folder.join(MADE_FOR);
    if fs::read_to_string(&note).is_ok_and(|made_for| made_for == pins) {
        return;
    }
    // What is left of an earlier try, or of other pins; nothing the first time.
    let _ = fs::remove_dir_all(folder);
    make();
    fs::write(note, pins).expect("the target folder can be written");
}

/// Runs a program to its end; what it printed.
fn finish(command: &mut Command) -> String {
    let (status, output) = Running::start(command).finish_within(INSTALL_WAIT_MAX);
    assert!(status.success(), "{command:?}: {status}\n{output}");
    output
}
