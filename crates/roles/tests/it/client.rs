//! What a client is willing to sign.

use crate::support::registry;
use std::num::NonZeroU64;
use std::sync::Arc;
use tollway_core::{Amount, Flow, PaymentRequirements};
use tollway_roles::client::{PaymentClientBuilder, PinnedPayees, SpendLimit};
use tollway_roles::{PayError, PaymentClient};
use tollway_testkit::{EURO, FakeClock, FakeSigner, fixtures};

const ORIGIN: &str = "https://shop.test";

fn builder() -> PaymentClientBuilder {
    let alice = FakeSigner::shared("alice");
    PaymentClient::builder().registry(registry()).clock(FakeClock::new()).signer("fake:*", alice)
}

async fn pay(client: PaymentClientBuilder, offers: Vec<PaymentRequirements>) -> Result<PaymentRequirements, String> {
    let client = client.build().await.unwrap();
    let required = fixtures::required("https://shop.test/report", offers);
    let paid = client.pay(&required, ORIGIN).await;
    paid.map(|payment| payment.accepted).map_err(|why| why.to_string())
}

fn offer(network: &str, amount: u64) -> PaymentRequirements {
    let mut offer = fixtures::offer(network);
    offer.amount = Amount::from(amount);
    offer
}

#[tokio::test]
async fn pays_the_first_offer_it_can() {
    let offers = vec![offer("nowhere:1", 5), offer("fake:client", 7), offer("fake:client", 6)];
    let paid = pay(builder(), offers).await.unwrap();
    assert_eq!((paid.network.as_str(), paid.amount), ("fake:client", Amount::from(7)));
}

#[tokio::test]
async fn a_dollar_and_no_more_unless_told() {
    assert!(pay(builder(), vec![offer("fake:client", 1_000_000)]).await.is_ok());
    let why = pay(builder(), vec![offer("fake:client", 1_000_001)]).await.unwrap_err();
    assert!(why.contains("above the limit of 1000000"), "{why}");
    assert!(pay(builder().max_per_payment("$2"), vec![offer("fake:client", 1_000_001)]).await.is_ok());
    assert!(pay(builder().without_spend_limit(), vec![offer("fake:client", u64::MAX)]).await.is_ok());
    assert!(builder().max_per_payment("two dollars").build().await.is_err());
}

#[tokio::test]
async fn only_known_assets_unless_told() {
    let mut strange = offer("fake:client", 5);
    strange.asset = "strange-coin".to_owned();
    let why = pay(builder(), vec![strange.clone()]).await.unwrap_err();
    assert!(why.contains("strange-coin") && why.contains("FUSD"), "{why}");
    let limit = SpendLimit::per_payment("$1".parse().unwrap()).asset("fake:client", "STRANGE-coin", Amount::from(5));
    assert!(pay(builder().spend_limit(limit.clone()), vec![strange.clone()]).await.is_ok(), "however it is spelt");
    strange.amount = Amount::from(6);
    assert!(pay(builder().spend_limit(limit), vec![strange]).await.is_err());
}

#[tokio::test]
async fn a_limit_in_dollars_is_for_dollars() {
    let euro = |amount| {
        let mut euro = offer("fake:client-dollars", amount);
        euro.asset = EURO.to_owned();
        euro
    };
    let why = pay(builder(), vec![euro(1)]).await.unwrap_err();
    assert!(why.contains("FEUR") && why.contains("SpendLimit::asset"), "{why}");
    let limit = SpendLimit::per_payment("$1".parse().unwrap()).asset("fake:client-dollars", EURO, Amount::from(100));
    assert!(pay(builder().spend_limit(limit.clone()), vec![euro(100)]).await.is_ok());
    let why = pay(builder().spend_limit(limit), vec![euro(101)]).await.unwrap_err();
    assert!(why.contains("above the limit of 100"), "{why}");
}

#[tokio::test]
async fn an_offer_of_one_year_is_refused() {
    let year = offer("fake:client", 5).with_timeout(NonZeroU64::new(31_536_000).unwrap());
    let why = pay(builder(), vec![year.clone()]).await.unwrap_err();
    assert!(why.contains("31536000"), "{why}");
    assert!(pay(builder().max_timeout(NonZeroU64::new(40_000_000).unwrap()), vec![year]).await.is_ok());
}

