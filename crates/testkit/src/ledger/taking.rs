//! `take`: one winner, the same caller is known again, scopes are apart.

use super::{given, is_new, key, pending, released, resolve, settled};
use crate::fixtures::{caller_of, claim, row};
use crate::report::Notes;
use std::sync::Arc;
use tollway_core::{Caller, Ledger, Outcome, Scope, Taken};

/// How many race for one claim.
const CROWD: usize = 1000;

async fn take(ledger: &Arc<dyn Ledger>, scope: Scope, name: &str, token: &str, notes: &Notes) -> Option<Taken> {
    given(ledger.take(&row(scope, name, token)).await, notes, "take")
}

/// Of any number of concurrent takers exactly one wins, and nobody else is told that it is theirs.
pub(super) async fn once(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    for round in 0..3 {
        let takers: Vec<_> = (0..CROWD)
            .map(|taker| {
                let (ledger, name) = (ledger.clone(), format!("crowd-{round}"));
                tokio::spawn(async move { ledger.take(&row(Scope::Server, &name, &format!("caller-{taker}"))).await })
            })
            .collect();
        let (mut new, mut foreign) = (0usize, 0usize);
        for taker in takers {
            match taker.await {
                Ok(Ok(Taken::New(_))) => new = new.saturating_add(1),
                Ok(Ok(Taken::Foreign)) => foreign = foreign.saturating_add(1),
                other => notes.check("take: once", false, || format!("a taker got {other:?}")),
            }
        }
        notes.check("take: once", new == 1 && new.saturating_add(foreign) == CROWD, || {
            format!("of {CROWD} concurrent takers {new} won and {foreign} were refused; exactly one must win")
        });
    }
}

/// The same caller is told what is known, others nothing. Callers without a token are never the same.
pub(super) async fn callers(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    for (name, outcome) in [("unresolved", None), ("settled", Some(settled("tx"))), ("pending", Some(pending("tx")))] {
        let first = take(ledger, Scope::Facilitator, name, "mine", notes).await;
        notes.check("take: new", is_new(&first), || format!("the first to take `{name}` got {first:?}"));
        if let Some(outcome) = &outcome {
            resolve(ledger, Scope::Facilitator, &[(key(name), outcome.clone())], notes).await;
        }
        let again = take(ledger, Scope::Facilitator, name, "mine", notes).await;
        notes.check("take: same caller", again == Some(Taken::Again(outcome.clone())), || {
            format!("the same caller took a row that is {outcome:?} again and got {again:?}")
        });
        let other = take(ledger, Scope::Facilitator, name, "other", notes).await;
        notes.check("take: foreign", other == Some(Taken::Foreign), || {
            format!("another caller took a row that is {outcome:?} and got {other:?}")
        });
    }
    let mut anonymous = row(Scope::Facilitator, "anonymous", "");
    anonymous.caller = Caller::ANONYMOUS;
    let answers = [ledger.take(&anonymous).await, ledger.take(&anonymous).await];
    notes.check("take: anonymous", matches!(answers, [Ok(Taken::New(_)), Ok(Taken::Foreign)]), || {
        format!("two callers without a token are two callers, but they got {answers:?}")
    });
}

/// A server and a facilitator hold the same key side by side.
pub(super) async fn scopes(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let server = take(ledger, Scope::Server, "both", "server", notes).await;
    let facilitator = take(ledger, Scope::Facilitator, "both", "facilitator", notes).await;
    notes.check("scopes: apart", is_new(&server) && is_new(&facilitator), || {
        format!("one key in two scopes is two rows, but taking gave {server:?} and {facilitator:?}")
    });
    resolve(ledger, Scope::Server, &[(key("both"), settled("tx"))], notes).await;
    let facilitator = take(ledger, Scope::Facilitator, "both", "facilitator", notes).await;
    notes.check("scopes: apart", facilitator == Some(Taken::Again(None)), || {
        format!("settling the server's row changed the facilitator's: {facilitator:?}")
    });
    resolve(ledger, Scope::Facilitator, &[(key("both"), released())], notes).await;
    let server = take(ledger, Scope::Server, "both", "server", notes).await;
    notes.check("scopes: apart", server == Some(Taken::Again(Some(settled("tx")))), || {
        format!("releasing the facilitator's row changed the server's: {server:?}")
    });
    resolve(ledger, Scope::Facilitator, &[(key("both"), pending("tx"))], notes).await;
    let retaken = given(ledger.retake(&row(Scope::Server, "both", "other")).await, notes, "retake");
    notes.check("scopes: apart", matches!(retaken, Some(None)), || {
        format!("the server retook the facilitator's row: {retaken:?}")
    });
}

/// A row may be forgotten once its claim is dead *and* resolved; one of both is not enough.
pub(super) async fn kept_while_open(ledger: &Arc<dyn Ledger>, notes: &Notes) {
    let long_dead = |name: &str| {
        let mut row = row(Scope::Facilitator, name, "mine");
        row.claim = claim(name).dead_after(1);
        row
    };
    given(ledger.take(&long_dead("open")).await, notes, "take");
    given(ledger.take(&long_dead("waits")).await, notes, "take");
    resolve(ledger, Scope::Facilitator, &[(key("waits"), pending("tx"))], notes).await;
    // A settled one that could not be dead: it says no time.
    take(ledger, Scope::Facilitator, "timeless", "mine", notes).await;
    resolve(ledger, Scope::Facilitator, &[(key("timeless"), settled("tx"))], notes).await;
    for other in 0..200 {
        let name = format!("other-{other}");
        given(ledger.take(&long_dead(&name)).await, notes, "take");
        resolve(ledger, Scope::Facilitator, &[(key(&name), settled("tx"))], notes).await;
    }
    for name in ["open", "waits", "timeless"] {
        let mut foreign = long_dead(name);
        foreign.caller = caller_of(name, "other");
        let taken = given(ledger.take(&foreign).await, notes, "take");
        notes.check("take: forgotten too early", taken == Some(Taken::Foreign), || {
            format!("the row `{name}` was forgotten while it counted: another caller got {taken:?}")
        });
    }
    let retaken = given(ledger.retake(&row(Scope::Facilitator, "waits", "other")).await, notes, "retake").flatten();
    let waits = matches!(retaken.and_then(|retaken| retaken.outcome), Some(Outcome::Pending { .. }));
    notes.check("take: forgotten too early", waits, || "a pending row of a dead claim was forgotten".to_owned());
}
