//! The recorded exchanges of the reference SDK: what its client sent gets from us what its server and its facilitator
//! answered, and our client sends what its client sent.

use crate::world::{Answer, NETWORK, ORIGIN, World};
use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tollway::core::{PaymentPayload, PaymentRequired};
use tollway::evm::LocalKey;
use tollway::roles::client::{ClientHook, PaymentClientBuilder, Purchase};
use tollway::{PaymentClient, http};
use tollway_testkit::{FakeClock, golden};

/// The hour of a recording: its payment was signed to be valid for 300 seconds.
pub(crate) fn recorded_at(flow: &Value) -> u64 {
    let signed = &flow["http"][1]["request"]["decoded"]["payment-signature"]["payload"];
    let until = signed.pointer("/authorization/validBefore").or(signed.pointer("/permit2Authorization/deadline"));
    until.and_then(Value::as_str).unwrap().parse::<u64>().unwrap() - 300
}

/// Blanks what differs from run to run: hashes of the EVM's transactions, and the words for people.
pub(crate) fn without_incidentals(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.remove("invalidMessage");
        object.remove("errorMessage");
        // A metered request that cost nothing has no transaction, and one on Solana is named by what was signed.
        let is_hash = |transaction: &&mut Value| transaction.as_str().is_some_and(|hash| hash.starts_with("0x"));
        if let Some(transaction) = object.get_mut("transaction").filter(is_hash) {
            assert_eq!(transaction.as_str().map(str::len), Some(66));
            *transaction = json!("0x…");
        }
    }
    value
}

pub(crate) fn assert_same_answer(ours: &Answer, recorded: &Value, what: &str) {
    assert_eq!(ours.status, recorded["status"], "{what}: status");
    for name in ["payment-required", "payment-response"] {
        let theirs = recorded["decoded"][name].clone();
        assert_eq!(without_incidentals(ours.decoded(name)), without_incidentals(theirs), "{what}: {name}");
    }
    let theirs = recorded["headers"]["cache-control"].as_str();
    assert_eq!(ours.headers.get("cache-control").map(String::as_str), theirs, "{what}: cache-control");
    assert!(ours.headers["content-type"].starts_with("application/json"), "{what}: content-type");
    assert_eq!(ours.json(), recorded["body"], "{what}: body");
}

/// The recorded client against our server, our facilitator and our chain.
pub(crate) async fn server_and_facilitator(name: &str) -> World {
    let world = World::at(recorded_at(&golden::flow(name))).await;
    answers_the_client(&world, name).await;
    world
}

/// The recorded client is answered as the recorded server answered it.
pub(crate) async fn answers_the_client(world: &World, name: &str) {
    let flow = golden::flow(name);
    for (i, exchange) in flow["http"].as_array().unwrap().iter().enumerate() {
        let request = &exchange["request"];
        let sent = request["headers"]["payment-signature"].as_str();
        let headers: Vec<_> = sent.map(|value| ("payment-signature", value)).into_iter().collect();
        let answer = world.get(request["path"].as_str().unwrap(), &headers).await;
        assert_same_answer(&answer, &exchange["response"], &format!("{name}, exchange {i}"));
    }
}

/// The recorded server against our facilitator and our chain.
pub(crate) async fn facilitator_alone(name: &str) {
    answers_the_server(&World::at(recorded_at(&golden::flow(name))).await, name).await;
}

/// The recorded server is answered as the recorded facilitator answered it.
pub(crate) async fn answers_the_server(world: &World, name: &str) {
    let flow = golden::flow(name);
    for exchange in flow["facilitator"].as_array().unwrap() {
        let path = exchange["request"]["path"].as_str().unwrap();
        let answer = world.ask_facilitator(path, &exchange["request"]["body"]).await;
        assert_eq!(answer.status, exchange["response"]["status"], "{name} {path}");
        let (ours, theirs) = (answer.json(), exchange["response"]["body"].clone());
        assert_eq!(without_incidentals(ours), without_incidentals(theirs), "{name} {path}");
    }
}

