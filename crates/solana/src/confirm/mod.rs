//! Sending transactions and learning what becomes of them: one question to the node for all that wait.
//!
//! When to look is learned. A settlement is first looked for when most have been confirmed before, and a little more
//! often than not it is there; after that every look includes everything that waits. So one payment alone costs one or
//! two looks, and a thousand at once cost as many as one, in steps of 256. A burst is looked for when the last of it is
//! due.

mod guess;
mod poll;
#[cfg(test)]
mod tests;

use crate::expiry::Expiry;
use crate::rpc::{CallError, Rpc, Sent, Status};
use poll::{Sight, Waiting};
use solana_pubkey::Pubkey;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tollway_core::Durable;

/// How long a transaction nobody has seen waits to be sent again.
const RESEND: Duration = Duration::from_secs(2);
/// Every so many rounds of that, whether its time has passed is asked, too.
const ROUNDS: u32 = 2;
/// Most transactions for which either is done at once, and how long one's turn lasts at least: a node that is down must
/// not be flooded by what waits for it.
const AT_ONCE: usize = 8;
const TURN: Duration = Duration::from_millis(250);
/// Longest time that is waited for anything: a point in time that far off can still be named.
const EVER: Duration = Duration::from_secs(24 * 3600);

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is on chain and did what it should.
    Landed,
    /// It is on chain and failed.
    Failed(String),
    /// The node would not take it.
    Refused(String),
    /// It never was on chain and never will be.
    Expired,
    /// Nobody knows yet.
    Unknown,
}

/// Follows the transactions of one network.
#[derive(Debug)]
pub(crate) struct Confirmations {
    rpc: Rpc,
    pub(crate) expiry: Expiry,
    /// Least time between two looks.
    pause: Duration,
    /// Longest wait for one transaction.
    patience: Duration,
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// Permits for calls beyond the first send and the shared looks.
    spare: Semaphore,
}

impl Confirmations {
    pub(crate) fn new(rpc: Rpc, pause: Duration, patience: Duration) -> Self {
        Self {
            rpc,
            expiry: Expiry::default(),
            pause: pause.min(EVER),
            patience: patience.min(EVER),
            waiting: Mutex::default(),
            wake: Notify::new(),
            spare: Semaphore::new(AT_ONCE),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change below is complete before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a transaction and waits for its end, sending the same bytes again while nobody has seen it.
    pub(crate) async fn send(self: &Arc<Self>, transaction: &Durable, blockhash: &Pubkey) -> Fate {
        let start = Instant::now();
        if let Sent::No(why) = self.rpc.broadcast(transaction).await {
            return Fate::Refused(why);
        }
        let signature = &*transaction.tx().hash;
        let mut sight = self.follow(signature, start);
        let end = start + self.patience;
        let mut round = 0u32;
        loop {
            round = round.saturating_add(1);
            let pause = (Instant::now() + RESEND).min(end);
            tokio::select! {
                ended = sight.wait_for(|sight| matches!(sight, Sight::Ended(_))) => {
                    return match ended.as_deref() {
                        Ok(Sight::Ended(fate)) => fate.clone(),
                        // Whoever looked is gone, with its runtime.
                        _ => Fate::Unknown,
                    };
                }
                () = sleep_until(pause) => {}
            }
            // Where too many are late already, this one has its turn another time.
            let spare = self.spare.try_acquire().ok().filter(|_| *sight.borrow() == Sight::Unseen);
            if spare.is_some() && round.is_multiple_of(ROUNDS) && self.has_expired(signature, blockhash).await {
                self.forget(signature);
                return Fate::Expired;
            }
            if Instant::now() >= end {
                self.forget(signature);
                return Fate::Unknown;
            }
            if spare.is_some() {
                // What comes of it is seen like the rest.
                let turn = async {
                    self.rpc.broadcast(transaction).await;
                    sleep(TURN).await;
                };
                tokio::select! {
                    () = turn => {}
                    _ = sight.wait_for(|sight| matches!(sight, Sight::Ended(_))) => {}
                }
            }
        }
    }

    /// Looks once for a transaction that somebody else may have sent, however long ago.
    ///
    /// # Errors
    /// The node could not be asked.
    pub(crate) async fn look(&self, signature: &str, blockhash: &Pubkey) -> Result<Fate, CallError> {
        match self.status(signature).await? {
            Some(status) => Ok(self.fate(&status).unwrap_or(Fate::Unknown)),
            None => {
                let passed = self.expiry.has_passed(&self.rpc, blockhash).await?;
                // It may have landed between the first look and the last block it could be in.
                let status = if passed { self.status(signature).await? } else { None };
                Ok(match status {
                    Some(status) => self.fate(&status).unwrap_or(Fate::Unknown),
                    None if passed => Fate::Expired,
                    None => Fate::Unknown,
                })
            }
        }
    }

    async fn status(&self, signature: &str) -> Result<Option<Status>, CallError> {
        Ok(self.rpc.statuses(&[signature], true).await?.pop().flatten())
    }

    /// What a status says for certain.
    pub(crate) fn fate(&self, status: &Status) -> Option<Fate> {
        // A failure that is not sure yet may still turn out otherwise on another fork.
        status.is(self.rpc.commitment()).then(|| match &status.err {
            None => Fate::Landed,
            Some(why) => Fate::Failed(crate::rpc::cut(&why.to_string())),
        })
    }

    async fn has_expired(&self, signature: &str, blockhash: &Pubkey) -> bool {
        let passed = self.expiry.has_passed(&self.rpc, blockhash).await;
        matches!(passed, Ok(true)) && matches!(self.status(signature).await, Ok(None))
    }

    fn forget(&self, signature: &str) {
        self.waiting().transactions.remove(signature);
    }
}
