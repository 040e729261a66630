//! What a repeated id is answered with, and what is never done twice.

use serde_json::{Value, json};
use std::sync::Arc;
use tollway_core::{Object, PaymentPayload, PaymentRequired, PaymentRequirements, Registry, Replay, Reply};
use tollway_pid::{PAYMENT_IDENTIFIER, PaymentIdentifierClient};
use tollway_roles::server::{Finished, Handled};
use tollway_roles::{Admission, Admitted, PaymentClient, Refusal, ResourceServer, Route, Way};
use tollway_testkit::{Answer, FAKE, FakeClock, FakeFacilitator, FakePayload, FakeRequest, FakeSigner, fixtures};

const ORIGIN: &str = "https://shop.test";
const ID: &str = "pay_interop_0123456789";

struct Shop {
    server: ResourceServer,
    facilitator: Arc<FakeFacilitator>,
    clock: Arc<FakeClock>,
}

fn registry() -> Registry {
    Registry::builder().plugin(FAKE).plugin(tollway_pid::PLUGIN).build().unwrap()
}

impl Shop {
    async fn open(name: &str, section: Value) -> Self {
        Self::with(name, section, json!({})).await
    }

    async fn with(name: &str, section: Value, config: Value) -> Self {
        let network = format!("fake:pid-{name}");
        let facilitator = FakeFacilitator::serving("exact", &network);
        let clock = FakeClock::new();
        let route = |path: &str| {
            let route = Route::new(path).accepts(Way::exact(&network, "$0.01", "payee"));
            route.extension(PAYMENT_IDENTIFIER, section.clone())
        };
        let server = ResourceServer::builder(ORIGIN)
            .registry(registry())
            .clock(clock.clone())
            .facilitator(facilitator.clone())
            .extension(PAYMENT_IDENTIFIER, config)
            .route(route("GET /report"))
            .route(route("POST /orders/*"));
        Self { server: server.build().await.unwrap(), facilitator, clock }
    }

    async fn required(&self, target: &str) -> PaymentRequired {
        match self.server.admit(&request(target)).await {
            Admission::Refused(Refusal::Challenge(challenge)) => challenge.required().clone(),
            other => panic!("not a challenge: {other:?}"),
        }
    }

    /// A payment under an id, or without one.
    async fn pay(&self, payer: &str, nonce: &str, id: Option<&str>) -> PaymentPayload {
        let required = self.required("/report").await;
        let offer: &PaymentRequirements = &required.accepts[0];
        let mut payment = fixtures::fake_payment(offer, &FakePayload::new(payer, nonce, offer));
        let mut declared = required.extensions.clone().unwrap();
        if let Some(id) = id {
            declared[PAYMENT_IDENTIFIER]["info"]["id"] = json!(id);
        }
        payment.extensions = Some(declared);
        payment
    }

    async fn admit(&self, target: &str, payment: &PaymentPayload) -> Admission {
        self.server.admit(&request(target).paying(payment)).await
    }

    /// Serves a request to its end with this answer.
    async fn serve(&self, payment: &PaymentPayload, body: &str) -> Finished {
        admitted(self.admit("/report", payment).await).finish(served(body)).await
    }

    fn calls(&self) -> (usize, usize) {
        (self.facilitator.verifies(), self.facilitator.settles())
    }
}

fn request(target: &str) -> FakeRequest {
    let request = FakeRequest::get(target);
    if target.starts_with("/orders") { request.with_method("POST") } else { request }
}

fn served(body: &str) -> Handled {
    Handled::from(true).answering(Some(Reply::json(200, body).attach("x-made", "once")))
}

fn admitted(admission: Admission) -> Admitted {
    match admission {
        Admission::Admitted(admitted) => admitted,
        other => panic!("not admitted: {other:?}"),
    }
}

fn released(finished: &Finished) -> bool {
    matches!(finished, Finished::Release { receipt: Some(_), .. })
}

fn status(admission: Admission) -> u16 {
    match admission {
        Admission::Refused(Refusal::Reply(reply)) => reply.status,
        other => panic!("no answer of the extension: {other:?}"),
    }
}

fn replayed(admission: Admission) -> Replay {
    match admission {
        Admission::Refused(Refusal::Replayed(replay)) => *replay,
        other => panic!("not answered again: {other:?}"),
    }
}

