use super::*;
use crate::grip::test_random::Random;
use crate::ws::encode;

const CLIENT: FrameRules = FrameRules {
    masking: Masking::Required,
    rsv_allowed: 0,
};
const SERVER: FrameRules = FrameRules {
    masking: Masking::Forbidden,
    rsv_allowed: 0,
};
const LENIENT: FrameRules = FrameRules {
    masking: Masking::Any,
    rsv_allowed: RSV,
};

fn refused(buf: &[u8], rules: &FrameRules) -> FrameError {
    parse_head(buf, rules).unwrap_err()
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    let hello = FrameHead::whole(Opcode::Text, 5);
    let masked = FrameHead {
        mask: Some([0x37, 0xfa, 0x21, 0x3d]),
        ..hello
    };
    let part = FrameHead {
        is_final: false,
        payload_len: 3,
        ..hello
    };
    let cases: [(&[u8], FrameHead, FrameRules); 5] = [
        (b"\x81\x05Hello", hello, SERVER),
        (
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            masked,
            CLIENT,
        ),
        (b"\x01\x03Hel", part, SERVER),
        (
            b"\x82\x7e\x01\x00",
            FrameHead::whole(Opcode::Binary, 256),
            SERVER,
        ),
        (
            b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
            FrameHead::whole(Opcode::Binary, 65536),
            SERVER,
        ),
    ];
    for (bytes, head, rules) in cases {
        let used = head.to_bytes().as_slice().len();
        assert_eq!(
            parse_head(bytes, &rules),
            Ok(Parsed::Complete(head, used)),
            "{bytes:x?}"
        );
    }
}

#[test]
fn a_head_cut_anywhere_is_incomplete_not_wrong() {
    let bytes = b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04";
    for cut in 0..bytes.len() {
        assert_eq!(
            parse_head(&bytes[..cut], &CLIENT),
            Ok(Parsed::NeedMore),
            "{cut}"
        );
    }
    assert!(matches!(
        parse_head(bytes, &CLIENT),
        Ok(Parsed::Complete(_, HEAD_LEN_MAX))
    ));
}

#[test]
fn opcodes_that_are_not_defined_are_refused_at_the_first_byte() {
    for bits in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(refused(&[FIN | bits], &CLIENT), FrameError::Opcode { bits });
    }
}

#[test]
fn reserved_bits_without_an_extension_are_refused() {
    for bit in [0x40, 0x20, 0x10] {
        assert_eq!(refused(&[0x81 | bit], &CLIENT), FrameError::ReservedBits);
        let allowed = FrameRules {
            rsv_allowed: bit,
            ..CLIENT
        };
        assert_eq!(parse_head(&[0x81 | bit], &allowed), Ok(Parsed::NeedMore));
        assert_eq!(
            refused(&[0x89 | bit], &allowed),
            FrameError::ReservedBits,
            "a ping"
        );
    }
}

#[test]
fn control_frames_are_short_and_whole() {
    for opcode in [0x8, 0x9, 0xa] {
        assert_eq!(refused(&[opcode], &CLIENT), FrameError::FragmentedControl);
        assert_eq!(
            refused(&[FIN | opcode, MASKED | 126], &CLIENT),
            FrameError::ControlTooLong
        );
        let longest = [FIN | opcode, MASKED | 125, 0, 0, 0, 0];
        assert!(matches!(
            parse_head(&longest, &CLIENT),
            Ok(Parsed::Complete(..))
        ));
    }
}

#[test]
fn clients_mask_and_servers_do_not() {
    assert_eq!(refused(b"\x81\x01", &CLIENT), FrameError::NotMasked);
    assert_eq!(refused(b"\x81\x81", &SERVER), FrameError::Masked);
    let any = FrameRules {
        masking: Masking::Any,
        ..SERVER
    };
    for bytes in [&b"\x81\x01a"[..], b"\x81\x81abcd"] {
        assert!(
            matches!(parse_head(bytes, &any), Ok(Parsed::Complete(..))),
            "{bytes:x?}"
        );
    }
}

