//! The ledger: who claimed which payment, and what was signed for it. "Durable before sending" is a type.
//!
//! Traits live here because chain crates see only core. Stores implement [`Ledger`] and ask [`ClaimState`] what may
//! happen to a row; chains and engines use [`LedgerHandle`], the only thing that can make the [`Durable`] that senders
//! take.

mod handle;
mod slot;
mod state;

pub use handle::{LedgerHandle, SettleContext};
pub use slot::{Durable, OpenSlot, SignedTx, Slot};
pub use state::{ClaimState, Step};

use crate::{ClaimKey, ClaimRow, Fault, NetworkId, Outcome, Scope, Ticket};
use async_trait::async_trait;

/// Answer of [`Ledger::take`].
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// Nobody had it: it is yours to finish, and only yours, for as long as this ticket is the newest.
    New(Ticket),
    /// The same caller has it already, for the same purchase. Its outcome, if there is one yet.
    Again(Option<Outcome>),
    /// Somebody else has it.
    Foreign,
    /// The caller's token was used for another purchase.
    TokenReused,
}

impl Taken {
    /// The ticket, if the claim is ours now.
    pub fn ticket(self) -> Option<Ticket> {
        match self {
            Self::New(ticket) => Some(ticket),
            _ => None,
        }
    }
}

/// What a ledger knows of a claim.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found<T = Durable> {
    /// The row, with its newest ticket.
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

/// Whether a signer is ours to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nobody else signs with it.
    Ours {
        /// Goes into every [`Slot`] of the signer.
        epoch: u64,
    },
    /// Another process does, and is alive.
    Theirs,
}

/// A store of claims and attempts, two tables, many to many: a fee bump is another attempt for a claim, a batch is
/// one attempt for many claims.
///
/// A store that is open in a process is one **holder** of what it took. A store shared by several processes has several;
/// one that has not been heard of for its lease is dead, and others go on with what it held. What a holder may still
/// do is decided by the tickets in its hand and never by a clock: each `take`, `retake` and `hand_over` gives the row a new ticket,
/// and whoever comes with an older one changes nothing.
///
/// The rules every store keeps, as `tollway-testkit`'s ledger suite checks them ([`ClaimState`] decides most):
/// - `take` is atomic: of any number of concurrent calls for one key, exactly one gets [`Taken::New`].
/// - A token names one purchase: a caller who comes with it for another gets [`Taken::TokenReused`].
/// - A row resolved as [`Outcome::Released`] is gone: the payment may be presented again.
/// - A row resolved as [`Outcome::Pending`] or [`Outcome::Undelivered`] is handed to exactly one `retake` of the same
///   purchase, which makes it open again. Whoever presents another purchase under its key changes nothing.
/// - A dead holder's open row counts as pending, without a transaction. In a facilitator's books it is free if nothing
///   was signed for it: whoever takes it makes sure that nothing will be.
/// - `resolve` is idempotent; a settled row never changes again.
/// - A row may be forgotten once its claim is dead (`Claim::dead_after`) and resolved. A facilitator's pending row is
///   not resolved; a server's may be forgotten a day after its claim died.
/// - Transactions wait for the facilitator's rows. `open` lists a slot while one of its claims is unresolved, pending or
///   included, whole: attempts at one (network, signer, sequence) are one slot, whoever wrote them; without a sequence
///   each is a slot of its own. A released row's transactions no longer wait for it, even if it is taken anew.
/// - A signer has one live holder at a time. Once it has a newer one, or one has written with a newer epoch, an older
///   epoch writes nothing.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Takes a claim, or says who has it. Durable before it answers.
    ///
    /// # Errors
    /// The store could not be asked; nothing was taken.
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault>;

    /// Takes over a row whose outcome is pending or undelivered, or whose holder died, for somebody who presents the
    /// same purchase ([`ClaimRow::is_same_purchase`]); gives it as it was, under a new ticket. `None`, and nothing
    /// changes, where there is none, where it is another purchase, or where somebody else was faster.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn retake(&self, row: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault>;

    /// Looks a claim up. Changes nothing.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn find(&self, scope: Scope, key: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault>;

    /// Writes a signed transaction and which claims it carries. Durable and atomic before it answers. Without claims it
    /// is written to fence older holders, and waited for by nobody.
    ///
    /// # Errors
    /// Nothing was written: the store could not, somebody else holds the signer (its epoch is newer), or a ticket is
    /// old.
    async fn write_signed(&self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault>;

    /// Writes outcomes: one write for a whole batch. An old ticket changes nothing.
    ///
    /// # Errors
    /// The store could not write.
    async fn resolve(&self, scope: Scope, outcomes: &[(Ticket, Outcome)]) -> Result<(), Fault>;

    /// Open slots for a reconciler: signed and unresolved, at most `limit`, oldest first.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn open(&self, limit: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault>;

    /// Whether other processes may have the store open at the same time. Where none can, a signer is always ours.
    fn is_shared(&self) -> bool {
        false
    }

    /// Holds a signer, or says that a living process does. To be asked again before each signing; stores answer from
    /// memory for as long as they can be sure.
    ///
    /// # Errors
    /// The store could not be asked: nothing may be signed.
    async fn hold(&self, network: &NetworkId, signer: &str) -> Result<Hold, Fault> {
        let _ = (network, signer);
        Ok(Hold::Ours { epoch: 0 })
    }

    /// Hands a row for which nothing was signed to the process that holds the signer. `false`, and nothing changes, where
    /// nobody alive does, or the ticket is old.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn hand_over(&self, ticket: &Ticket, network: &NetworkId, signer: &str) -> Result<bool, Fault> {
        let _ = (ticket, network, signer);
        Ok(false)
    }

    /// Rows handed to this process, each given out once and settled by whoever calls this; at most `limit`.
    ///
    /// # Errors
    /// The store could not be asked.
    async fn handed(&self, limit: usize) -> Result<Vec<ClaimRow>, Fault> {
        let _ = limit;
        Ok(Vec::new())
    }
}
