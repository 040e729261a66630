//! Matching what a client says it accepted against what was offered (specification v2, "Matching").

use crate::PaymentRequirements;
use crate::json::is_subset;

/// Whether `accepted` is `offered`: every member but `extra` is equal, and the offer's `extra` is contained in the
/// client's, which may carry more. Members of `extra` named in `dynamic` are hints that change from challenge to
/// challenge and are not compared.
///
/// From here on use the offer, never the client's copy.
pub fn matches_offer(offered: &PaymentRequirements, accepted: &PaymentRequirements, dynamic: &[&str]) -> bool {
    let same = offered.scheme == accepted.scheme
        && offered.network == accepted.network
        && offered.amount == accepted.amount
        && offered.asset == accepted.asset
        && offered.pay_to == accepted.pay_to
        && offered.max_timeout_seconds == accepted.max_timeout_seconds
        && offered.other == accepted.other;
    same && offered
        .extra
        .iter()
        .flatten()
        .filter(|(key, _)| !dynamic.contains(&key.as_str()))
        .all(|(key, value)| accepted.extra_member(key).is_some_and(|other| is_subset(value, other)))
}
