//! What tells a backend that a GRIP proxy asks, and what does not pass from strangers.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use crate::kit::{Backend, Settings};
use crate::{OK, settings};

const FEATURES: &str = "status, session, link:next, link:gone, filter:skip-self, \
    filter:skip-users, filter:require-sub, filter:build-id, filter:var-subst, filter:http-check, \
    filter:http-modify";

fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock that is set").as_secs()
}

/// Verifies a signature as a backend does.
fn claims(token: &str, secret: &[u8]) -> Value {
    let validation = Validation::new(Algorithm::HS256);
    let key = DecodingKey::from_secret(secret);
    let token = jsonwebtoken::decode::<Value>(token, &key, &validation);
    token.expect("a good signature").claims
}

#[test]
fn a_request_is_signed_and_names_the_features() {
    let backend = Backend::answering(OK);
    let server = settings(&backend)
        .with("proxy", "sig_iss = \"me\"\nsig_key = \"secret\"")
        .start();
    server.client().get("/");
    let request = backend.request();
    let claims = claims(request.head.get("Grip-Sig").expect("signed"), b"secret");
    let exp = claims["exp"].as_u64().expect("a number");
    assert!(exp.abs_diff(unix_s() + 3600) <= 60, "{claims}");
    assert_eq!(claims, json!({ "iss": "me", "exp": exp }), "nothing else");
    assert_eq!(request.head.get("Grip-Feature"), Some(FEATURES));
}

#[test]
fn a_route_signs_with_its_own_issuer_and_key() {
    let backend = Backend::answering(OK);
    // The bytes "key".
    let line = format!("*,sig_iss=other,sig_key=base64:a2V5 {}", backend.target());
    let server = Settings::one_shard().route(line).start();
    server.client().get("/");
    let request = backend.request();
    let claims = claims(request.head.get("Grip-Sig").expect("signed"), b"key");
    assert_eq!(claims["iss"], "other");
}

#[test]
fn grip_fields_of_strangers_are_removed() {
    let backend = Backend::answering(OK);
    let server = settings(&backend).start();
    server.client().ask(
        "GET / HTTP/1.1\r\nHost: a\r\nGrip-Sig: forged\r\nGrip-Feature: all\r\nGrip-Foo: 1\r\n\
         grip-last: x\r\n\r\n",
    );
    let request = backend.request();
    assert_eq!(request.head.all("Grip-Sig").count(), 1);
    assert_ne!(request.head.get("Grip-Sig"), Some("forged"));
    assert_eq!(request.head.all("Grip-Feature").count(), 1);
    assert_eq!(request.head.get("Grip-Foo"), None);
    assert_eq!(request.head.get("Grip-Last"), None);
}

#[test]
fn a_route_without_grip_neither_signs_nor_interprets() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: a\r\nContent-Length: 2\r\n\r\nok",
    );
    let line = format!("*,no_grip {}", backend.target());
    let server = Settings::one_shard().route(line).start();
    let response = server.client().get("/");
    assert_eq!(response.head.get("Grip-Hold"), Some("stream"));
    assert_eq!(response.text(), "ok");
    let request = backend.request();
    assert_eq!(request.head.get("Grip-Sig"), None);
    assert_eq!(request.head.get("Grip-Feature"), None);
}

#[test]
fn a_trusted_client_is_passed_through_and_an_expired_one_is_not() {
    let backend =
        Backend::answering("HTTP/1.1 200 OK\r\nGrip-Foo: 2\r\nContent-Length: 2\r\n\r\nok");
    let server = settings(&backend)
        .with(
            "proxy",
            "upstream_key = \"up\"\nx_forwarded_for_trusted = \"append\"",
        )
        .start();
    let ask = |exp: u64| {
        let key = EncodingKey::from_secret(b"up");
        let claims = json!({ "iss": "x", "exp": exp });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key);
        let token = token.expect("a signature");
        let response = server.client().ask(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nGrip-Sig: {token}\r\nGrip-Foo: 1\r\n\r\n"
        ));
        (token, response, backend.request())
    };
    let (token, response, request) = ask(unix_s() + 600);
    assert_eq!(request.head.get("Grip-Sig"), Some(token.as_str()));
    assert_eq!(request.head.get("Grip-Foo"), Some("1"));
    assert_eq!(request.head.get("Grip-Feature"), None);
    assert_eq!(request.head.get("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(response.head.get("Grip-Foo"), Some("2"));

    let (token, response, request) = ask(unix_s() - 600);
    assert_ne!(request.head.get("Grip-Sig"), Some(token.as_str()));
    assert_eq!(request.head.get("Grip-Foo"), None);
    assert_eq!(request.head.get("X-Forwarded-For"), None);
    assert_eq!(response.head.get("Grip-Foo"), None);
}
