//! The three sides of the fake scheme. The settling one follows the script step by step.

use super::script::{OnSettle, OnVerify, Script, step};
use super::world::{World, lock};
use super::{FakeChain, FakeExact, FakePayload, canonical, codes};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tollway_core::{
    Amount, Ask, Build, BuildContext, Clock, Durable, Fault, FaultKind, Network, NoConfig, Object, Outcome, Payment,
    PaymentRequirements, Rejected, Result, Scheme, SchemeClient, SchemeFacilitator, SchemeServer, SettleContext,
    Signable, Signed, Signer, Standing, SupportedKind, Verified,
};

/// Key of the kind's `extra` that fake servers copy into their offers.
const TELLER: &str = "teller";

/// The paying side.
pub struct FakeClient {
    chain: Arc<FakeChain>,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    script: Option<Script>,
}

/// The section of the paying side.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FakeClientConfig {
    /// What happens to every payment this client signs.
    pub script: Option<Script>,
}

impl Build for FakeClient {
    type Config = FakeClientConfig;
    const EXAMPLE: &'static str = r#"{ "script": { "settle": ["loseAnswer", "go"], "fate": ["waiting"] } }"#;

    async fn build(config: FakeClientConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self { chain: cx.network()?, signer: cx.signer()?, clock: cx.clock, script: config.script })
    }
}

impl SchemeClient for FakeClient {
    type Scheme = FakeExact;

    async fn sign(&self, ask: Ask<'_, FakeExact>) -> Result<Signed<FakePayload>> {
        let valid_until = self.clock.now().saturating_add(ask.offer.max_timeout_seconds.get());
        let (number, script) = {
            let mut world = lock(&self.chain.world);
            world.notes = world.notes.saturating_add(1);
            (world.notes, self.script.clone().or_else(|| world.script.clone()))
        };
        let payload =
            FakePayload::valid_until(self.signer.address(), &format!("note-{number}"), ask.offer, valid_until);
        // Through the signer, so that a signer that fails is noticed.
        self.signer.sign(Signable::Message(payload.signature.as_bytes())).await?;
        Ok(Signed::new(payload.scripted(script.unwrap_or_default())).dead_after(valid_until))
    }

    async fn standing(&self, payment: &Payment<'_, FakeExact>) -> Result<Standing> {
        let key = FakeExact::claim(payment)?.key;
        Ok(match self.chain.auditor().moved(&key) {
            0 if self.clock.now() > payment.payload.valid_until => Standing::Dead,
            0 => Standing::Open,
            _ => Standing::Spent,
        })
    }
}

/// The selling side.
#[derive(Debug)]
pub struct FakeServer {
    hints: bool,
    refreshed: AtomicU64,
}

/// The section of the selling side.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FakeServerConfig {
    /// Whether every challenge carries a fresh `extra.hint`.
    pub hints: bool,
}

impl Build for FakeServer {
    type Config = FakeServerConfig;
    const EXAMPLE: &'static str = r#"{ "hints": true }"#;

    async fn build(config: FakeServerConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self { hints: config.hints, refreshed: AtomicU64::new(0) })
    }
}

impl SchemeServer for FakeServer {
    type Scheme = FakeExact;

    fn offer(&self, draft: PaymentRequirements, kind: &SupportedKind) -> Result<PaymentRequirements, String> {
        match kind.extra.as_ref().and_then(|extra| extra.get(TELLER)) {
            Some(teller) => Ok(draft.with_extra(TELLER, teller.clone())),
            None => Ok(draft),
        }
    }

    fn refresh(&self, offer: &mut PaymentRequirements) {
        if self.hints {
            let hint = self.refreshed.fetch_add(1, Ordering::SeqCst).to_string();
            offer.extra.get_or_insert_default().insert("hint".to_owned(), hint.into());
        }
    }
}

/// The settling side.
pub struct FakeTeller {
    chain: Arc<FakeChain>,
    clock: Arc<dyn Clock>,
}

macro_rules! debug_by_network {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("network", self.chain.id()).finish_non_exhaustive()
            }
        }
    )+};
}
debug_by_network!(FakeClient, FakeTeller);

impl Build for FakeTeller {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self { chain: cx.network()?, clock: cx.clock })
    }
}

/// Never comes back, as a killed process does not.
async fn stop_for_ever<T>() -> T {
    std::future::pending().await
}

