//! The ledger in memory keeps the rules that every ledger keeps, and this crate's plug-in those of every plug-in.

use std::sync::Arc;
use tollway_core::Ledger;
use tollway_roles::MemoryLedger;
use tollway_testkit::{SharedLedger, ledger_suite, shared_ledger_suite};

tollway_testkit::conformance!(tollway_roles::PLUGIN);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ledger_in_memory_keeps_the_rules() {
    let make = || async { Arc::new(MemoryLedger::default()) as Arc<dyn Ledger> };
    ledger_suite("memory", make).await.assert();
}

/// Two holders of one ledger in memory.
struct Two {
    first: Arc<MemoryLedger>,
    second: Arc<MemoryLedger>,
}

#[tollway_core::async_trait]
impl SharedLedger for Two {
    fn first(&self) -> Arc<dyn Ledger> {
        self.first.clone()
    }

    fn second(&self) -> Arc<dyn Ledger> {
        self.second.clone()
    }

    async fn kill_first(&self) {
        self.first.leave();
    }
}

#[tokio::test]
async fn the_ledger_in_memory_keeps_the_rules_of_a_shared_one() {
    let make = || async {
        let first = MemoryLedger::default();
        let second = first.beside();
        Two { first: Arc::new(first), second: Arc::new(second) }
    };
    shared_ledger_suite("memory", make).await.assert();
}
