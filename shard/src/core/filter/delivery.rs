//! Filters that keep or drop an item by its variables alone. None of them allocates.

use super::{Context, meta};

/// `skip-self`: the item's `sender` is the subscription's `user`.
pub(super) fn is_from_self(context: &Context<'_>) -> bool {
    let sender = meta::filled(context.item_meta, "sender");
    sender.is_some() && sender == context.meta.filled("user")
}

/// `skip-users`: the subscription's `user` is in the item's list. Empty entries count for nobody,
/// as an empty `user` is nobody.
pub(super) fn skips_user(context: &Context<'_>) -> bool {
    let Some(skipped) = meta::filled(context.item_meta, "skip_users") else {
        return false;
    };
    let Some(user) = context.meta.filled("user") else {
        return false;
    };
    skipped.split(',').any(|entry| entry.trim() == user)
}

/// `require-sub`: the session is not subscribed to the channel that the item asks for.
pub(super) fn lacks_subscription(context: &Context<'_>) -> bool {
    let required = meta::filled(context.item_meta, "require_sub");
    required.is_some_and(|channel| !(context.is_subscribed)(channel))
}
