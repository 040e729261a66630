//! The suite for stores of budgets: the rules in the documentation of [`BudgetStore`], checked from outside.

use crate::fixtures;
use crate::report::{Notes, Report};
use std::sync::Arc;
use tollway_core::{
    Amount, BudgetStore, Fate, Fault, Reserved, SignedSpend, Spend, SpendKey, SpendRow, SpendState, Tally,
};

/// How many race for one cap.
const CROWD: usize = 200;
/// The hour of the suite.
const NOW: u64 = crate::FakeClock::START;

type Store = Arc<dyn BudgetStore>;

/// Runs the suite on a store of budgets. `make` gives a fresh, empty one each time.
///
/// ```
/// use std::sync::Arc;
/// use tollway_core::BudgetStore;
/// # fn doc(open_store: impl Fn() -> std::future::Ready<Arc<dyn BudgetStore>>) {
/// tollway_testkit::block_on(async {
///     tollway_testkit::budget_suite("my-store", || open_store()).await.assert();
/// });
/// # }
/// ```
pub async fn budget_suite<F: Future<Output = Store>>(name: &str, make: impl Fn() -> F) -> Report {
    let notes = Notes::new(name);
    caps_hold(&make().await, &notes).await;
    all_counters_or_none(&make().await, &notes).await;
    fates(&make().await, &notes).await;
    signing(&make().await, &notes).await;
    looking_up(&make().await, &notes).await;
    pages(&make().await, &notes).await;
    ended_counters(&make().await, &notes).await;
    large_amounts(&make().await, &notes).await;
    notes.finish()
}

fn spend(id: &str, amount: u64, caps: &[(&str, Option<u64>)]) -> Spend {
    let tallies = caps.iter().map(|(key, cap)| Tally::new(*key, Amount::from(amount)).cap(cap.map(Amount::from)));
    Spend::new(id, NOW, "https://shop.test", fixtures::offer("fake:budgets"))
        .buying(Some(format!("bought-{id}")), "https://shop.test/report")
        .counted(tallies.collect())
}

fn signed(id: &str) -> SignedSpend {
    let offer = fixtures::offer("fake:budgets");
    let payment = fixtures::fake_payment(&offer, &crate::FakePayload::new("alice", id, &offer));
    SignedSpend::new(payment, format!("digest-{id}"), NOW.saturating_add(60))
}

fn spent() -> Fate {
    Fate::Spent { transaction: "0xabc".to_owned() }
}

fn given<T>(answer: Result<T, Fault>, notes: &Notes, what: &str) -> Option<T> {
    notes.take("store: answers", answer, || what.to_owned())
}

async fn reserve(store: &Store, spend: &Spend, notes: &Notes) -> Option<Reserved> {
    given(store.reserve(spend).await, notes, "reserve")
}

async fn resolve(store: &Store, id: &str, fate: &Fate, notes: &Notes) {
    given(store.resolve(id, fate, NOW).await, notes, "resolve");
}

async fn sign(store: &Store, id: &str, notes: &Notes) {
    given(store.sign(id, &signed(id), NOW).await, notes, "sign");
}

async fn counted(store: &Store, key: &str, expected: u64, notes: &Notes, when: &str) {
    let counted = given(store.counted(key).await, notes, "counted");
    notes.check("counters: right", counted == Some(Amount::from(expected)), || {
        format!("{when}, the counter `{key}` must stand at {expected}, but is {counted:?}")
    });
}

async fn row(store: &Store, id: &str, notes: &Notes) -> Option<SpendRow> {
    let rows = given(store.export(0, 1000).await, notes, "export").unwrap_or_default();
    rows.into_iter().find(|row| row.spend.id == id)
}

/// Of any number at once, no more are let in than the cap allows.
async fn caps_hold(store: &Store, notes: &Notes) {
    let tasks: Vec<_> = (0..CROWD)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move { store.reserve(&spend(&format!("crowd-{task}"), 3, &[("day", Some(100))])).await })
        })
        .collect();
    let mut reserved = 0usize;
    for task in tasks {
        match task.await {
            Ok(Ok(Reserved::Yes)) => reserved = reserved.saturating_add(1),
            Ok(Ok(Reserved::Over { key, .. })) if key == "day" => {}
            other => notes.check("caps: hold", false, || format!("a reservation got {other:?}")),
        }
    }
    notes
        .check("caps: hold", reserved == 33, || format!("33 payments of 3 fit a cap of 100; {reserved} were reserved"));
    counted(store, "day", 99, notes, "after the crowd").await;
    let over = reserve(store, &spend("one-more", 2, &[("day", Some(100))]), notes).await;
    let left = Reserved::Over { key: "day".to_owned(), left: Amount::from(1) };
    notes.check("caps: what is left", over == Some(left), || format!("1 of 100 is left, but the answer is {over:?}"));
    notes.check("caps: hold", row(store, "one-more", notes).await.is_none(), || {
        "a refused reservation left a row".to_owned()
    });
}

