//! Holds the shape of the source tree: which crate may use which, what `core` may not name, where
//! `unsafe` may stand, how long a file may be.
//!
//! Reads manifests and sources as text. The manifests are ours and plain, so a line is enough: no
//! TOML parser, no further dependency.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and ends"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest that a source file may be, in lines.
const FILE_LINES_MAX: usize = 800;

/// Each package with the packages of this workspace that it may depend on.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("proto", &[]),
    ("config", &[]),
    ("shard", &["proto", "config"]),
    ("", &["shard", "config"]),
    // config: a core is made with settings and routes.
    ("bench", &["proto", "config", "shard"]),
    // Never shard: the harness must not share the engine's mistakes.
    ("loadtest", &["proto"]),
];

/// What `core` must not name: the other half, runtimes, sockets, files, clocks.
const FOREIGN_TO_CORE: [&str; 14] = [
    "crate::io",
    "super::io",
    "glommio",
    "io_uring",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os",
    "std::fs",
    "std::thread",
    "std::io",
    "Instant::now",
    "SystemTime::now",
    "libc::",
    "async fn",
];

/// The one module that may hold `unsafe` code: its file and its folder.
const UNSAFE_MODULE: [&str; 2] = ["shard/src/io/sys.rs", "shard/src/io/sys"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the tree; `path` is relative to its root.
fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All Rust sources of the workspace, relative to its root.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder of the tree") {
            let entry = entry.expect("an entry of the tree");
            let name = entry.file_name();
            let path = folder.join(&name);
            let hidden = name.to_string_lossy().starts_with('.');
            let foreign = name == "target" || name == "node_modules" || hidden;
            if entry.file_type().expect("a type").is_dir() {
                if !foreign {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Lines of code with their numbers, counted from 1: without comments, without blank lines.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
        .filter(|(_, line)| !line.trim().is_empty())
}

/// Names under `[dependencies]`, `[dev-dependencies]` and `[build-dependencies]` of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<&str> {
    let mut in_section = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            // `[dependencies.proto]` is the long form of a line.
            if let Some((_, name)) = section.trim_end_matches(']').split_once("dependencies.") {
                names.insert(name);
            }
            in_section = section.ends_with("dependencies]") && !section.starts_with("workspace");
        } else if in_section && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.insert(name.trim_matches('"'));
        }
    }
    names.remove("");
    names
}

#[test]
fn dependencies_point_one_way() {
    let packages: BTreeSet<&str> = MAY_USE.iter().map(|(package, _)| *package).collect();
    for (package, allowed) in MAY_USE {
        let manifest = read(&Path::new(package).join("Cargo.toml"));
        for name in dependencies(&manifest).intersection(&packages) {
            assert!(
                allowed.contains(name),
                "`{package}` (\"\": the binary) must not use `{name}`"
            );
        }
    }
}

#[test]
fn every_package_of_the_workspace_has_its_place_in_the_order() {
    let manifest = read(Path::new("Cargo.toml"));
    let members = manifest
        .lines()
        .find(|l| l.starts_with("members"))
        .expect("members");
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    let known = MAY_USE
        .iter()
        .map(|(package, _)| *package)
        .filter(|p| !p.is_empty())
        .collect();
    assert_eq!(members, known);
}

#[test]
fn core_names_no_io() {
    for path in sources() {
        if !(path.starts_with("shard/src/core") || path == Path::new("shard/src/core.rs")) {
            continue;
        }
        // What shards share has to be tried by several threads.
        let is_allowed =
            |word: &str| word.starts_with("std::thread") && path.ends_with("last_ids/tests.rs");
        for (number, line) in code_lines(&read(&path)) {
            for word in FOREIGN_TO_CORE.iter().filter(|word| !is_allowed(word)) {
                assert!(
                    !line.contains(word),
                    "{}:{number}: `{word}` in core",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_code_stands_in_one_module() {
    for path in sources() {
        // This file names the words that it looks for.
        let excepted = UNSAFE_MODULE.iter().any(|module| path.starts_with(module));
        if excepted || path == Path::new("tests/layout.rs") {
            continue;
        }
        for (number, line) in code_lines(&read(&path)) {
            let found = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
                .into_iter()
                .find(|words| line.contains(words));
            assert_eq!(found, None, "{}:{number}", path.display());
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for path in sources() {
        let lines = read(&path).lines().count();
        assert!(
            lines <= FILE_LINES_MAX,
            "{} has {lines} lines",
            path.display()
        );
    }
}

#[test]
fn modules_are_files_of_their_own_name() {
    let misnamed: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|p| p.file_name().is_some_and(|n| n == "mod.rs"))
        .collect();
    assert!(
        misnamed.is_empty(),
        "x.rs beside x/, not x/mod.rs: {misnamed:?}"
    );
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = read(Path::new("Cargo.toml"));
    let mut above = "";
    let mut in_section = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_section = line == "[workspace.dependencies]";
        } else if in_section && !line.is_empty() && !line.starts_with('#') {
            let ours = line.contains("path = ");
            assert!(ours || above.starts_with('#'), "no comment above `{line}`");
        }
        above = line;
    }
}

#[test]
fn versions_are_given_once_for_the_workspace() {
    for (package, _) in MAY_USE {
        let manifest = read(&Path::new(package).join("Cargo.toml"));
        let mut in_section = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_section = line.ends_with("dependencies]") && !line.contains("workspace");
            } else if in_section && !line.is_empty() && !line.starts_with('#') {
                assert!(line.contains("workspace = true"), "{package}: `{line}`");
            }
        }
    }
}

/// The checklist of GRIP over HTTP has so many lines.
const GRIP_CHECKLIST_LINES: usize = 223;

#[test]
fn the_coverage_page_has_every_line_and_names_tests_that_exist() {
    let page = read(Path::new("docs/grip-coverage.md"));
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(char::is_numeric))
        .collect();
    assert_eq!(rows.len(), GRIP_CHECKLIST_LINES);
    for row in rows {
        // What stands between backquotes as `file::test`, our own files only.
        let named = row.split('`').skip(1).step_by(2);
        let ours = named.filter_map(|name| name.split_once(".rs::"));
        for (file, test) in ours {
            let path = format!("{file}.rs");
            let name = test.rsplit("::").next().unwrap_or(test);
            let source = read(Path::new(&path));
            assert!(
                source.contains(&format!("fn {name}(")),
                "{row}: no test {name} in {path}"
            );
        }
    }
}