#[tokio::test]
async fn a_required_id_that_is_missing_or_malformed_is_a_bad_request() {
    let shop = Shop::open("required", json!({ "required": true })).await;
    let declared = &shop.required("/report").await.extensions.unwrap()[PAYMENT_IDENTIFIER];
    assert_eq!(declared["info"], json!({ "required": true }));
    assert_eq!(status(shop.admit("/report", &shop.pay("alice", "n1", None).await).await), 400);
    let too_long = "x".repeat(129);
    for bad in ["short", "pay_0123456789abcde!", "пay_0123456789abcdef", &too_long] {
        assert_eq!(status(shop.admit("/report", &shop.pay("alice", "n1", Some(bad)).await).await), 400, "{bad}");
    }
    let mut left_out = shop.pay("alice", "n1", Some(ID)).await;
    left_out.extensions = Some(Object::new());
    assert_eq!(status(shop.admit("/report", &left_out).await), 400);
    assert_eq!(shop.calls(), (0, 0));
    assert!(released(&shop.serve(&shop.pay("alice", "n1", Some(ID)).await, "{}").await));

    let shop = Shop::open("optional", json!({})).await;
    assert!(released(&shop.serve(&shop.pay("alice", "n1", None).await, "{}").await));
}

#[tokio::test]
async fn a_repeated_id_is_answered_again_and_nothing_runs_twice() {
    let shop = Shop::open("repeated", json!({})).await;
    let payment = shop.pay("alice", "n1", Some(ID)).await;
    assert!(released(&shop.serve(&payment, r#"{"made":1}"#).await));
    let before = shop.calls();
    let again = replayed(shop.admit("/report", &payment).await);
    assert_eq!(again.reply.body, br#"{"made":1}"#);
    assert_eq!(again.reply.attach, [("x-made".to_owned(), "once".to_owned())]);
    assert!(again.receipt.success && !again.receipt.transaction.is_empty());
    assert_eq!(shop.calls(), before, "no verify, no settle");
    assert_eq!(shop.facilitator.moved(), 1);
}

#[tokio::test]
async fn another_payment_of_the_same_payer_is_verified_and_not_settled() {
    let shop = Shop::open("verified", json!({})).await;
    assert!(released(&shop.serve(&shop.pay("alice", "n1", Some(ID)).await, "first").await));
    let other = shop.pay("alice", "n2", Some(ID)).await;
    let (verifies, settles) = shop.calls();
    assert_eq!(replayed(shop.admit("/report", &other).await).reply.body, b"first");
    assert_eq!(shop.calls(), (verifies + 1, settles));
    // Who only says to be alice gets nothing of alice's.
    shop.facilitator.on_verify([Answer::no("invalid_signature")]);
    match shop.admit("/report", &other).await {
        Admission::Refused(Refusal::Challenge(challenge)) => {
            assert_eq!(challenge.required().error.as_deref(), Some("invalid_signature"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(shop.facilitator.moved(), 1);
}

#[tokio::test]
async fn an_id_of_another_request_is_a_conflict() {
    let shop = Shop::open("conflict", json!({})).await;
    let payment = shop.pay("alice", "n1", Some(ID)).await;
    assert!(released(&shop.serve(&payment, "{}").await));
    assert_eq!(status(shop.admit("/report?page=2", &payment).await), 409);

    let shop = Shop::open("conflict-body", json!({})).await;
    let payment = shop.pay("alice", "n1", Some(ID)).await;
    let order = |target: &str, body: &'static str| request(target).with_body(body).paying(&payment);
    assert!(released(&admitted(shop.server.admit(&order("/orders/7", "one")).await).finish(served("order")).await));
    assert_eq!(status(shop.server.admit(&order("/orders/7", "two")).await), 409, "another body");
    assert_eq!(status(shop.server.admit(&order("/orders/8", "one")).await), 409, "another path");
    assert_eq!(replayed(shop.server.admit(&order("/orders/7", "one")).await).reply.body, b"order");
    assert_eq!(shop.facilitator.moved(), 1);
}

#[tokio::test]
async fn an_id_of_somebody_else_is_free() {
    let shop = Shop::open("payers", json!({})).await;
    assert!(released(&shop.serve(&shop.pay("alice", "n1", Some(ID)).await, "alice's").await));
    assert!(released(&shop.serve(&shop.pay("bob", "n1", Some(ID)).await, "bob's").await));
    assert_eq!(shop.facilitator.moved(), 2);
}

#[tokio::test]
async fn while_the_first_runs_the_second_is_told_to_wait() {
    let shop = Shop::open("busy", json!({})).await;
    let payment = shop.pay("alice", "n1", Some(ID)).await;
    let first = admitted(shop.admit("/report", &payment).await);
    let other = shop.pay("alice", "n2", Some(ID)).await;
    for payment in [&payment, &other] {
        match shop.admit("/report", payment).await {
            Admission::Refused(Refusal::Reply(reply)) => {
                assert_eq!(reply.status, 409);
                assert!(reply.attach.contains(&("retry-after".to_owned(), "1".to_owned())));
            }
            other => panic!("{other:?}"),
        }
    }
    drop(first);
    assert!(released(&shop.serve(&other, "{}").await), "the first was given up and paid nothing");
    assert_eq!(shop.facilitator.moved(), 1);
}

#[tokio::test]
async fn failures_are_not_kept() {
    let shop = Shop::open("failures", json!({})).await;
    shop.facilitator.on_verify([Answer::no("insufficient_funds"), Answer::Yes]);
    let payment = shop.pay("alice", "n1", Some(ID)).await;
    assert!(matches!(shop.admit("/report", &payment).await, Admission::Refused(Refusal::Challenge(_))));
    let failed = admitted(shop.admit("/report", &payment).await).finish(false).await;
    assert!(matches!(failed, Finished::Release { receipt: None, .. }));
    shop.facilitator.on_settle([Answer::no("insufficient_funds"), Answer::Yes]);
    assert!(matches!(shop.serve(&payment, "{}").await, Finished::Refused(Refusal::Failed(_))));
    // With another payment, too: the first was refused for good.
    assert!(released(&shop.serve(&shop.pay("alice", "n2", Some(ID)).await, "{}").await));
    assert_eq!(shop.facilitator.moved(), 1);
}

#[tokio::test]
async fn while_nobody_knows_the_outcome_only_the_same_payment_goes_on() {
    let shop = Shop::open("pending", json!({})).await;
    shop.facilitator.on_settle([Answer::Pending("0xabc".into())]);
    let payment = shop.pay("alice", "n1", Some(ID)).await;
    assert!(matches!(shop.serve(&payment, "{}").await, Finished::Refused(Refusal::Failed(_))));
    assert_eq!(status(shop.admit("/report", &shop.pay("alice", "n2", Some(ID)).await).await), 409);
    shop.facilitator.on_settle([Answer::Yes]);
    assert!(released(&shop.serve(&payment, "late").await));
    assert_eq!(replayed(shop.admit("/report", &payment).await).reply.body, b"late");
}

#[tokio::test]
async fn answers_that_are_too_long_are_not_kept_and_not_run_again() {
    let shop = Shop::with("long", json!({}), json!({ "maxAnswer": 4 })).await;
    let payment = shop.pay("alice", "n1", Some(ID)).await;
    assert_eq!(admitted(shop.admit("/report", &payment).await).keeps_answers(), Some(4));
    assert!(released(&shop.serve(&payment, "longer").await));
    match shop.admit("/report", &payment).await {
        Admission::Refused(Refusal::Failed(receipt)) => {
            assert_eq!(receipt.error_reason.unwrap().as_str(), "duplicate_settlement");
            assert!(!receipt.transaction.is_empty(), "with the receipt of the first");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(status(shop.admit("/report", &shop.pay("alice", "n2", Some(ID)).await).await), 409);
    shop.clock.advance(86_401);
    assert_eq!(shop.facilitator.moved(), 1);
}

#[tokio::test]
async fn a_route_says_what_is_wrong_with_its_section() {
    let route = Route::new("GET /x").accepts(Way::exact("fake:pid-section", "$0.01", "payee"));
    let server = ResourceServer::builder(ORIGIN)
        .registry(registry())
        .facilitator(FakeFacilitator::serving("exact", "fake:pid-section"))
        .route(route.extension(PAYMENT_IDENTIFIER, json!({ "require": true })));
    assert!(server.build().await.unwrap_err().to_string().contains("required"));
}

#[tokio::test]
async fn a_client_names_its_payments_and_each_by_its_own_id() {
    let shop = Shop::open("client", json!({ "required": true })).await;
    let builder = || {
        let alice = FakeSigner::shared("alice");
        PaymentClient::builder().registry(registry()).clock(FakeClock::new()).signer("fake:*", alice)
    };
    let client = builder().build().await.unwrap();
    let required = shop.required("/report").await;
    let id = async |client: &PaymentClient| {
        let payment = client.pay(&required, ORIGIN).await?;
        assert!(released(&shop.serve(&payment, "{}").await));
        Ok::<_, tollway_roles::PayError>(payment.extensions.unwrap()[PAYMENT_IDENTIFIER]["info"]["id"].clone())
    };
    let (first, second) = (id(&client).await.unwrap(), id(&client).await.unwrap());
    let text = first.as_str().unwrap();
    assert!(text.starts_with("pay_") && text.len() == 36, "{text}");
    assert_ne!(first, second);
    let own = builder().use_extension(|_| Ok(PaymentIdentifierClient::with_ids(|_| "order-number-0001".to_owned())));
    assert_eq!(id(&own.build().await.unwrap()).await.unwrap(), "order-number-0001");
    let bad = builder().use_extension(|_| Ok(PaymentIdentifierClient::with_ids(|_| "1".to_owned())));
    assert!(id(&bad.build().await.unwrap()).await.unwrap_err().to_string().contains("16 to 128"));
    let silent = builder().extension(PAYMENT_IDENTIFIER, json!({ "enabled": false })).build().await.unwrap();
    let payment = silent.pay(&required, ORIGIN).await.unwrap();
    assert_eq!(payment.extensions.unwrap()[PAYMENT_IDENTIFIER]["info"].get("id"), None);
}
