//! [`ExactServer`]: completes offers with the token's EIP-712 domain, and refuses at start-up what nobody could pay.

use super::{Exact, offer_address};
use crate::Evm;
use crate::assets::{self, EIP3009, METHOD};
use crate::permit2;
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
            // A known token is paid as it is known, unless the price asks for Permit2, which moves any token.
            None | Some(Value::Null) => {
                let known = self.network.known_asset(shown);
                if known.is_some_and(|asset| assets::method(asset) == permit2::METHOD) {
                    return permit2_offer(&self.network, offer);
                }
            }
            Some(method) if method == EIP3009 => {}
            Some(method) if method == permit2::METHOD => return permit2_offer(&self.network, offer),
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

/// Completes an offer that is paid by Permit2: the method, and name and version of a token that has EIP-2612.
///
/// # Errors
/// An address is none, or what the price brought contradicts what is known of the token.
pub(crate) fn permit2_offer(network: &Evm, mut offer: PaymentRequirements) -> Result<PaymentRequirements, String> {
    offer_address(&offer, "asset").map_err(|refused| refused.to_string())?;
    let pay_to = offer_address(&offer, "payTo").map_err(|refused| refused.to_string())?;
    if pay_to.is_zero() {
        return Err("payTo is the zero address, which nobody can be paid at; set your own address".to_owned());
    }
    let extra = offer.extra.get_or_insert_default();
    extra.insert(METHOD.to_owned(), permit2::METHOD.into());
    let shown = &offer.asset;
    let known = network.known_asset(shown);
    for member in ["name", "version"] {
        let given = extra.get(member).filter(|value| !value.is_null());
        match (given, known.and_then(|asset| asset.extra.get(member))) {
            (Some(given), Some(pinned)) if given != pinned => {
                return Err(format!(
                    "extra.{member} of {shown} is given as {given}, but the token's is {pinned}; leave extra.{member} \
                     out"
                ));
            }
            (None, Some(pinned)) => {
                extra.insert(member.to_owned(), pinned.clone());
            }
            _ => {}
        }
    }
    Ok(offer)
}

fn unserved(asset: &str, method: &str) -> String {
    format!("{asset} is paid by {method}, which `exact` does not serve here: it serves eip3009 and permit2")
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
    fn permit2_is_written_and_the_domain_only_where_there_is_eip_2612() {
        let extra = |network, draft: fn(PaymentRequirements) -> PaymentRequirements| {
            offer(network, draft).unwrap()["extra"].clone()
        };
        let asked: fn(PaymentRequirements) -> PaymentRequirements = |draft| draft.with_extra(METHOD, "permit2");
        let usdc = serde_json::json!({ "assetTransferMethod": "permit2", "name": "USDC", "version": "2" });
        assert_eq!(extra("eip155:84532", asked), usdc);
        let mezo = serde_json::json!({ "assetTransferMethod": "permit2", "name": "Mezo USD", "version": "1" });
        assert_eq!(extra("eip155:31611", |draft| draft), mezo);
        let plain = serde_json::json!({ "assetTransferMethod": "permit2" });
        assert_eq!(extra("eip155:38833", |draft| draft), plain);
        assert_eq!(extra("eip155:31337", asked), plain);
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
            let asked = offer(network, |draft| draft.with_extra(METHOD, "eip3009")).unwrap_err();
            assert!(asked.contains("permit2"), "{asked}");
        }
        let asked = offer("eip155:84532", |draft| draft.with_extra(METHOD, "erc7710")).unwrap_err();
        assert!(asked.contains("erc7710"), "{asked}");
        let renamed = |draft: PaymentRequirements| draft.with_extra(METHOD, "permit2").with_extra("name", "USD Coin");
        assert!(offer("eip155:84532", renamed).unwrap_err().contains("leave extra.name out"));
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
