//! What a facilitator does without being asked: it finishes what a crash or a time-out left open, and settles what other
//! processes hand to it.

use super::{Engine, LocalFacilitator};
use futures_util::StreamExt as _;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tollway_core::{ClaimKey, ClaimRow, Fault, FaultKind, OpenSlot, Outcome, Ticket};

/// Open slots looked at in one go by the reconciler.
const RECONCILE_LIMIT: usize = 4096;
/// Slots looked at at the same time: each takes a few round trips, and after a crash there can be many.
const RECONCILE_AT_ONCE: usize = 16;
/// Rows taken over from other processes in one go.
const HANDED_LIMIT: usize = 256;
/// How often a shared ledger is asked for rows handed to this process.
const HANDED_EVERY: Duration = Duration::from_millis(50);

/// Starts the facilitator's own work; it ends with the facilitator.
pub(super) fn start(engine: &Arc<Engine>, every: Duration) {
    let reconciling = Arc::downgrade(engine);
    tokio::spawn(repeat(reconciling, every, async |engine| {
        if let Err(why) = engine.reconcile().await {
            tracing::warn!(%why, "the ledger could not be asked for open settlements");
        }
    }));
    let handed = Arc::downgrade(engine);
    tokio::spawn(repeat(handed, HANDED_EVERY, async |engine| {
        if engine.ledger.is_shared()
            && let Err(why) = take_handed(&engine).await
        {
            tracing::warn!(%why, "the ledger could not be asked for payments to sign");
        }
    }));
}

async fn repeat(engine: Weak<Engine>, every: Duration, work: impl AsyncFn(Arc<Engine>)) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(engine) = engine.upgrade() else { return };
        work(engine).await;
    }
}

/// Settles what other processes handed over, each in a task of its own.
async fn take_handed(engine: &Arc<Engine>) -> Result<(), Fault> {
    for row in engine.ledger.handed(HANDED_LIMIT).await? {
        let engine = engine.clone();
        tokio::spawn(async move { engine.settle_handed(row).await });
    }
    Ok(())
}

impl Engine {
    async fn settle_handed(&self, row: ClaimRow) {
        let (raw, offer, ticket) = (row.raw.clone(), row.offer.clone(), row.ticket());
        let opened = self.dispatch(&raw, &offer).and_then(|side| side.open(&raw, &offer));
        let result = match opened {
            Ok(payment) => self.finish(&*payment, row).await.map(drop),
            // A facilitator of another configuration: the one that handed it over is told that it is free.
            Err(why) => self.ledger.resolve(&[(ticket, Outcome::Released(why))]).await.map_err(Into::into),
        };
        if let Err(why) = result {
            tracing::debug!(%why, "a payment that was handed over did not settle");
        }
    }

    /// Reads a slot's outcomes from the chain, or sends its bytes again.
    pub(super) async fn look_at(&self, slot: &OpenSlot) -> Result<Vec<(Ticket, Outcome)>, Fault> {
        let Some(at) = slot.attempts.first().map(|attempt| &attempt.tx().slot) else { return Ok(Vec::new()) };
        let network = &at.network;
        let settler = self.sides.get(network).and_then(|served| served.network.settler()).ok_or_else(|| {
            Fault::new(
                FaultKind::Configuration,
                format!("{network} has open settlements and is not configured to settle"),
            )
        })?;
        // Whoever holds the signer looks after what it signed.
        if !self.ledger.holds(network, &at.signer).await? {
            return Ok(Vec::new());
        }
        settler.reconcile(slot, &self.ledger).await
    }

    /// Writes outcomes that nobody waits for. A caller without a token cannot be told later unless the books say that it
    /// is still owed the answer.
    pub(super) async fn note(&self, slot: &OpenSlot, outcomes: Vec<(Ticket, Outcome)>) -> Result<(), Fault> {
        let mut known = Vec::with_capacity(outcomes.len());
        for (ticket, outcome) in outcomes {
            let nameless = |row: &ClaimRow| row.claim.key == ticket.key && row.caller.token().is_none();
            let outcome = match outcome {
                Outcome::Settled(settled) if slot.claims.iter().any(nameless) => {
                    let before = self.ledger.find(&ticket.key).await?.and_then(|found| found.outcome);
                    match before {
                        Some(Outcome::Included(_)) => Outcome::Settled(settled),
                        _ => Outcome::Undelivered(settled),
                    }
                }
                // What was not told as settled is told when it is final.
                Outcome::Included(_) if slot.claims.iter().any(nameless) => continue,
                outcome => outcome,
            };
            known.push((ticket, outcome));
        }
        self.ledger.resolve(&known).await
    }

    async fn reconcile(&self) -> Result<usize, Fault> {
        let ended = Mutex::new(HashSet::new());
        let slots = self.ledger.open(RECONCILE_LIMIT).await?;
        let looks = slots.into_iter().map(|slot| self.finish_slot(slot, &ended));
        let mut looks = futures_util::stream::iter(looks).buffer_unordered(RECONCILE_AT_ONCE);
        while let Some(looked) = looks.next().await {
            looked?;
        }
        drop(looks);
        Ok(ended.into_inner().unwrap_or_else(PoisonError::into_inner).len())
    }

    /// Looks at one of the open slots, and notes what came of its claims.
    async fn finish_slot(&self, mut slot: OpenSlot, ended: &Mutex<HashSet<ClaimKey>>) -> Result<(), Fault> {
        let ended = || ended.lock().unwrap_or_else(PoisonError::into_inner);
        // A claim that was signed for several slots ends once.
        {
            let ended = ended();
            slot.claims.retain(|row| !ended.contains(&row.claim.key));
        }
        // A settlement that runs right now ends itself.
        let runs = slot.claims.iter().any(|row| self.under_way().contains_key(&row.claim.key));
        if runs || slot.claims.is_empty() {
            return Ok(());
        }
        match self.look_at(&slot).await {
            Ok(outcomes) => {
                let waits = |outcome: &Outcome| matches!(outcome, Outcome::Pending { .. } | Outcome::Included(_));
                let over = outcomes.iter().filter(|(_, outcome)| !waits(outcome)).map(|(ticket, _)| ticket.key.clone());
                ended().extend(over);
                self.note(&slot, outcomes).await?;
            }
            Err(why) => tracing::warn!(%why, "a slot could not be reconciled"),
        }
        Ok(())
    }
}

impl LocalFacilitator {
    /// Finishes what a crash or a time-out left open: rebroadcasts identical bytes or reads outcomes from the chain. Done
    /// at the start and from time to time without being asked. Returns how many claims ended.
    ///
    /// # Errors
    /// The ledger could not be read. A network that cannot be asked is logged and left for the next time.
    pub async fn reconcile(&self) -> Result<usize, Fault> {
        self.engine.reconcile().await
    }
}
