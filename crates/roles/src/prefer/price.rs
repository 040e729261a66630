//! Comparing what offers cost and how long they take: checked integers, never floats.

use std::cmp::Ordering;
use std::time::Duration;
use tollway_core::{Amount, Network, Weights};

/// Digits after the point in which prices are compared. An amount that needs more is not compared.
const DIGITS: u8 = 24;
/// What the cheapest and the quickest of several count.
const BEST: u128 = 1000;

/// What an offer costs, in a unit that others may share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worth {
    /// The ticker, or `None` for dollars, whatever they are called.
    unit: Option<String>,
    /// In 10⁻²⁴ of the unit.
    amount: Amount,
}

impl Worth {
    /// What so much of a known asset is worth.
    pub(crate) fn of(network: &dyn Network, asset: &str, amount: Amount) -> Option<Self> {
        let asset = network.asset(asset)?;
        let first = network.assets().first().is_some_and(|first| first.address == asset.address);
        let unit = (!asset.dollar && !first).then(|| asset.symbol.to_ascii_uppercase());
        Some(Self { unit, amount: amount.rescale(asset.decimals, DIGITS)? })
    }

    fn number(&self) -> u128 {
        let bytes = self.amount.to_be_bytes();
        let (high, low) = bytes.split_at(16);
        match (high.iter().all(|b| *b == 0), low.try_into()) {
            (true, Ok(low)) => u128::from_be_bytes(low),
            _ => u128::MAX,
        }
    }
}

/// Scores, less is better: how many times the cheapest price and the shortest time each is, by weight. What is not
/// known counts as the worst that is. Prices are compared in one unit: the dollar, or else the first that is known.
pub(super) fn scores(weights: Weights, all: &[(Option<&Worth>, Option<Duration>)]) -> Vec<u128> {
    let units = || all.iter().filter_map(|(worth, _)| Some(&(*worth)?.unit));
    let unit = units().find(|unit| unit.is_none()).or(units().next());
    let price = |worth: &Worth| (Some(&worth.unit) == unit).then(|| worth.number());
    let prices: Vec<_> = all.iter().map(|(worth, _)| worth.and_then(price)).collect();
    let paces: Vec<_> = all.iter().map(|(_, pace)| pace.map(|pace| pace.as_micros())).collect();
    let (prices, paces) = (relative(&prices), relative(&paces));
    let weighed = |weight: u16, relative: u128| u128::from(weight).saturating_mul(relative);
    let both = prices.iter().zip(paces);
    both.map(|(price, pace)| weighed(weights.price, *price).saturating_add(weighed(weights.latency, pace))).collect()
}

/// Each as so many thousandths of the least.
fn relative(values: &[Option<u128>]) -> Vec<u128> {
    let least = values.iter().flatten().min().copied().unwrap_or_default().max(1);
    // In two parts, since the product with the whole may not fit.
    let share = |value: u128| {
        let (whole, rest) = (value / least, value % least);
        let rest = rest.checked_mul(BEST).map_or_else(|| rest / (least / BEST), |scaled| scaled / least);
        whole.saturating_mul(BEST).saturating_add(rest.min(BEST - 1))
    };
    let worst = values.iter().flatten().max().copied().map_or(BEST, share);
    values.iter().map(|value| value.map_or(worst, share)).collect()
}

/// Which of two prices is less, where their scores are too coarse to tell.
pub(super) fn cheaper(a: Option<&Worth>, b: Option<&Worth>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if a.unit == b.unit => a.amount.cmp(&b.amount),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dollars(amount: u64, decimals: u8) -> Worth {
        Worth { unit: None, amount: Amount::from(amount).rescale(decimals, DIGITS).unwrap() }
    }

    const PRICE: Weights = Weights { price: 1, latency: 0 };

    fn by_price(all: &[Worth]) -> Vec<u128> {
        scores(PRICE, &all.iter().map(|worth| (Some(worth), None)).collect::<Vec<_>>())
    }

    #[test]
    fn the_same_price_with_other_decimals_is_the_same_price() {
        let scores = by_price(&[dollars(10_000, 6), dollars(1, 2), dollars(10_000_000_000_000_000, 18)]);
        assert_eq!(scores, [1000, 1000, 1000]);
        assert_eq!(cheaper(Some(&dollars(10_000, 6)), Some(&dollars(1, 2))), Ordering::Equal);
        assert_eq!(cheaper(Some(&dollars(9_999_999, 9)), Some(&dollars(1, 2))), Ordering::Less);
    }

    #[test]
    fn what_cannot_be_compared_counts_as_the_worst() {
        let euro = Worth { unit: Some("EURC".to_owned()), ..dollars(1, 6) };
        let all = [(Some(&euro), None), (Some(&dollars(5, 2)), None), (Some(&dollars(1, 2)), None), (None, None)];
        assert_eq!(scores(PRICE, &all), [5000, 5000, 1000, 5000]);
    }

    #[test]
    fn price_and_time_are_weighed() {
        let (cheap, dear) = (dollars(1, 2), dollars(2, 2));
        let (quick, slow) = (Some(Duration::from_millis(500)), Some(Duration::from_secs(2)));
        let all = [(Some(&cheap), slow), (Some(&dear), quick)];
        assert_eq!(scores(Weights { price: 4, latency: 1 }, &all), [8000, 9000]);
        assert_eq!(scores(Weights { price: 1, latency: 1 }, &all), [5000, 3000]);
        assert_eq!(scores(Weights::default(), &all), [0, 0]);
    }

    proptest! {
        /// Whatever amounts strangers write, nothing overflows, and the cheaper never scores worse.
        #[test]
        fn cheaper_is_never_worse(a in any::<u64>(), b in any::<u64>(), da in 0u8..=30, db in 0u8..=30) {
            let worth = |amount, decimals| {
                Amount::from(amount).rescale(decimals, DIGITS).map(|amount| Worth { unit: None, amount })
            };
            if let (Some(a), Some(b)) = (worth(a, da), worth(b, db)) {
                let both = by_price(&[a.clone(), b.clone()]);
                prop_assert!((a.amount <= b.amount) <= (both[0] <= both[1]), "{:?}", both);
            }
        }
    }
}
