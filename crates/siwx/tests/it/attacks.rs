//! The table of attacks on sessions: one test for each row.

use crate::support::*;
use serde_json::json;
use std::sync::Arc;
use tollway_core::SignInInfo;
use tollway_roles::{Admission, Route};
use tollway_siwx::{Proof, SIGN_IN_WITH_X, Scope};
use tollway_testkit::{FakeClock, FakeRequest};

async fn paid_shop() -> (Shop, Visitor) {
    let shop = Shop::with([route("GET /report", hour())]).await;
    let alice = Visitor::new("alice").await;
    assert_eq!(alice.visit(&shop, "/report").await, Visit::Paid);
    (shop, alice)
}

/// A fresh proof of alice's, changed, with a nonce and a signature that fit.
async fn forged(shop: &Shop, alice: &Visitor, change: impl FnOnce(&mut SignInInfo)) -> Proof {
    let mut proof = shop.proof(alice, "/report").await;
    change(&mut proof.info);
    resigned(resealed(proof), "alice").await
}

#[tokio::test]
async fn an_unissued_nonce_opens_nothing() {
    let (shop, alice) = paid_shop().await;
    for nonce in ["0123456789abcdef0123456789abcdef", "", &"0".repeat(88)] {
        let mut proof = shop.proof(&alice, "/report").await;
        proof.info.nonce = nonce.to_owned();
        let proof = resigned(proof, "alice").await;
        assert_eq!(shop.show("/report", &proof).await, None, "{nonce}");
    }
    // One that another server issued, of the same origin and with another key.
    let clock = FakeClock::new();
    let sessions = tollway_siwx::Sessions::builder().clock(clock.clone()).build().unwrap();
    let server = Shop::builder(ORIGIN, &clock, &sessions).facilitator(shop.facilitator.clone());
    let other = Shop { server: server.route(route("GET /report", hour())).build().await.unwrap(), sessions, ..shop };
    assert_eq!(alice.visit(&other, "/report").await, Visit::Paid);
    let proof = other.proof(&alice, "/report").await;
    let foreign = resigned(resealed(proof.clone()), "alice").await;
    assert_eq!(other.show("/report", &foreign).await, None);
    assert!(other.show("/report", &proof).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_uses_of_one_nonce_let_one_in() {
    let (shop, alice) = paid_shop().await;
    let proof = shop.proof(&alice, "/report").await;
    let shop = Arc::new(shop);
    let uses: Vec<_> = (0..1000)
        .map(|_| {
            let (shop, proof) = (shop.clone(), proof.clone());
            tokio::spawn(async move { shop.show("/report", &proof).await.is_some() })
        })
        .collect();
    let mut let_in = 0;
    for one in uses {
        let_in += usize::from(one.await.unwrap());
    }
    assert_eq!(let_in, 1);
}

#[tokio::test]
async fn a_nonce_is_consumed_with_what_it_opens_or_not_at_all() {
    let (shop, alice) = paid_shop().await;
    let proof = shop.proof(&alice, "/report").await;
    assert!(shop.show("/report", &proof).await.is_some());
    assert_eq!(shop.show("/report", &proof).await, None, "used");
    // A visitor without an entitlement cannot fill the memory with nonces.
    let bob = Visitor::new("bob").await;
    let proof = shop.proof(&bob, "/report").await;
    assert_eq!(shop.show("/report", &proof).await, None);
    assert_eq!(bob.visit(&shop, "/report").await, Visit::Paid);
    assert!(shop.show("/report", &proof).await.is_some(), "the nonce was not used up in vain");
}

#[tokio::test]
async fn a_foreign_origin_opens_nothing() {
    let (shop, alice) = paid_shop().await;
    for domain in ["shop.test.evil", "evil.test", "shop.test:8443", "shop.test@evil.test"] {
        let proof = forged(&shop, &alice, |info| info.domain = domain.to_owned()).await;
        assert_eq!(shop.show("/report", &proof).await, None, "{domain}");
    }
    for uri in ["https://shop.test.evil/report", "http://shop.test/report", "https://shop.test@evil.test/report"] {
        let proof = forged(&shop, &alice, |info| info.uri = uri.to_owned()).await;
        assert_eq!(shop.show("/report", &proof).await, None, "{uri}");
    }
    // Parsed, not letter by letter: the same origin in another spelling is the same origin.
    let proof = forged(&shop, &alice, |info| info.domain = "SHOP.test:443".to_owned()).await;
    assert!(shop.show("/report", &proof).await.is_some());
}

#[tokio::test]
async fn a_host_header_is_no_origin() {
    let (shop, alice) = paid_shop().await;
    let request = FakeRequest::get("/report").with_credential("host", "evil.test");
    let declared = challenge(shop.server.admit(&request).await).extensions.unwrap();
    assert_eq!(declared[SIGN_IN_WITH_X]["info"]["domain"], "shop.test");
    let proof = forged(&shop, &alice, |info| info.domain = "evil.test".to_owned()).await;
    let request = request.with_credential(SIGN_IN_WITH_X, &proof.encode().unwrap());
    challenge(shop.server.admit(&request).await);
}

#[tokio::test]
async fn pay_for_the_cheap_and_the_dear_stays_shut() {
    let dear = Route::new("GET /dear").accepts(tollway_roles::Way::exact(NETWORK, "$1", "payee"));
    let shop = Shop::with([route("GET /cheap", hour()), dear.extension("session", hour())]).await;
    let alice = Visitor::new("alice").await;
    // The payload says it bought the dear one.
    let required = shop.challenge("/cheap").await;
    let mut payment = alice.client.pay(&required, ORIGIN).await.unwrap();
    payment.resource.as_mut().unwrap().url = format!("{ORIGIN}/dear");
    match shop.server.admit(&FakeRequest::get("/cheap").paying(&payment)).await {
        Admission::Admitted(admitted) => drop(admitted.finish(true).await),
        other => panic!("{other:?}"),
    }
    let held = shop.held("alice").await;
    assert_eq!(held[0].scope, Scope::route(ORIGIN, "GET /cheap"), "the server's own route is recorded");
    let proof = shop.proof(&alice, "/dear").await;
    assert_eq!(shop.show("/dear", &proof).await, None);
    // A proof names a resource too, and that decides nothing either.
    let proof = shop.proof(&alice, "/cheap").await;
    assert_eq!(shop.show("/dear", &proof).await, None);
    assert!(shop.show("/cheap", &proof).await.is_some());
}

#[tokio::test]
async fn what_is_bought_at_one_origin_opens_nothing_at_another() {
    let (shop, alice) = paid_shop().await;
    // Another server of the same operator, with the same keys and the same store.
    let other = "https://dear.shop.test";
    let server = Shop::builder(other, &shop.clock, &shop.sessions).facilitator(shop.facilitator.clone());
    let server = server.route(route("GET /report", hour())).build().await.unwrap();
    let elsewhere = Shop { server, sessions: shop.sessions.clone(), clock: shop.clock.clone(), ..shop };
    let required = elsewhere.challenge("/report").await;
    let headers = alice.client.answer(&required, other).await;
    let proof = Proof::decode(&headers[0].1).unwrap();
    assert_eq!(proof.info.domain, "dear.shop.test");
    assert_eq!(elsewhere.show("/report", &proof).await, None);
}

#[tokio::test]
async fn another_wallets_proof_and_a_changed_one_open_nothing() {
    let (shop, alice) = paid_shop().await;
    let proof = shop.proof(&alice, "/report").await;
    let mallory = resigned(proof.clone(), "mallory").await;
    assert_eq!(shop.show("/report", &mallory).await, None);
    let mut claims_alice = mallory;
    claims_alice.address = "alice".to_owned();
    assert_eq!(shop.show("/report", &claims_alice).await, None, "the signature is mallory's");
    for change in [
        |proof: &mut Proof| proof.info.expiration_time = None,
        |proof: &mut Proof| proof.info.issued_at = "2025-06-15T15:06:41.000Z".to_owned(),
        |proof: &mut Proof| proof.kind = "eip191".to_owned(),
        |proof: &mut Proof| proof.chain_id = "fake:unknown".to_owned(),
        |proof: &mut Proof| proof.chain_id = "nowhere".to_owned(),
        |proof: &mut Proof| proof.signature.push('0'),
    ] {
        let mut changed = proof.clone();
        change(&mut changed);
        assert_eq!(shop.show("/report", &changed).await, None, "{changed:?}");
    }
    assert!(shop.show("/report", &proof).await.is_some(), "nothing of it used the nonce up");
}

#[tokio::test]
async fn old_challenges_and_those_of_the_future_open_nothing() {
    let (shop, alice) = paid_shop().await;
    let old = shop.proof(&alice, "/report").await;
    shop.clock.advance(330);
    assert_eq!(shop.show("/report", &old).await, None);
    // Clocks may be thirty seconds apart, and no more.
    let ahead = shop.proof(&alice, "/report").await;
    shop.clock.set(shop.clock_now() - 31);
    assert_eq!(shop.show("/report", &ahead).await, None);
    shop.clock.advance(1);
    assert!(shop.show("/report", &ahead).await.is_some());
}

#[tokio::test]
async fn a_contract_wallet_is_bound_to_one_chain_and_a_key_is_not() {
    let both =
        |pattern: &str| Route::new(pattern).accepts(way(NETWORK)).accepts(way(OTHER)).extension("session", hour());
    let clock = FakeClock::new();
    let sessions = tollway_siwx::Sessions::builder().clock(clock.clone()).keys(keys()).build().unwrap();
    let facilitator = tollway_testkit::FakeFacilitator::serving("exact", NETWORK);
    let kind = tollway_core::SupportedKind::new("exact", &tollway_testkit::fixtures::network(OTHER), None);
    let second = tollway_testkit::FakeFacilitator::named("another").kind(kind);
    let server = Shop::builder(ORIGIN, &clock, &sessions).facilitator(facilitator.clone()).facilitator(second);
    let server = server.route(both("GET /report")).build().await.unwrap();
    let shop = Shop { server, sessions, clock: clock.clone(), facilitator };
    for (who, expected) in [("alice", Visit::SignedIn), ("contract-7", Visit::Paid)] {
        assert_eq!(Visitor::at(who, NETWORK, clock.clone()).await.visit(&shop, "/report").await, Visit::Paid);
        let elsewhere = Visitor::at(who, OTHER, clock.clone()).await;
        assert_eq!(elsewhere.visit(&shop, "/report").await, expected, "{who} signs in on another chain");
    }
}

#[tokio::test]
async fn junk_in_the_headers_is_a_request_without_them() {
    let (shop, _) = paid_shop().await;
    let long = "A".repeat(20_000);
    let many = vec!["x"; 10_000].join(",");
    for name in [SIGN_IN_WITH_X, tollway_siwx::SESSION_TOKEN] {
        for junk in ["", "!!!", "e30=", "bnVsbA==", ",,,", "é", &long, &many] {
            let required = challenge(shop.get("/report", &[(name.to_owned(), junk.to_owned())]).await);
            assert_eq!(required.error.as_deref(), Some("Payment required"));
        }
    }
    let shut = shop.get("/report", &[(SIGN_IN_WITH_X.to_owned(), json!({ "deep": [[[[]]]] }).to_string())]).await;
    challenge(shut);
}
