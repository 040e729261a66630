//! The recorded exchanges with sign-ins: the recorded client is answered as the recorded server answered it, the recorded
//! server is asked what the recorded client asked it, proofs to the letter.
//!
//! The recorded server's nonces and milliseconds are put into the mouth of ours, and its address before our client's eyes:
//! a client signs for no other.

use crate::golden::{answers_the_server, assert_same_answer};
use crate::world::{NETWORK, ORIGIN, PAYEE, World, serve};
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tollway::core::SignInInfo;
use tollway::evm::LocalKey;
use tollway::http::{self, PaymentLayer, RemoteFacilitator, header};
use tollway::roles::client::PaymentClientBuilder;
use tollway::siwx::Nonces;
use tollway::{PaymentClient, ResourceServer, Route, Sessions, Way};
use tollway_testkit::{FakeClock, golden};

/// When the first of the recordings began: 2026-11-20T15:15:23Z.
const RECORDED: u64 = 1_795_187_723;

/// Issues the challenges of the recordings and believes no others.
#[derive(Debug)]
struct Recorded {
    next: Mutex<SignInInfo>,
    all: Vec<SignInInfo>,
}

/// The challenge in a recorded answer.
fn challenge(exchange: &Value) -> Option<SignInInfo> {
    let declared = &exchange["response"]["decoded"]["payment-required"]["extensions"]["sign-in-with-x"]["info"];
    declared.is_object().then(|| serde_json::from_value(declared.clone()).unwrap())
}

fn exchanges(flow: &str) -> Vec<Value> {
    golden::flow(flow)["http"].as_array().unwrap().clone()
}

impl Recorded {
    fn of(flows: &[&str]) -> Arc<Self> {
        let all: Vec<_> = flows.iter().flat_map(|flow| exchanges(flow)).filter_map(|one| challenge(&one)).collect();
        assert!(!all.is_empty());
        Arc::new(Self { next: Mutex::new(all[0].clone()), all })
    }
}

impl Nonces for Recorded {
    fn issue(&self, challenge: &mut SignInInfo) -> Result<(), String> {
        let next = self.next.lock().unwrap();
        challenge.nonce.clone_from(&next.nonce);
        challenge.issued_at.clone_from(&next.issued_at);
        challenge.expiration_time.clone_from(&next.expiration_time);
        Ok(())
    }

    fn is_issued(&self, challenge: &SignInInfo) -> bool {
        self.all.contains(challenge)
    }
}

/// A route of the recorded server that is paid once and opened again.
pub(crate) fn paid(path: &str, way: Way) -> Route {
    Route::new(format!("GET {path}"))
        .accepts(way)
        .extension("session", json!({ "for": "1h", "statement": "Sign in to read your purchase" }))
}

fn by_evm() -> Route {
    paid("/siwx/evm", Way::exact(NETWORK, "$0.001", PAYEE))
}

/// Our server with these routes, beside a world's facilitator and by its clock.
async fn server(world: &World, routes: Vec<Route>, nonces: Arc<Recorded>) -> String {
    let sessions = Sessions::builder().clock(world.clock.clone()).nonces(nonces).build().unwrap();
    let server = ResourceServer::builder(ORIGIN)
        .clock(world.clock.clone())
        .facilitator(RemoteFacilitator::new(&world.facilitator).unwrap())
        .use_extension("session", sessions.extension());
    let server = routes.into_iter().fold(server, |server, route| server.route(route)).build().await.unwrap();
    let ok = async |request: Request| Json(json!({ "ok": true, "route": request.uri().path() }));
    let routes = ["/siwx/evm", "/siwx/svm", "/siwx/auth"];
    let app = routes.into_iter().fold(Router::new(), |app, path| app.route(path, get(ok)));
    serve(app.layer(PaymentLayer::new(server))).await
}

