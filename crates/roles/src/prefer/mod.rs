//! What a role likes best, in words, and what that makes of its offers. The same for clients and servers.
//!
//! `avoid` comes first, then `only`, then `prefer`, then the weights, then the order in which the offers came.

mod explain;
mod price;
mod word;

pub(crate) use explain::shown;
pub use explain::{Explained, Explanation};
pub(crate) use price::Worth;
pub(crate) use word::Known;

use std::cmp::Reverse;
use std::time::Duration;
use tollway_core::{Network, NetworkId, NetworkWords, Object, PreferencesConfig, Weights};
use word::{Facet, Word};

/// Most words of `prefer`: each is a bit of an offer's rank.
const MOST: usize = u64::BITS as usize;

/// The bits of an offer's rank, the highest first.
fn bits() -> impl Iterator<Item = u64> {
    (0..u64::BITS).rev().map(|bit| 1 << bit)
}

/// What is judged: an offer that was made, or one that could be.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) network: &'a NetworkId,
    pub(crate) words: &'a NetworkWords,
    pub(crate) scheme: &'a str,
    /// The network, once it is open. Until then nothing is said about assets.
    pub(crate) open: Option<&'a dyn Network>,
    /// The asset's address, once it is known.
    pub(crate) asset: Option<&'a str>,
    /// The facilitator's name, where this role knows it.
    pub(crate) facilitator: Option<&'a str>,
    pub(crate) extra: Option<&'a Object>,
}

/// How well an offer is liked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Liking {
    /// A bit for each word of `prefer` that holds, the first word's the highest: greater is better.
    pub(crate) preferred: u64,
    pub(crate) worth: Option<Worth>,
    pub(crate) pace: Option<Duration>,
}

/// Preferences, understood.
#[derive(Debug, Default)]
pub(crate) struct Preferences {
    prefer: Vec<Word>,
    avoid: Vec<Word>,
    only: Vec<Word>,
    weights: Weights,
}

impl Preferences {
    /// Understands preferences.
    ///
    /// # Errors
    /// A word that means nothing here, or contradicts another; says which, and what to write instead.
    pub(crate) fn parse(config: &PreferencesConfig, known: &Known) -> Result<Self, String> {
        let list = |name: &str, words: &[String]| -> Result<Vec<Word>, String> {
            words.iter().map(|word| Word::parse(word, known).map_err(|why| format!("{name}: {why}"))).collect()
        };
        let prefer = list("prefer", &config.prefer)?;
        let (avoid, only) = (list("avoid", &config.avoid)?, list("only", &config.only)?);
        if prefer.len() > MOST {
            return Err(format!("prefer: {} words are more than {MOST}; leave the last ones out", prefer.len()));
        }
        for (name, words) in [("prefer", &prefer), ("only", &only)] {
            if let Some(word) = words.iter().find(|word| avoid.iter().any(|avoided| avoided.is(word))) {
                return Err(format!("`{}` stands in both `{name}` and `avoid`; take it out of one", word.text));
            }
        }
        Ok(Self { prefer, avoid, only, weights: config.weights })
    }

    /// Whether nothing is preferred, avoided or weighed.
    pub(crate) fn is_empty(&self) -> bool {
        self.prefer.is_empty() && self.avoid.is_empty() && self.only.is_empty() && !self.is_weighed()
    }

    fn is_weighed(&self) -> bool {
        self.weights != Weights::default()
    }

    /// Whether the best offer can be known only when all have been looked at, networks opened.
    pub(crate) fn compares(&self) -> bool {
        self.is_weighed() || self.prefer.iter().any(|word| word.facet() == Facet::Asset)
    }

    /// Why an offer is out of the question; `None` if it is not, as far as can be told yet.
    pub(crate) fn refusal(&self, subject: &Subject<'_>) -> Option<String> {
        if let Some(word) = self.avoid.iter().find(|word| word.holds(subject) == Some(true)) {
            return Some(format!("`{}` is avoided", word.text));
        }
        let facets = [Facet::Network, Facet::Realm, Facet::Asset, Facet::Facilitator, Facet::Scheme];
        facets.into_iter().find_map(|facet| {
            let words = || self.only.iter().filter(|word| word.facet() == facet);
            let held = words().any(|word| word.holds(subject) != Some(false));
            if held || words().next().is_none() {
                return None;
            }
            let words: Vec<_> = words().map(|word| format!("`{}`", word.text)).collect();
            Some(format!("only {} will do", words.join(" or ")))
        })
    }

    /// A bit for each preferred word that holds, the first word's the highest.
    pub(crate) fn preferred(&self, subject: &Subject<'_>) -> u64 {
        let held = self.prefer.iter().zip(bits()).filter(|(word, _)| word.holds(subject) == Some(true));
        held.fold(0, |sum, (_, bit)| sum | bit)
    }

    /// The preferred words behind such bits.
    fn words(&self, preferred: u64) -> Vec<&str> {
        let words = self.prefer.iter().zip(bits());
        words.filter(|(_, bit)| preferred & bit != 0).map(|(word, _)| word.text.as_str()).collect()
    }

    /// Which of several to take first: their places, the best first. Equals stay in their order.
    pub(crate) fn order(&self, all: &[&Liking]) -> Vec<usize> {
        let scores = self.scores(all);
        let mut places: Vec<_> = (0..all.len()).collect();
        places.sort_by(|a, b| {
            let by_words = Reverse(all[*a].preferred).cmp(&Reverse(all[*b].preferred));
            let by_score = || scores[*a].cmp(&scores[*b]);
            let by_price = || match self.weights.price {
                0 => std::cmp::Ordering::Equal,
                _ => price::cheaper(all[*a].worth.as_ref(), all[*b].worth.as_ref()),
            };
            by_words.then_with(by_score).then_with(by_price)
        });
        places
    }

    fn scores(&self, all: &[&Liking]) -> Vec<u128> {
        match self.is_weighed() {
            true => {
                let counted: Vec<_> = all.iter().map(|liking| (liking.worth.as_ref(), liking.pace)).collect();
                price::scores(self.weights, &counted)
            }
            false => vec![0; all.len()],
        }
    }

    /// Why an offer is where it is.
    fn reason(&self, liking: &Liking, score: u128) -> String {
        let mut reasons = Vec::new();
        match self.words(liking.preferred).as_slice() {
            [] if self.prefer.is_empty() => {}
            [] => reasons.push("no preferred word holds".to_owned()),
            words => {
                let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                reasons.push(format!("preferred for {}", words.join(", ")));
            }
        }
        if self.is_weighed() {
            reasons.push(format!("weighs {score}, less is better"));
        }
        if reasons.is_empty() { "in the order of the offers".to_owned() } else { reasons.join("; ") }
    }
}
