//! `resolve` and `retake`: released rows are gone, settled ones are final, uncertain ones are handed out once.

use super::{given, is_new, key, pending, released, resolve, settled, undelivered, write_signed};
use crate::fixtures::{caller_of, row, signed_tx};
use crate::report::Notes;
use std::sync::Arc;
use tollway_core::{Amount, Ledger, Outcome, Scope, Taken};

async fn take(ledger: &Arc<dyn Ledger>, scope: Scope, name: &str, token: &str, notes: &Notes) -> Option<Taken> {
    given(ledger.take(&row(scope, name, token)).await, notes, "take")
}

/// A released row is gone: anybody may present the payment again.
pub(super) async fn released_is_gone(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let scope = Scope::Facilitator;
    for token in ["mine", "other", "mine"] {
        let taken = take(ledger, scope, "again", token, notes).await;
        notes.check("released: gone", is_new(&taken), || {
            format!("a released row must be free for `{token}`, but taking it gave {taken:?}")
        });
        resolve(ledger, scope, &[(key("again"), released())], notes).await;
        // Said twice, as after a lost answer.
        resolve(ledger, scope, &[(key("again"), released())], notes).await;
    }
    take(ledger, scope, "uncertain", "mine", notes).await;
    resolve(ledger, scope, &[(key("uncertain"), pending("tx"))], notes).await;
    resolve(ledger, scope, &[(key("uncertain"), released())], notes).await;
    let taken = take(ledger, scope, "uncertain", "other", notes).await;
    notes.check("released: gone", is_new(&taken), || {
        format!("pending and then released is free, but taking it gave {taken:?}")
    });
    resolve(ledger, scope, &[(key("never-taken"), settled("tx"))], notes).await;
    let taken = take(ledger, scope, "never-taken", "mine", notes).await;
    notes.check("resolve: unknown", is_new(&taken), || {
        format!("resolving what nobody took must not make a row, but taking it gave {taken:?}")
    });
}

/// A settled row never changes again, and saying so twice is no error.
pub(super) async fn settled_is_final(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    for scope in [Scope::Server, Scope::Facilitator] {
        take(ledger, scope, "paid", "mine", notes).await;
        resolve(ledger, scope, &[(key("paid"), pending("tx"))], notes).await;
        for later in
            [settled("tx"), settled("tx"), released(), pending("other"), settled("other"), undelivered("other")]
        {
            resolve(ledger, scope, &[(key("paid"), later.clone())], notes).await;
            let mine = take(ledger, scope, "paid", "mine", notes).await;
            notes.check("settled: final", mine == Some(Taken::Again(Some(settled("tx")))), || {
                format!("a settled row was resolved as {later:?} and then gave {mine:?}")
            });
            let other = take(ledger, scope, "paid", "other", notes).await;
            notes.check("settled: final", other == Some(Taken::Foreign), || {
                format!("a settled row was resolved as {later:?}, and another caller took it: {other:?}")
            });
            let retaken = given(ledger.retake(&row(scope, "paid", "other")).await, notes, "retake").flatten();
            notes.check("settled: final", retaken.is_none(), || format!("a settled row was handed out: {retaken:?}"));
        }
    }
}

/// One call resolves many rows, each in its own way.
pub(super) async fn batches(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let scope = Scope::Facilitator;
    for name in ["a", "b", "c", "d"] {
        take(ledger, scope, name, "mine", notes).await;
    }
    let outcomes = [
        (key("a"), settled("tx")),
        (key("b"), released()),
        (key("nobody's"), settled("tx")),
        (key("c"), pending("tx")),
    ];
    resolve(ledger, scope, &outcomes, notes).await;
    let expected = [
        ("a", Some(Taken::Again(Some(settled("tx"))))),
        ("b", None),
        ("c", Some(Taken::Again(Some(pending("tx"))))),
        ("d", Some(Taken::Again(None))),
    ];
    for (name, expected) in expected {
        let taken = take(ledger, scope, name, "mine", notes).await;
        let right = if expected.is_some() { taken == expected } else { is_new(&taken) };
        notes.check("resolve: batch", right, || {
            format!("after one call for many rows `{name}` must be {expected:?}, but is {taken:?}")
        });
    }
}

/// An uncertain row is handed to one, with the caller it was taken for, and is open from then on.
pub(super) async fn handed_out_once(ledger: &Arc<dyn Ledger>, scope: Scope, outcome: &Outcome, notes: &Notes) {
    take(ledger, scope, "uncertain", "mine", notes).await;
    for round in 1..=2 {
        resolve(ledger, scope, &[(key("uncertain"), outcome.clone())], notes).await;
        resolve(ledger, scope, &[(key("uncertain"), outcome.clone())], notes).await;
        let mine = take(ledger, scope, "uncertain", "mine", notes).await;
        notes.check("retake: taking is not retaking", mine == Some(Taken::Again(Some(outcome.clone()))), || {
            format!("taking must tell {outcome:?} and change nothing, but gave {mine:?}")
        });
        let first = given(ledger.retake(&row(scope, "uncertain", "other")).await, notes, "retake").flatten();
        let faithful = first.as_ref().is_some_and(|first| {
            first.row.caller.is(&caller_of("uncertain", "mine")) && first.outcome.as_ref() == Some(outcome)
        });
        notes.check("retake: once", faithful, || format!("round {round}: {outcome:?} was handed out as {first:?}"));
        let second = given(ledger.retake(&row(scope, "uncertain", "other")).await, notes, "retake").flatten();
        notes.check("retake: once", second.is_none(), || format!("round {round}: handed out twice: {second:?}"));
        let mine = take(ledger, scope, "uncertain", "mine", notes).await;
        notes.check("retake: open again", mine == Some(Taken::Again(None)), || {
            format!("a row that was handed out is open, but taking it gave {mine:?}")
        });
        let other = take(ledger, scope, "uncertain", "other", notes).await;
        notes.check("retake: open again", other == Some(Taken::Foreign), || {
            format!("a row that was handed out is still somebody's, but another caller got {other:?}")
        });
    }
}

