use super::*;
use crate::http1::encode;
use crate::http1::testing::Random;

/// What a reader made of an input: its content, and the bytes used if the message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    content: Vec<u8>,
    end: Result<Option<usize>, BodyError>,
}

/// Feeds the pieces one after the other, like a connection that reads them.
fn read(framing: Framing, pieces: &[&[u8]]) -> Outcome {
    let mut reader = BodyReader::new(framing);
    let mut content = Vec::new();
    let mut used_before = 0;
    for piece in pieces {
        let mut at = 0;
        loop {
            match reader.step(&piece[at..]) {
                Ok(BodyStep::Data { start, end }) => {
                    assert!(start < end, "content is not empty");
                    content.extend_from_slice(&piece[at + start..at + end]);
                    at += end;
                }
                Ok(BodyStep::NeedMore { used }) => {
                    assert_eq!(at + used, piece.len(), "all input is used up");
                    break;
                }
                Ok(BodyStep::End { used }) => {
                    assert!(reader.is_done());
                    return Outcome {
                        content,
                        end: Ok(Some(used_before + at + used)),
                    };
                }
                Err(error) => {
                    return Outcome {
                        content,
                        end: Err(error),
                    };
                }
            }
        }
        used_before += piece.len();
    }
    if framing == Framing::Chunked {
        assert_eq!(reader.finish_at_eof(), Err(BodyError::Truncated));
    }
    Outcome {
        content,
        end: Ok(None),
    }
}

fn read_chunked(input: &[u8]) -> Outcome {
    read(Framing::Chunked, &[input])
}

fn chunked_error(input: &[u8]) -> Option<BodyError> {
    read_chunked(input).end.err()
}

/// Two chunks, an extension with a quoted part, two trailer fields.
const CHUNKED: &[u8] = b"5\r\nhello\r\n00B;a=\"b;\"\r\n wide world\r\n0\r\nX-A: 1\r\nx-b:\r\n\r\n";

#[test]
fn a_reader_is_small() {
    assert!(size_of::<BodyReader>() <= 24, "{}", size_of::<BodyReader>());
}

#[test]
fn a_message_without_content_is_done_at_once() {
    for framing in [Framing::None, Framing::Length(0)] {
        let mut reader = BodyReader::new(framing);
        assert!(reader.is_done());
        assert_eq!(
            reader.step(b"GET / HTTP/1.1"),
            Ok(BodyStep::End { used: 0 })
        );
        assert_eq!(reader.finish_at_eof(), Ok(()));
    }
}

#[test]
fn a_length_ends_the_message_and_leaves_the_next_one() {
    let mut reader = BodyReader::new(Framing::Length(5));
    assert_eq!(reader.step(b""), Ok(BodyStep::NeedMore { used: 0 }));
    assert_eq!(reader.step(b"hel"), Ok(BodyStep::Data { start: 0, end: 3 }));
    assert_eq!(reader.finish_at_eof(), Err(BodyError::Truncated));
    assert_eq!(
        reader.step(b"loGET"),
        Ok(BodyStep::Data { start: 0, end: 2 })
    );
    assert!(reader.is_done());
    assert_eq!(reader.step(b"GET"), Ok(BodyStep::End { used: 0 }));
}

#[test]
fn the_longest_length_does_not_overflow() {
    let mut reader = BodyReader::new(Framing::Length(CONTENT_LEN_MAX));
    assert_eq!(reader.step(b"abc"), Ok(BodyStep::Data { start: 0, end: 3 }));
    assert_eq!(
        reader,
        BodyReader::Length {
            left: CONTENT_LEN_MAX - 3
        }
    );
}

#[test]
fn until_close_takes_everything_and_may_end_anywhere() {
    let mut reader = BodyReader::new(Framing::UntilClose);
    assert_eq!(reader.step(b""), Ok(BodyStep::NeedMore { used: 0 }));
    assert_eq!(
        reader.step(b"0\r\n\r\n"),
        Ok(BodyStep::Data { start: 0, end: 5 })
    );
    assert!(!reader.is_done());
    assert_eq!(reader.finish_at_eof(), Ok(()));
}

