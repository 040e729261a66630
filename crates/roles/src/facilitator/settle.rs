//! Settlement: the claim is taken, the scheme runs in a task of its own, the outcome is written.

use super::{Engine, check};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinError;
use tollway_core::erased::OpenPayment;
use tollway_core::{
    Caller, ClaimKey, ClaimRow, Failure, Fault, FaultKind, Found, Observed, Outcome, PaymentPayload,
    PaymentRequirements, Rejected, Result, Scope, Sent, SettleContext, Stage, Taken, Ticket, codes,
};

pub(super) type UnderWay = std::collections::HashMap<ClaimKey, watch::Receiver<Option<Outcome>>>;

/// Marks a settlement as under way; ends when the scheme does, by a panic too.
struct Running<'a> {
    engine: &'a Engine,
    key: ClaimKey,
    tell: watch::Sender<Option<Outcome>>,
}

impl<'a> Running<'a> {
    fn new(engine: &'a Engine, key: ClaimKey) -> Self {
        let (tell, receiver) = watch::channel(None);
        engine.under_way().insert(key.clone(), receiver);
        Self { engine, key, tell }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.engine.under_way().remove(&self.key);
    }
}

/// Settles one payment for `caller`. Dropping the returned future does not stop the settlement.
pub(super) async fn settle(
    engine: &Arc<Engine>,
    raw: &PaymentPayload,
    offer: &PaymentRequirements,
    caller: &Caller,
) -> Result<Outcome> {
    let (own, raw, offer, caller) = (engine.clone(), raw.clone(), offer.clone(), caller.clone());
    let taken = Arc::new(OnceLock::new());
    let mark = taken.clone();
    let task = tokio::spawn(async move {
        let result = own.settle(&raw, &offer, caller, &mark).await.map(told);
        for hook in &own.hooks {
            hook.settled(&raw, &offer, &result).await;
        }
        result
    });
    match task.await {
        Ok(result) => result,
        Err(why) => engine.after_panic(taken.get(), why).await,
    }
}

/// What is in a block is settled to whoever asks. That it stays so is the reconciler's business.
fn told(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Included(settled) => Outcome::Settled(settled),
        outcome => outcome,
    }
}

impl Engine {
    async fn settle(
        &self,
        raw: &PaymentPayload,
        offer: &PaymentRequirements,
        caller: Caller,
        taken: &OnceLock<Ticket>,
    ) -> Result<Outcome> {
        for hook in &self.hooks {
            hook.before_settle(raw, offer).await?;
        }
        let payment = self.dispatch(raw, offer)?.open(raw, offer)?;
        let claim = payment.claim().clone();
        let row = ClaimRow::new(Scope::Facilitator, claim, raw.clone(), offer.clone(), caller);
        // Local checks come before the claim is taken: garbage must not occupy somebody else's.
        if let Err(refused) = check(&*payment, raw, offer) {
            // A payment that ended since it was settled is still answered to whoever settled it.
            return match self.known(&row).await {
                Ok(Some(outcome)) => Ok(outcome),
                _ => Err(refused.into()),
            };
        }
        let ticket = match self.ledger.take(&row).await? {
            Taken::New(ticket) => ticket,
            Taken::TokenReused => return Err(reused().into()),
            _ => match self.take_up(&row).await? {
                Some(ticket) => ticket,
                None => return self.known(&row).await?.ok_or_else(|| duplicate().into()),
            },
        };
        let _ = taken.set(ticket.clone());
        self.finish(&*payment, row.with_turn(ticket.turn)).await
    }

    /// Settles a claim that is ours, and writes what came of it.
    pub(super) async fn finish(&self, payment: &dyn OpenPayment, row: ClaimRow) -> Result<Outcome> {
        let running = Running::new(self, row.claim.key.clone());
        let mut cx = SettleContext::new(row.claim.clone(), row.ticket(), self.ledger.clone());
        let mut result = payment.settle(&cx).await;
        if held_elsewhere(&result) {
            result = self.settle_elsewhere(payment, &row, &mut cx, result).await;
        }
        running.tell.send_replace(Some(self.write(&cx.ticket, &result).await));
        if let Ok(Outcome::Settled(settled) | Outcome::Included(settled)) = &mut result
            && !self.extensions.is_empty()
        {
            let seen = Observed::new(Stage::Settled, &row.raw, &row.offer, settled.payer.as_deref());
            settled.extension_responses = self.observe(&seen).await;
        }
        result
    }

    /// A scheme or a hook panicked. If nothing was signed, nothing was sent and the claim is free; else the chain knows.
    async fn after_panic(&self, taken: Option<&Ticket>, why: JoinError) -> Result<Outcome> {
        let fault = Fault::new(FaultKind::Internal, "settling ended abnormally").source(why);
        let Some(ticket) = taken else { return Err(fault.into()) };
        let (outcome, fault) = match self.ledger.find(&ticket.key).await? {
            Some(Found { outcome: Some(_), .. }) | None => return Err(fault.maybe_sent().into()),
            Some(Found { slot: None, .. }) => (Outcome::Released(Rejected::new(codes::UNEXPECTED_SETTLE_ERROR)), fault),
            Some(_) => (Outcome::Pending { transaction: String::new() }, fault.maybe_sent()),
        };
        self.ledger.resolve(&[(ticket.clone(), outcome)]).await?;
        Err(fault.into())
    }

    /// Writes what came of a settlement. A store that fails here leaves the row open: the reconciler finds it, and
    /// the answer given is still true.
    async fn write(&self, ticket: &Ticket, result: &Result<Outcome>) -> Outcome {
        let outcome = match result {
            Ok(outcome) => outcome.clone(),
            Err(Failure::Rejected(rejected)) => Outcome::Released(rejected.clone()),
            Err(Failure::Fault(fault)) if fault.sent == Sent::No => {
                Outcome::Released(Rejected::new(codes::UNEXPECTED_SETTLE_ERROR))
            }
            // The transaction's hash is with the ledger's attempts, if it was signed.
            Err(Failure::Fault(_)) => Outcome::Pending { transaction: String::new() },
        };
        if let Err(why) = self.ledger.resolve(&[(ticket.clone(), outcome.clone())]).await {
            tracing::error!(key = %ticket.key, %why, "the outcome of a settlement could not be written; it stays open");
        }
        outcome
    }

    pub(super) fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        // A map of receivers is whole whatever panicked while it was locked.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn held_elsewhere(result: &Result<Outcome>) -> bool {
    matches!(result, Err(Failure::Fault(Fault { held_elsewhere: Some(_), .. })))
}

pub(super) fn duplicate() -> Rejected {
    Rejected::new(codes::DUPLICATE_SETTLEMENT).because("this payment was presented before")
}

pub(super) fn reused() -> Rejected {
    Rejected::new(codes::IDEMPOTENCY_KEY_REUSED)
        .because("this Idempotency-Key was sent with another payment; take a new one")
}
