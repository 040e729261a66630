//! The store in memory: the suite for all stores.

use std::sync::Arc;
use tollway_discovery::{CatalogueStore, MemoryCatalogue};
use tollway_testkit::{block_on, catalogue_suite};

#[test]
fn the_suite_for_all_stores() {
    let make = || async { Arc::new(MemoryCatalogue::new()) as Arc<dyn CatalogueStore> };
    let report = block_on(catalogue_suite("memory", make));
    assert!(report.checks > 120, "only {} checks ran", report.checks);
    report.assert();
}