/// Remembers the payment a client signed last.
#[derive(Default)]
pub(crate) struct Signed(pub(crate) Mutex<Option<PaymentPayload>>);

#[async_trait]
impl ClientHook for Signed {
    async fn signed(&self, _: &Purchase<'_>, payment: &PaymentPayload) -> Result<(), String> {
        *self.0.lock().unwrap() = Some(payment.clone());
        Ok(())
    }
}

/// Pays the recorded server with a client of ours, and gives what it sent, and what was recorded.
pub(crate) async fn pay_the_server(name: &str, payer: PaymentClientBuilder) -> (Value, Value) {
    let flow = golden::flow(name);
    let (first, second) = (flow["http"][0].clone(), flow["http"][1].clone());
    let recorded = second["request"]["decoded"]["payment-signature"].clone();
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let log = seen.clone();
    let app = Router::new().fallback(async move |request: Request| {
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        log.lock().unwrap().push(json!({
            "path": request.uri().path_and_query().unwrap().as_str(),
            "payment": header("payment-signature"),
            "expose": header("access-control-expose-headers"),
        }));
        let paid = header("payment-signature").is_some();
        let response = if paid { &second["response"] } else { &first["response"] };
        let status = axum::http::StatusCode::from_u16(response["status"].as_u64().unwrap() as u16).unwrap();
        let mut answer = (status, response["body"].to_string()).into_response();
        for (name, value) in response["headers"].as_object().unwrap() {
            let name: axum::http::HeaderName = name.parse().unwrap();
            answer.headers_mut().insert(name, value.as_str().unwrap().parse().unwrap());
        }
        answer
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let signed = Arc::new(Signed::default());
    let payer = payer.hook(signed.clone()).build().await.unwrap();
    let path = flow["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
    let answer = http::client(payer).unwrap().get(format!("{url}{path}")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), flow["status"], "{name}: whatever comes is returned");

    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2, "{name}: one retry and no more");
    assert_eq!(seen[1]["path"], path);
    assert_eq!(seen[1]["expose"], "PAYMENT-RESPONSE,X-PAYMENT-RESPONSE");
    let sent: Value = http::header::decode(seen[1]["payment"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(sent, serde_json::to_value(signed.0.lock().unwrap().as_ref()).unwrap());
    (sent, recorded)
}

/// Our client against the recorded server: it sends what the recorded client sent, but for the nonce.
async fn client_alone(name: &str) {
    let flow = golden::flow(name);
    let recorded = &flow["http"][1]["request"]["decoded"]["payment-signature"]["payload"];
    let signed_part = recorded.as_object().unwrap().keys().find(|key| *key != "signature").unwrap();
    let from = recorded[signed_part]["from"].as_str().unwrap();
    let keys = golden::keys();
    let account = keys["evm"].as_object().unwrap().values().find(|account| account["address"] == from).unwrap();
    let key = LocalKey::from_hex(account["privateKey"].as_str().unwrap()).unwrap();
    let payer = PaymentClient::builder().clock(FakeClock::at(recorded_at(&flow))).signer(NETWORK, Arc::new(key));
    let (sent, recorded) = pay_the_server(name, payer).await;
    let blank = |mut payment: Value| {
        let nonce = payment["payload"][signed_part]["nonce"].take();
        assert!(nonce.as_str().is_some_and(|nonce| nonce.len() >= 66));
        let signature = payment["payload"]["signature"].take();
        assert!(signature.as_str().is_some_and(|signature| signature.len() == 132));
        payment
    };
    assert_eq!(blank(sent), blank(recorded), "{name}: payment");
}

/// Flows whose payer sends more than a payment; the EVM crate has their client's side.
macro_rules! sponsored_flows {
    ($($test:ident = $flow:literal moves $moved:literal),+ $(,)?) => {$(
        #[tokio::test]
        async fn $test() {
            let world = server_and_facilitator($flow).await;
            assert_eq!(world.paid_to_payee(), $moved);
            facilitator_alone($flow).await;
        }
    )+};
}

sponsored_flows! {
    exact_evm_permit2_eip2612 = "exact-evm-permit2-eip2612" moves 1000,
    upto_evm_permit2_eip2612 = "upto-evm-permit2-eip2612" moves 1000,
    // Paid in the other token.
    exact_evm_permit2_erc20_approval = "exact-evm-permit2-erc20-approval" moves 0,
}

macro_rules! flows {
    ($($test:ident = $flow:literal moves $moved:literal),+ $(,)?) => {$(
        mod $test {
            #[tokio::test]
            async fn the_recorded_client_is_answered_as_recorded() {
                let world = super::server_and_facilitator($flow).await;
                assert_eq!(world.paid_to_payee(), $moved);
            }

            #[tokio::test]
            async fn the_recorded_server_is_answered_as_recorded() {
                super::facilitator_alone($flow).await;
            }

            #[tokio::test]
            async fn the_recorded_server_is_paid_as_recorded() {
                super::client_alone($flow).await;
            }
        }
    )+};
}

flows! {
    exact_evm_eip3009 = "exact-evm-eip3009" moves 1000,
    exact_evm_insufficient_funds = "exact-evm-insufficient-funds" moves 0,
    exact_evm_upfront = "exact-evm-upfront" moves 1000,
    handler_fails = "handler-fails" moves 0,
    dynamic_price = "dynamic-price" moves 3000,
    exact_evm_permit2 = "exact-evm-permit2" moves 1000,
    exact_evm_permit2_no_allowance = "exact-evm-permit2-no-allowance" moves 0,
    upto_evm_permit2 = "upto-evm-permit2" moves 700,
    upto_evm_zero = "upto-evm-zero" moves 0,
}

/// Unpaid requests are answered as recorded.
pub(crate) async fn challenges_as_recorded(world: &World, paths: &[&str]) {
    let flow = golden::flow("unpaid");
    for path in paths {
        let mut recorded = flow["unpaid"][format!("GET {path}")].clone();
        assert!(recorded.is_object(), "{path} is recorded");
        recorded["body"] = recorded.get("body").cloned().filter(|body| !body.is_null()).unwrap_or_else(|| json!({}));
        assert_same_answer(&world.get(path, &[]).await, &recorded, path);
    }
}

#[tokio::test]
async fn unpaid() {
    let world = World::at(FakeClock::START).await;
    challenges_as_recorded(&world, &["/evm/eip3009", "/evm/upfront", "/dynamic?units=3", "/fails"]).await;
}

/// The facilitator says of `exact` on a network what was recorded.
pub(crate) async fn supports_as_recorded(world: &World, network: &str, pattern: &str) {
    let recorded = golden::flow("supported")["response"]["body"].clone();
    let ours =
        Answer::of(http::plain_client().unwrap().get(format!("{}/supported", world.facilitator)).send().await.unwrap());
    let ours = ours.await.json();
    let kind = |kinds: &Value| {
        let mut kinds = kinds["kinds"].as_array().unwrap().iter();
        kinds.find(|kind| kind["x402Version"] == 2 && kind["scheme"] == "exact" && kind["network"] == network).cloned()
    };
    assert_eq!(kind(&ours), kind(&recorded));
    assert!(kind(&ours).is_some());
    assert!(recorded["signers"][pattern].is_array());
    assert_eq!(ours["signers"][pattern], recorded["signers"][pattern]);
}

#[tokio::test]
async fn supported_lists_the_exact_evm_kind_as_recorded() {
    supports_as_recorded(&World::at(FakeClock::START).await, NETWORK, "eip155:*").await;
}

/// The recorded challenge is read, and written again, without losing anything.
#[test]
fn recorded_challenges_survive_a_round_trip() {
    let flow = golden::flow("unpaid");
    for (name, exchange) in flow["unpaid"].as_object().unwrap() {
        let recorded = exchange["decoded"]["payment-required"].clone();
        let read: PaymentRequired = serde_json::from_value(recorded.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), recorded, "{name}");
    }
}
