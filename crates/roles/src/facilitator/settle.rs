//! Settlement and reconciliation: the claim is taken, the scheme runs in a task of its own, the outcome is written.

use super::{Engine, LocalFacilitator, check};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinError;
use tollway_core::{
    Caller, ClaimKey, ClaimRow, Failure, Fault, FaultKind, Found, OpenSlot, Outcome, PaymentPayload,
    PaymentRequirements, Rejected, Result, Scope, Sent, SettleContext, Stage, Taken, codes,
};

/// Open slots looked at in one go by the reconciler.
const RECONCILE_LIMIT: usize = 4096;

fn duplicate() -> Rejected {
    Rejected::new(codes::DUPLICATE_SETTLEMENT).because("this payment was presented before")
}

type UnderWay = std::collections::HashMap<ClaimKey, watch::Receiver<Option<Outcome>>>;

/// Marks a settlement as under way; ends when the scheme does, by a panic too.
struct Running<'a> {
    engine: &'a Engine,
    key: ClaimKey,
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
        let result = own.settle(&raw, &offer, caller, &mark).await;
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

impl Engine {
    async fn settle(
        &self,
        raw: &PaymentPayload,
        offer: &PaymentRequirements,
        caller: Caller,
        taken: &OnceLock<ClaimKey>,
    ) -> Result<Outcome> {
        for hook in &self.hooks {
            hook.before_settle(raw, offer).await?;
        }
        let payment = self.dispatch(raw, offer)?.open(raw, offer)?;
        let claim = payment.claim().clone();
        let row = ClaimRow::new(Scope::Facilitator, claim.clone(), raw.clone(), offer.clone(), caller);
        // Local checks come before the claim is taken: garbage must not occupy somebody else's.
        if let Err(refused) = check(&*payment, raw, offer) {
            // A payment that ended since it was settled is still answered to whoever settled it.
            return match self.known(&row).await {
                Ok(Some(outcome)) => Ok(outcome),
                _ => Err(refused.into()),
            };
        }
        if self.ledger.take(&row).await? != Taken::New {
            return self.known(&row).await?.ok_or_else(|| duplicate().into());
        }
        let _ = taken.set(claim.key.clone());
        let (sender, receiver) = watch::channel(None);
        self.under_way().insert(claim.key.clone(), receiver);
        let _running = Running { engine: self, key: claim.key.clone() };
        let cx = SettleContext::new(claim, self.ledger.clone());
        let result = payment.settle(&cx).await;
        sender.send_replace(Some(self.write(&cx.claim.key, &result).await));
        if matches!(result, Ok(Outcome::Settled(_))) {
            for extension in &self.extensions {
                extension.observe(Stage::Settled, raw, offer).await;
            }
        }
        result
    }

    /// What the books say to whoever presents a payment that is in them; `None` if it is not. The same caller, with the
    /// same purchase, gets its outcome. A caller without a token is taken for the one whose answer was "pending", once:
    /// the reference implementation has no way to say who it is.
    async fn known(&self, row: &ClaimRow) -> Result<Option<Outcome>> {
        let key = &row.claim.key;
        let Some(found) = self.ledger.find(key).await? else { return Ok(None) };
        if !found.row.is_same_purchase(row) {
            return Err(duplicate().into());
        }
        let nameless = found.row.caller.token().is_none() && row.caller.token().is_none();
        match found.outcome {
            Some(Outcome::Pending { transaction }) if nameless => match self.ledger.retake(row).await? {
                Some(_) => self.look_again(key, transaction).await.map(Some),
                None => Err(duplicate().into()),
            },
            _ if !found.row.caller.is(&row.caller) => Err(duplicate().into()),
            Some(Outcome::Pending { transaction }) => self.look_again(key, transaction).await.map(Some),
            Some(outcome) => Ok(Some(outcome)),
            None => self.join(key).await.map(Some),
        }
    }

    /// A scheme or a hook panicked. If nothing was signed, nothing was sent and the claim is free; else the chain knows.
    async fn after_panic(&self, taken: Option<&ClaimKey>, why: JoinError) -> Result<Outcome> {
        let fault = Fault::new(FaultKind::Internal, "settling ended abnormally").source(why);
        let Some(key) = taken else { return Err(fault.into()) };
        let (outcome, fault) = match self.ledger.find(key).await? {
            Some(Found { outcome: Some(_), .. }) | None => return Err(fault.maybe_sent().into()),
            Some(Found { slot: None, .. }) => (Outcome::Released(Rejected::new(codes::UNEXPECTED_SETTLE_ERROR)), fault),
            Some(_) => (Outcome::Pending { transaction: String::new() }, fault.maybe_sent()),
        };
        self.ledger.resolve(&[(key.clone(), outcome)]).await?;
        Err(fault.into())
    }

