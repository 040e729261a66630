//! The suite for stores of catalogues: the rules in the documentation of [`CatalogueStore`], checked from outside.

mod listing;
mod searching;

use crate::report::{Notes, Report};
use serde_json::json;
use std::sync::Arc;
use tollway_core::Fault;
use tollway_discovery::{CatalogueStore, Entry, Limits, Put};

/// The hour of the suite.
const NOW: u64 = crate::FakeClock::START;
/// Limits that nothing here reaches unless it wants to.
const ROOMY: usize = 1_000_000;

/// Runs the suite on a store of catalogues. `make` gives a fresh, empty one each time.
///
/// ```
/// use std::sync::Arc;
/// use tollway_discovery::{CatalogueStore, MemoryCatalogue};
///
/// tollway_testkit::block_on(async {
///     let make = || async { Arc::new(MemoryCatalogue::new()) as Arc<dyn CatalogueStore> };
///     tollway_testkit::catalogue_suite("memory", make).await.assert();
/// });
/// ```
pub async fn catalogue_suite<F: Future<Output = Arc<dyn CatalogueStore>>>(name: &str, make: impl Fn() -> F) -> Report {
    let notes = Notes::new(name);
    listing::written_and_read_back(&make().await, &notes).await;
    listing::replaced_in_its_place(&make().await, &notes).await;
    listing::taken_out(&make().await, &notes).await;
    listing::limits(&make().await, &notes).await;
    listing::limits_in_parallel(&make().await, &notes).await;
    listing::browsed(&make().await, &notes).await;
    listing::due(&make().await, &notes).await;
    listing::due_once(&make().await, &notes).await;
    searching::words(&make().await, &notes).await;
    searching::filters(&make().await, &notes).await;
    searching::ranked(&make().await, &notes).await;
    searching::paged(&make().await, &notes).await;
    searching::hostile_words(&make().await, &notes).await;
    searching::needles(&make().await, &notes).await;
    notes.finish()
}

/// An entry of a number, paid by alice on its own host.
fn entry(number: u64, words: &str) -> Entry {
    let entry = json!({
        "key": format!("https://h{number}.test/a"), "mcp": false, "method": "GET",
        "url": format!("https://h{number}.test/a?q=1"), "host": format!("h{number}.test"), "payer": "alice",
        "accepts": [{
            "scheme": "exact", "network": "eip155:8453", "amount": "1000", "asset": "0xAbC", "payTo": "0xDeF",
            "maxTimeoutSeconds": 60, "unknown": { "kept": [1, null] },
        }],
        "resource": { "url": format!("https://h{number}.test/a?q=1"), "description": words, "tags": ["Blue", "sky"] },
        "bazaar": { "info": { "input": { "type": "http", "method": "GET" } } },
        "extensions": ["bazaar"],
        "price": 1000, "listed": NOW, "updated": NOW, "probed": NOW, "nextProbe": NOW + 100, "failures": 0,
        "latencyMs": 10, "success": 1000,
    });
    serde_json::from_value(entry).expect("an entry")
}

/// An answer that a working store always gives.
fn given<T>(answer: Result<T, Fault>, notes: &Notes, what: &str) -> Option<T> {
    notes.take("store: answers", answer, || what.to_owned())
}

async fn put(store: &Arc<dyn CatalogueStore>, entry: &Entry, notes: &Notes) -> Option<Put> {
    given(store.put(entry, Limits::new(ROOMY, ROOMY)).await, notes, "put")
}

fn keys(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}
