//! Which offer to pay: what is understood, allowed, and chosen.

use super::{Candidate, Engine, PayError, PaymentClient, Purchase};
use crate::setup::SetupError;
use std::sync::{Arc, MutexGuard, PoisonError};
use tollway_core::erased::ClientDyn;
use tollway_core::{Flow, Network, NetworkId, PartKind, PaymentRequirements};

/// Most paying sides kept ready. A challenge may name any number of networks.
const MAX_READY: usize = 64;
/// Most offers of a challenge that are looked at.
const MAX_OFFERS: usize = 64;
/// Most networks opened to look at the offers of one challenge.
const MAX_OPENED: usize = 8;

/// A scheme's paying side, with its network.
#[derive(Clone)]
pub(super) struct Ready {
    side: Arc<dyn ClientDyn>,
    network: Arc<dyn Network>,
}

impl Ready {
    pub(super) fn side(&self) -> &dyn ClientDyn {
        &*self.side
    }

    fn is(&self, scheme: &str, id: &NetworkId) -> bool {
        self.side.scheme() == scheme && self.network.id() == id
    }
}

/// What was made to look at the offers of one challenge.
#[derive(Default)]
struct Looked {
    ready: Vec<Ready>,
    opened: usize,
}

impl Engine {
    /// Paying sides of offers that policies allowed, those used last at the end.
    pub(super) fn ready(&self) -> MutexGuard<'_, Vec<Ready>> {
        // Whatever panicked, every entry is whole.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a paying side ready, instead of the one that was not used for longest.
    fn keep(&self, used: &Ready) {
        let mut ready = self.ready();
        ready.retain(|old| !old.is(used.side.scheme(), used.network.id()));
        if ready.len() >= MAX_READY {
            ready.remove(0);
        }
        ready.push(used.clone());
    }
}

impl PaymentClient {
    /// The offer to pay.
    pub(super) async fn choose(&self, purchase: &Purchase<'_>) -> Result<(PaymentRequirements, Ready), PayError> {
        let mut reasons = Vec::new();
        let mut looked = Looked::default();
        let mut candidates: Vec<(Candidate, Ready)> = Vec::new();
        let authorized = |(candidate, _): &(Candidate, Ready)| candidate.offer.flow() == Ok(Flow::Authorization);
        for offer in purchase.required.accepts.iter().take(MAX_OFFERS) {
            match self.consider(purchase, offer, &mut looked).await {
                Ok(ready) => candidates.push((Candidate::new(offer.clone(), ready.network.clone()), ready)),
                Err(why) => {
                    let name: String = format!("{} on {}", offer.scheme, offer.network).chars().take(96).collect();
                    reasons.push((name, why));
                }
            }
            // The first is paid unless a chooser wants to see them all: what comes after it need not even be opened.
            if self.engine.chooser.is_none() && candidates.last().is_some_and(authorized) {
                break;
            }
        }
        // Paying after the work is done is safer than before: keep the other flows only where nothing else is offered.
        if candidates.iter().any(authorized) {
            candidates.retain(authorized);
        }
        if candidates.is_empty() {
            return Err(PayError::NoOffer(reasons));
        }
        let chosen = match &self.engine.chooser {
            Some(chooser) => {
                let offered: Vec<_> = candidates.iter().map(|(candidate, _)| candidate.clone()).collect();
                chooser(purchase, &offered).filter(|chosen| *chosen < candidates.len())
            }
            None => Some(0),
        };
        match chosen {
            Some(chosen) => {
                let (candidate, ready) = candidates.swap_remove(chosen);
                Ok((candidate.offer, ready))
            }
            None => Err(PayError::Refused("the chooser chose none of the offers".to_owned())),
        }
    }

    /// Whether an offer can be paid and may be. What needs no network comes first: opening one is work that a stranger
    /// asks for.
    async fn consider(
        &self,
        purchase: &Purchase<'_>,
        offer: &PaymentRequirements,
        looked: &mut Looked,
    ) -> Result<Ready, String> {
        let engine = &self.engine;
        let flow = offer.flow().map_err(|name| format!("its payment flow `{name}` is not known"))?;
        engine.time_limit.check(offer)?;
        let ready = self.ready(&offer.scheme, &offer.network, looked).await?;
        if !ready.side.flows().contains(&flow) {
            return Err(format!("`{}` is not paid `{flow}` by this client", offer.scheme));
        }
        let candidate = Candidate::new(offer.clone(), ready.network.clone());
        engine.policies.iter().try_for_each(|policy| policy.allows(purchase, &candidate))?;
        engine.keep(&ready);
        Ok(ready)
    }

    /// The paying side for a scheme on a network this client has a key for.
    async fn ready(&self, scheme: &str, id: &NetworkId, looked: &mut Looked) -> Result<Ready, String> {
        let parts = &self.engine.parts;
        if !parts.has_signer(id) {
            return Err(format!("no key is configured for {id}; add .key(\"{id}\", \"env:MY_KEY\")"));
        }
        let names = parts.registry.schemes(PartKind::SchemeClient, id);
        let Some(name) = names.iter().copied().find(|name| *name == scheme) else {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(format!("no plug-in pays this scheme on {id} (registered: {known})"));
        };
        let known = |ready: &&Ready| ready.is(scheme, id);
        if let Some(ready) = looked.ready.iter().find(known).or(self.engine.ready().iter().find(known)) {
            return Ok(ready.clone());
        }
        let network = match parts.opened(id).await {
            Some(network) => Ok(network),
            None if looked.opened >= MAX_OPENED => {
                return Err(format!(
                    "not looked at: {MAX_OPENED} networks were opened for this challenge before; configure {id} with \
                     .network(…)"
                ));
            }
            None => {
                looked.opened = looked.opened.saturating_add(1);
                parts.network(id).await
            }
        };
        let network = network.map_err(|why| why.to_string())?;
        let ready = self.make(name, network).await.map_err(|why| why.to_string())?;
        looked.ready.push(ready.clone());
        Ok(ready)
    }

    async fn make(&self, name: &str, network: Arc<dyn Network>) -> Result<Ready, SetupError> {
        let parts = &self.engine.parts;
        let cx = parts.context(&network).await?;
        let section = parts.shared.scheme(name, network.id());
        let side = parts.registry.client(name, network.id(), section, cx).await?;
        Ok(Ready { side, network })
    }
}
