//! Entitlements are recorded once, end, are listed, shared, and ended by hand.

use super::{ENDS, NOW, account, bought, coins, draw, drew, given, record, report};
use crate::report::Notes;
use std::sync::Arc;
use tollway_core::{AccountId, Amount};
use tollway_siwx::{Entered, Entitlement, Left, MAX_GUESTS, SessionStore};

/// An entitlement has an end, to the second, and ends that come and go do not touch others.
pub(super) async fn ends(store: &Arc<dyn SessionStore>, notes: &Notes) {
    let until = |id: &str, ends| Entitlement::new(id, account("alice"), report(), ends, Left::Time);
    record(store, &until("lasting", ENDS), notes).await;
    record(store, &until("over-before", NOW), notes).await;
    for n in 0..100 {
        given(store.record(&until(&format!("short-{n}"), NOW + 2), NOW + 1).await, notes, "record");
    }
    for now in [NOW, ENDS - 1] {
        let entered = draw(store, "alice", now, notes).await;
        notes.check("ends: not before", matches!(entered, Some(Entered::In(_))), || {
            format!("an entitlement until {ENDS} got {entered:?} at {now}")
        });
    }
    for now in [ENDS, ENDS + 1000] {
        let entered = draw(store, "alice", now, notes).await;
        notes.check("ends: to the second", entered == Some(Entered::NotEntitled), || {
            format!("an entitlement until {ENDS} got {entered:?} at {now}")
        });
    }
    // The clock of another server may be behind.
    let entered = draw(store, "bob", NOW, notes).await;
    notes.check("ends: not before", entered == Some(Entered::NotEntitled), || format!("nothing got {entered:?}"));
}

/// A payment that is reported twice is recorded once.
pub(super) async fn recorded_once(store: &Arc<dyn SessionStore>, notes: &Notes) {
    for _ in 0..2 {
        record(store, &bought("payment", Left::Calls(2)), notes).await;
    }
    for n in 0..2 {
        let entered = draw(store, "alice", NOW, notes).await;
        notes.check("record: there", drew(&entered, "payment"), || format!("call {n} got {entered:?}"));
        record(store, &bought("payment", Left::Calls(2)), notes).await;
    }
    let entered = draw(store, "alice", NOW, notes).await;
    notes.check("record: once", entered == Some(Entered::NotEntitled), || {
        format!("recording the same thing again filled it up: {entered:?}")
    });
}

/// What an account has is listed by its end, with what is left.
pub(super) async fn listed(store: &Arc<dyn SessionStore>, notes: &Notes) {
    let credit = Left::Credit(coins(Amount::MAX));
    let late = Entitlement::new("late", account("alice"), report(), ENDS, credit);
    let soon = Entitlement::new("soon", account("alice"), report(), NOW + 10, Left::Calls(3));
    for entitlement in [&late, &soon] {
        record(store, entitlement, notes).await;
    }
    record(store, &Entitlement::new("bobs", account("bob"), report(), ENDS, Left::Time), notes).await;
    draw(store, "alice", NOW, notes).await;
    let mut left = soon;
    left.left = Left::Calls(2);
    for (now, expected) in [(NOW, vec![left, late.clone()]), (NOW + 10, vec![late]), (ENDS, vec![])] {
        let listed = given(store.entitlements(&account("alice"), now).await, notes, "entitlements");
        notes.check("list: faithful", listed.as_ref() == Some(&expected), || {
            format!("at {now} {listed:?} was listed and not {expected:?}")
        });
    }
}

/// An owner lets others draw, and stops it; nobody else does.
pub(super) async fn shared(store: &Arc<dyn SessionStore>, notes: &Notes) {
    record(store, &bought("ours", Left::Calls(5)), notes).await;
    let (alice, bob, eve) = (account("alice"), account("bob"), account("eve"));
    let share = async |id: &str, owner: &AccountId, guest: &AccountId, now| {
        given(store.share(id, owner, guest, now).await, notes, "share").unwrap_or_default()
    };
    let stolen = share("ours", &eve, &eve, NOW).await || share("unknown", &alice, &bob, NOW).await;
    notes.check("share: owner only", !stolen, || "somebody shared what is not theirs".to_owned());
    let entered = draw(store, "eve", NOW, notes).await;
    notes.check("share: owner only", entered == Some(Entered::NotEntitled), || format!("eve got {entered:?}"));
    notes.check("share: not after the end", !share("ours", &alice, &bob, ENDS).await, || "it was".to_owned());

    // Twice is once.
    let said = [share("ours", &alice, &bob, NOW).await, share("ours", &alice, &bob, NOW).await];
    notes.check("share: said so", said == [true, true], || format!("sharing said {said:?}"));
    for who in ["bob", "alice"] {
        let entered = draw(store, who, NOW, notes).await;
        let right = matches!(&entered, Some(Entered::In(Some(drawn))) if drawn.account == account(who));
        notes.check("share: both draw", right, || format!("{who} got {entered:?}"));
    }
    let listed = given(store.entitlements(&bob, NOW).await, notes, "entitlements").unwrap_or_default();
    let left = listed.first().map(|entitlement| entitlement.left.clone());
    notes.check("share: one pot", left == Some(Left::Calls(3)), || {
        format!("two of five calls were drawn by two accounts, and bob sees {left:?}")
    });
    let passed_on = share("ours", &bob, &eve, NOW).await;
    notes.check("share: owner only", !passed_on, || "a guest shared what is not theirs".to_owned());

    let unshare = async |owner, guest| given(store.unshare("ours", owner, guest).await, notes, "unshare");
    let said = [unshare(&eve, &bob).await, unshare(&alice, &eve).await, unshare(&alice, &bob).await];
    notes.check("unshare: said so", said == [Some(false), Some(false), Some(true)], || format!("it said {said:?}"));
    let entered = draw(store, "bob", NOW, notes).await;
    notes.check("unshare: at once", entered == Some(Entered::NotEntitled), || format!("bob got {entered:?} still"));

    let mut guests = 0usize;
    for n in 0..=MAX_GUESTS {
        let guest = account(&format!("guest-{n}"));
        guests = guests.saturating_add(usize::from(share("ours", &alice, &guest, NOW).await));
    }
    notes.check("share: so many", guests == MAX_GUESTS, || format!("{guests} guests share, {MAX_GUESTS} may"));
}

/// What is ended by hand opens nothing, for nobody, and does not come back.
pub(super) async fn ended_by_hand(store: &Arc<dyn SessionStore>, notes: &Notes) {
    record(store, &bought("ours", Left::Calls(5)), notes).await;
    given(store.share("ours", &account("alice"), &account("bob"), NOW).await, notes, "share");
    let drawn = draw(store, "alice", NOW, notes).await;
    let said = [given(store.end("ours").await, notes, "end"), given(store.end("ours").await, notes, "end")];
    notes.check("end: said so", said == [Some(true), Some(false)], || format!("ending twice said {said:?}"));
    if let Some(Entered::In(Some(drawn))) = drawn {
        given(store.give_back(&drawn).await, notes, "give_back of what was ended");
    }
    for who in ["alice", "bob"] {
        let entered = draw(store, who, NOW, notes).await;
        notes.check("end: for everybody", entered == Some(Entered::NotEntitled), || format!("{who} got {entered:?}"));
        let listed = given(store.entitlements(&account(who), NOW).await, notes, "entitlements");
        notes.check("end: for everybody", listed == Some(Vec::new()), || format!("{who} still has {listed:?}"));
    }
}
