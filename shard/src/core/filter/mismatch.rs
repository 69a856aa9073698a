//! `content-filters`: the content filters that an item's author counts on (`grip-http.md` section
//! 17.5).

use std::fmt;

use super::Filters;

/// The subscription has other content filters than the item asks for: the item is skipped and does
/// not count as handled. With `debug` on the route the session ends with this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct Mismatch<'i> {
    filters: Filters,
    wanted: &'i [String],
}

/// Compares a subscription's content filters with those of an item, in order and with repeats.
/// `None` when they are the same or the item does not ask; `[]` asks for none at all.
pub(in crate::core) fn content_mismatch(
    filters: Filters,
    wanted: Option<&[String]>,
) -> Option<Mismatch<'_>> {
    let wanted = wanted?;
    let is_same = filters
        .content_names()
        .eq(wanted.iter().map(String::as_str));
    (!is_same).then_some(Mismatch { filters, wanted })
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content filter mismatch: subscription=")?;
        list(f, self.filters.content_names())?;
        f.write_str(" message=")?;
        list(f, self.wanted.iter().map(String::as_str))
    }
}

/// Writes names with commas between them.
fn list<'n>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'n str>) -> fmt::Result {
    for (at, name) in names.enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        f.write_str(name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().copied().map(String::from).collect()
    }

    fn text(filters: &[&str], wanted: Option<&[&str]>) -> Option<String> {
        let wanted = wanted.map(names);
        let filters = Filters::parse(&names(filters));
        content_mismatch(filters, wanted.as_deref()).map(|mismatch| mismatch.to_string())
    }

    #[test]
    fn equal_content_filters_match() {
        assert_eq!(text(&["var-subst"], Some(&["var-subst"])), None);
        assert_eq!(text(&["skip-self", "http-check"], Some(&[])), None);
        let all = ["build-id", "var-subst", "http-modify"];
        assert_eq!(text(&all, Some(&all)), None);
    }

    #[test]
    fn items_without_content_filters_match_every_subscription() {
        assert_eq!(text(&["var-subst"], None), None);
        assert_eq!(text(&[], None), None);
    }

    #[test]
    fn an_empty_list_demands_that_there_are_none() {
        let expected = "content filter mismatch: subscription=var-subst message=";
        assert_eq!(text(&["var-subst"], Some(&[])).as_deref(), Some(expected));
    }

    #[test]
    fn the_text_of_a_mismatch_names_both_lists() {
        let filters = ["build-id", "skip-self", "var-subst"];
        let expected =
            "content filter mismatch: subscription=build-id,var-subst message=var-subst,other";
        let found = text(&filters, Some(&["var-subst", "other"]));
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn order_and_repeats_of_content_filters_count() {
        let differ = |filters: &[&str], wanted: &[&str]| text(filters, Some(wanted)).is_some();
        assert!(differ(
            &["build-id", "var-subst"],
            &["var-subst", "build-id"]
        ));
        assert!(differ(&["var-subst", "var-subst"], &["var-subst"]));
        assert!(differ(&["var-subst"], &["var-subst", "var-subst"]));
        assert!(differ(&["var-subst"], &["Var-Subst"]));
        assert!(!differ(
            &["var-subst", "var-subst"],
            &["var-subst", "var-subst"]
        ));
    }

    #[test]
    fn delivery_filters_are_no_content_filters() {
        assert!(text(&["skip-self"], Some(&["skip-self"])).is_some());
        assert_eq!(
            text(&["skip-self", "skip-users", "require-sub"], Some(&[])),
            None
        );
    }
}
