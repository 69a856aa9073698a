use std::path::PathBuf;

use super::*;
use crate::routes::{TargetKind, ZhttpMode};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/key/testdata")
}

fn route(line: &str) -> Route {
    Builder::new(&data())
        .route(line, 1)
        .expect(line)
        .expect(line)
}

fn error(line: &str) -> String {
    Builder::new(&data())
        .route(line, 1)
        .expect_err(line)
        .to_string()
}

#[test]
fn a_plain_rule_has_the_defaults() {
    let route = route("* backend:8000");
    assert_eq!(route.id, "*,*,*,*");
    assert!(!route.has_own_id);
    assert_eq!(
        route.condition,
        Condition {
            domain: "*".into(),
            ..Condition::default()
        }
    );
    assert_eq!(route.sig, None);
    assert_eq!(route.path_change, PathChange::Keep);
    assert_eq!(route.jsonp.callback, "callback");
    assert_eq!(route.jsonp.default_method, "GET");
    assert_eq!(route.targets[0].text, "backend:8000");
    assert!(route.targets[0].resolved.is_empty());
}

#[test]
fn a_condition_is_read_whole() {
    let route = route("a.b,proto=ws,ssl=no,path_beg=/p,id=mine test");
    let condition = Condition {
        domain: "a.b".into(),
        proto: Some(Proto::WebSocket),
        is_ssl: Some(false),
        path_beg: Some("/p".into()),
    };
    assert_eq!(route.condition, condition);
    assert_eq!(route.id, "mine");
    assert!(route.has_own_id);
}

#[test]
fn generated_ids_have_ssl_the_wrong_way_round() {
    assert_eq!(route("a,ssl=yes,proto=http test").id, "a,http,no-ssl,*");
    assert_eq!(
        route("a,ssl=no,proto=ws,path_beg=/x test").id,
        "a,ws,ssl,/x"
    );
}

#[test]
fn flags_are_on_whatever_value_is_written() {
    let route = route("a,orig_headers,no_grip=no,session,debug=,aco test");
    assert!(route.orig_headers && route.no_grip && route.session);
    assert!(route.debug && route.auto_cross_origin);
}

#[test]
fn fields_are_set_in_reverse_order_without_leading_spaces() {
    let route = route("a,\"header=X-A:  1\",\"header=X-B: 2, 3\",header=Accept: test");
    let found: Vec<_> = route
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(found, [("Accept", ""), ("X-B", "2, 3"), ("X-A", "1")]);
}

#[test]
fn paths_are_cut_and_replaced_but_queries_are_kept() {
    let cases = [
        ("a test", "/x?y=/z", "/x?y=/z"),
        ("a,path_rem=4 test", "/rem/abc?d=1", "/abc?d=1"),
        ("a,path_rem=0 test", "/x", "/x"),
        ("a,path_rem=99 test", "/rem?q", "/?q"),
        ("a,path_rem=1 test", "/x/y", "/x/y"),
        (
            "a,path_beg=/strip,replace_beg=/new test",
            "/strip/a?b=1",
            "/new/a?b=1",
        ),
        (
            "a,path_beg=/strip,replace_beg=/new,path_rem=3 test",
            "/strip/a",
            "/new/a",
        ),
        ("a,path_beg=/strip,replace_beg= test", "/strip/a", "/a"),
        ("a,path_beg=/strip,replace_beg=x test", "/strip/a", "/x/a"),
        ("a,replace_beg=/new test", "/a", "/new/a"),
    ];
    for (line, path, expected) in cases {
        assert_eq!(route(line).rewrite_path(path), expected, "{line}: {path}");
    }
}

#[test]
fn hosts_may_have_a_port_and_brackets() {
    for (text, host, port) in [
        ("new.example:99", "new.example", Some(99)),
        ("x", "x", None),
        ("[::1]:8", "::1", Some(8)),
    ] {
        let found = route(&format!("a,as_host={text} t:1,host={text}"));
        let expected = HostPort {
            host: host.into(),
            port,
        };
        assert_eq!(expected.to_string(), text);
        assert_eq!(found.as_host.as_ref(), Some(&expected), "{text}");
        assert_eq!(found.targets[0].host.as_ref(), Some(&expected), "{text}");
    }
}

