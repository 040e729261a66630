//! Policies: which offers a client is willing to pay. Each may drop offers and must say why.

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

/// The default guard: only assets the network's own table knows, and at most so much for one payment.
#[derive(Debug, Clone)]
pub struct SpendLimit {
    per_payment: Money,
    /// (network, canonical address) → atomic units.
    own: BTreeMap<(String, String), Amount>,
}

impl SpendLimit {
    /// A limit in dollars of known assets.
    pub fn per_payment(limit: Money) -> Self {
        Self { per_payment: limit, own: BTreeMap::new() }
    }

    /// The same with another limit in dollars.
    pub(super) fn at_most(self, limit: Money) -> Self {
        Self { per_payment: limit, ..self }
    }

    /// Allows another asset, up to so many atomic units in one payment. For a known asset this replaces the limit in
    /// dollars.
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
}

impl Policy for SpendLimit {
    fn allows(&self, _: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        let offer = &candidate.offer;
        let limit = match self.own(candidate) {
            Some(limit) => limit,
            None => {
                let asset = candidate.network.asset(&offer.asset).ok_or_else(|| {
                    let known: Vec<_> = candidate.network.assets().iter().map(|asset| asset.symbol.as_str()).collect();
                    format!(
                        "{} is no asset known on {} (known: {}); allow it with SpendLimit::asset",
                        offer.asset,
                        offer.network,
                        known.join(", ")
                    )
                })?;
                self.per_payment.to_amount(asset.decimals).map_err(|why| why.to_string())?
            }
        };
        if offer.amount > limit {
            return Err(format!(
                "{} units are above the limit of {limit} for one payment; raise it with SpendLimit",
                offer.amount
            ));
        }
        Ok(())
    }
}

/// Refuses authorizations that stay valid for too long.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit {
    /// Longest `maxTimeoutSeconds` to sign.
    pub longest: NonZeroU64,
}

impl Policy for TimeLimit {
    fn allows(&self, _: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        let asked = candidate.offer.max_timeout_seconds;
        match asked > self.longest {
            true => Err(format!(
                "an authorization valid for {asked} seconds is asked for, at most {} are signed; raise it with max_timeout",
                self.longest
            )),
            false => Ok(()),
        }
    }
}

/// Pays an origin only to the recipients pinned for it. Origins without a pin are not held to anything.
#[derive(Debug, Clone, Default)]
pub struct PinnedPayees {
    pins: BTreeMap<String, Vec<String>>,
}

impl PinnedPayees {
    /// Pins a recipient, in any spelling, for an origin such as `https://api.example.com`. Several may be pinned.
    pub fn pin(mut self, origin: impl Into<String>, pay_to: impl Into<String>) -> Self {
        self.pins.entry(origin.into()).or_default().push(pay_to.into());
        self
    }
}

impl Policy for PinnedPayees {
    fn allows(&self, purchase: &Purchase<'_>, candidate: &Candidate) -> Result<(), String> {
        let Some(pins) = self.pins.get(purchase.origin) else { return Ok(()) };
        let canonical = |address: &str| candidate.network.canonical(address).ok();
        let asked = canonical(&candidate.offer.pay_to);
        match asked.is_some() && pins.iter().any(|pin| canonical(pin) == asked) {
            true => Ok(()),
            false => Err(format!("{} is not the payee pinned for {}", candidate.offer.pay_to, purchase.origin)),
        }
    }
}
