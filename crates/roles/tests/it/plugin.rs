//! The ledger in memory keeps the rules that every ledger keeps, and this crate's plug-in those of every plug-in.

use std::sync::Arc;
use tollway_core::Ledger;
use tollway_roles::MemoryLedger;
use tollway_testkit::ledger_suite;

tollway_testkit::conformance!(tollway_roles::PLUGIN);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ledger_in_memory_keeps_the_rules() {
    let make = || async { Arc::new(MemoryLedger::default()) as Arc<dyn Ledger> };
    ledger_suite("memory", make).await.assert();
}