/// A payment that one counter refuses counts on none.
async fn all_counters_or_none(store: &Store, notes: &Notes) {
    reserve(store, &spend("both", 5, &[("a", Some(10)), ("b", Some(10)), ("c", None)]), notes).await;
    let over = reserve(store, &spend("neither", 5, &[("a", Some(10)), ("b", Some(9)), ("c", None)]), notes).await;
    notes.check("caps: each of them", matches!(over, Some(Reserved::Over { ref key, .. }) if key == "b"), || {
        format!("the cap on `b` is exceeded, but the answer is {over:?}")
    });
    for key in ["a", "b", "c"] {
        counted(store, key, 5, notes, "after a refusal").await;
    }
    counted(store, "never-heard-of", 0, notes, "before anything was counted").await;
    let again = store.reserve(&spend("both", 1, &[])).await;
    notes.check("rows: one of an id", again.is_err(), || format!("an id was reserved twice: {again:?}"));
}

/// What counts, state by state.
async fn fates(store: &Store, notes: &Notes) {
    let count = &[("total", Some(1000))];
    for (id, fates, state, total) in [
        ("unsigned", vec![Fate::Released], None, 0),
        ("paid", vec![spent(), Fate::Released, Fate::Refused], Some(SpendState::Spent), 10),
        ("dead", vec![Fate::Released, Fate::Released], Some(SpendState::Released), 10),
        ("refused", vec![Fate::Refused], Some(SpendState::Refused), 20),
        ("refused-dead", vec![Fate::Refused, Fate::Released], Some(SpendState::Released), 20),
        ("refused-paid", vec![Fate::Refused, spent()], Some(SpendState::Spent), 30),
        // The chain took it although it was thought dead: the money is gone, whatever the cap.
        ("dead-paid", vec![Fate::Released, spent(), spent()], Some(SpendState::Spent), 40),
    ] {
        reserve(store, &spend(id, 10, count), notes).await;
        if state.is_some() {
            sign(store, id, notes).await;
        }
        for fate in &fates {
            resolve(store, id, fate, notes).await;
        }
        let found = row(store, id, notes).await.map(|row| row.state);
        notes.check("fates: state", found == state, || format!("`{id}` must be {state:?}, but is {found:?}"));
        counted(store, "total", total, notes, &format!("after `{id}`")).await;
    }
    let paid = row(store, "paid", notes).await.map(|row| (row.transaction, row.changed));
    notes.check("fates: transaction", paid == Some(("0xabc".to_owned(), NOW)), || format!("got {paid:?}"));
    resolve(store, "nobody", &spent(), notes).await;
    counted(store, "total", 40, notes, "after a fate of no row").await;
}

/// Only a standing reservation can be signed for.
async fn signing(store: &Store, notes: &Notes) {
    reserve(store, &spend("one", 1, &[]), notes).await;
    sign(store, "one", notes).await;
    let found = row(store, "one", notes).await;
    notes.check("sign: kept whole", found.and_then(|row| row.signed) == Some(signed("one")), || {
        "what was signed was not written down as it is".to_owned()
    });
    let again = store.sign("one", &signed("other"), NOW).await;
    notes.check("sign: once", again.is_err(), || "a payment was signed over".to_owned());
    reserve(store, &spend("gone", 1, &[]), notes).await;
    resolve(store, "gone", &Fate::Released, notes).await;
    let late = store.sign("gone", &signed("gone"), NOW).await;
    notes.check("sign: fenced", late.is_err(), || "a reservation that was given up was signed for".to_owned());
}

