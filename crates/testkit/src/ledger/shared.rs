//! The shared-ledger suite: what several holders of one store owe each other.

use super::{given, is_new, key, pending, released, settled};
use crate::fixtures::{network, row, signed_tx};
use crate::report::{Notes, Report};
use std::sync::Arc;
use tollway_core::{ClaimRow, Hold, Ledger, Outcome, Scope, SignedTx, Taken, Ticket};

const SCOPE: Scope = Scope::Facilitator;

/// A fresh store that two holders have open.
#[tollway_core::async_trait]
pub trait SharedLedger: Send + Sync {
    /// The one that will die.
    fn first(&self) -> Arc<dyn Ledger>;

    /// The one that lives on.
    fn second(&self) -> Arc<dyn Ledger>;

    /// From now on the first counts as dead: it was not heard of for its lease. It may still call.
    async fn kill_first(&self);
}

/// Runs the suite on a store that several processes may share. `make` gives a fresh, empty one each time.
pub async fn shared_ledger_suite<S: SharedLedger, F: Future<Output = S>>(name: &str, make: impl Fn() -> F) -> Report {
    let notes = Notes::new(name);
    once_across(&make().await, &notes).await;
    abandoned(&make().await, &notes).await;
    signed(&make().await, &notes).await;
    server_rows(&make().await, &notes).await;
    signers(&make().await, &notes).await;
    handing_over(&make().await, &notes).await;
    handed_beside_a_server(&make().await, &notes).await;
    handed_and_ended(&make().await, &notes).await;
    handed_to_the_dead(&make().await, &notes).await;
    nobody_to_hand_to(&make().await, &notes).await;
    notes.finish()
}

async fn take(ledger: &Arc<dyn Ledger>, row: &ClaimRow, notes: &Notes) -> Option<Taken> {
    given(ledger.take(row).await, notes, "take")
}

async fn ours(ledger: &Arc<dyn Ledger>, row: &ClaimRow, notes: &Notes) -> Ticket {
    let taken = take(ledger, row, notes).await;
    notes.check("shared: take", is_new(&taken), || format!("a free row was taken as {taken:?}"));
    taken.and_then(Taken::ticket).unwrap_or_else(|| row.ticket())
}

fn tx(sequence: u64, epoch: u64, hash: &str) -> SignedTx {
    let mut tx = signed_tx("signer", Some(sequence), hash);
    tx.slot.epoch = epoch;
    tx
}

async fn hold(ledger: &Arc<dyn Ledger>, notes: &Notes) -> Option<Hold> {
    given(ledger.hold(&network("fake:fixture"), "signer").await, notes, "hold")
}

async fn epoch(ledger: &Arc<dyn Ledger>, notes: &Notes) -> u64 {
    match hold(ledger, notes).await {
        Some(Hold::Ours { epoch }) => epoch,
        other => {
            notes.check("shared: signer", false, || format!("a free signer was held as {other:?}"));
            0
        }
    }
}

/// Whoever takes, and through whichever holder: one wins.
async fn once_across(store: &impl SharedLedger, notes: &Notes) {
    let takers: Vec<_> = (0..400)
        .map(|taker| {
            let ledger = if taker % 2 == 0 { store.first() } else { store.second() };
            tokio::spawn(async move { ledger.take(&row(SCOPE, "crowd", &format!("caller-{taker}"))).await })
        })
        .collect();
    let mut new = 0usize;
    for taker in takers {
        match taker.await {
            Ok(Ok(Taken::New(_))) => new = new.saturating_add(1),
            Ok(Ok(Taken::Foreign)) => {}
            other => notes.check("shared: once", false, || format!("a taker got {other:?}")),
        }
    }
    notes.check("shared: once", new == 1, || format!("{new} of 400 takers through two holders won"));
}

