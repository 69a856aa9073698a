use super::*;
use crate::grip::test_random::Random;
use crate::ws::close::CloseError;
use crate::ws::encode;
use crate::ws::frame::FrameError;

const RULES: ReadRules = ReadRules {
    masking: Masking::Required,
    deflate: false,
    checks_text: true,
    message_len_max: 1000,
};
const KEY: [u8; 4] = [0x11, 0x00, 0xfe, 0x80];

/// An event that owns its bytes; the pieces of a message are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Message(MessageType, Vec<u8>),
    Compressed(MessageType, Vec<u8>),
    /// A message that has begun and not ended.
    Part(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Wrong(Violation),
}

/// All that a reader finds in `pieces`, until the first violation.
fn read<'b>(pieces: impl IntoIterator<Item = &'b [u8]>, rules: &ReadRules) -> Vec<Said> {
    let (mut reader, mut said) = (MessageReader::new(), Vec::new());
    let mut part: Option<Vec<u8>> = None;
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = piece.as_mut_slice();
        loop {
            let Step { used, event } = match reader.step(rest, rules) {
                Ok(step) => step,
                Err(violation) => {
                    // How much of a message came out before it turned out wrong is a matter of
                    // the cuts.
                    said.push(Said::Wrong(violation));
                    return said;
                }
            };
            match event {
                Event::NeedMore => {
                    assert_eq!(used, rest.len());
                    break;
                }
                Event::Data(data) => {
                    assert_eq!(data.is_first, part.is_none());
                    assert!(!data.payload.is_empty() || data.is_first || data.is_last);
                    let mut joined = part.take().unwrap_or_default();
                    joined.extend_from_slice(data.payload);
                    match (data.is_last, data.is_compressed) {
                        (false, _) => part = Some(joined),
                        (true, false) => said.push(Said::Message(data.message_type, joined)),
                        (true, true) => said.push(Said::Compressed(data.message_type, joined)),
                    }
                }
                Event::Ping(payload) => said.push(Said::Ping(payload.to_vec())),
                Event::Pong(payload) => said.push(Said::Pong(payload.to_vec())),
                Event::Close(close) => {
                    let close = close.map(|close| (close.code, close.reason.to_owned()));
                    said.push(Said::Close(close));
                }
            }
            rest = &mut rest[used..];
        }
    }
    said.extend(part.map(Said::Part));
    said
}

/// A client's frames: opcode, FIN, RSV, payload.
fn wire(frames: &[(Opcode, bool, u8, &[u8])]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (opcode, is_final, rsv, payload) in frames {
        let head = FrameHead {
            is_final: *is_final,
            rsv: *rsv,
            mask: Some(KEY),
            ..FrameHead::whole(*opcode, payload.len())
        };
        encode::frame(&mut wire, &head, payload);
    }
    wire
}

/// What the frames say; the same however they are cut.
fn said(frames: &[(Opcode, bool, u8, &[u8])], rules: &ReadRules) -> Vec<Said> {
    let wire = wire(frames);
    let whole = read([wire.as_slice()], rules);
    for size in 1..wire.len().min(20) {
        assert_eq!(read(wire.chunks(size), rules), whole, "by {size}");
    }
    whole
}

fn text(content: &[u8]) -> Said {
    Said::Message(MessageType::Text, content.to_vec())
}

use Opcode::{Binary, Close as CloseFrame, Continuation, Ping, Pong, Text};

#[test]
fn fragments_are_one_message_and_control_frames_may_stand_between_them() {
    let frames: [(Opcode, bool, u8, &[u8]); 6] = [
        (Text, false, 0, b"ab"),
        (Ping, true, 0, b"p1"),
        (Continuation, false, 0, b"cd"),
        (Pong, true, 0, b""),
        (Continuation, true, 0, b"ef"),
        (Binary, true, 0, b"\x00\xff"),
    ];
    let expected = [
        Said::Ping(b"p1".to_vec()),
        Said::Pong(vec![]),
        text(b"abcdef"),
        Said::Message(MessageType::Binary, vec![0, 0xff]),
    ];
    assert_eq!(said(&frames, &RULES), expected);
}

#[test]
fn empty_fragments_and_empty_messages_are_fine() {
    assert_eq!(said(&[(Text, true, 0, b"")], &RULES), [text(b"")]);
    let frames: [(Opcode, bool, u8, &[u8]); 4] = [
        (Text, false, 0, b""),
        (Continuation, false, 0, b""),
        (Continuation, false, 0, b"x"),
        (Continuation, true, 0, b""),
    ];
    assert_eq!(said(&frames, &RULES), [text(b"x")]);
    assert_eq!(said(&frames[..2], &RULES), [Said::Part(vec![])]);
}