#[test]
fn a_signature_may_be_replaced_in_part() {
    let sig = |line: &str| route(line).sig;
    assert_eq!(
        sig("a,sig_iss=x test"),
        Some(SigOverride {
            iss: Some("x".into()),
            key: None
        })
    );
    assert!(matches!(
        sig("a,sig_key=file:ec-private.pem test").unwrap().key,
        Some(Key::EcPem(_))
    ));
}

#[test]
fn a_missing_key_file_falls_back_to_the_key_of_the_settings() {
    let dir = data();
    let mut builder = Builder::new(&dir);
    let route = builder
        .route("a,sig_key=file:none.pem test", 1)
        .unwrap()
        .unwrap();
    assert_eq!(route.sig, None);
    assert!(builder.take_warnings()[0].contains("the key of the settings is used"));
}

#[test]
fn jsonp_and_sockjs_options_are_read() {
    let route = route(
        "a,jsonp_mode=basic,jsonp_cb=cb,jsonp_body=b,jsonp_defcb=d,sockjs=/s,sockjs_as_path=/p test",
    );
    let expected = Jsonp {
        mode: JsonpMode::Basic,
        callback: "cb".into(),
        body: Some("b".into()),
        default_callback: Some("d".into()),
        default_method: "POST".into(),
    };
    assert_eq!(route.jsonp, expected);
    assert_eq!(
        route.sockjs,
        Some(SockJs {
            path: "/s".into(),
            as_path: Some("/p".into())
        })
    );
}

#[test]
fn log_levels_have_pushpins_numbers() {
    assert_eq!(
        route("a,log_level=2 test").log_level,
        Some(LevelFilter::Info)
    );
    assert_eq!(route("a test").log_level, None);
}

