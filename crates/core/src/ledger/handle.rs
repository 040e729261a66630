//! [`LedgerHandle`]: a role's way to the ledger, and the one maker of [`Durable`].

use super::{Durable, Found, Hold, Ledger, OpenSlot, SignedTx, Taken};
use crate::{Claim, ClaimKey, ClaimRow, Fault, NetworkId, Outcome, Scope, Ticket};
use std::fmt;
use std::sync::Arc;

/// One scope's view of a ledger.
#[derive(Clone)]
pub struct LedgerHandle {
    ledger: Arc<dyn Ledger>,
    scope: Scope,
}

impl fmt::Debug for LedgerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerHandle").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl LedgerHandle {
    /// A view of `ledger` for one role.
    pub fn new(ledger: Arc<dyn Ledger>, scope: Scope) -> Self {
        Self { ledger, scope }
    }

    /// Whether both are views of one ledger for one role, so that one transaction may carry claims of both.
    pub fn is(&self, other: &Self) -> bool {
        self.scope == other.scope && Arc::ptr_eq(&self.ledger, &other.ledger)
    }

    /// See [`Ledger::take`].
    ///
    /// # Errors
    /// As there.
    pub async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        self.ledger.take(row).await
    }

    /// See [`Ledger::retake`].
    ///
    /// # Errors
    /// As there.
    pub async fn retake(&self, row: &ClaimRow) -> Result<Option<Found>, Fault> {
        Ok(self.ledger.retake(row).await?.map(durable))
    }

    /// See [`Ledger::find`].
    ///
    /// # Errors
    /// As there.
    pub async fn find(&self, key: &ClaimKey) -> Result<Option<Found>, Fault> {
        Ok(self.ledger.find(self.scope, key).await?.map(durable))
    }

    /// Writes a signed transaction down and gives the proof that senders want.
    ///
    /// # Errors
    /// Nothing was written, so nothing may be sent.
    pub async fn signed(&self, tx: SignedTx, claims: &[Ticket]) -> Result<Durable, Fault> {
        self.ledger.write_signed(&tx, claims).await?;
        Ok(Durable { tx })
    }

    /// See [`Ledger::resolve`].
    ///
    /// # Errors
    /// As there.
    pub async fn resolve(&self, outcomes: &[(Ticket, Outcome)]) -> Result<(), Fault> {
        self.ledger.resolve(self.scope, outcomes).await
    }

    /// See [`Ledger::open`]. What was read back is durable by definition.
    ///
    /// # Errors
    /// As there.
    pub async fn open(&self, limit: usize) -> Result<Vec<OpenSlot>, Fault> {
        Ok(self.ledger.open(limit).await?.into_iter().map(durable_slot).collect())
    }

    /// See [`Ledger::is_shared`].
    pub fn is_shared(&self) -> bool {
        self.ledger.is_shared()
    }

    /// Holds a signer for what it is about to sign; the epoch goes into every [`Slot`](super::Slot) of it. To be asked
    /// before each signing.
    ///
    /// # Errors
    /// The store could not be asked, or the signer is another process's ([`Fault::held_elsewhere`]): sign nothing, and pass
    /// the fault on.
    pub async fn hold(&self, network: &NetworkId, signer: &str) -> Result<u64, Fault> {
        match self.ledger.hold(network, signer).await? {
            Hold::Ours { epoch } => Ok(epoch),
            Hold::Theirs => Err(Fault::held_elsewhere(network.clone(), signer)),
        }
    }

    /// Whether this process signs with a signer, or does from now on.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn holds(&self, network: &NetworkId, signer: &str) -> Result<bool, Fault> {
        Ok(self.ledger.hold(network, signer).await? != Hold::Theirs)
    }

    /// See [`Ledger::hand_over`].
    ///
    /// # Errors
    /// As there.
    pub async fn hand_over(&self, ticket: &Ticket, network: &NetworkId, signer: &str) -> Result<bool, Fault> {
        self.ledger.hand_over(ticket, network, signer).await
    }

    /// See [`Ledger::handed`].
    ///
    /// # Errors
    /// As there.
    pub async fn handed(&self, limit: usize) -> Result<Vec<ClaimRow>, Fault> {
        self.ledger.handed(limit).await
    }
}

/// What was read back is durable by definition.
fn durable(found: Found<SignedTx>) -> Found {
    Found { row: found.row, outcome: found.outcome, slot: found.slot.map(durable_slot) }
}

fn durable_slot(slot: OpenSlot<SignedTx>) -> OpenSlot {
    let OpenSlot { attempts, claims, carried } = slot;
    OpenSlot { attempts: attempts.into_iter().map(|tx| Durable { tx }).collect(), claims, carried }
}

/// What a scheme is given to settle with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SettleContext {
    /// The claim, already taken.
    pub claim: Claim,
    /// What makes it ours.
    pub ticket: Ticket,
    /// Where signed bytes go before they are sent.
    pub ledger: LedgerHandle,
}

impl SettleContext {
    /// A context for a claim that was taken.
    pub fn new(claim: Claim, ticket: Ticket, ledger: LedgerHandle) -> Self {
        Self { claim, ticket, ledger }
    }
}