/// The recorded clients, one flow after the other, against a server of ours.
pub(crate) async fn clients_are_answered(world: &World, routes: Vec<Route>, flows: &[&str]) {
    let nonces = Recorded::of(flows);
    let url = server(world, routes, nonces.clone()).await;
    for (flow, exchange) in flows.iter().flat_map(|flow| exchanges(flow).into_iter().map(move |one| (flow, one))) {
        if let Some(challenge) = challenge(&exchange) {
            *nonces.next.lock().unwrap() = challenge;
        }
        let request = &exchange["request"];
        let sent = ["sign-in-with-x", "payment-signature"].into_iter();
        let headers: Vec<_> = sent.filter_map(|name| Some((name, request["headers"][name].as_str()?))).collect();
        let answer = World::get_from(&url, request["path"].as_str().unwrap(), &headers).await;
        let mut recorded = exchange["response"].clone();
        if recorded["status"] == 200 && recorded["headers"]["payment-response"].is_null() {
            // The reference lets caches keep what a session opened; it is as private as what was paid for.
            recorded["headers"]["cache-control"] = json!("private");
        }
        let name = request["headers"].as_object().unwrap().keys().next().unwrap();
        assert_same_answer(&answer, &recorded, &format!("{flow}, {name}"));
    }
}

/// The recorded server against a client of ours: gives what our client sent with each request.
pub(crate) async fn server_is_asked(flow: &str, payer: PaymentClientBuilder) -> Vec<Value> {
    let recorded = exchanges(flow);
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (log, answers) = (seen.clone(), recorded.clone());
    let app = Router::new().fallback(async move |request: Request| {
        let decoded = |name: &str| {
            let value = request.headers().get(name)?;
            Some(header::decode::<Value>(value.as_bytes()).unwrap())
        };
        let mut log = log.lock().unwrap();
        let response = &answers[log.len()]["response"];
        log.push(json!({
            "url": request.uri().to_string(),
            "sign-in-with-x": decoded("sign-in-with-x"),
            "payment-signature": decoded("payment-signature"),
        }));
        let status = axum::http::StatusCode::from_u16(response["status"].as_u64().unwrap() as u16).unwrap();
        let mut answer = (status, response["body"].to_string()).into_response();
        for (name, value) in response["headers"].as_object().unwrap() {
            let name: axum::http::HeaderName = name.parse().unwrap();
            answer.headers_mut().insert(name, value.as_str().unwrap().parse().unwrap());
        }
        answer
    });
    // A proxy stands for the recorded server's port, whoever has that port on this machine.
    let proxy = reqwest::Proxy::http(serve(app).await).unwrap();
    let payer = payer.build().await.unwrap();
    let client = http::client_with(payer, reqwest::Client::builder().proxy(proxy)).unwrap();
    let url = golden::flow(flow)["url"].as_str().unwrap().to_owned();
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), golden::flow(flow)["status"], "{flow}");
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), recorded.len(), "{flow}: as many requests as were recorded");
    for (ours, theirs) in seen.iter().zip(&recorded) {
        assert_eq!(ours["url"], url);
        let theirs = &theirs["request"]["decoded"];
        // A proof is signed the same by everybody who has the key: it must be equal to the letter.
        assert_eq!(ours["sign-in-with-x"], theirs["sign-in-with-x"], "{flow}: proof");
        assert_eq!(ours["payment-signature"].is_null(), theirs["payment-signature"].is_null(), "{flow}");
    }
    seen
}

fn evm_wallet(world_clock: Arc<FakeClock>) -> PaymentClientBuilder {
    let key = golden::keys()["evm"]["client"]["privateKey"].as_str().unwrap().to_owned();
    PaymentClient::builder().clock(world_clock).signer(NETWORK, Arc::new(LocalKey::from_hex(&key).unwrap()))
}

/// The echo of a challenge in a payment. Deployed clients echo the first, ours the newest, which no server minds.
pub(crate) fn echoed(payment: &Value) -> SignInInfo {
    serde_json::from_value(payment["extensions"]["sign-in-with-x"]["info"].clone()).unwrap()
}

#[tokio::test]
async fn siwx_evm_pay_and_return_are_answered_as_recorded() {
    let world = World::at(RECORDED).await;
    clients_are_answered(&world, vec![by_evm()], &["siwx-evm-pay", "siwx-evm-return"]).await;
    assert_eq!(world.paid_to_payee(), 1000, "paid once, come back free");
}

