//! [`ClaimGuard`]: a claim this request holds. However the request ends, the claim ends too.

use crate::task::{leave_to_end, to_the_end};
use tokio::runtime::Handle;
use tollway_core::{
    Caller, ClaimRow, ErrorCode, Fault, Found, LedgerHandle, Outcome, Rejected, Settled, Taken, Ticket, codes,
};

/// A claim held. Dropped without a word, it writes its fallback: a fresh claim is released, one taken over goes back
/// to what it was.
pub(super) struct ClaimGuard {
    ledger: LedgerHandle,
    ticket: Ticket,
    fallback: Option<Outcome>,
    /// Where writing goes on when the request is gone, or dropped outside of any runtime.
    runtime: Handle,
}

/// What came of claiming.
pub(super) enum Claimed {
    /// Nobody had it.
    New(ClaimGuard, Caller),
    /// This very purchase was paid or sent before, and whoever paid got no answer. Go on from there.
    Again(ClaimGuard, Box<ClaimRow>, Outcome),
    /// This very purchase was paid and answered.
    Spent(Settled),
    /// Somebody else has it, or has it for something else.
    Foreign,
}

impl ClaimGuard {
    /// Claims a payment. If the request ends meanwhile, the claim still ends.
    pub(super) async fn take(ledger: LedgerHandle, row: ClaimRow) -> Result<Claimed, Fault> {
        let runtime = Handle::current();
        to_the_end(async move {
            let guard = |ticket, fallback| Self { ledger: ledger.clone(), ticket, fallback: Some(fallback), runtime };
            match ledger.take(&row).await? {
                Taken::New(ticket) => {
                    Ok(Claimed::New(guard(ticket, released(codes::UNEXPECTED_SETTLE_ERROR)), row.caller))
                }
                _ => Ok(match ledger.retake(&row).await? {
                    Some(Found { row, outcome: Some(outcome), .. }) => {
                        Claimed::Again(guard(row.ticket(), outcome.clone()), Box::new(row), outcome)
                    }
                    _ => match ledger.find(&row.claim.key).await? {
                        Some(Found { row: before, outcome: Some(Outcome::Settled(settled)), .. })
                            if before.is_same_purchase(&row) =>
                        {
                            Claimed::Spent(settled)
                        }
                        _ => Claimed::Foreign,
                    },
                }),
            }
        })
        .await?
    }

    /// Gives a claim back of which nothing was sent, and takes it anew for `row`, which asks another facilitator: the
    /// books must never name one while another is asked. `None` if somebody else was faster.
    pub(super) async fn pass_on(&mut self, row: ClaimRow) -> Result<Option<Caller>, Fault> {
        self.fallback = None;
        to_the_end(self.write(released(codes::UNEXPECTED_SETTLE_ERROR))).await?;
        match Self::take(self.ledger.clone(), row).await? {
            Claimed::New(guard, caller) => {
                *self = guard;
                Ok(Some(caller))
            }
            // Taken over by mistake, it goes back to what it was.
            Claimed::Again(..) | Claimed::Spent(_) | Claimed::Foreign => Ok(None),
        }
    }

    /// Where tasks outlive the request.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The transaction of a claim taken over whose outcome was unknown; empty if not even that is known.
    pub(super) fn pending(&self) -> Option<&str> {
        match &self.fallback {
            Some(Outcome::Pending { transaction }) => Some(transaction),
            _ => None,
        }
    }

    /// From now on, a drop means that the money moved and nobody was told.
    pub(super) fn moved(&mut self, settled: &Settled) {
        self.fallback = Some(Outcome::Undelivered(settled.clone()));
    }

    /// From now on, a drop means that nobody knows whether the money moved.
    pub(super) fn unknown(&mut self, transaction: String) {
        self.fallback = Some(Outcome::Pending { transaction });
    }

    /// Ends the claim. The outcome is written even if the caller does not wait for it.
    pub(super) async fn resolve(mut self, outcome: Outcome) {
        self.fallback = None;
        if let Err(why) = to_the_end(self.write(outcome)).await {
            tracing::error!(key = %self.ticket.key, %why, "the outcome of a claim may not have been written");
        }
    }

    /// Ends the claim without waiting: between the money's move and the answer there must be no moment at which a client
    /// can leave and the books say that it was served.
    pub(super) fn delivered(mut self, settled: Settled) {
        self.fallback = None;
        leave_to_end(&self.runtime, self.write(Outcome::Settled(settled)));
    }

    fn write(&self, outcome: Outcome) -> impl Future<Output = ()> + Send + use<> {
        let (ledger, ticket) = (self.ledger.clone(), self.ticket.clone());
        async move {
            let outcomes = [(ticket, outcome)];
            if let Err(why) = ledger.resolve(&outcomes).await {
                tracing::error!(key = %outcomes[0].0.key, %why, "the outcome of a claim could not be written; it stays open");
            }
        }
    }
}

/// The payment was refused for this reason and may be presented again.
pub(super) fn released(code: ErrorCode) -> Outcome {
    Outcome::Released(Rejected::new(code))
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        if let Some(outcome) = self.fallback.take() {
            leave_to_end(&self.runtime, self.write(outcome));
        }
    }
}
