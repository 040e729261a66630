//! A correct ledger, small enough to see that it is, with a switch for every way to get it wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tollway_core::{
    Caller, ClaimKey, ClaimRow, Fault, FaultKind, Found, Ledger, OpenSlot, Outcome, Scope, SignedTx, Slot, Taken,
    Ticket, async_trait,
};

/// A way to get it wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    /// Looks, and takes later.
    RacyTake,
    /// Two callers without a token are taken for one.
    AnonymousIsKnown,
    /// Tells strangers what only the caller may know.
    TellsStrangers,
    /// Keeps rows that were released.
    KeepsReleased,
    /// Lets a released row's transactions wait on.
    KeepsOldAttempts,
    /// Hands an uncertain row to everybody who asks.
    HandsOutAlways,
    /// Hands out what nobody is uncertain about.
    HandsOutOpen,
    /// Forgets for whom a row was taken.
    ForgetsCaller,
    /// Hands out pending rows only.
    NeverUndelivered,
    /// Lets a settled row be changed.
    ChangesSettled,
    /// Fails when told twice.
    RefusesRepeats,
    /// Makes a row of what nobody took.
    InventsRows,
    /// Writes the first outcome of many.
    FirstOfBatch,
    /// One row for both scopes.
    MixesScopes,
    /// Lists what was not signed.
    ListsUnsigned,
    /// Lists what is finished.
    ListsResolved,
    /// Takes pending for finished.
    PendingIsFinished,
    /// Keeps the last attempt only.
    LosesAttempts,
    /// Takes transactions without order for attempts at one slot.
    MergesUnordered,
    /// Takes a new holder's attempt for another slot.
    SplitsTakeovers,
    /// Takes every attempt at a slot for one of all its claims.
    MixesAttempts,
    /// Ignores the limit.
    IgnoresLimit,
    /// Counts attempts where slots are to be counted.
    LimitsAttempts,
    /// Loses bytes that are no text.
    LosesBytes,
    /// Lets everybody write.
    NoFence,
    /// Refuses a late writer, after having written.
    FencesTooLate,
    /// Forgets the dead, finished or not.
    ForgetsUnfinished,
    /// Ends a batch with its first claim.
    BatchEndsWithFirst,
    /// Hands a row to whoever names its key.
    HandsOutOtherPurchases,
    /// Tells a caller the outcome of one purchase for another.
    TellsOtherPurchases,
    /// Finds no claim that has an outcome.
    FindsNothingFinished,
    /// Lets an old ticket end a claim.
    TakesOldTickets,
    /// Lets an old ticket sign.
    SignsOldTickets,
    /// Lets a caller use a token twice.
    OneTokenForMany,
    /// Ends what is in a block and not final.
    IncludedIsFinished,
}

impl Defect {
    pub(crate) const ALL: [Self; 35] = [
        Self::TakesOldTickets,
        Self::SignsOldTickets,
        Self::OneTokenForMany,
        Self::IncludedIsFinished,
        Self::HandsOutOtherPurchases,
        Self::TellsOtherPurchases,
        Self::FindsNothingFinished,
        Self::RacyTake,
        Self::AnonymousIsKnown,
        Self::TellsStrangers,
        Self::KeepsReleased,
        Self::KeepsOldAttempts,
        Self::HandsOutAlways,
        Self::HandsOutOpen,
        Self::ForgetsCaller,
        Self::NeverUndelivered,
        Self::ChangesSettled,
        Self::RefusesRepeats,
        Self::InventsRows,
        Self::FirstOfBatch,
        Self::MixesScopes,
        Self::ListsUnsigned,
        Self::ListsResolved,
        Self::PendingIsFinished,
        Self::LosesAttempts,
        Self::MergesUnordered,
        Self::SplitsTakeovers,
        Self::MixesAttempts,
        Self::IgnoresLimit,
        Self::LimitsAttempts,
        Self::LosesBytes,
        Self::NoFence,
        Self::FencesTooLate,
        Self::ForgetsUnfinished,
        Self::BatchEndsWithFirst,
    ];
}

pub(crate) struct Store {
    defect: Defect,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    rows: BTreeMap<(Scope, ClaimKey), (ClaimRow, Option<Outcome>)>,
    turns: u64,
    signed: Vec<(SignedTx, BTreeSet<ClaimKey>)>,
    epochs: BTreeMap<String, u64>,
}

impl Books {
    fn insert(&mut self, id: (Scope, ClaimKey), row: &ClaimRow) -> Taken {
        self.turns += 1;
        let row = row.clone().with_turn(self.turns);
        let ticket = row.ticket();
        self.rows.insert(id, (row, None));
        Taken::New(ticket)
    }
}

