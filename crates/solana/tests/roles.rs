//! The three roles together on a chain in the same process: offers with hints, payments, receipts.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use solana_pubkey::Pubkey;
use std::sync::Arc;
use tollway_core::{BudgetConfig, BudgetStore, PaymentRequired, Registry, SettleResponse, SpendState};
use tollway_devnet::solana::accounts as dev;
use tollway_devnet::solana::{Devnet, USDC};
use tollway_roles::client::MemoryBudget;
use tollway_roles::{Admission, Finished, LocalFacilitator, PaymentClient, Refusal, ResourceServer, Route, Way};
use tollway_solana::{PLUGIN, Solana};
use tollway_testkit::{FakeClock, FakeRequest};

fn registry() -> Registry {
    Registry::builder().plugin(PLUGIN).plugin(tollway_roles::PLUGIN).build().unwrap()
}

fn network(devnet: Option<&Devnet>) -> Arc<Solana> {
    let builder = Solana::builder(DEVNET.parse().unwrap());
    let builder = match devnet {
        Some(devnet) => builder.rpc(devnet.client()),
        None => builder,
    };
    Arc::new(builder.build().unwrap())
}

async fn server(devnet: &Devnet, own_node: bool, way: Way) -> ResourceServer {
    let facilitator = LocalFacilitator::builder()
        .registry(registry())
        .open_network(network(Some(devnet)))
        .signer("solana:*", FACILITATOR.signer())
        .build()
        .await
        .unwrap();
    ResourceServer::builder("https://shop.test")
        .registry(registry())
        .open_network(network(own_node.then_some(devnet)))
        .facilitator(facilitator)
        .route(Route::new("GET /report").accepts(way))
        .build()
        .await
        .unwrap()
}

async fn client(devnet: Option<&Devnet>) -> PaymentClient {
    PaymentClient::builder()
        .registry(registry())
        .open_network(network(devnet))
        .signer("solana:*", CLIENT.signer())
        .build()
        .await
        .unwrap()
}

fn way() -> Way {
    Way::exact(DEVNET, "$0.001", PAY_TO.address().to_string())
}

async fn challenge(server: &ResourceServer) -> PaymentRequired {
    match server.admit(&FakeRequest::get("/report")).await {
        Admission::Refused(Refusal::Challenge(challenge)) => challenge.required().clone(),
        other => panic!("{other:?}"),
    }
}

