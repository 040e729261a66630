//! The toy chain, found by name and paid on through the same engines as every other chain. No engine knows it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use serde_json::json;
use std::sync::Arc;
// Linked by this line alone; everything else happens through the registry.
use tollway_core::{AccountId, PaymentPayload, PaymentRequired, Registry, Request};
use tollway_roles::server::Finished;
use tollway_roles::{Admission, LocalFacilitator, PaymentClient, Refusal, ResourceServer, Route, Way};
use tollway_testkit::{FakeClock, FakeRequest, FakeSecrets};
use toy_chain as _;

const ORIGIN: &str = "https://shop.example";

/// The three roles on one toy network, as three processes would be set up.
struct Town {
    network: String,
    server: ResourceServer,
    client: PaymentClient,
    clock: Arc<FakeClock>,
}

impl Town {
    async fn new(network: &str, route: Route) -> Self {
        let clock = FakeClock::new();
        let section = json!({ "gift": 100 });
        let facilitator =
            LocalFacilitator::builder().network(network, section.clone()).clock(clock.clone()).build().await.unwrap();
        let server = ResourceServer::builder(ORIGIN).facilitator(facilitator).clock(clock.clone()).route(route);
        let client = PaymentClient::builder()
            .network(network, section)
            .key("toy:*", "env:PIN")
            .secrets(FakeSecrets::new(format!("the PIN of a customer of {network}")).shared())
            .clock(clock.clone());
        let (server, client) = (server.build().await.unwrap(), client.build().await.unwrap());
        Self { network: network.to_owned(), server, client, clock }
    }

    async fn challenge(&self, request: &dyn Request) -> PaymentRequired {
        match self.server.admit(request).await {
            Admission::Refused(Refusal::Challenge(challenge)) => challenge.required().clone(),
            other => panic!("an unpaid request must be challenged: {other:?}"),
        }
    }

    async fn pay(&self) -> PaymentPayload {
        let required = self.challenge(&FakeRequest::get("/report")).await;
        self.client.pay(&required, ORIGIN).await.unwrap()
    }

    /// Presents a payment; the transaction, or why there is none.
    async fn present(&self, payment: &PaymentPayload) -> Result<String, String> {
        match self.server.admit(&FakeRequest::get("/report").paying(payment)).await {
            Admission::Admitted(admitted) => match admitted.finish(true).await {
                Finished::Release { receipt: Some(receipt), .. } => Ok(receipt.transaction),
                other => Err(format!("{other:?}")),
            },
            Admission::Refused(Refusal::Challenge(challenge)) => Err(challenge.required().error.clone().unwrap()),
            Admission::Refused(Refusal::Failed(receipt)) => Err(receipt.error_reason.unwrap().to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn balance(&self, address: &str) -> u64 {
        toy_chain::balance(&AccountId::new(self.network.parse().unwrap(), address))
    }
}

fn route(network: &str, price: &str) -> Route {
    Route::new("GET /report").accepts(Way::exact(network, price, "shop"))
}

#[test]
fn it_is_found_by_linking_its_crate() {
    let registry = Registry::discover().unwrap();
    let plugin = registry.plugins().iter().find(|plugin| plugin.name() == "toy-chain").expect("registered by itself");
    assert!(!plugin.summary().is_empty());
}

#[tokio::test]
async fn a_request_is_paid_and_a_replay_is_refused() {
    let town = Town::new("toy:paid", route("toy:paid", "$0.05")).await;
    let payment = town.pay().await;
    let payer = payment.payload["from"].as_str().unwrap().to_owned();
    assert_eq!((town.balance(&payer), town.balance("shop")), (100, 0));

    let transaction = town.present(&payment).await.unwrap();
    assert!(transaction.contains("/note/"), "{transaction}");
    assert_eq!((town.balance(&payer), town.balance("shop")), (95, 5));

    assert_eq!(town.present(&payment).await.unwrap_err(), "duplicate_settlement");
    let mut shouted = payment.clone();
    shouted.payload["from"] = json!(payer.to_uppercase());
    assert_eq!(
        town.present(&shouted).await.unwrap_err(),
        "duplicate_settlement",
        "letter case makes no second payment"
    );
    assert_eq!((town.balance(&payer), town.balance("shop")), (95, 5));

    let again = town.pay().await;
    town.present(&again).await.unwrap();
    assert_eq!((town.balance(&payer), town.balance("shop")), (90, 10));
}

#[tokio::test]
async fn another_server_cannot_cash_a_used_note() {
    let town = Town::new("toy:two", route("toy:two", "$0.05")).await;
    let neighbour = Town::new("toy:two", route("toy:two", "$0.05")).await;
    let payment = town.pay().await;
    town.present(&payment).await.unwrap();
    assert_eq!(neighbour.present(&payment).await.unwrap_err(), "toy_note_spent");
    assert_eq!(town.balance("shop"), 5);
}

#[tokio::test]
async fn who_cannot_pay_is_told_why_and_keeps_what_he_has() {
    let town = Town::new("toy:poor", route("toy:poor", "$0.60")).await;
    let (first, second) = (town.pay().await, town.pay().await);
    town.present(&first).await.unwrap();
    assert_eq!(town.present(&second).await.unwrap_err(), "insufficient_funds");
    assert_eq!((town.balance(first.payload["from"].as_str().unwrap()), town.balance("shop")), (40, 60));
}

#[tokio::test]
async fn a_bent_note_pays_nothing() {
    let town = Town::new("toy:bent", route("toy:bent", "$0.05")).await;
    let payment = town.pay().await;
    let bent = |member: &str, value: serde_json::Value| {
        let mut bent = payment.clone();
        bent.payload[member] = value;
        bent
    };
    assert_eq!(town.present(&bent("seal", json!("0000000000000000"))).await.unwrap_err(), "toy_invalid_seal");
    assert_eq!(town.present(&bent("nonce", json!(1))).await.unwrap_err(), "toy_invalid_seal");
    assert_eq!(town.present(&bent("from", json!("somebody"))).await.unwrap_err(), "toy_invalid_seal");
    assert_eq!(town.present(&bent("from", json!("../etc"))).await.unwrap_err(), "toy_invalid_address");
    assert_eq!(town.present(&bent("nonce", json!("1"))).await.unwrap_err(), "invalid_payload");
    let mut cheaper = payment.clone();
    cheaper.accepted.amount = tollway_core::Amount::from(1);
    assert_eq!(town.present(&cheaper).await.unwrap_err(), "No matching payment requirements");
    town.clock.advance(100_000);
    assert_eq!(town.present(&payment).await.unwrap_err(), "toy_note_expired");
    assert_eq!(town.balance("shop"), 0);
}
