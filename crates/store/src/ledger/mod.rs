//! The ledger's part that is the same for every database: calls become operations, operations become rows on a desk.

pub(crate) mod desk;
pub(crate) mod ids;
pub(crate) mod op;
pub(crate) mod record;

use crate::writer::Writer;
use ids::Id;
use op::{Answer, Holder, Op, What};
use record::Entry;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tollway_core::{
    ClaimKey, ClaimRow, Fault, FaultKind, Found, Hold, NetworkId, OpenSlot, Outcome, Scope, SignedTx, Taken, Ticket,
};

/// Rows read at once, where many are asked for.
const MOST: i64 = 1 << 20;

/// What a database answers without its writer.
#[async_trait::async_trait]
pub(crate) trait Reads: Send + Sync {
    /// A claim, whether its holder may still be at work, and what was signed for it; as of one moment.
    async fn find(&self, id: Id) -> Result<Option<(Entry, bool, Option<OpenSlot<SignedTx>>)>, Fault>;

    /// Open slots, oldest first.
    async fn open(&self, limit: i64) -> Result<Vec<OpenSlot<SignedTx>>, Fault>;

    /// Rows handed to a holder who has not come for them.
    async fn handed(&self, holder: Holder, limit: i64) -> Result<Vec<Ticket>, Fault>;
}

/// A signer that was held, and in which term of its holder.
#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: u64,
    term: u64,
}

/// A holder's way to the books.
#[derive(Debug)]
pub(crate) struct Books<R> {
    pub(crate) reads: R,
    pub(crate) writer: Writer<Op>,
    pub(crate) holder: Holder,
    held: Mutex<HashMap<(NetworkId, String), Held>>,
}

fn rows_at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(MOST).min(MOST)
}

fn mixed_up() -> Fault {
    Fault::new(FaultKind::Internal, "the ledger's writer answered another question")
}

impl<R: Reads> Books<R> {
    pub(crate) fn new(reads: R, writer: Writer<Op>, holder: Holder) -> Self {
        Self { reads, writer, holder, held: Mutex::default() }
    }

    async fn ask(&self, what: What) -> Result<Answer, Fault> {
        self.writer.call(Op { holder: self.holder, what }).await
    }

