//! Offers: what a route's ways become once it is known which facilitator can settle them.

use super::route::{Source, Way};
use crate::prefer::{Liking, Preferences, Subject, Worth};
use serde_json::Value;
use smallvec::SmallVec;
use std::num::NonZeroU64;
use std::sync::Arc;
use tollway_core::erased::ServerDyn;
use tollway_core::{
    Candidate, Facilitator, Flow, Network, NetworkWords, PaymentRequirements, Price, Request, SupportedKind,
    SupportedResponse,
};

/// A way with its plug-ins.
pub(super) struct ReadyWay {
    pub(super) way: Way,
    pub(super) network: Arc<dyn Network>,
    pub(super) scheme: Arc<dyn ServerDyn>,
    pub(super) flow: Flow,
    /// What people call the network.
    pub(super) words: NetworkWords,
}

/// Requirements, and who settles them.
#[derive(Clone)]
pub(super) struct Offer {
    pub(super) requirements: PaymentRequirements,
    pub(super) flow: Flow,
    pub(super) facilitator: Arc<dyn Facilitator>,
    /// The facilitator's place in the configuration.
    pub(super) position: usize,
    pub(super) kind: Arc<SupportedKind>,
    /// Whether `extra` makes the payment its facilitator's, or names a signer of it: then nobody else can settle it.
    pub(super) bound: bool,
    pub(super) liking: Liking,
    pub(super) network: Arc<dyn Network>,
    pub(super) scheme: Arc<dyn ServerDyn>,
}

impl Offer {
    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate::new(self.facilitator.name(), self.position, &self.kind).preferred(self.liking.preferred)
    }
}

/// A facilitator, and what it said about a scheme on a network.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) facilitator: Arc<dyn Facilitator>,
    /// The facilitator's place in the configuration.
    pub(super) position: usize,
    pub(super) kind: Arc<SupportedKind>,
    /// All it said.
    pub(super) said: Arc<SupportedResponse>,
}

/// The offers of one way, one for each facilitator.
pub(super) type WayOffers = Arc<[Arc<Offer>]>;

/// Offers that ask for the very same, one for each facilitator. Not allocated for as many as a server has.
pub(super) type Several = SmallVec<[Arc<Offer>; 16]>;

/// What became of a way: its offers, and why it is not offered by others.
pub(super) struct Made {
    pub(super) offers: Vec<Arc<Offer>>,
    /// Who would settle it, and what preference is against it.
    pub(super) disliked: Vec<(String, String)>,
}

/// A way with the facilitators that can settle it, and what each said about it.
#[derive(Clone)]
pub(super) struct LiveWay {
    pub(super) kinds: Vec<Kind>,
    /// The offers, where neither price nor recipient depends on the request.
    pub(super) fixed: Option<WayOffers>,
    /// What offers were made of before, with the Unix second until which they are payable.
    pub(super) former: Vec<(Kind, u64)>,
}

/// Seconds an authorization may stay valid unless the way says otherwise.
const LONGEST: NonZeroU64 = NonZeroU64::new(300).expect("300 is not zero");
/// The member of `extra` that only the engine writes.
const RESERVED: &str = "paymentFlow";

impl ReadyWay {
    /// Whether offers are the same for every request.
    pub(super) fn is_fixed(&self) -> bool {
        self.way.price.value().is_some() && self.way.pay_to.value().is_some()
    }

    /// How long its offers stay payable.
    pub(super) fn longest(&self) -> NonZeroU64 {
        self.way.max_timeout_seconds.unwrap_or(LONGEST)
    }

