//! The store in memory: the suite for all stores, and its bounds.

use serde_json::json;
use std::sync::Arc;
use tollway_core::{AccountId, Build, BuildContext, FaultKind};
use tollway_siwx::{Entitlement, Entry, Left, MemorySessions, Revocation, Scope, SessionStore, Shown};
use tollway_testkit::{block_on, session_suite};

#[test]
fn the_suite_for_all_stores() {
    let make = || async { Arc::new(MemorySessions::new()) as Arc<dyn SessionStore> };
    let report = block_on(session_suite("memory", make));
    assert!(report.checks > 150, "only {} checks ran", report.checks);
    report.assert();
}

fn alice() -> AccountId {
    "fake:one:alice".parse().unwrap()
}

fn bought(n: u64, ends: u64) -> Entitlement {
    Entitlement::new(&format!("e{n}"), alice(), Scope::route("https://shop.test", "/"), ends, Left::Calls(1))
}

#[test]
fn what_has_ended_is_forgotten() {
    let store = MemorySessions::new();
    block_on(async {
        for n in 0..10_000 {
            store.record(&bought(n, n + 10), n).await.unwrap();
            let nonce = format!("n{n}");
            store.enter(&Entry::new(n, &[alice()]).showing(Shown::new(&nonce, n + 10))).await.unwrap();
            store.revoke(&Revocation::new(&nonce, n, n + 10), n).await.unwrap();
        }
    });
    for held in store.held() {
        assert!(held <= 11, "{held}");
    }
}

#[test]
fn a_backlog_is_forgotten_in_small_steps() {
    let store = MemorySessions::new();
    block_on(async {
        for n in 0..1000 {
            store.record(&bought(n, 10), 0).await.unwrap();
        }
        store.enter(&Entry::new(20, &[alice()])).await.unwrap();
        assert!(store.held()[0] >= 990, "no operation pays for all of it");
        for _ in 0..200 {
            store.enter(&Entry::new(20, &[alice()])).await.unwrap();
        }
    });
    assert_eq!(store.held()[0], 0);
}

#[test]
fn a_full_store_refuses_what_is_new_and_keeps_what_was_paid() {
    let config = serde_json::from_value(json!({ "maxEntitlements": 2 })).unwrap();
    let store = block_on(MemorySessions::build(config, BuildContext::new())).unwrap();
    block_on(async {
        for n in 0..2 {
            store.record(&bought(n, 100), 0).await.unwrap();
        }
        let full = store.record(&bought(2, 100), 0).await.unwrap_err();
        assert_eq!(full.kind, FaultKind::Overloaded);
        store.record(&bought(1, 100), 0).await.unwrap();
        assert_eq!(store.entitlements(&alice(), 0).await.unwrap().len(), 2);
        store.record(&bought(2, 200), 100).await.unwrap();
    });
}
