//! The program as a user meets it when something is not as it should be.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot run the program has failed"
)]

use std::net::TcpListener;
use std::process::{Command, Output};

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_goes_to_standard_output_and_is_no_failure() {
    for arguments in [&["--help"][..], &["idle", "--help"], &["hold", "-h"]] {
        let output = loadtest(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: loadtest"));
    }
}

#[test]
fn a_wrong_command_line_ends_with_status_2_and_one_line() {
    for arguments in [
        &[][..],
        &["no-such"],
        &["idle", "--size", "5"],
        &["idle", "--url", "8.8.8.8:1"],
    ] {
        let output = loadtest(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert_eq!(
            error_of(&output).lines().count(),
            1,
            "{}",
            error_of(&output)
        );
    }
}

#[test]
fn a_server_that_is_not_built_is_named_with_the_way_to_build_it() {
    let output = loadtest(&["idle", "--bin", "/nowhere/pincushion"]);
    assert_eq!(output.status.code(), Some(1));
    let text = error_of(&output);
    assert!(
        text.contains("/nowhere/pincushion does not exist"),
        "{text}"
    );
    assert!(text.contains("cargo build --release"), "{text}");
}

#[test]
fn a_server_that_ends_at_its_start_is_shown_with_its_last_words() {
    let output = loadtest(&["idle", "--bin", "/bin/ls"]);
    assert_eq!(output.status.code(), Some(1));
    let text = error_of(&output);
    assert!(text.contains("ended at its start"), "{text}");
    assert!(text.contains("--config"), "{text}");
}

#[test]
fn a_server_that_nobody_runs_is_told_by_its_address() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a free port").port().to_string();
    let output = loadtest(&[
        "latency",
        "--url",
        "127.0.0.1:1",
        "--control",
        "127.0.0.1:2",
        "--backend-port",
        &port,
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error_of(&output).contains("cannot connect to 127.0.0.1:1"),
        "{}",
        error_of(&output)
    );
}
