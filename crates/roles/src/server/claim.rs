//! [`ClaimGuard`]: a claim this request holds. However the request ends, the claim ends too.

use tollway_core::{
    Caller, ClaimKey, ClaimRow, ErrorCode, Fault, FaultKind, LedgerHandle, Outcome, Rejected, Settled, Taken, codes,
};

/// A claim held. Dropped without a word, it writes its fallback: a fresh claim is released, one taken over goes back
/// to what it was.
pub(super) struct ClaimGuard {
    ledger: LedgerHandle,
    key: ClaimKey,
    fallback: Option<Outcome>,
}

/// What came of claiming.
pub(super) enum Claimed {
    /// Nobody had it.
    New(ClaimGuard, Caller),
    /// It was paid or sent before, and whoever paid got no answer. Go on from there, as the same caller.
    Again(ClaimGuard, Caller, Outcome),
    /// Somebody else has it.
    Foreign,
}

impl ClaimGuard {
    /// Claims a payment. Runs in a task of its own: if the request ends meanwhile, the claim still ends.
    pub(super) async fn take(ledger: LedgerHandle, row: ClaimRow) -> Result<Claimed, Fault> {
        let task = tokio::spawn(async move {
            let key = row.claim.key.clone();
            let guard = |fallback| Self { ledger: ledger.clone(), key: key.clone(), fallback: Some(fallback) };
            match ledger.take(&row).await? {
                Taken::New => Ok(Claimed::New(guard(released(codes::UNEXPECTED_SETTLE_ERROR)), row.caller)),
                _ => Ok(match ledger.retake(&key).await? {
                    Some(again) => Claimed::Again(guard(again.outcome.clone()), again.caller, again.outcome),
                    None => Claimed::Foreign,
                }),
            }
        });
        task.await.unwrap_or_else(|why| Err(Fault::new(FaultKind::Internal, "claiming ended abnormally").source(why)))
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

    /// Ends the claim.
    pub(super) async fn resolve(mut self, outcome: Outcome) {
        self.fallback = None;
        write(&self.ledger, &self.key, outcome).await;
    }
}

/// The payment was refused for this reason and may be presented again.
pub(super) fn released(code: ErrorCode) -> Outcome {
    Outcome::Released(Rejected::new(code))
}

async fn write(ledger: &LedgerHandle, key: &ClaimKey, outcome: Outcome) {
    if let Err(why) = ledger.resolve(&[(key.clone(), outcome)]).await {
        tracing::error!(%key, %why, "the outcome of a claim could not be written; it stays open");
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        let Some(outcome) = self.fallback.take() else { return };
        // Without a runtime the process is ending, and an open row is the truth.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (ledger, key) = (self.ledger.clone(), self.key.clone());
            runtime.spawn(async move { write(&ledger, &key, outcome).await });
        }
    }
}
