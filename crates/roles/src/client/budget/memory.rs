//! [`MemoryBudget`]: the books of a client without a disk. A restart empties them.

use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tollway_core::{
    Amount, BudgetStore, Build, BuildContext, Fate, Fault, FaultKind, NoConfig, Reserved, SharedBudget, SignedSpend,
    Spend, SpendKey, SpendRow, SpendState, SpendStep, Tally,
};

/// Most rows kept whose fate is known.
const MAX_ENDED: usize = 10_000;
/// Seconds a counter is kept after its end.
const KEEP_SECONDS: u64 = 24 * 3600;
/// Most rows of one look-up.
const MAX_FOUND: usize = 64;

/// A budget's books in memory: for tests, and for agents whose budget may begin anew when they do.
#[derive(Debug, Default)]
pub struct MemoryBudget {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<u64, SpendRow>,
    ids: HashMap<String, u64>,
    payments: HashMap<String, u64>,
    /// Rows that are signed and no more, by what was bought.
    purchases: HashMap<String, BTreeSet<u64>>,
    /// Rows whose fate is not known.
    open: BTreeSet<u64>,
    /// The others, oldest first.
    ended: VecDeque<u64>,
    tallies: HashMap<String, Amount>,
    /// When counters may be forgotten.
    ends: BTreeSet<(u64, String)>,
    last: u64,
}

impl MemoryBudget {
    /// Empty books.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic, so a poisoned lock still guards whole books.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn counted(&self, key: &str) -> Amount {
        self.tallies.get(key).copied().unwrap_or_default()
    }

    fn forget_counters(&mut self, now: u64) {
        while let Some((until, _)) = self.ends.first()
            && until.saturating_add(KEEP_SECONDS) < now
        {
            if let Some((_, key)) = self.ends.pop_first() {
                self.tallies.remove(&key);
            }
        }
    }

    /// Counts what the chain moved, whatever the caps.
    fn count(&mut self, tallies: &[Tally]) {
        for tally in tallies {
            let sum = self.counted(&tally.key).checked_add(tally.amount).unwrap_or(Amount::MAX);
            if let Some(until) = tally.until {
                self.ends.insert((until, tally.key.clone()));
            }
            self.tallies.insert(tally.key.clone(), sum);
        }
    }

    fn give_back(&mut self, tallies: &[Tally]) {
        for tally in tallies {
            if let Some(counted) = self.tallies.get_mut(&tally.key) {
                *counted = counted.checked_sub(tally.amount).unwrap_or_default();
            }
        }
    }

    /// Takes a row out of every index; it stays in `rows`.
    fn unlist(&mut self, row: &SpendRow) {
        self.open.remove(&row.number);
        if let Some(purchase) = &row.spend.purchase
            && let Some(numbers) = self.purchases.get_mut(purchase)
        {
            numbers.remove(&row.number);
            if numbers.is_empty() {
                self.purchases.remove(purchase);
            }
        }
    }

    fn remove(&mut self, row: &SpendRow) {
        self.unlist(row);
        self.ids.remove(&row.spend.id);
        if let Some(signed) = &row.signed {
            self.payments.remove(&signed.digest);
        }
        self.rows.remove(&row.number);
    }

    fn write(&mut self, row: SpendRow) {
        self.unlist(&row);
        if row.state.is_open() {
            self.open.insert(row.number);
        } else {
            self.ended.push_back(row.number);
        }
        self.rows.insert(row.number, row);
        while self.ended.len() > MAX_ENDED {
            let oldest = self.ended.pop_front().and_then(|number| self.rows.get(&number).cloned());
            if let Some(row) = oldest {
                self.remove(&row);
            }
        }
    }

    fn row(&self, id: &str) -> Option<SpendRow> {
        self.rows.get(self.ids.get(id)?).cloned()
    }
}

#[async_trait]
impl BudgetStore for MemoryBudget {
    async fn reserve(&self, spend: &Spend) -> Result<Reserved, Fault> {
        let mut state = self.state();
        if state.ids.contains_key(&spend.id) {
            return Err(Fault::new(FaultKind::Internal, format!("there is a payment {} already", spend.id)));
        }
        state.forget_counters(spend.at);
        for tally in &spend.tallies {
            if let Err(left) = tally.added_to(state.counted(&tally.key)) {
                return Ok(Reserved::Over { key: tally.key.clone(), left });
            }
        }
        state.count(&spend.tallies);
        state.last = state.last.saturating_add(1);
        let number = state.last;
        state.ids.insert(spend.id.clone(), number);
        state.write(SpendRow::reserved(number, spend.clone()));
        Ok(Reserved::Yes)
    }

    async fn sign(&self, id: &str, signed: &SignedSpend, now: u64) -> Result<(), Fault> {
        let mut state = self.state();
        let row = state.row(id).filter(|row| row.state == SpendState::Reserved);
        let mut row = row.ok_or_else(|| SpendRow::lost(id))?;
        row.state = SpendState::Signed;
        row.signed = Some(signed.clone());
        row.changed = now;
        let (number, purchase) = (row.number, row.spend.purchase.clone());
        state.payments.insert(signed.digest.clone(), number);
        state.write(row);
        if let Some(purchase) = purchase {
            state.purchases.entry(purchase).or_default().insert(number);
        }
        Ok(())
    }

    async fn resolve(&self, id: &str, fate: &Fate, now: u64) -> Result<(), Fault> {
        let mut state = self.state();
        let Some(row) = state.row(id) else { return Ok(()) };
        match row.state.step(fate) {
            SpendStep::Keep => return Ok(()),
            SpendStep::Write => {}
            SpendStep::CountAgain => {
                state.ended.retain(|number| *number != row.number);
                state.count(&row.spend.tallies);
            }
            SpendStep::GiveBack => state.give_back(&row.spend.tallies),
            SpendStep::Remove => {
                state.give_back(&row.spend.tallies);
                state.remove(&row);
                return Ok(());
            }
        }
        state.write(row.resolved(fate, now));
        Ok(())
    }

    async fn find(&self, by: SpendKey<'_>) -> Result<Vec<SpendRow>, Fault> {
        let state = self.state();
        let numbers: Vec<u64> = match by {
            SpendKey::Purchase(purchase) => state.purchases.get(purchase).into_iter().flatten().copied().collect(),
            SpendKey::Payment(digest) => state.payments.get(digest).copied().into_iter().collect(),
        };
        Ok(numbers.iter().take(MAX_FOUND).filter_map(|number| state.rows.get(number).cloned()).collect())
    }

    async fn open(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        let state = self.state();
        let numbers = state.open.range(after.saturating_add(1)..).take(limit);
        Ok(numbers.filter_map(|number| state.rows.get(number).cloned()).collect())
    }

    async fn export(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        let state = self.state();
        Ok(state.rows.range(after.saturating_add(1)..).take(limit).map(|(_, row)| row.clone()).collect())
    }

    async fn counted(&self, key: &str) -> Result<Amount, Fault> {
        Ok(self.state().counted(key))
    }
}

impl Build for MemoryBudget {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self::new())
    }
}

impl From<MemoryBudget> for SharedBudget {
    fn from(store: MemoryBudget) -> Self {
        Self::new(store)
    }
}
