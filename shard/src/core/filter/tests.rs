//! Lines 197 to 213 of the reference's checklist as far as values decide them, and runs over
//! several filters.

mod random;

use super::*;

/// The variables of a subscription.
pub(super) fn meta(pairs: &[(&str, &str)]) -> Meta {
    let owned = |(name, value): &(&str, &str)| (String::from(*name), Some(String::from(*value)));
    Meta::new(pairs.iter().map(owned).collect())
}

fn filters(names: &[&str]) -> Filters {
    let names: Vec<_> = names.iter().copied().map(String::from).collect();
    Filters::parse(&names)
}

/// One delivery: what it is made with, and the content that came out.
struct Delivery<'d> {
    filters: &'d [&'d str],
    meta: &'d [(&'d str, &'d str)],
    item_meta: &'d [(&'d str, &'d str)],
    channels: &'d [&'d str],
    positions: &'d [(&'d str, &'d str)],
    content: &'d str,
}

/// No filter, no variable, no channel, no content.
const PLAIN: Delivery<'_> = Delivery {
    filters: &[],
    meta: &[],
    item_meta: &[],
    channels: &[],
    positions: &[],
    content: "",
};

impl Delivery<'_> {
    /// Runs the filters from number `from` on, behind other bytes in the buffer.
    fn run(&self, from: usize) -> (Verdict, String) {
        let meta = meta(self.meta);
        let owned = |(name, value): &(&str, &str)| (Box::from(*name), Box::from(*value));
        let item_meta: Vec<_> = self.item_meta.iter().map(owned).collect();
        let position = |channel: &str| {
            let (_, id) = self.positions.iter().find(|(found, _)| *found == channel)?;
            Some(*id)
        };
        let context = Context {
            meta: &meta,
            item_meta: &item_meta,
            is_subscribed: &|channel| self.channels.contains(&channel),
            position: &position,
        };
        let mut out = b"before|".to_vec();
        let content = self.content.as_bytes();
        let verdict = run(filters(self.filters), from, &context, content, &mut out);
        let new = out.strip_prefix(b"before|").expect("old bytes stay");
        (verdict, String::from_utf8(new.to_vec()).unwrap())
    }

    fn verdict(&self) -> Verdict {
        self.run(0).0
    }

    /// The content that is sent.
    fn sent(&self) -> String {
        match self.run(0) {
            (Verdict::Pass, new) => {
                assert_eq!(new, "", "nothing is written without change");
                self.content.to_owned()
            }
            (Verdict::Changed, new) => new,
            (other, _) => panic!("not sent: {other:?}"),
        }
    }

    /// The text of the failure, which leaves nothing behind.
    fn failure(&self) -> String {
        match self.run(0) {
            (Verdict::Failed(e), new) => {
                assert_eq!(new, "", "nothing is left behind");
                e.to_string()
            }
            (other, _) => panic!("did not fail: {other:?}"),
        }
    }
}

fn skip_self(user: &str, sender: &str) -> Verdict {
    Delivery {
        filters: &["skip-self"],
        meta: &[("user", user)],
        item_meta: &[("sender", sender)],
        ..PLAIN
    }
    .verdict()
}

fn skip_users(user: &str, skipped: &str) -> Verdict {
    Delivery {
        filters: &["skip-users"],
        meta: &[("user", user)],
        item_meta: &[("skip_users", skipped)],
        ..PLAIN
    }
    .verdict()
}

fn require_sub(required: &str, channels: &[&str]) -> Verdict {
    Delivery {
        filters: &["require-sub"],
        item_meta: &[("require_sub", required)],
        channels,
        ..PLAIN
    }
    .verdict()
}

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

// Which filters there are.

#[test]
fn a_subscription_without_filters_passes_everything_unchanged() {
    let delivery = Delivery {
        item_meta: &[("sender", "al")],
        content: "100% %(x)s",
        ..PLAIN
    };
    assert!(filters(&[]).is_empty());
    assert_eq!(delivery.sent(), "100% %(x)s");
}

