//! Session tokens: handed out after one sign-in, good for their origin and scope, for a short time, and revocable.

use crate::support::*;
use serde_json::json;
use std::sync::Arc;
use tollway_core::Secret;
use tollway_roles::{Admission, Route};
use tollway_siwx::{Left, MemorySessions, SIGN_IN_WITH_X, SessionKeys, SessionStore, Sessions};
use tollway_testkit::FakeFacilitator;

fn section() -> serde_json::Value {
    json!({ "for": "1h", "token": "15m" })
}

/// The token that a visitor's proof gets.
async fn token_of(shop: &Shop, visitor: &Visitor, path: &str) -> String {
    let proof = shop.proof(visitor, path).await;
    match shop.get(path, &[(SIGN_IN_WITH_X.to_owned(), proof.encode().unwrap())]).await {
        Admission::Granted(granted) => {
            let attach = granted.finished(true).await;
            assert_eq!(attach.len(), 1, "{attach:?}");
            let (token, parameters) = attach[0].1.split_once("; ").unwrap();
            assert!(parameters.starts_with("max-age="), "{parameters}");
            token.to_owned()
        }
        other => panic!("{other:?}"),
    }
}

async fn paid_shop() -> (Shop, Visitor) {
    let shop = Shop::with([route("GET /report", section()), route("GET /other", section())]).await;
    let alice = Visitor::at("alice", NETWORK, shop.clock.clone()).await;
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
    (shop, alice)
}

#[tokio::test]
async fn after_a_payment_or_a_sign_in_calls_cost_no_signature() {
    let (shop, alice) = paid_shop().await;
    for _ in 0..3 {
        assert_eq!(alice.visit(&shop, "/report").await, Visit::Token);
    }
    shop.clock.advance(900);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::SignedIn, "a token is short-lived");
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Token);
    shop.clock.advance(2700);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid, "and never outlives what it is for");
}

#[tokio::test]
async fn clients_that_know_no_tokens_sign_in() {
    let (shop, _) = paid_shop().await;
    let other = Visitor::new("alice").await;
    let proof = shop.proof(&other, "/report").await;
    assert!(shop.show("/report", &proof).await.is_some());
}

#[tokio::test]
async fn a_token_opens_its_own_scope_at_its_own_origin() {
    let (shop, alice) = paid_shop().await;
    let token = token_of(&shop, &alice, "/report").await;
    assert!(shop.show_token("/report", &token).await);
    assert!(!shop.show_token("/other", &token).await);
    assert_eq!(alice.visit(&shop, "/other").await, Visit::Paid);
    assert!(!shop.show_token("/other", &token).await, "though alice may go there now");
    assert!(shop.show_token("/report", &format!("junk, {token}")).await, "several may be shown");
    // Another origin, with the same keys and the same store.
    let twin = ResourceTwin::at("https://shop.test.evil", &shop).await;
    assert!(!twin.show_token("/report", &token).await);
    let same = ResourceTwin::at(ORIGIN, &shop).await;
    assert!(same.show_token("/report", &token).await);
}

/// A second server on the sessions of a first one.
struct ResourceTwin;

impl ResourceTwin {
    async fn at(origin: &str, shop: &Shop) -> Shop {
        let server = Shop::builder(origin, &shop.clock, &shop.sessions).facilitator(shop.facilitator.clone());
        let server = server.route(route("GET /report", section())).build().await.unwrap();
        let (sessions, clock) = (shop.sessions.clone(), shop.clock.clone());
        Shop { server, sessions, clock, facilitator: shop.facilitator.clone() }
    }
}

#[tokio::test]
async fn a_token_draws_like_a_proof() {
    let shop = Shop::with([route("GET /report", json!({ "calls": 2, "token": "15m" }))]).await;
    let alice = Visitor::at("alice", NETWORK, shop.clock.clone()).await;
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
    assert_eq!(alice.visit_served(&shop, "/report", false).await, Visit::Token);
    assert_eq!(shop.held("alice").await[0].left, Left::Calls(2), "given back");
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Token);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Token);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
}

#[tokio::test]
async fn a_revoked_token_opens_nothing() {
    let (shop, alice) = paid_shop().await;
    let (one, two) = (token_of(&shop, &alice, "/report").await, token_of(&shop, &alice, "/report").await);
    assert!(shop.sessions.revoke_token(ORIGIN, &one).await.unwrap());
    assert!(!shop.sessions.revoke_token("https://other.test", &two).await.unwrap());
    assert!(!shop.sessions.revoke_token(ORIGIN, "junk").await.unwrap());
    assert!(!shop.show_token("/report", &one).await);
    assert!(shop.show_token("/report", &two).await);
    // Signed out everywhere; signing in again is another matter.
    shop.sessions.sign_out(&account("alice")).await.unwrap();
    assert!(!shop.show_token("/report", &two).await);
    shop.clock.advance(1);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::SignedIn);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Token);
}

#[tokio::test]
async fn keys_rotate_without_signing_anybody_out() {
    let store: Arc<dyn SessionStore> = Arc::new(MemorySessions::new());
    let secret = |letter: &str| Secret::new(letter.repeat(32));
    let clock = tollway_testkit::FakeClock::new();
    let with_keys = async |secrets: &[Secret]| {
        let sessions = Sessions::builder().clock(clock.clone()).shared_store(store.clone());
        let sessions = sessions.keys(SessionKeys::new(secrets).unwrap()).build().unwrap();
        let facilitator = FakeFacilitator::serving("exact", NETWORK);
        let server = Shop::builder(ORIGIN, &clock, &sessions).facilitator(facilitator.clone());
        let server = server.route(route("GET /report", section())).build().await.unwrap();
        Shop { server, sessions, clock: clock.clone(), facilitator }
    };
    let old = with_keys(&[secret("a")]).await;
    let alice = Visitor::at("alice", NETWORK, clock.clone()).await;
    alice.visit(&old, "/report").await;
    let (token, proof) = (token_of(&old, &alice, "/report").await, old.proof(&alice, "/report").await);
    let both = with_keys(&[secret("b"), secret("a")]).await;
    assert!(both.show_token("/report", &token).await);
    assert!(both.show("/report", &proof).await.is_some(), "a challenge under way is still answered");
    let newer = token_of(&both, &alice, "/report").await;
    let new = with_keys(&[secret("b")]).await;
    assert!(!new.show_token("/report", &token).await);
    assert!(new.show_token("/report", &newer).await, "the newest key signs");
}

#[tokio::test]
async fn a_sign_in_alone_gives_tokens_too() {
    let page = |pattern: &str, section| Route::new(pattern).extension("session", section);
    let shop = Shop::with([
        page("GET /me", json!({ "chains": [NETWORK], "token": "15m", "over": "/me/*" })),
        page("GET /me/purchases", json!({ "chains": [NETWORK], "over": "/me/*" })),
        page("GET /you", json!({ "chains": [NETWORK], "token": "15m" })),
    ])
    .await;
    let alice = Visitor::at("alice", NETWORK, shop.clock.clone()).await;
    assert_eq!(alice.visit(&shop, "/me").await, Visit::SignedIn);
    assert_eq!(alice.visit(&shop, "/me").await, Visit::Token);
    assert_eq!(alice.visit(&shop, "/me/purchases").await, Visit::Token);
    assert_eq!(alice.visit(&shop, "/you").await, Visit::SignedIn, "another scope");
    shop.sessions.sign_out(&account("alice")).await.unwrap();
    assert_eq!(alice.visit(&shop, "/me").await, Visit::SignedIn);
}