    /// One offer for each facilitator that can settle it and is not disliked.
    ///
    /// # Errors
    /// It cannot be priced, or none of the facilitators said what its scheme needs.
    pub(super) async fn offers(
        &self,
        kinds: &[Kind],
        preferences: &Preferences,
        request: &Option<Arc<dyn Request>>,
    ) -> Result<Made, String> {
        let price = self.way.price.get(request).await?.map_err(|why| why.to_string())?;
        let pay_to = self.way.pay_to.get(request).await?;
        let draft = self.draft(&price, pay_to)?;
        let worth = Worth::of(&*self.network, &draft.asset, draft.amount);
        let mut made = Made { offers: Vec::with_capacity(kinds.len()), disliked: Vec::new() };
        let mut unmade = Vec::new();
        for kind in kinds {
            let name = kind.facilitator.name();
            let subject = Subject { asset: Some(&draft.asset), facilitator: Some(name), ..self.subject() };
            if let Some(why) = preferences.refusal(&subject) {
                made.disliked.push((self.shown(&draft, name), why));
                continue;
            }
            // What one facilitator forgot to say does not shut the others out.
            let mut requirements = match self.scheme.offer(draft.clone(), &kind.kind) {
                Ok(requirements) => requirements,
                Err(why) => {
                    unmade.push(why);
                    continue;
                }
            };
            if self.flow != Flow::Authorization {
                requirements = requirements.with_extra("paymentFlow", self.flow.name());
            }
            let preferred = preferences.preferred(&Subject { extra: requirements.extra.as_ref(), ..subject });
            made.offers.push(Arc::new(Offer {
                bound: self.is_bound(&requirements, &kind.said),
                requirements,
                flow: self.flow,
                facilitator: kind.facilitator.clone(),
                position: kind.position,
                kind: kind.kind.clone(),
                liking: Liking { preferred, worth: worth.clone(), pace: self.words.pace },
                network: self.network.clone(),
                scheme: self.scheme.clone(),
            }));
        }
        match unmade.is_empty() || !made.offers.is_empty() {
            true => Ok(made),
            false => Err(unmade.join("; ")),
        }
    }

    /// This way, as far as it is known without a request and a facilitator.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            network: self.network.id(),
            words: &self.words,
            scheme: &self.way.scheme,
            open: Some(&*self.network),
            asset: None,
            facilitator: None,
            extra: None,
        }
    }

    /// An offer by a facilitator, for people.
    pub(super) fn shown(&self, offer: &PaymentRequirements, facilitator: &str) -> String {
        format!("{} by `{facilitator}`", crate::prefer::shown(offer, &*self.network))
    }

    /// Whether an offer is for one facilitator: its scheme says so, or it names an address that may pay for its settlement.
    fn is_bound(&self, offer: &PaymentRequirements, said: &SupportedResponse) -> bool {
        let canonical = |address: &str| self.network.canonical(address).ok();
        let named = |value: &Value| {
            let named = value.as_str().and_then(canonical);
            named.is_some() && said.signers.values().flatten().any(|signer| canonical(signer) == named)
        };
        let bound = |key: &String| self.scheme.binding_extra().contains(&key.as_str());
        offer.extra.iter().flatten().any(|(key, value)| bound(key) || named(value))
    }

    /// What the scheme completes: price in atomic units, recipient checked.
    fn draft(&self, price: &Price, pay_to: String) -> Result<PaymentRequirements, String> {
        let id = self.network.id();
        self.network.canonical(&pay_to).map_err(|why| format!("payTo `{pay_to}`: {why}"))?;
        let (asset, amount, more) = match price {
            Price::Money(money) => {
                let (asset, amount) = money.resolve(id, self.network.assets()).map_err(|why| why.to_string())?;
                (asset.address.clone(), amount, None)
            }
            Price::Asset(price) => {
                self.network.canonical(&price.asset).map_err(|why| format!("asset `{}`: {why}", price.asset))?;
                (price.asset.clone(), price.amount, price.extra.as_ref())
            }
            _ => return Err("this kind of price is not understood here".to_owned()),
        };
        let mut draft = PaymentRequirements::new(&self.way.scheme, id.clone(), amount, asset, pay_to);
        draft = draft.with_timeout(self.longest());
        for (key, value) in more.into_iter().chain(&self.way.extra).flatten() {
            if key == RESERVED {
                return Err(format!("`extra.{key}` belongs to the engine; say .upfront(), or set `flow`"));
            }
            draft = draft.with_extra(key, value.clone());
        }
        Ok(draft)
    }

    /// Whether the price was given as a text that is none.
    pub(super) fn price_mistake(&self) -> Option<String> {
        match &self.way.price {
            Source::Value(Err(why)) => Some(why.to_string()),
            _ => None,
        }
    }
}