async fn looking_up(store: &Store, notes: &Notes) {
    for (id, purchase) in [("p1", "same"), ("p2", "same"), ("p3", "other"), ("p4", "same")] {
        let spend = spend(id, 1, &[]).buying(Some(purchase.to_owned()), "https://shop.test/report");
        reserve(store, &spend, notes).await;
    }
    for id in ["p2", "p1", "p3"] {
        sign(store, id, notes).await;
    }
    let ids = async |by: SpendKey<'_>| -> Vec<String> {
        let rows = given(store.find(by).await, notes, "find").unwrap_or_default();
        rows.into_iter().map(|row| row.spend.id).collect()
    };
    let same = ids(SpendKey::Purchase("same")).await;
    notes.check("find: purchase", same == ["p1", "p2"], || {
        format!("p1 and p2 are signed and of that purchase, in this order; found {same:?}")
    });
    resolve(store, "p1", &Fate::Refused, notes).await;
    resolve(store, "p2", &spent(), notes).await;
    let same = ids(SpendKey::Purchase("same")).await;
    notes.check("find: purchase", same.is_empty(), || format!("refused and spent ones are not lost: {same:?}"));
    for id in ["p1", "p2"] {
        let found = ids(SpendKey::Payment(&format!("digest-{id}"))).await;
        notes.check("find: payment", found == [id], || format!("{id} is found by its digest: {found:?}"));
    }
    let none = ids(SpendKey::Payment("digest-nobody")).await;
    notes.check("find: payment", none.is_empty(), || format!("found {none:?}"));
}

async fn pages(store: &Store, notes: &Notes) {
    for id in 0..5 {
        reserve(store, &spend(&format!("row-{id}"), 1, &[]), notes).await;
        sign(store, &format!("row-{id}"), notes).await;
    }
    resolve(store, "row-1", &spent(), notes).await;
    resolve(store, "row-2", &Fate::Refused, notes).await;
    resolve(store, "row-3", &Fate::Released, notes).await;
    for (open, expected) in
        [(false, ["row-0", "row-1", "row-2", "row-3", "row-4"].as_slice()), (true, &["row-0", "row-2", "row-4"])]
    {
        let (mut after, mut seen) = (0, Vec::new());
        for _ in 0..10 {
            let page = if open { store.open(after, 2).await } else { store.export(after, 2).await };
            let page = given(page, notes, "a page").unwrap_or_default();
            let Some(last) = page.last() else { break };
            notes.check("pages: limit", page.len() <= 2, || format!("{} rows of 2", page.len()));
            after = last.number;
            seen.extend(page.into_iter().map(|row| row.spend.id));
        }
        notes.check("pages: complete and in order", seen == expected, || format!("{seen:?} instead of {expected:?}"));
    }
}

/// A counter that has not ended is not forgotten, whatever time it is elsewhere.
async fn ended_counters(store: &Store, notes: &Notes) {
    let ending = |id: &str, at: u64, key: &str, until: u64| {
        let mut spend = spend(id, 1, &[]);
        spend.at = at;
        spend.tallies = vec![Tally::new(key, Amount::from(1)).until(Some(until))];
        spend
    };
    let hour = NOW.saturating_add(3600);
    reserve(store, &ending("first", NOW, "hour", hour), notes).await;
    reserve(store, &ending("second", hour, "next", hour.saturating_add(3600)), notes).await;
    counted(store, "hour", 1, notes, "at the moment it ended").await;
    resolve(store, "first", &Fate::Released, notes).await;
    counted(store, "hour", 0, notes, "when an hour's payment was given back after the hour").await;
    let later = hour.saturating_add(30 * 24 * 3600);
    reserve(store, &ending("third", later, "later", later.saturating_add(3600)), notes).await;
    counted(store, "later", 1, notes, "a month later").await;
    resolve(store, "second", &Fate::Released, notes).await;
    counted(store, "next", 0, notes, "a month after it ended").await;
}

/// Amounts are of 256 bits, and never wrap around.
async fn large_amounts(store: &Store, notes: &Notes) {
    let large = |id: &str, amount: Amount| {
        let mut spend = spend(id, 0, &[]);
        spend.tallies = vec![Tally::new("large", amount)];
        spend
    };
    let most = Amount::MAX.checked_sub(Amount::from(1)).unwrap_or_default();
    let first = reserve(store, &large("first", most), notes).await;
    let second = reserve(store, &large("second", Amount::from(2)), notes).await;
    let over = Some(Reserved::Over { key: "large".to_owned(), left: Amount::from(1) });
    notes.check("amounts: 256 bits", first == Some(Reserved::Yes) && second == over, || {
        format!("2^256 - 2 fits and 2 more do not, but the answers are {first:?} and {second:?}")
    });
    let stands = given(store.counted("large").await, notes, "counted");
    notes.check("amounts: 256 bits", stands == Some(most), || format!("it stands at {stands:?}"));
}