#[test]
fn lengths_that_take_more_bytes_than_needed_are_refused() {
    let wrong: [&[u8]; 5] = [
        b"\x82\x7e\x00\x01",
        b"\x82\x7e\x00\x7d",
        b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
        b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
        b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for bytes in wrong {
        assert_eq!(
            refused(bytes, &SERVER),
            FrameError::InvalidLen,
            "{bytes:x?}"
        );
    }
    let longest = b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff";
    assert!(matches!(
        parse_head(longest, &SERVER),
        Ok(Parsed::Complete(..))
    ));
}

/// A frame's head, its payload, and whether its end was seen.
type Read = (FrameHead, Vec<u8>, bool);

/// Everything that a reader finds in `pieces`: heads and, joined, their payloads.
fn read<'b>(
    pieces: impl IntoIterator<Item = &'b [u8]>,
    rules: &FrameRules,
) -> (Vec<Read>, Option<FrameError>) {
    let (mut reader, mut frames) = (FrameReader::new(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = piece.as_mut_slice();
        loop {
            let used = match reader.step(rest, rules) {
                Err(error) => return (frames, Some(error)),
                Ok(FrameStep::NeedMore { used }) => {
                    assert_eq!(used, rest.len());
                    break;
                }
                Ok(FrameStep::Head { head, used }) => {
                    frames.push((head, Vec::new(), head.payload_len == 0));
                    used
                }
                Ok(FrameStep::Payload { len, is_end }) => {
                    let (_head, payload, ended) = frames.last_mut().unwrap();
                    payload.extend_from_slice(&rest[..len]);
                    *ended = is_end;
                    len
                }
            };
            rest = &mut rest[used..];
        }
    }
    (frames, None)
}

fn random_head(random: &mut Random) -> FrameHead {
    let opcode = *random.pick(&[
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ]);
    let len = if opcode.is_control() {
        random.below(126)
    } else {
        *random.pick(&[0, 1, 3, 125, 126, 300, 65535, 65536, 66000])
    };
    FrameHead {
        is_final: opcode.is_control() || random.below(2) == 0,
        rsv: if opcode.is_control() {
            0
        } else {
            *random.pick(&[0, RSV1, RSV])
        },
        mask: (random.below(2) == 0).then(|| [0; 4].map(|_: u8| *random.pick(b"\x00\x05\xfa"))),
        ..FrameHead::whole(opcode, len)
    }
}

#[test]
fn what_is_written_is_read_again_however_it_is_cut() {
    let mut random = Random::new(13);
    for round in 0..300 {
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for _frame in 0..random.below(4) {
            let head = random_head(&mut random);
            let len = usize::try_from(head.payload_len).unwrap();
            let payload: Vec<u8> = (0..len).map(|at| at.to_le_bytes()[0]).collect();
            encode::frame(&mut wire, &head, &payload);
            expected.push((head, payload, true));
        }
        let size = *random.pick(&[1, 2, 3, 7, 13, 1000, usize::MAX]);
        assert_eq!(
            read(wire.chunks(size), &LENIENT),
            (expected, None),
            "round {round} by {size}"
        );
    }
}

#[test]
fn damaged_frames_are_read_alike_however_they_are_cut() {
    let mut random = Random::new(14);
    for round in 0..3_000 {
        let mut wire = Vec::new();
        for _frame in 0..3 {
            let head = FrameHead {
                payload_len: 5,
                ..random_head(&mut random)
            };
            encode::frame(&mut wire, &head, b"\x00abc\xff");
        }
        random.damage(&mut wire);
        let rules = random.pick(&[CLIENT, SERVER, LENIENT]);
        let whole = read([wire.as_slice()], rules);
        let size = 1 + random.below(9);
        assert_eq!(
            read(wire.chunks(size), rules),
            whole,
            "round {round} by {size}"
        );
    }
}

#[test]
fn a_stream_may_end_between_frames_only() {
    let mut reader = FrameReader::new();
    assert!(reader.is_between_frames());
    let mut wire = *b"\x81\x02hi";
    for (at, byte) in wire.iter_mut().enumerate() {
        reader.step(std::slice::from_mut(byte), &SERVER).unwrap();
        assert_eq!(reader.is_between_frames(), at == 3, "behind byte {at}");
    }
}
