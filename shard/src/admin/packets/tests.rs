//! Each packet in both formats (control.md section 6.2).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proto::zhttp::tnetstring::{Tnet, TnetLimits, decode};
use serde_json::{Value, json};

use super::*;
use crate::io::reports::ConnectionSeen;

const ID: ConnectionId = ConnectionId {
    shard: 0,
    key: 31,
    serial: 2,
};

fn packets(stats_format: StatsFormat) -> Packets {
    let handler = config::Handler {
        stats_format,
        ..config::Handler::default()
    };
    Packets::new(&handler, "p_1")
}

/// Type and members of a JSON packet.
fn read_json(packet: &[u8]) -> (String, Value) {
    let text = std::str::from_utf8(packet).unwrap();
    let (kind, payload) = text.split_once(' ').unwrap();
    (
        kind.to_owned(),
        serde_json::from_str(payload.strip_prefix('J').unwrap()).unwrap(),
    )
}

fn notice(kind: NoticeKind) -> Notice {
    Notice {
        mode: Mode::WebSocket,
        channel: Arc::from("c\"1"),
        kind,
    }
}

fn seen() -> ConnectionSeen {
    ConnectionSeen {
        id: ID,
        kind: ConnectionKind::Http,
        peer: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        is_ssl: false,
        route: Some(Arc::from("r")),
    }
}

#[test]
fn json_packets_are_compact_with_sorted_names() {
    let packet = packets(StatsFormat::Json).subscription(&notice(NoticeKind::Subscribers(2)));
    let expected = r#"sub J{"channel":"c\"1","from":"p_1","mode":"ws","subscribers":2,"ttl":60}"#;
    assert_eq!(String::from_utf8(packet).unwrap(), expected);
}

#[test]
fn a_channel_that_ended_is_unavailable_and_has_no_number() {
    let (kind, value) =
        read_json(&packets(StatsFormat::Json).subscription(&notice(NoticeKind::Gone)));
    assert_eq!(kind, "sub");
    assert_eq!(
        value,
        json!({"channel": "c\"1", "from": "p_1", "mode": "ws", "unavailable": true})
    );
}

#[test]
fn tnetstring_packets_hold_the_same_members() {
    let packet = packets(StatsFormat::Tnetstring).subscription(&notice(NoticeKind::Subscribers(2)));
    let payload = packet.strip_prefix(b"sub T").unwrap();
    let value = decode(
        payload,
        &TnetLimits {
            len_max: 1_000,
            depth_max: 1,
        },
    )
    .unwrap();
    assert_eq!(
        value.member(b"channel").and_then(Tnet::as_bytes),
        Some(&b"c\"1"[..])
    );
    assert_eq!(value.member(b"subscribers"), Some(&Tnet::Int(2)));
    assert_eq!(value.member(b"ttl"), Some(&Tnet::Int(60)));
    assert_eq!(value.as_map().unwrap().len(), 5);
}

#[test]
fn connections_are_named_after_the_process() {
    let packets = packets(StatsFormat::Json);
    let opened = read_json(&packets.connection(&ConnectionEvent::Opened(seen())));
    let expected = json!({
        "from": "p_1", "id": "p_1:0-1f-2", "peer-address": "127.0.0.1", "route": "r", "ttl": 120,
        "type": "http",
    });
    assert_eq!(opened, ("conn".to_owned(), expected));
    let closed = packets.connection(&ConnectionEvent::Closed {
        id: ID,
        route: None,
    });
    let expected = json!({"from": "p_1", "id": "p_1:0-1f-2", "unavailable": true});
    assert_eq!(read_json(&closed).1, expected);
}

#[test]
fn members_that_do_not_apply_are_left_out() {
    let packets = packets(StatsFormat::Json);
    let seen = ConnectionSeen {
        is_ssl: true,
        peer: None,
        route: None,
        ..seen()
    };
    let value = read_json(&packets.connection(&ConnectionEvent::Refreshed(seen))).1;
    assert_eq!(value.get("ssl"), Some(&Value::Bool(true)));
    assert!(value.get("peer-address").is_none() && value.get("route").is_none());
}

#[test]
fn a_message_counts_blocks_of_all_receivers() {
    let packets = packets(StatsFormat::Json);
    let mut seen = MessageSeen {
        channel: "c",
        item_id: Some("id-7"),
        mode: Mode::Stream,
        count: 3,
        blocks: Some(2),
    };
    let expected = json!({
        "blocks": 6, "channel": "c", "count": 3, "from": "p_1", "item-id": "id-7",
        "transport": "http-stream",
    });
    assert_eq!(
        read_json(&packets.message(&seen)),
        ("message".to_owned(), expected)
    );
    seen.item_id = None;
    seen.blocks = None;
    let expected = json!({"channel": "c", "count": 3, "from": "p_1", "transport": "http-stream"});
    assert_eq!(read_json(&packets.message(&seen)).1, expected);
}

#[test]
fn counting_packets_carry_their_numbers() {
    let packets = packets(StatsFormat::Json);
    let report = ReportSeen {
        duration_ms: 10_000,
        members: vec![("sent", 4)],
    };
    let expected = json!({"duration": 10_000, "from": "p_1", "sent": 4});
    assert_eq!(
        read_json(&packets.report(&report)),
        ("report".to_owned(), expected)
    );
    let expected = json!({"count": 5, "from": "p_1"});
    assert_eq!(
        read_json(&packets.activity(5)),
        ("activity".to_owned(), expected)
    );
    let expected = json!({"from": "p_1", "requests-received": 6});
    assert_eq!(
        read_json(&packets.counts(6)),
        ("counts".to_owned(), expected)
    );
}
