//! What is drawn: exactly as much as there is, in order, and given back.

use super::{ENDS, NOW, account, bought, coins, draw, drew, enter, given, record, report};
use crate::report::Notes;
use std::sync::Arc;
use tollway_core::{Amount, NetworkId};
use tollway_siwx::{Credit, Draw, Drawn, Entered, Entitlement, Entry, Left, Scope, SessionStore};

/// How many calls race.
const CROWD: usize = 1000;

/// Draws with a price.
async fn spend(store: &Arc<dyn SessionStore>, prices: &[Credit], notes: &Notes) -> Option<Entered> {
    let (accounts, scopes) = ([account("alice")], [report()]);
    enter(store, Entry::new(NOW, &accounts).drawing(Draw::new(&scopes).priced(prices)), notes).await
}

/// Draws a crowd at once; gives what was drawn.
async fn crowd(store: &Arc<dyn SessionStore>, prices: Vec<Credit>, rule: &'static str, notes: &Notes) -> Vec<Drawn> {
    let calls: Vec<_> = (0..CROWD)
        .map(|_| {
            let (store, prices) = (store.clone(), prices.clone());
            tokio::spawn(async move {
                let (accounts, scopes) = ([account("alice")], [report()]);
                store.enter(&Entry::new(NOW, &accounts).drawing(Draw::new(&scopes).priced(&prices))).await
            })
        })
        .collect();
    let mut drawn = Vec::new();
    for call in calls {
        match call.await {
            Ok(Ok(Entered::In(Some(one)))) => drawn.push(one),
            Ok(Ok(Entered::NotEntitled)) => {}
            other => notes.check(rule, false, || format!("a call got {other:?}")),
        }
    }
    drawn
}

/// Of a thousand concurrent calls on an entitlement for a hundred exactly a hundred pass; those given back pass again.
pub(super) async fn exactly_as_many(store: &Arc<dyn SessionStore>, notes: &Notes) {
    record(store, &bought("hundred", Left::Calls(100)), notes).await;
    let drawn = crowd(store, Vec::new(), "calls: exactly", notes).await;
    notes.check("calls: exactly", drawn.len() == 100, || {
        format!("of {CROWD} concurrent calls on an entitlement for 100 calls {} passed", drawn.len())
    });
    let taken = drawn.iter().all(|drawn| drawn.taken == Left::Calls(1) && drawn.ends == ENDS);
    notes.check("calls: what was taken", taken, || format!("a call took something else: {:?}", drawn.first()));
    let returns: Vec<_> = drawn.into_iter().take(7).collect();
    let tasks: Vec<_> = returns
        .into_iter()
        .map(|drawn| {
            let store = store.clone();
            tokio::spawn(async move { store.give_back(&drawn).await })
        })
        .collect();
    for task in tasks {
        let _ = task.await.map(|answer| given(answer, notes, "give_back"));
    }
    let again = crowd(store, Vec::new(), "calls: given back", notes).await;
    notes.check("calls: given back", again.len() == 7, || format!("of 7 calls given back {} passed", again.len()));
}

/// Giving back restores what was taken, and nothing else.
pub(super) async fn given_back(store: &Arc<dyn SessionStore>, notes: &Notes) {
    record(store, &bought("one", Left::Calls(1)), notes).await;
    let Some(Entered::In(Some(drawn))) = draw(store, "alice", NOW, notes).await else {
        return notes.check("calls: one", false, || "the one call there is was not drawn".to_owned());
    };
    let spent = draw(store, "alice", NOW, notes).await;
    notes.check("calls: spent", spent == Some(Entered::NotEntitled), || format!("a spent entitlement got {spent:?}"));
    given(store.give_back(&drawn).await, notes, "give_back");
    let again = draw(store, "alice", NOW, notes).await;
    notes.check("calls: given back", drew(&again, "one"), || format!("a call given back got {again:?}"));
    let mut unknown = drawn;
    unknown.id = "unknown".into();
    given(store.give_back(&unknown).await, notes, "give_back of what is not there");

    record(store, &Entitlement::new("time", account("bob"), report(), ENDS, Left::Time), notes).await;
    for _ in 0..3 {
        match draw(store, "bob", NOW, notes).await {
            Some(Entered::In(Some(drawn))) if drawn.taken == Left::Time => {
                given(store.give_back(&drawn).await, notes, "give_back");
            }
            other => notes.check("time: any number", false, || format!("an entitlement for a time got {other:?}")),
        }
    }
}

