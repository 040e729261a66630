//! Finishing what a crash or a time-out left open: read the outcome from the chain, or send the same bytes again.

use crate::chain::Chain;
use crate::codes;
use crate::confirm::Fate;
use crate::exact::claim_key;
use crate::message::Transaction;
use async_trait::async_trait;
use tollway_core::{Durable, Fault, LedgerHandle, OpenSlot, Outcome, Rejected, Settled, Settler, Ticket};

/// What became of a payment whose transaction met this fate. `None` where nobody knows.
pub(crate) fn outcome(fate: &Fate, signature: &str, payer: &str) -> Option<Outcome> {
    let failed = |why: String| Rejected::new(codes::TRANSACTION_FAILED).because(why).payer(payer);
    match fate {
        Fate::Landed => Some(Outcome::Settled(Settled::new(signature, payer))),
        Fate::Failed(why) => {
            Some(Outcome::Released(failed(format!("the transaction failed on chain: {why}")).transaction(signature)))
        }
        Fate::Refused(why) => Some(Outcome::Released(failed(format!("the transaction could not be sent: {why}")))),
        Fate::Expired => {
            let why = "the transaction's blockhash expired before it was on chain; sign a new payment";
            Some(Outcome::Released(failed(why.to_owned())))
        }
        Fate::Unknown => None,
    }
}

#[async_trait]
impl Settler for Chain {
    async fn reconcile(&self, open: &OpenSlot, _: &LedgerHandle) -> Result<Vec<(Ticket, Outcome)>, Fault> {
        let mut outcomes = Vec::new();
        for attempt in open.attempts.iter().filter(|attempt| attempt.tx().slot.network == *self.rpc.network()) {
            // What was written down here was decoded before it was signed.
            let Ok(transaction) = Transaction::decode(attempt.tx().bytes.clone()) else { continue };
            let key = claim_key(self.rpc.network(), &transaction);
            // What another mechanism expects is for whoever wrote it.
            let Some(row) = open.claims.iter().find(|row| row.claim.key == key) else { continue };
            let fate = self.finish(attempt, &transaction).await?;
            outcomes.extend(
                outcome(&fate, &attempt.tx().hash, row.claim.payer.address()).map(|outcome| (row.ticket(), outcome)),
            );
        }
        Ok(outcomes)
    }
}

impl Chain {
    /// Looks for a transaction, and sends it again where it is not on chain and still could be.
    async fn finish(&self, attempt: &Durable, transaction: &Transaction) -> Result<Fate, Fault> {
        let (signature, blockhash) = (&*attempt.tx().hash, transaction.blockhash());
        let fault = |why| self.rpc.fault("looking for an open settlement", why);
        let fate = self.confirmations.look(signature, &blockhash).await.map_err(fault)?;
        if fate != Fate::Unknown {
            return Ok(fate);
        }
        // A node that knows it already takes it for the same. A chain that runs it at once has it by the next look.
        let sent = self.rpc.broadcast(attempt).await;
        tracing::info!(network = %self.rpc.network(), signature, ?sent, "sent an open settlement again");
        match self.rpc.statuses(&[signature], false).await.map_err(fault)?.pop().flatten() {
            Some(status) => Ok(self.confirmations.fate(&status).unwrap_or(Fate::Unknown)),
            None => Ok(Fate::Unknown),
        }
    }
}