    /// Writes what came of a settlement. A store that fails here leaves the row open: the reconciler finds it, and
    /// the answer given is still true.
    async fn write(&self, key: &ClaimKey, result: &Result<Outcome>) -> Outcome {
        let outcome = match result {
            Ok(outcome) => outcome.clone(),
            Err(Failure::Rejected(rejected)) => Outcome::Released(rejected.clone()),
            Err(Failure::Fault(fault)) if fault.sent == Sent::No => {
                Outcome::Released(Rejected::new(codes::UNEXPECTED_SETTLE_ERROR))
            }
            // The transaction's hash is with the ledger's attempts, if it was signed.
            Err(Failure::Fault(_)) => Outcome::Pending { transaction: String::new() },
        };
        if let Err(why) = self.ledger.resolve(&[(key.clone(), outcome.clone())]).await {
            tracing::error!(%key, %why, "the outcome of a settlement could not be written; it stays open");
        }
        outcome
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        // A map of receivers is whole whatever panicked while it was locked.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same caller asks while its settlement runs: wait for that one.
    async fn join(&self, key: &ClaimKey) -> Result<Outcome> {
        let receiver = self.under_way().get(key).cloned();
        let outcome = match receiver {
            // The sender gone without an outcome means that nobody knows.
            Some(mut receiver) => receiver.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone()),
            None => None,
        };
        match outcome {
            Some(Outcome::Pending { transaction }) => self.look_again(key, transaction).await,
            Some(outcome) => Ok(outcome),
            None => self.look_again(key, String::new()).await,
        }
    }

    /// Looks at the chain again for a claim whose outcome is unknown. Never sends anything but identical bytes.
    async fn look_again(&self, key: &ClaimKey, transaction: String) -> Result<Outcome> {
        let ours = self.ledger.find(key).await?.and_then(|found| found.slot);
        let transaction = match &ours {
            Some(slot) => slot.attempts.last().map_or(transaction, |attempt| attempt.tx().hash.clone()),
            None => transaction,
        };
        if let Some(slot) = &ours {
            let found = self.reconcile_slot(slot).await.unwrap_or_else(|why| {
                tracing::warn!(%key, %why, "a pending settlement could not be looked at");
                Vec::new()
            });
            if let Some((_, outcome)) = found.into_iter().find(|(found, _)| found == key) {
                return Ok(outcome);
            }
        }
        let pending = Outcome::Pending { transaction };
        self.ledger.resolve(&[(key.clone(), pending.clone())]).await?;
        match &pending {
            Outcome::Pending { transaction } if transaction.is_empty() => {
                Err(Fault::new(FaultKind::Unreachable, "the settlement has not been signed yet; ask again")
                    .maybe_sent()
                    .into())
            }
            _ => Ok(pending),
        }
    }

    async fn reconcile_slot(&self, slot: &OpenSlot) -> Result<Vec<(ClaimKey, Outcome)>, Fault> {
        let Some(network) = slot.attempts.first().map(|attempt| &attempt.tx().slot.network) else {
            return Ok(Vec::new());
        };
        let settler = self.sides.get(network).and_then(|served| served.network.settler()).ok_or_else(|| {
            Fault::new(
                FaultKind::Configuration,
                format!("{network} has open settlements and is not configured to settle"),
            )
        })?;
        let outcomes = settler.reconcile(slot, &self.ledger).await?;
        self.ledger.resolve(&outcomes).await?;
        Ok(outcomes)
    }
}

impl LocalFacilitator {
    /// Finishes what a crash or a time-out left open: rebroadcasts identical bytes or reads outcomes from the chain.
    /// Call it at start and from time to time. Returns how many claims ended.
    ///
    /// # Errors
    /// The ledger could not be read. A network that cannot be asked is logged and left for the next time.
    pub async fn reconcile(&self) -> Result<usize, Fault> {
        let mut ended = 0usize;
        for slot in self.engine.ledger.open(RECONCILE_LIMIT).await? {
            // A settlement that runs right now ends itself.
            let runs = slot.claims.iter().any(|row| self.engine.under_way().contains_key(&row.claim.key));
            if runs {
                continue;
            }
            match self.engine.reconcile_slot(&slot).await {
                Ok(outcomes) => {
                    let certain = outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Pending { .. }));
                    ended = ended.saturating_add(certain.count());
                }
                Err(why) => tracing::warn!(%why, "a slot could not be reconciled"),
            }
        }
        Ok(ended)
    }
}
