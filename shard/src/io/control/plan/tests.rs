//! Paths, methods and languages by table (control.md sections 2.4 and 2.5 and its checklist).

use proto::Parsed;
use proto::http1::{HeadLimits, empty_slots, parse_request};

use super::*;

const BODY_LEN_MAX: usize = 1_000;

fn plan(head: &str) -> Result<Plan, Refusal> {
    let limits = HeadLimits {
        head_len_max: 10_000,
        fields_max: 100,
    };
    let mut slots = empty_slots();
    let parsed = parse_request(head.as_bytes(), &mut slots, &limits)?;
    let Parsed::Complete(head, _) = parsed else {
        panic!("{head:?} is not complete");
    };
    Plan::new(&head, Service::Control, BODY_LEN_MAX)
}

fn task(method: &str, target: &str, fields: &str) -> Task {
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{fields}\r\n");
    plan(&head).unwrap().task
}

#[test]
fn known_paths_lead_to_their_tasks() {
    for (method, target, expected) in [
        ("GET", "/", Task::Greet),
        ("PATCH", "/", Task::Greet),
        ("POST", "/publish", Task::Publish(Language::Text)),
        ("POST", "/publish/", Task::Publish(Language::Text)),
        ("POST", "/recover", Task::Recover(Language::Text)),
        ("POST", "/recover/", Task::Recover(Language::Text)),
        ("GET", "/metrics", Task::Metrics),
        ("HEAD", "/healthz", Task::Health),
        ("GET", "/readyz/", Task::Readiness),
    ] {
        assert_eq!(task(method, target, ""), expected, "{method} {target}");
    }
}

#[test]
fn a_query_or_a_second_slash_makes_a_path_unknown() {
    for target in [
        "/publish//",
        "/publish?x=1",
        "/nothing",
        "/Publish",
        "/publish/x",
    ] {
        assert_eq!(
            task("POST", target, ""),
            Task::Refuse(Refusal::NotFound),
            "{target}"
        );
    }
}

#[test]
fn other_methods_are_named_in_the_refusal() {
    for (method, target, allow) in [
        ("GET", "/publish", "POST"),
        ("post", "/publish", "POST"),
        ("OPTIONS", "/publish/", "POST"),
        ("GET", "/recover", "POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
    ] {
        let refusal = Refusal::MethodNotAllowed {
            method: method.into(),
            allow,
        };
        assert_eq!(
            task(method, target, ""),
            Task::Refuse(refusal),
            "{method} {target}"
        );
    }
}

#[test]
fn the_last_member_of_accept_that_matches_wins() {
    use Language::{Json, Text};
    for (accept, expected) in [
        ("", Some(Text)),
        ("Accept: application/json\r\n", Some(Json)),
        ("Accept: application/*\r\n", Some(Json)),
        ("Accept: application/json, text/plain;q=0.1\r\n", Some(Text)),
        (
            "Accept: text/html, application/json;q=0.9, image/*\r\n",
            Some(Json),
        ),
        ("Accept: */*\r\n", Some(Text)),
        ("Accept: *\r\n", Some(Text)),
        (
            "Accept: text/plain\r\nAccept: application/json\r\n",
            Some(Json),
        ),
        ("Accept: text/html\r\n", None),
        ("Accept:\r\n", None),
        ("Accept: Application/JSON\r\n", None),
    ] {
        let expected = expected.map_or(Task::Refuse(Refusal::NotAcceptable), Task::Publish);
        assert_eq!(task("POST", "/publish/", accept), expected, "{accept:?}");
    }
}

#[test]
fn an_unacceptable_language_is_refused_on_unknown_paths_too() {
    let refused = Task::Refuse(Refusal::NotAcceptable);
    assert_eq!(task("GET", "/nothing", "Accept: text/html\r\n"), refused);
    assert_eq!(task("GET", "/publish", "Accept: text/html\r\n"), refused);
}

#[test]
fn machines_that_ask_for_health_need_no_language() {
    assert_eq!(
        task("GET", "/healthz", "Accept: image/png\r\n"),
        Task::Health
    );
}

#[test]
fn only_methods_without_content_may_lack_a_length() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        assert!(
            plan(&format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n")).is_ok(),
            "{method}"
        );
    }
    for method in ["POST", "PUT", "get"] {
        let refused = plan(&format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(refused, Err(Refusal::LengthRequired), "{method}");
    }
}

#[test]
fn a_length_over_the_limit_is_refused_from_the_head() {
    for (len, is_fine) in [
        (BODY_LEN_MAX - 1, true),
        (BODY_LEN_MAX, true),
        (BODY_LEN_MAX + 1, false),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n");
        assert_eq!(plan(&head).is_ok(), is_fine, "{len}");
    }
}

#[test]
fn the_metrics_port_shows_metrics_on_any_path() {
    let limits = HeadLimits {
        head_len_max: 1_000,
        fields_max: 100,
    };
    let head = b"PURGE /any?x HTTP/1.0\r\nContent-Length: 0\r\n\r\n";
    let mut slots = empty_slots();
    let Ok(Parsed::Complete(head, _)) = parse_request(head, &mut slots, &limits) else {
        panic!("the head is complete");
    };
    assert_eq!(
        Plan::new(&head, Service::Metrics, 0).unwrap().task,
        Task::Metrics
    );
}
