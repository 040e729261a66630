//! `write_signed` and `open`: what a reconciler needs after a crash, and who may write.

use super::{given, key, pending, released, resolve, settled, write_signed};
use crate::fixtures::{row, signed_tx};
use crate::report::Notes;
use std::collections::BTreeSet;
use std::sync::Arc;
use tollway_core::{ClaimRow, Ledger, OpenSlot, Outcome, Scope, SignedTx, Taken};

const SCOPE: Scope = Scope::Facilitator;

async fn take(ledger: &Arc<dyn Ledger>, name: &str, notes: &Notes) {
    given(ledger.take(&row(SCOPE, name, "mine")).await, notes, "take");
}

async fn sign(ledger: &Arc<dyn Ledger>, tx: &SignedTx, names: &[&str], notes: &Notes) {
    given(write_signed(ledger, tx, names, notes).await, notes, "write_signed");
}

async fn open(ledger: &Arc<dyn Ledger>, notes: &Notes) -> Vec<OpenSlot<SignedTx>> {
    given(ledger.open(100).await, notes, "open").unwrap_or_default()
}

/// Hashes of the attempts of each slot, and the keys that wait for it.
fn shape(slots: &[OpenSlot<SignedTx>]) -> BTreeSet<(Vec<String>, BTreeSet<String>)> {
    let shape = |slot: &OpenSlot<SignedTx>| {
        let attempts = slot.attempts.iter().map(|tx| tx.hash.clone()).collect();
        (attempts, slot.claims.iter().map(|row| row.claim.key.to_string()).collect())
    };
    slots.iter().map(shape).collect()
}

fn expected(slots: &[(&[&str], &[&str])]) -> BTreeSet<(Vec<String>, BTreeSet<String>)> {
    let one = |(hashes, names): &(&[&str], &[&str])| {
        let hashes = hashes.iter().map(|hash| (*hash).to_owned()).collect();
        (hashes, names.iter().map(|name| key(name).to_string()).collect())
    };
    slots.iter().map(one).collect()
}

async fn expect(ledger: &Arc<dyn Ledger>, notes: &Notes, rule: &'static str, when: &str, slots: &[(&[&str], &[&str])]) {
    let found = open(ledger, notes).await;
    let as_expected = shape(&found) == expected(slots) && found.len() == slots.len();
    notes.check(rule, as_expected, || {
        format!("{when}: open slots (attempts, claims) must be {:?}, but are {:?}", expected(slots), shape(&found))
    });
}

/// Signed and unresolved is open; nothing else is. What comes back is what was written.
pub(super) async fn signed_and_unresolved(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    take(ledger, "a", notes).await;
    expect(ledger, notes, "open: unsigned", "taken and unsigned", &[]).await;
    let mut tx = signed_tx("signer", Some(7), "tx-a");
    tx.bytes = (0..=255).collect();
    tx.dead_after = Some(1_900_000_000);
    sign(ledger, &tx, &["a"], notes).await;
    expect(ledger, notes, "open: signed", "signed", &[(&["tx-a"], &["a"])]).await;
    let found = open(ledger, notes).await;
    let same =
        found.first().is_some_and(|slot| slot.attempts == [tx] && same_rows(&slot.claims, &[row(SCOPE, "a", "mine")]));
    notes.check("open: faithful", same, || format!("the transaction and its row came back changed: {found:?}"));

    resolve(ledger, SCOPE, &[(key("a"), pending("tx-a"))], notes).await;
    expect(ledger, notes, "open: pending", "pending is unresolved business", &[(&["tx-a"], &["a"])]).await;
    given(ledger.retake(&row(SCOPE, "a", "other")).await, notes, "retake");
    expect(ledger, notes, "open: pending", "handed out", &[(&["tx-a"], &["a"])]).await;
    resolve(ledger, SCOPE, &[(key("a"), settled("tx-a"))], notes).await;
    expect(ledger, notes, "open: resolved", "settled", &[]).await;

    take(ledger, "b", notes).await;
    sign(ledger, &signed_tx("signer", Some(8), "tx-b"), &["b"], notes).await;
    resolve(ledger, SCOPE, &[(key("b"), released())], notes).await;
    expect(ledger, notes, "open: resolved", "released", &[]).await;
    take(ledger, "b", notes).await;
    expect(ledger, notes, "open: old attempts", "released and taken anew", &[]).await;
}

