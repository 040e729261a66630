//! Offers: what a route's ways become once it is known which facilitator can settle them.

use super::route::{Source, Way};
use std::num::NonZeroU64;
use std::sync::Arc;
use tollway_core::erased::ServerDyn;
use tollway_core::{Facilitator, Flow, Network, PaymentRequirements, Price, Request, SupportedKind};

/// A way with its plug-ins.
pub(super) struct ReadyWay {
    pub(super) way: Way,
    pub(super) network: Arc<dyn Network>,
    pub(super) scheme: Arc<dyn ServerDyn>,
    pub(super) flow: Flow,
}

/// Requirements, and who settles them.
#[derive(Clone)]
pub(super) struct Offer {
    pub(super) requirements: PaymentRequirements,
    pub(super) flow: Flow,
    pub(super) facilitator: Arc<dyn Facilitator>,
    pub(super) network: Arc<dyn Network>,
    pub(super) scheme: Arc<dyn ServerDyn>,
}

/// A facilitator, and what it said about a scheme on a network.
pub(super) type Kind = (Arc<dyn Facilitator>, SupportedKind);

/// A way with the facilitators that can settle it, best first, and what each said about it.
pub(super) struct LiveWay {
    pub(super) kinds: Vec<Kind>,
    /// The offers, where neither price nor recipient depends on the request.
    pub(super) fixed: Option<Arc<[Arc<Offer>]>>,
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

    /// One offer for each facilitator that can settle it.
    pub(super) async fn offers(
        &self,
        kinds: &[Kind],
        request: &Option<Arc<dyn Request>>,
    ) -> Result<Arc<[Arc<Offer>]>, String> {
        let price = self.way.price.get(request).await?.map_err(|why| why.to_string())?;
        let pay_to = self.way.pay_to.get(request).await?;
        let draft = self.draft(&price, pay_to)?;
        kinds
            .iter()
            .map(|(facilitator, kind)| {
                let mut requirements = self.scheme.offer(draft.clone(), kind)?;
                if self.flow != Flow::Authorization {
                    requirements = requirements.with_extra("paymentFlow", self.flow.name());
                }
                Ok(Arc::new(Offer {
                    requirements,
                    flow: self.flow,
                    facilitator: facilitator.clone(),
                    network: self.network.clone(),
                    scheme: self.scheme.clone(),
                }))
            })
            .collect()
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
