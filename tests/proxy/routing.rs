//! Which route a request takes, and how routes change under way.

use crate::OK;
use crate::kit::{Backend, Folder, Gate, Server, Settings, wait_until};

/// A backend that answers with its name.
fn named(name: &str) -> Backend {
    Backend::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
        name.len()
    ))
}

fn asked(server: &Server, host: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    server.client().ask(request).text()
}

#[test]
fn a_longer_path_goes_before_a_shorter_one_that_names_ssl() {
    let (long, short) = (named("long"), named("short"));
    let server = Settings::one_shard()
        .route(format!("*,path_beg=/ssl {}", long.target()))
        .route(format!("*,path_beg=/ss,ssl=no {}", short.target()))
        .start();
    assert_eq!(asked(&server, "a", "/ssl"), "long");
    assert_eq!(asked(&server, "a", "/ss"), "short");
}

#[test]
fn a_known_host_does_not_fall_back_to_the_asterisk() {
    let (dom, any) = (named("dom"), named("any"));
    let server = Settings::one_shard()
        .route(format!("dom.example,path_beg=/p {}", dom.target()))
        .route(format!("* {}", any.target()))
        .start();
    assert_eq!(asked(&server, "DOM.example:1234", "/p"), "dom");
    assert_eq!(asked(&server, "dom.example", "/q"), "Route not found\n");
    assert_eq!(asked(&server, "other.example", "/q"), "any");
}

#[test]
fn a_route_can_be_chosen_by_its_id() {
    let (by_id, any) = (named("by id"), named("any"));
    let server = Settings::one_shard()
        .with("proxy", "accept_pushpin_route = true")
        .route(format!("x.example,id=mine {}", by_id.target()))
        .route(format!("* {}", any.target()))
        .start();
    let ask = |id: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nPushpin-Route: {id}\r\n\r\n");
        server.client().ask(request).text()
    };
    assert_eq!(ask("mine"), "by id");
    assert_eq!(by_id.request().head.get("Pushpin-Route"), None);
    assert_eq!(ask("unknown"), "Route not found\n");
}

#[test]
fn routes_change_while_requests_run() {
    let gate = Gate::new();
    let door = gate.door();
    let old = Backend::start(move |visit| {
        while let Some(request) = visit.request() {
            if request.target() == "/slow" {
                door.pass();
            }
            visit.answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold");
        }
    });
    let new = named("new");
    let folder = Folder::new();
    let file = folder.write("routes", &format!("* {}\n", old.target()));
    let server = Settings::one_shard()
        .with("", &format!("routes_file = \"{}\"", file.display()))
        .start();
    let mut slow = server.client();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    old.request();
    folder.write("routes", &format!("nonsense\n* {}\n", new.target()));
    server.running.signal("HUP");
    let mut client = server.client();
    wait_until("the new backend is asked", || {
        client.get("/").text() == "new"
    });
    gate.open();
    assert_eq!(
        slow.response().text(),
        "old",
        "what was under way keeps its route"
    );
    assert_eq!(
        slow.get("/").text(),
        "new",
        "the next request takes the new one"
    );
}

#[test]
fn a_changed_routes_file_is_noticed_without_a_signal() {
    let (old, new) = (named("old"), named("new"));
    let folder = Folder::new();
    let file = folder.write("routes", &format!("* {}\n", old.target()));
    let server = Settings::one_shard()
        .with("", &format!("routes_file = \"{}\"", file.display()))
        .start();
    assert_eq!(asked(&server, "a", "/"), "old");
    folder.write("routes", &format!("# a comment\n* {}\n", new.target()));
    wait_until("the new backend is asked", || {
        asked(&server, "a", "/") == "new"
    });
}

#[test]
fn a_removed_routes_file_leaves_the_table_as_it_was() {
    let backend = Backend::answering(OK);
    let folder = Folder::new();
    let file = folder.write("routes", &format!("* {}\n", backend.target()));
    let mut server = Settings::one_shard()
        .with("", &format!("routes_file = \"{}\"", file.display()))
        .start();
    std::fs::remove_file(&file).expect("it is there");
    server.running.signal("HUP");
    server.running.wait_for("cannot be read");
    assert_eq!(asked(&server, "a", "/"), "ok");
}
