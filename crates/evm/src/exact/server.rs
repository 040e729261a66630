//! [`ExactServer`]: completes offers with the token's EIP-712 domain, and refuses at start-up what nobody could pay.

use super::{Exact, offer_address};
use crate::Evm;
use crate::assets::{self, EIP3009, METHOD};
use serde_json::Value;
use std::sync::Arc;
use tollway_core::{Build, BuildContext, Network as _, NoConfig, PaymentRequirements, SchemeServer, SupportedKind};

/// The selling side of `exact`. Needs no RPC.
#[derive(Debug)]
pub struct ExactServer {
    network: Arc<Evm>,
}

impl ExactServer {
    /// A server of offers on this network.
    pub fn new(network: Arc<Evm>) -> Self {
        Self { network }
    }

    fn complete(&self, mut offer: PaymentRequirements) -> Result<PaymentRequirements, String> {
        offer_address(&offer, "asset").map_err(|refused| refused.to_string())?;
        let pay_to = offer_address(&offer, "payTo").map_err(|refused| refused.to_string())?;
        if pay_to.is_zero() {
            return Err("payTo is the zero address, which tokens refuse; set your own address".to_owned());
        }
        let extra = offer.extra.get_or_insert_default();
        let shown = &offer.asset;
        match extra.get(METHOD) {
            None | Some(Value::Null) => {}
            Some(method) if method == EIP3009 => {}
            Some(method) => return Err(unserved(shown, &method.to_string())),
        }
        let known = self.network.known_asset(shown);
        for member in ["name", "version"] {
            let given = extra.get(member).filter(|value| !value.is_null()).cloned();
            let pinned = known.and_then(|asset| asset.extra.get(member));
            match (given, pinned) {
                (Some(Value::String(given)), None) if !given.is_empty() => {}
                (Some(given), Some(pinned)) if given == *pinned => {}
                (None, Some(pinned)) => {
                    extra.insert(member.to_owned(), pinned.clone());
                }
                (Some(given), Some(pinned)) => {
                    return Err(format!(
                        "extra.{member} of {shown} is given as {given}, but the token's is {pinned}: no signature \
                         would be good; leave extra.{member} out"
                    ));
                }
                (_, None) => {
                    // A token paid by another method may have no domain of its own.
                    if let Some(asset) = known.filter(|asset| assets::method(asset) != EIP3009) {
                        return Err(unserved(&asset.symbol, assets::method(asset)));
                    }
                    return Err(format!(
                        "the token {shown} is not known on {network}, so the offer needs its EIP-712 {member}: write \
                         the price as {{ amount, asset, extra = {{ name, version }} }}, or list the token under \
                         networks.\"{network}\".assets",
                        network = self.network.id(),
                    ));
                }
            }
        }
        match known {
            Some(asset) if assets::method(asset) != EIP3009 => Err(unserved(&asset.symbol, assets::method(asset))),
            _ => Ok(offer),
        }
    }
}

fn unserved(asset: &str, method: &str) -> String {
    format!("{asset} is paid by {method}, which `exact` does not serve here: choose a token that has EIP-3009")
}

impl SchemeServer for ExactServer {
    type Scheme = Exact;

    fn offer(&self, draft: PaymentRequirements, _: &SupportedKind) -> Result<PaymentRequirements, String> {
        self.complete(draft)
    }
}

impl Build for ExactServer {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self::new(cx.network()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::golden_offer;
    use tollway_core::Amount;

    const PAY_TO: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

    fn offer(network: &str, draft: impl FnOnce(PaymentRequirements) -> PaymentRequirements) -> Result<Value, String> {
        let id: tollway_core::NetworkId = network.parse().unwrap();
        let evm = Evm::builder(id.clone()).build().unwrap();
        let asset = evm.assets().first().map_or("0x1111111111111111111111111111111111111111", |asset| &asset.address);
        let plain = PaymentRequirements::new("exact", id.clone(), Amount::from(1000), asset, PAY_TO);
        let kind = SupportedKind::new("exact", &id, None);
        let server = ExactServer::new(Arc::new(Evm::builder(id).build().unwrap()));
        server.offer(draft(plain), &kind).map(|offer| serde_json::to_value(offer).unwrap())
    }

    #[test]
    fn a_known_token_gets_its_domain_as_in_the_golden_offer() {
        let made = offer("eip155:84532", |draft| draft).unwrap();
        assert_eq!(made, serde_json::to_value(golden_offer()).unwrap());
        let base = offer("eip155:8453", |draft| draft).unwrap();
        assert_eq!(base["extra"], serde_json::json!({ "name": "USD Coin", "version": "2" }));
    }

    #[test]
    fn what_the_price_brought_is_kept() {
        let own = offer("eip155:31337", |draft| draft.with_extra("name", "Mine").with_extra("version", "3")).unwrap();
        assert_eq!(own["extra"], serde_json::json!({ "name": "Mine", "version": "3" }));
        let same = offer("eip155:84532", |draft| draft.with_extra("name", "USDC").with_extra("note", 1)).unwrap();
        assert_eq!(same["extra"], serde_json::json!({ "name": "USDC", "version": "2", "note": 1 }));
    }

    #[test]
    fn what_cannot_work_is_refused_with_advice() {
        let unknown = offer("eip155:31337", |draft| draft).unwrap_err();
        assert!(unknown.contains("networks.\"eip155:31337\".assets"), "{unknown}");
        let renamed = offer("eip155:84532", |draft| draft.with_extra("name", "USD Coin")).unwrap_err();
        assert!(renamed.contains("USDC") && renamed.contains("leave extra.name out"), "{renamed}");
        let odd = offer("eip155:31337", |draft| draft.with_extra("name", 1).with_extra("version", "1")).unwrap_err();
        assert!(odd.contains("name"), "{odd}");
        for network in ["eip155:31611", "eip155:38833"] {
            let permit2 = offer(network, |draft| draft).unwrap_err();
            assert!(permit2.contains("permit2") && permit2.contains("EIP-3009"), "{permit2}");
        }
        let asked = offer("eip155:84532", |draft| draft.with_extra(METHOD, "permit2")).unwrap_err();
        assert!(asked.contains("permit2"), "{asked}");
        let nobody = offer("eip155:84532", |mut draft| {
            draft.pay_to = format!("0x{}", "0".repeat(40));
            draft
        });
        assert!(nobody.unwrap_err().contains("zero address"));
        let ens = offer("eip155:84532", |mut draft| {
            draft.pay_to = "alice.eth".to_owned();
            draft
        });
        assert!(ens.unwrap_err().contains("alice.eth"));
    }
}
