//! Preferences: the same words for clients and servers.

use crate::support::{self, PRICE, registry, route};
use serde_json::json;
use tollway_core::{Amount, ClientConfig, PaymentRequirements, ServerConfig, SupportedKind, Weights};
use tollway_roles::client::PaymentClientBuilder;
use tollway_roles::{PayError, PaymentClient, Route, Way};
use tollway_testkit::{COIN, EURO, FakeClock, FakeFacilitator, FakeRequest, FakeSigner, fixtures};

const MAIN: &str = "fake:main-prefer";
const TEST: &str = "fake:test-prefer";
const OTHER: &str = "fake:prefer";
const ORIGIN: &str = "https://shop.test";

fn client() -> PaymentClientBuilder {
    PaymentClient::builder()
        .registry(registry())
        .clock(FakeClock::new())
        .signer("fake:*", FakeSigner::shared("alice"))
        .without_spend_limit()
}

fn offer(network: &str, asset: &str, amount: u64) -> PaymentRequirements {
    let mut offer = fixtures::offer(network);
    offer.asset = asset.to_owned();
    offer.amount = Amount::from(amount);
    offer
}

/// One cent on each of three networks, and in euros on the last.
fn offers() -> Vec<PaymentRequirements> {
    vec![offer(OTHER, COIN, 10_000), offer(MAIN, COIN, 10_000), offer(TEST, COIN, 10_000), offer(TEST, EURO, 1)]
}

async fn pays(client: PaymentClientBuilder, offers: Vec<PaymentRequirements>) -> Result<String, String> {
    let client = client.build().await.map_err(|why| why.to_string())?;
    let paid = client.pay(&fixtures::required("https://shop.test/report", offers), ORIGIN).await;
    let paid = paid.map_err(|why| why.to_string())?.accepted;
    Ok(format!("{} {} {}", paid.network, paid.amount, paid.asset))
}

