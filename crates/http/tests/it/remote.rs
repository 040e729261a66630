//! The remote facilitator: what each answer, and each way of not answering, means for the money.

use crate::support::*;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tollway_core::{
    Caller, Facilitator, Failure, Fault, FaultKind, Outcome, PaymentPayload, PaymentRequirements, Secret, Sent,
    SettleResponse, async_trait,
};
use tollway_http::{AuthHeaders, Operation, RemoteFacilitator};
use tollway_testkit::{FakeClock, Lie, fixtures, golden};

const NETWORK: &str = "fake:remote";

type Asked = (String, HeaderMap, Value);
type Told = (u16, Vec<(&'static str, String)>, String);

/// A facilitator that answers by script and remembers what it was asked.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Told>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    fn then(self, status: u16, body: impl ToString) -> Self {
        self.with(status, &[], body)
    }

    fn with(self, status: u16, headers: &[(&'static str, &str)], body: impl ToString) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.answers.lock().unwrap().push_back((status, headers, body.to_string()));
        self
    }

    async fn serve(&self) -> Site {
        async fn answer(State(this): State<Scripted>, request: Request) -> Response {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            this.asked.lock().unwrap().push((format!("{} {}", parts.method, parts.uri), parts.headers, body));
            let mut answers = this.answers.lock().unwrap();
            let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            let (status, headers, body) = next.unwrap();
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Site::serve(Router::new().fallback(answer).with_state(self.clone())).await
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn payment() -> (PaymentPayload, PaymentRequirements) {
    let offer = fixtures::offer(NETWORK);
    (pay(&offer, "n"), offer)
}

fn receipt() -> SettleResponse {
    SettleResponse::settled(fixtures::network(NETWORK), "0xabc", Some("alice".to_owned()))
}

async fn settle_at(url: &str) -> Result<Outcome, Failure> {
    let (raw, offer) = payment();
    RemoteFacilitator::new(url).unwrap().settle(&raw, &offer, &Caller::ANONYMOUS).await
}

async fn settle(status: u16, body: impl ToString) -> Result<Outcome, Failure> {
    let scripted = Scripted::default().then(status, body);
    settle_at(&scripted.serve().await.url).await
}

async fn verify(status: u16, body: impl ToString) -> Result<tollway_core::Verified, Failure> {
    let scripted = Scripted::default().then(status, body);
    let (raw, offer) = payment();
    RemoteFacilitator::new(&scripted.serve().await.url).unwrap().verify(&raw, &offer).await
}

fn fault<T: std::fmt::Debug>(result: Result<T, Failure>) -> Fault {
    match result {
        Err(Failure::Fault(fault)) => fault,
        other => panic!("not a fault: {other:?}"),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Rejected(why)) => why.code.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn asks_what_the_reference_asks_and_reads_what_it_answers() {
    let flow = golden::flow("exact-evm-eip3009");
    let at = |path: &str| flow.pointer(path).unwrap().clone();
    let verdict = at("/facilitator/0/response/body");
    let scripted = Scripted::default().then(200, verdict).then(200, at("/facilitator/1/response/body"));
    let site = scripted.serve().await;
    let remote = RemoteFacilitator::new(&format!("{}/facilitator//", site.url)).unwrap();
    let body = at("/facilitator/0/request/body");
    let raw: PaymentPayload = serde_json::from_value(body["paymentPayload"].clone()).unwrap();
    let offer: PaymentRequirements = serde_json::from_value(body["paymentRequirements"].clone()).unwrap();
    let verified = remote.verify(&raw, &offer).await.unwrap();
    assert_eq!(verified.payer.unwrap(), "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    let outcome = remote.settle(&raw, &offer, &Caller::new("the-token")).await.unwrap();
    let Outcome::Settled(settled) = outcome else { panic!("{outcome:?}") };
    assert_eq!(settled.transaction, at("/facilitator/1/response/body/transaction"));
    let asked = scripted.asked();
    assert_eq!(asked[0].0, "POST /facilitator/verify");
    assert_eq!(asked[1].0, "POST /facilitator/settle");
    assert_eq!(asked[0].2, body);
    assert_eq!(asked[1].2, at("/facilitator/1/request/body"));
    assert_eq!(asked[0].1["content-type"], "application/json");
    assert!(!asked[0].1.contains_key("idempotency-key"));
    assert_eq!(asked[1].1["idempotency-key"], "the-token");
}

#[tokio::test]
async fn reads_the_recorded_list_of_kinds() {
    let recorded = golden::flow("supported")["response"]["body"].clone();
    let scripted = Scripted::default().then(200, &recorded);
    let supported = RemoteFacilitator::new(&scripted.serve().await.url).unwrap().supported().await.unwrap();
    assert_eq!(serde_json::to_value(supported).unwrap(), recorded);
    assert_eq!(scripted.asked()[0].0, "GET /supported");
}

#[tokio::test]
async fn refusals_are_refusals_whatever_the_status() {
    let refusal = json!({ "isValid": false, "invalidReason": "insufficient_funds", "payer": "alice" });
    for status in [200, 400, 402, 500] {
        assert_eq!(code(verify(status, &refusal).await), "insufficient_funds", "{status}");
    }
    assert_eq!(code(verify(200, json!({ "isValid": false })).await), "unexpected_verify_error");
    let refusal = json!({ "success": false, "errorReason": "gone", "errorMessage": "really", "transaction": "",
        "network": NETWORK });
    for status in [200, 400, 500] {
        let Err(Failure::Rejected(why)) = settle(status, &refusal).await else { panic!("{status}") };
        assert_eq!((why.code.as_str(), why.message.as_deref(), why.transaction), ("gone", Some("really"), None));
    }
    let reverted = json!({ "success": false, "errorReason": "reverted", "transaction": "0x1", "network": NETWORK });
    let Err(Failure::Rejected(why)) = settle(200, &reverted).await else { panic!() };
    assert_eq!(why.transaction.as_deref(), Some("0x1"));
}

#[tokio::test]
async fn endless_reasons_are_cut() {
    let refusal = json!({ "isValid": false, "invalidReason": "r".repeat(9000), "invalidMessage": "m".repeat(9000) });
    let Err(Failure::Rejected(why)) = verify(200, &refusal).await else { panic!() };
    assert_eq!((why.code.as_str().len(), why.message.unwrap().len()), (128, 1024));
}

#[tokio::test]
async fn pending_needs_a_transaction() {
    let pending = |transaction: &str| json!({ "success": false, "errorReason": "settlement_pending", "transaction": transaction, "network": NETWORK });
    assert_eq!(settle(200, pending("0xabc")).await.unwrap(), Outcome::Pending { transaction: "0xabc".to_owned() });
    assert_eq!(fault(settle(200, pending("")).await).sent, Sent::Maybe);
}

/// The facilitator lies.
#[tokio::test]
async fn receipts_that_do_not_fit_are_faults_after_which_money_may_be_gone() {
    for lie in [Lie::Network, Lie::Transaction] {
        let body = serde_json::to_value(lie.bend_receipt(receipt())).unwrap();
        let fault = fault(settle(200, body).await);
        assert_eq!((fault.kind, fault.sent), (FaultKind::Invalid, Sent::Maybe), "{lie:?}");
    }
    // A metered scheme that used nothing moves nothing.
    let mut nothing = receipt();
    nothing.transaction.clear();
    nothing.amount = Some(tollway_core::Amount::ZERO);
    assert!(settle(200, serde_json::to_value(nothing).unwrap()).await.is_ok());
}

#[tokio::test]
async fn statuses_and_verdicts_that_contradict_each_other() {
    let fault_of_settle = fault(settle(500, serde_json::to_value(receipt()).unwrap()).await);
    assert_eq!(fault_of_settle.sent, Sent::Maybe);
    assert_eq!(fault(verify(500, json!({ "isValid": true })).await).kind, FaultKind::Invalid);
}

#[tokio::test]
async fn broken_answers_are_faults_with_a_short_quotation() {
    let long = format!("<html>\n\u{1b}[31m{}", "x".repeat(5000));
    for (status, body) in [(200, long.as_str()), (502, &long), (200, "{}"), (200, "[]"), (200, "")] {
        let fault = fault(settle(status, body).await);
        assert_eq!((fault.kind, fault.sent), (FaultKind::Invalid, Sent::Maybe), "{status} {body}");
        assert!(fault.message.chars().count() < 400 && !fault.message.contains(['\n', '\u{1b}']), "{}", fault.message);
        assert_eq!(self::fault(verify(status, body).await).sent, Sent::No);
    }
    let deep = format!("{{\"success\":true,\"x\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    assert_eq!(fault(settle(200, deep).await).kind, FaultKind::Invalid);
}

#[tokio::test]
async fn what_was_turned_away_was_not_sent() {
    for (status, sent) in [
        (400, Sent::No),
        (401, Sent::No),
        (404, Sent::No),
        (413, Sent::No),
        (429, Sent::No),
        (408, Sent::Maybe),
        (409, Sent::Maybe),
        (500, Sent::Maybe),
        (502, Sent::Maybe),
        (504, Sent::Maybe),
    ] {
        assert_eq!(fault(settle(status, "no").await).sent, sent, "{status}");
    }
    // A facilitator of this crate says it itself.
    assert_eq!(fault(settle(503, json!({ "error": "busy", "sent": false })).await).sent, Sent::No);
    assert_eq!(fault(settle(503, json!({ "error": "busy", "sent": true })).await).sent, Sent::Maybe);
    assert!(fault(settle(401, "").await).message.contains(".bearer("));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Scripted::default().then(200, serde_json::to_value(receipt()).unwrap());
        let target = elsewhere.serve().await;
        let scripted = Scripted::default().with(status, &[("location", &target.at("/settle"))], "");
        let fault = fault(settle_at(&scripted.serve().await.url).await);
        assert!(fault.message.contains("redirects are not followed"), "{}", fault.message);
        assert!(elsewhere.asked().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn nobody_there_means_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fault = fault(settle_at(&url).await);
    assert_eq!((fault.kind, fault.sent), (FaultKind::Unreachable, Sent::No));
    assert!(fault.message.contains(&url) && fault.message.contains("check the URL"), "{}", fault.message);
}

#[tokio::test]
async fn a_line_that_goes_dead_after_the_request_may_have_sent_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
        }
    });
    let fault = fault(settle_at(&url).await);
    assert_eq!((fault.kind, fault.sent), (FaultKind::Unreachable, Sent::Maybe));
    task.abort();
}

#[tokio::test]
async fn time_outs_cover_the_body() {
    let body = || {
        Body::from_stream(stream::unfold(0, |i| async move {
            if i > 0 {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            Some((Ok::<_, std::io::Error>("{"), i + 1))
        }))
    };
    let site = Site::serve(Router::new().fallback(move || async move { body() })).await;
    let remote = RemoteFacilitator::builder(&site.url).timeout(Duration::from_millis(200)).build().unwrap();
    let (raw, offer) = payment();
    let settled = fault(remote.settle(&raw, &offer, &Caller::ANONYMOUS).await);
    assert_eq!((settled.kind, settled.sent), (FaultKind::Timeout, Sent::Maybe));
    let verified = fault(remote.verify(&raw, &offer).await);
    assert_eq!((verified.kind, verified.sent), (FaultKind::Timeout, Sent::No));
    assert_eq!(fault(remote.supported().await).kind, FaultKind::Timeout);
}

#[tokio::test]
async fn answers_are_bounded() {
    let endless = || async { Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(" ".repeat(4096)))) };
    let site = Site::serve(Router::new().fallback(endless)).await;
    let remote = RemoteFacilitator::builder(&site.url).max_response(100_000).build().unwrap();
    let (raw, offer) = payment();
    let fault = fault(remote.settle(&raw, &offer, &Caller::ANONYMOUS).await);
    assert_eq!((fault.kind, fault.sent), (FaultKind::Invalid, Sent::Maybe));
    assert!(fault.message.contains("100000"), "{}", fault.message);
}

/// Tokens bound to one call: a new one for each, by operation.
struct Tokens(AtomicUsize);

#[async_trait]
impl AuthHeaders for Tokens {
    async fn headers(&self, operation: Operation) -> Result<HeaderMap, Fault> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        if number == 3 {
            return Err(Fault::new(FaultKind::Unreachable, "the vault is shut"));
        }
        let value = format!("{operation} {number}").parse().unwrap();
        Ok(HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]))
    }
}

#[tokio::test]
async fn each_call_is_identified_afresh() {
    let scripted = Scripted::default()
        .then(200, json!({ "kinds": [] }))
        .then(200, json!({ "isValid": true }))
        .then(200, serde_json::to_value(receipt()).unwrap());
    let site = scripted.serve().await;
    let remote = RemoteFacilitator::builder(&site.url).auth(Tokens(AtomicUsize::new(0))).build().unwrap();
    let (raw, offer) = payment();
    remote.supported().await.unwrap();
    remote.verify(&raw, &offer).await.unwrap();
    remote.settle(&raw, &offer, &Caller::ANONYMOUS).await.unwrap();
    let fault = fault(remote.settle(&raw, &offer, &Caller::ANONYMOUS).await);
    assert_eq!((fault.message.as_str(), fault.sent), ("the vault is shut", Sent::No));
    let tokens: Vec<_> = scripted.asked().iter().map(|(_, headers, _)| headers["authorization"].clone()).collect();
    assert_eq!(tokens, ["/supported 0", "/verify 1", "/settle 2"]);
}

#[tokio::test]
async fn a_bearer_token_is_shown_to_nobody_else() {
    let scripted = Scripted::default().then(200, json!({ "kinds": [] }));
    let site = scripted.serve().await;
    let remote = RemoteFacilitator::builder(&site.url).bearer(&Secret::new("canary")).build().unwrap();
    remote.supported().await.unwrap();
    assert_eq!(scripted.asked()[0].1["authorization"], "Bearer canary");
    assert!(!format!("{remote:?}").contains("canary"));
    let error = RemoteFacilitator::builder(&site.url).bearer(&Secret::new("can\nary")).build().unwrap_err();
    assert!(!error.to_string().contains("ary"), "{error}");
}

#[tokio::test]
async fn asked_too_often_is_asked_again_three_times_in_all() {
    let busy = |scripted: Scripted| scripted.with(429, &[("retry-after", "0")], "busy");
    let scripted = busy(busy(Scripted::default())).then(200, json!({ "kinds": [] }));
    assert!(RemoteFacilitator::new(&scripted.serve().await.url).unwrap().supported().await.is_ok());
    assert_eq!(scripted.asked().len(), 3);
    // A date that has passed by the clock that was given, whatever the real hour.
    let past = |scripted: Scripted| scripted.with(429, &[("retry-after", "Sun, 15 Jun 2025 15:06:00 GMT")], "busy");
    let scripted = past(Scripted::default());
    let site = scripted.serve().await;
    let remote = RemoteFacilitator::builder(&site.url).clock(FakeClock::new()).build().unwrap();
    let fault = fault(remote.supported().await);
    assert_eq!((fault.kind, scripted.asked().len()), (FaultKind::Overloaded, 3));
    // Nobody repeats a settlement because of a status.
    let scripted = busy(Scripted::default());
    let _ = settle_at(&scripted.serve().await.url).await;
    assert_eq!(scripted.asked().len(), 1);
}

#[tokio::test]
async fn extension_responses_are_safe_to_ignore() {
    let scripted =
        Scripted::default().with(200, &[("extension-responses", "!!! not base64")], json!({ "isValid": true }));
    let (raw, offer) = payment();
    assert!(RemoteFacilitator::new(&scripted.serve().await.url).unwrap().verify(&raw, &offer).await.is_ok());
}

/// Server, remote facilitator, router, local facilitator, chain: the whole way over two sockets.
#[tokio::test]
async fn a_shop_with_a_facilitator_across_the_wire() {
    let network = network();
    let facilitator = Site::serve(tollway_http::facilitator_router(Arc::new(local(&network).await))).await;
    let remote = RemoteFacilitator::new(&facilitator.url).unwrap();
    let site = Site::serve(app(shop(&network, remote).await)).await;
    let payment = pay(&site.offer("/report").await, "n");
    let response = site.present("/report", &payment).await;
    assert_eq!((response.status(), response.text().await.unwrap()), (StatusCode::OK, "the report".to_owned()));
    assert_eq!(reason(site.present("/report", &payment).await.headers()), "duplicate_settlement");
    assert_eq!(tollway_testkit::FakeChain::at(&network).auditor().transfers().len(), 1);
}

/// What `EXTENSION-RESPONSES` or a lie would do to a payer: nothing. The shop answers 502 and keeps the payment open.
#[tokio::test]
async fn a_shop_whose_facilitator_lies_across_the_wire() {
    for lie in Lie::ALL {
        let network = network();
        let kinds = json!({ "kinds": [{ "x402Version": 2, "scheme": "exact", "network": network }] });
        let honest = SettleResponse::settled(fixtures::network(&network), "0x1", Some("alice".to_owned()));
        let scripted = Scripted::default()
            .then(200, kinds)
            .then(200, json!({ "isValid": true, "payer": "alice" }))
            .then(200, serde_json::to_value(lie.bend_receipt(honest)).unwrap());
        let facilitator = scripted.serve().await;
        let remote = RemoteFacilitator::new(&facilitator.url).unwrap();
        let site = Site::serve(app(shop(&network, remote).await)).await;
        let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{lie:?}");
        assert!(!response.text().await.unwrap().contains("the report"));
    }
}
