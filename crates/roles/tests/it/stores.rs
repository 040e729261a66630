//! Engines over stores that take their time, and what the ledger in memory keeps and forgets.

use crate::support::*;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{
    ClaimKey, ClaimRow, Fault, Found, Ledger, OpenSlot, Outcome, Scope, Settled, SignedTx, Taken, Ticket,
};
use tollway_roles::MemoryLedger;
use tollway_testkit::{Answer, FakeChain, FakeClock, FakeFacilitator, FakePayload, fixtures};

/// A store on a disk or behind a network: every call takes 5 ms, and a caller can leave meanwhile.
#[derive(Default)]
struct Slow(MemoryLedger);

async fn moment() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

#[async_trait]
impl Ledger for Slow {
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        moment().await;
        self.0.take(row).await
    }

    async fn retake(&self, row: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
        moment().await;
        self.0.retake(row).await
    }

    async fn find(&self, scope: Scope, key: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
        moment().await;
        self.0.find(scope, key).await
    }

    async fn write_signed(&self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault> {
        moment().await;
        self.0.write_signed(tx, claims).await
    }

    async fn resolve(&self, scope: Scope, outcomes: &[(Ticket, Outcome)]) -> Result<(), Fault> {
        moment().await;
        self.0.resolve(scope, outcomes).await
    }

    async fn open(&self, limit: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        moment().await;
        self.0.open(limit).await
    }
}

fn slow() -> Arc<dyn Ledger> {
    Arc::new(Slow::default())
}

#[tokio::test(start_paused = true)]
async fn the_client_leaves_at_every_await_of_a_slow_store() {
    leave_at_every_await("stores-leaves", slow).await;
}

#[tokio::test(start_paused = true)]
async fn the_client_leaves_while_the_outcome_is_written() {
    let network = "fake:stores-outcome";
    let (chain, ledger) = (FakeChain::at(network), slow());
    let facilitator = local_builder(network).ledger(ledger.clone()).build().await.unwrap();
    let server = builder().ledger(ledger).facilitator(facilitator).route(route(network)).build().await.unwrap();
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    let admission = admitted(server.admit(&request).await);
    let finish = tokio::time::timeout(Duration::from_millis(3), admission.finish(true));
    assert!(finish.await.is_err(), "the client leaves in the middle");
    settle_down().await;
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_client_leaves_while_a_refusal_is_written() {
    let network = "fake:stores-refusal";
    let facilitator = FakeFacilitator::serving("exact", network);
    facilitator.on_verify([Answer::no("insufficient_funds"), Answer::Yes]);
    let server = builder().ledger(slow()).facilitator(facilitator.clone()).route(route(network));
    let server = server.build().await.unwrap();
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    // Taking the claim takes 5 ms, writing the refusal another five.
    let admit = tokio::time::timeout(Duration::from_millis(8), server.admit(&request));
    assert!(admit.await.is_err(), "the client leaves in the middle");
    assert_eq!(facilitator.verifies(), 1);
    settle_down().await;
    released(admitted(server.admit(&request).await).finish(true).await);
}

#[tokio::test]
async fn a_row_in_use_is_not_forgotten() {
    let clock = FakeClock::new();
    let ledger = MemoryLedger::new(clock.clone());
    let row = fixtures::row(Scope::Server, "in-use", "a");
    let ticket = ledger.take(&row).await.unwrap().ticket().unwrap();
    let undelivered = Outcome::Undelivered(Settled::new("0x1", "alice"));
    ledger.resolve(Scope::Server, &[(ticket, undelivered)]).await.unwrap();
    // Taken over just before it would be forgotten, and served since.
    clock.advance(24 * 3600 - 5);
    assert!(ledger.retake(&row).await.unwrap().is_some());
    clock.advance(10);
    let other = ledger.take(&fixtures::row(Scope::Server, "in-use", "b")).await.unwrap();
    assert_eq!(other, Taken::Foreign, "two holders of one claim");
}

#[tokio::test]
async fn what_nobody_came_back_for_is_forgotten_in_the_end() {
    let (network, clock) = ("fake:stores-forgotten", FakeClock::new());
    let (facilitator, ledger) =
        (FakeFacilitator::serving("exact", network), Arc::new(MemoryLedger::new(clock.clone())));
    let server = builder().clock(clock.clone()).ledger(ledger.clone()).facilitator(facilitator.clone());
    let server = server.route(route(network)).build().await.unwrap();
    let offer = first_offer(&server, "/report").await;
    let finish = async |nonce: String, until: u64| {
        let payload = FakePayload::valid_until("alice", &nonce, &offer, until);
        let request = paid("/report", &fixtures::fake_payment(&offer, &payload));
        admitted(server.admit(&request).await).finish(true).await
    };
    facilitator.on_settle([Answer::Dropped]);
    for i in 0..100 {
        finish(format!("unknown-{i}"), FakeClock::START + 60).await;
    }
    assert_eq!(ledger.len(), 100);
    clock.advance(30 * 24 * 3600);
    facilitator.on_settle([Answer::Yes]);
    for i in 0..100 {
        released(finish(format!("settled-{i}"), FakeClock::START + 60).await);
    }
    assert!(ledger.len() <= 100, "{} rows a month later", ledger.len());
}
