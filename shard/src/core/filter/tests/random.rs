//! Random bytes and random chains of filters.

use super::*;

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    fn bytes(&mut self, alphabet: &[u8]) -> Vec<u8> {
        let len = self.below(24);
        (0..len)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }

    fn filters(&mut self) -> Filters {
        let names: Vec<_> = (0..self.below(FILTERS_MAX + 1))
            .map(|_| String::from(Filter::ALL[self.below(Filter::ALL.len())].name()))
            .collect();
        Filters::parse(&names)
    }
}

/// What runs are made with: everything that a template could ask for.
fn full_meta(encoding: &str) -> Meta {
    meta(&[
        ("a", "1%%(b)s"),
        ("b", ""),
        ("id_encoding", encoding),
        ("id_format", "%(a)s%(\\b)s"),
        ("url", "/x"),
    ])
}

fn position(channel: &str) -> Option<&'static str> {
    matches!(channel, "a" | "b").then_some("7%I")
}

#[test]
fn random_content_never_panics_and_leaves_the_buffer_in_order() {
    let mut random = Random(0x5eed);
    let meta = full_meta("hex");
    let context = Context {
        meta: &meta,
        item_meta: &[],
        is_subscribed: &|_| true,
        position: &|channel| position(channel),
    };
    for round in 0..50_000 {
        let content = random.bytes(b"%%%%()\\absI\xff\x00\xc3\xa9");
        let filters = random.filters();
        let mut out = b"old".to_vec();
        let from = random.below(3);
        let verdict = run(filters, from, &context, &content, &mut out);
        assert!(out.starts_with(b"old"), "round {round}");
        let may_write = matches!(
            verdict,
            Verdict::Changed
                | Verdict::Ask {
                    is_changed: true,
                    ..
                }
        );
        assert!(may_write || out.len() == 3, "round {round}: {verdict:?}");
    }
}

#[test]
fn random_content_without_percent_signs_passes_unchanged() {
    let mut random = Random(0xbeef);
    let meta = full_meta("hex");
    let context = Context {
        meta: &meta,
        item_meta: &[],
        is_subscribed: &|_| true,
        position: &|channel| position(channel),
    };
    for _round in 0..20_000 {
        let content = random.bytes(b"()\\absI\xff\x00\xc3");
        let filters = random.filters();
        let mut out = Vec::new();
        let verdict = run(filters, 0, &context, &content, &mut out);
        let is_passed = matches!(
            verdict,
            Verdict::Pass
                | Verdict::Ask {
                    is_changed: false,
                    ..
                }
        );
        assert!(is_passed && out.is_empty(), "{verdict:?} {content:?}");
    }
}

#[test]
fn a_body_in_any_pieces_becomes_what_the_whole_content_becomes() {
    let mut random = Random(0xcafe);
    let meta = meta(&[("id_format", "%(missing)s"), ("id_encoding", "hex")]);
    let context = Context {
        meta: &meta,
        item_meta: &[],
        is_subscribed: &|_| true,
        position: &|channel| position(channel),
    };
    for _round in 0..20_000 {
        let content = random.bytes(b"%%%()\\aIIz");
        let mut whole = Vec::new();
        let verdict = run(filters(&["build-id"]), 0, &context, &content, &mut whole);
        if verdict == Verdict::Pass {
            whole.clone_from(&content);
        }
        let mut filter = ResponseFilter::new(&meta).unwrap();
        let mut pieces = Vec::new();
        let mut rest = content.as_slice();
        let mut is_done = true;
        while is_done && !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + random.below(rest.len()));
            is_done = filter.piece(piece, &mut pieces).is_ok();
            rest = behind;
        }
        is_done = is_done && filter.end().is_ok();
        let is_failed = matches!(verdict, Verdict::Failed(_));
        assert_eq!(is_done, !is_failed, "{content:?}");
        assert!(is_failed || pieces == whole, "{content:?}");
    }
}
