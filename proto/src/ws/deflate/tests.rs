use super::*;
use crate::grip::test_random::Random;
use crate::ws::encode;
use crate::ws::frame::{FrameHead, Masking, Opcode, RSV1};
use crate::ws::message::{Event, MessageReader, ReadRules, Violation};

const RULES: InflateRules = InflateRules {
    checks_text: false,
    message_len_max: 1 << 20,
};

/// Inflates a message that comes in pieces of `size`, through an output of `out_len_max` bytes.
fn inflate(
    inflater: &mut Inflater,
    history: &mut History,
    message: &[u8],
    rules: &InflateRules,
    (size, out_len_max): (usize, usize),
) -> Result<Vec<u8>, Violation> {
    inflater.begin(std::mem::take(history), rules);
    let (mut inflated, mut out) = (Vec::new(), Vec::new());
    let mut pieces = message.chunks(size).peekable();
    let mut piece = pieces.next().unwrap_or_default();
    let mut result = Ok(());
    loop {
        let is_last = pieces.peek().is_none();
        let step = match inflater.step(piece, is_last, &mut out, out_len_max) {
            Ok(step) => step,
            Err(violation) => {
                result = Err(violation);
                break;
            }
        };
        assert!(out.len() <= out_len_max);
        inflated.append(&mut out);
        piece = &piece[step.used..];
        match step.progress {
            Progress::OutputFull => {}
            Progress::NeedMore => {
                assert!(piece.is_empty() && !is_last);
                piece = pieces.next().unwrap();
            }
            Progress::End => {
                assert!(piece.is_empty() && is_last);
                break;
            }
        }
    }
    *history = inflater.finish();
    result.map(|()| inflated)
}

fn inflate_once(message: &[u8], rules: &InflateRules) -> Result<Vec<u8>, Violation> {
    let (mut inflater, mut history) = (Inflater::new(), History::none());
    inflate(
        &mut inflater,
        &mut history,
        message,
        rules,
        (usize::MAX, usize::MAX),
    )
}

fn compress_once(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut deflater = Deflater::new(15, LEVEL_DEFAULT);
    deflater
        .compress(&mut History::none(), message, true, &mut out)
        .unwrap();
    out
}

/// Text with many repetitions at all distances.
fn text(random: &mut Random, len: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(len);
    while text.len() < len {
        if text.len() < 20 || random.below(3) == 0 {
            let byte = *random.pick(b"abcdefgh \n{}\":,0123456789");
            text.extend(vec![byte; 1 + random.below(3)]);
        } else {
            let start = random.below(text.len() - 10);
            let end = (start + 3 + random.below(300)).min(text.len());
            text.extend_from_within(start..end);
        }
    }
    text.truncate(len);
    text
}

#[test]
fn the_examples_of_the_rfc_are_inflated() {
    let examples: [(&[u8], &[u8]); 5] = [
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        // A block without compression, a final block, and two blocks.
        (
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            b"Hello",
        ),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], b"Hello"),
        (
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
            b"Hello",
        ),
        (
            &[0x2a, 0xc8, 0xcc, 0x53, 0x28, 0x80, 0x60, 0x00, 0x00],
            b"pin pin pin",
        ),
    ];
    for (message, content) in examples {
        assert_eq!(
            inflate_once(message, &RULES).as_deref(),
            Ok(content),
            "{message:x?}"
        );
    }
}

#[test]
fn the_second_message_of_the_rfc_needs_the_first() {
    let (mut inflater, mut history) = (Inflater::new(), History::window(15));
    let all = (usize::MAX, usize::MAX);
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    for message in [&first[..], &second] {
        let content = inflate(&mut inflater, &mut history, message, &RULES, all);
        assert_eq!(content.as_deref(), Ok(b"Hello".as_slice()));
    }
    assert_eq!(inflate_once(&second, &RULES), Err(Violation::NotDeflate));
}

#[test]
fn an_empty_message_is_one_byte() {
    assert_eq!(compress_once(b""), [0x00]);
    for message in [&b"\x00"[..], b"\x02\x00", b""] {
        assert_eq!(inflate_once(message, &RULES), Ok(vec![]), "{message:x?}");
    }
}