/// Buys the report and gives the receipt.
async fn buy(server: &ResourceServer, client: &PaymentClient) -> SettleResponse {
    let required = challenge(server).await;
    let payment = client.pay(&required, "https://shop.test").await.unwrap();
    let admitted = match server.admit(&FakeRequest::get("/report").paying(&payment)).await {
        Admission::Admitted(admitted) => admitted,
        other => panic!("{other:?}"),
    };
    assert_eq!(admitted.payer().address(), CLIENT.address().to_string());
    match admitted.finish(true).await {
        Finished::Release { receipt: Some(receipt), .. } => receipt,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn with_hints_of_the_server_a_client_needs_no_node() {
    let devnet = Devnet::new().unwrap();
    let server = server(&devnet, true, way()).await;
    let first = challenge(&server).await;
    assert!(first.accepts[0].extra_member("recentBlockhash").is_none(), "nobody waits for a hint");
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    let offer = challenge(&server).await.accepts.remove(0);
    assert_eq!(offer.extra_member("feePayer").unwrap(), &FACILITATOR.address().to_string());
    let (hash, last) = devnet.latest_blockhash();
    assert_eq!(offer.extra_member("recentBlockhash").unwrap(), &hash);
    assert_eq!(offer.extra_member("lastValidBlockHeight").unwrap(), &last.to_string());

    let receipt = buy(&server, &client(None).await).await;
    assert!(receipt.success);
    assert_eq!(receipt.payer.as_deref(), Some(&*CLIENT.address().to_string()));
    assert_eq!(devnet.succeeded(&receipt.transaction.parse().unwrap()), Some(true));
    assert_eq!(devnet.token_balance(dev::PAY_TO.address, USDC), Some(1000));
}

#[tokio::test(start_paused = true)]
async fn with_a_node_of_its_own_a_client_needs_no_hints() {
    let devnet = Devnet::new().unwrap();
    let server = server(&devnet, false, way()).await;
    assert!(challenge(&server).await.accepts[0].extra_member("recentBlockhash").is_none());
    let client = client(Some(&devnet)).await;
    for paid in 1..=3 {
        buy(&server, &client).await;
        assert_eq!(devnet.token_balance(dev::PAY_TO.address, USDC), Some(1000 * paid));
    }
    let calls = devnet.calls();
    println!("three purchases: {:?}", calls.methods);
    assert_eq!(calls.of("getAccountInfo"), 1, "the client reads the mint once");
}

/// What can never be settled is given back, and no sooner; what was settled stays spent, though its answer was lost.
#[tokio::test(start_paused = true)]
async fn a_budget_gives_back_what_is_proven_dead_and_nothing_else() {
    let devnet = Devnet::new().unwrap();
    let server = server(&devnet, true, way()).await;
    let (clock, books) = (FakeClock::new(), Arc::new(MemoryBudget::new()));
    let mut budget = BudgetConfig::default();
    budget.limits.total = Some("$0.002".parse().unwrap());
    let client = PaymentClient::builder()
        .registry(registry())
        .open_network(network(Some(&devnet)))
        .signer("solana:*", CLIENT.signer())
        .clock(clock.clone())
        .budget(budget)
        .budget_store(books.clone())
        .build()
        .await
        .unwrap();
    let required = challenge(&server).await;
    let _never_presented = client.pay(&required, "https://shop.test").await.unwrap();
    let settled = client.pay(&required, "https://shop.test").await.unwrap();
    match server.admit(&FakeRequest::get("/report").paying(&settled)).await {
        Admission::Admitted(admitted) => drop(admitted.finish(true).await),
        other => panic!("{other:?}"),
    }
    let states = async || {
        client.reconcile().await.unwrap();
        let rows = books.export(0, 10).await.unwrap();
        rows.iter().map(|row| row.state).collect::<Vec<_>>()
    };
    clock.advance(3600);
    assert_eq!(states().await, [SpendState::Signed; 2], "its time is over by this clock, and the chain would take it");
    devnet.advance(200);
    assert_eq!(states().await, [SpendState::Signed; 2], "one look at one node proves nothing");
    assert!(client.pay(&required, "https://shop.test").await.is_err(), "both count");
    devnet.advance(200);
    assert_eq!(states().await, [SpendState::Released, SpendState::Spent]);
    assert!(client.pay(&required, "https://shop.test").await.is_ok(), "what is left");
    assert!(client.pay(&required, "https://shop.test").await.is_err());
}

/// The compute limit that the client sets is enough for every memo there can be, and such payments differ.
#[tokio::test(start_paused = true)]
async fn memos_of_every_length_are_paid_and_never_twice_the_same() {
    let devnet = Devnet::new().unwrap();
    let client = client(Some(&devnet)).await;
    for memo in ["", "order-42", &"x".repeat(256), &"é".repeat(128), &"𝄞".repeat(64)] {
        let server = server(&devnet, true, way().extra("memo", memo)).await;
        for _ in 0..2 {
            let receipt = buy(&server, &client).await;
            assert!(receipt.success, "{} bytes", memo.len());
        }
    }
    assert_eq!(devnet.transaction_count(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_upfront_flow_settles_before_the_handler() {
    let devnet = Devnet::new().unwrap();
    let server = server(&devnet, false, way().upfront()).await;
    let required = challenge(&server).await;
    let payment = client(Some(&devnet)).await.pay(&required, "https://shop.test").await.unwrap();
    let Admission::Admitted(admitted) = server.admit(&FakeRequest::get("/report").paying(&payment)).await else {
        panic!("not admitted")
    };
    assert!(admitted.receipt().is_some_and(|receipt| receipt.success));
    assert_eq!(devnet.token_balance(dev::PAY_TO.address, USDC), Some(1000));
    // Presented again, while the first request is served and after it.
    for _ in 0..2 {
        let again = server.admit(&FakeRequest::get("/report").paying(&payment)).await;
        assert!(matches!(again, Admission::Refused(Refusal::Failed(_))), "{again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_copies_of_one_payment_are_one_purchase() {
    let devnet = Devnet::new().unwrap();
    let server = server(&devnet, false, way()).await;
    let required = challenge(&server).await;
    let payment = client(Some(&devnet)).await.pay(&required, "https://shop.test").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..1000 {
        let (server, request) = (server.clone(), FakeRequest::get("/report").paying(&payment));
        tasks.push(tokio::spawn(async move {
            match server.admit(&request).await {
                Admission::Admitted(admitted) => matches!(admitted.finish(true).await, Finished::Release { .. }),
                _ => false,
            }
        }));
    }
    let mut released = 0;
    for task in tasks {
        released += usize::from(task.await.unwrap());
    }
    assert_eq!((released, devnet.token_balance(dev::PAY_TO.address, USDC)), (1, Some(1000)));
}

#[tokio::test(start_paused = true)]
async fn a_route_that_cannot_work_is_refused_at_start_up() {
    let devnet = Devnet::new().unwrap();
    for (way, part) in [
        (Way::exact(DEVNET, "$0.001", "alice.sol"), "alice.sol"),
        (way().extra("memo", "x".repeat(257)), "256"),
        (way().extra("feePayer", Pubkey::from([3; 32]).to_string()), "feePayer"),
    ] {
        let facilitator = LocalFacilitator::builder()
            .registry(registry())
            .open_network(network(Some(&devnet)))
            .signer("solana:*", FACILITATOR.signer())
            .build()
            .await
            .unwrap();
        let built = ResourceServer::builder("https://shop.test")
            .registry(registry())
            .open_network(network(None))
            .facilitator(facilitator)
            .route(Route::new("GET /report").accepts(way))
            .build()
            .await;
        let error = built.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// Whatever is asked for is the facilitator's key.
#[derive(Debug)]
struct Keys;

impl tollway_core::Secrets for Keys {
    fn resolve(&self, _: &tollway_core::SecretRef) -> Result<tollway_core::Secret, String> {
        Ok(tollway_core::Secret::new(FACILITATOR.0))
    }
}

#[tokio::test]
async fn it_registers_itself_and_is_set_up_by_configuration_alone() {
    let registry = Registry::discover().unwrap();
    assert!(registry.plugins().iter().any(|plugin| plugin.name() == PLUGIN.name()));
    let builder = || LocalFacilitator::builder().secrets(Arc::new(Keys));
    let node = serde_json::json!({ "rpc": "http://localhost:1" });
    let facilitator = builder().network(DEVNET, node.clone()).key("solana:*", "env:KEY").build().await.unwrap();
    let supported = tollway_core::Facilitator::supported(&facilitator).await.unwrap();
    let kind = supported.kind("exact", &DEVNET.parse().unwrap()).unwrap();
    assert_eq!(kind.extra.as_ref().unwrap()["feePayer"], FACILITATOR.address().to_string());
    assert!(!kind.extra.as_ref().unwrap().contains_key("features"), "smart wallets are not served, nor said to be");
    assert_eq!(supported.signers["solana:*"], [FACILITATOR.address().to_string()]);

    let without_node = builder().network(DEVNET, serde_json::json!({})).key("solana:*", "env:KEY").build().await;
    let error = without_node.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&format!("networks.\"{DEVNET}\".rpc")), "{error}");
    let error = builder().network(DEVNET, node).build().await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("pays fees") && error.contains("signers"), "{error}");
}
