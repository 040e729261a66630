//! The inspector: each finding on a resource that has it, and none on one that is well.

use crate::support::{challenge, declaration};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;
use tollway_core::PaymentRequired;
use tollway_discovery::inspect::{Inspector, Report, Severity};

async fn seen(status: u16, headers: Vec<(&'static str, String)>, body: &'static str) -> Report {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let headers: HeaderMap = headers
        .into_iter()
        .map(|(name, value)| {
            let value = value.replace("ORIGIN", url.trim_end_matches("/x"));
            (name.parse().unwrap(), value.parse().unwrap())
        })
        .collect();
    let app = Router::new().fallback(async move || (StatusCode::from_u16(status).unwrap(), headers, body));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Inspector::new().unwrap().inspect("GET", &url).await.unwrap()
}

async fn judged(change: impl FnOnce(&mut PaymentRequired)) -> Report {
    let mut required = challenge("https://api.test/x", "Weather", "1000");
    change(&mut required);
    let header = tollway_http::header::encode(&required).unwrap();
    seen(402, vec![("payment-required", header), ("cache-control", "no-store".to_owned())], "").await
}

fn codes(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

#[tokio::test]
async fn what_is_no_challenge() {
    for (status, headers, body, code) in [
        (200, vec![], "", "free"),
        (302, vec![("location", "/y".to_owned())], "", "redirect"),
        (404, vec![], "", "no_route"),
        (401, vec![], "", "not_402"),
        (502, vec![], "", "server_error"),
        (402, vec![], "", "no_challenge"),
        (402, vec![], r#"{"x402Version":1,"accepts":[]}"#, "version_1"),
        (402, vec![("payment-required", "%%".to_owned())], "", "bad_challenge"),
        (402, vec![("payment-required", "e30=".to_owned())], "", "bad_challenge"),
    ] {
        let report = seen(status, headers, body).await;
        assert_eq!(codes(&report), [code], "{status} {body}");
        assert!(!report.payable && report.has(Severity::Error));
        assert!(!report.findings[0].fix.is_empty());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_challenge() {
    let wrong = async |change: fn(&mut PaymentRequired)| codes(&judged(change).await).join(" ");
    // The server listens elsewhere than its challenge says, and nothing linked here knows the network.
    assert_eq!(wrong(|_| {}).await, "other_origin unknown_network");
    assert!(wrong(|required| required.x402_version = 3).await.contains("version"));
    assert!(wrong(|required| required.accepts.clear()).await.contains("no_offer"));
    assert!(wrong(|required| required.resource.description = None).await.contains("no_description"));
    assert!(wrong(|required| required.resource.tags = Some(vec![String::new()])).await.contains("resource_info"));
    assert!(wrong(|required| required.extensions = None).await.contains("not_listed"));
    assert!(wrong(|required| required.accepts.push(required.accepts[0].clone())).await.contains("twice"));
    assert!(wrong(|required| required.accepts[0].amount = 0.into()).await.contains("nothing"));
    let long = |required: &mut PaymentRequired| required.accepts[0].max_timeout_seconds = 3601.try_into().unwrap();
    assert!(wrong(long).await.contains("long_authorization"));
    let broken = |required: &mut PaymentRequired| {
        let mut declaration = declaration();
        declaration["schema"] = json!({ "type": "array" });
        required.extensions.as_mut().unwrap().insert("bazaar".to_owned(), declaration);
    };
    assert!(wrong(broken).await.contains("bad_listing"));
    let flow = |required: &mut PaymentRequired| {
        required.accepts[0].extra.get_or_insert_default().insert("paymentFlow".to_owned(), json!("later"));
    };
    let report = judged(flow).await;
    assert!(codes(&report).contains(&"flow") && !report.payable);
}

#[tokio::test]
async fn sessions_are_shown() {
    let report = judged(|required| {
        let declared =
            json!({ "info": { "statement": "Sign in\nnow" }, "supportedChains": [{ "chainId": "eip155:1" }] });
        required.extensions.as_mut().unwrap().insert("sign-in-with-x".to_owned(), declared);
        required.accepts.clear();
    })
    .await;
    let session = report.session.as_ref().unwrap();
    assert_eq!(session["statement"], "Sign in now");
    assert_eq!((&session["chains"], &session["paysFirst"]), (&json!(["eip155:1"]), &json!(false)));
    assert!(codes(&report).contains(&"endless_challenge"));
}
