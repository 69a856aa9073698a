//! The codecs: bytes in, values out.

use std::hint::black_box;
use std::path::Path;

use config::{RouteQuery, RouteTable};
use proto::Parsed;
use proto::grip;
use proto::http::Version;
use proto::http1::{
    BodyReader, BodyStep, Framing, HeadLimits, Slots, encode, parse_request, parse_response,
};

use crate::error::BenchError;
use crate::harness::Harness;

const LIMITS: HeadLimits = HeadLimits {
    head_len_max: 8192,
    fields_max: 100,
};

/// What a program sends: 4 fields.
const SMALL_REQUEST: &[u8] = b"GET /stream?channel=7 HTTP/1.1\r\nHost: api.example.com\r\n\
    User-Agent: curl/8.5.0\r\nAccept: */*\r\nX-Id: 4711\r\n\r\n";

/// What a browser sends: 14 fields.
const BROWSER_REQUEST: &[u8] = b"GET /events/room/42?last=9001 HTTP/1.1\r\n\
    Host: www.example.com\r\nConnection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"129\"\r\n\
    sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nAccept: text/event-stream\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36\r\nSec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: cors\r\nReferer: https://www.example.com/rooms/42\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9,en;q=0.8\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; seen=1\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: backend/1.0\r\n\
    Date: Tue, 24 Nov 2026 14:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n";

const INSTRUCT_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\
    Grip-Hold: stream\r\nGrip-Channel: room-42; prev-id=9000\r\nGrip-Keep-Alive: \\n; \
    format=cstring; timeout=30\r\nContent-Length: 0\r\n\r\n";

const JSON_INSTRUCT: &[u8] = br#"{"hold":{"mode":"stream","channels":[{"name":"room-42",
    "prev-id":"9000"}],"keep-alive":{"content":"\n","timeout":30}},
    "response":{"code":200,"headers":{"Content-Type":"text/plain"},"body":"welcome\n"}}"#;

/// Chunks in the measured body.
const CHUNKS: usize = 160;

/// Domains in the large route table.
const DOMAINS: usize = 1000;

/// Measures the group.
///
/// # Errors
/// None of its own.
pub(crate) fn run(harness: &mut Harness) -> Result<(), BenchError> {
    heads(harness);
    bodies(harness);
    encoders(harness);
    publishing(harness);
    instructs(harness);
    routes(harness);
    Ok(())
}

fn heads(harness: &mut Harness) {
    for (name, head) in [
        ("request head, 4 fields", SMALL_REQUEST),
        ("request head, 14 fields", BROWSER_REQUEST),
    ] {
        harness.each(name, || {
            let mut slots = Slots::new();
            let parsed = parse_request(black_box(head), &mut slots, &LIMITS);
            debug_assert!(matches!(parsed, Ok(Parsed::Complete(..))), "{parsed:?}");
            black_box(&parsed);
        });
    }
    harness.each("response head, 4 fields", || {
        let mut slots = Slots::new();
        let parsed = parse_response(black_box(RESPONSE), &mut slots, &LIMITS, false);
        debug_assert!(matches!(parsed, Ok(Parsed::Complete(..))), "{parsed:?}");
        black_box(&parsed);
    });
}

fn bodies(harness: &mut Harness) {
    let mut small = Vec::new();
    for _ in 0..CHUNKS {
        encode::chunk(&mut small, &[b'x'; 100]);
    }
    small.extend_from_slice(encode::LAST_CHUNK);
    let mut large = Vec::new();
    encode::chunk(&mut large, &[b'x'; 16 * 1024]);
    large.extend_from_slice(encode::LAST_CHUNK);
    harness.each("chunked body, 160 chunks of 100 B", || read_body(&small));
    harness.each("chunked body, 1 chunk of 16 KiB", || read_body(&large));
}

fn read_body(mut input: &[u8]) {
    let mut reader = BodyReader::new(Framing::Chunked);
    while !reader.is_done() {
        let Ok(step) = reader.step(black_box(input)) else {
            return;
        };
        let used = match step {
            BodyStep::Data { end, .. } => end,
            BodyStep::NeedMore { used } | BodyStep::End { used } => used,
        };
        input = input.get(used..).unwrap_or_default();
    }
}

fn encoders(harness: &mut Harness) {
    let mut out = Vec::with_capacity(1024);
    harness.each("encode a response head, 4 fields", || {
        out.clear();
        encode::status_line(&mut out, Version::Http11, 200, b"OK");
        encode::field(&mut out, "Server", black_box(b"backend/1.0"));
        encode::field(&mut out, "Date", b"Tue, 24 Nov 2026 14:00:00 GMT");
        encode::field(&mut out, "Content-Type", b"text/plain");
        encode::content_length(&mut out, 5);
        encode::end_of_head(&mut out);
        black_box(&out);
    });
    harness.each("encode a chunk of 100 B", || {
        out.clear();
        encode::chunk(&mut out, black_box(&[b'x'; 100]));
        black_box(&out);
    });
}

fn publishing(harness: &mut Harness) {
    for (name, count) in [("publish body, 1 item", 1), ("publish body, 16 items", 16)] {
        let item = format!(
            r#"{{"channel":"room-42","id":"9001","prev-id":"9000","formats":
            {{"http-stream":{{"content":"{}\n"}}}}}}"#,
            "x".repeat(99)
        );
        let body = format!("{{\"items\":[{}]}}", vec![item; count].join(","));
        harness.each(name, || {
            let items = grip::parse_publish_body(black_box(body.as_bytes()));
            debug_assert!(items.is_ok(), "{items:?}");
            black_box(&items);
        });
    }
}

fn instructs(harness: &mut Harness) {
    const URL: &str = "http://api.example.com/stream";
    let mut slots = Slots::new();
    if let Ok(Parsed::Complete(head, _)) = parse_response(RESPONSE, &mut slots, &LIMITS, false) {
        harness.each("is a response an instruct? (no)", || {
            black_box(grip::is_instruct(black_box(head.fields)));
        });
    }
    let mut slots = Slots::new();
    let parsed = parse_response(INSTRUCT_RESPONSE, &mut slots, &LIMITS, false);
    if let Ok(Parsed::Complete(head, _)) = parsed {
        harness.each("instruct in fields", || {
            let instruct = grip::decode_fields(black_box(head.fields), URL);
            debug_assert!(instruct.is_ok(), "{instruct:?}");
            black_box(&instruct);
        });
    }
    harness.each("instruct in JSON", || {
        let instruct = grip::decode_json(&[], URL, 200, black_box(JSON_INSTRUCT));
        debug_assert!(instruct.is_ok(), "{instruct:?}");
        black_box(&instruct);
    });
}

fn routes(harness: &mut Harness) {
    let one = "* 127.0.0.1:8000\n".to_owned();
    let many = (0..DOMAINS).map(|n| format!("host-{n}.example.com,path_beg=/a 127.0.0.1:8000\n"));
    for (name, text) in [
        ("find a route, 1 rule", one),
        ("find a route, 1000 domains", many.collect()),
    ] {
        let (table, _) = RouteTable::parse(&text, Path::new("."));
        let query = RouteQuery {
            host: "host-500.example.com",
            path: "/a/stream",
            is_ssl: false,
            is_ws: false,
        };
        harness.each(name, || {
            let route = table.find(black_box(&query));
            debug_assert!(route.is_some());
            black_box(route);
        });
    }
}
