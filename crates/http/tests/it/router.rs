//! The facilitator's REST API, in front of a local facilitator on the fake chain.

use crate::support::*;
use axum::Router;
use futures_util::stream;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{Caller, FaultKind, PaymentPayload, PaymentRequirements};
use tollway_http::{FacilitatorRouter, facilitator_router, plain_client};
use tollway_testkit::{Answer, FakeChain, Fate, OnSettle, OnVerify, Script, fixtures, golden};

async fn site() -> (Site, String) {
    let network = network();
    (Site::serve(facilitator_router(Arc::new(local(&network).await))).await, network)
}

fn envelope(raw: &PaymentPayload, offer: &PaymentRequirements) -> Value {
    json!({ "x402Version": 2, "paymentPayload": raw, "paymentRequirements": offer })
}

fn order(network: &str, nonce: &str, script: Script) -> Value {
    let offer = fixtures::offer(network);
    envelope(&scripted(&offer, nonce, script), &offer)
}

async fn post(site: &Site, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
    let request = plain_client().unwrap().post(site.at(path)).body(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    (response.status(), response.json().await.unwrap())
}

async fn ask(site: &Site, path: &str, body: &Value) -> (StatusCode, Value) {
    post(site, path, body.to_string()).await
}

/// Members that everybody needs, and no others, in each kind of answer.
#[tokio::test]
async fn answers_have_the_recorded_shape() {
    let flow = golden::flow("exact-evm-eip3009");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    let (site, network) = site().await;
    let (status, verified) = ask(&site, "/verify", &order(&network, "n", Script::well())).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(verified, json!({ "isValid": true, "payer": "alice" }));
    assert_eq!(keys(&verified), keys(&flow["facilitator"][0]["response"]["body"]));
    let (status, settled) = ask(&site, "/settle", &order(&network, "n", Script::well())).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(settled["success"], true);
    assert_eq!(settled["network"], network);
    assert_eq!(keys(&settled), keys(&flow["facilitator"][1]["response"]["body"]));
    // A refusal, as recorded: reason, payer, and words for people where there are some.
    let recorded = golden::flow("exact-evm-insufficient-funds");
    FakeChain::at(&network).set_funds("alice", 1);
    let (status, refused) = ask(&site, "/verify", &order(&network, "n2", Script::well())).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(refused, json!({ "isValid": false, "invalidReason": "insufficient_funds", "payer": "alice" }));
    assert!(keys(&refused).is_subset(&keys(&recorded["facilitator"][0]["response"]["body"])));
    let (status, refused) = ask(&site, "/settle", &order(&network, "n2", Script::well())).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({ "success": false, "errorReason": "insufficient_funds", "payer": "alice", "transaction": "",
        "network": network });
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn lists_what_it_can_do() {
    let (site, network) = site().await;
    let response = get_plain(&site.at("/supported")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let supported: Value = response.json().await.unwrap();
    assert_eq!(supported["kinds"][0]["scheme"], "exact");
    assert_eq!(supported["kinds"][0]["network"], network);
    assert_eq!(supported["signers"]["fake:*"], json!(["fake-teller"]));
    assert_eq!(get_plain(&site.at("/")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(get_plain(&site.at("/verify")).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn bodies_that_are_no_request() {
    let (site, network) = site().await;
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let mut deep_order = order(&network, "n", Script::well());
    deep_order["paymentPayload"]["payload"]["deep"] = deep;
    let bodies = [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({ "paymentPayload": {} }).to_string(),
        json!({ "paymentPayload": 1, "paymentRequirements": [] }).to_string(),
        deep_order.to_string(),
        "\u{fffd}".repeat(9),
    ];
    for body in bodies {
        let (status, answer) = post(&site, "/verify", body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!((&answer["isValid"], &answer["invalidReason"]), (&json!(false), &json!("invalid_payload")));
        let (status, answer) = post(&site, "/settle", body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!((&answer["success"], &answer["errorReason"]), (&json!(false), &json!("invalid_payload")));
        assert_eq!((&answer["transaction"], &answer["network"]), (&json!(""), &json!("")));
    }
    assert_eq!(post(&site, "/verify", vec![0xff, 0xfe]).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn row_7_malformed_payments_are_refused_politely() {
    let (site, network) = site().await;
    let too_large = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for amount in [json!("1e3"), json!("-1"), json!(too_large), json!(1), json!(null)] {
        for (part, member) in [("paymentPayload", "/accepted/amount"), ("paymentRequirements", "/amount")] {
            let mut order = order(&network, "n", Script::well());
            *order.pointer_mut(&format!("/{part}{member}")).unwrap() = amount.clone();
            let (status, answer) = ask(&site, "/verify", &order).await;
            assert_eq!(status, StatusCode::OK, "{amount} in {part}");
            assert_eq!((&answer["isValid"], &answer["invalidReason"]), (&json!(false), &json!("invalid_payload")));
            let (status, answer) = ask(&site, "/settle", &order).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!((&answer["success"], &answer["errorReason"]), (&json!(false), &json!("invalid_payload")));
            assert_eq!((&answer["transaction"], &answer["network"]), (&json!(""), &json!(network)));
        }
    }
    // A scheme's own payload of the wrong shape is the scheme's to refuse.
    let mut order = order(&network, "n", Script::well());
    order["paymentPayload"]["payload"] = json!({ "from": 1 });
    let (status, answer) = ask(&site, "/verify", &order).await;
    assert_eq!((status, &answer["invalidReason"]), (StatusCode::OK, &json!("invalid_payload")));
}

#[tokio::test]
async fn other_versions_have_a_refusal_of_their_own() {
    let (site, network) = site().await;
    let honest = || order(&network, "n", Script::well());
    let mut enveloped = honest();
    enveloped["x402Version"] = json!(3);
    let mut inside = honest();
    inside["paymentPayload"]["x402Version"] = json!(3);
    let mut text = honest();
    text["x402Version"] = json!("2");
    // A whole request of version 1, whose shape is another one altogether.
    let first = json!({
        "x402Version": 1,
        "paymentPayload": { "x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": {} },
        "paymentRequirements": { "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "1" },
    });
    for order in [enveloped, inside, text, first] {
        let (status, answer) = ask(&site, "/verify", &order).await;
        assert_eq!((status, &answer["invalidReason"]), (StatusCode::OK, &json!("invalid_x402_version")), "{order}");
        let (status, answer) = ask(&site, "/settle", &order).await;
        assert_eq!((status, &answer["errorReason"]), (StatusCode::OK, &json!("invalid_x402_version")));
    }
    let mut unsaid = honest();
    unsaid.as_object_mut().unwrap().remove("x402Version");
    assert_eq!(ask(&site, "/verify", &unsaid).await.1["isValid"], true, "the payment's own version counts");
}

#[tokio::test]
async fn rows_8_and_9_networks_and_schemes_nobody_serves() {
    let (site, network) = site().await;
    for (member, value, code) in
        [("network", "nowhere:1", "invalid_network"), ("scheme", "barter", "unsupported_scheme")]
    {
        let mut order = order(&network, "n", Script::well());
        order["paymentPayload"]["accepted"][member] = json!(value);
        order["paymentRequirements"][member] = json!(value);
        let (status, answer) = ask(&site, "/verify", &order).await;
        assert_eq!((status, &answer["invalidReason"]), (StatusCode::OK, &json!(code)));
    }
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let (site, _) = site().await;
    let (status, answer) = post(&site, "/verify", " ".repeat(64 * 1024 + 1)).await;
    assert_eq!((status, &answer["isValid"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!(false)));
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(" ".repeat(4096)));
    // Whether the answer still arrives is up to the operating system; that the server goes on is not.
    let _ = plain_client().unwrap().post(site.at("/verify")).body(reqwest::Body::wrap_stream(endless)).send().await;
    let slow = FacilitatorRouter::new(fake(&network())).body_timeout(Duration::from_millis(100));
    let site = Site::serve(slow.into_router()).await;
    let head = "POST /verify HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{";
    let answer = site.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn faults_name_no_causes() {
    for (kind, status) in [
        (FaultKind::Unreachable, StatusCode::BAD_GATEWAY),
        (FaultKind::Invalid, StatusCode::BAD_GATEWAY),
        (FaultKind::Overloaded, StatusCode::SERVICE_UNAVAILABLE),
        (FaultKind::Timeout, StatusCode::GATEWAY_TIMEOUT),
        (FaultKind::Configuration, StatusCode::INTERNAL_SERVER_ERROR),
        (FaultKind::Internal, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let network = network();
        let facilitator = fake(&network);
        facilitator.on_verify([Answer::Fault(kind)]);
        facilitator.on_settle([Answer::Fault(kind), Answer::Dropped]);
        facilitator.fail_supported(Some(kind));
        let site = Site::serve(facilitator_router(facilitator.clone())).await;
        let order = order(&network, "n", Script::well());
        let (answered, body) = ask(&site, "/verify", &order).await;
        assert_eq!(answered, status, "{kind:?}");
        assert!(body["error"].is_string() && body.get("isValid").is_none() && !body.to_string().contains("scripted"));
        let (answered, body) = ask(&site, "/settle", &order).await;
        assert_eq!((answered, &body["sent"]), (status, &json!(false)), "{kind:?}");
        let (answered, body) = ask(&site, "/settle", &order).await;
        assert_eq!((answered, &body["sent"]), (StatusCode::GATEWAY_TIMEOUT, &json!(true)));
        assert_eq!(get_plain(&site.at("/supported")).await.status(), status);
    }
}

#[tokio::test]
async fn verdicts_are_bounded_in_time() {
    let network = network();
    let facilitator = fake(&network);
    facilitator.on_verify([Answer::Hang]);
    facilitator.on_settle([Answer::Hang]);
    let router = FacilitatorRouter::new(facilitator).verdict_timeout(Duration::from_millis(100)).into_router();
    let site = Site::serve(router).await;
    let order = order(&network, "n", Script::well());
    assert_eq!(ask(&site, "/verify", &order).await.0, StatusCode::GATEWAY_TIMEOUT);
    let (status, body) = ask(&site, "/settle", &order).await;
    assert_eq!((status, &body["sent"]), (StatusCode::GATEWAY_TIMEOUT, &json!(true)));
}

#[tokio::test]
async fn pending_settlements_name_their_transaction() {
    let (site, network) = site().await;
    let (status, body) = ask(&site, "/settle", &order(&network, "n", Script::fate([Fate::Waiting]))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&body["success"], &body["errorReason"]), (&json!(false), &json!("settlement_pending")));
    assert!(body["transaction"].as_str().unwrap().starts_with("fake-tx-"));
    // Where there is no hash yet, it is no pending settlement on the wire.
    let facilitator = fake(&network);
    facilitator.on_settle([Answer::Pending(String::new())]);
    let site = Site::serve(facilitator_router(facilitator)).await;
    let (status, body) = ask(&site, "/settle", &order(&network, "n", Script::well())).await;
    assert_eq!((status, &body["sent"]), (StatusCode::GATEWAY_TIMEOUT, &json!(true)));
}

/// Duplicate delivery: the same key gets the same answer, everybody else is refused.
#[tokio::test]
async fn the_idempotency_key_is_the_caller() {
    let (site, network) = site().await;
    let order = order(&network, "n", Script::well()).to_string();
    let settle = |key: Option<&str>| {
        let request = plain_client().unwrap().post(site.at("/settle")).body(order.clone());
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let key = "0123456789abcdef0123456789abcdef";
    let first = settle(Some(key)).await;
    assert_eq!(first["success"], true);
    assert_eq!(settle(Some(key)).await, first);
    for other in [None, Some("fedcba9876543210fedcba9876543210"), Some(&*"k".repeat(256))] {
        assert_eq!(settle(other).await["errorReason"], "duplicate_settlement", "{other:?}");
    }
    // The same key with another payment is a conflict.
    let other = self::order(&network, "another", Script::well()).to_string();
    let request = plain_client().unwrap().post(site.at("/settle")).header("idempotency-key", key).body(other);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(answer.json::<Value>().await.unwrap()["errorReason"], "idempotency_key_reused");
    assert_eq!(FakeChain::at(&network).auditor().transfers().len(), 1);
}

#[tokio::test]
async fn keys_that_are_none_are_nobodys() {
    let network = network();
    let facilitator = fake(&network);
    let site = Site::serve(facilitator_router(facilitator.clone())).await;
    let order = order(&network, "n", Script::well()).to_string();
    for key in ["", &"k".repeat(256)] {
        let request = plain_client().unwrap().post(site.at("/settle")).header("idempotency-key", key);
        request.body(order.clone()).send().await.unwrap();
    }
    for call in facilitator.calls() {
        let tollway_testkit::Call::Settle(_, _, caller) = call else { panic!() };
        assert_eq!(caller, Caller::ANONYMOUS);
    }
}

/// A scheme that panics takes one request with it and nothing else.
#[tokio::test]
async fn a_scheme_that_panics() {
    let (site, network) = site().await;
    let (status, body) =
        ask(&site, "/settle", &order(&network, "n", Script::settle([OnSettle::PanicBeforeSigned]))).await;
    assert_eq!((status, &body["error"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("Internal Server Error")));
    assert_eq!(ask(&site, "/verify", &order(&network, "n2", Script::well())).await.1["isValid"], true);
    let unreachable = order(&network, "n3", Script::verify([OnVerify::Unreachable]));
    assert_eq!(ask(&site, "/verify", &unreachable).await.0, StatusCode::BAD_GATEWAY);
}

/// Paths of the facilitator's extensions reach them; without any they are nobody's.
#[tokio::test]
async fn a_local_facilitator_answers_for_its_extensions() {
    let facilitator = local(&network()).await;
    let site = Site::serve(Router::new().merge(FacilitatorRouter::local(facilitator).into_router())).await;
    assert_eq!(get_plain(&site.at("/discovery/resources?limit=1")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(get_plain(&site.at("/supported")).await.status(), StatusCode::OK);
}
