//! The suite for stores of sessions: the rules in the documentation of [`SessionStore`], checked from outside.

mod drawing;
mod entering;
mod holding;

use crate::report::{Notes, Report};
use std::sync::Arc;
use tollway_core::{AccountId, Amount, Fault};
use tollway_siwx::{Credit, Draw, Entered, Entitlement, Entry, Left, Scope, SessionStore};

/// The hour of the suite.
const NOW: u64 = crate::FakeClock::START;
/// When most of what it records ends.
const ENDS: u64 = NOW + 3600;

/// Runs the suite on a store of sessions. `make` gives a fresh, empty one each time.
///
/// ```
/// use std::sync::Arc;
/// use tollway_siwx::{MemorySessions, SessionStore};
///
/// tollway_testkit::block_on(async {
///     let make = || async { Arc::new(MemorySessions::new()) as Arc<dyn SessionStore> };
///     tollway_testkit::session_suite("memory", make).await.assert();
/// });
/// ```
pub async fn session_suite<F: Future<Output = Arc<dyn SessionStore>>>(name: &str, make: impl Fn() -> F) -> Report {
    let notes = Notes::new(name);
    entering::nonce_once(&make().await, &notes).await;
    entering::nonce_and_draw_together(&make().await, &notes).await;
    entering::nonce_remembered(&make().await, &notes).await;
    entering::tokens(&make().await, &notes).await;
    entering::accounts_tokens(&make().await, &notes).await;
    drawing::exactly_as_many(&make().await, &notes).await;
    drawing::given_back(&make().await, &notes).await;
    drawing::credit(&make().await, &notes).await;
    drawing::credit_in_parallel(&make().await, &notes).await;
    drawing::order(&make().await, &notes).await;
    drawing::scopes_and_accounts(&make().await, &notes).await;
    holding::ends(&make().await, &notes).await;
    holding::recorded_once(&make().await, &notes).await;
    holding::listed(&make().await, &notes).await;
    holding::shared(&make().await, &notes).await;
    holding::ended_by_hand(&make().await, &notes).await;
    notes.finish()
}

fn account(text: &str) -> AccountId {
    AccountId::new(crate::fixtures::network("fake:sessions"), text)
}

fn report() -> Scope {
    Scope::route("https://shop.test", "GET /report")
}

fn coins(amount: Amount) -> Credit {
    Credit::new(crate::fixtures::network("fake:sessions"), crate::COIN, amount)
}

/// An entitlement of alice's for the report.
fn bought(id: &str, left: Left) -> Entitlement {
    Entitlement::new(id, account("alice"), report(), ENDS, left)
}

/// An answer that a working store always gives.
fn given<T>(answer: Result<T, Fault>, notes: &Notes, what: &str) -> Option<T> {
    notes.take("store: answers", answer, || what.to_owned())
}

async fn record(store: &Arc<dyn SessionStore>, entitlement: &Entitlement, notes: &Notes) {
    given(store.record(entitlement, NOW).await, notes, "record");
}

async fn enter(store: &Arc<dyn SessionStore>, entry: Entry<'_>, notes: &Notes) -> Option<Entered> {
    given(store.enter(&entry).await, notes, "enter")
}

/// Draws from the report's entitlements for an account.
async fn draw(store: &Arc<dyn SessionStore>, who: &str, now: u64, notes: &Notes) -> Option<Entered> {
    let (accounts, scopes) = ([account(who)], [report()]);
    enter(store, Entry::new(now, &accounts).drawing(Draw::new(&scopes)), notes).await
}

/// Whether an entry drew from the entitlement of this name.
fn drew(entered: &Option<Entered>, id: &str) -> bool {
    matches!(entered, Some(Entered::In(Some(drawn))) if *drawn.id == *id)
}
