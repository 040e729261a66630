//! The usual servers and payments.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tollway_core::{Ledger, PaymentPayload, PaymentRequired, PaymentRequirements, Registry, SettleResponse};
use tollway_roles::facilitator::LocalFacilitatorBuilder;
use tollway_roles::server::{Finished, ResourceServerBuilder};
use tollway_roles::{Admission, Admitted, LocalFacilitator, Refusal, ResourceServer, Route, Way};
use tollway_testkit::{FAKE, FakeChain, FakeClock, FakePayload, FakeRequest, Script, fixtures};

pub(crate) const ORIGIN: &str = "https://shop.test";
/// One cent of the fake dollar.
pub(crate) const PRICE: &str = "$0.01";

pub(crate) fn paid(target: &str, payment: &PaymentPayload) -> FakeRequest {
    FakeRequest::get(target).paying(payment)
}

pub(crate) fn registry() -> Registry {
    Registry::builder().plugin(FAKE).build().unwrap()
}

pub(crate) fn builder() -> ResourceServerBuilder {
    ResourceServer::builder(ORIGIN).registry(registry()).clock(FakeClock::new())
}

pub(crate) fn way(network: &str) -> Way {
    Way::exact(network, PRICE, "payee")
}

pub(crate) fn route(network: &str) -> Route {
    Route::new("GET /report").accepts(way(network))
}

/// A facilitator for one fake network.
pub(crate) fn local_builder(network: &str) -> LocalFacilitatorBuilder {
    let builder = LocalFacilitator::builder().registry(registry()).clock(FakeClock::new());
    builder.network(network, serde_json::json!({}))
}

pub(crate) async fn local(network: &str) -> LocalFacilitator {
    local_builder(network).build().await.unwrap()
}

/// The offers of an unpaid request's challenge.
pub(crate) async fn challenge(server: &ResourceServer, target: &str) -> PaymentRequired {
    match server.admit(&FakeRequest::get(target)).await {
        Admission::Refused(Refusal::Challenge(challenge)) => challenge.required().clone(),
        other => panic!("not a challenge: {other:?}"),
    }
}

pub(crate) async fn first_offer(server: &ResourceServer, target: &str) -> PaymentRequirements {
    challenge(server, target).await.accepts.remove(0)
}

pub(crate) fn pay(offer: &PaymentRequirements, nonce: &str) -> PaymentPayload {
    fixtures::fake_payment(offer, &FakePayload::new("alice", nonce, offer))
}

pub(crate) fn pay_scripted(offer: &PaymentRequirements, nonce: &str, script: Script) -> PaymentPayload {
    fixtures::fake_payment(offer, &FakePayload::new("alice", nonce, offer).scripted(script))
}

/// Cancels a paid request after every number of polls, over stores like this, and presents the payment again: it is
/// always answered in the end, and the money moves exactly once.
pub(crate) async fn leave_at_every_await(name: &str, store: fn() -> Arc<dyn Ledger>) {
    let mut ended_early = 0;
    for polls in 0.. {
        let network = format!("fake:{name}-{polls}");
        let (chain, ledger) = (FakeChain::at(&network), store());
        let facilitator = local_builder(&network).ledger(ledger.clone()).build().await.unwrap();
        let server = builder().facilitator(facilitator).ledger(ledger).route(route(&network)).build().await.unwrap();
        // Every call of the chain takes a moment, so that there is something to leave in the middle of.
        let payment = pay_scripted(&first_offer(&server, "/report").await, "n1", Script::well().delayed(3));
        let request = paid("/report", &payment);
        let mut serve = Box::pin(async {
            let admitted = admitted(server.admit(&request).await);
            released(admitted.finish(true).await)
        });
        let mut done = false;
        for _ in 0..polls {
            let polled = std::future::poll_fn(|cx| Poll::Ready(serve.as_mut().poll(cx))).await;
            if polled.is_ready() {
                done = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(serve);
        settle_down().await;
        if !done {
            ended_early += 1;
            let receipt = released(admitted(server.admit(&request).await).finish(true).await);
            assert!(receipt.success);
        }
        assert_eq!(chain.auditor().transfers().len(), 1, "after {polls} polls");
        assert_eq!(why(server.admit(&request).await), "failed duplicate_settlement");
        if done {
            break;
        }
    }
    assert!(ended_early > 4, "the request was cut short {ended_early} times only");
}

pub(crate) fn admitted(admission: Admission) -> Admitted {
    match admission {
        Admission::Admitted(admitted) => admitted,
        other => panic!("not admitted: {other:?}"),
    }
}

pub(crate) fn released(finished: Finished) -> SettleResponse {
    match finished {
        Finished::Release { receipt: Some(receipt), .. } => receipt,
        other => panic!("not released with a receipt: {other:?}"),
    }
}

/// The error of a refusal, whichever kind it is.
pub(crate) fn why(admission: Admission) -> String {
    match admission {
        Admission::Refused(refusal) => refusal_text(&refusal),
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn refusal_text(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Challenge(challenge) => challenge.required().error.clone().unwrap_or_default(),
        Refusal::Failed(receipt) => format!("failed {}", receipt.error_reason.as_ref().unwrap()),
        other => format!("{other:?}"),
    }
}

/// Lets tasks that were started on the side run to their end.
pub(crate) async fn settle_down() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
}
