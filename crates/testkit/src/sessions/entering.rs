//! Nonces are used once, tokens can be revoked, and an entry takes everything or nothing.

use super::{ENDS, NOW, account, bought, draw, drew, enter, given, record, report};
use crate::report::Notes;
use std::sync::Arc;
use tollway_siwx::{Draw, Entered, Entry, Left, Revocation, SessionStore, Shown, Token};

/// How many race for one nonce.
const CROWD: usize = 1000;

/// Of any number of concurrent entries with one nonce exactly one succeeds.
pub(super) async fn nonce_once(store: &Arc<dyn SessionStore>, notes: &Notes) {
    let entries: Vec<_> = (0..CROWD)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let accounts = [account("alice")];
                store.enter(&Entry::new(NOW, &accounts).showing(Shown::new("the-nonce", ENDS))).await
            })
        })
        .collect();
    let (mut entered, mut refused) = (0usize, 0usize);
    for entry in entries {
        match entry.await {
            Ok(Ok(Entered::In(None))) => entered = entered.saturating_add(1),
            Ok(Ok(Entered::NonceUsed)) => refused = refused.saturating_add(1),
            other => notes.check("nonce: once", false, || format!("an entry got {other:?}")),
        }
    }
    notes.check("nonce: once", (entered, refused) == (1, CROWD - 1), || {
        format!("of {CROWD} concurrent entries with one nonce {entered} succeeded; exactly one must")
    });
}

/// A nonce is used up with what it drew, or not at all.
pub(super) async fn nonce_and_draw_together(store: &Arc<dyn SessionStore>, notes: &Notes) {
    let (accounts, scopes) = ([account("alice")], [report()]);
    let entry = Entry::new(NOW, &accounts).showing(Shown::new("n1", ENDS)).drawing(Draw::new(&scopes));
    let entered = enter(store, entry, notes).await;
    notes.check("nonce: entitled", entered == Some(Entered::NotEntitled), || {
        format!("an entry without an entitlement got {entered:?}")
    });
    record(store, &bought("two", Left::Calls(2)), notes).await;
    let entered = enter(store, entry, notes).await;
    notes.check("nonce: kept", drew(&entered, "two"), || {
        format!("an entry that drew nothing used its nonce up: the next got {entered:?}")
    });
    let entered = enter(store, entry, notes).await;
    notes.check("nonce: once", entered == Some(Entered::NonceUsed), || format!("a used nonce got {entered:?}"));
    let other = Entry::new(NOW, &accounts).showing(Shown::new("n2", ENDS)).drawing(Draw::new(&scopes));
    let entered = enter(store, other, notes).await;
    notes.check("nonce: draws nothing", drew(&entered, "two"), || {
        format!("a used nonce took a call: the second of two got {entered:?}")
    });
}

/// A nonce is remembered for as long as it says, whatever else happens.
pub(super) async fn nonce_remembered(store: &Arc<dyn SessionStore>, notes: &Notes) {
    let accounts = [account("alice")];
    let show = |nonce, now| Entry::new(now, &accounts).showing(Shown::new(nonce, ENDS));
    enter(store, show("kept", NOW), notes).await;
    for n in 0..100u64 {
        let nonce = format!("short-{n}");
        let entry = Entry::new(NOW + n, &accounts).showing(Shown::new(&nonce, NOW + n + 1));
        let entered = enter(store, entry, notes).await;
        notes.check("nonce: fresh", entered == Some(Entered::In(None)), || format!("a fresh nonce got {entered:?}"));
    }
    for now in [NOW, ENDS - 1] {
        let entered = enter(store, show("kept", now), notes).await;
        notes.check("nonce: forgotten too early", entered == Some(Entered::NonceUsed), || {
            format!("a nonce used at {NOW} and remembered until {ENDS} got {entered:?} at {now}")
        });
    }
    let entered = enter(store, show("KEPT", NOW), notes).await;
    notes.check("nonce: letter case", entered == Some(Entered::In(None)), || {
        format!("nonces are told apart by letter case, but another spelling got {entered:?}")
    });
}

/// A token that was revoked, by its name.
pub(super) async fn tokens(store: &Arc<dyn SessionStore>, notes: &Notes) {
    record(store, &bought("one", Left::Calls(1)), notes).await;
    let (accounts, scopes) = ([account("alice")], [report()]);
    let entry = |id, issued| Entry::new(NOW, &accounts).with(Token::new(id, issued));
    given(store.revoke(&Revocation::new("stolen", NOW, ENDS), NOW).await, notes, "revoke");
    let entered = enter(store, entry("stolen", NOW).drawing(Draw::new(&scopes)), notes).await;
    notes.check("token: revoked", entered == Some(Entered::Revoked), || format!("a revoked token got {entered:?}"));
    let entered = enter(store, entry("mine", NOW), notes).await;
    notes.check("token: other", entered == Some(Entered::In(None)), || {
        format!("revoking one token revoked another: {entered:?}")
    });
    let entered = enter(store, entry("mine", NOW).drawing(Draw::new(&scopes)), notes).await;
    notes.check("token: draws nothing", drew(&entered, "one"), || {
        format!("a revoked token took a call: the one there was got {entered:?}")
    });
}

/// All tokens of an account, as far as they were made before.
pub(super) async fn accounts_tokens(store: &Arc<dyn SessionStore>, notes: &Notes) {
    let alice = account("alice");
    let revoke = async |issued_until, until| {
        let revocation = Revocation::new(&alice.to_string(), issued_until, until);
        given(store.revoke(&revocation, NOW).await, notes, "revoke");
    };
    let shown = async |who: &str, issued, now| {
        let accounts = [account(who)];
        enter(store, Entry::new(now, &accounts).with(Token::new("t", issued)), notes).await
    };
    revoke(NOW, ENDS).await;
    // One that means less, and later.
    revoke(NOW - 10, NOW + 1).await;
    for issued in [NOW - 11, NOW] {
        for now in [NOW, ENDS - 1] {
            let entered = shown("alice", issued, now).await;
            notes.check("token: signed out", entered == Some(Entered::Revoked), || {
                format!("a token made at {issued} before its account signed out at {NOW} got {entered:?} at {now}")
            });
        }
    }
    for (who, issued) in [("alice", NOW + 1), ("Alice", NOW), ("bob", NOW)] {
        let entered = shown(who, issued, NOW + 1).await;
        notes.check("token: made later", entered == Some(Entered::In(None)), || {
            format!("a token of {who} made at {issued} got {entered:?}, though alice signed out at {NOW}")
        });
    }
    let proof = draw(store, "alice", NOW, notes).await;
    notes.check("token: signs in again", proof == Some(Entered::NotEntitled), || {
        format!("a proof is no token, but got {proof:?}")
    });
}