/// One transaction for many claims stays open for those that still wait.
pub(super) async fn batches(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    for name in ["a", "b", "c"] {
        take(ledger, name, notes).await;
    }
    sign(ledger, &signed_tx("signer", Some(1), "tx"), &["a", "b", "c"], notes).await;
    expect(ledger, notes, "open: batch", "one transaction for three", &[(&["tx"], &["a", "b", "c"])]).await;
    resolve(ledger, SCOPE, &[(key("b"), settled("tx"))], notes).await;
    expect(ledger, notes, "open: batch", "one of three settled", &[(&["tx"], &["a", "c"])]).await;
    resolve(ledger, SCOPE, &[(key("a"), settled("tx")), (key("c"), released())], notes).await;
    expect(ledger, notes, "open: batch", "all three resolved", &[]).await;
}

/// Attempts at one place in a signer's order are one slot, oldest first; without an order each is its own.
pub(super) async fn slots(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    for name in ["bumped", "next", "x", "y", "other"] {
        take(ledger, name, notes).await;
    }
    sign(ledger, &signed_tx("signer", Some(1), "tx-1"), &["bumped"], notes).await;
    sign(ledger, &signed_tx("signer", Some(2), "tx-2"), &["next"], notes).await;
    sign(ledger, &signed_tx("signer", Some(1), "tx-1-bumped"), &["bumped"], notes).await;
    sign(ledger, &signed_tx("signer", None, "tx-x"), &["x"], notes).await;
    sign(ledger, &signed_tx("signer", None, "tx-y"), &["y"], notes).await;
    sign(ledger, &signed_tx("other-signer", Some(1), "tx-other"), &["other"], notes).await;
    let all: [(&[&str], &[&str]); 5] = [
        (&["tx-1", "tx-1-bumped"], &["bumped"]),
        (&["tx-2"], &["next"]),
        (&["tx-x"], &["x"]),
        (&["tx-y"], &["y"]),
        (&["tx-other"], &["other"]),
    ];
    expect(ledger, notes, "open: slots", "a fee bump, a successor, two without order, another signer", &all).await;
    resolve(ledger, SCOPE, &[(key("bumped"), settled("tx-1-bumped"))], notes).await;
    expect(ledger, notes, "open: slots", "the bumped one settled", &all[1..]).await;
}

/// A new holder that bumps what the old one sent competes for the same place: on chain one of the two wins, and whoever
/// looks at the old one alone would take it for lost.
pub(super) async fn takeover(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    take(ledger, "inherited", notes).await;
    sign(ledger, &signed_tx("signer", Some(1), "tx"), &["inherited"], notes).await;
    let mut bump = signed_tx("signer", Some(1), "tx-bumped");
    bump.slot.epoch = 1;
    sign(ledger, &bump, &["inherited"], notes).await;
    let slots: [(&[&str], &[&str]); 1] = [(&["tx", "tx-bumped"], &["inherited"])];
    expect(ledger, notes, "open: takeover", "bumped by a newer holder", &slots).await;
}

/// A process that starts after a crash may sign for a place that its predecessor signed for and never sent: the slot then
/// has attempts with claims of their own, and one says nothing of the other's.
pub(super) async fn carried(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    for name in ["before", "after"] {
        take(ledger, name, notes).await;
    }
    sign(ledger, &signed_tx("signer", Some(1), "tx-before"), &["before"], notes).await;
    sign(ledger, &signed_tx("signer", Some(1), "tx-after"), &["after"], notes).await;
    let found = open(ledger, notes).await;
    let carrying = |name| found.first().map(|slot| hashes(slot, name)).unwrap_or_default();
    let apart = carrying("before") == ["tx-before"] && carrying("after") == ["tx-after"];
    notes.check("open: carried", apart, || format!("which attempt carries which claim must be known: {found:?}"));
}

fn hashes(slot: &OpenSlot<SignedTx>, name: &str) -> Vec<String> {
    slot.carrying(&key(name)).map(|tx| tx.hash.clone()).collect()
}

/// At most `limit` slots, each whole.
pub(super) async fn limits(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    for sequence in 0..10 {
        let name = format!("n{sequence}");
        take(ledger, &name, notes).await;
        sign(ledger, &signed_tx("signer", Some(sequence), &format!("tx-{sequence}")), &[&name], notes).await;
    }
    for sequence in 0..10 {
        let bump = signed_tx("signer", Some(sequence), &format!("bump-{sequence}"));
        sign(ledger, &bump, &[&format!("n{sequence}")], notes).await;
    }
    for limit in [0usize, 1, 3, 10, 1000] {
        let slots = given(ledger.open(limit).await, notes, "open").unwrap_or_default();
        let (count, whole) = (slots.len(), slots.iter().all(|slot| slot.attempts.len() == 2 && slot.claims.len() == 1));
        notes.check("open: limit", count == limit.min(10) && whole, || {
            format!("of 10 slots with 2 attempts each, open({limit}) gave {count}: {:?}", shape(&slots))
        });
    }
}

