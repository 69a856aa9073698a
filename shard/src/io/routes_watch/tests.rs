//! The routes file changing under a running thread.

use std::path::PathBuf;

use super::*;
use crate::io::clock::Clock;

/// A routes file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("pincushion-{}-routes-{name}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    fn config(&self) -> Arc<Config> {
        Arc::new(Config {
            routes_file: Some(self.0.clone()),
            ..Config::default()
        })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn started(file: &File) -> RoutesWatch {
    let config = file.config();
    let (table, errors) = load_initial(&config).unwrap();
    assert!(errors.is_empty());
    RoutesWatch::start(config, table).unwrap()
}

/// The next table's number of routes.
fn next(watch: &mut RoutesWatch) -> usize {
    let clock = Clock::start();
    loop {
        if let Some(table) = watch.next_table() {
            return table.routes().len();
        }
        assert!(clock.now_ms() < 10_000, "no new table within time");
        std::thread::yield_now();
    }
}

#[test]
fn a_changed_file_becomes_a_new_table() {
    let file = File::new("changed", "* 127.0.0.1:1\n");
    let mut watch = started(&file);
    file.write("* 127.0.0.1:1\na.example 127.0.0.1:2\n");
    assert_eq!(next(&mut watch), 2);
}

#[test]
fn a_reload_reads_a_file_that_looks_unchanged() {
    let file = File::new("reload", "* 127.0.0.1:1\n");
    let mut watch = started(&file);
    watch.reload();
    assert_eq!(next(&mut watch), 1);
}

#[test]
fn a_file_that_is_gone_for_a_while_leaves_the_routes_as_they_are() {
    let file = File::new("gone", "* 127.0.0.1:1\n");
    let mut watch = started(&file);
    std::fs::remove_file(&file.0).unwrap();
    watch.reload();
    file.write("* 127.0.0.1:1\nb.example 127.0.0.1:2\nc.example 127.0.0.1:3\n");
    // The next table is the new file's: the reload may have found none, which made no table.
    assert_eq!(next(&mut watch), 3);
}

#[test]
fn names_are_looked_up_before_anything_is_served() {
    let file = File::new("names", "* localhost:81\n");
    let (table, _) = load_initial(&file.config()).unwrap();
    assert!(!table.routes()[0].targets[0].resolved.is_empty());
}

#[test]
fn wrong_lines_are_named_and_a_missing_file_is_an_error() {
    let file = File::new("wrong", "* 127.0.0.1:1\nb.example\n");
    let (table, errors) = load_initial(&file.config()).unwrap();
    assert_eq!((table.routes().len(), errors[0].line), (1, 2));
    std::fs::remove_file(&file.0).unwrap();
    assert!(load_initial(&file.config()).is_err());
}