impl FakeTeller {
    async fn pause(&self, script: &Script) {
        if script.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(script.delay_ms)).await;
        }
    }

    /// Signs, and writes down.
    async fn write_down(&self, payment: &Payment<'_, FakeExact>, cx: &SettleContext, call: usize) -> Result<Durable> {
        let transfer = payment.payload.transfer(&cx.claim.key, payment.offer);
        let mut tx = self.chain.transaction(transfer, step(&payment.payload.script.fate, call))?;
        tx.slot.epoch = cx.ledger.hold(&tx.slot.network, &tx.slot.signer).await?;
        Ok(cx.ledger.signed(tx, std::slice::from_ref(&cx.ticket)).await?)
    }
}

impl SchemeFacilitator for FakeTeller {
    type Scheme = FakeExact;

    fn kind_extra(&self) -> Option<Object> {
        Some(Object::from_iter([(TELLER.to_owned(), "fake-teller".into())]))
    }

    fn signers(&self) -> Vec<String> {
        vec!["fake-teller".to_owned()]
    }

    fn check(&self, payment: &Payment<'_, FakeExact>) -> Result<(), Rejected> {
        let (payload, offer) = (&payment.payload, payment.offer);
        canonical(&offer.pay_to)?;
        let code = if self.chain.asset(&offer.asset).is_none() {
            tollway_core::codes::INVALID_PAYMENT_REQUIREMENTS
        } else if payload.signature != payload.proper_signature(offer) {
            codes::INVALID_SIGNATURE
        } else if payload.valid_until < self.clock.now() {
            codes::EXPIRED
        } else {
            return Ok(());
        };
        Err(Rejected::new(code).payer(payload.from.to_ascii_lowercase()))
    }

    async fn verify(&self, payment: &Payment<'_, FakeExact>) -> Result<Verified> {
        let (claim, script) = (FakeExact::claim(payment)?, &payment.payload.script);
        let call = World::count(&mut lock(&self.chain.world).verifies, &claim.key);
        self.pause(script).await;
        match step(&script.verify, call) {
            OnVerify::Check => {}
            OnVerify::Refuse => return Err(Rejected::new(codes::REFUSED).payer(claim.payer.address()).into()),
            OnVerify::Unreachable => return Err(Fault::new(FaultKind::Unreachable, "scripted").into()),
            OnVerify::Hang => stop_for_ever().await,
            OnVerify::Panic => panic!("scripted panic in verify"),
        }
        let (transfer, world) = (payment.payload.transfer(&claim.key, payment.offer), lock(&self.chain.world));
        world.check_unspent(&transfer)?;
        world.check_funds(&transfer)?;
        Ok(Verified::new(claim.payer.address()))
    }

    async fn settle(&self, payment: &Payment<'_, FakeExact>, cx: &SettleContext) -> Result<Outcome> {
        let (claim, script) = (&cx.claim, &payment.payload.script);
        let call = World::count(&mut lock(&self.chain.world).settles, &claim.key);
        self.pause(script).await;
        let plan = step(&script.settle, call);
        match plan {
            OnSettle::Refuse => return Err(Rejected::new(codes::REFUSED).payer(claim.payer.address()).into()),
            OnSettle::Unreachable => return Err(Fault::new(FaultKind::Unreachable, "scripted").into()),
            OnSettle::CrashBeforeSigned => stop_for_ever().await,
            OnSettle::PanicBeforeSigned => panic!("scripted panic before signing"),
            OnSettle::LieSettled => return Ok(settled("fake-tx-of-a-liar", claim.payer.address(), None)),
            _ => {
                let (transfer, world) = (payment.payload.transfer(&claim.key, payment.offer), lock(&self.chain.world));
                world.check_funds(&transfer)?;
                if world.refuses_replays {
                    world.check_unspent(&transfer)?;
                }
            }
        }
        let durable = self.write_down(payment, cx, call).await?;
        match plan {
            OnSettle::CrashSigned => stop_for_ever().await,
            OnSettle::LoseSend => return Err(Fault::new(FaultKind::Unreachable, "scripted").maybe_sent().into()),
            _ => self.chain.send(&durable)?,
        }
        let hash = &durable.tx().hash;
        match plan {
            OnSettle::CrashSent => stop_for_ever().await,
            OnSettle::PanicSent => panic!("scripted panic after sending"),
            OnSettle::LoseAnswer => Err(Fault::new(FaultKind::Timeout, "scripted").maybe_sent().into()),
            OnSettle::LiePayer => Ok(settled(hash, "somebody-else", None)),
            OnSettle::LieAmount => Ok(settled(hash, claim.payer.address(), Some(Amount::from(1)))),
            _ => Ok(self.chain.outcome(hash, true)),
        }
    }
}

fn settled(hash: &str, payer: &str, amount: Option<Amount>) -> Outcome {
    let settled = tollway_core::Settled::new(hash, payer);
    Outcome::Settled(amount.into_iter().fold(settled, tollway_core::Settled::amount))
}
