//! A start that fails says in one sentence what to change.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::kit::{Folder, Running, Settings, free_ports};

/// Runs a start that must fail with code 1: what it says.
fn failure(command: &mut Command) -> String {
    let (status, output) = Running::start(command).finish();
    assert_eq!(status.code(), Some(1), "{output}");
    let sentences = output
        .lines()
        .filter(|line| line.starts_with("pincushion: "));
    assert_eq!(sentences.count(), 1, "{output}");
    output
}

#[test]
fn a_taken_control_port_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let control_port = taken.local_addr().expect("it is bound").port();
    let [port] = free_ports();
    let folder = Folder::new();
    let output = failure(&mut Settings::one_shard().command(&folder, port, control_port));
    assert!(
        output.contains(&format!("127.0.0.1:{control_port}")),
        "{output}"
    );
    assert!(output.contains("in use"), "{output}");
}

#[test]
fn a_taken_client_port_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let [control_port] = free_ports();
    let folder = Folder::new();
    let output = failure(&mut Settings::one_shard().command(&folder, port, control_port));
    assert!(output.contains(&format!("127.0.0.1:{port}")), "{output}");
    assert!(output.contains("in use"), "{output}");
}

#[test]
fn a_bad_setting_is_named_with_its_file_and_line() {
    for (text, line, key) in [
        ("[http]\nclient_maxconn = -1\n", 2, "client_maxconn"),
        ("[http]\n\nheader_timeout = \"soon\"\n", 3, "header_timeout"),
        (
            "[proxy]\nx_forwarded_for = \"apend\"\n",
            2,
            "x_forwarded_for",
        ),
        ("[shards]\nper_core = 1\nper_cores = 2\n", 3, "per_cores"),
        ("[nonsense]\n", 1, "nonsense"),
    ] {
        let folder = Folder::new();
        let file = folder.write("my.toml", text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pincushion"));
        let output = failure(command.arg("--config").arg(file));
        assert!(output.contains("my.toml"), "no file: {output}");
        assert!(output.contains(key), "no key: {output}");
        let at = [format!("my.toml:{line}"), format!("line {line}")];
        assert!(at.iter().any(|at| output.contains(at)), "no line: {output}");
    }
}

#[test]
fn too_few_descriptors_are_told_with_the_remedy() {
    let [port, control_port] = free_ports();
    let folder = Folder::new();
    let settings = Settings::one_shard().under("ulimit -n 40");
    let output = failure(&mut settings.command(&folder, port, control_port));
    assert!(output.contains("open-files limit of 40"), "{output}");
    assert!(output.contains("ulimit -n"), "{output}");
}

#[test]
fn too_little_locked_memory_is_told_with_the_remedy() {
    let [port, control_port] = free_ports();
    let folder = Folder::new();
    let home = Home::new();
    let text = Settings::one_shard().text(&home.0, port, control_port);
    let file = home.0.join("pincushion.toml");
    std::fs::write(&file, text).expect("just made");
    let mut command = as_ordinary_user();
    command
        .args(["-c", "ulimit -l 64; exec \"$0\" --config \"$1\""])
        .arg(home.0.join("pincushion"))
        .arg(file)
        .current_dir(folder.path());
    let output = failure(&mut command);
    assert!(
        output.contains("locked-memory limit of 65536 bytes"),
        "{output}"
    );
    assert!(output.contains("ulimit -l"), "{output}");
}

/// A shell of a user without privileges: root may lock all the memory it likes.
fn as_ordinary_user() -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new("sh");
    }
    let mut command = Command::new("setpriv");
    command.args("--reuid=65534 --regid=65534 --clear-groups sh".split(' '));
    command
}

/// A folder that every user may read, with the program in it.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("pincushion-test-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&path, everybody).expect("just made");
        let binary = env!("CARGO_BIN_EXE_pincushion");
        std::fs::copy(binary, path.join("pincushion")).expect("room for a copy");
        Self(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
