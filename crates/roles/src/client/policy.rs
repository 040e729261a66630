//! Policies: which offers a client is willing to pay. Each may drop offers and must say why.

use crate::origin;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use tollway_core::{Amount, Money, Network, PaymentRequired, PaymentRequirements, ResourceInfo};

/// What a client is about to pay for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Purchase<'a> {
    /// The origin that asked: scheme, host and port of the request, whatever the challenge says.
    pub origin: &'a str,
    /// What the challenge says is sold.
    pub resource: &'a ResourceInfo,
    /// The whole challenge.
    pub required: &'a PaymentRequired,
}

/// An offer the client could sign, with the network it is on.
#[derive(Clone)]
#[non_exhaustive]
pub struct Candidate {
    /// The offer.
    pub offer: PaymentRequirements,
    /// Its network.
    pub network: Arc<dyn Network>,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Candidate").field(&self.offer).finish()
    }
}

impl Candidate {
    pub(super) fn new(offer: PaymentRequirements, network: Arc<dyn Network>) -> Self {
        Self { offer, network }
    }
}

/// Says which offers a client is willing to pay.
pub trait Policy: Send + Sync {
    /// Whether to keep an offer.
    ///
    /// # Errors
    /// Why not, for whoever set the client up: what to change to allow it.
    fn allows(&self, purchase: &Purchase<'_>, candidate: &Candidate) -> Result<(), String>;
}

impl<F> Policy for F
where
    F: Fn(&Purchase<'_>, &Candidate) -> Result<(), String> + Send + Sync,
{
    fn allows(&self, purchase: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        self(purchase, candidate)
    }
}

/// The default guard: at most so much for one payment, in assets whose worth is known.
///
/// A limit in dollars holds for the assets of the network's own table that are dollars: its first, and those marked so
/// ([`Asset::dollar`]). A limit with a ticker holds for the asset of that ticker and for no other. Whatever else is to
/// be paid in needs a limit of its own ([`SpendLimit::asset`]).
///
/// [`Asset::dollar`]: tollway_core::Asset::dollar
#[derive(Debug, Clone)]
pub struct SpendLimit {
    per_payment: Money,
    /// (network, canonical address) → atomic units.
    own: BTreeMap<(String, String), Amount>,
}

impl SpendLimit {
    /// A limit in dollars, or in one known asset: `"$1"`, `"5 EURC"`.
    pub fn per_payment(limit: Money) -> Self {
        Self { per_payment: limit, own: BTreeMap::new() }
    }

    /// The same with another limit for known assets.
    pub(super) fn at_most(self, limit: Money) -> Self {
        Self { per_payment: limit, ..self }
    }

    /// Allows another asset, up to so many atomic units in one payment. For a known asset this replaces the limit it
    /// had.
    pub fn asset(mut self, network: &str, address: &str, limit: Amount) -> Self {
        self.own.insert((network.to_owned(), address.to_owned()), limit);
        self
    }

    /// The limit set for one asset, however its address is spelt.
    fn own(&self, candidate: &Candidate) -> Option<Amount> {
        let canonical = |address: &str| candidate.network.canonical(address).ok();
        let wanted = canonical(&candidate.offer.asset)?;
        let network = candidate.offer.network.as_str();
        let mut own = self.own.iter().filter(|((at, _), _)| at == network);
        own.find(|((_, address), _)| canonical(address).as_ref() == Some(&wanted)).map(|(_, limit)| *limit)
    }

    /// The limit for known assets, in units of the asset offered.
    fn known(&self, candidate: &Candidate) -> Result<Amount, String> {
        let Candidate { offer, network } = candidate;
        let table = network.assets();
        let Some(asset) = network.asset(&offer.asset) else {
            let known: Vec<_> = table.iter().map(|asset| asset.symbol.as_str()).collect();
            return Err(format!(
                "{} is no asset known on {} (known: {}); allow it with SpendLimit::asset",
                offer.asset,
                offer.network,
                known.join(", ")
            ));
        };
        let limit = &self.per_payment;
        let meant = match limit.symbol() {
            Some(symbol) => asset.symbol.eq_ignore_ascii_case(symbol),
            None => asset.dollar || table.first().is_some_and(|first| first.address == asset.address),
        };
        match meant {
            true => limit.to_amount(asset.decimals).map_err(|why| why.to_string()),
            false => Err(format!(
                "the limit of {limit} does not say how much {} may be paid; allow {} with SpendLimit::asset",
                asset.symbol, asset.address
            )),
        }
    }
}

impl Policy for SpendLimit {
    fn allows(&self, _: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        let limit = match self.own(candidate) {
            Some(limit) => limit,
            None => self.known(candidate)?,
        };
        match candidate.offer.amount {
            amount if amount > limit => {
                Err(format!("{amount} units are above the limit of {limit} for one payment; raise it with SpendLimit"))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses authorizations that stay valid for too long.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit {
    /// Longest `maxTimeoutSeconds` to sign.
    pub longest: NonZeroU64,
}

impl TimeLimit {
    /// What there is to check needs no network.
    pub(super) fn check(self, offer: &PaymentRequirements) -> Result<(), String> {
        let asked = offer.max_timeout_seconds;
        match asked > self.longest {
            true => Err(format!(
                "an authorization valid for {asked} seconds is asked for, at most {} are signed; raise it with max_timeout",
                self.longest
            )),
            false => Ok(()),
        }
    }
}

impl Policy for TimeLimit {
    fn allows(&self, _: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        self.check(&candidate.offer)
    }
}

/// Pays an origin only to the recipients pinned for it. Origins without a pin are not held to anything.
///
/// Origins are compared as browsers do: letter case of scheme and host, the scheme's own port and a trailing slash are
/// no difference.
#[derive(Debug, Clone, Default)]
pub struct PinnedPayees {
    pins: BTreeMap<String, Vec<String>>,
    /// The first pin for something that is no origin. A pin that can never hold must not pass for one that does.
    mistake: Option<String>,
}

impl PinnedPayees {
    /// Pins a recipient, in any spelling, for an origin such as `https://api.example.com`. Several may be pinned. After
    /// a pin for what is no origin, nothing is paid at all.
    pub fn pin(mut self, origin: impl Into<String>, pay_to: impl Into<String>) -> Self {
        let origin = origin.into();
        match origin::normalize(&origin) {
            Some(origin) => self.pins.entry(origin).or_default().push(pay_to.into()),
            None => drop(self.mistake.get_or_insert(origin)),
        }
        self
    }
}

impl Policy for PinnedPayees {
    fn allows(&self, purchase: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        if let Some(mistake) = &self.mistake {
            return Err(format!(
                "a payee is pinned for `{mistake}`, which is no origin; pin `https://host` or `https://host:port`"
            ));
        }
        let origin = origin::normalize(purchase.origin);
        let pins = match &origin {
            Some(origin) => self.pins.get(origin),
            None if self.pins.is_empty() => None,
            None => {
                return Err(format!(
                    "`{}` is no origin that could be looked up among the pinned payees",
                    purchase.origin
                ));
            }
        };
        let Some(pins) = pins else { return Ok(()) };
        let canonical = |address: &str| candidate.network.canonical(address).ok();
        let asked = canonical(&candidate.offer.pay_to);
        match asked.is_some() && pins.iter().any(|pin| canonical(pin) == asked) {
            true => Ok(()),
            false => Err(format!("{} is not the payee pinned for {}", candidate.offer.pay_to, purchase.origin)),
        }
    }
}
