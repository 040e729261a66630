//! What the tests of both stores share.

use std::sync::Arc;
use tollway_core::AccountId;
use tollway_siwx::{Draw, Entered, Entitlement, Entry, Left, Scope, SessionStore};

pub(crate) const NOW: u64 = 1_750_000_000;
pub(crate) const ENDS: u64 = NOW + 3600;

pub(crate) fn account(name: &str) -> AccountId {
    format!("fake:one:{name}").parse().unwrap()
}

pub(crate) fn report() -> Scope {
    Scope::route("https://shop.test", "GET /report")
}

pub(crate) fn bought(id: &str, ends: u64, left: Left) -> Entitlement {
    Entitlement::new(id, account("alice"), report(), ends, left)
}

pub(crate) async fn draw(store: &dyn SessionStore, who: &str) -> Entered {
    let (accounts, scopes) = ([account(who)], [report()]);
    store.enter(&Entry::new(NOW, &accounts).drawing(Draw::new(&scopes))).await.unwrap()
}

pub(crate) async fn calls_left(store: &dyn SessionStore) -> u64 {
    match store.entitlements(&account("alice"), NOW).await.unwrap().first().map(|one| one.left.clone()) {
        Some(Left::Calls(left)) => left,
        _ => 0,
    }
}

/// Callers that leave at any point of a call, most of them while it is written.
pub(crate) async fn a_caller_that_leaves_takes_nothing_along(store: Arc<dyn SessionStore>) {
    store.record(&bought("calls", ENDS, Left::Calls(10_000)), NOW).await.unwrap();
    let calls: Vec<_> = (0..400u64)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let patience = std::time::Duration::from_micros(50 * n);
                tokio::time::timeout(patience, draw(&*store, "alice")).await.is_ok()
            })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        served += u64::from(call.await.unwrap());
    }
    for _ in 0..500 {
        if calls_left(&*store).await == 10_000 - served {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{served} calls were served and {} are left of 10000", calls_left(&*store).await);
}
