use super::*;

fn table(text: &str) -> RouteTable {
    let (table, errors) = RouteTable::parse(text, Path::new(""));
    assert_eq!(errors, []);
    table
}

/// The line of the route that serves, and of none 0.
fn line(table: &RouteTable, host: &str, path: &str, is_ssl: bool, is_ws: bool) -> usize {
    let query = RouteQuery {
        host,
        path,
        is_ssl,
        is_ws,
    };
    table.find(&query).map_or(0, |route| route.line)
}

#[test]
fn wrong_lines_are_reported_and_the_others_serve() {
    let text = "# routes\n\na 127.0.0.1:1\r\nb\nc,proto=ftp c:1\n  d d:1 # end\n";
    let (table, errors) = RouteTable::parse(text, Path::new(""));
    let lines: Vec<_> = errors
        .iter()
        .map(|error| (error.line, error.is_skipped))
        .collect();
    assert_eq!(lines, [(4, true), (5, true)]);
    assert!(errors[0].to_string().starts_with("line 4: no target"));
    assert_eq!(
        table
            .routes()
            .iter()
            .map(|route| route.line)
            .collect::<Vec<_>>(),
        [3, 6]
    );
}

#[test]
fn inline_lines_are_counted_like_those_of_a_file() {
    let lines = ["* test".to_owned(), "broken".to_owned()];
    let (table, errors) = RouteTable::from_lines(&lines, Path::new(""));
    assert_eq!((table.routes().len(), errors[0].line), (1, 2));
}

#[test]
fn a_known_domain_never_falls_back_to_the_star() {
    let table = table("* test\ndom.example,path_beg=/a test");
    assert_eq!(line(&table, "dom.example", "/a", false, false), 2);
    assert_eq!(line(&table, "dom.example", "/b", false, false), 0);
    assert_eq!(line(&table, "other.example", "/b", false, false), 1);
}

#[test]
fn hosts_are_compared_without_port_brackets_and_capital_letters() {
    let table = table("dom.example test\n::1 test");
    for host in ["dom.example", "DOM.example:1234", "dom.example:"] {
        assert_eq!(line(&table, host, "/", false, false), 1, "{host}");
    }
    for host in ["[::1]", "[::1]:80", "::1"] {
        assert_eq!(line(&table, host, "/", false, false), 2, "{host}");
    }
}

#[test]
fn a_rule_with_capital_letters_never_fits() {
    let (table, errors) = RouteTable::parse("Dom.Example test", Path::new(""));
    assert!(!errors[0].is_skipped);
    assert_eq!(line(&table, "Dom.Example", "/", false, false), 0);
}

#[test]
fn a_named_protocol_outranks_a_longer_path() {
    let table = table("*,path_beg=/p,proto=http test\n*,path_beg=/p/longer test");
    assert_eq!(line(&table, "x", "/p/longer", false, false), 1);
    assert_eq!(line(&table, "x", "/p/longer", false, true), 2);
    assert_eq!(line(&table, "x", "/p", false, true), 0);
}

#[test]
fn the_longest_path_wins_in_any_order() {
    for text in [
        "* test\n*,path_beg=/a test\n*,path_beg=/a/b test",
        "*,path_beg=/a/b test\n*,path_beg=/a test\n* test",
    ] {
        let table = table(text);
        let middle = line(&table, "x", "/a", false, false);
        assert_eq!(middle, 2);
        assert_eq!(
            line(&table, "x", "/", false, false) + line(&table, "x", "/a/bc", false, false),
            4
        );
    }
}

#[test]
fn ssl_decides_only_between_equal_paths() {
    let table =
        table("*,path_beg=/ssl test\n*,path_beg=/ss,ssl=no test\n*,path_beg=/ssl,ssl=yes test");
    assert_eq!(line(&table, "x", "/ssl", false, false), 1);
    assert_eq!(line(&table, "x", "/ssl", true, false), 3);
    assert_eq!(line(&table, "x", "/ss", false, false), 2);
}

#[test]
fn the_second_of_two_equal_conditions_is_dropped() {
    let text = "a,path_beg=/x,id=1 test\na,path_beg=/x,id=2 test\na,path_beg=/x,ssl=no test";
    let (table, errors) = RouteTable::parse(text, Path::new(""));
    assert_eq!(errors.len(), 1);
    assert_eq!(
        errors[0].to_string(),
        "line 2: same condition as line 1; this one never serves"
    );
    assert_eq!(table.routes().len(), 2);
    assert!(table.by_id("2", "/x").is_none());
}

#[test]
fn routes_are_found_by_written_and_generated_ids() {
    let table = table("id=one test\nid=two test\n*,path_beg=/dup test");
    assert_eq!(table.by_id("one", "/any").unwrap().line, 1);
    assert_eq!(table.by_id("two", "/any").unwrap().line, 2);
    assert_eq!(table.by_id("*,*,*,/dup", "/dup/x").unwrap().line, 3);
    assert!(table.by_id("*,*,*,/dup", "/other").is_none());
    assert!(table.by_id("three", "/").is_none());
    assert_eq!(line(&table, "", "/", false, false), 0);
}

