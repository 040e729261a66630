//! The scheme `exact` for SPL Token and Token-2022: the payer signs a transaction that transfers exactly the amount, the
//! facilitator signs it too, pays the network's fee and sends it (specification `exact` on Solana).
//!
//! Payments have the static layout of the specification's path 1. Path 2, by which smart wallets transfer inside
//! their own programs, is not served, and nothing here says that it is.

mod check;
mod client;
mod facilitator;
mod server;
mod settle;
mod standing;
mod transaction;
pub(crate) mod types;
mod verify;

pub use client::{ExactClient, ExactClientConfig};
pub use facilitator::{ExactFacilitator, ExactFacilitatorConfig};
pub use server::{ExactServer, ExactServerConfig};
pub use types::{Extra, Payload};

use crate::codes;
use crate::message::Transaction;
use crate::programs::{TRANSFER_CHECKED, is_token};
use solana_pubkey::Pubkey;
use tollway_core::{AccountId, Claim, ClaimKey, Flow, NetworkId, Payment, Rejected, Scheme};

/// The scheme. Its claim key is `<network>/svm-message/<SHA-256 of the message, in hexadecimal>`: the network runs a
/// message once. The signatures are not part of it, for the fee payer's is still to come and anybody may change it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Exact;

/// The mechanism's name in claim keys.
const MECHANISM: &str = "svm-message";
/// Which instruction is the transfer, and which of its accounts is the authority.
const TRANSFER: usize = 2;
const AUTHORITY: usize = 3;

impl Scheme for Exact {
    const NAME: &'static str = "exact";
    const FLOWS: &'static [Flow] = &[Flow::Authorization, Flow::Upfront];
    const DYNAMIC_EXTRA: &'static [&'static str] = &["recentBlockhash", "lastValidBlockHeight"];
    const BINDING_EXTRA: &'static [&'static str] = &["feePayer"];
    type Payload = Payload;
    type Extra = Extra;

    /// A transaction carries no time, so the claim has no `dead_after`: it ends 150 blocks after its blockhash, and how
    /// long a block takes is up to the network. No number of seconds is a sound bound. Blockhashes age by blocks, so a
    /// network that stands still, as it has for most of a day, takes afterwards what was signed before; and whoever
    /// acts on `dead_after` takes it for certain. What has to be certain is asked of the chain (see `expiry.rs`). A store
    /// may all the same forget what was *settled*, minutes later: the network runs a message once, and verification
    /// refuses it from then on.
    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        let transaction = payment.payload.decoded().map_err(|why| {
            // What the specification checks before the transaction is refused before it here as well.
            let earlier = check::offer_and_accepted(payment).err();
            earlier.unwrap_or_else(|| Rejected::new(codes::NOT_DECODED).because(why.to_string()))
        })?;
        let network = &payment.offer.network;
        let payer = AccountId::new(network.clone(), &payer(transaction).to_string());
        Ok(Claim::new(claim_key(network, transaction), payer))
    }
}

/// The identity of a transaction: what the network runs once.
pub(crate) fn claim_key(network: &NetworkId, transaction: &Transaction) -> ClaimKey {
    let hash = transaction.message_hash();
    let mut hex = String::with_capacity(64);
    for nibble in hash.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        hex.extend(char::from_digit(nibble.into(), 16));
    }
    ClaimKey::new(network, MECHANISM, &[&hex])
}

/// Who pays: the authority of the transfer. For a transaction that has none where it must be, and will be refused for
/// it, the account that pays the fee.
fn payer(transaction: &Transaction) -> Pubkey {
    let transfer = transaction.instructions().nth(TRANSFER);
    let transfer = transfer.filter(|it| is_token(&it.program) && it.data.first() == Some(&TRANSFER_CHECKED));
    let authority = transfer.and_then(|it| transaction.key(*it.accounts.get(AUTHORITY)?));
    authority.or_else(|| transaction.key(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{golden_bytes, golden_offer, golden_payment, splice};
    use tollway_core::decode;

    #[test]
    fn golden_flows_claim_what_their_message_is() {
        for (flow, hash) in [
            ("exact-svm", "b56e842b9c1b484f8f63c7b7b251a4ee6d88d8de2dc24f8beec1939b252c1cce"),
            ("exact-svm-memo", "d6bc90c03f1b8c5cf2b1cd140778ca59ee31f063b4b1142829b3d69a47975459"),
            ("multi-svm", "88ec4fb77b9b33cfdf51c8fde17a3dbcc74549117f8162fdd0b2d6e3008443bc"),
        ] {
            let (raw, offer) = (golden_payment(flow), golden_offer(flow));
            let claim = Exact::claim(&decode(&raw, &offer).unwrap()).unwrap();
            assert_eq!(claim.key.as_str(), format!("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/svm-message/{hash}"));
            assert_eq!(claim.payer.address(), "F5VXWaBNSv1khZWE1wwCusDZ7o9hp8Nsii9R2j24xuKs");
            assert_eq!((claim.dead_after, &claim.expect), (None, &serde_json::Value::Null));
        }
    }

    #[test]
    fn junk_in_the_fee_payers_slot_is_the_same_payment() {
        let (mut raw, offer) = (golden_payment("exact-svm"), golden_offer("exact-svm"));
        let key = |raw: &_| Exact::claim(&decode(raw, &offer).unwrap()).unwrap().key;
        let plain = key(&raw);
        for junk in 0..=255 {
            let bytes = splice(&golden_bytes("exact-svm"), 1, &[junk; 64]);
            raw.payload = serde_json::to_value(Payload::of(&bytes)).unwrap();
            assert_eq!(key(&raw), plain);
        }
        let other = splice(&golden_bytes("exact-svm"), 400, &[1]);
        raw.payload = serde_json::to_value(Payload::of(&other)).unwrap();
        assert_ne!(key(&raw), plain);
    }

    #[test]
    fn shapes_have_their_codes() {
        let (raw, offer) = (golden_payment("exact-svm"), golden_offer("exact-svm"));
        let refused = |payload: serde_json::Value, offer: &tollway_core::PaymentRequirements| {
            let mut raw = raw.clone();
            raw.payload = payload;
            let claim = decode::<Exact>(&raw, offer).and_then(|payment| Exact::claim(&payment));
            claim.unwrap_err().code.as_str().to_owned()
        };
        assert_eq!(refused(serde_json::json!({}), &offer), "invalid_payload");
        assert_eq!(refused(serde_json::json!({ "transaction": 7 }), &offer), "invalid_payload");
        let odd = offer.clone().with_extra("memo", 7);
        assert_eq!(refused(raw.payload.clone(), &odd), "invalid_payment_requirements");
        let garbage = serde_json::json!({ "transaction": "AAAA" });
        assert_eq!(refused(garbage.clone(), &offer), "invalid_exact_svm_payload_transaction_could_not_be_decoded");
        let mut nobody = offer;
        nobody.extra.as_mut().unwrap().remove("feePayer");
        assert_eq!(refused(garbage, &nobody), "invalid_exact_svm_payload_missing_fee_payer");
    }

    #[test]
    fn hints_are_not_matched_and_the_fee_payer_is() {
        let golden = tollway_testkit::golden::vectors::requirement_matching();
        let read = |value: &serde_json::Value| serde_json::from_value(value.clone()).unwrap();
        let cases = golden["svm"]["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let matches = tollway_core::matches_offer(
                &read(&golden["svm"]["required"]),
                &read(&case["accepted"]),
                Exact::DYNAMIC_EXTRA,
            );
            assert_eq!(Some(matches), case["matches"].as_bool(), "{}", case["name"]);
        }
    }
}