/// What a dead holder took and did not sign is free, and the dead one signs nothing any more.
async fn abandoned(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    let ticket = ours(&first, &row(SCOPE, "left", "mine"), notes).await;
    let other = row(SCOPE, "left", "other");
    let alive = take(&second, &other, notes).await;
    notes.check("shared: alive", alive == Some(Taken::Foreign), || format!("a living holder's row gave {alive:?}"));
    store.kill_first().await;
    let newer = ours(&second, &other, notes).await;
    notes.check("shared: abandoned", newer != ticket, || "a row was taken under its old ticket".to_owned());
    let late = first.write_signed(&tx(1, 0, "tx-late"), std::slice::from_ref(&ticket)).await;
    notes.check("shared: fenced", late.is_err(), || "a dead holder signed for a row that is another's".to_owned());
    given(first.resolve(SCOPE, &[(ticket, released())]).await, notes, "resolve");
    let again = take(&second, &other, notes).await;
    notes.check("shared: fenced", again == Some(Taken::Again(None)), || {
        format!("a dead holder's word changed a row that is another's: {again:?}")
    });
}

/// What a dead holder signed is for the reconciler: nobody knows what became of it.
async fn signed(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    let mine = row(SCOPE, "sent", "mine");
    let ticket = ours(&first, &mine, notes).await;
    let tx = tx(1, epoch(&first, notes).await, "tx");
    given(first.write_signed(&tx, std::slice::from_ref(&ticket)).await, notes, "write_signed");
    store.kill_first().await;
    let unknown = pending("");
    let seen = [
        take(&second, &mine, notes).await == Some(Taken::Again(Some(unknown.clone()))),
        take(&second, &row(SCOPE, "sent", "other"), notes).await == Some(Taken::Foreign),
        given(second.find(SCOPE, &key("sent")).await, notes, "find").flatten().is_some_and(|found| {
            found.outcome.as_ref() == Some(&unknown) && found.slot.is_some_and(|slot| slot.attempts == [tx.clone()])
        }),
    ];
    notes.check("shared: signed and dead", seen == [true; 3], || format!("take, take by another, find: {seen:?}"));
    let open = given(second.open(10).await, notes, "open").unwrap_or_default();
    notes.check("shared: signed and dead", open.len() == 1, || format!("not open for the reconciler: {open:?}"));
    let retaken = given(second.retake(&mine).await, notes, "retake").flatten();
    let handed = retaken.as_ref().is_some_and(|found| found.outcome.as_ref() == Some(&unknown));
    notes.check("shared: signed and dead", handed, || format!("not handed out: {retaken:?}"));
    let twice = given(second.retake(&mine).await, notes, "retake").flatten();
    notes.check("shared: signed and dead", twice.is_none(), || format!("handed out twice: {twice:?}"));
    given(first.resolve(SCOPE, &[(ticket, released())]).await, notes, "resolve");
    let again = take(&second, &mine, notes).await;
    notes.check("shared: fenced", again == Some(Taken::Again(None)), || format!("changed by the dead: {again:?}"));
    if let Some(found) = retaken {
        given(second.resolve(SCOPE, &[(found.row.ticket(), settled("tx"))]).await, notes, "resolve");
        let told = take(&second, &mine, notes).await;
        notes.check("shared: signed and dead", told == Some(Taken::Again(Some(settled("tx")))), || {
            format!("the new holder's word does not count: {told:?}")
        });
    }
}

