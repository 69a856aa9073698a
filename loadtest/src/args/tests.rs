//! Tests of the command line.

use std::net::Ipv4Addr;

use super::*;

fn parse_line(line: &str) -> Result<Command, ArgError> {
    parse(line.split_whitespace().map(OsString::from))
}

fn args_of(line: &str) -> Args {
    match parse_line(line) {
        Ok(Command::Run(args)) => *args,
        other => panic!("{line}: {other:?}"),
    }
}

fn error_of(line: &str) -> String {
    match parse_line(line) {
        Err(error) => error.to_string(),
        Ok(other) => panic!("{line}: {other:?}"),
    }
}

#[test]
fn defaults_are_those_of_the_scenario() {
    assert_eq!(args_of("idle").count(Count::Connections), 15_000);
    assert_eq!(args_of("churn").count(Count::Connections), 5_000);
    assert_eq!(args_of("idle").count(Count::Size), 0);
}

#[test]
fn options_are_read_in_both_spellings() {
    let args = args_of("idle --connections=10_000 --cycles 2 --channels own --json out.json");
    assert_eq!(args.count(Count::Connections), 10_000);
    assert_eq!(args.count(Count::Cycles), 2);
    assert_eq!(args.channel_mode, Channels::Own);
    assert_eq!(args.json, Some(PathBuf::from("out.json")));
}

#[test]
fn channels_is_a_number_where_the_scenario_counts_them() {
    assert_eq!(args_of("channels --channels 7").count(Count::Channels), 7);
    assert!(error_of("idle --channels 7").contains("`shared` or `own`"));
    assert!(error_of("fanout --channels 7").contains("no option --channels"));
}

#[test]
fn every_number_is_taken_at_its_limits_and_refused_beyond() {
    for scenario in Scenario::ALL {
        for (count, _) in scenario.counts() {
            let (spec, name) = (count.spec(), scenario.name());
            if *count == Count::Size {
                continue;
            }
            for value in [spec.min, spec.max] {
                let args = args_of(&format!("{name} --{} {value}", spec.name));
                assert_eq!(args.count(*count), value, "{name} --{}", spec.name);
            }
            for value in [i128::from(spec.min) - 1, i128::from(spec.max) + 1] {
                let text = error_of(&format!("{name} --{}={value}", spec.name));
                assert!(text.contains(&spec.max.to_string()), "{text}");
            }
        }
    }
}

#[test]
fn a_message_has_a_shortest_and_a_longest_size() {
    for size in ["26", "65537"] {
        assert!(error_of(&format!("fanout --size {size}")).contains("from 27 to 65536"));
    }
    assert_eq!(args_of("fanout --size 27").count(Count::Size), 27);
    assert_eq!(args_of("proxy --size 0").count(Count::Size), 0);
}

#[test]
fn a_message_with_a_name_in_it_has_room_for_the_name() {
    assert!(error_of("fanout --filter var-subst --size 35").contains("from 36 to 65536"));
    assert_eq!(
        args_of("fanout --filter=var-subst --size 36").count(Count::Size),
        36
    );
}

#[test]
fn words_are_read_where_the_scenario_has_them() {
    assert_eq!(args_of("fanout").filter, Filter::None);
    for filter in Filter::ALL {
        let args = args_of(&format!("fanout --filter {}", filter.name()));
        assert_eq!(args.filter, filter);
    }
    for update in Update::ALL {
        let args = args_of(&format!("stampede --distinct --update {}", update.name()));
        assert_eq!(args.update, update);
        assert!(args.has(Switch::Distinct) && !args.has(Switch::Answer));
    }
    assert!(args_of("longpoll --prev-id").has(Switch::PrevId));
    assert!(error_of("fanout --filter no-such").contains("`skip-self` or `var-subst` or `none`"));
    assert!(error_of("idle --filter none").contains("no option --filter"));
    assert!(error_of("fanout --update hint").contains("no option --update"));
    assert!(error_of("stampede --prev-id x").contains("--prev-id"));
}

#[test]
fn only_this_machine_is_a_target() {
    for target in [
        "10.0.0.1:80",
        "example.com:80",
        "0.0.0.0:80",
        "http://192.168.1.1:7999/",
    ] {
        let text = error_of(&format!("idle --url {target}"));
        assert!(text.contains("127.0.0.0/8"), "{text}");
    }
    let line = "idle --url http://localhost:7999/ --control 127.0.0.1:5561 --backend-port 8000";
    let running = args_of(line).running.unwrap();
    assert_eq!(running.client, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7999));
    assert_eq!(running.pid, None);
}

#[test]
fn a_running_server_is_named_whole_or_not_at_all() {
    for line in [
        "idle --pid 1",
        "idle --url 127.0.0.1:1",
        "idle --control 127.0.0.1:1 --backend-port 5",
        "idle --url 127.0.0.1:1 --control 127.0.0.1:2",
    ] {
        assert!(
            matches!(parse_line(line), Err(ArgError::Combination(_))),
            "{line}"
        );
    }
}

#[test]
fn what_is_not_understood_is_named() {
    assert!(error_of("").contains("which scenario"));
    assert!(error_of("ilde").contains("`ilde`"));
    assert!(error_of("idle --burst 3").contains("`idle` has no option --burst"));
    assert!(error_of("idle -x").contains("-x"));
    assert!(error_of("idle extra").contains("extra"));
    assert!(error_of("idle --cores none").contains("--cores"));
    assert!(error_of("idle --connections").contains("connections"));
}

#[test]
fn help_names_every_scenario_and_every_option() {
    let Ok(Command::Help(text)) = parse_line("--help") else {
        panic!("no help")
    };
    for scenario in Scenario::ALL {
        assert!(text.contains(scenario.name()));
        let Ok(Command::Help(text)) = parse_line(&format!("{} --help", scenario.name())) else {
            panic!("no help for {}", scenario.name());
        };
        for (count, _) in scenario.counts() {
            assert!(
                text.contains(&format!("--{} N", count.spec().name)),
                "{text}"
            );
        }
        for switch in scenario.switches() {
            assert!(text.contains(&format!("--{} ", switch.spec().0)), "{text}");
        }
        assert_eq!(text.contains("--filter NAME"), scenario.has_filter());
        assert_eq!(text.contains("--update NAME"), scenario.has_update());
    }
}
