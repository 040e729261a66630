//! [`MemoryLedger`]: the claim rules without a disk. For tests, demos and single processes whose chain refuses replays.

use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap, btree_map};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{
    Build, BuildContext, ClaimKey, ClaimRow, Clock, Fault, FaultKind, Found, Ledger, NetworkId, NoConfig, OpenSlot,
    Outcome, Scope, SignedTx, Slot, SystemClock, Taken,
};

/// Seconds a finished row is kept after its payment died, so that a late repeat still meets its answer.
const GRACE_SECONDS: u64 = 600;
/// Seconds a finished row without an expiry is kept, and one whose answer somebody may still come for.
const KEEP_SECONDS: u64 = 24 * 3600;
/// Rows looked at for expiry whenever one is taken: forgetting keeps pace with taking, and no call pays for all.
const SWEEP: usize = 4;

/// A ledger in memory. What it forgets at a crash is protected by the chain's own nonces alone; use a store where that
/// is not enough.
///
/// Finished rows are forgotten ten minutes after the payment could last have been settled, so memory follows the
/// rate of payments and not their number.
#[derive(Debug)]
pub struct MemoryLedger {
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    claims: HashMap<(Scope, ClaimKey), Entry>,
    /// When finished rows may be forgotten, oldest first.
    expiry: BTreeMap<(u64, u64), (Scope, ClaimKey)>,
    /// Numbers rows that finish in the same second.
    finished: u64,
    /// Every signed transaction that carries an open claim, oldest first.
    attempts: BTreeMap<u64, Attempt>,
    /// Numbers attempts.
    signed: u64,
    /// The newest holder seen for a signer.
    epochs: HashMap<(NetworkId, String), u64>,
}

#[derive(Debug)]
struct Entry {
    row: ClaimRow,
    outcome: Option<Outcome>,
    /// The attempts that carry it.
    attempts: Vec<u64>,
    /// Its place in `Books::expiry`, once it is finished.
    due: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Attempt {
    tx: SignedTx,
    claims: Vec<ClaimKey>,
}

impl MemoryLedger {
    /// An empty ledger that forgets by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, books: Mutex::default() }
    }

