//! [`Explanation`]: why each offer was kept, ranked or dropped.

use super::{Liking, Preferences};
use std::fmt;
use tollway_core::{Network, PaymentRequirements};

/// What became of the offers, the best first, those that were dropped last. Prints a line for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The offers.
    pub offers: Vec<Explained>,
}

/// What became of one offer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// The offer, for people.
    pub offer: String,
    /// Its place, from 1; `None` if it was dropped.
    pub place: Option<usize>,
    /// Why.
    pub why: String,
}

impl Explanation {
    /// From what was kept, in any order, and what was dropped.
    pub(crate) fn new(preferences: &Preferences, kept: &[(String, Liking)], dropped: &[(String, String)]) -> Self {
        let likings: Vec<_> = kept.iter().map(|(_, liking)| liking).collect();
        let scores = preferences.scores(&likings);
        let places = preferences.order(&likings).into_iter().zip(1..);
        let kept = places.map(|(at, place)| {
            let (offer, liking) = &kept[at];
            Explained { offer: offer.clone(), place: Some(place), why: preferences.reason(liking, scores[at]) }
        });
        let dropped =
            dropped.iter().map(|(offer, why)| Explained { offer: offer.clone(), place: None, why: why.clone() });
        Self { offers: kept.chain(dropped).collect() }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offers.is_empty() {
            return f.write_str("there are no offers\n");
        }
        self.offers.iter().try_for_each(|Explained { offer, place, why }| match place {
            Some(place) => writeln!(f, "{place}. {offer}: {why}"),
            None => writeln!(f, "-  {offer}: dropped: {why}"),
        })
    }
}

/// An offer on an open network, for people.
pub(crate) fn shown(offer: &PaymentRequirements, network: &dyn Network) -> String {
    let price = match network.asset(&offer.asset) {
        Some(asset) => format!("{} {}", offer.amount.to_decimal(asset.decimals), asset.symbol),
        None => format!("{} units of {}", offer.amount, offer.asset),
    };
    format!("{} on {}, {price}", offer.scheme, offer.network)
}
