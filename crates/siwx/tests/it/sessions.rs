//! What a payment buys: for a time, for calls, as credit; on a route, under a path, in a tier.

use crate::support::*;
use serde_json::json;
use std::sync::Arc;
use tollway_core::{Amount, AssetAmount, Price};
use tollway_roles::{Admission, Route, Way};
use tollway_siwx::{Left, Scope};

#[tokio::test]
async fn pay_once_come_back_free_until_it_ends() {
    let shop = Shop::with([route("GET /report", hour())]).await;
    let alice = Visitor::new("alice").await;
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
    for _ in 0..3 {
        assert_eq!(alice.visit(&shop, "/report").await, Visit::SignedIn);
    }
    assert_eq!(shop.facilitator.settles(), 1);
    shop.clock.advance(3599);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::SignedIn);
    // An entitlement has an end.
    shop.clock.advance(1);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
    assert_eq!(shop.facilitator.settles(), 2);
}

#[tokio::test]
async fn an_entitlement_ends() {
    let shop = Shop::with([route("GET /report", hour())]).await;
    let alice = Visitor::new("alice").await;
    alice.visit(&shop, "/report").await;
    let held = shop.held("alice").await;
    assert_eq!((held.len(), held[0].ends, &held[0].left), (1, tollway_testkit::FakeClock::START + 3600, &Left::Time));
    shop.clock.advance(3600);
    let proof = shop.proof(&alice, "/report").await;
    assert_eq!(shop.show("/report", &proof).await, None);
    assert!(shop.held("alice").await.is_empty());
}

#[tokio::test]
async fn a_payment_buys_so_many_calls() {
    let shop = Shop::with([route("GET /report", json!({ "calls": 3 }))]).await;
    let alice = Visitor::new("alice").await;
    let visits = async |n| {
        let mut seen = Vec::new();
        for _ in 0..n {
            seen.push(alice.visit(&shop, "/report").await);
        }
        seen
    };
    assert_eq!(visits(5).await, [Visit::Paid, Visit::SignedIn, Visit::SignedIn, Visit::SignedIn, Visit::Paid]);
    // Calls end too: after thirty days, where the route says nothing else.
    shop.clock.advance(30 * 24 * 3600);
    assert_eq!(visits(1).await, [Visit::Paid]);
}

#[tokio::test]
async fn a_call_that_is_not_served_is_given_back() {
    let shop = Shop::with([route("GET /report", json!({ "calls": 1 }))]).await;
    let alice = Visitor::new("alice").await;
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
    // The handler answers 400 or above.
    assert_eq!(alice.visit_served(&shop, "/report", false).await, Visit::SignedIn);
    assert_eq!(shop.held("alice").await[0].left, Left::Calls(1));
    // The handler panics, or the client leaves.
    let proof = shop.proof(&alice, "/report").await;
    let header = (tollway_siwx::SIGN_IN_WITH_X.to_owned(), proof.encode().unwrap());
    match shop.get("/report", &[header]).await {
        Admission::Granted(granted) => drop(granted),
        other => panic!("{other:?}"),
    }
    tokio::task::yield_now().await;
    assert_eq!(alice.visit(&shop, "/report").await, Visit::SignedIn);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_calls_on_a_hundred_let_a_hundred_in() {
    let shop = Shop::with([route("GET /report", json!({ "calls": 100 }))]).await;
    let alice = Visitor::new("alice").await;
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
    let mut proofs = Vec::new();
    for _ in 0..1000 {
        proofs.push(shop.proof(&alice, "/report").await);
    }
    let shop = Arc::new(shop);
    let calls: Vec<_> = proofs
        .into_iter()
        .map(|proof| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.show("/report", &proof).await.is_some() })
        })
        .collect();
    let mut passed = 0;
    for call in calls {
        passed += usize::from(call.await.unwrap());
    }
    assert_eq!(passed, 100);
}