#[test]
fn messages_come_back_however_they_are_cut_and_whatever_is_kept() {
    let mut random = Random::new(21);
    let (mut inflater, mut inflater_15) = (Inflater::new(), Inflater::new());
    for bits in [9, 10, 12, 15] {
        let mut deflater = Deflater::new(bits, *random.pick(&[1, 2, 6, 9]));
        for takes_over in [false, true] {
            let new = || {
                if takes_over {
                    History::window(bits)
                } else {
                    History::none()
                }
            };
            // Two connections share the engines.
            let (mut sent, mut received) = ([new(), new()], [new(), new()]);
            let mut large = [History::window(15), History::window(15)];
            for round in 0..16 {
                let len = *random.pick(&[0, 1, 10, 100, 1000, 6_000]);
                let content = text(&mut random, len);
                let conn = random.below(2);
                let piece_len = *random.pick(&[7, 400, usize::MAX]);
                let mut wire = Vec::new();
                let mut pieces = content.chunks(piece_len).peekable();
                loop {
                    let piece = pieces.next().unwrap_or_default();
                    let is_last = pieces.peek().is_none();
                    let sent = &mut sent[conn];
                    deflater.compress(sent, piece, is_last, &mut wire).unwrap();
                    if is_last {
                        break;
                    }
                }
                let cut = (
                    *random.pick(&[1, 9, usize::MAX]),
                    *random.pick(&[3, 300, usize::MAX]),
                );
                let got = inflate(&mut inflater, &mut received[conn], &wire, &RULES, cut);
                assert!(
                    got.as_ref() == Ok(&content),
                    "{bits} {takes_over} round {round} {cut:?}"
                );
                assert_eq!(received[conn], sent[conn]);
                // A peer may keep more than was agreed on.
                let got = inflate(&mut inflater_15, &mut large[conn], &wire, &RULES, cut);
                assert!(
                    got.as_ref() == Ok(&content),
                    "{bits} {takes_over} round {round}"
                );
            }
        }
    }
}

#[test]
fn what_is_compressed_stays_within_the_window() {
    // A peer with the negotiated window and one long-lived state, as other implementations have.
    let mut random = Random::new(22);
    for bits in 9..=15 {
        for level in [1, 2, 6, 9] {
            let mut deflater = Deflater::new(bits, level);
            let mut peer = flate2::Decompress::new_with_window_bits(false, bits);
            let mut history = History::window(bits);
            for _message in 0..12 {
                let len = *random.pick(&[20, 300, 600, 5_000, 40_000]);
                let content = text(&mut random, len);
                let mut wire = Vec::new();
                deflater
                    .compress(&mut history, &content, true, &mut wire)
                    .unwrap();
                wire.extend_from_slice(&TAIL);
                let mut got = Vec::with_capacity(content.len() + 64);
                let flush = flate2::FlushDecompress::Sync;
                peer.decompress_vec(&wire, &mut got, flush).unwrap();
                assert!(got == content, "bits {bits}, level {level}, length {len}");
            }
        }
    }
}

#[test]
fn what_a_long_lived_peer_compresses_is_inflated() {
    let mut random = Random::new(23);
    for bits in 9..=15 {
        let level = flate2::Compression::new(6);
        let mut peer = flate2::Compress::new_with_window_bits(level, false, bits);
        let (mut inflater, mut history) = (Inflater::new(), History::window(bits));
        for _message in 0..12 {
            let len = *random.pick(&[0, 20, 300, 600, 5_000, 40_000]);
            let content = text(&mut random, len);
            let mut wire = Vec::with_capacity(content.len() + 1000);
            peer.compress_vec(&content, &mut wire, flate2::FlushCompress::Sync)
                .unwrap();
            if wire.is_empty() {
                // Two flushes in a row write nothing; then an empty block must be added by hand.
                wire.extend_from_slice(&[0x00, 0x00, 0x00, 0xff, 0xff]);
            }
            assert!(wire.ends_with(&TAIL));
            wire.truncate(wire.len() - TAIL.len());
            let cut = (1 + random.below(500), 1 + random.below(5000));
            let got = inflate(&mut inflater, &mut history, &wire, &RULES, cut);
            assert!(
                got.as_ref() == Ok(&content),
                "bits {bits}, length {len}, {cut:?}"
            );
        }
    }
}

#[test]
fn context_takeover_makes_repetitions_short() {
    let message = br#"{"channel":"news","text":"the same words once more"}"#;
    let mut deflater = Deflater::new(12, LEVEL_DEFAULT);
    let mut history = History::window(12);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    deflater
        .compress(&mut history, message, true, &mut first)
        .unwrap();
    deflater
        .compress(&mut history, message, true, &mut second)
        .unwrap();
    assert!(
        second.len() < 10 && second.len() * 4 < first.len(),
        "{} {}",
        first.len(),
        second.len()
    );
    let again = compress_once(message);
    assert_eq!(
        again,
        compress_once(message),
        "without takeover nothing changes"
    );
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let bomb = compress_once(&vec![0; 1 << 20]);
    assert!(bomb.len() < 8_000);
    let limit = |message_len_max| InflateRules {
        message_len_max,
        ..RULES
    };
    assert_eq!(
        inflate_once(&bomb, &limit(1 << 20)).map(|out| out.len()),
        Ok(1 << 20)
    );
    for max in [0, 1, 1000, (1 << 20) - 1] {
        let wrong = Err(Violation::TooBig { max });
        assert_eq!(inflate_once(&bomb, &limit(max)), wrong);
    }
    // What was appended until then is no more than the limit and a byte.
    let mut inflater = Inflater::new();
    inflater.begin(History::none(), &limit(1000));
    let mut out = Vec::new();
    inflater
        .step(&bomb, true, &mut out, usize::MAX)
        .unwrap_err();
    assert!(out.len() <= 1001 && out.capacity() <= 4096);
}

