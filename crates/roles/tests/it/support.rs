//! The usual servers and payments.

use tollway_core::{PaymentPayload, PaymentRequired, PaymentRequirements, Registry, SettleResponse};
use tollway_roles::server::{Finished, ResourceServerBuilder};
use tollway_roles::{Admission, Admitted, LocalFacilitator, Refusal, ResourceServer, Route, Way};
use tollway_testkit::{FAKE, FakeClock, FakePayload, FakeRequest, fixtures};

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

pub(crate) async fn local(network: &str) -> LocalFacilitator {
    let builder = LocalFacilitator::builder().registry(registry()).clock(FakeClock::new());
    builder.network(network, serde_json::json!({})).build().await.unwrap()
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
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
}