#[tokio::test]
async fn credit_is_spent_call_by_call() {
    let five = Way::exact(NETWORK, "$0.05", "payee");
    let topup =
        Route::new("POST /topup").accepts(five).extension("session", json!({ "credit": true, "tier": "paid-up" }));
    let data = |pattern: &str, price: &str| {
        let way = Way::exact(NETWORK, price, "payee");
        Route::new(pattern).accepts(way).extension("session", json!({ "tier": "paid-up" }))
    };
    let euro = AssetAmount { amount: Amount::from(1), asset: tollway_testkit::EURO.into(), extra: None };
    let foreign = Route::new("GET /foreign").accepts(way(NETWORK).price(Price::Asset(euro)));
    let shop = Shop::with([
        topup,
        data("GET /two", "$0.02"),
        data("GET /one", "$0.01"),
        foreign.extension("session", json!({ "tier": "paid-up" })),
    ])
    .await;
    let alice = Visitor::new("alice").await;
    // Bought by a POST; the rest is GET.
    let buy = tollway_testkit::FakeRequest::get("/topup").with_method("POST");
    let required = challenge(shop.server.admit(&buy).await);
    let payment = alice.client.pay(&required, ORIGIN).await.unwrap();
    match shop.server.admit(&buy.clone().paying(&payment)).await {
        Admission::Admitted(admitted) => drop(admitted.finish(true).await),
        other => panic!("{other:?}"),
    }
    let left = async || match &shop.held("alice").await[..] {
        [held] => match &held.left {
            Left::Credit(credit) => credit.amount.to_string(),
            other => panic!("{other:?}"),
        },
        [] => "nothing".to_owned(),
        more => panic!("{more:?}"),
    };
    assert_eq!(left().await, "50000");
    assert_eq!(alice.visit(&shop, "/two").await, Visit::SignedIn);
    assert_eq!(left().await, "30000");
    assert_eq!(
        alice.visit(&shop, "/foreign").await,
        Visit::Refused,
        "credit is in one asset, and the limit in dollars"
    );
    assert_eq!(alice.visit_served(&shop, "/one", false).await, Visit::SignedIn);
    assert_eq!(left().await, "30000", "what was not served is given back");
    assert_eq!(alice.visit(&shop, "/two").await, Visit::SignedIn);
    assert_eq!(alice.visit(&shop, "/two").await, Visit::Paid, "one cent does not pay for two");
    assert_eq!(alice.visit(&shop, "/one").await, Visit::SignedIn);
    assert_eq!(left().await, "nothing");
    // A top-up is never paid out of what is left.
    let proof = shop.proof(&alice, "/one").await;
    let again = buy.with_credential(tollway_siwx::SIGN_IN_WITH_X, &proof.encode().unwrap());
    challenge(shop.server.admit(&again).await);
}

#[tokio::test]
async fn what_is_bought_opens_the_routes_under_its_path_and_no_other() {
    let shop = Shop::with([
        route("GET /index", json!({ "for": "1h", "over": "/files/*" })),
        route("GET /files/:name", json!({ "calls": 1 })),
        route("GET /filesystem", json!({ "calls": 1 })),
    ])
    .await;
    let alice = Visitor::new("alice").await;
    assert_eq!(alice.visit(&shop, "/index").await, Visit::Paid);
    for path in ["/files/a", "/files/b", "/FILES/a"] {
        assert_eq!(alice.visit(&shop, path).await, Visit::SignedIn, "{path}");
    }
    assert_eq!(alice.visit(&shop, "/filesystem").await, Visit::Paid);
    assert_eq!(alice.visit(&shop, "/index").await, Visit::Paid, "the index itself is not under the path");
}

#[tokio::test]
async fn a_tier_is_sold_on_one_route_and_opens_others() {
    let members = Route::new("GET /members").extension("session", json!({ "tier": "pro", "chains": [NETWORK] }));
    let shop = Shop::with([
        route("POST /subscribe", json!({ "for": "30d", "tier": "pro" })),
        route("GET /report", json!({ "tier": "pro" })),
        members,
    ])
    .await;
    let alice = Visitor::new("alice").await;
    assert_eq!(alice.visit(&shop, "/members").await, Visit::Refused, "it cannot be bought here");
    shop.sessions.grant(&account("alice"), Scope::tier(ORIGIN, "pro"), 60, Left::Time).await.unwrap();
    assert_eq!(alice.visit(&shop, "/members").await, Visit::SignedIn);
    assert_eq!(alice.visit(&shop, "/report").await, Visit::SignedIn);
    assert_eq!(Visitor::new("bob").await.visit(&shop, "/report").await, Visit::Paid);
    assert!(shop.held("bob").await.is_empty(), "this route sells nothing beyond its request");
}

#[tokio::test]
async fn signing_in_is_enough_where_nothing_is_sold() {
    let account_page = Route::new("GET /me").extension("session", json!({ "chains": [NETWORK, OTHER] }));
    let shop = Shop::with([account_page]).await;
    let required = shop.challenge("/me").await;
    assert!(required.accepts.is_empty());
    let declared = &required.extensions.unwrap()["sign-in-with-x"];
    assert_eq!(declared["supportedChains"][1], json!({ "chainId": OTHER, "type": "fake" }));
    let alice = Visitor::new("alice").await;
    let proof = shop.proof(&alice, "/me").await;
    assert_eq!(shop.show("/me", &proof).await, Some(account("alice")), "the handler learns who it is");
    assert_eq!(alice.visit(&shop, "/me").await, Visit::SignedIn);
}

#[tokio::test]
async fn several_wallets_share_what_one_paid_for() {
    let shop = Shop::with([route("GET /report", json!({ "calls": 3, "token": "15m" }))]).await;
    let (alice, bob) = (Visitor::new("alice").await, Visitor::new("bob").await);
    alice.visit(&shop, "/report").await;
    let id = shop.held("alice").await[0].id.clone();
    let share = async |owner, guest| shop.sessions.share(&id, &account(owner), &account(guest)).await.unwrap();
    assert!(!share("bob", "bob").await, "only the owner shares");
    assert!(share("alice", "bob").await);
    assert_eq!(bob.visit(&shop, "/report").await, Visit::SignedIn);
    assert_eq!(shop.held("bob").await[0].left, Left::Calls(2), "one pot");
    assert!(shop.sessions.unshare(&id, &account("alice"), &account("bob")).await.unwrap());
    assert_eq!(bob.visit(&shop, "/report").await, Visit::Paid, "and bob's token opens nothing any more");
    assert!(shop.sessions.end(&id).await.unwrap());
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
}
