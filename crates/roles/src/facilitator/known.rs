//! Payments that are in the books already: who is told what.

use super::Engine;
use super::settle::{duplicate, reused};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;
use tollway_core::{ClaimRow, Fault, FaultKind, Found, OpenSlot, Outcome, Result, Ticket};

/// How long a look is remembered.
const MEMORY: Duration = Duration::from_secs(60);

/// When open slots were last looked at, by the hash of their first attempt. Many who wait for one transaction ask the chain
/// once.
#[derive(Debug, Default)]
pub(super) struct Looks(HashMap<String, Instant>);

impl Looks {
    /// Begins a look, for somebody who asked at this time; `false` where one began after that.
    fn begin(&mut self, slot: &OpenSlot, asked: Instant) -> bool {
        let Some(first) = slot.attempts.first() else { return false };
        let now = Instant::now();
        if self.0.get(&first.tx().hash).is_some_and(|begun| *begun > asked) {
            return false;
        }
        self.0.retain(|_, begun| now.duration_since(*begun) < MEMORY);
        self.0.insert(first.tx().hash.clone(), now);
        true
    }
}

impl Engine {
    /// What the books say to whoever presents a payment that is in them; `None` if it is not. The same caller, with the
    /// same purchase, gets its outcome. A caller without a token is taken for the one whose answer was "pending", once:
    /// the reference implementation has no way to say who it is.
    pub(super) async fn known(&self, row: &ClaimRow) -> Result<Option<Outcome>> {
        let Some(found) = self.ledger.find(&row.claim.key).await? else { return Ok(None) };
        let same_caller = found.row.caller.is(&row.caller);
        if !found.row.is_same_purchase(row) {
            return Err(if same_caller { reused() } else { duplicate() }.into());
        }
        let nameless = found.row.caller.token().is_none() && row.caller.token().is_none();
        match found.outcome {
            Some(Outcome::Pending { transaction }) if nameless => match self.ledger.retake(row).await? {
                Some(Found { row, .. }) => self.look_again(&row, transaction).await.map(Some),
                None => Err(duplicate().into()),
            },
            Some(Outcome::Undelivered(settled)) if nameless => match self.ledger.retake(row).await? {
                Some(Found { row, .. }) => {
                    let outcome = Outcome::Settled(settled);
                    self.ledger.resolve(&[(row.ticket(), outcome.clone())]).await?;
                    Ok(Some(outcome))
                }
                None => Err(duplicate().into()),
            },
            _ if !same_caller => Err(duplicate().into()),
            Some(Outcome::Pending { transaction }) => self.look_again(&found.row, transaction).await.map(Some),
            Some(outcome) => Ok(Some(outcome)),
            None => self.join(&found.row).await.map(Some),
        }
    }

    /// Takes up what nobody knows of and nothing was signed for: whoever had it died before that, or could not write it
    /// down. What is not in the books was not sent, and whoever had it signs nothing any more.
    pub(super) async fn take_up(&self, row: &ClaimRow) -> Result<Option<Ticket>> {
        let unsigned = |found: &Found| {
            let nobody_knows =
                matches!(&found.outcome, Some(Outcome::Pending { transaction }) if transaction.is_empty());
            nobody_knows && found.slot.is_none()
        };
        let Some(found) = self.ledger.find(&row.claim.key).await?.filter(unsigned) else { return Ok(None) };
        let nameless = found.row.caller.token().is_none() && row.caller.token().is_none();
        if !nameless && !found.row.caller.is(&row.caller) {
            return Ok(None);
        }
        let Some(back) = self.ledger.retake(row).await? else { return Ok(None) };
        let ticket = back.row.ticket();
        if self.ledger.find(&row.claim.key).await?.is_some_and(|found| found.slot.is_none()) {
            return Ok(Some(ticket));
        }
        // It was written down at the last moment.
        self.ledger.resolve(&[(ticket, Outcome::Pending { transaction: String::new() })]).await?;
        Ok(None)
    }

    /// The same caller asks while its settlement runs: wait for that one.
    async fn join(&self, row: &ClaimRow) -> Result<Outcome> {
        let receiver = self.under_way().get(&row.claim.key).cloned();
        let outcome = match receiver {
            // The sender gone without an outcome means that nobody knows.
            Some(mut receiver) => receiver.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone()),
            // It runs in another process.
            None => self.wait(row, self.patience).await?.and_then(|found| found.outcome),
        };
        match outcome {
            Some(Outcome::Pending { transaction }) => self.look_again(row, transaction).await,
            Some(outcome) => Ok(outcome),
            None => self.look_again(row, String::new()).await,
        }
    }

    /// Looks at the chain again for a claim whose outcome is unknown.
    async fn look_again(&self, row: &ClaimRow, before: String) -> Result<Outcome> {
        let key = &row.claim.key;
        let asked = Instant::now();
        let mut looks = match self.sides.get(&row.offer.network) {
            Some(served) => Some(served.looks.lock().await),
            None => None,
        };
        let known = self.ledger.find(key).await?;
        // Whoever looked meanwhile may have seen it.
        if let Some(Found { outcome: Some(outcome), .. }) = &known
            && !matches!(outcome, Outcome::Pending { .. })
        {
            return Ok(outcome.clone());
        }
        let slot = known.and_then(|found| found.slot);
        if let Some(slot) = slot.filter(|slot| looks.as_mut().is_none_or(|looks| looks.begin(slot, asked))) {
            let found = self.look_at(&slot).await.unwrap_or_else(|why| {
                tracing::warn!(%key, %why, "a pending settlement could not be looked at");
                Vec::new()
            });
            let (told, others): (Vec<_>, _) = found.into_iter().partition(|(ticket, _)| ticket.key == *key);
            self.note(&slot, others).await?;
            if let Some((_, outcome)) = told.into_iter().next() {
                self.ledger.resolve(&[(row.ticket(), outcome.clone())]).await?;
                return Ok(outcome);
            }
        }
        drop(looks);
        // Read again, since looking may have signed it anew.
        let slot = self.ledger.find(key).await?.and_then(|found| found.slot);
        let newest = slot.as_ref().and_then(|slot| slot.carrying(key).last().map(|attempt| attempt.tx().hash.clone()));
        let transaction = newest.unwrap_or(before);
        self.ledger.resolve(&[(row.ticket(), Outcome::Pending { transaction: transaction.clone() })]).await?;
        match transaction.is_empty() {
            true => Err(Fault::new(FaultKind::Unreachable, "the settlement has not been signed yet; ask again")
                .maybe_sent()
                .into()),
            false => Ok(Outcome::Pending { transaction }),
        }
    }
}
