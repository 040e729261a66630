//! The ledger suite: the rules in the documentation of [`Ledger`], checked from outside.

mod open;
mod resolving;
mod shared;
mod taking;
mod tickets;

pub use shared::{SharedLedger, shared_ledger_suite};

use crate::report::{Notes, Report};
use std::sync::Arc;
use tollway_core::{ClaimKey, Fault, Ledger, Outcome, Rejected, Scope, Settled, SignedTx, Taken, Ticket};

/// Runs the suite on a store. `make` gives a fresh, empty one each time.
///
/// ```
/// # struct MyStore;
/// # fn doc(open_store: impl Fn() -> std::future::Ready<std::sync::Arc<dyn tollway_core::Ledger>>) {
/// // In a test:
/// tollway_testkit::block_on(async {
///     tollway_testkit::ledger_suite("my-store", || open_store()).await.assert();
/// });
/// # }
/// ```
pub async fn ledger_suite<F: Future<Output = Arc<dyn Ledger>>>(name: &str, make: impl Fn() -> F) -> Report {
    let notes = Notes::new(name);
    taking::once(&make().await, &notes).await;
    taking::callers(&make().await, &notes).await;
    taking::scopes(&make().await, &notes).await;
    taking::kept_while_open(&make().await, &notes).await;
    resolving::released_is_gone(&make().await, &notes).await;
    resolving::settled_is_final(&make().await, &notes).await;
    resolving::batches(&make().await, &notes).await;
    for (scope, outcome) in [(Scope::Facilitator, pending("tx")), (Scope::Server, undelivered("tx"))] {
        resolving::handed_out_once(&make().await, scope, &outcome, &notes).await;
        resolving::one_of_many(&make().await, scope, &outcome, &notes).await;
        resolving::only_the_same_purchase(&make().await, scope, &outcome, &notes).await;
    }
    resolving::found(&make().await, &notes).await;
    resolving::nothing_to_hand_out(&make().await, &notes).await;
    open::signed_and_unresolved(&make().await, &notes).await;
    open::batches(&make().await, &notes).await;
    open::slots(&make().await, &notes).await;
    open::takeover(&make().await, &notes).await;
    open::carried(&make().await, &notes).await;
    open::limits(&make().await, &notes).await;
    open::one_scope_only(&make().await, &notes).await;
    open::fencing(&make().await, &notes).await;
    open::included(&make().await, &notes).await;
    open::without_claims(&make().await, &notes).await;
    tickets::old_ones_change_nothing(&make().await, &notes).await;
    tickets::one_purchase_for_a_token(&make().await, &notes).await;
    notes.finish()
}

fn settled(transaction: &str) -> Outcome {
    Outcome::Settled(Settled::new(transaction, "alice"))
}

fn undelivered(transaction: &str) -> Outcome {
    Outcome::Undelivered(Settled::new(transaction, "alice"))
}

fn pending(transaction: &str) -> Outcome {
    Outcome::Pending { transaction: transaction.to_owned() }
}

fn released() -> Outcome {
    Outcome::Released(Rejected::new(tollway_core::ErrorCode::new("suite_released")))
}

fn is_new(taken: &Option<Taken>) -> bool {
    matches!(taken, Some(Taken::New(_)))
}

fn key(name: &str) -> ClaimKey {
    crate::fixtures::claim(name).key
}

/// An answer that a working store always gives.
fn given<T>(answer: Result<T, Fault>, notes: &Notes, what: &str) -> Option<T> {
    notes.take("store: answers", answer, || what.to_owned())
}

/// The newest ticket of a row; one that was never given out if there is no row.
async fn ticket(ledger: &Arc<dyn Ledger>, scope: Scope, key: &ClaimKey, notes: &Notes) -> Ticket {
    let found = given(ledger.find(scope, key).await, notes, "find").flatten();
    found.map_or(Ticket { key: key.clone(), turn: u64::MAX }, |found| found.row.ticket())
}

/// Resolves rows under their newest tickets.
async fn resolve(ledger: &Arc<dyn Ledger>, scope: Scope, outcomes: &[(ClaimKey, Outcome)], notes: &Notes) {
    let mut tickets = Vec::new();
    for (key, outcome) in outcomes {
        tickets.push((ticket(ledger, scope, key, notes).await, outcome.clone()));
    }
    given(ledger.resolve(scope, &tickets).await, notes, "resolve");
}

/// Writes a transaction under the newest tickets of the claims it carries.
async fn write_signed(ledger: &Arc<dyn Ledger>, tx: &SignedTx, names: &[&str], notes: &Notes) -> Result<(), Fault> {
    let mut tickets = Vec::new();
    for name in names {
        tickets.push(ticket(ledger, Scope::Facilitator, &key(name), notes).await);
    }
    ledger.write_signed(tx, &tickets).await
}
