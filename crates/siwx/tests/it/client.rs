//! The client: what it signs, for whom, and what it keeps.

use crate::support::*;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tollway_core::{Fault, PaymentRequired, SettleResponse};
use tollway_roles::PaymentClient;
use tollway_siwx::{KeptToken, Proof, SESSION_TOKEN, SignInClient, TokenStore};
use tollway_testkit::{FakeClock, FakeSigner, fixtures};

/// A challenge of the shop's, changed.
async fn changed(change: impl FnOnce(&mut Value)) -> PaymentRequired {
    let shop = Shop::with([route("GET /report", hour())]).await;
    let mut required = serde_json::to_value(shop.challenge("/report").await).unwrap();
    change(&mut required["extensions"]["sign-in-with-x"]);
    serde_json::from_value(required).unwrap()
}

#[tokio::test]
async fn an_evil_challenge_stays_unsigned() {
    let alice = Visitor::new("alice").await;
    let answer = async |origin: &str, required| alice.client.answer(&required, origin).await;
    assert_eq!(answer(ORIGIN, changed(|_| {}).await).await.len(), 1, "its own is signed");
    for origin in ["https://evil.test", "https://shop.test.evil", "http://shop.test", "https://shop.test:8443"] {
        assert!(answer(origin, changed(|_| {}).await).await.is_empty(), "{origin} passes the shop's challenge on");
    }
    for (member, value) in [
        ("domain", "bank.test"),
        ("domain", "shop.test.evil"),
        ("uri", "https://bank.test/login"),
        ("uri", "https://shop.test/\n\nURI: https://bank.test"),
        ("version", "2"),
        ("statement", "yes\nURI: https://bank.test"),
        ("requestId", "r\r\n"),
    ] {
        let required = changed(|declared| declared["info"][member] = json!(value)).await;
        assert!(answer(ORIGIN, required).await.is_empty(), "{member} {value:?}");
    }
    for junk in [json!(null), json!({}), json!({ "info": {} }), json!([1])] {
        assert!(answer(ORIGIN, changed(|declared| *declared = junk).await).await.is_empty());
    }
}

#[tokio::test]
async fn it_signs_where_it_has_a_key_and_for_the_kind_it_knows() {
    let alice = Visitor::new("alice").await;
    let chains = async |chains: Value| {
        let required = changed(|declared| declared["supportedChains"] = chains).await;
        alice.client.answer(&required, ORIGIN).await
    };
    for none in [
        json!([]),
        json!([{ "chainId": "eip155:1", "type": "eip191" }]),
        json!([{ "chainId": NETWORK, "type": "eip191" }]),
        json!([{ "chainId": "nowhere", "type": "fake" }]),
    ] {
        assert!(chains(none.clone()).await.is_empty(), "{none}");
    }
    let many = json!([{ "chainId": "eip155:1", "type": "eip191" }, { "chainId": NETWORK, "type": "fake" }]);
    let proof = Proof::decode(&chains(many).await[0].1).unwrap();
    assert_eq!((proof.chain_id.as_str(), proof.address.as_str()), (NETWORK, "alice"));
}

#[tokio::test]
async fn it_signs_in_on_the_networks_it_was_told_and_no_other() {
    let both = json!([{ "chainId": NETWORK, "type": "fake" }, { "chainId": OTHER, "type": "fake" }]);
    let required = changed(|declared| declared["supportedChains"] = both).await;
    let chain = async |networks: Value| {
        let client = PaymentClient::builder().registry(registry()).signer("fake:*", FakeSigner::shared("alice"));
        let client = client.extension("sign-in-with-x", json!({ "networks": networks })).build().await.unwrap();
        client.answer(&required, ORIGIN).await.first().map(|header| Proof::decode(&header.1).unwrap().chain_id)
    };
    assert_eq!(chain(json!(["fake:*"])).await.as_deref(), Some(NETWORK));
    assert_eq!(chain(json!([OTHER])).await.as_deref(), Some(OTHER));
    assert_eq!(chain(json!([OTHER, NETWORK])).await.as_deref(), Some(OTHER));
    assert_eq!(chain(json!([])).await, None);
    assert_eq!(chain(json!(["eip155:*"])).await, None);
}

