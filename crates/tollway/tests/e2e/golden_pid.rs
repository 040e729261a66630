//! The recorded exchange with a payment identifier, in every direction, and what a repeated request is answered with.

use crate::golden::{facilitator_alone, pay_the_server, recorded_at, server_and_facilitator};
use crate::world::{NETWORK, World, serve};
use axum::Router;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollway::evm::LocalKey;
use tollway::pid::PaymentIdentifierClient;
use tollway::{PaymentClient, http};
use tollway_devnet::accounts;
use tollway_testkit::{FakeClock, golden};

const FLOW: &str = "payment-identifier";
const ID: &str = "pay_interop_0123456789";

fn payer(now: u64) -> tollway::roles::client::PaymentClientBuilder {
    let key = LocalKey::from_hex(&accounts::CLIENT.private_key().to_string()).unwrap();
    PaymentClient::builder().clock(FakeClock::at(now)).signer(NETWORK, Arc::new(key))
}

#[tokio::test]
async fn the_recorded_client_is_answered_as_recorded() {
    let world = server_and_facilitator(FLOW).await;
    assert_eq!(world.paid_to_payee(), 1000);
}

#[tokio::test]
async fn the_recorded_server_is_answered_as_recorded() {
    facilitator_alone(FLOW).await;
}

#[tokio::test]
async fn the_recorded_server_is_paid_as_recorded() {
    let payer = payer(recorded_at(&golden::flow(FLOW)));
    let payer = payer.use_extension(|_| Ok(PaymentIdentifierClient::with_ids(|_| ID.to_owned())));
    let (sent, recorded) = pay_the_server(FLOW, payer).await;
    assert_eq!(sent["extensions"], recorded["extensions"]);
    let blank = |mut payment: Value| {
        payment["payload"]["authorization"]["nonce"].take();
        payment["payload"]["signature"].take();
        payment
    };
    assert_eq!(blank(sent), blank(recorded));
}

#[tokio::test]
async fn a_repeated_request_is_answered_again_and_paid_once() {
    let world = World::at(FakeClock::START).await;
    let mut payment = world.signed_by(accounts::CLIENT, "/pid/required").await;
    let named = |payment: &mut Value, id: &str| payment["extensions"][FLOW]["info"]["id"] = json!(id);
    payment["extensions"][FLOW]["info"].as_object_mut().unwrap().remove("id");
    assert_eq!(world.present("/pid/required", &payment).await.status, 400, "the id is required");
    named(&mut payment, ID);
    let first = world.present("/pid/required", &payment).await;
    assert_eq!(first.status, 200);
    // The same payment, and another of the same payer, as deployed clients send.
    let mut other = world.signed_by(accounts::CLIENT, "/pid/required").await;
    named(&mut other, ID);
    for again in [&payment, &other] {
        let again = world.present("/pid/required", again).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(again.receipt(), first.receipt());
        for name in ["cache-control", "content-type", "content-length"] {
            assert_eq!(again.headers.get(name), first.headers.get(name), "{name}");
        }
    }
    assert_eq!(world.paid_to_payee(), 1000);
    // Another purchase under the same id, and a signature that is not the payer's.
    let conflict = world.present("/pid/required?page=2", &payment).await;
    assert_eq!(conflict.status, 409);
    other["payload"]["signature"] = json!(format!("0x{}", "11".repeat(65)));
    let forged = world.present("/pid/required", &other).await;
    assert_eq!(forged.status, 402);
    assert!(!String::from_utf8_lossy(&forged.body).contains("route"), "nothing of the answer leaks");
    assert_eq!(world.paid_to_payee(), 1000);
}

#[tokio::test]
async fn a_client_whose_answer_was_lost_gets_it_after_all_and_pays_once() {
    let world = World::at(FakeClock::START).await;
    let (upstream, dead) = (world.server.clone(), Arc::new(AtomicBool::new(true)));
    // In front of the server: hangs up instead of passing the first paid answer on.
    let forward = async move |headers: HeaderMap| {
        let paid = headers.contains_key("payment-signature");
        let request = http::plain_client().unwrap().get(format!("{upstream}/pid/required")).headers(headers);
        let answer = request.send().await.unwrap();
        if paid && dead.swap(false, Ordering::SeqCst) {
            panic!("the line goes dead");
        }
        (answer.status(), answer.headers().clone(), answer.bytes().await.unwrap())
    };
    let front = serve(Router::new().fallback(forward)).await;
    let http = http::client(payer(FakeClock::START).build().await.unwrap()).unwrap();
    let url = format!("{front}/pid/required");
    assert!(http::PaymentError::lost(&http.get(&url).send().await.unwrap_err()).is_some());
    assert_eq!(world.paid_to_payee(), 1000);
    // Whoever simply asks again gets what was paid for.
    let answer = http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.extensions().get::<http::Receipt>().is_some_and(|receipt| receipt.success));
    assert_eq!(answer.json::<Value>().await.unwrap()["route"], "/pid/required");
    assert_eq!(world.paid_to_payee(), 1000);
    let next = http.get(&url).send().await.unwrap();
    assert_eq!((next.status().as_u16(), world.paid_to_payee()), (200, 2000), "and whoever asks anew pays anew");
}
