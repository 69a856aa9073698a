//! Help texts, made from the tables that the parser uses.

use super::{Filter, Scenario, TIMEOUT_S, Update};

const COMMON: &str = "\
Server:
  --bin PATH            the server to start (default: `pincushion` beside this program)
  --cores LIST          its cores: `all`, `0`, `0-3,6` (default: all, or the first one where
                        it is compared with a single-threaded yardstick)
  --per-core N          its executors per core (default: 1; `hold`, `stampede`: as many as
                        needed)
  --url HOST:PORT       a server that runs already: its client port, on 127.0.0.0/8
  --control HOST:PORT   its control port
  --pid N               its process, for memory and CPU figures
  --backend-port N      the fake backend's port; route `*` of the running server to it

Report:
  --json FILE           write the figures as JSON too
  --no-yardstick        do not run what the server is compared with

Ends with status 1 when a message was lost or doubled or anything failed, 2 on a wrong
command line. Everything stays on the loopback interface.
";

/// The text of `loadtest --help`.
pub(crate) fn overview() -> String {
    let mut text = "Load generator for a GRIP proxy, with a fake backend and yardsticks.\n\n\
                    Usage: loadtest SCENARIO [OPTIONS]\n\nScenarios:\n"
        .to_owned();
    for scenario in Scenario::ALL {
        text.push_str(&format!("  {:<10}{}\n", scenario.name(), scenario.about()));
    }
    text.push_str("\n`loadtest SCENARIO --help` lists its options.\n");
    text
}

/// The text of `loadtest SCENARIO --help`.
pub(crate) fn for_scenario(scenario: Scenario) -> String {
    let (name, about) = (scenario.name(), scenario.about());
    let mut text = format!("{name}: {about}.\n\nUsage: loadtest {name} [OPTIONS]\n\nOptions:\n");
    for (count, default) in scenario.counts() {
        let spec = count.spec();
        let left = format!("--{} N", spec.name);
        text.push_str(&format!(
            "  {left:<22}{} (default: {default})\n",
            spec.about
        ));
    }
    if scenario.has_channel_mode() {
        let left = "--channels MODE";
        text.push_str(&format!(
            "  {left:<22}`shared`: one for all streams, `own`: one each (default: shared)\n"
        ));
    }
    text.push_str(&words(scenario));
    let left = "--timeout SECONDS";
    text.push_str(&format!(
        "  {left:<22}give up after so long (default: {TIMEOUT_S})\n\n"
    ));
    text.push_str(COMMON);
    text
}

/// The lines of the options that are words.
fn words(scenario: Scenario) -> String {
    let mut text = String::new();
    if scenario.has_filter() {
        let names: Vec<&str> = Filter::ALL.into_iter().map(Filter::name).collect();
        text.push_str(&format!(
            "  {:<22}{}: with this filter on the channel, beside the\n  {:<22}same without it (default: none)\n",
            "--filter NAME",
            names.join("|"),
            ""
        ));
    }
    if scenario.has_update() {
        let names: Vec<&str> = Update::ALL.into_iter().map(Update::name).collect();
        text.push_str(&format!(
            "  {:<22}{}: what makes the server ask again (default: hint)\n",
            "--update NAME",
            names.join("|")
        ));
    }
    for switch in scenario.switches() {
        let (name, about) = switch.spec();
        text.push_str(&format!("  {:<22}{about}\n", format!("--{name}")));
    }
    text
}
