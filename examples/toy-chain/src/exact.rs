//! The scheme `exact`: a sealed note that says who pays whom how much, and the sides that write and honour it.

use crate::chain::{Toy, books, canonical, seal};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tollway_core::*;

pub(crate) struct Exact;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    from: String,
    nonce: u64,
    valid_until: u64,
    seal: String,
}

impl Note {
    /// What is sealed. The money comes from the offer, so a note fits one offer only.
    fn text(&self, PaymentRequirements { network, asset, pay_to, amount, .. }: &PaymentRequirements) -> Vec<u8> {
        let Self { from, nonce, valid_until, .. } = self;
        format!("{network} {asset}: {from} pays {pay_to} {amount}, note {nonce}, until {valid_until}").into_bytes()
    }
}

impl Scheme for Exact {
    const NAME: &'static str = "exact";
    type Payload = Note;
    type Extra = Nothing;

    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        let (network, note) = (&payment.offer.network, &payment.payload);
        let from = canonical(&note.from)?;
        let key = ClaimKey::new(network, "note", &[&from, &note.nonce.to_string()]);
        Ok(Claim::new(key, AccountId::new(network.clone(), &from)).dead_after(note.valid_until))
    }
}

/// The paying and the settling side: both are made from the same things. The selling side needs nothing and is
/// core's `PlainServer`.
pub(crate) struct Side {
    chain: Arc<Toy>,
    cx: BuildContext,
}

impl Build for Side {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self { chain: cx.network()?, cx })
    }
}

impl SchemeClient for Side {
    type Scheme = Exact;

    async fn sign(&self, ask: Ask<'_, Exact>) -> Result<Signed<Note>> {
        let signer = self.cx.signer().map_err(|why| Fault::new(FaultKind::Configuration, why))?;
        let valid_until = self.cx.clock.now().saturating_add(ask.offer.max_timeout_seconds.get());
        // 53 random bits: above that, other languages read a JSON number as its neighbour.
        let (from, nonce) = (signer.address().to_owned(), RandomState::new().hash_one(()) >> 11);
        let mut note = Note { from, nonce, valid_until, seal: String::new() };
        let seal = signer.sign(Signable::Message(&note.text(ask.offer))).await?;
        note.seal = String::from_utf8_lossy(&seal).into_owned();
        Ok(Signed::new(note).dead_after(valid_until))
    }
}

impl SchemeFacilitator for Side {
    type Scheme = Exact;

    fn check(&self, payment: &Payment<'_, Exact>) -> Result<(), Rejected> {
        let (note, offer) = (&payment.payload, payment.offer);
        let sealed = |pin: &Secret| seal(pin, &note.text(offer)) == note.seal;
        let code = match canonical(&note.from)? {
            _ if self.chain.asset(&offer.asset).is_none() => codes::INVALID_PAYMENT_REQUIREMENTS,
            _ if canonical(&offer.pay_to).is_err() => codes::INVALID_PAYMENT_REQUIREMENTS,
            _ if note.valid_until < self.cx.clock.now() => ErrorCode::new("toy_note_expired"),
            from if !books().pins.get(&from).is_some_and(sealed) => ErrorCode::new("toy_invalid_seal"),
            _ => return Ok(()),
        };
        Err(Rejected::new(code).payer(&note.from))
    }

    async fn verify(&self, payment: &Payment<'_, Exact>) -> Result<Verified> {
        let claim = Exact::claim(payment)?;
        books().check(&claim, payment.offer)?;
        Ok(Verified::new(claim.payer.address()))
    }

    async fn settle(&self, payment: &Payment<'_, Exact>, cx: &SettleContext) -> Result<Outcome> {
        let (claim, offer) = (&cx.claim, payment.offer);
        books().check(claim, offer)?;
        let slot = Slot::new(offer.network.clone(), "teller", None);
        let tx = SignedTx::new(slot, format!("tx/{}", claim.key), payment.payload.text(offer));
        // Written down first, sent second: sending takes nothing but the proof that the ledger has it.
        let durable = cx.ledger.signed(tx, std::slice::from_ref(&cx.ticket)).await?;
        Ok(books().send(&durable, claim, offer))
    }
}
