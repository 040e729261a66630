//! The catalogue of services in databases.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tokens;

#[cfg(feature = "postgres")]
pub use postgres::PostgresCatalogue;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteCatalogue, SqliteCatalogueConfig};

use tollway_core::{Fault, FaultKind};
use tollway_discovery::{Entry, Found, Search};

/// Rows looked at in one step where a price is asked for, and in one search.
const STEP: usize = 256;
const MOST_LOOKED_AT: usize = 5000;

fn damaged(why: impl std::error::Error + Send + Sync + 'static) -> Fault {
    let message = "the catalogue holds an entry that cannot be read; begin a new one, which fills by itself";
    Fault::new(FaultKind::Internal, message).source(why)
}

/// Databases' integers are signed; nothing here reaches 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// So many rows at most.
fn at_most(rows: usize) -> i64 {
    signed(u64::try_from(rows).unwrap_or(u64::MAX))
}

fn written(entry: &Entry) -> Result<String, Fault> {
    serde_json::to_string(entry).map_err(damaged)
}

/// An entry as it was written, with the column that changes without it.
fn read(text: &str, next_probe: i64) -> Result<Entry, Fault> {
    let mut entry: Entry = serde_json::from_str(text).map_err(damaged)?;
    entry.next_probe = unsigned(next_probe);
    Ok(entry)
}

/// A search on its way: rows are looked at step by step, in the order of their positions, until there are enough.
struct Gathering<'a> {
    search: &'a Search,
    entries: Vec<Entry>,
    /// The last position looked at.
    after: i64,
    looked_at: usize,
    /// Rows of a step.
    step: usize,
}

impl<'a> Gathering<'a> {
    fn new(search: &'a Search) -> Self {
        // One more than wanted, to know whether there is another page.
        let step = if search.filter.max_price.is_some() { STEP } else { search.limit.saturating_add(1) };
        Self { search, entries: Vec::new(), after: search.after.map_or(-1, signed), looked_at: 0, step }
    }

    /// Looks at the rows of a step: positions, and entries whose price will do. Gives what was found once that is enough, or
    /// all there is, or as much as may be looked at.
    fn take(&mut self, rows: Vec<(i64, Option<Entry>)>) -> Option<Found> {
        let last = rows.len() < self.step;
        for (position, entry) in rows {
            if self.entries.len() == self.search.limit {
                return Some(self.found(true, false));
            }
            self.after = position;
            self.looked_at = self.looked_at.saturating_add(1);
            // What two facets of one token let through ends here.
            self.entries.extend(entry.filter(|entry| self.search.filter.admits(entry)));
        }
        let enough = self.looked_at >= MOST_LOOKED_AT;
        (last || enough).then(|| self.found(!last, !last))
    }

    fn found(&mut self, more: bool, partial: bool) -> Found {
        Found::new(std::mem::take(&mut self.entries), more.then(|| unsigned(self.after)), partial)
    }
}