async fn network_of(client: PaymentClientBuilder) -> String {
    pays(client, offers()).await.unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_prefers_avoids_and_insists() {
    assert_eq!(network_of(client()).await, OTHER, "nothing said: the server's order");
    assert_eq!(network_of(client().prefer(["testnet"])).await, TEST);
    assert_eq!(network_of(client().prefer(["fake:main-prefer", "testnet"])).await, MAIN, "the first word outranks");
    assert_eq!(network_of(client().prefer(["mainnet"]).avoid(["mainnet"]).prefer(["make-believe"])).await, OTHER);
    assert_eq!(network_of(client().only(["testnet", "mainnet"])).await, MAIN, "alternatives, and unknown is neither");
    assert_eq!(network_of(client().avoid([MAIN]).only(["testnet", "mainnet"])).await, TEST, "avoid comes first");
    let euros = client().only(["feur"]);
    assert_eq!(pays(euros, offers()).await.unwrap(), format!("{TEST} 1 {EURO}"), "a ticker, however spelt");
    let address = client().prefer([format!("asset:{}", EURO.to_uppercase())]);
    assert_eq!(pays(address, offers()).await.unwrap(), format!("{TEST} 1 {EURO}"), "an address, however spelt");
    let why = pays(client().only(["mainnet", "FEUR"]), offers()).await.unwrap_err();
    assert!(why.contains("only `mainnet` will do") && why.contains("only `FEUR` will do"), "{why}");
}

/// A stranger must not be able to make a client open networks it avoids.
#[tokio::test]
async fn what_is_avoided_is_not_even_opened() {
    let client = client().avoid(["mainnet"]).build().await.unwrap();
    let required = fixtures::required("https://shop.test/report", vec![offer(MAIN, COIN, 1)]);
    match client.pay(&required, ORIGIN).await {
        Err(PayError::NoOffer(why)) => assert_eq!(why[0].1, "`mainnet` is avoided"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.kept(), 0);
}

#[tokio::test]
async fn a_facilitator_is_known_to_clients_by_its_address() {
    let mut both = vec![offer(OTHER, COIN, 1), offer(OTHER, COIN, 2)];
    both[1] = both[1].clone().with_extra("feePayer", "Fee111");
    let preferring = client().prefer(["facilitator:Fee111"]);
    assert_eq!(pays(preferring, both.clone()).await.unwrap(), format!("{OTHER} 2 {COIN}"));
    let insisting = client().only(["facilitator:other"]);
    assert!(pays(insisting, both).await.unwrap_err().contains("only `facilitator:other` will do"));
}

#[tokio::test]
async fn prices_in_different_assets_are_compared_with_their_decimals() {
    let weights = Weights { price: 1, latency: 0 };
    let dollars = |amount, network| offer(network, COIN, amount);
    // FEUR has two decimals and is no dollar: it cannot be compared, and counts as the dearest.
    let all = vec![offer(OTHER, EURO, 1), dollars(20_000, OTHER), dollars(19_999, MAIN), dollars(30_000, TEST)];
    assert_eq!(pays(client().weights(weights), all.clone()).await.unwrap(), format!("{MAIN} 19999 {COIN}"));
    let quick = Weights { price: 1, latency: 1 };
    assert_eq!(pays(client().weights(quick), all.clone()).await.unwrap(), format!("{TEST} 30000 {COIN}"));
    let preferred = client().weights(weights).prefer(["testnet"]);
    assert_eq!(pays(preferred, all).await.unwrap(), format!("{TEST} 30000 {COIN}"), "words outrank weights");
}

#[tokio::test]
async fn a_mistake_names_the_word_and_the_right_one() {
    for (builder, parts) in [
        (client().prefer(["make-beleive"]), ["prefer", "`make-beleive`", "did you mean `make-believe`?"]),
        (client().avoid(["mainet"]), ["avoid", "`mainet`", "did you mean `mainnet`?"]),
        (client().only(["FUSB"]), ["only", "`FUSB`", "did you mean `FUSD`?"]),
        (client().only(["exakt"]), ["only", "`exakt`", "did you mean `exact`?"]),
        (client().only(["fkae:*"]), ["only", "`fkae`", "did you mean `fake`?"]),
        (client().only(["network:fke"]), ["only", "`fke`", "did you mean `fake`?"]),
        (client().only(["zzzzzzzz"]), ["only", "`zzzzzzzz`", "make-believe, mainnet, testnet"]),
        (client().only([""]), ["only", "empty", "take it out"]),
        (client().only(["asset:"]), ["only", "`asset:`", "after the colon"]),
        (client().prefer(["testnet"]).avoid(["TestNet"]), ["`testnet`", "`prefer` and `avoid`", "take it out"]),
        (client().only(["FUSD"]).avoid(["fusd"]), ["`FUSD`", "`only` and `avoid`", "take it out"]),
        (client().prefer(vec!["testnet"; 65]), ["prefer", "65", "64"]),
    ] {
        let why = builder.build().await.unwrap_err().to_string();
        assert!(parts.iter().all(|part| why.contains(part)), "{why}");
    }
}

#[tokio::test]
async fn a_word_with_two_meanings_asks_which() {
    let both = FakeFacilitator::named("exact").kind(SupportedKind::new("exact", &fixtures::network(OTHER), None));
    let server = support::builder().facilitator(both.shared()).route(route(OTHER));
    let why = server.prefer(["exact"]).build().await.unwrap_err().to_string();
    assert!(why.contains("`scheme:exact` or `facilitator:exact`"), "{why}");
}

#[tokio::test]
async fn an_explanation_says_why_for_every_offer() {
    let client = client().prefer(["testnet"]).avoid(["mainnet"]).build().await.unwrap();
    let mut upfront = offer(OTHER, COIN, 5).with_extra("paymentFlow", "upfront");
    upfront.amount = Amount::from(5);
    let offers = [offers(), vec![upfront, offer("nowhere:1", COIN, 5)]].concat();
    let required = fixtures::required("https://shop.test/report", offers);
    let explained = client.explain(&required, ORIGIN).await.to_string();
    let lines: Vec<_> = explained.lines().collect();
    assert_eq!(
        lines,
        [
            "1. exact on fake:test-prefer, 0.01 FUSD: preferred for `testnet`",
            "2. exact on fake:test-prefer, 0.01 FEUR: preferred for `testnet`",
            "3. exact on fake:prefer, 0.01 FUSD: no preferred word holds",
            "-  exact on fake:main-prefer: dropped: `mainnet` is avoided",
            "-  exact on nowhere:1: dropped: no key is configured for nowhere:1; add .key(\"nowhere:1\", \"env:MY_KEY\")",
            "-  exact on fake:prefer, 0.000005 FUSD: dropped: it is paid before the work is done, and another offer is not",
        ]
    );
}

fn facilitator(name: &str, networks: &[&str]) -> std::sync::Arc<FakeFacilitator> {
    let kind = |network: &&str| SupportedKind::new("exact", &fixtures::network(network), None);
    networks.iter().map(kind).fold(FakeFacilitator::named(name), FakeFacilitator::kind).shared()
}

fn everywhere() -> Route {
    let ways = [OTHER, MAIN, TEST].map(|network| Way::exact(network, PRICE, "payee"));
    ways.into_iter().fold(Route::new("GET /report"), Route::accepts)
}

async fn offered(server: tollway_roles::server::ResourceServerBuilder) -> Vec<String> {
    let server = server.build().await.unwrap();
    let offers = support::challenge(&server, "/report").await.accepts;
    offers.iter().map(|offer| offer.network.to_string()).collect()
}

#[tokio::test]
async fn a_server_offers_what_it_prefers_in_this_order() {
    let server = || support::builder().facilitator(facilitator("one", &[OTHER, MAIN, TEST])).route(everywhere());
    assert_eq!(offered(server()).await, [OTHER, MAIN, TEST]);
    assert_eq!(offered(server().prefer(["testnet", "mainnet"])).await, [TEST, MAIN, OTHER]);
    assert_eq!(offered(server().avoid(["mainnet"])).await, [OTHER, TEST]);
    assert_eq!(offered(server().only(["mainnet"])).await, [MAIN]);
    assert_eq!(offered(server().only(["FUSD", "one", "exact"]).avoid(["fake:prefer"])).await, [MAIN, TEST]);
    let why = server().only(["FEUR"]).build().await.unwrap_err().to_string();
    assert!(why.contains("GET /report") && why.contains("only `FEUR` will do"), "{why}");
    let why = server().avoid(["make-believe"]).build().await.unwrap_err().to_string();
    assert!(why.contains("`make-believe` is avoided") && why.contains("`only` or `avoid`"), "{why}");
    let why = server().prefer(["onne"]).build().await.unwrap_err().to_string();
    assert!(why.contains("did you mean `one`?"), "{why}");
}

#[tokio::test]
async fn a_server_avoids_a_facilitator_and_says_why() {
    let (one, two) = (facilitator("one", &[OTHER]), facilitator("two", &[OTHER, TEST]));
    let server = support::builder().facilitator(one.clone()).facilitator(two.clone());
    let server = server.route(everywhere()).avoid(["one", "mainnet"]).prefer(["testnet"]).build().await.unwrap();
    let request = FakeRequest::get("/report");
    let explained = server.explain(&request).await.unwrap().to_string();
    let lines: Vec<_> = explained.lines().collect();
    assert_eq!(
        lines,
        [
            "1. exact on fake:test-prefer, 0.01 FUSD by `two`: preferred for `testnet`",
            "2. exact on fake:prefer, 0.01 FUSD by `two`: no preferred word holds",
            "-  exact on fake:main-prefer: dropped: `mainnet` is avoided",
            "-  exact on fake:prefer, 0.01 FUSD by `one`: dropped: `one` is avoided",
        ]
    );
    assert!(server.explain(&FakeRequest::get("/free")).await.is_none());
    let offers = support::challenge(&server, "/report").await.accepts;
    let request = support::paid("/report", &support::pay(&offers[1], "avoids"));
    support::released(support::admitted(server.admit(&request).await).finish(true).await);
    assert_eq!((one.verifies(), one.settles(), two.settles()), (0, 0, 1));
}

#[tokio::test]
async fn three_lines_of_configuration_are_enough_for_both() {
    let lines = json!({ "prefer": ["fake:prefer"], "avoid": ["mainnet"], "only": ["FUSD"] });
    let config: ClientConfig = serde_json::from_value(lines.clone()).unwrap();
    let builder = PaymentClient::builder().config(config).registry(registry()).clock(FakeClock::new());
    let builder = builder.signer("fake:*", FakeSigner::shared("alice"));
    assert_eq!(network_of(builder).await, OTHER);
    let mut config = lines;
    config["origin"] = ORIGIN.into();
    let config: ServerConfig = serde_json::from_value(config).unwrap();
    let builder = tollway_roles::ResourceServer::builder("").config(config).registry(registry());
    let builder = builder.facilitator(facilitator("one", &[OTHER, MAIN, TEST])).route(everywhere());
    assert_eq!(offered(builder).await, [OTHER, TEST]);
    let wrong = json!({ "weights": { "prize": 1 } });
    assert!(serde_json::from_value::<ClientConfig>(wrong).unwrap_err().to_string().contains("prize"));
}

/// Prices per request are judged per request.
#[tokio::test]
async fn a_price_per_request_is_judged_when_it_is_known() {
    let way = Way::exact(TEST, PRICE, "payee").price_with(|request| async move {
        format!("1 {}", request.argument("in").unwrap_or_default()).parse::<tollway_core::Price>()
    });
    let server = support::builder().facilitator(facilitator("one", &[TEST]));
    let server = server.route(Route::new("GET /report").accepts(way));
    let server = server.only(["FEUR"]).build().await.unwrap();
    let euros = support::challenge(&server, "/report?in=FEUR").await.accepts;
    assert_eq!(euros[0].asset, EURO);
    let dollars = server.admit(&FakeRequest::get("/report?in=FUSD")).await;
    assert!(support::why(dollars).contains("Unavailable"));
}