#[tokio::test]
async fn siwx_evm_return_is_nothing_without_the_payment_before() {
    let world = World::at(RECORDED).await;
    let nonces = Recorded::of(&["siwx-evm-return"]);
    let url = server(&world, vec![by_evm()], nonces).await;
    let proof = exchanges("siwx-evm-return")[1]["request"]["headers"]["sign-in-with-x"].as_str().unwrap().to_owned();
    let answer = World::get_from(&url, "/siwx/evm", &[("sign-in-with-x", &proof)]).await;
    assert_eq!((answer.status, answer.error().as_str()), (402, "Payment required"));
}

#[tokio::test]
async fn siwx_evm_pay_the_recorded_server_is_answered_as_recorded() {
    answers_the_server(&World::at(RECORDED).await, "siwx-evm-pay").await;
}

#[tokio::test]
async fn siwx_evm_pay_the_recorded_server_is_asked_as_recorded() {
    let seen = server_is_asked("siwx-evm-pay", evm_wallet(FakeClock::at(RECORDED))).await;
    let recorded = &exchanges("siwx-evm-pay")[2]["request"]["decoded"]["payment-signature"];
    let ours = &seen[2]["payment-signature"];
    let blank = |payment: &Value| {
        let mut payment = payment.clone();
        payment["payload"]["authorization"]["nonce"].take();
        payment["payload"]["signature"].take();
        for member in ["nonce", "issuedAt", "expirationTime"] {
            payment["extensions"]["sign-in-with-x"]["info"][member].take();
        }
        payment
    };
    assert_eq!(blank(ours), blank(recorded));
    let challenges: Vec<_> = exchanges("siwx-evm-pay").iter().filter_map(challenge).collect();
    assert_eq!((echoed(ours), echoed(recorded)), (challenges[1].clone(), challenges[0].clone()));
}

#[tokio::test]
async fn siwx_evm_return_the_recorded_server_is_asked_as_recorded() {
    server_is_asked("siwx-evm-return", evm_wallet(FakeClock::at(RECORDED))).await;
}

#[tokio::test]
async fn siwx_auth_only_evm_the_recorded_server_is_asked_as_recorded() {
    server_is_asked("siwx-auth-only-evm", evm_wallet(FakeClock::at(RECORDED))).await;
}

#[cfg(feature = "solana")]
mod solana {
    use super::*;
    use crate::chains::{Chains, SOLANA, SOLANA_PAYEE};

    fn by_solana() -> Route {
        paid("/siwx/svm", Way::exact(SOLANA, "$0.001", SOLANA_PAYEE))
    }

    /// Opened by signing in on either chain, and not for sale.
    fn auth_only() -> Route {
        Route::new("GET /siwx/auth").extension("session", json!({ "chains": [NETWORK, SOLANA] }))
    }

    async fn chains() -> Chains {
        let chains = Chains::start("toy:unused").await;
        chains.world.clock.set(RECORDED);
        chains
    }

    #[tokio::test]
    async fn siwx_svm_pay_and_return_are_answered_as_recorded() {
        let chains = chains().await;
        clients_are_answered(&chains.world, vec![by_solana()], &["siwx-svm-pay", "siwx-svm-return"]).await;
        assert_eq!(chains.paid_on_solana(), 1000, "paid once, come back free");
    }

    #[tokio::test]
    async fn siwx_svm_pay_the_recorded_server_is_answered_as_recorded() {
        answers_the_server(&chains().await.world, "siwx-svm-pay").await;
    }

    #[tokio::test]
    async fn siwx_svm_the_recorded_server_is_asked_as_recorded() {
        for flow in ["siwx-svm-pay", "siwx-svm-return", "siwx-auth-only-svm"] {
            let chains = chains().await;
            let payer = chains.solana_wallet(PaymentClient::builder().clock(chains.world.clock.clone()));
            server_is_asked(flow, payer).await;
        }
    }

    #[tokio::test]
    async fn siwx_auth_only_is_answered_as_recorded() {
        for flow in ["siwx-auth-only-evm", "siwx-auth-only-svm"] {
            clients_are_answered(&chains().await.world, vec![auth_only()], &[flow]).await;
        }
    }
}
