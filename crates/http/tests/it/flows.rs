//! The recorded flows of the reference, replayed against our answers: status, headers and body of each.

use crate::support::*;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tollway_core::{PaymentPayload, SettleResponse};
use tollway_http::header::{self, PAYMENT_REQUIRED, PAYMENT_SIGNATURE};
use tollway_http::{Receipt, Represent, plain_client, present};
use tollway_testkit::golden;

/// What the deployed server says in each situation and what this one says: the same status, the same headers of the
/// protocol, the same body.
#[tokio::test]
async fn statuses_headers_and_bodies_are_the_recorded_ones() {
    let ours = |response: &reqwest::Response| {
        ["payment-required", "payment-response", "cache-control"].map(|name| response.headers().contains_key(name))
    };
    let theirs = |recorded: &Value| {
        ["payment-required", "payment-response", "cache-control"].map(|name| recorded["headers"].get(name).is_some())
    };
    for (flow, route, refuse) in [
        ("exact-evm-eip3009", "/report", None),
        ("handler-fails", "/fails", None),
        ("exact-evm-insufficient-funds", "/report", Some("invalid_exact_evm_insufficient_balance")),
        ("exact-evm-upfront", "/upfront", None),
    ] {
        let network = network();
        let facilitator = fake(&network);
        if let Some(code) = refuse {
            facilitator.on_verify([tollway_testkit::Answer::no(code)]);
        }
        let server = builder()
            .facilitator(facilitator)
            .route(tollway_roles::Route::new("GET /upfront").accepts(way(&network).upfront()))
            .route(tollway_roles::Route::new("/*").accepts(way(&network)))
            .build()
            .await
            .unwrap();
        let page = || axum::routing::get(|| async { "{}" });
        let fails = axum::routing::get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "{\"ok\":false}") });
        let router = Router::new().route("/report", page()).route("/upfront", page()).route("/fails", fails);
        let site = Site::serve(router.layer(tollway_http::PaymentLayer::new(server))).await;
        let recorded = golden::flow(flow);

        let unpaid = get_plain(&site.at(route)).await;
        let expected = &recorded["http"][0]["response"];
        assert_eq!((unpaid.status().as_u16(), ours(&unpaid)), (402, theirs(expected)), "{flow}");
        assert_eq!(unpaid.headers()["cache-control"], expected["headers"]["cache-control"].as_str().unwrap());
        let challenge = required(unpaid.headers()).unwrap();
        let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let written = serde_json::to_value(&challenge).unwrap();
        let deployed = &expected["decoded"]["payment-required"];
        assert_eq!(members(&written), members(deployed), "{flow}");
        assert_eq!(members(&written["resource"]), members(&deployed["resource"]));
        assert_eq!(written["error"], deployed["error"]);
        assert_eq!(unpaid.json::<Value>().await.unwrap(), expected["body"]);

        let paid = site.present(route, &pay(&challenge.accepts[0], "n")).await;
        let expected = &recorded["http"][1]["response"];
        assert_eq!(u64::from(paid.status().as_u16()), expected["status"], "{flow}");
        assert_eq!(ours(&paid), theirs(expected), "{flow}");
        if let Some(control) = expected["headers"].get("cache-control") {
            assert_eq!(paid.headers()["cache-control"], control.as_str().unwrap(), "{flow}");
        }
        if let Some(challenge) = required(paid.headers()) {
            assert_eq!(challenge.error.unwrap(), expected["decoded"]["payment-required"]["error"], "{flow}");
        }
        if let Some(receipt) = receipt(paid.headers()) {
            let written = serde_json::to_value(receipt).unwrap();
            assert_eq!(members(&written), members(&expected["decoded"]["payment-response"]), "{flow}");
        }
    }
}

/// The recorded headers of a deployed server, read by our client: challenge, payment, receipt.
#[tokio::test]
async fn the_client_reads_what_deployed_servers_write() {
    let flow = golden::flow("exact-evm-eip3009");
    let recorded = flow["http"].clone();
    let sent: Arc<Mutex<Vec<Option<PaymentPayload>>>> = Arc::default();
    let seen = sent.clone();
    let replay = move |State(recorded): State<Value>, headers: http::HeaderMap| {
        let payment = headers.get(PAYMENT_SIGNATURE).map(|value| header::decode(value.as_bytes()).unwrap());
        let answer = recorded[usize::from(payment.is_some())]["response"].clone();
        seen.lock().unwrap().push(payment);
        async move {
            let mut response = Response::new(Body::from(answer["body"].to_string()));
            *response.status_mut() = StatusCode::from_u16(answer["status"].as_u64().unwrap() as u16).unwrap();
            for (name, value) in answer["headers"].as_object().unwrap() {
                let name: http::HeaderName = name.parse().unwrap();
                response.headers_mut().insert(name, value.as_str().unwrap().parse().unwrap());
            }
            response
        }
    };
    let site = Site::serve(Router::new().fallback(replay).with_state(recorded.clone())).await;
    let payment: PaymentPayload =
        serde_json::from_value(recorded[1]["request"]["decoded"]["payment-signature"].clone()).unwrap();
    let http = tollway_http::client(payer().build().await.unwrap()).unwrap();
    // No key for this chain here: the challenge is read and refused with a reason that names it.
    let why = http.get(site.at("/evm/eip3009")).send().await.unwrap_err();
    assert!(why.to_string().contains("eip155:84532"), "{why}");
    let again = Represent::new(payment.clone(), site.url.clone());
    let response = present(http.get(site.at("/evm/eip3009")), again).await.unwrap();
    let receipt = response.extensions().get::<Receipt>().unwrap().response().clone();
    let expected: SettleResponse =
        serde_json::from_value(recorded[1]["response"]["decoded"]["payment-response"].clone()).unwrap();
    assert_eq!(receipt, expected);
    assert_eq!(*sent.lock().unwrap(), [None, Some(payment)]);
    let unpaid = plain_client().unwrap().get(site.at("/")).send().await.unwrap();
    assert!(unpaid.headers().contains_key(PAYMENT_REQUIRED));
}
