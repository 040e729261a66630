//! Catalogues in databases: the suite for all stores, and what is each one's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tollway_core::{Plugin, Secret};
use tollway_discovery::{CatalogueStore, Entry, Filter, Limits, Put, Search, SharedCatalogue};
use tollway_store::{PostgresCatalogue, SqliteCatalogue};
use tollway_testkit::{Chapter, Conformance, block_on, catalogue_suite, postgres};

/// The parts alone: others have tests of their own.
const SQLITE: Plugin = Plugin::new("tollway-store", "The catalogue in SQLite", |registrar| {
    registrar.store::<SqliteCatalogue, SharedCatalogue>("catalogue/sqlite");
});
const POSTGRES: Plugin = Plugin::new("tollway-store", "The catalogue in PostgreSQL", |registrar| {
    registrar.store::<PostgresCatalogue, SharedCatalogue>("catalogue/postgres");
});
tollway_testkit::conformance!(SQLITE);

#[test]
fn the_part_in_postgres_conforms() {
    let Some(cluster) = postgres::shared() else { return };
    let conformance = Conformance::of(POSTGRES).secret(&cluster.database());
    Chapter::ALL.into_iter().for_each(|chapter| conformance.clone().assert(chapter));
}

#[test]
fn sqlite_passes_the_suite_for_all_stores() {
    let (folder, number) = (TempDir::new().unwrap(), AtomicUsize::new(0));
    let make = || async {
        let path = folder.path().join(format!("{}.db", number.fetch_add(1, Ordering::SeqCst)));
        Arc::new(SqliteCatalogue::open(&path).await.unwrap()) as Arc<dyn CatalogueStore>
    };
    let report = block_on(catalogue_suite("sqlite", make));
    assert!(report.checks > 120, "only {} checks ran", report.checks);
    report.assert();
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let (text, ours) = (folder.path().join("text.db"), folder.path().join("ours.db"));
    std::fs::write(&text, "no database at all, but long enough to look like one to somebody").unwrap();
    block_on(async {
        let why = SqliteCatalogue::open(&text).await.unwrap_err();
        assert!(why.contains("name another file"), "{why}");
        drop(SqliteCatalogue::open(&ours).await.unwrap());
        let again = SqliteCatalogue::open(&ours).await.unwrap();
        assert_eq!(again.browse(&Filter::default(), 1, 0).await.unwrap().total, 0);
    });
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("no database"));
}

const CONNECTIONS: NonZeroU32 = NonZeroU32::new(4).unwrap();

async fn open(url: &str) -> PostgresCatalogue {
    PostgresCatalogue::open(&Secret::new(url), CONNECTIONS).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_passes_the_suite_for_all_stores() {
    let Some(cluster) = postgres::shared() else { return };
    let make = || async { Arc::new(open(&cluster.database()).await) as Arc<dyn CatalogueStore> };
    let report = catalogue_suite("postgres", make).await;
    assert!(report.checks > 120, "only {} checks ran", report.checks);
    report.assert();
}

fn entry(number: u64) -> Entry {
    serde_json::from_value(serde_json::json!({
        "key": format!("https://h{number}.test/a"), "mcp": false, "method": "GET", "url": format!("https://h{number}.test/a"),
        "host": format!("h{number}.test"), "payer": "alice",
        "accepts": [{
            "scheme": "exact", "network": "eip155:8453", "amount": "1000", "asset": "0xAbC", "payTo": "0xDeF",
            "maxTimeoutSeconds": 60,
        }],
        "resource": { "url": format!("https://h{number}.test/a"), "description": "weather" },
        "bazaar": { "info": { "input": { "type": "http", "method": "GET" } } }, "extensions": ["bazaar"],
        "price": 1000, "listed": 1, "updated": 1, "probed": 1, "nextProbe": 100, "failures": 0, "latencyMs": 10,
        "success": 1000,
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_numbers_and_probes_hold_at_two_facilitators() {
    let Some(cluster) = postgres::shared() else { return };
    let url = cluster.database();
    let stores = [Arc::new(open(&url).await), Arc::new(open(&url).await)];
    // Each entry is brought to both.
    let puts: Vec<_> = (0..80usize)
        .map(|n| {
            let store = stores[n % 2].clone();
            let limits = Limits::new(25, 1);
            tokio::spawn(async move { store.put(&entry(n as u64 / 2), limits).await.unwrap() == Put::Listed })
        })
        .collect();
    for put in puts {
        put.await.unwrap();
    }
    let page = stores[1].browse(&Filter::default(), 100, 0).await.unwrap();
    assert_eq!((page.total, page.entries.len()), (25, 25), "so many may be one payer's");
    let found = stores[0].search(&Search::new(vec!["weather".into()], Filter::default(), 100, None)).await.unwrap();
    let ranked: Vec<_> = found.entries.iter().map(|entry| &entry.key).collect();
    let numbered: Vec<_> = page.entries.iter().map(|entry| &entry.key).collect();
    assert_eq!(ranked, numbered, "on one shelf they stand by number, and each has its own");
    let probes: Vec<_> = (0..10)
        .map(|n: usize| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move { store.due(100, 500, 5).await.unwrap().len() })
        })
        .collect();
    let mut probed = 0;
    for probe in probes {
        probed += probe.await.unwrap();
    }
    assert_eq!(probed, 25, "each is probed by one of them");
}
