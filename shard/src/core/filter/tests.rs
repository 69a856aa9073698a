//! Lines 197 to 214 of the reference's checklist as far as values decide them, and runs over
//! several filters.

mod content;
mod delivery;
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
fn only_build_id_works_on_bodies_of_instructs() {
    for filter in Filter::ALL {
        let name = filter.name();
        let one = filters(&[name]);
        assert_eq!(one.has_response_filter(), name == "build-id", "{name}");
    }
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