/// A server that died while it held a claim may have had it settled: the same purchase goes on from there.
async fn server_rows(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    let mine = row(Scope::Server, "bought", "mine");
    let ticket = ours(&first, &mine, notes).await;
    let alive = given(second.retake(&mine).await, notes, "retake").flatten();
    notes.check("shared: alive", alive.is_none(), || format!("a living server's row was handed out: {alive:?}"));
    store.kill_first().await;
    let other = take(&second, &row(Scope::Server, "bought", "other"), notes).await;
    notes.check("shared: server", other == Some(Taken::Foreign), || format!("a dead server's row gave {other:?}"));
    let found = given(second.retake(&row(Scope::Server, "bought", "other")).await, notes, "retake").flatten();
    let handed = found.as_ref().is_some_and(|found| {
        found.outcome == Some(pending("")) && found.row.caller.is(&mine.caller) && found.row.ticket() != ticket
    });
    notes.check("shared: server", handed, || format!("the same purchase was not handed out: {found:?}"));
    given(first.resolve(Scope::Server, &[(ticket, settled("tx"))]).await, notes, "resolve");
    let again = take(&second, &mine, notes).await;
    notes.check("shared: fenced", again == Some(Taken::Again(None)), || format!("changed by the dead: {again:?}"));
}

/// A signer has one holder, and a dead one's is free under a newer epoch.
async fn signers(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    let old = epoch(&first, notes).await;
    let seen = [hold(&second, notes).await, hold(&first, notes).await, hold(&second, notes).await];
    let expected = [Some(Hold::Theirs), Some(Hold::Ours { epoch: old }), Some(Hold::Theirs)];
    notes.check("shared: signer", seen == expected, || format!("a held signer was held as {seen:?}"));
    let ticket = ours(&first, &row(SCOPE, "slow", "mine"), notes).await;
    store.kill_first().await;
    let new = epoch(&second, notes).await;
    notes.check("shared: signer", new > old, || format!("epoch {old} was followed by {new}"));
    let late = first.write_signed(&tx(1, old, "tx-late"), &[ticket]).await;
    notes.check("shared: signer fenced", late.is_err(), || "the former holder of a signer wrote".to_owned());
    let mine = ours(&second, &row(SCOPE, "next", "mine"), notes).await;
    given(second.write_signed(&tx(1, new, "tx"), &[mine]).await, notes, "write_signed");
}

/// A payment goes to the process that signs it, and its outcome is there for the one that took it.
async fn handing_over(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    let epoch = epoch(&first, notes).await;
    let mine = row(SCOPE, "theirs", "mine");
    let ticket = ours(&second, &mine, notes).await;
    let network = network("fake:fixture");
    let handed = given(second.hand_over(&ticket, &network, "signer").await, notes, "hand_over");
    notes.check("shared: handed", handed == Some(true), || "a living holder could not be handed a row".to_owned());
    let twice = given(second.hand_over(&ticket, &network, "signer").await, notes, "hand_over");
    notes.check("shared: handed", twice == Some(false), || "a row was handed over twice".to_owned());
    let late = second.write_signed(&tx(1, epoch, "tx-late"), std::slice::from_ref(&ticket)).await;
    notes.check("shared: handed", late.is_err(), || "whoever handed a row over still signed for it".to_owned());
    let nothing = given(second.handed(10).await, notes, "handed");
    notes.check("shared: handed", nothing == Some(Vec::new()), || format!("came back at once: {nothing:?}"));
    let rows = given(first.handed(10).await, notes, "handed").unwrap_or_default();
    let faithful = rows.len() == 1 && rows[0].clone().with_turn(0) == mine && rows[0].ticket() != ticket;
    notes.check("shared: handed", faithful, || format!("arrived as {rows:?}"));
    let again = given(first.handed(10).await, notes, "handed");
    notes.check("shared: handed", again == Some(Vec::new()), || format!("given out twice: {again:?}"));
    let Some(ticket) = rows.first().map(ClaimRow::ticket) else { return };
    given(first.write_signed(&tx(1, epoch, "tx"), std::slice::from_ref(&ticket)).await, notes, "write_signed");
    given(first.resolve(SCOPE, &[(ticket, settled("tx"))]).await, notes, "resolve");
    let found = given(second.find(SCOPE, &key("theirs")).await, notes, "find").flatten();
    let told = found.as_ref().and_then(|found| found.outcome.as_ref()) == Some(&settled("tx"));
    notes.check("shared: handed", told, || format!("the outcome is not there: {found:?}"));
}

