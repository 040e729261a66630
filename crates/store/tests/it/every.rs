//! Promises that every store makes beside the rules of every ledger.

use crate::support::*;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Ledger, Scope, Taken};
use tollway_testkit::fixtures;

/// What survives: unknown members, numbers with a point, every byte.
pub(crate) async fn a_row_comes_back_as_it_was<L: Ledger>(open: impl AsyncFn() -> L) {
    let mut row = fixtures::row(Scope::Facilitator, "whole", "mine");
    row.raw.payload["unknown"] =
        serde_json::json!({ "deep": [1.1, 1e300, 0.1, 5e-324, u64::MAX, -1, "\u{0}\u{1F6AA}"] });
    row.raw.payload["large"] = serde_json::from_str("123456789012345678901234567890").unwrap();
    {
        let ledger = open().await;
        ledger.take(&row).await.unwrap();
        let found = ledger.find(Scope::Facilitator, &row.claim.key).await.unwrap().unwrap();
        assert_eq!(found.row.with_turn(0), row);
    }
    let ledger = open().await;
    let found = ledger.find(Scope::Facilitator, &row.claim.key).await.unwrap().unwrap();
    assert_eq!(found.row.with_turn(0), row);
    // Its holder leaves when it is dropped, at once or a little later.
    let mut tries = 0;
    while ledger.retake(&row).await.unwrap().is_none() {
        tries += 1;
        assert!(tries < 200, "what was written is another purchase than what was asked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Callers who leave at any moment leave nothing behind that nobody knows to be theirs.
pub(crate) async fn who_leaves_has_taken_nothing(ledger: Arc<dyn Ledger>) {
    for number in 0..60u64 {
        let row = fixtures::row(Scope::Facilitator, &format!("n{number}"), "mine");
        let leaving = tokio::time::timeout(Duration::from_micros(number * 50), ledger.take(&row)).await;
        if let Ok(taken) = leaving {
            assert!(matches!(taken.unwrap(), Taken::New(_)));
            continue;
        }
        // What is undone is undone before anything that is asked later, or soon after.
        let mut tries = 0;
        while ledger.take(&fixtures::row(Scope::Facilitator, &format!("n{number}"), "other")).await.unwrap()
            == Taken::Foreign
        {
            tries += 1;
            assert!(tries < 1000, "n{number} is somebody's who left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// `damage` writes nonsense into every row there is.
pub(crate) async fn a_damaged_row_harms_no_other(ledger: Arc<dyn Ledger>, damage: impl AsyncFnOnce()) {
    taken(&*ledger, "damaged").await;
    damage().await;
    // Together, so that they share a transaction.
    let takes = ["damaged", "well-1", "well-2"].map(|name| {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.take(&fixtures::row(Scope::Facilitator, name, "mine")).await })
    });
    let [damaged, one, two] = takes;
    let why = damaged.await.unwrap().unwrap_err().to_string();
    assert!(why.contains("a claim that cannot be read") && why.contains("backup"), "{why}");
    assert!(matches!(one.await.unwrap(), Ok(Taken::New(_))));
    assert!(matches!(two.await.unwrap(), Ok(Taken::New(_))));
}
