use std::process::Command;

use super::*;

#[test]
fn capacity_counts_per_shard_only_with_private_tables() {
    let table = [
        (20_000, 4, true, 4 * (20_000 - 5 * 8 - 32)),
        (20_000, 4, false, 20_000 - 5 * 8 - 4 * 32),
        (1_024, 1, true, 1_024 - 2 * 8 - 32),
        (1_024, 1, false, 1_024 - 2 * 8 - 32),
        (100, 52, true, 0),
        (0, 1, false, 0),
        (u64::MAX, 2, true, u64::MAX),
    ];
    for (limit, shards, private, expected) in table {
        let case = format!("{limit} files, {shards} shards, private {private}");
        assert_eq!(capacity(limit, shards, private), expected, "{case}");
    }
}

#[test]
fn kernels_before_multishot_accept_are_refused() {
    for release in [
        "4.18.0-553.el8.x86_64",
        "5.4",
        "5.15.0-91-generic",
        "5.18.19\n",
    ] {
        let error = kernel(release).unwrap_err();
        assert!(
            error.to_string().ends_with("needs 5.19 or newer"),
            "{release}: {error}"
        );
    }
    for release in [
        "5.19.0",
        "6.1.0-18-amd64",
        "6.18.44-fc",
        "10.0",
        "",
        "unreadable",
    ] {
        assert!(kernel(release).is_ok(), "{release}");
    }
}

#[test]
fn a_refused_ring_says_who_refuses_it() {
    let refused =
        |errno, disabled| ring_refused(io::Error::from_raw_os_error(errno), disabled).to_string();
    let switched_off = "io_uring is switched off on this machine (kernel.io_uring_disabled = 2): \
                        run 'sysctl kernel.io_uring_disabled=0'";
    assert_eq!(refused(libc::EPERM, 2), switched_off);
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let text = refused(errno, 0);
        assert!(text.contains("seccomp profile"), "{text}");
    }
    let text = refused(libc::ENOMEM, 0);
    assert!(text.starts_with("cannot make an io_uring: "), "{text}");
}

#[test]
fn locked_memory_has_to_do_for_every_executor_unless_privileged() {
    const EIGHT_MIB: u64 = 8 * 1_024 * 1_024;
    assert!(locked_memory(None, 1_000, false).is_ok());
    assert!(locked_memory(Some(EIGHT_MIB), 26, false).is_ok());
    assert!(locked_memory(Some(EIGHT_MIB), 50, true).is_ok());
    assert!(locked_memory(Some(LOCKED_MEMORY_MIN), 1, false).is_ok());
    assert!(locked_memory(Some(LOCKED_MEMORY_MIN - 1), 1, true).is_err());
    let error = locked_memory(Some(EIGHT_MIB), 50, false).unwrap_err();
    let expected = "the locked-memory limit of 8388608 bytes is too small for 50 executors: set \
                    it to 15564800 bytes or more ('ulimit -l 15200', 'LimitMEMLOCK=15564800' for \
                    systemd, '--ulimit memlock=15564800' for docker), or run fewer shards";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn this_machine_can_run_one_shard() {
    let plan = Plan {
        shards: 1,
        executors: 2,
        private_tables: true,
    };
    let allowed = check(plan).unwrap();
    assert_eq!(allowed.connections, capacity(allowed.open_files, 1, true));
}

/// Runs the ignored test `probe` in a process of its own after the shell command `limit`.
fn probe_under(limit: &str) -> String {
    let probe = r#"exec "$0" --exact io::preflight::tests::probe --ignored --nocapture"#;
    let output = Command::new("sh")
        .args(["-c", &format!("{limit} && {probe}")])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "run by the tests that lower a limit first"]
fn probe() {
    match check(Plan {
        shards: 2,
        executors: 3,
        private_tables: false,
    }) {
        Ok(allowed) => println!("allowed: {allowed:?}"),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn a_low_limit_of_locked_memory_is_found_before_glommio_does() {
    let text = probe_under("ulimit -l 256");
    assert!(
        text.contains("refused: the locked-memory limit of 262144 bytes"),
        "{text}"
    );
}

#[test]
fn a_low_limit_of_open_files_is_found_at_start() {
    let text = probe_under("ulimit -n 60");
    assert!(
        text.contains("refused: the open-files limit of 60 is too small"),
        "{text}"
    );
}

#[test]
fn a_soft_limit_of_open_files_is_raised() {
    let text = probe_under("ulimit -S -n 60");
    assert!(text.contains("allowed: "), "{text}");
}