#[tokio::test]
async fn it_signs_in_on_the_network_it_paid_on() {
    let alice = Visitor::at("alice", "fake:*", FakeClock::new()).await;
    let both = json!([{ "chainId": NETWORK, "type": "fake" }, { "chainId": OTHER, "type": "fake" }]);
    let required = changed(|declared| declared["supportedChains"] = both).await;
    let chain = async || Proof::decode(&alice.client.answer(&required, ORIGIN).await[0].1).unwrap().chain_id;
    assert_eq!(chain().await, NETWORK);
    let payment = fixtures::payment(&fixtures::offer(OTHER), Value::Null);
    let receipt = SettleResponse::settled(fixtures::network(OTHER), "0x1", None);
    alice.client.answered(&payment, "https://elsewhere.test", Some(&receipt), None, &[]).await;
    assert_eq!(chain().await, NETWORK);
    alice.client.answered(&payment, ORIGIN, Some(&receipt), None, &[]).await;
    assert_eq!(chain().await, OTHER);
}

#[tokio::test]
async fn a_token_goes_to_its_own_origin_only() {
    let alice = Visitor::new("alice").await;
    let given = [("Session-Token".to_owned(), "secret; max-age=60".to_owned())];
    alice.client.opened(ORIGIN, &given).await;
    assert_eq!(alice.client.prepare(ORIGIN, "/any").await, [(SESSION_TOKEN.to_owned(), "secret".to_owned())]);
    for origin in ["https://shop.test.evil", "http://shop.test", "https://shop.test:8443", "https://test", ""] {
        assert!(alice.client.prepare(origin, "/any").await.is_empty(), "{origin}");
    }
}

#[tokio::test]
async fn tokens_are_kept_in_a_store_of_ones_own() {
    #[derive(Default, Clone)]
    struct Drawer(Arc<Mutex<Vec<KeptToken>>>);
    #[async_trait]
    impl TokenStore for Drawer {
        async fn keep(&self, origin: &str, token: &KeptToken) -> Result<(), Fault> {
            assert_eq!(origin, ORIGIN);
            self.0.lock().unwrap().push(token.clone());
            Ok(())
        }
        async fn of(&self, _: &str, _: u64) -> Result<Vec<KeptToken>, Fault> {
            Ok(self.0.lock().unwrap().clone())
        }
    }
    let shop = Shop::with([route("GET /report", json!({ "for": "1h", "token": "15m" }))]).await;
    let drawer = Drawer::default();
    let visitor = async || {
        let store = drawer.clone();
        let builder = PaymentClient::builder().registry(registry()).clock(shop.clock.clone());
        let builder = builder.signer(NETWORK, FakeSigner::shared("alice"));
        let builder = builder.use_extension(|cx| Ok(SignInClient::new(cx)?.token_store(store)));
        Visitor { client: builder.build().await.unwrap() }
    };
    assert_eq!(visitor().await.visit(&shop, "/report").await, Visit::Paid);
    assert_eq!(visitor().await.visit(&shop, "/report").await, Visit::Token, "another process, the same drawer");
}

#[tokio::test]
async fn signing_in_can_be_switched_off() {
    let builder = PaymentClient::builder().registry(registry()).signer(NETWORK, FakeSigner::shared("alice"));
    let builder = builder.extension("sign-in-with-x", json!({ "enabled": false }));
    let alice = Visitor { client: builder.build().await.unwrap() };
    assert!(alice.client.answer(&changed(|_| {}).await, ORIGIN).await.is_empty());
}

/// Deployed clients pay the first challenge after they were refused with its proof.
#[tokio::test]
async fn a_payment_may_echo_an_older_challenge_than_the_newest() {
    let shop = Shop::with([route("GET /report", hour())]).await;
    let alice = Visitor::new("alice").await;
    let first = shop.challenge("/report").await;
    shop.clock.advance(1);
    shop.challenge("/report").await;
    let payment = alice.client.pay(&first, ORIGIN).await.unwrap();
    let request = tollway_testkit::FakeRequest::get("/report").paying(&payment);
    assert!(matches!(shop.server.admit(&request).await, tollway_roles::Admission::Admitted(_)));
}
