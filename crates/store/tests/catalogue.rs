//! The catalogue in SQLite: the suite for all stores, and what is its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tollway_core::Plugin;
use tollway_discovery::{CatalogueStore, Filter, SharedCatalogue};
use tollway_store::SqliteCatalogue;
use tollway_testkit::{block_on, catalogue_suite};

/// The part alone: ledgers have tests of their own.
const PART: Plugin = Plugin::new("tollway-store", "The catalogue in SQLite", |registrar| {
    registrar.store::<SqliteCatalogue, SharedCatalogue>("catalogue/sqlite");
});
tollway_testkit::conformance!(PART);

#[test]
fn the_suite_for_all_stores() {
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
