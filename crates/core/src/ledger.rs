//! The ledger: who claimed which payment, and what was signed for it. "Durable before sending" is a type.
//!
//! Traits live here because chain crates see only core. Stores implement [`Ledger`]; chains and engines use
//! [`LedgerHandle`], the only thing that can make the [`Durable`] that senders take.

use crate::{Claim, ClaimKey, ClaimRow, Fault, NetworkId, Outcome, Scope};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Answer of [`Ledger::take`].
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// Nobody had it: it is yours to finish, and only yours.
    New,
    /// The same caller has it already, for the same purchase. Its outcome, if there is one yet.
    Again(Option<Outcome>),
    /// Somebody else has it.
    Foreign,
}

/// What a ledger knows of a claim.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found<T = Durable> {
    /// The row as it was taken.
    pub row: ClaimRow,
    /// Its outcome, if there is one yet.
    pub outcome: Option<Outcome>,
    /// What was signed for it, in a facilitator's books, while it is open.
    pub slot: Option<OpenSlot<T>>,
}

impl<T> Found<T> {
    /// A claim as read from a store.
    pub fn new(row: ClaimRow, outcome: Option<Outcome>, slot: Option<OpenSlot<T>>) -> Self {
        Self { row, outcome, slot }
    }
}

/// A store of claims and attempts, two tables, many to many: a fee bump is another attempt for a claim, a batch is
/// one attempt for many claims.
///
/// The rules every store keeps, as `tollway-testkit`'s ledger suite checks them:
/// - `take` is atomic: of any number of concurrent calls for one key, exactly one gets [`Taken::New`].
/// - A row resolved as [`Outcome::Released`] is gone: the payment may be presented again.
/// - A row resolved as [`Outcome::Pending`] or [`Outcome::Undelivered`] is handed to exactly one `retake` of the same
///   purchase, which makes it open again. Whoever presents another purchase under its key changes nothing.
/// - `resolve` is idempotent; a settled row never changes again.
/// - A row may be forgotten once its claim is dead (`Claim::dead_after`) and resolved. A facilitator's pending row is
///   not resolved; a server's may be forgotten a day after its claim died.
/// - Transactions wait for the facilitator's rows. `open` lists a slot while one of its claims is unresolved or pending,
///   whole: attempts at one (network, signer, sequence) are one slot, whoever wrote them; without a sequence each is a
///   slot of its own. A released row's transactions no longer wait for it, even if it is taken anew.
/// - Once a holder of a signer has written, one with an older epoch writes nothing.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Takes a claim, or says who has it. Durable before it answers.
    ///
    /// # Errors
    /// The store could not be asked; nothing was taken.
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault>;

    /// Takes over a row whose outcome is pending or undelivered, for somebody who presents the same purchase
    /// ([`ClaimRow::is_same_purchase`]); gives it as it was. `None`, and nothing changes, where there is none, where it
    /// is another purchase, or where somebody else was faster.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn retake(&self, row: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault>;

    /// Looks a claim up. Changes nothing.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn find(&self, scope: Scope, key: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault>;

    /// Writes a signed transaction and which claims it carries. Durable and atomic before it answers.
    ///
    /// # Errors
    /// The store could not write, or somebody else holds the slot (its epoch is newer).
    async fn write_signed(&self, tx: &SignedTx, claims: &[ClaimKey]) -> Result<(), Fault>;

    /// Writes outcomes: one write for a whole batch.
    ///
    /// # Errors
    /// The store could not write.
    async fn resolve(&self, scope: Scope, outcomes: &[(ClaimKey, Outcome)]) -> Result<(), Fault>;

    /// Open slots for a reconciler: signed and unresolved, at most `limit`.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn open(&self, limit: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault>;
}

/// The place a transaction takes in its signer's order. Attempts on one slot exclude each other on chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Slot {
    /// The chain.
    pub network: NetworkId,
    /// Address that pays for gas.
    pub signer: String,
    /// The account nonce, on chains that order by one.
    pub sequence: Option<u64>,
    /// Which holder of the signer wrote this; an older holder is fenced off.
    pub epoch: u64,
}

impl Slot {
    /// A slot of a signer's only holder.
    pub fn new(network: NetworkId, signer: impl Into<String>, sequence: Option<u64>) -> Self {
        Self { network, signer: signer.into(), sequence, epoch: 0 }
    }
}

/// A signed transaction, ready to send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignedTx {
    /// Its place.
    pub slot: Slot,
    /// Its hash, known before it is sent.
    pub hash: String,
    /// The very bytes to send; a rebroadcast sends these and no others.
    pub bytes: Vec<u8>,
    /// Unix seconds after which the chain cannot accept it; `None` if that is not a time.
    pub dead_after: Option<u64>,
}

impl SignedTx {
    /// A transaction that stays acceptable for as long as its slot is free.
    pub fn new(slot: Slot, hash: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { slot, hash: hash.into(), bytes, dead_after: None }
    }
}

impl fmt::Debug for SignedTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedTx").field("slot", &self.slot).field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// Proof that a transaction is in the ledger. Senders take this and nothing else, so the compiler enforces
/// "durable before sending".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    tx: SignedTx,
}

impl Durable {
    /// The transaction.
    pub fn tx(&self) -> &SignedTx {
        &self.tx
    }
}

/// A slot with its attempts (fee bumps of one another) and the claims they carry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenSlot<T = Durable> {
    /// Every transaction signed for the slot, oldest first.
    pub attempts: Vec<T>,
    /// The claims waiting for it.
    pub claims: Vec<ClaimRow>,
}

impl<T> OpenSlot<T> {
    /// A slot as read from a store.
    pub fn new(attempts: Vec<T>, claims: Vec<ClaimRow>) -> Self {
        Self { attempts, claims }
    }
}

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
    pub async fn signed(&self, tx: SignedTx, claims: &[ClaimKey]) -> Result<Durable, Fault> {
        self.ledger.write_signed(&tx, claims).await?;
        Ok(Durable { tx })
    }

    /// See [`Ledger::resolve`].
    ///
    /// # Errors
    /// As there.
    pub async fn resolve(&self, outcomes: &[(ClaimKey, Outcome)]) -> Result<(), Fault> {
        self.ledger.resolve(self.scope, outcomes).await
    }

    /// See [`Ledger::open`]. What was read back is durable by definition.
    ///
    /// # Errors
    /// As there.
    pub async fn open(&self, limit: usize) -> Result<Vec<OpenSlot>, Fault> {
        Ok(self.ledger.open(limit).await?.into_iter().map(durable_slot).collect())
    }
}

/// What was read back is durable by definition.
fn durable(found: Found<SignedTx>) -> Found {
    Found { row: found.row, outcome: found.outcome, slot: found.slot.map(durable_slot) }
}

fn durable_slot(slot: OpenSlot<SignedTx>) -> OpenSlot {
    OpenSlot { attempts: slot.attempts.into_iter().map(|tx| Durable { tx }).collect(), claims: slot.claims }
}

/// What a scheme is given to settle with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SettleContext {
    /// The claim, already taken.
    pub claim: Claim,
    /// Where signed bytes go before they are sent.
    pub ledger: LedgerHandle,
}

impl SettleContext {
    /// A context for a claim that was taken.
    pub fn new(claim: Claim, ledger: LedgerHandle) -> Self {
        Self { claim, ledger }
    }
}