#[test]
fn an_id_of_two_routes_finds_none() {
    let table = table("a,id=x test\nb,id=x test");
    assert!(table.by_id("x", "/").is_none());
    assert!(table.is_ambiguous("x") && !table.is_ambiguous("y"));
}

#[test]
fn each_name_is_looked_up_once_and_addresses_never() {
    let mut table = table("a x:80 127.0.0.1:80\nb x:80 y:1 test");
    let mut asked = Vec::new();
    let address = "10.0.0.1:80".parse().unwrap();
    let changed = table.resolve(&mut |host, port| {
        asked.push((host.to_owned(), port));
        vec![address]
    });
    assert!(changed);
    assert_eq!(asked, [("x".to_owned(), 80), ("y".to_owned(), 1)]);
    assert_eq!(table.routes()[1].targets[0].resolved, [address]);
    assert_eq!(
        table.routes()[0].targets[1].resolved,
        ["127.0.0.1:80".parse().unwrap()]
    );
    assert!(!table.resolve(&mut |_, _| vec![address]), "nothing new");
}

#[test]
fn an_empty_answer_keeps_the_old_addresses() {
    let mut table = table("a x:80");
    let address = "10.0.0.1:80".parse().unwrap();
    table.resolve(&mut |_, _| vec![address]);
    assert!(!table.resolve(&mut |_, _| Vec::new()));
    assert_eq!(table.routes()[0].targets[0].resolved, [address]);
}

#[test]
fn a_look_up_leaves_the_table_in_use_alone() {
    let old = table("a x:80");
    let mut new = old.clone();
    new.resolve(&mut |_, _| vec!["10.0.0.1:80".parse().unwrap()]);
    assert!(old.routes()[0].targets[0].resolved.is_empty());
}

#[test]
fn the_addresses_of_a_name_are_limited() {
    let mut table = table("a x:80");
    table.resolve(&mut |_, _| vec!["10.0.0.1:80".parse().unwrap(); ADDRESSES_MAX + 1]);
    assert_eq!(table.routes()[0].targets[0].resolved.len(), ADDRESSES_MAX);
}

/// The rule of the reference, one route after the other: what `find` must agree with.
fn served_by_the_rule<'t>(table: &'t RouteTable, query: &RouteQuery<'_>) -> Option<&'t Arc<Route>> {
    let of = |domain: &'static str| {
        let routes = table.routes().iter();
        routes.filter(move |route| route.condition.domain == domain)
    };
    let domain = if query.host == "a" && of("a").next().is_some() {
        "a"
    } else {
        "*"
    };
    let mut best: Option<&Arc<Route>> = None;
    for route in of(domain) {
        if !route.condition.fits(query.path, query.is_ssl, query.is_ws) {
            continue;
        }
        if best.is_none_or(|best| route.condition.rank() > best.condition.rank()) {
            best = Some(route);
        }
    }
    best
}

#[test]
fn the_search_agrees_with_the_rule_for_any_set_of_routes() {
    let mut lines = Vec::new();
    for domain in ["a", "*"] {
        for proto in ["", ",proto=ws", ",proto=http"] {
            for ssl in ["", ",ssl=yes", ",ssl=no"] {
                for path in ["", ",path_beg=/x", ",path_beg=/x/y"] {
                    lines.push(format!("{domain}{proto}{ssl}{path} test"));
                }
            }
        }
    }
    // A fixed walk through the subsets; each bit of the state decides about one line.
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for round in 0..500 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let start = lines.len() / 2 * (round % 2);
        let mut chosen = lines.clone();
        chosen.rotate_left(start);
        let chosen = chosen
            .iter()
            .enumerate()
            .filter(|(bit, _)| state >> bit & 1 == 1);
        let text: Vec<_> = chosen.map(|(_, line)| line.as_str()).collect();
        let table = table(&text.join("\n"));
        for case in 0..24 {
            let query = RouteQuery {
                host: if case & 1 == 1 { "a" } else { "b" },
                path: ["/", "/x", "/x/y/z"][case >> 3],
                is_ssl: case & 2 == 2,
                is_ws: case & 4 == 4,
            };
            let found = table.find(&query).map(|route| route.line);
            let expected = served_by_the_rule(&table, &query).map(|route| route.line);
            assert_eq!(found, expected, "{query:?} in\n{}", text.join("\n"));
        }
    }
}

#[test]
fn a_line_cut_anywhere_is_read_or_reported() {
    let line =
        "é.b,proto=ws,path_beg=/x,\"header=X-É: \\\"1\\\"\" [::1]:80,sub=ü zhttp/ipc://x # end";
    for (cut, _) in line.char_indices() {
        let (table, errors) = RouteTable::parse(&line[..cut], Path::new(""));
        assert!(table.routes().len() + errors.len() <= 1, "cut at {cut}");
        assert_eq!(
            table.routes().is_empty() && errors.is_empty(),
            cut == 0,
            "cut at {cut}"
        );
    }
}