impl Store {
    pub(crate) fn with(defect: Defect) -> Arc<dyn Ledger> {
        Arc::new(Self { defect, books: Mutex::default() })
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn id(&self, scope: Scope, key: &ClaimKey) -> (Scope, ClaimKey) {
        (if self.is(Defect::MixesScopes) { Scope::Server } else { scope }, key.clone())
    }

    fn books<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        change(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn resolve_one(&self, books: &mut Books, scope: Scope, ticket: &Ticket, outcome: &Outcome) -> Result<(), Fault> {
        let key = &ticket.key;
        let id = self.id(scope, key);
        if self.is(Defect::InventsRows) && !books.rows.contains_key(&id) && matches!(outcome, Outcome::Settled(_)) {
            let row = tollway_testkit::fixtures::row(scope, "invented", "nobody");
            books.rows.insert(id.clone(), (row, None));
        }
        let Some((row, known)) = books.rows.get_mut(&id) else { return Ok(()) };
        if row.turn != ticket.turn && !self.is(Defect::TakesOldTickets) {
            return Ok(());
        }
        if matches!(known, Some(Outcome::Settled(_))) && !self.is(Defect::ChangesSettled) {
            return match self.is(Defect::RefusesRepeats) {
                true => Err(Fault::new(FaultKind::Internal, "settled already")),
                false => Ok(()),
            };
        }
        *known = Some(outcome.clone());
        let included = matches!(outcome, Outcome::Included(_)) && !self.is(Defect::IncludedIsFinished);
        let unfinished = matches!(outcome, Outcome::Pending { .. }) && !self.is(Defect::PendingIsFinished) || included;
        let released = matches!(outcome, Outcome::Released(_));
        if released && !self.is(Defect::KeepsReleased) {
            books.rows.remove(&id);
        }
        let keeps = self.is(Defect::ListsResolved) || released && self.is(Defect::KeepsOldAttempts);
        if scope == Scope::Facilitator && !unfinished && !keeps {
            let ends_all = self.is(Defect::BatchEndsWithFirst);
            for (_, keys) in &mut books.signed {
                if keys.remove(key) && ends_all {
                    keys.clear();
                }
            }
            books.signed.retain(|(_, keys)| !keys.is_empty());
        }
        Ok(())
    }
}

#[async_trait]
impl Ledger for Store {
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        let id = self.id(row.scope, &row.claim.key);
        if self.is(Defect::RacyTake) {
            let free = self.books(|books| !books.rows.contains_key(&id));
            tokio::task::yield_now().await;
            if free {
                return Ok(self.books(|books| books.insert(id, row)));
            }
        }
        Ok(self.books(|books| {
            if self.is(Defect::ForgetsUnfinished) {
                let dead = |row: &ClaimRow| row.claim.dead_after.is_some_and(|dead| dead < 1_000);
                books.rows.retain(|other, (row, _)| *other == id || !dead(row));
            }
            let Some((mine, outcome)) = books.rows.get(&id) else {
                let token = |(scope, _): &(Scope, ClaimKey), (other, _): &(ClaimRow, Option<Outcome>)| {
                    *scope == row.scope && other.caller.is(&row.caller)
                };
                if books.rows.iter().any(|(id, other)| token(id, other)) && !self.is(Defect::OneTokenForMany) {
                    return Taken::TokenReused;
                }
                return books.insert(id, row);
            };
            let anonymous = mine.caller.token().is_none() && row.caller.token().is_none();
            let same = mine.is_same_purchase(row) || self.is(Defect::TellsOtherPurchases);
            let known = mine.caller.is(&row.caller) && same || anonymous && self.is(Defect::AnonymousIsKnown);
            let told = outcome.is_some() && self.is(Defect::TellsStrangers);
            match () {
                () if known || told => Taken::Again(outcome.clone()),
                () if mine.caller.is(&row.caller) && !self.is(Defect::OneTokenForMany) => Taken::TokenReused,
                () => Taken::Foreign,
            }
        }))
    }

    async fn retake(&self, presented: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
        let id = self.id(presented.scope, &presented.claim.key);
        Ok(self.books(|books| {
            let Books { rows, turns, .. } = books;
            let (kept, outcome) = rows.get_mut(&id)?;
            if !kept.is_same_purchase(presented) && !self.is(Defect::HandsOutOtherPurchases) {
                return None;
            }
            let mut row = kept.clone();
            if self.is(Defect::ForgetsCaller) {
                row.caller = Caller::ANONYMOUS;
            }
            let found = match outcome {
                Some(Outcome::Pending { .. }) => outcome.clone(),
                Some(Outcome::Undelivered(_)) if !self.is(Defect::NeverUndelivered) => outcome.clone(),
                None if self.is(Defect::HandsOutOpen) => Some(Outcome::Pending { transaction: String::new() }),
                _ => None,
            }?;
            if !self.is(Defect::HandsOutAlways) {
                *outcome = None;
            }
            *turns += 1;
            kept.turn = *turns;
            Some(Found::new(row.with_turn(*turns), Some(found), None))
        }))
    }

    async fn find(&self, scope: Scope, key: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
        let Some((row, outcome)) = self.books(|books| books.rows.get(&self.id(scope, key)).cloned()) else {
            return Ok(None);
        };
        if self.is(Defect::FindsNothingFinished) && outcome.is_some() {
            return Ok(None);
        }
        let slots = self.open(usize::MAX).await?;
        let slot = slots.into_iter().find(|slot| slot.claims.iter().any(|row| row.claim.key == *key));
        Ok(Some(Found::new(row, outcome, slot)))
    }

    async fn write_signed(&self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault> {
        self.books(|books| {
            let ours = |ticket: &Ticket| {
                let row = books.rows.get(&self.id(Scope::Facilitator, &ticket.key));
                row.is_some_and(|(row, outcome)| {
                    row.turn == ticket.turn && !matches!(outcome, Some(Outcome::Settled(_)))
                })
            };
            if !claims.iter().all(ours) && !self.is(Defect::SignsOldTickets) {
                return Err(Fault::new(FaultKind::Internal, "an old ticket"));
            }
            let newest = books.epochs.entry(tx.slot.signer.clone()).or_default();
            let late = tx.slot.epoch < *newest && !self.is(Defect::NoFence);
            if late && !self.is(Defect::FencesTooLate) {
                return Err(Fault::new(FaultKind::Internal, "fenced"));
            }
            *newest = tx.slot.epoch.max(*newest);
            if self.is(Defect::LosesAttempts) && tx.slot.sequence.is_some() {
                books.signed.retain(|(other, _)| other.slot != tx.slot);
            }
            let mut tx = tx.clone();
            if self.is(Defect::LosesBytes) {
                tx.bytes = String::from_utf8_lossy(&tx.bytes).into_owned().into_bytes();
            }
            if !claims.is_empty() {
                books.signed.push((tx, claims.iter().map(|ticket| ticket.key.clone()).collect()));
            }
            if late { Err(Fault::new(FaultKind::Internal, "fenced")) } else { Ok(()) }
        })
    }

    async fn resolve(&self, scope: Scope, outcomes: &[(Ticket, Outcome)]) -> Result<(), Fault> {
        let many = if self.is(Defect::FirstOfBatch) { 1 } else { outcomes.len() };
        self.books(|books| {
            outcomes.iter().take(many).try_for_each(|(ticket, outcome)| self.resolve_one(books, scope, ticket, outcome))
        })
    }

    async fn open(&self, limit: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        Ok(self.books(|books| {
            let mut slots: Vec<OpenSlot<SignedTx>> = Vec::new();
            let attempts = if self.is(Defect::LimitsAttempts) { limit } else { usize::MAX };
            for (tx, keys) in books.signed.iter().take(attempts) {
                let ordered = tx.slot.sequence.is_some() || self.is(Defect::MergesUnordered);
                let rows = keys.iter().filter_map(|key| books.rows.get(&self.id(Scope::Facilitator, key)));
                let rows: Vec<_> = rows.map(|(row, _)| row.clone()).collect();
                let place = |slot: &Slot| {
                    let epoch = self.is(Defect::SplitsTakeovers).then_some(slot.epoch);
                    (slot.network.clone(), slot.signer.clone(), slot.sequence, epoch)
                };
                let known = |slot: &OpenSlot<SignedTx>| ordered && place(&slot.attempts[0].slot) == place(&tx.slot);
                let index = slots.iter().position(known).unwrap_or_else(|| {
                    slots.push(OpenSlot::empty());
                    slots.len() - 1
                });
                let before = if self.is(Defect::MixesAttempts) { slots[index].claims.clone() } else { Vec::new() };
                slots[index].push(tx.clone(), rows.into_iter().chain(before));
            }
            if self.is(Defect::ListsUnsigned) {
                let signed = |key: &ClaimKey| books.signed.iter().any(|(_, keys)| keys.contains(key));
                let unsigned = books.rows.iter().filter(|((_, key), (_, outcome))| outcome.is_none() && !signed(key));
                slots.extend(unsigned.map(|(_, (row, _))| {
                    let mut slot = OpenSlot::empty();
                    slot.claims.push(row.clone());
                    slot
                }));
            }
            slots.truncate(if self.is(Defect::IgnoresLimit) { usize::MAX } else { limit });
            slots
        }))
    }
}