#[test]
fn chunks_are_read_and_extensions_and_trailers_dropped() {
    let input = [CHUNKED, b"GET / HTTP/1.1\r\n"].concat();
    let outcome = read_chunked(&input);
    assert_eq!(outcome.content, b"hello wide world");
    assert_eq!(outcome.end, Ok(Some(CHUNKED.len())));
}

#[test]
fn a_chunk_is_handed_on_without_the_line_before_it() {
    let mut reader = BodyReader::new(Framing::Chunked);
    assert_eq!(
        reader.step(b"5\r\nhel"),
        Ok(BodyStep::Data { start: 3, end: 6 })
    );
    assert_eq!(
        reader.step(b"lo\r\n1"),
        Ok(BodyStep::Data { start: 0, end: 2 })
    );
    assert_eq!(reader.step(b"\r\n1"), Ok(BodyStep::NeedMore { used: 3 }));
    assert_eq!(
        reader.step(b"\r\nxy"),
        Ok(BodyStep::Data { start: 2, end: 3 })
    );
}

#[test]
fn a_chunked_message_cut_anywhere_is_unfinished_and_goes_on() {
    let whole = read_chunked(CHUNKED);
    for cut in 0..CHUNKED.len() {
        let (front, back) = CHUNKED.split_at(cut);
        assert_eq!(
            read(Framing::Chunked, &[front]).end,
            Ok(None),
            "cut at {cut}"
        );
        assert_eq!(
            read(Framing::Chunked, &[front, back]),
            whole,
            "cut at {cut}"
        );
    }
}

#[test]
fn sizes_that_other_parsers_read_differently_are_refused() {
    for line in [
        "", " 5", "5 ", "+5", "-1", "0x5", "5\t;a", "5 ;a", ";a", "g", "5,", "5\0", "_5", "5\x0b",
        "\u{665}", "5;\0", "5;a\x7f", "5;a\x08",
    ] {
        let bytes = format!("{line}\r\nhello\r\n0\r\n\r\n");
        assert_eq!(
            chunked_error(bytes.as_bytes()),
            Some(BodyError::InvalidChunkSize),
            "{line:?}"
        );
    }
}

#[test]
fn chunk_lines_end_in_crlf_exactly() {
    for bytes in [
        "5\nhello",
        "5;a\nhello",
        "5\r5",
        "5\r\r\n",
        "5;a\rb\r\n",
        "\n5",
        "\r\n5\r\n",
    ] {
        assert_eq!(
            chunked_error(bytes.as_bytes()),
            Some(BodyError::InvalidChunkSize),
            "{bytes:?}"
        );
    }
}

#[test]
fn data_is_followed_by_crlf_exactly() {
    for bytes in [
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\ra",
        "1\r\na\r\r\n",
        "1\r\na0\r\n",
        "1\r\na \r\n",
    ] {
        assert_eq!(
            chunked_error(bytes.as_bytes()),
            Some(BodyError::InvalidChunkSuffix),
            "{bytes:?}"
        );
    }
}

#[test]
fn chunk_sizes_are_taken_up_to_the_limit() {
    for (size, expected) in [
        ("7ffffffffffffffe", None),
        ("7fffffffffffffff", None),
        ("8000000000000000", Some(BodyError::ChunkTooLarge)),
        ("ffffffffffffffff", Some(BodyError::ChunkTooLarge)),
        ("10000000000000001", Some(BodyError::ChunkTooLarge)),
        ("fffffffffffffffffff", Some(BodyError::ChunkTooLarge)),
        ("00000000000000000001", None),
    ] {
        let bytes = format!("{size}\r\n");
        assert_eq!(chunked_error(bytes.as_bytes()), expected, "{size}");
    }
}