/// Credit is spent to the last unit, in its own asset.
pub(super) async fn credit(store: &Arc<dyn SessionStore>, notes: &Notes) {
    // More than 64 bits, so that no store keeps it in a machine's integer.
    let large = Amount::MAX.share(5000);
    let Some(rest) = large.checked_sub(Amount::from(1)) else { return };
    record(store, &bought("credit", Left::Credit(coins(large))), notes).await;
    let elsewhere: NetworkId = crate::fixtures::network("fake:elsewhere");
    let wrong = [
        Vec::new(),
        vec![Credit::new(elsewhere, crate::COIN, Amount::from(1))],
        vec![Credit::new(crate::fixtures::network("fake:sessions"), crate::EURO, Amount::from(1))],
    ];
    for prices in wrong {
        let entered = spend(store, &prices, notes).await;
        notes.check("credit: own asset", entered == Some(Entered::NotEntitled), || {
            format!("credit was spent on {prices:?}: {entered:?}")
        });
    }
    let all = spend(store, &[coins(rest)], notes).await;
    let exact = matches!(&all, Some(Entered::In(Some(drawn))) if drawn.taken == Left::Credit(coins(rest)));
    notes.check("credit: exact", exact, || format!("{rest} of {large} units got {all:?}"));
    let too_much = spend(store, &[coins(Amount::from(2))], notes).await;
    notes.check("credit: no more than there is", too_much == Some(Entered::NotEntitled), || {
        format!("2 units of the 1 that is left got {too_much:?}")
    });
    if let Some(Entered::In(Some(drawn))) = all {
        given(store.give_back(&drawn).await, notes, "give_back");
    }
    let whole = spend(store, &[coins(large)], notes).await;
    notes.check("credit: given back", drew(&whole, "credit"), || format!("all of it, given back, got {whole:?}"));
}

/// Of concurrent calls exactly as many pass as can be paid.
pub(super) async fn credit_in_parallel(store: &Arc<dyn SessionStore>, notes: &Notes) {
    record(store, &bought("credit", Left::Credit(coins(Amount::from(699)))), notes).await;
    let drawn = crowd(store, vec![coins(Amount::from(7))], "credit: in parallel", notes).await;
    notes.check("credit: in parallel", drawn.len() == 99, || {
        format!("699 units paid for {} concurrent calls of 7 units; they pay for 99", drawn.len())
    });
}

/// What costs nothing more is drawn first, then what ends first.
pub(super) async fn order(store: &Arc<dyn SessionStore>, notes: &Notes) {
    let until = |id: &str, ends, left| Entitlement::new(id, account("alice"), report(), ends, left);
    let one = || Left::Credit(coins(Amount::from(1)));
    for entitlement in [
        until("credit-late", ENDS, one()),
        until("credit-early", ENDS - 9, one()),
        until("calls-late", ENDS, Left::Calls(1)),
        until("calls-early", ENDS - 8, Left::Calls(1)),
        until("time", ENDS - 100, Left::Time),
    ] {
        record(store, &entitlement, notes).await;
    }
    let (accounts, scopes, prices) = ([account("alice")], [report()], [coins(Amount::from(1))]);
    for (now, id) in [
        (NOW, "time"),
        (NOW, "time"),
        (ENDS - 100, "calls-early"),
        (ENDS - 100, "calls-late"),
        (ENDS - 100, "credit-early"),
        (ENDS - 100, "credit-late"),
    ] {
        let entry = Entry::new(now, &accounts).drawing(Draw::new(&scopes).priced(&prices));
        let entered = enter(store, entry, notes).await;
        notes.check("draw: order", drew(&entered, id), || format!("`{id}` was to be drawn from, and {entered:?} was"));
    }
}

/// One of the scopes must be the entitlement's, one of the accounts its owner; to the letter.
pub(super) async fn scopes_and_accounts(store: &Arc<dyn SessionStore>, notes: &Notes) {
    record(store, &bought("mine", Left::Time), notes).await;
    let elsewhere = tollway_core::AccountId::new(crate::fixtures::network("fake:elsewhere"), "alice");
    let strangers = [account("bob"), account("Alice"), account("alice2"), elsewhere];
    let others = [
        Scope::route("https://shop.test.evil", "GET /report"),
        Scope::route("https://shop.test", "GET /REPORT"),
        Scope::route("https://shop.test", "GET /"),
        Scope::tier("https://shop.test", "GET /report"),
        Scope::over("https://shop.test", "/*"),
    ];
    let (mine, scope) = ([account("alice")], [report()]);
    for (accounts, scopes) in
        [(&strangers[..], &scope[..]), (&mine[..], &others[..]), (&mine[..], &[]), (&[], &scope[..])]
    {
        let entered = enter(store, Entry::new(NOW, accounts).drawing(Draw::new(scopes)), notes).await;
        notes.check("draw: whose and where", entered == Some(Entered::NotEntitled), || {
            format!("alice's entitlement for {scope:?} opened {scopes:?} for {accounts:?}: {entered:?}")
        });
    }
    let (accounts, scopes) = ([account("bob"), account("alice")], [Scope::tier("https://shop.test", "pro"), report()]);
    let entered = enter(store, Entry::new(NOW, &accounts).drawing(Draw::new(&scopes)), notes).await;
    let right =
        matches!(&entered, Some(Entered::In(Some(drawn))) if drawn.account == accounts[1] && drawn.scope == scopes[1]);
    notes.check("draw: one of several", right, || format!("one of two accounts and scopes got {entered:?}"));
}