/// Transactions are the facilitator's: a server's row under the same key neither waits for them nor ends them.
pub(super) async fn one_scope_only(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    given(ledger.take(&row(Scope::Server, "both", "server")).await, notes, "take");
    take(ledger, "both", notes).await;
    sign(ledger, &signed_tx("signer", Some(1), "tx"), &["both"], notes).await;
    let found = open(ledger, notes).await;
    let rows: Vec<_> = found.iter().flat_map(|slot| &slot.claims).map(|row| row.scope).collect();
    notes.check("open: scope", rows == [SCOPE], || format!("one facilitator's row must wait, but {rows:?} do"));
    resolve(ledger, Scope::Server, &[(key("both"), settled("tx"))], notes).await;
    expect(ledger, notes, "open: scope", "the server's row settled", &[(&["tx"], &["both"])]).await;
    given(ledger.take(&row(Scope::Server, "later", "server")).await, notes, "take");
    resolve(ledger, SCOPE, &[(key("both"), settled("tx"))], notes).await;
    expect(ledger, notes, "open: scope", "the facilitator's row settled", &[]).await;
}

/// An older holder of a signer is fenced off once a newer one has written.
pub(super) async fn fencing(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let at = |signer: &str, sequence, epoch, hash: &str| {
        let mut tx = signed_tx(signer, Some(sequence), hash);
        tx.slot.epoch = epoch;
        tx
    };
    for name in ["old", "new", "late", "newer", "stranger"] {
        take(ledger, name, notes).await;
    }
    sign(ledger, &at("signer", 1, 1, "tx-old"), &["old"], notes).await;
    sign(ledger, &at("signer", 2, 2, "tx-new"), &["new"], notes).await;
    for sequence in [1, 2, 3] {
        let late = write_signed(ledger, &at("signer", sequence, 1, "tx-late"), &["late"], notes).await;
        notes.check("epoch: fenced", late.is_err(), || {
            format!("a holder of epoch 1 wrote at {sequence} after one of epoch 2 had written")
        });
    }
    sign(ledger, &at("signer", 3, 2, "tx-newer"), &["newer"], notes).await;
    sign(ledger, &at("other-signer", 1, 0, "tx-stranger"), &["stranger"], notes).await;
    let slots: [(&[&str], &[&str]); 4] = [
        (&["tx-old"], &["old"]),
        (&["tx-new"], &["new"]),
        (&["tx-newer"], &["newer"]),
        (&["tx-stranger"], &["stranger"]),
    ];
    expect(ledger, notes, "epoch: nothing written", "after refused writes", &slots).await;
}

/// Rows, whatever their tickets.
fn same_rows(found: &[ClaimRow], expected: &[ClaimRow]) -> bool {
    let plain = |row: &ClaimRow| row.clone().with_turn(0);
    found.iter().map(plain).eq(expected.iter().map(plain))
}

/// What is in a block waits until that is final: it may be told, and it may come undone.
pub(super) async fn included(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let included = || Outcome::Included(tollway_core::Settled::new("tx", "alice"));
    for (name, sequence, end) in [("stays", 1, settled("tx")), ("undone", 2, released()), ("lost", 3, pending("tx"))] {
        let hash = format!("tx-{name}");
        let slot: (&[&str], &[&str]) = (&[&hash], &[name]);
        take(ledger, name, notes).await;
        sign(ledger, &signed_tx("signer", Some(sequence), &hash), &[name], notes).await;
        resolve(ledger, SCOPE, &[(key(name), included())], notes).await;
        expect(ledger, notes, "open: included", "in a block", &[slot]).await;
        let mine = given(ledger.take(&row(SCOPE, name, "mine")).await, notes, "take");
        notes.check("take: included", mine == Some(Taken::Again(Some(included()))), || {
            format!("the caller of what is in a block was told {mine:?}")
        });
        let retaken = given(ledger.retake(&row(SCOPE, name, "other")).await, notes, "retake").flatten();
        notes.check("retake: nothing", retaken.is_none(), || format!("what is in a block was handed out: {retaken:?}"));
        resolve(ledger, SCOPE, &[(key(name), end.clone())], notes).await;
        match end {
            Outcome::Pending { .. } => expect(ledger, notes, "open: included", "back from a block", &[slot]).await,
            _ => expect(ledger, notes, "open: included", "ended after a block", &[]).await,
        }
    }
}

/// A transaction that carries nothing is waited for by nobody.
pub(super) async fn without_claims(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    sign(ledger, &signed_tx("signer", Some(1), "tx-filler"), &[], notes).await;
    expect(ledger, notes, "open: no claims", "a transaction without claims", &[]).await;
}
