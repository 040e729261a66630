//! The fake scheme: what all three roles agree on.

use super::script::Script;
use super::world::Transfer;
use super::{VALID_UNTIL, canonical};
use serde::{Deserialize, Serialize};
use tollway_core::{AccountId, Claim, ClaimKey, Flow, Object, Payment, PaymentRequirements, Rejected, Scheme};

/// The scheme `exact` on fake networks.
#[derive(Debug)]
#[non_exhaustive]
pub struct FakeExact;

/// What a fake client signs, and the script of what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FakePayload {
    /// Who pays.
    pub from: String,
    /// What makes the payment itself.
    pub nonce: String,
    /// Unix seconds until which it can be settled.
    pub valid_until: u64,
    /// Not cryptography: says whose it is, for which offer.
    pub signature: String,
    /// What will happen. Not signed and not part of the payment's identity.
    #[serde(default)]
    pub script: Script,
}

impl FakePayload {
    /// A payment of `offer` that goes well, signed by `from`, valid for an hour from
    /// [`FakeClock::START`](crate::FakeClock::START).
    pub fn new(from: &str, nonce: &str, offer: &PaymentRequirements) -> Self {
        Self::valid_until(from, nonce, offer, VALID_UNTIL)
    }

    /// The same with a time of its own.
    pub fn valid_until(from: &str, nonce: &str, offer: &PaymentRequirements, valid_until: u64) -> Self {
        let (from, nonce, script) = (from.to_owned(), nonce.to_owned(), Script::default());
        let mut payload = Self { from, nonce, valid_until, signature: String::new(), script };
        payload.signature = payload.proper_signature(offer);
        payload
    }

    /// Sets what will happen.
    pub fn scripted(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// The signature this payload would have if it were genuine. Letter case of the address is no matter.
    pub(super) fn proper_signature(&self, offer: &PaymentRequirements) -> String {
        let PaymentRequirements { network, amount, asset, pay_to, .. } = offer;
        let from = self.from.to_ascii_lowercase();
        format!("{from} pays {amount} {asset} to {pay_to} on {network} by {} until {}", self.nonce, self.valid_until)
    }

    /// What settling would move.
    pub(super) fn transfer(&self, key: &ClaimKey, offer: &PaymentRequirements) -> Transfer {
        Transfer {
            key: key.clone(),
            from: self.from.to_ascii_lowercase(),
            to: offer.pay_to.clone(),
            amount: offer.amount,
            asset: offer.asset.clone(),
        }
    }
}

impl Scheme for FakeExact {
    const NAME: &'static str = "exact";
    const FLOWS: &'static [Flow] = &[Flow::Authorization, Flow::Upfront];
    const DYNAMIC_EXTRA: &'static [&'static str] = &["hint"];
    const BINDING_EXTRA: &'static [&'static str] = &["cashier"];
    type Payload = FakePayload;
    type Extra = Object;

    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        let (network, from) = (&payment.offer.network, canonical(&payment.payload.from)?);
        let nonce = canonical(&payment.payload.nonce)?;
        let key = ClaimKey::new(network, "fake", &[&from, &nonce]);
        let claim = Claim::new(key, AccountId::new(network.clone(), &from)).dead_after(payment.payload.valid_until);
        Ok(claim.expect(serde_json::json!({ "payTo": payment.offer.pay_to, "amount": payment.offer.amount })))
    }
}
