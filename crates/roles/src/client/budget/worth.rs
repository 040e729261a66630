//! Units: what a payment is counted in. Dollars of all networks add up, and so do known assets of one ticker.

use super::{Candidate, money_cap};
use std::fmt;
use tollway_core::{Amount, Money};

/// Digits after the point in which dollars and tickers are counted. Assets with more are rounded up.
pub(super) const MONEY_DECIMALS: u8 = 18;

/// A unit that payments are counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// Dollars, over all networks.
    Dollar,
    /// Known assets of this ticker, upper case, over all networks.
    Ticker(String),
    /// Atomic units of one asset: network and canonical address.
    Asset { network: String, address: String },
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dollar => f.write_str("$"),
            Self::Ticker(symbol) => f.write_str(symbol),
            Self::Asset { network, address } => write!(f, "{network}/{address}"),
        }
    }
}

impl Unit {
    /// Whether a limit is in this unit.
    pub(super) fn is_in(&self, limit: &Money) -> bool {
        match self {
            Self::Dollar => limit.symbol().is_none(),
            Self::Ticker(symbol) => limit.symbol() == Some(symbol),
            Self::Asset { .. } => false,
        }
    }

    /// A limit's cap on this unit, if it is one.
    pub(super) fn cap(&self, limit: Option<&Money>) -> Result<Option<Amount>, String> {
        limit.filter(|limit| self.is_in(limit)).map(money_cap).transpose()
    }

    /// An amount for people.
    pub(super) fn show(&self, amount: Amount) -> String {
        match self {
            Self::Dollar => format!("${}", amount.to_decimal(MONEY_DECIMALS)),
            Self::Ticker(symbol) => format!("{} {symbol}", amount.to_decimal(MONEY_DECIMALS)),
            Self::Asset { .. } => format!("{amount} units of {self}"),
        }
    }
}

/// What a payment counts, in each unit it counts in.
pub(super) fn units(candidate: &Candidate) -> Result<Vec<(Unit, Amount)>, String> {
    let Candidate { offer, network } = candidate;
    let address = network.canonical(&offer.asset).map_err(|why| why.to_string())?;
    let mut units = vec![(Unit::Asset { network: offer.network.to_string(), address }, offer.amount)];
    if let Some(asset) = network.asset(&offer.asset) {
        let worth = scaled(offer.amount, asset.decimals).ok_or("the amount is too large to be counted")?;
        if asset.dollar || network.assets().first().is_some_and(|first| first.address == asset.address) {
            units.push((Unit::Dollar, worth));
        }
        units.push((Unit::Ticker(asset.symbol.to_ascii_uppercase()), worth));
    }
    Ok(units)
}

/// Atomic units of an asset in units of [`MONEY_DECIMALS`], rounded up; `None` if that is too much to count.
fn scaled(amount: Amount, decimals: u8) -> Option<Amount> {
    let digits = amount.to_string();
    if decimals <= MONEY_DECIMALS {
        let zeros = usize::from(MONEY_DECIMALS.saturating_sub(decimals));
        return match amount.is_zero() {
            true => Some(Amount::ZERO),
            false => format!("{digits}{}", "0".repeat(zeros)).parse().ok(),
        };
    }
    let cut = usize::from(decimals.saturating_sub(MONEY_DECIMALS));
    let (kept, rest) = digits.split_at(digits.len().saturating_sub(cut));
    let kept: Amount = if kept.is_empty() { Amount::ZERO } else { kept.parse().ok()? };
    match rest.bytes().any(|digit| digit != b'0') {
        true => kept.checked_add(Amount::from(1)),
        false => Some(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_cannot_be_shown_exactly_counts_as_more() {
        assert_eq!(scaled(Amount::from(1), 6), Some("1000000000000".parse().unwrap()));
        assert_eq!(scaled(Amount::from(7), 18), Some(Amount::from(7)));
        assert_eq!(scaled(Amount::from(100), 20), Some(Amount::from(1)));
        assert_eq!(scaled(Amount::from(101), 20), Some(Amount::from(2)));
        assert_eq!(scaled(Amount::from(1), 255), Some(Amount::from(1)));
        assert_eq!(scaled(Amount::ZERO, 0), Some(Amount::ZERO));
        assert_eq!(scaled(Amount::MAX, 6), None);
    }

    proptest! {
        #[test]
        fn nothing_becomes_less(amount: u64, decimals in 0u8..=40) {
            let worth = scaled(Amount::from(amount), decimals).unwrap();
            // In the finer of both units, what is counted is never below what is paid.
            let zeros = |count: u8| "0".repeat(usize::from(count));
            let fine = |amount: Amount, more: u8| match amount.is_zero() {
                true => Amount::ZERO,
                false => format!("{amount}{}", zeros(more)).parse().unwrap(),
            };
            let finest = decimals.max(MONEY_DECIMALS);
            let (counted, paid) = (fine(worth, finest - MONEY_DECIMALS), fine(Amount::from(amount), finest - decimals));
            prop_assert!(counted >= paid);
            prop_assert!(counted.checked_sub(paid).unwrap() < fine(Amount::from(1), finest - MONEY_DECIMALS));
        }
    }
}