#[test]
fn all_kinds_of_targets_are_known() {
    let line = "a test 127.0.0.1:80 [::1]:81 x.y:82 zhttp/tcp://*:9000 zhttpreq/ipc://sock";
    let kinds: Vec<_> = route(line)
        .targets
        .into_iter()
        .map(|target| target.kind)
        .collect();
    let http = |host: &str, port| TargetKind::Http {
        host: host.into(),
        port,
    };
    let zhttp = |mode, spec: &str| TargetKind::Zhttp {
        mode,
        spec: spec.into(),
    };
    let expected = [
        TargetKind::Test,
        http("127.0.0.1", 80),
        http("::1", 81),
        http("x.y", 82),
        zhttp(ZhttpMode::Stream, "tcp://*:9000"),
        zhttp(ZhttpMode::Request, "ipc://sock"),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn written_addresses_need_no_look_up() {
    let targets = route("a 127.0.0.1:80 [::1]:81").targets;
    assert_eq!(targets[0].resolved, ["127.0.0.1:80".parse().unwrap()]);
    assert_eq!(targets[1].resolved, ["[::1]:81".parse().unwrap()]);
}

#[test]
fn target_options_are_read() {
    let line = "a b:1,ssl,insecure,trust_connect_host,untrusted,sub=x,sub=y,over_http,one_event,\
                ipc_file_mode=660,client_cert=ec-public.pem,client_key=ec-private.pem";
    let target = route(line).targets.remove(0);
    assert!(target.is_tls && target.insecure && target.trust_connect_host && target.untrusted);
    assert!(target.over_http && target.one_event);
    assert_eq!(target.subs, ["x", "y"]);
    assert_eq!(target.ipc_file_mode, Some(0o660));
    let cert = target.client_cert.unwrap();
    assert!(cert.cert_pem.starts_with(b"-----BEGIN PUBLIC KEY"));
    assert!(!format!("{cert:?}").contains("BEGIN"));
}

#[test]
fn unknown_options_are_ignored() {
    assert_eq!(route("a,tls=maybe,future b:1,new=2").targets.len(), 1);
}

/// Each line is refused with a text that contains the other one.
fn assert_errors(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        let text = error(line);
        assert!(text.contains(expected), "{line:?}: {text}");
    }
}

#[test]
fn every_wrong_condition_says_what_is_wrong() {
    assert_errors(&[
        ("a", "no target"),
        ("path_beg=/x b:1", "neither a domain nor an id"),
        ("a,proto=ftp b:1", "proto=ftp: expected http or ws"),
        ("a,proto b:1", "proto=: expected http or ws"),
        ("a,ssl=maybe b:1", "ssl=maybe: expected yes or no"),
        ("a,path_beg= b:1", "path_beg=: expected a path prefix"),
        ("a,path_rem=x b:1", "path_rem=x: expected a number"),
        ("a,path_rem=-1 b:1", "path_rem=-1: expected a number"),
        ("a,path_rem b:1", "path_rem=: expected a number"),
        ("a,header=X b:1", "header=X: expected NAME:VALUE"),
        ("a,header=:x b:1", "header=:x: expected NAME:VALUE"),
        (
            "a,\"header=X A:x\" b:1",
            "header=X A:x: expected NAME:VALUE",
        ),
        (
            "a,jsonp_mode=x b:1",
            "jsonp_mode=x: expected basic or extended",
        ),
        (
            "a,jsonp_defmethod=\"A B\" b:1",
            "jsonp_defmethod=A B: expected a method",
        ),
        (
            "a,log_level=9 b:1",
            "log_level=9: expected a number from 0 to 4",
        ),
        ("a,as_host=x:y b:1", "as_host=x:y: expected HOST"),
        ("a,sig_key=base64:% b:1", "sig_key: the text behind"),
        (
            "a,sig_key=file:ec-sec1.pem b:1",
            "sig_key: an \"EC PRIVATE KEY\"",
        ),
    ]);
}

#[test]
fn every_wrong_target_says_what_is_wrong() {
    assert_errors(&[
        ("a b", "target \"b\": expected HOST:PORT"),
        ("a b:", "target \"b:\": expected HOST:PORT"),
        ("a b:0", "target \"b:0\": expected HOST:PORT"),
        ("a b:65536", "target \"b:65536\": expected HOST:PORT"),
        ("a b:+1", "target \"b:+1\": expected HOST:PORT"),
        ("a b:notaport", "target \"b:notaport\": expected HOST:PORT"),
        ("a :80", "target \":80\": expected HOST:PORT"),
        ("a ::1:80", "target \"::1:80\": expected HOST:PORT"),
        ("a [x]:80", "target \"[x]:80\": expected HOST:PORT"),
        ("a http://b:80", "expected HOST:PORT"),
        ("a b:1,host=x:0", "host=x:0: expected HOST"),
        ("a b:1,sub=", "sub=: expected a channel"),
        ("a b:1 sub=x", "target \"\": expected HOST:PORT"),
        ("a b:1,client_cert=ec-public.pem", "must be given together"),
        ("a b:1,client_cert=none,client_key=none", "client_cert: "),
        (
            "a b:1,client_cert=secret.hex,client_key=none",
            "is no PEM file",
        ),
        (
            "a zhttp/127.0.0.1:80",
            "expected tcp://HOST:PORT or ipc://PATH",
        ),
        (
            "a zhttp/udp://h:80",
            "expected tcp://HOST:PORT or ipc://PATH",
        ),
        ("a zhttp/ipc://", "expected tcp://HOST:PORT or ipc://PATH"),
        ("a zhttp/tcp://h:x", "expected tcp://HOST:PORT, with room"),
        ("a zhttp/tcp://:80", "expected tcp://HOST:PORT, with room"),
        (
            "a zhttp/tcp://h:65534",
            "expected tcp://HOST:PORT, with room",
        ),
        (
            "a zhttpreq/tcp://h:65536",
            "expected tcp://HOST:PORT, with room",
        ),
        (
            "a zhttp/ipc://x,ipc_file_mode=888",
            "ipc_file_mode=888: expected octal",
        ),
    ]);
}

#[test]
fn a_zeromq_target_may_use_the_last_ports() {
    route("a zhttp/tcp://h:65533");
    route("a zhttpreq/tcp://h:65535");
}

#[test]
fn the_number_of_zeromq_targets_is_limited() {
    let mut builder = Builder::new(Path::new(""));
    for number in 0..100 {
        builder
            .route(&format!("a zhttp/ipc://{number}"), 1)
            .unwrap();
    }
    builder.route("a zhttp/ipc://7", 1).unwrap();
    let error = builder
        .route("a zhttp/ipc://more", 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("more than 100 different"), "{error}");
}

#[test]
fn domains_nobody_can_ask_for_are_warned_about() {
    let mut builder = Builder::new(Path::new(""));
    for (line, count) in [
        ("Dom.Example test", 1),
        ("*.example test", 1),
        ("* test", 0),
    ] {
        builder.route(line, 1).unwrap();
        assert_eq!(builder.take_warnings().len(), count, "{line}");
    }
}