#[test]
fn a_continuation_needs_a_message() {
    for is_final in [false, true] {
        let frames: [(Opcode, bool, u8, &[u8]); 2] =
            [(Text, true, 0, b"a"), (Continuation, is_final, 0, b"b")];
        let wrong = Said::Wrong(Violation::UnexpectedContinuation);
        assert_eq!(said(&frames, &RULES), [text(b"a"), wrong]);
    }
}

#[test]
fn a_message_must_end_before_the_next_begins() {
    let frames: [(Opcode, bool, u8, &[u8]); 2] = [(Text, false, 0, b"a"), (Binary, true, 0, b"b")];
    assert_eq!(
        said(&frames, &RULES),
        [Said::Wrong(Violation::UnfinishedMessage)]
    );
}

#[test]
fn text_is_checked_across_fragments() {
    let snowman = "☃".as_bytes();
    let whole: [(Opcode, bool, u8, &[u8]); 3] = [
        (Text, false, 0, &snowman[..1]),
        (Ping, true, 0, b"\xff"),
        (Continuation, true, 0, &snowman[1..]),
    ];
    assert_eq!(
        said(&whole, &RULES),
        [Said::Ping(vec![0xff]), text(snowman)]
    );
    let cut: [(Opcode, bool, u8, &[u8]); 2] = [
        (Text, false, 0, &snowman[..1]),
        (Continuation, true, 0, &snowman[1..2]),
    ];
    assert_eq!(said(&cut, &RULES), [Said::Wrong(Violation::NotUtf8)]);
    // What one message leaves open is nothing to the next.
    assert_eq!(
        said(
            &[(Text, true, 0, b"a"), (Text, true, 0, b"\x98\x83")],
            &RULES
        ),
        [text(b"a"), Said::Wrong(Violation::NotUtf8)]
    );
}

#[test]
fn text_is_passed_as_it_is_where_the_rules_say_so() {
    let lenient = ReadRules {
        checks_text: false,
        ..RULES
    };
    assert_eq!(said(&[(Text, true, 0, b"\xff")], &lenient), [text(b"\xff")]);
}

#[test]
fn a_message_may_reach_its_limit_and_no_more() {
    let limit = |message_len_max| ReadRules {
        message_len_max,
        ..RULES
    };
    let frames: [(Opcode, bool, u8, &[u8]); 3] = [
        (Text, false, 0, b"12345"),
        (Ping, true, 0, b"does not count"),
        (Continuation, true, 0, b"678"),
    ];
    assert_eq!(said(&frames, &limit(8)).last(), Some(&text(b"12345678")));
    let wrong = Said::Wrong(Violation::TooBig { max: 7 });
    assert_eq!(said(&frames, &limit(7)).last(), Some(&wrong));
    assert_eq!(Violation::TooBig { max: 7 }.close_code(), 1009);
}

#[test]
fn a_huge_frame_is_refused_at_its_head() {
    let mut head = *b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00";
    let step = MessageReader::new()
        .step(&mut head, &RULES)
        .map(|step| step.used);
    assert_eq!(step, Err(Violation::TooBig { max: 1000 }));
}

#[test]
fn two_frames_cannot_overflow_the_count() {
    let rules = ReadRules {
        message_len_max: u64::MAX,
        ..RULES
    };
    let mut reader = MessageReader::new();
    let mut head = *b"\x02\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00";
    assert_eq!(reader.step(&mut head, &rules).unwrap().used, head.len());
}

#[test]
fn close_frames_are_read_and_end_the_stream() {
    let frames: [(Opcode, bool, u8, &[u8]); 3] = [
        (Text, false, 0, b"open"),
        (CloseFrame, true, 0, b"\x0f\xa1bye"),
        (Continuation, true, 0, b"late"),
    ];
    let close = Said::Close(Some((4001, "bye".to_owned())));
    assert_eq!(said(&frames, &RULES), [close, Said::Part(b"open".to_vec())]);
    assert_eq!(
        said(&[(CloseFrame, true, 0, b"")], &RULES),
        [Said::Close(None)]
    );
}

#[test]
fn close_frames_that_break_the_rules_have_their_codes() {
    let cases: [(&[u8], CloseError, u16); 3] = [
        (b"\x03", CloseError::Len, 1002),
        (b"\x03\xed", CloseError::Code { code: 1005 }, 1002),
        (b"\x03\xe8\xff", CloseError::Reason, 1007),
    ];
    for (payload, error, code) in cases {
        let violation = Violation::Close(error);
        assert_eq!(
            said(&[(CloseFrame, true, 0, payload)], &RULES),
            [Said::Wrong(violation)]
        );
        assert_eq!(violation.close_code(), code, "{payload:x?}");
    }
}

#[test]
fn a_long_control_frame_comes_out_whole_however_it_is_cut() {
    let payload: Vec<u8> = (0..125).collect();
    let frames: [(Opcode, bool, u8, &[u8]); 2] =
        [(Ping, true, 0, &payload), (Pong, true, 0, b"short")];
    assert_eq!(
        said(&frames, &RULES),
        [Said::Ping(payload.clone()), Said::Pong(b"short".to_vec())]
    );
}