    /// How many claims it holds, finished ones that are not yet forgotten among them.
    pub fn len(&self) -> usize {
        self.books().claims.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Every change below is complete before anything can panic, so a poisoned lock still guards whole books.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl Books {
    fn sweep(&mut self, now: u64) {
        for _ in 0..SWEEP {
            match self.expiry.first_entry() {
                Some(due) if due.key().0 <= now => {
                    let id = due.remove();
                    self.claims.remove(&id);
                }
                _ => return,
            }
        }
    }

    fn resolve(&mut self, scope: Scope, key: &ClaimKey, outcome: &Outcome, now: u64) {
        let id = (scope, key.clone());
        let Some(entry) = self.claims.get_mut(&id) else { return };
        if matches!(entry.outcome, Some(Outcome::Settled(_))) {
            return;
        }
        if !matches!(outcome, Outcome::Pending { .. }) {
            for number in entry.attempts.drain(..) {
                if let btree_map::Entry::Occupied(mut attempt) = self.attempts.entry(number) {
                    attempt.get_mut().claims.retain(|claim| claim != key);
                    if attempt.get().claims.is_empty() {
                        attempt.remove();
                    }
                }
            }
        }
        if matches!(outcome, Outcome::Released(_)) {
            self.claims.remove(&id);
            return;
        }
        entry.outcome = Some(outcome.clone());
        let dead = entry.row.claim.dead_after.map_or(now, |dead| dead.max(now));
        let keep = match (outcome, scope, entry.row.claim.dead_after) {
            // Open business of the facilitator: only the reconciler or its caller ends it.
            (Outcome::Pending { .. }, Scope::Facilitator, _) => return,
            (Outcome::Settled(_), _, Some(_)) => GRACE_SECONDS,
            _ => KEEP_SECONDS,
        };
        self.finished = self.finished.wrapping_add(1);
        let place = (dead.saturating_add(keep), self.finished);
        if let Some(before) = entry.due.replace(place) {
            self.expiry.remove(&before);
        }
        self.expiry.insert(place, id);
    }

    /// The slot that carries a claim, with all its attempts.
    fn slot_of(&self, entry: &Entry) -> Option<OpenSlot<SignedTx>> {
        let ours = &self.attempts.get(entry.attempts.last()?)?.tx;
        let same =
            |tx: &SignedTx| tx.hash == ours.hash || place(&ours.slot).is_some() && place(&tx.slot) == place(&ours.slot);
        let attempts: Vec<_> = self.attempts.values().filter(|attempt| same(&attempt.tx)).collect();
        let mut keys: Vec<_> = attempts.iter().flat_map(|attempt| &attempt.claims).collect();
        keys.sort();
        keys.dedup();
        let rows = keys.iter().filter_map(|key| self.claims.get(&(Scope::Facilitator, (*key).clone())));
        let rows = rows.map(|entry| entry.row.clone()).collect();
        Some(OpenSlot::new(attempts.iter().map(|attempt| attempt.tx.clone()).collect(), rows))
    }
}

/// What a transaction competes for. A newer holder of a signer writes the same place under a newer epoch.
fn place(slot: &Slot) -> Option<(NetworkId, String, u64)> {
    slot.sequence.map(|number| (slot.network.clone(), slot.signer.clone(), number))
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        let now = self.clock.now();
        let mut books = self.books();
        books.sweep(now);
        let id = (row.scope, row.claim.key.clone());
        Ok(match books.claims.get(&id) {
            None => {
                books.claims.insert(id, Entry { row: row.clone(), outcome: None, attempts: Vec::new(), due: None });
                Taken::New
            }
            Some(entry) if entry.row.caller.is(&row.caller) && entry.row.is_same_purchase(row) => {
                Taken::Again(entry.outcome.clone())
            }
            Some(_) => Taken::Foreign,
        })
    }

    async fn retake(&self, row: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
        let mut guard = self.books();
        let books = &mut *guard;
        let Some(entry) = books.claims.get_mut(&(row.scope, row.claim.key.clone())) else { return Ok(None) };
        let waits = matches!(entry.outcome, Some(Outcome::Pending { .. } | Outcome::Undelivered(_)));
        if !waits || !entry.row.is_same_purchase(row) {
            return Ok(None);
        }
        // Open again, and so not to be forgotten.
        if let Some(place) = entry.due.take() {
            books.expiry.remove(&place);
        }
        Ok(Some(Found::new(entry.row.clone(), entry.outcome.take(), None)))
    }

    async fn find(&self, scope: Scope, key: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
        let books = self.books();
        let entry = books.claims.get(&(scope, key.clone()));
        Ok(entry.map(|entry| Found::new(entry.row.clone(), entry.outcome.clone(), books.slot_of(entry))))
    }

    async fn write_signed(&self, tx: &SignedTx, claims: &[ClaimKey]) -> Result<(), Fault> {
        let mut books = self.books();
        let holder = (tx.slot.network.clone(), tx.slot.signer.clone());
        let newest = books.epochs.entry(holder).or_default();
        if tx.slot.epoch < *newest {
            let message = format!("{} on {} has a newer holder; this one must stop", tx.slot.signer, tx.slot.network);
            return Err(Fault::new(FaultKind::Internal, message));
        }
        *newest = tx.slot.epoch;
        books.signed = books.signed.wrapping_add(1);
        let number = books.signed;
        for key in claims {
            if let Some(entry) = books.claims.get_mut(&(Scope::Facilitator, key.clone())) {
                entry.attempts.push(number);
            }
        }
        books.attempts.insert(number, Attempt { tx: tx.clone(), claims: claims.to_vec() });
        Ok(())
    }

    async fn resolve(&self, scope: Scope, outcomes: &[(ClaimKey, Outcome)]) -> Result<(), Fault> {
        let now = self.clock.now();
        let mut books = self.books();
        for (key, outcome) in outcomes {
            books.resolve(scope, key, outcome, now);
        }
        Ok(())
    }

    async fn open(&self, limit: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        let books = self.books();
        let mut slots: Vec<OpenSlot<SignedTx>> = Vec::new();
        let mut known: HashMap<_, usize> = HashMap::new();
        for attempt in books.attempts.values() {
            let rows = attempt.claims.iter().filter_map(|key| books.claims.get(&(Scope::Facilitator, key.clone())));
            let rows = rows.map(|entry| entry.row.clone());
            // Two transactions without a sequence are never attempts at the same slot.
            let place = place(&attempt.tx.slot);
            match place.as_ref().and_then(|place| known.get(place)) {
                Some(&index) => {
                    slots[index].attempts.push(attempt.tx.clone());
                    let known = |row: &ClaimRow| slots[index].claims.iter().any(|old| old.claim.key == row.claim.key);
                    let new: Vec<_> = rows.filter(|row| !known(row)).collect();
                    slots[index].claims.extend(new);
                }
                None if slots.len() < limit => {
                    if let Some(place) = place {
                        known.insert(place, slots.len());
                    }
                    slots.push(OpenSlot::new(vec![attempt.tx.clone()], rows.collect()));
                }
                None => {}
            }
        }
        Ok(slots)
    }
}

impl Build for MemoryLedger {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self::new(cx.clock))
    }
}
