//! Tickets and tokens: only the newest ticket finishes a claim, and a token names one purchase.

use super::{given, is_new, key, pending, released, settled};
use crate::fixtures::{row, signed_tx};
use crate::report::Notes;
use std::sync::Arc;
use tollway_core::{Ledger, Scope, Taken};

const SCOPE: Scope = Scope::Facilitator;

/// Whoever was given up comes back with an old ticket, and changes nothing and sends nothing.
pub(super) async fn old_ones_change_nothing(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let mine = row(SCOPE, "fenced", "mine");
    let take = async || given(ledger.take(&mine).await, notes, "take").and_then(Taken::ticket);
    let Some(first) = take().await else { return };
    given(ledger.resolve(SCOPE, &[(first.clone(), pending("tx"))]).await, notes, "resolve");
    let Some(retaken) = given(ledger.retake(&mine).await, notes, "retake").flatten() else { return };
    let second = retaken.row.ticket();
    notes.check("ticket: new each time", second != first, || {
        format!("a row was handed out under its old ticket {first:?}")
    });

    let open_still = async |when: &str| {
        let taken = given(ledger.take(&mine).await, notes, "take");
        notes.check("ticket: fenced", taken == Some(Taken::Again(None)), || {
            format!("an old ticket changed a row that was {when}: {taken:?}")
        });
    };
    for outcome in [settled("tx"), released(), pending("tx")] {
        given(ledger.resolve(SCOPE, &[(first.clone(), outcome)]).await, notes, "resolve");
        open_still("handed to another").await;
    }
    let late = ledger.write_signed(&signed_tx("signer", Some(1), "tx-late"), std::slice::from_ref(&first)).await;
    notes.check("ticket: signs nothing", late.is_err(), || "an old ticket signed".to_owned());
    let open = given(ledger.open(10).await, notes, "open").unwrap_or_default();
    notes.check("ticket: signs nothing", open.is_empty(), || format!("a refused transaction is open: {open:?}"));

    given(ledger.resolve(SCOPE, &[(second.clone(), released())]).await, notes, "resolve");
    let Some(third) = take().await else { return };
    for old in [&first, &second] {
        notes.check("ticket: new each time", third != *old, || format!("{old:?} was given out twice"));
        given(ledger.resolve(SCOPE, &[(old.clone(), released())]).await, notes, "resolve");
        open_still("released and taken anew").await;
        let late = ledger.write_signed(&signed_tx("signer", Some(2), "tx-late"), std::slice::from_ref(old)).await;
        notes.check("ticket: signs nothing", late.is_err(), || "an old ticket signed".to_owned());
    }
    let signed = ledger.write_signed(&signed_tx("signer", Some(3), "tx"), std::slice::from_ref(&third)).await;
    given(signed, notes, "write_signed");
    given(ledger.resolve(SCOPE, &[(third.clone(), settled("tx"))]).await, notes, "resolve");
    let late = ledger.write_signed(&signed_tx("signer", Some(4), "tx-again"), &[third]).await;
    notes.check("ticket: ended", late.is_err(), || "a settled claim was signed for again".to_owned());
}

/// A caller's token is used for one purchase, for as long as the books know of it.
pub(super) async fn one_purchase_for_a_token(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let named = |scope, name| {
        let mut row = row(scope, name, "");
        row.caller = crate::fixtures::caller("one token");
        row
    };
    let take = async |scope, name| given(ledger.take(&named(scope, name)).await, notes, "take");
    let first = take(SCOPE, "first").await;
    notes.check("token: once", is_new(&first), || format!("the first use of a token gave {first:?}"));
    for _ in 0..2 {
        let second = take(SCOPE, "second").await;
        notes.check("token: once", second == Some(Taken::TokenReused), || {
            format!("a token used for another payment gave {second:?}")
        });
    }
    let other = take(Scope::Server, "second").await;
    notes.check("token: scopes", is_new(&other), || format!("a facilitator's token barred a server's: {other:?}"));
    let found = given(ledger.find(SCOPE, &key("second")).await, notes, "find").flatten();
    notes.check("token: once", found.is_none(), || format!("what was refused is in the books: {found:?}"));
    let Some(ticket) = first.and_then(Taken::ticket) else { return };
    given(ledger.resolve(SCOPE, &[(ticket, released())]).await, notes, "resolve");
    let second = take(SCOPE, "second").await;
    notes.check("token: free again", is_new(&second), || format!("the token of a released row gave {second:?}"));
}
