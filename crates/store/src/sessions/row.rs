//! Entitlements as tables keep them.

use crate::ledger::record::clamp;
use crate::trouble::damaged;
use tollway_core::{Amount, Fault};
use tollway_siwx::{Credit, Draw, Entitlement, Left, Scope};

/// The columns of an entitlement `e`, in this order, for every query that reads one.
macro_rules! entitlement_columns {
    () => {
        "e.id, e.owner, e.scope, e.ends, e.kind, e.network, e.asset, e.amount"
    };
}
pub(super) use entitlement_columns;

/// [`entitlement_columns`] as a driver gives them.
pub(super) type EntitlementColumns = (String, String, String, i64, i64, Option<String>, Option<String>, Vec<u8>);

pub(super) const TIME: i64 = 0;
pub(super) const CALLS: i64 = 1;
/// Comes last, so that money is spent when nothing else opens.
const CREDIT: i64 = 2;

/// What is left, in columns: the kind, the asset with its network, and how much.
pub(super) fn columns(left: &Left) -> (i64, Option<&Credit>, Vec<u8>) {
    match left {
        Left::Calls(calls) => (CALLS, None, bytes(Amount::from(*calls))),
        Left::Credit(credit) => (CREDIT, Some(credit), bytes(credit.amount)),
        _ => (TIME, None, bytes(Amount::ZERO)),
    }
}

/// An amount as a column holds it.
pub(super) fn bytes(amount: Amount) -> Vec<u8> {
    amount.to_be_bytes().to_vec()
}

pub(super) fn read(columns: EntitlementColumns) -> Result<Entitlement, Fault> {
    let (id, owner, scope, ends, kind, network, asset, amount) = columns;
    let wrong = |why: &dyn std::fmt::Display| damaged("an entitlement", why);
    let amount = <[u8; 32]>::try_from(amount).map_err(|_| wrong(&"its amount is no 256-bit number"))?;
    let amount = Amount::from_be_bytes(amount);
    let left = match (kind, network, asset) {
        (TIME, ..) => Left::Time,
        (CALLS, ..) => Left::Calls(amount.to_u64().ok_or_else(|| wrong(&"it has too many calls"))?),
        (CREDIT, Some(network), Some(asset)) => {
            let network = network.parse().map_err(|why| wrong(&why))?;
            Left::Credit(Credit::new(network, &asset, amount))
        }
        _ => return Err(wrong(&"it is of no kind")),
    };
    let owner = owner.parse().map_err(|why| wrong(&why))?;
    Ok(Entitlement::new(&id, owner, Scope::from_stored(&scope), ends.unsigned_abs(), left))
}

/// What a call takes, if there is enough.
pub(super) fn price(left: &Left, draw: &Draw<'_>) -> Option<Left> {
    match left {
        Left::Calls(calls) => (*calls > 0).then_some(Left::Calls(1)),
        Left::Credit(credit) => {
            let mut prices = draw.prices.iter().filter(|price| price.is_same_asset(credit));
            prices.find(|price| price.amount <= credit.amount).cloned().map(Left::Credit)
        }
        _ => Some(Left::Time),
    }
}

/// Whether nothing is left.
pub(super) fn is_spent(left: &Left) -> bool {
    match left {
        Left::Calls(calls) => *calls == 0,
        Left::Credit(credit) => credit.amount.is_zero(),
        _ => false,
    }
}

/// A time as a column holds it.
pub(super) fn time(seconds: u64) -> i64 {
    clamp(seconds)
}

/// What is left after something was taken, or `None` if there is not so much, or nothing changes.
pub(super) fn less(left: &Left, taken: &Left) -> Option<Amount> {
    match (left, taken) {
        (Left::Calls(left), Left::Calls(taken)) => left.checked_sub(*taken).map(Amount::from),
        (Left::Credit(left), Left::Credit(taken)) => left.amount.checked_sub(taken.amount),
        _ => None,
    }
}

/// What is left after something was given back, or `None` if nothing changes.
pub(super) fn more(left: &Left, taken: &Left) -> Option<Amount> {
    match (left, taken) {
        (Left::Calls(left), Left::Calls(taken)) => left.checked_add(*taken).map(Amount::from),
        (Left::Credit(left), Left::Credit(taken)) => left.amount.checked_add(taken.amount),
        _ => None,
    }
}
