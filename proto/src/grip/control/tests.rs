use super::*;
use crate::grip::test_random::Random;

fn parsed(text: &str) -> ControlMessage {
    parse_control(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> ControlError {
    match parse_control(text.as_bytes()) {
        Ok(message) => panic!("{text}: {message:?}"),
        Err(error) => error,
    }
}

fn subscribe_to(channel: &str, filters: &[&str]) -> ControlMessage {
    ControlMessage::Subscribe {
        channel: channel.to_owned(),
        filters: filters.iter().map(|&filter| filter.to_owned()).collect(),
    }
}

fn kept_alive(text: &str) -> WsKeepAlive {
    match parsed(text) {
        ControlMessage::KeepAlive(Some(keep_alive)) => keep_alive,
        other => panic!("{text}: {other:?}"),
    }
}

fn delayed(text: &str) -> WsDelayed {
    match parsed(text) {
        ControlMessage::SendDelayed(delayed) => delayed,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn subscriptions_name_a_channel_and_filters() {
    assert_eq!(
        parsed(r#"{"type":"subscribe","channel":"news"}"#),
        subscribe_to("news", &[])
    );
    assert_eq!(
        parsed(
            " \n{\"type\":\"subscribe\",\"channel\":\"n\",\"filters\":[\"a\",\"b\"],\"prev-id\":1}"
        ),
        subscribe_to("n", &["a", "b"])
    );
    assert_eq!(
        parsed(r#"{"type":"unsubscribe","channel":"news","x":null}"#),
        ControlMessage::Unsubscribe {
            channel: "news".to_owned()
        }
    );
}

#[test]
fn five_filters_are_fine_and_a_sixth_closes() {
    let five = r#"{"type":"subscribe","channel":"n","filters":["1","2","3","4","5"]}"#;
    assert_eq!(parsed(five), subscribe_to("n", &["1", "2", "3", "4", "5"]));
    let error =
        refused(r#"{"type":"subscribe","channel":"n","filters":["1","2","3","4","5","6"]}"#);
    assert!(error.closes());
    assert_eq!(error.to_string(), "too many filters for channel 'n'");
}

#[test]
fn what_is_wrong_is_ignored() {
    for text in [
        "",
        "x",
        "{",
        "[]",
        "\"subscribe\"",
        "{}",
        r#"{"type":1}"#,
        r#"{"type":"Detach"}"#,
        r#"{"type":"ack"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"subscribe","channel":""}"#,
        r#"{"type":"subscribe","channel":1}"#,
        r#"{"type":"subscribe","channel":null}"#,
        r#"{"type":"subscribe","channel":"n","filters":null}"#,
        r#"{"type":"subscribe","channel":"n","filters":"f"}"#,
        r#"{"type":"subscribe","channel":"n","filters":[1]}"#,
        r#"{"type":"unsubscribe","channel":""}"#,
        r#"{"type":"session","id":null}"#,
        r#"{"type":"set-meta","value":"v"}"#,
        r#"{"type":"set-meta","name":"","value":"v"}"#,
        r#"{"type":"set-meta","name":"n","value":null}"#,
        r#"{"type":"keep-alive","content":1}"#,
        r#"{"type":"keep-alive","content":"","timeout":-1}"#,
        r#"{"type":"keep-alive","content":"","timeout":null}"#,
        r#"{"type":"keep-alive","content":"","message-type":"Text"}"#,
        r#"{"type":"keep-alive","content":"","mode":1}"#,
        r#"{"type":"send-delayed","content":"","timeout":[]}"#,
    ] {
        assert!(!refused(text).closes(), "{text}");
    }
}

#[test]
fn sessions_and_variables_are_set_and_cleared() {
    let session = |id: Option<&str>| ControlMessage::Session {
        id: id.map(str::to_owned),
    };
    assert_eq!(
        parsed(r#"{"type":"session","id":"s1"}"#),
        session(Some("s1"))
    );
    assert_eq!(parsed(r#"{"type":"session","id":""}"#), session(None));
    assert_eq!(parsed(r#"{"type":"session"}"#), session(None));
    let meta = |value: Option<&str>| ControlMessage::SetMeta {
        name: "user".to_owned(),
        value: value.map(str::to_owned),
    };
    assert_eq!(
        parsed(r#"{"type":"set-meta","name":"user","value":"alice"}"#),
        meta(Some("alice"))
    );
    assert_eq!(
        parsed(r#"{"type":"set-meta","name":"user","value":""}"#),
        meta(Some(""))
    );
    assert_eq!(parsed(r#"{"type":"set-meta","name":"user"}"#), meta(None));
    assert_eq!(parsed(r#"{"type":"detach"}"#), ControlMessage::Detach);
    assert_eq!(
        parsed(r#"{"type":"flush-delayed"}"#),
        ControlMessage::FlushDelayed
    );
}

#[test]
fn keep_alive_has_defaults() {
    let keep_alive = kept_alive(r#"{"type":"keep-alive","content":"{}"}"#);
    let expected = WsKeepAlive {
        message: ControlContent {
            message_type: WsType::Text,
            content: b"{}".to_vec(),
        },
        timeout_s: 55,
        mode: KeepAliveMode::Idle,
    };
    assert_eq!(keep_alive, expected);
    let empty = kept_alive(r#"{"type":"keep-alive","content":""}"#);
    assert_eq!(empty.message.content, b"");
}

#[test]
fn keep_alive_without_content_is_turned_off() {
    for text in [
        r#"{"type":"keep-alive"}"#,
        r#"{"type":"keep-alive","timeout":-1,"mode":"x"}"#,
    ] {
        assert_eq!(parsed(text), ControlMessage::KeepAlive(None), "{text}");
    }
}

#[test]
fn binary_content_wins_and_stays_text_unless_told() {
    let text = r#"{"type":"keep-alive","content":"x","content-bin":"AAH/"}"#;
    assert_eq!(
        kept_alive(text).message,
        ControlContent {
            message_type: WsType::Text,
            content: vec![0, 1, 0xff]
        }
    );
    for (name, message_type) in [
        ("text", WsType::Text),
        ("binary", WsType::Binary),
        ("ping", WsType::Ping),
        ("pong", WsType::Pong),
    ] {
        let text = format!(r#"{{"type":"keep-alive","content":"x","message-type":"{name}"}}"#);
        assert_eq!(
            kept_alive(&text).message.message_type,
            message_type,
            "{name}"
        );
    }
}

#[test]
fn timeouts_are_numbers_or_spell_one() {
    for (timeout, seconds) in [
        ("2", 2),
        ("\"1\"", 1),
        ("0", 55),
        ("2147483", 2_147_483),
        ("99999999999", 2_147_483),
    ] {
        let text = format!(r#"{{"type":"keep-alive","content":"x","timeout":{timeout}}}"#);
        assert_eq!(kept_alive(&text).timeout_s, seconds, "{timeout}");
    }
    let mode = |mode| {
        kept_alive(&format!(
            r#"{{"type":"keep-alive","content":"","mode":"{mode}"}}"#
        ))
        .mode
    };
    assert_eq!(mode("interval"), KeepAliveMode::Interval);
    assert_eq!(mode("other"), KeepAliveMode::Idle);
}

#[test]
fn delayed_messages_wait_a_second_unless_told() {
    let cases = [
        (r#"{"type":"send-delayed","content":"x"}"#, "x", 1),
        (
            r#"{"type":"send-delayed","content":"x","timeout":0}"#,
            "x",
            1,
        ),
        (
            r#"{"type":"send-delayed","content":"x","timeout":7}"#,
            "x",
            7,
        ),
        (r#"{"type":"send-delayed","timeout":7}"#, "", 1),
    ];
    for (text, content, timeout_s) in cases {
        let delayed = delayed(text);
        assert_eq!(delayed.message.content, content.as_bytes(), "{text}");
        assert_eq!(delayed.timeout_s, timeout_s, "{text}");
    }
}

#[test]
fn damaged_messages_never_panic() {
    let mut random = Random::new(20);
    for _round in 0..20_000 {
        let mut text =
            br#"{"type":"keep-alive","content-bin":"AAH/","timeout":"12","mode":"interval"}"#
                .to_vec();
        random.damage(&mut text);
        if let Ok(message) = parse_control(&text) {
            assert!(!matches!(message, ControlMessage::Detach));
        }
    }
}