#[tokio::test]
async fn a_payee_that_is_not_the_pinned_one_is_refused() {
    let pinned = || builder().policy(PinnedPayees::default().pin(ORIGIN, "PAYEE"));
    assert!(pay(pinned(), vec![offer("fake:client", 5)]).await.is_ok(), "however it is spelt");
    let mut swapped = offer("fake:client", 5);
    swapped.pay_to = "mallory".to_owned();
    assert!(pay(pinned(), vec![swapped]).await.unwrap_err().contains("mallory"));
}

#[tokio::test]
async fn networks_without_a_key_are_not_paid_on() {
    let client = PaymentClient::builder().registry(registry()).signer("fake:mine", FakeSigner::shared("alice"));
    let why = pay(client, vec![offer("fake:other", 5)]).await.unwrap_err();
    assert!(why.contains("no key is configured for fake:other"), "{why}");
}

#[tokio::test]
async fn flows_it_does_not_know_are_dropped_and_later_payment_is_preferred() {
    let flow = |name: &str, amount| offer("fake:client", amount).with_extra("paymentFlow", name);
    let why = pay(builder(), vec![flow("barter", 1)]).await.unwrap_err();
    assert!(why.contains("barter"), "{why}");
    assert!(pay(builder(), vec![flow("escrow", 1)]).await.unwrap_err().contains("escrow"));
    let paid = pay(builder(), vec![flow("upfront", 1), offer("fake:client", 2)]).await.unwrap();
    assert_eq!(paid.flow(), Ok(Flow::Authorization));
    assert_eq!(pay(builder(), vec![flow("upfront", 1)]).await.unwrap().flow(), Ok(Flow::Upfront));
}

#[tokio::test]
async fn the_chooser_chooses_and_may_choose_nothing() {
    let offers = || vec![offer("fake:client", 7), offer("fake:client", 6)];
    let cheapest = builder().chooser(|_, offers| (0..offers.len()).min_by_key(|i| offers[*i].offer.amount));
    assert_eq!(pay(cheapest, offers()).await.unwrap().amount, Amount::from(6));
    assert!(pay(builder().chooser(|_, _| None), offers()).await.unwrap_err().contains("chooser"));
    assert!(pay(builder().chooser(|_, _| Some(9)), offers()).await.is_err());
}

#[tokio::test]
async fn other_versions_and_empty_challenges_are_refused() {
    let client = builder().build().await.unwrap();
    let mut required = fixtures::required("https://shop.test/", vec![offer("fake:client", 1)]);
    required.x402_version = 3;
    assert!(matches!(client.pay(&required, ORIGIN).await, Err(PayError::Version(3))));
    let empty = fixtures::required("https://shop.test/", Vec::new());
    assert!(matches!(client.pay(&empty, ORIGIN).await, Err(PayError::NoOffer(reasons)) if reasons.is_empty()));
}

#[tokio::test]
async fn the_payment_carries_the_offer_verbatim_and_echoes_extensions() {
    let client = builder().build().await.unwrap();
    let mut offer = offer("fake:client", 5).with_extra("more", 1);
    offer.other.insert("unknown".to_owned(), true.into());
    let mut required = fixtures::required("https://shop.test/report", vec![offer.clone()]);
    let extensions = serde_json::json!({ "strange": { "info": { "a": 1 } } });
    required.extensions = extensions.as_object().cloned();
    let payment = client.pay(&required, ORIGIN).await.unwrap();
    assert_eq!(payment.accepted, offer);
    assert_eq!(payment.extensions, required.extensions);
    assert_eq!(payment.resource.unwrap().url, "https://shop.test/report");
}

/// A challenge can name any number of networks; a client does not keep what it makes for all of them.
#[tokio::test]
async fn endless_networks_do_not_fill_the_memory() {
    let client = Arc::new(builder().build().await.unwrap());
    for i in 0..200 {
        let required = fixtures::required("https://shop.test/", vec![offer(&format!("fake:endless-{i}"), 5)]);
        assert!(client.pay(&required, ORIGIN).await.is_ok());
    }
    assert!(client.kept() <= 64, "{}", client.kept());
}
