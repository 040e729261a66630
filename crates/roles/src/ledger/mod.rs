//! [`MemoryLedger`]: the claim rules without a disk. For tests, demos and single processes whose chain refuses replays.

mod books;

use async_trait::async_trait;
use books::{Books, Holder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{
    Build, BuildContext, ClaimKey, ClaimRow, Clock, Fault, Found, Hold, Ledger, NetworkId, NoConfig, OpenSlot, Outcome,
    Scope, SignedTx, SystemClock, Taken, Ticket,
};

/// A ledger in memory. What it forgets at a crash is protected by the chain's own nonces alone; use a store where that
/// is not enough.
///
/// Finished rows are forgotten ten minutes after the payment could last have been settled, so memory follows the
/// rate of payments and not their number.
#[derive(Debug)]
pub struct MemoryLedger {
    clock: Arc<dyn Clock>,
    books: Arc<Mutex<Books>>,
    holder: Holder,
}

impl MemoryLedger {
    /// An empty ledger that forgets by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let mut books = Books::default();
        let holder = books.join();
        Self { clock, books: Arc::new(Mutex::new(books)), holder }
    }

    /// Another holder of the same books, as another process is of a store's. It dies when it is dropped.
    pub fn beside(&self) -> Self {
        let holder = self.books().join();
        Self { clock: self.clock.clone(), books: self.books.clone(), holder }
    }

    /// Counts as dead from now on, as a process does that was not heard of for too long.
    pub fn leave(&self) {
        let holder = self.holder;
        self.books().leave(holder);
    }

    /// How many claims it holds, finished ones that are not yet forgotten among them.
    pub fn len(&self) -> usize {
        self.books().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Every change is complete before anything can panic, so a poisoned lock still guards whole books.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MemoryLedger {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        let now = self.clock.now();
        let mut books = self.books();
        books.sweep(now);
        let known = books.get(row.scope, &row.claim.key).and_then(|state| state.take(row));
        Ok(match known {
            Some(taken) => taken,
            None if books.is_token_of_another(row) => Taken::TokenReused,
            None => Taken::New(books.insert(row, self.holder)),
        })
    }

    async fn retake(&self, row: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
        let mut books = self.books();
        let (scope, key) = (row.scope, &row.claim.key);
        let Some(outcome) = books.get(scope, key).and_then(|state| state.retake(row)) else { return Ok(None) };
        Ok(books.reopen(scope, key, self.holder).map(|row| Found::new(row, Some(outcome), None)))
    }

    async fn find(&self, scope: Scope, key: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
        let books = self.books();
        Ok(books.get(scope, key).map(|state| Found::new(state.row.clone(), state.seen(), books.slot_of(scope, key))))
    }

    async fn write_signed(&self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault> {
        self.books().sign(tx, claims)
    }

    async fn resolve(&self, scope: Scope, outcomes: &[(Ticket, Outcome)]) -> Result<(), Fault> {
        let now = self.clock.now();
        let mut books = self.books();
        for (ticket, outcome) in outcomes {
            books.resolve(scope, ticket, outcome, now);
        }
        Ok(())
    }

    async fn open(&self, limit: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        Ok(self.books().open(limit))
    }

    fn is_shared(&self) -> bool {
        self.books().holders() > 1
    }

    async fn hold(&self, network: &NetworkId, signer: &str) -> Result<Hold, Fault> {
        let held = self.books().hold(network, signer, self.holder);
        Ok(held.map_or(Hold::Theirs, |epoch| Hold::Ours { epoch }))
    }

    async fn hand_over(&self, ticket: &Ticket, network: &NetworkId, signer: &str) -> Result<bool, Fault> {
        Ok(self.books().hand_over(ticket, network, signer, self.holder))
    }

    async fn handed(&self, limit: usize) -> Result<Vec<ClaimRow>, Fault> {
        Ok(self.books().handed(self.holder, limit))
    }
}

impl Build for MemoryLedger {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self::new(cx.clock))
    }
}
