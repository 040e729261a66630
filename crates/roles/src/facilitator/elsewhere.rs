//! Payments that another process has to sign, because it holds their signer: they are handed over through the ledger.

use super::Engine;
use super::settle::held_elsewhere;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tollway_core::erased::OpenPayment;
use tollway_core::{ClaimRow, Failure, Fault, FaultKind, Found, Outcome, Rejected, Result, SettleContext, codes};

/// How often the books are looked at for what another process did: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const SLOWEST_LOOK: Duration = Duration::from_millis(250);

impl Engine {
    /// Hands a payment to the process that holds its signer, and waits for what comes of it there. If that process dies
    /// before it signed, the payment comes back and the signer is free.
    pub(super) async fn settle_elsewhere(
        &self,
        payment: &dyn OpenPayment,
        row: &ClaimRow,
        cx: &mut SettleContext,
        mut result: Result<Outcome>,
    ) -> Result<Outcome> {
        let until = Instant::now() + self.patience;
        while let Err(Failure::Fault(Fault { held_elsewhere: Some(at), .. })) = &result {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return result;
            }
            let (network, signer) = &**at;
            tracing::debug!(key = %row.claim.key, %network, signer, "handing a payment to the process that signs it");
            if !self.ledger.hand_over(&cx.ticket, network, signer).await? {
                // Its holder left a moment ago, or this row is not ours any more, which the scheme will be told.
                sleep(FIRST_LOOK).await;
                result = payment.settle(cx).await;
                continue;
            }
            match self.wait(row, left).await? {
                Some(Found { outcome: Some(Outcome::Pending { .. }), slot: None, .. }) => {
                    let Some(ticket) = self.take_up(row).await? else { continue };
                    cx.ticket = ticket;
                    result = payment.settle(cx).await;
                }
                Some(Found { outcome: Some(outcome), .. }) => return Ok(outcome),
                Some(Found { outcome: None, .. }) => {
                    let message = "the process that signs this payment has not finished; ask again";
                    return Err(Fault::new(FaultKind::Timeout, message).maybe_sent().into());
                }
                // Refused there, in words that went with the row: the same question has the same answer.
                None => {
                    payment.verify().await?;
                    return Err(Rejected::new(codes::UNEXPECTED_SETTLE_ERROR)
                        .because("refused by the process that signs this payment")
                        .into());
                }
            }
        }
        debug_assert!(!held_elsewhere(&result));
        result
    }

    /// Waits until a row has an outcome or is gone, at most for `patience`.
    pub(super) async fn wait(&self, row: &ClaimRow, patience: Duration) -> Result<Option<Found>, Fault> {
        let until = Instant::now() + patience;
        let mut look = FIRST_LOOK;
        loop {
            let found = self.ledger.find(&row.claim.key).await?;
            let waits = found.as_ref().is_some_and(|found| found.outcome.is_none());
            if !waits || !self.ledger.is_shared() || Instant::now() >= until {
                return Ok(found);
            }
            sleep(look).await;
            look = (look * 2).min(SLOWEST_LOOK);
        }
    }
}