    pub(crate) async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        let what = What::Take { row: Box::new(row.clone()), turn: ids::unique()? };
        match self.ask(what).await? {
            Answer::Taken(taken) => Ok(taken),
            _ => Err(mixed_up()),
        }
    }

    pub(crate) async fn retake(&self, row: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
        let what = What::Retake { row: Box::new(row.clone()), turn: ids::unique()?, before: None };
        match self.ask(what).await? {
            Answer::Retaken(found) => Ok(found.map(|found| *found)),
            _ => Err(mixed_up()),
        }
    }

    pub(crate) async fn find(&self, scope: Scope, key: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
        let found = self.reads.find(ids::claim(scope, key)).await?;
        Ok(found.map(|(entry, alive, slot)| {
            let seen = entry.state(alive).seen();
            Found::new(entry.row, seen, slot)
        }))
    }

    pub(crate) async fn write_signed(&self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault> {
        let written = self.ask(What::Sign { tx: Box::new(tx.clone()), claims: claims.to_vec() }).await.map(drop);
        if written.is_err() {
            // Perhaps the signer has a newer holder: the next to ask asks the books.
            let key = (tx.slot.network.clone(), tx.slot.signer.clone());
            self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
        written
    }

    pub(crate) async fn resolve(&self, scope: Scope, outcomes: &[(Ticket, Outcome)]) -> Result<(), Fault> {
        self.ask(What::Resolve { scope, outcomes: outcomes.to_vec() }).await.map(drop)
    }

    pub(crate) async fn open(&self, limit: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        self.reads.open(rows_at_most(limit)).await
    }

    /// Holds a signer. `term` names a time in which nobody can have taken for dead who asks; within the one in which it
    /// was asked the answer is known. `None` if nobody can be sure.
    pub(crate) async fn hold(&self, network: &NetworkId, signer: &str, term: Option<u64>) -> Result<Hold, Fault> {
        let key = (network.clone(), signer.to_owned());
        let known = self.held.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some(known) = known.filter(|known| Some(known.term) == term) {
            return Ok(Hold::Ours { epoch: known.epoch });
        }
        let what = What::Hold { network: network.clone(), signer: signer.to_owned() };
        let Answer::Held(hold) = self.ask(what).await? else { return Err(mixed_up()) };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match (hold, term) {
            (Hold::Ours { epoch }, Some(term)) => drop(held.insert(key, Held { epoch, term })),
            _ => drop(held.remove(&key)),
        }
        Ok(hold)
    }

    pub(crate) async fn hand_over(&self, ticket: &Ticket, network: &NetworkId, signer: &str) -> Result<bool, Fault> {
        let (network, signer) = (network.clone(), signer.to_owned());
        match self.ask(What::HandOver { ticket: ticket.clone(), network, signer, turn: ids::unique()? }).await? {
            Answer::HandedOver(handed) => Ok(handed),
            _ => Err(mixed_up()),
        }
    }

    pub(crate) async fn handed(&self, limit: usize) -> Result<Vec<ClaimRow>, Fault> {
        // Asked many times a second, and most times there is nothing: the writer is left alone.
        let tickets = self.reads.handed(self.holder, rows_at_most(limit)).await?;
        if tickets.is_empty() {
            return Ok(Vec::new());
        }
        match self.ask(What::Give { tickets, given: Vec::new() }).await? {
            Answer::Given(rows) => Ok(rows),
            _ => Err(mixed_up()),
        }
    }
}

/// Makes a store a [`Ledger`](tollway_core::Ledger): its `books` answer, and it says itself how many may have it open and
/// in which term it is.
macro_rules! ledger_by_books {
    ($store:ty) => {
        #[async_trait::async_trait]
        impl tollway_core::Ledger for $store {
            async fn take(&self, row: &tollway_core::ClaimRow) -> Result<tollway_core::Taken, tollway_core::Fault> {
                self.books.take(row).await
            }

            async fn retake(
                &self,
                row: &tollway_core::ClaimRow,
            ) -> Result<Option<tollway_core::Found<tollway_core::SignedTx>>, tollway_core::Fault> {
                self.books.retake(row).await
            }

            async fn find(
                &self,
                scope: tollway_core::Scope,
                key: &tollway_core::ClaimKey,
            ) -> Result<Option<tollway_core::Found<tollway_core::SignedTx>>, tollway_core::Fault> {
                self.books.find(scope, key).await
            }

            async fn write_signed(
                &self,
                tx: &tollway_core::SignedTx,
                claims: &[tollway_core::Ticket],
            ) -> Result<(), tollway_core::Fault> {
                self.books.write_signed(tx, claims).await
            }

            async fn resolve(
                &self,
                scope: tollway_core::Scope,
                outcomes: &[(tollway_core::Ticket, tollway_core::Outcome)],
            ) -> Result<(), tollway_core::Fault> {
                self.books.resolve(scope, outcomes).await
            }

            async fn open(
                &self,
                limit: usize,
            ) -> Result<Vec<tollway_core::OpenSlot<tollway_core::SignedTx>>, tollway_core::Fault> {
                self.books.open(limit).await
            }

            fn is_shared(&self) -> bool {
                self.may_be_shared()
            }

            async fn hold(
                &self,
                network: &tollway_core::NetworkId,
                signer: &str,
            ) -> Result<tollway_core::Hold, tollway_core::Fault> {
                self.books.hold(network, signer, self.term()).await
            }

            async fn hand_over(
                &self,
                ticket: &tollway_core::Ticket,
                network: &tollway_core::NetworkId,
                signer: &str,
            ) -> Result<bool, tollway_core::Fault> {
                self.books.hand_over(ticket, network, signer).await
            }

            async fn handed(&self, limit: usize) -> Result<Vec<tollway_core::ClaimRow>, tollway_core::Fault> {
                self.books.handed(limit).await
            }
        }
    };
}
pub(crate) use ledger_by_books;
