//! Lines 200 to 205: filters that change the content of items.

use super::*;

fn var_subst<'d>(meta: &'d [(&'d str, &'d str)], content: &'d str) -> Delivery<'d> {
    Delivery {
        filters: &["var-subst"],
        meta,
        content,
        ..PLAIN
    }
}

fn build_id<'d>(meta: &'d [(&'d str, &'d str)], content: &'d str) -> Delivery<'d> {
    Delivery {
        filters: &["build-id"],
        meta,
        positions: &[("a", "8"), ("b", "3")],
        content,
        ..PLAIN
    }
}

// Lines 200 to 202.

#[test]
fn var_subst_fills_in_variables() {
    let delivery = var_subst(&[("user", "al")], "hi %(user)s 100%%");
    assert_eq!(delivery.sent(), "hi al 100%");
}

#[test]
fn var_subst_leaves_content_without_directives_alone() {
    assert_eq!(var_subst(&[("user", "al")], "hi").verdict(), Verdict::Pass);
    assert_eq!(var_subst(&[("user", "al")], "").verdict(), Verdict::Pass);
}

#[test]
fn var_subst_fails_for_an_unknown_variable_rather_than_sending_nothing() {
    assert_eq!(
        var_subst(&[], "hi %(user)s").failure(),
        "no value for 'user'"
    );
}

#[test]
fn var_subst_takes_an_empty_variable_but_not_one_without_value() {
    assert_eq!(var_subst(&[("user", "")], "hi %(user)s!").sent(), "hi !");
    let meta = Meta::new(vec![("user".into(), None)]);
    let context = Context {
        meta: &meta,
        item_meta: &[],
        is_subscribed: &|_| false,
        position: &|_| None,
    };
    let verdict = run(
        filters(&["var-subst"]),
        0,
        &context,
        b"%(user)s",
        &mut Vec::new(),
    );
    assert!(
        matches!(verdict, Verdict::Failed(FilterError::Template(_))),
        "{verdict:?}"
    );
}

// Lines 203 to 205, for items.

#[test]
fn build_id_renders_the_position_that_the_item_brings() {
    assert_eq!(build_id(&[("id_format", "%(a)s")], "at %I").sent(), "at 8");
}

#[test]
fn build_id_renders_several_channels_and_the_same_id_every_time() {
    let delivery = build_id(&[("id_format", "%(a)s-%(b)s%%")], "%I %I 5%%");
    assert_eq!(delivery.sent(), "8-3% 8-3% 5%");
}

#[test]
fn build_id_writes_literals() {
    assert_eq!(build_id(&[("id_format", "x")], "<%(abc)I>").sent(), "<abc>");
}

#[test]
fn build_id_writes_ids_and_literals_in_hex_when_asked() {
    let meta = [("id_format", "%(a)s,\u{e9}"), ("id_encoding", "hex")];
    assert_eq!(build_id(&meta, "%I %(abc)I z").sent(), "382cc3a9 616263 z");
}

#[test]
fn build_id_fails_without_id_format_even_when_nothing_asks_for_an_id() {
    assert_eq!(build_id(&[], "%I").failure(), "no sub meta 'id_format'");
    assert_eq!(build_id(&[], "plain").failure(), "no sub meta 'id_format'");
}

#[test]
fn build_id_fails_for_another_encoding_than_hex() {
    for other in ["base64", "HEX", ""] {
        let meta = [("id_format", "x"), ("id_encoding", other)];
        let expected = format!("unsupported encoding: {other}");
        assert_eq!(build_id(&meta, "plain").failure(), expected);
    }
}

#[test]
fn build_id_fails_when_a_channel_of_the_format_has_no_position() {
    let delivery = build_id(&[("id_format", "%(a)s-%(c)s")], "at %I");
    assert_eq!(delivery.failure(), "failed to render ID: no value for 'c'");
}

#[test]
fn build_id_makes_no_id_that_nothing_asks_for() {
    let delivery = build_id(&[("id_format", "%(c)s")], "%(x)I");
    assert_eq!(delivery.sent(), "x");
}

#[test]
fn build_id_knows_no_other_letter() {
    let meta = [("id_format", "x")];
    assert_eq!(build_id(&meta, "%s").failure(), "unknown directive 's'");
    assert_eq!(build_id(&meta, "%i").failure(), "unknown directive 'i'");
    assert_eq!(build_id(&meta, "%(a)s").failure(), "unknown directive 's'");
}

#[test]
fn build_id_fails_on_content_that_ends_within_a_directive() {
    for content in ["a%", "a%(b", "a%(b\\", "a%(b)"] {
        let failure = build_id(&[("id_format", "x")], content).failure();
        assert_eq!(failure, "unfinished directive", "{content:?}");
    }
}
