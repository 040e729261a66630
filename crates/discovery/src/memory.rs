//! [`MemoryCatalogue`]: a catalogue in this process. It ends with it.

use crate::entry::Entry;
use crate::store::{CatalogueStore, Filter, Found, Limits, Page, Put, Search, SharedCatalogue};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollway_core::{Build, BuildContext, Fault, NoConfig};

/// Most entries one search looks at.
const MOST_LOOKED_AT: usize = 5000;

/// Entries in memory, indexed by key, by word and by rank.
#[derive(Default)]
pub struct MemoryCatalogue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    numbers: HashMap<String, u64>,
    entries: BTreeMap<u64, Arc<Entry>>,
    /// Position → number.
    ranked: BTreeMap<u64, u64>,
    words: HashMap<String, BTreeSet<u64>>,
    due: BTreeSet<(u64, u64)>,
    payers: HashMap<String, usize>,
    hosts: HashMap<String, usize>,
}

impl fmt::Debug for MemoryCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCatalogue").finish_non_exhaustive()
    }
}

impl Build for MemoryCatalogue {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self::default())
    }
}

impl From<MemoryCatalogue> for SharedCatalogue {
    fn from(store: MemoryCatalogue) -> Self {
        Self::new(store)
    }
}

impl MemoryCatalogue {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counts: &mut HashMap<String, usize>, key: &str, more: bool) {
    let own = counts.entry(key.to_owned()).or_default();
    *own = if more { own.saturating_add(1) } else { own.saturating_sub(1) };
    if *own == 0 {
        counts.remove(key);
    }
}

impl State {
    fn add(&mut self, number: u64, entry: Entry) {
        let position = entry.position(number);
        self.ranked.insert(position, number);
        for word in entry.words() {
            self.words.entry(word).or_default().insert(position);
        }
        self.due.insert((entry.next_probe, number));
        count(&mut self.payers, &entry.payer, true);
        count(&mut self.hosts, &entry.host, true);
        self.numbers.insert(entry.key.clone(), number);
        self.entries.insert(number, Arc::new(entry));
    }

    fn take(&mut self, number: u64) -> Option<Arc<Entry>> {
        let entry = self.entries.remove(&number)?;
        let position = entry.position(number);
        self.ranked.remove(&position);
        for word in entry.words() {
            if let Some(positions) = self.words.get_mut(&word) {
                positions.remove(&position);
                if positions.is_empty() {
                    self.words.remove(&word);
                }
            }
        }
        self.due.remove(&(entry.next_probe, number));
        count(&mut self.payers, &entry.payer, false);
        count(&mut self.hosts, &entry.host, false);
        self.numbers.remove(&entry.key);
        Some(entry)
    }

    fn at(&self, position: u64) -> Option<&Arc<Entry>> {
        self.ranked.get(&position).and_then(|number| self.entries.get(number))
    }
}

#[async_trait]
impl CatalogueStore for MemoryCatalogue {
    async fn put(&self, entry: &Entry, limits: Limits) -> Result<Put, Fault> {
        let mut state = self.state();
        let mut entry = entry.clone();
        let number = match state.numbers.get(&entry.key).copied() {
            Some(number) => {
                if let Some(old) = state.take(number) {
                    entry.listed = old.listed;
                }
                number
            }
            None => {
                let full =
                    |counts: &HashMap<String, usize>, key: &str, most| counts.get(key).is_some_and(|n| *n >= most);
                if full(&state.payers, &entry.payer, limits.per_payer)
                    || full(&state.hosts, &entry.host, limits.per_host)
                {
                    return Ok(Put::OverLimit);
                }
                state.last += 1;
                state.last
            }
        };
        state.add(number, entry);
        Ok(Put::Listed)
    }

    async fn find(&self, key: &str) -> Result<Option<Entry>, Fault> {
        let state = self.state();
        let entry = state.numbers.get(key).and_then(|number| state.entries.get(number));
        Ok(entry.map(|entry| (**entry).clone()))
    }

    async fn remove(&self, key: &str) -> Result<(), Fault> {
        let mut state = self.state();
        if let Some(number) = state.numbers.get(key).copied() {
            state.take(number);
        }
        Ok(())
    }

    async fn due(&self, now: u64, again: u64, limit: usize) -> Result<Vec<Entry>, Fault> {
        let mut state = self.state();
        let waiting: Vec<_> = state.due.range(..=(now, u64::MAX)).take(limit).copied().collect();
        let mut due = Vec::with_capacity(waiting.len());
        for (at, number) in waiting {
            state.due.remove(&(at, number));
            state.due.insert((again, number));
            if let Some(entry) = state.entries.get_mut(&number) {
                Arc::make_mut(entry).next_probe = again;
                due.push((**entry).clone());
            }
        }
        Ok(due)
    }

    async fn browse(&self, filter: &Filter, limit: usize, offset: u64) -> Result<Page, Fault> {
        let state = self.state();
        let (mut total, mut entries) = (0, Vec::new());
        for entry in state.entries.values().filter(|entry| filter.admits(entry)) {
            if total >= offset && entries.len() < limit {
                entries.push((**entry).clone());
            }
            total += 1;
        }
        Ok(Page::new(entries, total))
    }

    async fn search(&self, search: &Search) -> Result<Found, Fault> {
        let state = self.state();
        let none = BTreeSet::new();
        let mut sets: Vec<_> = search.words.iter().map(|word| state.words.get(word).unwrap_or(&none)).collect();
        sets.sort_by_key(|set| set.len());
        let after = search.after.map_or(Unbounded, Excluded);
        let positions: Box<dyn Iterator<Item = u64>> = match sets.split_first() {
            Some((rarest, others)) => Box::new(
                rarest.range((after, Unbounded)).copied().filter(move |at| others.iter().all(|set| set.contains(at))),
            ),
            None => Box::new(state.ranked.range((after, Unbounded)).map(|(at, _)| *at)),
        };
        let (mut entries, mut last) = (Vec::new(), None);
        for (looked_at, position) in positions.enumerate() {
            if entries.len() == search.limit {
                return Ok(Found::new(entries, last, false));
            }
            if looked_at == MOST_LOOKED_AT {
                return Ok(Found::new(entries, last, true));
            }
            last = Some(position);
            entries
                .extend(state.at(position).filter(|entry| search.filter.admits(entry)).map(|entry| (**entry).clone()));
        }
        Ok(Found::new(entries, None, false))
    }
}