#[test]
fn unknown_filters_are_skipped() {
    let known: Vec<_> = filters(&["x", "skip-self", "", "var-subst"])
        .iter()
        .collect();
    assert_eq!(known, [Filter::SkipSelf, Filter::VarSubst]);
    assert!(filters(&["x", "y"]).is_empty());
}

#[test]
fn names_of_filters_are_case_sensitive() {
    assert!(filters(&["Skip-Self", "VAR-SUBST", " build-id", "skip_users"]).is_empty());
}

#[test]
fn every_filter_is_found_by_its_name() {
    for filter in Filter::ALL {
        let found: Vec<_> = filters(&[filter.name()]).iter().collect();
        assert_eq!(found, [filter]);
    }
}

#[test]
fn filters_keep_their_order_and_repeats_up_to_the_limit() {
    let names = [
        "var-subst",
        "skip-self",
        "var-subst",
        "build-id",
        "http-check",
    ];
    let kept: Vec<_> = filters(&names).iter().map(Filter::name).collect();
    assert_eq!(kept, names);
    assert_eq!(
        filters(&["skip-self"; FILTERS_MAX + 1]).iter().count(),
        FILTERS_MAX
    );
}

#[test]
fn filters_know_what_they_work_on() {
    let content = ["build-id", "var-subst", "http-modify"];
    let backend = ["http-check", "http-modify"];
    for filter in Filter::ALL {
        let name = filter.name();
        let one = filters(&[name]);
        assert_eq!(one.has_content_filter(), content.contains(&name), "{name}");
        assert_eq!(one.needs_backend(), backend.contains(&name), "{name}");
        assert_eq!(one.has_response_filter(), name == "build-id", "{name}");
    }
}

// Line 197.

#[test]
fn skip_self_drops_what_the_user_sent() {
    assert_eq!(skip_self("al", "al"), Verdict::Drop);
}

#[test]
fn skip_self_passes_what_others_sent() {
    assert_eq!(skip_self("al", "bob"), Verdict::Pass);
    assert_eq!(skip_self("al", "AL"), Verdict::Pass);
}

#[test]
fn skip_self_passes_when_user_or_sender_is_empty_or_missing() {
    assert_eq!(skip_self("", ""), Verdict::Pass);
    assert_eq!(skip_self("al", ""), Verdict::Pass);
    assert_eq!(skip_self("", "al"), Verdict::Pass);
    let nobody = Delivery {
        filters: &["skip-self"],
        ..PLAIN
    };
    assert_eq!(nobody.verdict(), Verdict::Pass);
}

// Line 198.

#[test]
fn skip_users_drops_for_a_user_in_the_list() {
    for list in ["bob, al", "al", " al ,bob", ",,al,", "bob,\tal"] {
        assert_eq!(skip_users("al", list), Verdict::Drop, "{list:?}");
    }
}

#[test]
fn skip_users_passes_for_a_user_not_in_the_list() {
    for list in ["bob,alx", "", ",", "bob al", "AL", "xal"] {
        assert_eq!(skip_users("al", list), Verdict::Pass, "{list:?}");
    }
}

#[test]
fn skip_users_passes_for_an_empty_or_missing_user() {
    assert_eq!(skip_users("", "bob,,al"), Verdict::Pass);
    let nobody = Delivery {
        filters: &["skip-users"],
        item_meta: &[("skip_users", "al,,bob")],
        ..PLAIN
    };
    assert_eq!(nobody.verdict(), Verdict::Pass);
}

// Line 199.

#[test]
fn require_sub_drops_without_a_subscription_of_the_channel() {
    assert_eq!(require_sub("vip", &["news"]), Verdict::Drop);
    assert_eq!(require_sub("vip", &["VIP"]), Verdict::Drop);
}

#[test]
fn require_sub_passes_with_a_subscription_of_the_channel() {
    assert_eq!(require_sub("vip", &["news", "vip"]), Verdict::Pass);
}

