//! The facilitator engine: decode, match, dispatch; claim before settling, settle in a task of its own.

mod builder;
mod elsewhere;
mod hooks;
mod keeper;
mod known;
mod observe;
mod settle;

pub use builder::LocalFacilitatorBuilder;
pub use hooks::FacilitatorHook;

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollway_core::erased::{FacilitatorDyn, OpenPayment};
use tollway_core::{
    Caller, Facilitator, FacilitatorExtension, LedgerHandle, Network, NetworkId, Observed, Outcome, PaymentPayload,
    PaymentRequirements, Rejected, Reply, Result, Stage, SupportedKind, SupportedResponse, Verified, X402_VERSION,
    codes,
};

/// A facilitator in this process. Cheap to clone; implements [`Facilitator`] like a remote one.
#[derive(Clone)]
pub struct LocalFacilitator {
    engine: Arc<Engine>,
}

impl fmt::Debug for LocalFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFacilitator").field("name", &self.engine.name).finish_non_exhaustive()
    }
}

struct Engine {
    name: String,
    /// Exactly what was configured, by network and scheme.
    sides: BTreeMap<NetworkId, Served>,
    extensions: Vec<Arc<dyn FacilitatorExtension>>,
    hooks: Vec<Arc<dyn FacilitatorHook>>,
    ledger: LedgerHandle,
    /// Settlements under way here, so that the same caller asking again waits for the one answer.
    under_way: Mutex<settle::UnderWay>,
    /// How long a settlement in another process is waited for.
    patience: Duration,
}

struct Served {
    network: Arc<dyn Network>,
    schemes: BTreeMap<&'static str, Arc<dyn FacilitatorDyn>>,
    /// Held while an open slot is looked at for somebody who asks.
    looks: tokio::sync::Mutex<known::Looks>,
}

impl LocalFacilitator {
    /// Starts building one. It serves every registered scheme on every network configured.
    pub fn builder() -> LocalFacilitatorBuilder {
        LocalFacilitatorBuilder::default()
    }

    /// Answers a GET under an extension's own path, such as `/discovery/resources`.
    pub async fn get(&self, path: &str, query: &[(String, String)]) -> Option<Reply> {
        for extension in &self.engine.extensions {
            if let Some(reply) = extension.get(path, query).await {
                return Some(reply);
            }
        }
        None
    }
}

impl Engine {
    /// The side a payment belongs to.
    fn dispatch(
        &self,
        raw: &PaymentPayload,
        offer: &PaymentRequirements,
    ) -> Result<&Arc<dyn FacilitatorDyn>, Rejected> {
        if raw.x402_version != X402_VERSION {
            let message = format!("this facilitator speaks version {X402_VERSION}, not {}", raw.x402_version);
            return Err(Rejected::new(codes::INVALID_X402_VERSION).because(message));
        }
        let Some(served) = self.sides.get(&offer.network) else {
            let served: Vec<_> = self.sides.keys().map(NetworkId::as_str).collect();
            let message = format!("{} is not served here; served: {}", offer.network, served.join(", "));
            return Err(Rejected::new(codes::INVALID_NETWORK).because(message));
        };
        let side = served.schemes.get(offer.scheme.as_str()).ok_or_else(|| {
            let known: Vec<_> = served.schemes.keys().copied().collect();
            let message =
                format!("`{}` is not served on {}; served: {}", offer.scheme, offer.network, known.join(", "));
            Rejected::new(codes::UNSUPPORTED_SCHEME).because(message)
        })?;
        Ok(side)
    }
}

/// All that can be said without a chain: the scheme's own checks with the scheme's own codes, and then what holds for
/// any scheme.
fn check(payment: &dyn OpenPayment, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<(), Rejected> {
    payment.check()?;
    if raw.accepted.scheme != offer.scheme {
        return Err(
            Rejected::new(codes::INVALID_SCHEME).because("`accepted` names another scheme than the requirements")
        );
    }
    if raw.accepted.network != offer.network {
        return Err(
            Rejected::new(codes::INVALID_NETWORK).because("`accepted` names another network than the requirements")
        );
    }
    Ok(())
}

#[async_trait]
impl Facilitator for LocalFacilitator {
    fn name(&self) -> &str {
        &self.engine.name
    }

    async fn supported(&self) -> Result<SupportedResponse> {
        let mut supported = SupportedResponse::default();
        for (id, served) in &self.engine.sides {
            let signers = supported.signers.entry(format!("{}:*", id.namespace())).or_default();
            for (name, side) in &served.schemes {
                supported.kinds.push(SupportedKind::new(*name, id, side.kind_extra()));
                supported.extensions.extend(side.extensions().iter().map(|key| (*key).to_owned()));
                signers.extend(side.signers());
            }
            signers.sort();
            signers.dedup();
        }
        supported.extensions.extend(self.engine.extensions.iter().map(|extension| extension.key().to_owned()));
        supported.extensions.sort();
        supported.extensions.dedup();
        Ok(supported)
    }

    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified> {
        let engine = &*self.engine;
        let verify = async {
            for hook in &engine.hooks {
                hook.before_verify(raw, offer).await?;
            }
            let payment = engine.dispatch(raw, offer)?.open(raw, offer)?;
            check(&*payment, raw, offer)?;
            payment.verify().await
        };
        let mut result = verify.await;
        if let Err(why) = &result {
            for hook in &engine.hooks {
                if let Some(verified) = hook.recover_verify(raw, why).await {
                    result = Ok(verified);
                    break;
                }
            }
        }
        if let Ok(verified) = &mut result
            && !engine.extensions.is_empty()
        {
            let seen = Observed::new(Stage::Verified, raw, offer, verified.payer.as_deref());
            verified.extension_responses = engine.observe(&seen).await;
        }
        for hook in &engine.hooks {
            hook.verified(raw, offer, &result).await;
        }
        result
    }

    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome> {
        settle::settle(&self.engine, raw, offer, caller).await
    }
}
