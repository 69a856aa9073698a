//! Lines 197 to 199 and 210: filters that keep or drop.

use super::*;

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

// Line 210.

#[test]
fn filters_run_on_items_without_content() {
    assert_eq!(skip_self("al", "al"), Verdict::Drop);
}
