//! Ready-made values of the protocol's types, for tests that are about something else.

use crate::chain::{COIN, FakePayload};
use serde_json::Value;
use std::num::NonZeroU64;
use std::sync::Arc;
use tollway_core::{
    AccountId, Amount, Caller, Claim, ClaimKey, ClaimRow, Ledger, LedgerHandle, NetworkId, PaymentPayload,
    PaymentRequired, PaymentRequirements, ResourceInfo, Scope, SettleContext, SignedTx, Slot, codes,
};

/// A network's name.
///
/// # Panics
/// The text is none.
pub fn network(id: &str) -> NetworkId {
    id.parse().unwrap_or_else(|why| panic!("{why}"))
}

/// 10 000 atomic units (one cent) of the fake chain's coin to `payee`, for a minute.
pub fn offer(id: &str) -> PaymentRequirements {
    PaymentRequirements::new("exact", network(id), Amount::from(10_000), COIN, "payee")
        .with_timeout(NonZeroU64::MIN.saturating_add(59))
}

/// What is sold at an address.
pub fn resource(url: &str) -> ResourceInfo {
    ResourceInfo::new(url)
}

/// A first challenge with these offers.
pub fn required(url: &str, accepts: Vec<PaymentRequirements>) -> PaymentRequired {
    PaymentRequired::new(codes::PAYMENT_REQUIRED.as_str(), resource(url), accepts)
}

/// A payment of `offer` with a payload of any shape.
pub fn payment(offer: &PaymentRequirements, payload: Value) -> PaymentPayload {
    PaymentPayload::new(offer.clone(), payload)
}

/// A payment of `offer` on the fake chain.
pub fn fake_payment(offer: &PaymentRequirements, payload: &FakePayload) -> PaymentPayload {
    payment(offer, serde_json::to_value(payload).expect("a fake payload is JSON"))
}

/// A caller with a token.
pub fn caller(token: &str) -> Caller {
    Caller::new(token)
}

/// The caller of [`row`]: a token names one payment.
pub fn caller_of(name: &str, token: &str) -> Caller {
    caller(&format!("{token} of {name}"))
}

/// The claim of the payment called `name`, by `alice` on `fake:fixture`.
pub fn claim(name: &str) -> Claim {
    let network = network("fake:fixture");
    Claim::new(ClaimKey::new(&network, "fixture", &[name]), AccountId::new(network, "alice"))
}

/// A row for the payment called `name`, taken by the caller who says `token` for it: [`caller_of`].
pub fn row(scope: Scope, name: &str, token: &str) -> ClaimRow {
    let offer = offer("fake:fixture");
    let raw = fake_payment(&offer, &FakePayload::new("alice", name, &offer));
    ClaimRow::new(scope, claim(name), raw, offer, caller_of(name, token))
}

/// Takes a payment's claim for a nameless caller, as a facilitator does before it settles.
///
/// # Panics
/// The ledger does not answer, or somebody has the claim.
pub async fn taken(
    ledger: Arc<dyn Ledger>,
    claim: &Claim,
    raw: &PaymentPayload,
    offer: &PaymentRequirements,
) -> SettleContext {
    let row = ClaimRow::new(Scope::Facilitator, claim.clone(), raw.clone(), offer.clone(), Caller::ANONYMOUS);
    let answer = ledger.take(&row).await.unwrap_or_else(|why| panic!("{why}"));
    let ticket = answer.ticket().unwrap_or_else(|| panic!("{} is taken", claim.key));
    SettleContext::new(claim.clone(), ticket, LedgerHandle::new(ledger, Scope::Facilitator))
}

/// A signed transaction of `signer` at a place in its order, if it has one.
pub fn signed_tx(signer: &str, sequence: Option<u64>, hash: &str) -> SignedTx {
    SignedTx::new(Slot::new(network("fake:fixture"), signer, sequence), hash, hash.as_bytes().to_vec())
}