/// A server's row under the same key is another row: whatever becomes of it, what was handed over arrives.
async fn handed_beside_a_server(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    epoch(&first, notes).await;
    let server = ours(&first, &row(Scope::Server, "both", "server"), notes).await;
    let ticket = ours(&second, &row(SCOPE, "both", "mine"), notes).await;
    given(second.hand_over(&ticket, &network("fake:fixture"), "signer").await, notes, "hand_over");
    given(first.resolve(Scope::Server, &[(server, released())]).await, notes, "resolve");
    let rows = given(first.handed(10).await, notes, "handed").unwrap_or_default();
    notes.check("shared: handed", rows.len() == 1, || format!("lost with a server's row under its key: {rows:?}"));
}

/// What ended before its new holder came for it needs no settling.
async fn handed_and_ended(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    epoch(&first, notes).await;
    let ticket = ours(&second, &row(SCOPE, "ended", "mine"), notes).await;
    given(second.hand_over(&ticket, &network("fake:fixture"), "signer").await, notes, "hand_over");
    let found = given(second.find(SCOPE, &key("ended")).await, notes, "find").flatten();
    let Some(newest) = found.map(|found| found.row.ticket()) else { return };
    given(second.resolve(SCOPE, &[(newest, settled("tx"))]).await, notes, "resolve");
    let rows = given(first.handed(10).await, notes, "handed");
    notes.check("shared: handed", rows == Some(Vec::new()), || format!("given out after it was settled: {rows:?}"));
}

/// A row handed to a process that died before it signed is free.
async fn handed_to_the_dead(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    epoch(&first, notes).await;
    let mine = row(SCOPE, "lost", "mine");
    let ticket = ours(&second, &mine, notes).await;
    let network = network("fake:fixture");
    given(second.hand_over(&ticket, &network, "signer").await, notes, "hand_over");
    store.kill_first().await;
    let found = given(second.find(SCOPE, &key("lost")).await, notes, "find").flatten();
    let lost =
        found.is_some_and(|found| matches!(found.outcome, Some(Outcome::Pending { .. })) && found.slot.is_none());
    notes.check("shared: handed and dead", lost, || "a row handed to a dead holder does not read as lost".to_owned());
    let back = given(second.retake(&mine).await, notes, "retake").flatten();
    notes.check("shared: handed and dead", back.is_some(), || {
        "a row handed to a dead holder does not come back".to_owned()
    });
    let Some(back) = back else { return };
    let again = epoch(&second, notes).await;
    let signed = second.write_signed(&tx(1, again, "tx"), &[back.row.ticket()]).await;
    given(signed, notes, "write_signed after it came back");
}

/// Nothing is handed to nobody, to oneself, or after it was signed.
async fn nobody_to_hand_to(store: &impl SharedLedger, notes: &Notes) {
    let (first, second) = (store.first(), store.second());
    let network = network("fake:fixture");
    let ticket = ours(&second, &row(SCOPE, "stays", "mine"), notes).await;
    let refuse = async |when: &str| {
        let handed = given(second.hand_over(&ticket, &network, "signer").await, notes, "hand_over");
        notes.check("shared: nobody", handed == Some(false), || format!("handed over {when}: {handed:?}"));
    };
    refuse("to nobody").await;
    epoch(&first, notes).await;
    store.kill_first().await;
    refuse("to a dead holder").await;
    let epoch = epoch(&second, notes).await;
    refuse("to itself").await;
    given(second.write_signed(&tx(1, epoch, "tx"), std::slice::from_ref(&ticket)).await, notes, "write_signed");
    refuse("after it was signed").await;
    let mine = given(second.take(&row(SCOPE, "stays", "mine")).await, notes, "take");
    notes.check("shared: nobody", mine == Some(Taken::Again(None)), || format!("a refusal changed the row: {mine:?}"));
}