#[test]
fn inflated_text_is_checked() {
    let rules = InflateRules {
        checks_text: true,
        ..RULES
    };
    let text = "zażółć ".repeat(100);
    let wire = compress_once(text.as_bytes());
    let (mut inflater, mut history) = (Inflater::new(), History::none());
    for out_len_max in [1, 2, 3, 1000] {
        let got = inflate(&mut inflater, &mut history, &wire, &rules, (5, out_len_max));
        assert_eq!(got.as_deref(), Ok(text.as_bytes()), "{out_len_max}");
    }
    for wrong in [&b"a\xff"[..], b"a\xc5"] {
        let wire = compress_once(wrong);
        assert_eq!(
            inflate_once(&wire, &rules),
            Err(Violation::NotUtf8),
            "{wrong:x?}"
        );
        assert_eq!(inflate_once(&wire, &RULES).as_deref(), Ok(wrong));
    }
}

#[test]
fn what_is_no_deflate_is_refused() {
    for wrong in [
        &b"\xff"[..],
        b"\x07",
        b"\x00\x05\x00\x05\x00Hello",
        b"\x06garbage",
    ] {
        assert_eq!(
            inflate_once(wrong, &RULES),
            Err(Violation::NotDeflate),
            "{wrong:x?}"
        );
    }
}

#[test]
fn damaged_messages_never_panic_nor_hang_and_are_judged_alike_however_cut() {
    let mut random = Random::new(24);
    let mut inflater = Inflater::new();
    let small = InflateRules {
        message_len_max: 5_000,
        ..RULES
    };
    for round in 0..3_000 {
        let len = random.below(400);
        let mut wire = compress_once(&text(&mut random, len));
        random.damage(&mut wire);
        let whole = inflate_once(&wire, &small);
        let cut = (1 + random.below(20), 1 + random.below(300));
        let got = inflate(&mut inflater, &mut History::none(), &wire, &small, cut);
        assert_eq!(got, whole, "round {round}, {cut:?}, {wire:x?}");
    }
}

/// A client's compressed messages as they come over the wire, in fragments, with pings between.
fn compressed_frames(random: &mut Random, messages: &[Vec<u8>], history: &mut History) -> Vec<u8> {
    let mut deflater = Deflater::new(15, LEVEL_DEFAULT);
    let mut wire = Vec::new();
    for message in messages {
        let mut payload = Vec::new();
        deflater
            .compress(history, message, true, &mut payload)
            .unwrap();
        let mut pieces = payload.chunks(1 + random.below(40)).peekable();
        let (mut opcode, mut rsv) = (Opcode::Binary, RSV1);
        while let Some(piece) = pieces.next() {
            let head = FrameHead {
                is_final: pieces.peek().is_none(),
                rsv,
                mask: Some([7, 0, 255, 1]),
                ..FrameHead::whole(opcode, piece.len())
            };
            encode::frame(&mut wire, &head, piece);
            encode::message(&mut wire, Opcode::Ping, b"between", Some([1, 2, 3, 4]));
            (opcode, rsv) = (Opcode::Continuation, 0);
        }
    }
    wire
}

#[test]
fn compressed_messages_in_fragments_with_pings_between_them_come_back() {
    let mut random = Random::new(25);
    let rules = ReadRules {
        masking: Masking::Required,
        deflate: true,
        checks_text: true,
        message_len_max: RULES.message_len_max,
    };
    for takes_over in [false, true] {
        let new = || match takes_over {
            true => History::window(15),
            false => History::none(),
        };
        let messages: Vec<_> = (0..20)
            .map(|_| {
                let len = random.below(500);
                text(&mut random, len)
            })
            .collect();
        let mut wire = compressed_frames(&mut random, &messages, &mut new());
        let (mut reader, mut inflater, mut history) =
            (MessageReader::new(), Inflater::new(), new());
        let (mut got, mut out) = (Vec::new(), Vec::new());
        let mut rest = wire.as_mut_slice();
        loop {
            let step = reader.step(rest, &rules).unwrap();
            let used = step.used;
            match step.event {
                Event::NeedMore => break,
                Event::Data(data) => {
                    assert!(data.is_compressed);
                    if data.is_first {
                        inflater.begin(std::mem::take(&mut history), &RULES);
                    }
                    let inflated = inflater
                        .step(data.payload, data.is_last, &mut out, usize::MAX)
                        .unwrap();
                    assert_eq!(inflated.progress == Progress::End, data.is_last);
                    if data.is_last {
                        history = inflater.finish();
                        got.push(std::mem::take(&mut out));
                    }
                }
                Event::Ping(payload) => assert_eq!(payload, b"between"),
                other => panic!("{other:?}"),
            }
            rest = &mut rest[used..];
        }
        assert!(got == messages, "takes over: {takes_over}");
    }
}
