//! The client engine: which offer to pay, and signing it. It knows no transport.

mod builder;
mod error;
mod hooks;
mod policy;

pub use builder::PaymentClientBuilder;
pub use error::PayError;
pub use hooks::ClientHook;
pub use policy::{Candidate, PinnedPayees, Policy, Purchase, SpendLimit, TimeLimit};

use crate::setup::{Parts, SetupError};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;
use tollway_core::erased::ClientDyn;
use tollway_core::{
    ClientExtension, Flow, Network, NetworkId, Object, PartKind, PaymentPayload, PaymentRequired, PaymentRequirements,
    RegistryError, SettleResponse, X402_VERSION, json,
};

/// Most (scheme, network) pairs kept ready. A challenge may name any number of networks.
const MAX_READY: usize = 64;
/// Most offers of a challenge that are looked at.
const MAX_OFFERS: usize = 64;

/// A client that pays. Cheap to clone. Transports call it with the challenges they meet.
#[derive(Clone)]
pub struct PaymentClient {
    engine: Arc<Engine>,
}

impl fmt::Debug for PaymentClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentClient").finish_non_exhaustive()
    }
}

type Chooser = Arc<dyn Fn(&Purchase<'_>, &[Candidate]) -> Option<usize> + Send + Sync>;

struct Engine {
    parts: Parts,
    policies: Vec<Arc<dyn Policy>>,
    chooser: Option<Chooser>,
    hooks: Vec<Arc<dyn ClientHook>>,
    extensions: Vec<Arc<dyn ClientExtension>>,
    /// Paying sides, made when a challenge first asks for them.
    ready: Mutex<HashMap<(&'static str, NetworkId), Ready>>,
}

#[derive(Clone)]
struct Ready {
    side: Arc<dyn ClientDyn>,
    network: Arc<dyn Network>,
}

impl PaymentClient {
    /// Starts building one. It pays on the networks it has a key for, at most $1 at a time, only in assets it knows.
    pub fn builder() -> PaymentClientBuilder {
        PaymentClientBuilder::default()
    }

    /// Headers to send with a first request to `origin`, such as a session token.
    pub async fn prepare(&self, origin: &str, target: &str) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for extension in &self.engine.extensions {
            headers.extend(extension.prepare(origin, target).await);
        }
        headers
    }

    /// Headers that may open the resource without payment. If there are any, repeat the request once with them.
    pub async fn answer(&self, required: &PaymentRequired, origin: &str) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for extension in self.declared(required) {
            match extension.answer(required, origin).await {
                Ok(answer) => headers.extend(answer),
                Err(why) => tracing::warn!(key = extension.key(), %why, "an extension could not answer a challenge"),
            }
        }
        headers
    }

    /// Chooses an offer and signs a payment of it. Give `origin` as the request had it, not as the challenge says.
    ///
    /// # Errors
    /// [`PayError`] says for each offer why it was not paid.
    pub async fn pay(&self, required: &PaymentRequired, origin: &str) -> Result<PaymentPayload, PayError> {
        if required.x402_version != X402_VERSION {
            return Err(PayError::Version(required.x402_version));
        }
        let purchase = Purchase { origin, resource: &required.resource, required };
        let (offer, ready) = self.choose(&purchase).await?;
        for hook in &self.engine.hooks {
            hook.before_payment(&purchase, &offer).await.map_err(PayError::Refused)?;
        }
        let signed = ready.side.sign(&offer, &required.resource).await.map_err(PayError::Sign)?;
        let mut payment = PaymentPayload::new(offer, signed.payload);
        payment.resource = Some(required.resource.clone());
        payment.extensions.clone_from(&required.extensions);
        self.enrich(required, &mut payment).await?;
        for hook in &self.engine.hooks {
            hook.signed(&purchase, &payment).await.map_err(PayError::Refused)?;
        }
        Ok(payment)
    }

    /// Tells hooks and extensions how a paid request was answered.
    pub async fn answered(
        &self,
        payment: &PaymentPayload,
        origin: &str,
        receipt: Option<&SettleResponse>,
        challenge: Option<&PaymentRequired>,
        headers: &[(String, String)],
    ) {
        for hook in &self.engine.hooks {
            hook.answered(payment, receipt, challenge).await;
        }
        for extension in &self.engine.extensions {
            extension.answered(origin, receipt, headers).await;
        }
    }

    /// How many (scheme, network) pairs are kept ready.
    #[doc(hidden)]
    pub fn kept(&self) -> usize {
        self.engine.ready.try_lock().map_or(0, |ready| ready.len())
    }

    fn declared<'a>(&'a self, required: &'a PaymentRequired) -> impl Iterator<Item = &'a Arc<dyn ClientExtension>> {
        let declared = |key| required.extensions.as_ref().is_some_and(|extensions| extensions.contains_key(key));
        self.engine.extensions.iter().filter(move |extension| declared(extension.key()))
    }

    /// Lets extensions add to the payment; what the server declared stays.
    async fn enrich(&self, required: &PaymentRequired, payment: &mut PaymentPayload) -> Result<(), PayError> {
        for extension in self.declared(required) {
            let key = extension.key();
            let declared = required.extensions.as_ref().and_then(|extensions| extensions.get(key)).cloned();
            extension.enrich(required, payment).await.map_err(|why| PayError::Extension { key, why })?;
            let kept = payment.extensions.as_ref().and_then(|extensions| extensions.get(key));
            let faithful = match (&declared, kept) {
                (Some(declared), Some(kept)) => json::is_subset(declared, kept),
                (declared, kept) => declared.is_none() == kept.is_none(),
            };
            if !faithful {
                let why = format!("the extension `{key}` changed what the server declared");
                return Err(PayError::Refused(why));
            }
        }
        Ok(())
    }

    /// The offer to pay: what is understood, allowed, and chosen.
    async fn choose(&self, purchase: &Purchase<'_>) -> Result<(PaymentRequirements, Ready), PayError> {
        let mut reasons = Vec::new();
        let mut candidates: Vec<(Candidate, Ready)> = Vec::new();
        for offer in purchase.required.accepts.iter().take(MAX_OFFERS) {
            match self.consider(purchase, offer).await {
                Ok(ready) => candidates.push((Candidate::new(offer.clone(), ready.network.clone()), ready)),
                Err(why) => {
                    let name: String = format!("{} on {}", offer.scheme, offer.network).chars().take(96).collect();
                    reasons.push((name, why));
                }
            }
        }
        // Paying after the work is done is safer than before: keep the other flows only where nothing else is offered.
        let authorized = |(candidate, _): &(Candidate, Ready)| candidate.offer.flow() == Ok(Flow::Authorization);
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

    /// Whether an offer can be paid and may be.
    async fn consider(&self, purchase: &Purchase<'_>, offer: &PaymentRequirements) -> Result<Ready, String> {
        let flow = offer.flow().map_err(|name| format!("its payment flow `{name}` is not known"))?;
        let ready = self.ready(&offer.scheme, &offer.network).await?;
        if !ready.side.flows().contains(&flow) {
            return Err(format!("`{}` is not paid `{flow}` by this client", offer.scheme));
        }
        let candidate = Candidate::new(offer.clone(), ready.network.clone());
        self.engine.policies.iter().try_for_each(|policy| policy.allows(purchase, &candidate))?;
        Ok(ready)
    }

    /// The paying side for a scheme on a network this client has a key for.
    async fn ready(&self, scheme: &str, id: &NetworkId) -> Result<Ready, String> {
        let engine = &self.engine;
        if !engine.parts.has_signer(id) {
            return Err(format!("no key is configured for {id}; add .key(\"{id}\", \"env:MY_KEY\")"));
        }
        let names = engine.parts.schemes(PartKind::SchemeClient, id);
        let Some(name) = names.iter().copied().find(|name| *name == scheme) else {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(format!("no plug-in pays this scheme on {id} (registered: {known})"));
        };
        let key = (name, id.clone());
        if let Some(ready) = engine.ready.lock().await.get(&key) {
            return Ok(ready.clone());
        }
        let made = self.make(name, id).await.map_err(|why| why.to_string())?;
        let mut ready = engine.ready.lock().await;
        if ready.len() < MAX_READY {
            ready.insert(key, made.clone());
        }
        Ok(made)
    }

    async fn make(&self, name: &str, id: &NetworkId) -> Result<Ready, SetupError> {
        let parts = &self.engine.parts;
        let cx = parts.context(id).await?;
        let section = parts.shared.scheme(name, id);
        let side = parts.registry.client(name, id, section, cx).await?;
        Ok(Ready { side, network: parts.network(id).await? })
    }
}

/// The section of an extension that needs none.
fn empty_section() -> serde_json::Value {
    serde_json::Value::Object(Object::new())
}

/// Makes every registered client extension that accepts an empty section: clients understand what is linked.
async fn extensions(
    parts: &Parts,
    sections: &std::collections::BTreeMap<String, serde_json::Value>,
) -> Result<Vec<Arc<dyn ClientExtension>>, RegistryError> {
    let mut made = Vec::new();
    for (key, section) in sections {
        made.push(parts.registry.client_extension(key, section.clone(), parts.cx.clone()).await?);
    }
    let linked = parts.registry.parts().iter().filter(|part| part.kind() == PartKind::ClientExtension);
    for part in linked.filter(|part| !sections.contains_key(part.name())) {
        made.push(parts.registry.client_extension(part.name(), empty_section(), parts.cx.clone()).await?);
    }
    Ok(made)
}