#[test]
fn a_chunk_line_has_a_longest_length() {
    let max = usize::from(CHUNK_LINE_LEN_MAX);
    let too_long = Some(BodyError::ChunkLineTooLong {
        max: CHUNK_LINE_LEN_MAX,
    });
    for (len, expected) in [(max - 1, None), (max, None), (max + 1, too_long)] {
        let extended = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(len - 2));
        assert_eq!(
            chunked_error(extended.as_bytes()),
            expected,
            "extension, {len}"
        );
        let padded = format!("{}1\r\nx\r\n0\r\n\r\n", "0".repeat(len - 1));
        assert_eq!(chunked_error(padded.as_bytes()), expected, "zeros, {len}");
    }
    // The peer need not end the line to be refused, and each line is counted anew.
    assert_eq!(chunked_error(&vec![b'0'; max + 1]), too_long);
    let line = format!("1;{}\r\nx\r\n", "e".repeat(max - 2));
    assert_eq!(
        read_chunked(line.repeat(9).as_bytes()).content,
        b"xxxxxxxxx"
    );
}

#[test]
fn a_trailer_section_has_a_longest_length() {
    let max = usize::from(TRAILERS_LEN_MAX);
    let too_large = Some(BodyError::TrailersTooLarge {
        max: TRAILERS_LEN_MAX,
    });
    for (len, expected) in [(max - 1, None), (max, None), (max + 1, too_large)] {
        let bytes = format!("0\r\na:{}\r\n\r\n", "v".repeat(len - 6));
        assert_eq!(bytes.len() - 3, len);
        assert_eq!(chunked_error(bytes.as_bytes()), expected, "{len}");
    }
    let many = format!("0\r\n{}", "a: b\r\n".repeat(max / 6 + 1));
    assert_eq!(chunked_error(many.as_bytes()), too_large);
}

#[test]
fn trailers_that_are_no_fields_are_refused() {
    for section in [
        "a\r\n",
        ":b\r\n",
        " a: b\r\n",
        "a: b\r\n c\r\n",
        "a : b\r\n",
        "a: \0\r\n",
        "a: b\n\r\n",
        "a: b\rc\r\n",
        "\n",
        "\r\r\n",
        "a: b\r\n\ra",
        "a\u{e4}: b\r\n",
        "a: b\x7f\r\n",
    ] {
        let bytes = format!("0\r\n{section}\r\n");
        assert_eq!(
            chunked_error(bytes.as_bytes()),
            Some(BodyError::InvalidTrailer),
            "{section:?}"
        );
    }
}

#[test]
fn the_texts_are_those_that_clients_know() {
    assert_eq!(
        BodyError::InvalidChunkSize.to_string(),
        "invalid chunk size"
    );
    assert_eq!(BodyError::ChunkTooLarge.to_string(), "chunk too large");
    assert_eq!(
        BodyError::InvalidChunkSuffix.to_string(),
        "invalid chunk suffix"
    );
}

/// Random content in random chunks, with random extensions and trailers now and then.
fn random_message(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let (mut wire, mut content) = (Vec::new(), Vec::new());
    for _ in 0..random.below(6) {
        let chunk: Vec<u8> = (0..=random.below(40)).map(|_| random.byte()).collect();
        if random.below(3) == 0 {
            wire.extend_from_slice(format!("{:04X};x=\"y\"\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(&chunk);
            wire.extend_from_slice(encode::CRLF);
        } else {
            encode::chunk(&mut wire, &chunk);
        }
        content.extend_from_slice(&chunk);
    }
    if random.below(2) == 0 {
        wire.extend_from_slice(b"0\r\nX-Sum: 1\r\n\r\n");
    } else {
        wire.extend_from_slice(encode::LAST_CHUNK);
    }
    (wire, content)
}

#[test]
fn what_was_encoded_is_read_back_in_any_split() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let (mut wire, content) = random_message(&mut random);
        let end = Ok(Some(wire.len()));
        wire.extend_from_slice(b"GET / HTTP/1.1\r\n");
        let pieces = random.pieces(&wire);
        assert_eq!(
            read(Framing::Chunked, &pieces),
            Outcome { content, end },
            "seed {seed}"
        );
    }
}

#[test]
fn a_broken_message_ends_the_same_in_any_split() {
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let (mut wire, _) = random_message(&mut random);
        let at = random.below(wire.len());
        wire[at] = if random.below(2) == 0 {
            random.byte()
        } else {
            b"\r\n0;: x"[random.below(7)]
        };
        let whole = read_chunked(&wire);
        let pieces = random.pieces(&wire);
        assert_eq!(read(Framing::Chunked, &pieces), whole, "seed {seed}");
    }
}