/// Of any number who want to take an uncertain row over, one may.
pub(super) async fn one_of_many(ledger: &Arc<dyn Ledger>, scope: Scope, outcome: &Outcome, notes: &Notes) {
    take(ledger, scope, "crowd", "mine", notes).await;
    resolve(ledger, scope, &[(key("crowd"), outcome.clone())], notes).await;
    let crowd: Vec<_> = (0..200)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.retake(&row(scope, "crowd", "other")).await })
        })
        .collect();
    let mut winners = 0usize;
    for one in crowd {
        match one.await {
            Ok(Ok(Some(_))) => winners = winners.saturating_add(1),
            Ok(Ok(None)) => {}
            other => notes.check("retake: once", false, || format!("one of many got {other:?}")),
        }
    }
    notes.check("retake: once", winners == 1, || format!("{outcome:?} was handed to {winners} of 200, not to one"));
}

/// What is open, settled, released or unknown is handed to nobody.
pub(super) async fn nothing_to_hand_out(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let scope = Scope::Facilitator;
    for (name, outcome) in [("open", None), ("settled", Some(settled("tx"))), ("released", Some(released()))] {
        take(ledger, scope, name, "mine", notes).await;
        if let Some(outcome) = outcome {
            resolve(ledger, scope, &[(key(name), outcome)], notes).await;
        }
    }
    for name in ["open", "settled", "released", "unknown"] {
        let retaken = given(ledger.retake(&row(scope, name, "other")).await, notes, "retake").flatten();
        notes.check("retake: nothing", retaken.is_none(), || format!("`{name}` was handed out: {retaken:?}"));
    }
}

/// A key alone opens nothing: whoever presents it with another payload or for another purchase gets nothing and changes
/// nothing. The purchase itself is still handed out afterwards.
pub(super) async fn only_the_same_purchase(ledger: &Arc<dyn Ledger>, scope: Scope, outcome: &Outcome, notes: &Notes) {
    take(ledger, scope, "bought", "mine", notes).await;
    resolve(ledger, scope, &[(key("bought"), outcome.clone())], notes).await;
    let mut forged = row(scope, "bought", "mine");
    forged.raw.payload["signature"] = "junk".into();
    let mut dear = row(scope, "bought", "mine");
    dear.offer.amount = Amount::from(1_000_000);
    let mut elsewhere = row(scope, "bought", "mine");
    elsewhere.offer.pay_to = "mallory".to_owned();
    for (what, other) in [("payload", forged), ("amount", dear), ("recipient", elsewhere)] {
        let taken = given(ledger.take(&other).await, notes, "take");
        notes.check("take: another purchase", taken == Some(Taken::TokenReused), || {
            format!("the same caller and key with another {what} got {taken:?}")
        });
        let retaken = given(ledger.retake(&other).await, notes, "retake").flatten();
        notes.check("retake: another purchase", retaken.is_none(), || {
            format!("the same key with another {what} was handed {retaken:?}")
        });
    }
    let honest = given(ledger.retake(&row(scope, "bought", "other")).await, notes, "retake").flatten();
    notes.check("retake: another purchase", honest.is_some(), || "forgeries used the purchase up".to_owned());
}

/// Looking a claim up tells what there is and changes nothing.
pub(super) async fn found(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let scope = Scope::Facilitator;
    let nothing = given(ledger.find(scope, &key("looked up")).await, notes, "find").flatten();
    notes.check("find: nothing", nothing.is_none(), || format!("found what nobody took: {nothing:?}"));
    take(ledger, scope, "looked up", "mine", notes).await;
    given(
        write_signed(ledger, &signed_tx("signer", Some(1), "tx-1"), &["looked up"], notes).await,
        notes,
        "write_signed",
    );
    given(
        write_signed(ledger, &signed_tx("signer", Some(1), "tx-2"), &["looked up"], notes).await,
        notes,
        "write_signed",
    );
    resolve(ledger, scope, &[(key("looked up"), pending("tx-1"))], notes).await;
    for _ in 0..2 {
        let found = given(ledger.find(scope, &key("looked up")).await, notes, "find").flatten();
        let faithful = found.as_ref().is_some_and(|found| {
            let attempts = found.slot.as_ref().map_or(0, |slot| slot.attempts.len());
            found.row.clone().with_turn(0) == row(scope, "looked up", "mine")
                && found.outcome == Some(pending("tx-1"))
                && attempts == 2
        });
        notes.check("find: faithful", faithful, || format!("a pending claim with two attempts was found as {found:?}"));
    }
    let other = given(ledger.find(Scope::Server, &key("looked up")).await, notes, "find").flatten();
    notes.check("find: scopes", other.is_none(), || format!("found in the other scope: {other:?}"));
}