#[test]
fn nothing_is_kept_of_a_control_frame_once_it_was_told() {
    let mut reader = MessageReader::new();
    let mut wire = wire(&[(Ping, true, 0, b"abc")]);
    let (head, tail) = wire.split_at_mut(7);
    reader.step(head, &RULES).unwrap();
    let step = reader.step(tail, &RULES).unwrap();
    assert_eq!(step.event, Event::Ping(b"abc"));
    reader.step(&mut [], &RULES).unwrap();
    assert!(reader.cut_control.is_none());
}

#[test]
fn compressed_messages_are_marked_on_their_first_frame_only() {
    let deflate = ReadRules {
        deflate: true,
        ..RULES
    };
    let frames: [(Opcode, bool, u8, &[u8]); 4] = [
        (Text, false, RSV1, b"\xff"),
        (Ping, true, 0, b""),
        (Continuation, true, 0, b"\xfe"),
        (Text, true, 0, b"plain"),
    ];
    let expected = [
        Said::Ping(vec![]),
        Said::Compressed(MessageType::Text, vec![0xff, 0xfe]),
        text(b"plain"),
    ];
    assert_eq!(said(&frames, &deflate), expected);
    assert_eq!(
        said(&frames, &RULES),
        [Said::Wrong(Violation::Frame(FrameError::ReservedBits))]
    );
    let marked: [(Opcode, bool, u8, &[u8]); 2] =
        [(Text, false, RSV1, b"a"), (Continuation, true, RSV1, b"b")];
    assert_eq!(
        said(&marked, &deflate),
        [Said::Wrong(Violation::CompressedContinuation)]
    );
}

#[test]
fn a_compressed_frame_is_bounded_too() {
    let deflate = ReadRules {
        deflate: true,
        ..RULES
    };
    let long = [0; 3000];
    let wrong = Said::Wrong(Violation::TooBig { max: 1000 });
    assert_eq!(said(&[(Binary, true, RSV1, &long)], &deflate), [wrong]);
    let slack = &long[..2027];
    let fits = Said::Compressed(MessageType::Binary, slack.to_vec());
    assert_eq!(said(&[(Binary, true, RSV1, slack)], &deflate), [fits]);
}

#[test]
fn every_violation_says_the_same_as_its_text() {
    let violations = [
        Violation::Frame(FrameError::Opcode { bits: 3 }),
        Violation::Frame(FrameError::ReservedBits),
        Violation::Frame(FrameError::FragmentedControl),
        Violation::Frame(FrameError::ControlTooLong),
        Violation::Frame(FrameError::NotMasked),
        Violation::Frame(FrameError::Masked),
        Violation::Frame(FrameError::InvalidLen),
        Violation::UnexpectedContinuation,
        Violation::UnfinishedMessage,
        Violation::CompressedContinuation,
        Violation::NotUtf8,
        Violation::NotDeflate,
        Violation::TooBig { max: 1 },
        Violation::Close(CloseError::Len),
        Violation::Close(CloseError::Code { code: 1 }),
        Violation::Close(CloseError::Reason),
    ];
    for violation in violations {
        assert_eq!(violation.reason(), violation.to_string());
        let close = violation.as_close();
        assert_eq!(crate::ws::close::fitting_reason(close.reason), close.reason);
        assert!(crate::ws::close::is_valid_code(close.code), "{violation}");
    }
}

#[test]
fn random_streams_are_read_alike_however_they_are_cut() {
    let mut random = Random::new(15);
    let payloads: [&[u8]; 7] = [
        b"",
        b"a",
        b"\xe2\x98\x83",
        b"\xe2",
        b"\x98\x83",
        b"\x03\xe8",
        b"\x03",
    ];
    for round in 0..20_000 {
        let frames: Vec<_> = (0..random.below(6))
            .map(|_| {
                let opcode = *random.pick(&[
                    Text,
                    Text,
                    Continuation,
                    Continuation,
                    Ping,
                    CloseFrame,
                    Binary,
                ]);
                let is_final = opcode.is_control() || random.below(2) == 0;
                let rsv = *random.pick(&[0, 0, 0, RSV1]);
                let rsv = if opcode.is_control() { 0 } else { rsv };
                (opcode, is_final, rsv, *random.pick(&payloads))
            })
            .collect();
        let mut wire = wire(&frames);
        if random.below(3) == 0 {
            random.damage(&mut wire);
        }
        let rules = ReadRules {
            deflate: random.below(2) == 0,
            checks_text: random.below(4) > 0,
            message_len_max: *random.pick(&[0, 3, 1000]),
            ..RULES
        };
        let whole = read([wire.as_slice()], &rules);
        let size = 1 + random.below(12);
        assert_eq!(
            read(wire.chunks(size), &rules),
            whole,
            "round {round} by {size}: {frames:x?}"
        );
    }
}
