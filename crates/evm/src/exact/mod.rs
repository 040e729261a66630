//! The scheme `exact`: the payer signs a transfer of exactly the amount, and anybody may carry it out. By EIP-3009 the
//! token lets each nonce be used once (specification `exact` on EVM, §2); by Permit2 that contract does (§3).

mod check;
mod client;
mod facilitator;
mod server;
mod settle;
pub(crate) mod types;
mod verify;

pub use client::ExactClient;
pub use facilitator::ExactFacilitator;
pub use server::ExactServer;
pub use types::{Authorization, Eip3009Payload, Extra, Payload};

pub(crate) use check::TIME_BUFFER;
pub(crate) use client::{Entropy, agrees, random};
pub(crate) use server::permit2_offer;
pub(crate) use settle::{gas_limit, unestimated};

use crate::address::parse_address;
use crate::codes;
use crate::permit2::PermitView;
use crate::prove::Expect;
use alloy::primitives::Address;
use tollway_core::codes::{INVALID_PAYLOAD, INVALID_PAYMENT_REQUIREMENTS};
use tollway_core::{AccountId, Claim, ClaimKey, Flow, Payment, PaymentRequirements, Rejected, Scheme, WirePart};

/// The scheme. Its claim key is `<network>/eip3009/<asset>/<from>/<nonce>`, all in lower case: what the token accepts
/// once; by Permit2 `<network>/permit2/<owner>/<nonce>`: what Permit2 accepts once, whatever the token.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Exact;

/// The mechanism's name in claim keys.
const MECHANISM: &str = "eip3009";

impl Scheme for Exact {
    const NAME: &'static str = "exact";
    const FLOWS: &'static [Flow] = &[Flow::Authorization, Flow::Upfront];
    type Payload = Payload;
    type Extra = Extra;

    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        let network = &payment.offer.network;
        // The offer's asset and not one of the payload's: the payer does not choose what he is charged in.
        let asset = offer_address(payment.offer, "asset")?;
        let authorization = match &payment.payload {
            Payload::Eip3009(payload) => &payload.authorization,
            Payload::Permit2(payload) => return Ok(PermitView::exact(payment, payload).claim(asset)),
        };
        let parts =
            [format!("{asset:#x}"), format!("{:#x}", authorization.from), format!("{:#x}", authorization.nonce)];
        let key = ClaimKey::new(network, MECHANISM, &parts.each_ref().map(String::as_str));
        let payer = AccountId::new(network.clone(), &authorization.from.to_checksum(None));
        let claim = Claim::new(key, payer).expect(Expect::new(asset, authorization).into_value());
        // An end beyond what a signed 64-bit number holds is no time.
        Ok(match authorization.valid_before.to_u64().filter(|end| i64::try_from(*end).is_ok()) {
            Some(end) => claim.dead_after(end),
            None => claim,
        })
    }

    fn malformed(part: WirePart, why: &serde_json::Error) -> Rejected {
        let why = why.to_string();
        let code = match part {
            WirePart::Payload if why == types::OTHER_KIND => codes::UNSUPPORTED_PAYLOAD,
            WirePart::Payload => INVALID_PAYLOAD,
            WirePart::Extra => INVALID_PAYMENT_REQUIREMENTS,
        };
        Rejected::new(code).because(why)
    }
}

/// An address of an offer: `asset` or `payTo`.
pub(crate) fn offer_address(offer: &PaymentRequirements, member: &str) -> Result<Address, Rejected> {
    let text = if member == "asset" { &offer.asset } else { &offer.pay_to };
    parse_address(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Rejected::new(INVALID_PAYMENT_REQUIREMENTS).because(format!("the offer's {member} `{shown}` is no EVM address"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{golden_offer, golden_payment};
    use tollway_core::decode;

    #[test]
    fn the_claim_key_is_canonical_and_takes_the_offers_asset() {
        let (mut raw, mut offer) = (golden_payment(), golden_offer());
        let claim = Exact::claim(&decode(&raw, &offer).unwrap()).unwrap();
        assert_eq!(
            claim.key.as_str(),
            "eip155:84532/eip3009/0x036cbd53842c5426634e7929541ec2318f3dcf7e\
             /0x70997970c51812dc3a010c7d01b50e0d17dc79c8\
             /0x74495a19cc75962b80afd7ded1d220b76b2f11fd3dfd1388ed5a263a271ad3d7"
        );
        assert_eq!(claim.payer.to_string(), "eip155:84532:0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        assert_eq!(claim.dead_after, Some(1_795_188_022));

        // Spelled otherwise, and with another signature, it is the same payment.
        raw.payload["authorization"]["from"] = "0x70997970C51812DC3A010C7D01B50E0D17DC79C8".into();
        raw.payload["authorization"]["nonce"] =
            "0x74495A19CC75962B80AFD7DED1D220B76B2F11FD3DFD1388ED5A263A271AD3D7".into();
        raw.payload["signature"] = "0x".into();
        offer.asset = offer.asset.to_lowercase();
        let again = Exact::claim(&decode(&raw, &offer).unwrap()).unwrap();
        assert_eq!(again.key, claim.key);
        assert_eq!(again.payer, claim.payer);

        offer.asset = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913".to_owned();
        assert_ne!(Exact::claim(&decode(&raw, &offer).unwrap()).unwrap().key, claim.key);
        offer.asset = "USDC".to_owned();
        let refused = Exact::claim(&decode(&raw, &offer).unwrap()).unwrap_err();
        assert_eq!(refused.code.as_str(), "invalid_payment_requirements");
    }

    #[test]
    fn shapes_have_their_codes() {
        let (raw, offer) = (golden_payment(), golden_offer());
        let refused = |payload: serde_json::Value, offer: &PaymentRequirements| {
            let mut raw = raw.clone();
            raw.payload = payload;
            decode::<Exact>(&raw, offer).unwrap_err().code.as_str().to_owned()
        };
        let other = serde_json::json!({ "signature": "0x", "delegationManager": "0x" });
        assert_eq!(refused(other, &offer), "unsupported_payload_type");
        let permit2 = serde_json::json!({ "signature": "0x", "permit2Authorization": {} });
        assert_eq!(refused(permit2, &offer), "invalid_payload");
        assert_eq!(refused(serde_json::json!([]), &offer), "invalid_payload");
        let mut amount = raw.payload.clone();
        amount["authorization"]["value"] = "1e3".into();
        assert_eq!(refused(amount, &offer), "invalid_payload");
        let odd = golden_offer().with_extra("name", 7);
        assert_eq!(refused(raw.payload.clone(), &odd), "invalid_payment_requirements");
    }
}