#[test]
fn require_sub_passes_items_that_require_nothing() {
    assert_eq!(require_sub("", &["news"]), Verdict::Pass);
    let silent = Delivery {
        filters: &["require-sub"],
        ..PLAIN
    };
    assert_eq!(silent.verdict(), Verdict::Pass);
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

// Line 210.

#[test]
fn filters_run_on_items_without_content() {
    assert_eq!(skip_self("al", "al"), Verdict::Drop);
    assert_eq!(var_subst(&[], "").verdict(), Verdict::Pass);
}

// Lines 211 to 214, for the run.

#[test]
fn backend_filters_end_the_run_with_a_question() {
    for name in ["http-check", "http-modify"] {
        let delivery = Delivery {
            filters: &["skip-self", name],
            meta: &[("url", "/check")],
            content: "x",
            ..PLAIN
        };
        let at_one = Verdict::Ask {
            at: 1,
            is_changed: false,
        };
        assert_eq!(delivery.run(0), (at_one, String::new()), "{name}");
    }
}

#[test]
fn backend_filters_fail_without_url() {
    for name in ["http-check", "http-modify"] {
        for meta in [&[][..], &[("url", "")], &[("URL", "/x")]] {
            let delivery = Delivery {
                filters: &[name],
                meta,
                ..PLAIN
            };
            assert_eq!(delivery.failure(), "missing url value", "{name} {meta:?}");
        }
    }
}

#[test]
fn the_run_goes_on_behind_the_filter_that_asked() {
    let delivery = Delivery {
        filters: &["skip-self", "http-check", "var-subst", "http-modify"],
        meta: &[("url", "/check"), ("user", "al")],
        // Not looked at again: the first filter has run before.
        item_meta: &[("sender", "al")],
        content: "%(user)s",
        ..PLAIN
    };
    let at_last = Verdict::Ask {
        at: 3,
        is_changed: true,
    };
    assert_eq!(delivery.run(2), (at_last, String::from("al")));
    assert_eq!(delivery.run(4), (Verdict::Pass, String::new()));
    assert_eq!(delivery.run(9), (Verdict::Pass, String::new()));
}

// Several filters.

#[test]
fn a_drop_stops_the_filters_behind_it() {
    let delivery = Delivery {
        filters: &["skip-self", "http-check", "build-id"],
        meta: &[("user", "al")],
        item_meta: &[("sender", "al")],
        ..PLAIN
    };
    assert_eq!(delivery.verdict(), Verdict::Drop);
}

#[test]
fn a_drop_or_failure_behind_a_change_leaves_nothing_behind() {
    let dropped = Delivery {
        filters: &["var-subst", "skip-self"],
        meta: &[("user", "al")],
        item_meta: &[("sender", "al")],
        content: "%(user)s",
        ..PLAIN
    };
    assert_eq!(dropped.run(0), (Verdict::Drop, String::new()));
    let failed = Delivery {
        filters: &["var-subst", "http-check"],
        ..dropped
    };
    assert_eq!(failed.failure(), "missing url value");
}

#[test]
fn a_repeated_filter_runs_again_on_what_it_made() {
    let delivery = Delivery {
        filters: &["var-subst", "var-subst"],
        meta: &[("user", "al"), ("x", "%(user)s")],
        content: "%(x)s %%%%",
        ..PLAIN
    };
    assert_eq!(delivery.sent(), "al %");
}

#[test]
fn content_filters_work_on_what_the_one_before_made() {
    let delivery = Delivery {
        filters: &["var-subst", "skip-self", "build-id"],
        meta: &[("user", "al"), ("id_format", "%(a)s")],
        positions: &[("a", "8")],
        content: "%(user)s at %%I",
        ..PLAIN
    };
    assert_eq!(delivery.sent(), "al at 8");
}

#[test]
fn a_filter_that_changes_nothing_keeps_the_change_before_it() {
    let delivery = Delivery {
        filters: &["var-subst", "build-id", "var-subst"],
        meta: &[("user", "al"), ("id_format", "x")],
        content: "hi %(user)s",
        ..PLAIN
    };
    assert_eq!(delivery.sent(), "hi al");
}
