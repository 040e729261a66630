//! The layer: statuses, headers, buffering, and what a handler sees.

use crate::support::*;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get, post};
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tollway_core::{
    AccountId, Claim, ClaimKey, FaultKind, Nothing, Payment, PaymentRequired, PlainServer, Plugin, Price, Rejected,
    Scheme, async_trait,
};
use tollway_http::header::{MAX_HEADER, PAYMENT_REQUIRED, PAYMENT_RESPONSE, PAYMENT_SIGNATURE};
use tollway_http::{Paid, PaymentLayer, escape_html, plain_client};
use tollway_roles::server::{Protected, ServerHook};
use tollway_roles::{Route, Way};
use tollway_testkit::{Answer, FakeFacilitator};
use tower::{Layer, Service, service_fn};

async fn site_of(router: Router, route: Route) -> (Site, Arc<FakeFacilitator>, String) {
    let network = network();
    let facilitator = fake(&network);
    let route = route.accepts(way(&network));
    let server = builder().facilitator(facilitator.clone()).route(route).build().await.unwrap();
    (Site::serve(router.layer(PaymentLayer::new(server))).await, facilitator, network)
}

async fn report_site() -> (Site, Arc<FakeFacilitator>) {
    let network = network();
    let facilitator = fake(&network);
    (Site::serve(app(shop(&network, facilitator.clone()).await)).await, facilitator)
}

async fn error_of(response: reqwest::Response) -> String {
    response.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_paid_request_is_released_with_its_receipt() {
    let (site, facilitator) = report_site().await;
    let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let receipt = receipt(response.headers()).unwrap();
    assert!(receipt.success);
    assert_eq!((receipt.transaction.as_str(), receipt.payer.as_deref()), ("fake-tx-0", Some("alice")));
    assert!(!response.headers().contains_key(PAYMENT_REQUIRED));
    assert_eq!(response.headers()["cache-control"], "private");
    assert_eq!(response.text().await.unwrap(), "the report");
    assert_eq!((facilitator.verifies(), facilitator.settles()), (1, 1));
}

#[tokio::test]
async fn free_routes_pass_untouched() {
    let (site, facilitator) = report_site().await;
    let response = plain_client().unwrap().get(site.at("/free")).header(PAYMENT_SIGNATURE, "!!!").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("cache-control"));
    assert_eq!(get_plain(&site.at("/nowhere")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(facilitator.verifies(), 0);
}

#[tokio::test]
async fn the_challenge_names_the_configured_origin_and_the_query() {
    let (site, _) = report_site().await;
    assert_eq!(site.challenge("/report").await.resource.url, "https://shop.test/report");
    assert_eq!(site.challenge("/report?a=1&b=%20").await.resource.url, "https://shop.test/report?a=1&b=%20");
}

/// A scheme without hints, whose challenges are always the same.
struct Flat;

impl Scheme for Flat {
    const NAME: &'static str = "flat";
    type Payload = Nothing;
    type Extra = Nothing;

    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        let network = &payment.offer.network;
        Ok(Claim::new(ClaimKey::new(network, "flat", &[]), AccountId::new(network.clone(), "nobody")))
    }
}

const FLAT: Plugin = Plugin::new("flat", "a scheme without hints", |registrar| {
    registrar.server::<PlainServer<Flat>>("fake:*");
});

/// A challenge that is always the same is written once; it must not leak what another request was told.
#[tokio::test]
async fn rendered_challenges_are_shared_but_errors_are_not() {
    let network = network();
    let facilitator = FakeFacilitator::serving("flat", &network);
    facilitator.on_verify([Answer::no("permit2_allowance_required")]);
    let route = Route::new("GET /report").accepts(Way::new("flat", &network, PRICE, "payee"));
    let server = builder().registry(registry_with(&[FLAT])).facilitator(facilitator).route(route);
    let site = Site::serve(app(server.build().await.unwrap())).await;
    let unpaid = async || get_plain(&site.at("/report")).await.headers()[PAYMENT_REQUIRED].clone();
    let first = unpaid().await;
    assert_eq!(unpaid().await, first);
    let payment = tollway_core::PaymentPayload::new(site.offer("/report").await, json!({}));
    let refused = site.present("/report", &payment).await;
    assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(reason(refused.headers()), "permit2_allowance_required");
    assert_eq!(unpaid().await, first);
    assert_eq!(site.challenge("/report?other=1").await.resource.url, "https://shop.test/report?other=1");
    assert_eq!(unpaid().await, first);
}

#[tokio::test]
async fn a_missing_allowance_is_412() {
    let (site, facilitator) = report_site().await;
    facilitator.on_verify([Answer::no("permit2_allowance_required")]);
    let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(reason(response.headers()), "permit2_allowance_required");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.text().await.unwrap(), "{}");
}

#[tokio::test]
async fn facilitator_faults_are_502_and_never_paid() {
    for kind in [FaultKind::Unreachable, FaultKind::Timeout, FaultKind::Invalid, FaultKind::Overloaded] {
        let (site, facilitator) = report_site().await;
        facilitator.on_verify([Answer::Fault(kind)]);
        let payment = pay(&site.offer("/report").await, "n");
        let response = site.present("/report", &payment).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{kind:?}");
        assert!(!response.headers().contains_key(PAYMENT_RESPONSE));
        assert!(error_of(response).await.contains("fake"), "names the facilitator");
        facilitator.on_verify([]);
        facilitator.on_settle([Answer::Fault(kind)]);
        let response = site.present("/report", &payment).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{kind:?}");
        let text = response.text().await.unwrap();
        assert!(!text.contains("the report") && !text.contains("scripted"), "{text}");
        assert_eq!(facilitator.moved(), 0);
    }
}

#[tokio::test]
async fn a_defect_is_500_without_details() {
    let (site, facilitator) = report_site().await;
    facilitator.on_verify([Answer::Fault(FaultKind::Internal)]);
    let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(error_of(response).await, "Internal Server Error");
}

struct Gate(Protected);

#[async_trait]
impl ServerHook for Gate {
    async fn protected(&self, _: &dyn tollway_core::Request, _: &str) -> Protected {
        self.0.clone()
    }
}

async fn gated(protected: Protected) -> Site {
    let network = network();
    let route = Route::new("GET /report").accepts(way(&network));
    let server = builder().facilitator(fake(&network)).route(route).hook(Arc::new(Gate(protected)));
    let who = |paid: Option<Paid>| async move { format!("{:?}", paid.map(|paid| paid.payer)) };
    let layer = PaymentLayer::new(server.build().await.unwrap());
    Site::serve(Router::new().route("/report", get(who)).layer(layer)).await
}

#[tokio::test]
async fn a_hook_may_refuse_or_open() {
    let site = gated(Protected::Abort("not from here".to_owned())).await;
    let response = get_plain(&site.at("/report")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(error_of(response).await, "not from here");
    let site = gated(Protected::Grant).await;
    let response = get_plain(&site.at("/report")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["cache-control"], "private", "opened for one client only");
    assert_eq!(response.text().await.unwrap(), "None");
}

#[tokio::test]
async fn a_failing_handler_is_not_paid_and_its_answer_is_its_own() {
    let handler = || async { (StatusCode::IM_A_TEAPOT, [("cache-control", "max-age=9"), ("x-mine", "1")], "no tea") };
    let (site, facilitator, _) = site_of(Router::new().route("/report", get(handler)), Route::new("/report")).await;
    let payment = pay(&site.offer("/report").await, "n");
    for _ in 0..2 {
        let response = site.present("/report", &payment).await;
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.headers()["cache-control"], "max-age=9");
        assert_eq!(response.headers()["x-mine"], "1");
        assert!(!response.headers().contains_key(PAYMENT_RESPONSE));
        assert_eq!(response.text().await.unwrap(), "no tea");
    }
    assert_eq!(facilitator.settles(), 0, "and the payment is good for another try");
}

#[tokio::test]
async fn a_failed_settlement_is_402_with_a_receipt_and_no_challenge() {
    let (site, facilitator) = report_site().await;
    facilitator.on_settle([Answer::no("insufficient_funds")]);
    let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert!(required(response.headers()).is_none());
    let receipt = receipt(response.headers()).unwrap();
    assert!(!receipt.success);
    assert_eq!((receipt.error_reason.unwrap().as_str(), receipt.transaction.as_str()), ("insufficient_funds", ""));
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), "{}");
}

#[tokio::test]
async fn a_pending_settlement_says_so_and_the_same_payment_is_answered_later() {
    let (site, facilitator) = report_site().await;
    facilitator.on_settle([Answer::Pending("0xabc".into()), Answer::Pending("0xabc".into()), Answer::Yes]);
    let payment = pay(&site.offer("/report").await, "n");
    let response = site.present("/report", &payment).await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    let pending = receipt(response.headers()).unwrap();
    assert_eq!(pending.error_reason.unwrap().as_str(), "settlement_pending");
    assert_eq!(pending.transaction, "0xabc");
    assert_eq!(facilitator.settles(), 2, "asked exactly once more");
    let response = site.present("/report", &payment).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.text().await.unwrap(), "the report");
}

#[tokio::test]
async fn settlement_overrides_never_leave_the_house() {
    // The whole price: all that a scheme with a fixed price can be told.
    let handler = || async { [("settlement-overrides", "{\"amount\":\"100%\"}"), ("x-mine", "1")] };
    let router = Router::new().route("/report", get(handler)).route("/free", get(handler));
    let (site, _, _) = site_of(router, Route::new("/report")).await;
    let paid = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
    for response in [paid, get_plain(&site.at("/free")).await] {
        assert_eq!(response.headers()["x-mine"], "1");
        assert!(!response.headers().contains_key("settlement-overrides"));
    }
}

#[tokio::test]
async fn a_charge_that_cannot_be_made_charges_nobody() {
    for amount in ["1", "half", "20000"] {
        let handler = move || async move { [("settlement-overrides", format!("{{\"amount\":\"{amount}\"}}"))] };
        let router = Router::new().route("/report", get(handler));
        let (site, facilitator, _) = site_of(router, Route::new("/report")).await;
        let paid = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
        assert_eq!(paid.status(), 500, "{amount}");
        assert_eq!(facilitator.settles(), 0, "{amount}");
    }
}

#[tokio::test]
async fn the_handler_sees_who_paid_and_not_the_payment() {
    let handler = |paid: Paid, headers: HeaderMap| async move {
        axum::Json(json!({
            "payer": paid.payer, "network": paid.network, "amount": paid.amount, "transaction": paid.transaction,
            "carries": headers.contains_key(PAYMENT_SIGNATURE),
        }))
    };
    let (site, _, network) = site_of(Router::new().route("/report", get(handler)), Route::new("/report")).await;
    let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
    let seen: Value = response.json().await.unwrap();
    let expected = json!({
        "payer": format!("{network}:alice"), "network": network, "amount": "10000", "transaction": null,
        "carries": false,
    });
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_handler_that_needs_a_payer_says_so_where_there_is_none() {
    let (site, _, _) =
        site_of(Router::new().route("/free", get(|_: Paid| async { "" })), Route::new("GET /report")).await;
    let response = get_plain(&site.at("/free")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.text().await.unwrap().contains("PaymentLayer"));
}

#[tokio::test]
async fn a_rule_for_get_covers_head() {
    let (site, facilitator) = report_site().await;
    let http = plain_client().unwrap();
    let response = http.head(site.at("/report")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    let offer = required(response.headers()).unwrap().accepts.remove(0);
    let header = tollway_http::header::encode(&pay(&offer, "n")).unwrap();
    let response = http.head(site.at("/report")).header(PAYMENT_SIGNATURE, header).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(facilitator.settles(), 1);
}

#[tokio::test]
async fn every_spelling_that_axum_routes_is_covered() {
    let router = Router::new().route("/files/{name}", get(|| async { "file" })).route("/a", any(|| async { "a" }));
    let network = network();
    let server = builder()
        .facilitator(fake(&network))
        .route(Route::new("GET /files/:name").accepts(way(&network)))
        .route(Route::new("/a").accepts(way(&network)));
    let site = Site::serve(router.layer(PaymentLayer::new(server.build().await.unwrap()))).await;
    for path in
        ["/files/x", "/files/%2e%2e", "/files/a%2Fb", "/files/a%5Cb", "/files/%C3%A9", "/files/%zz", "/files/a;b"]
    {
        let answer = site.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 402"), "{path}: {answer}");
    }
    for verb in [Method::POST, Method::PUT, Method::OPTIONS, Method::HEAD] {
        let response = plain_client().unwrap().request(verb.clone(), site.at("/a")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED, "{verb}");
    }
    // Absolute targets, as proxies send them, name no other resource.
    let answer = site.raw(b"GET http://evil.test/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 402"), "{answer}");
}

#[tokio::test]
async fn a_layer_inside_a_nested_router_sees_the_whole_path() {
    for pattern in ["GET /api/report", "GET /report", "/api/*"] {
        let network = network();
        let route = Route::new(pattern).accepts(way(&network));
        let server = builder().facilitator(fake(&network)).route(route).build().await.unwrap();
        let inner = Router::new().route("/report", get(|| async { "the report" })).layer(PaymentLayer::new(server));
        let site = Site::serve(Router::new().nest("/api", inner)).await;
        let challenge = site.challenge("/api/report").await;
        assert_eq!(challenge.resource.url, "https://shop.test/api/report", "{pattern}");
    }
}

#[tokio::test]
async fn an_answer_too_long_to_hold_back_is_charged_to_nobody() {
    let network = network();
    let facilitator = fake(&network);
    let server = shop(&network, facilitator.clone()).await;
    let router = Router::new().route("/report", get(|| async { "x".repeat(1001) }));
    let site = Site::serve(router.layer(PaymentLayer::new(server).max_held_bytes(1000))).await;
    let payment = pay(&site.offer("/report").await, "n");
    for _ in 0..2 {
        let response = site.present("/report", &payment).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!response.headers().contains_key(PAYMENT_RESPONSE));
        assert!(error_of(response).await.contains("Way::upfront"));
    }
    assert_eq!(facilitator.settles(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_charged_to_nobody() {
    let handler = || async {
        let chunks = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("broken"))];
        Body::from_stream(stream::iter(chunks))
    };
    let (site, facilitator, _) = site_of(Router::new().route("/report", get(handler)), Route::new("/report")).await;
    let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!response.text().await.unwrap().contains("half"));
    assert_eq!(facilitator.settles(), 0);
}

/// In the upfront flow the first bytes arrive while the handler is still writing.
#[tokio::test]
async fn upfront_answers_stream() {
    let network = network();
    let facilitator = fake(&network);
    let route = Route::new("GET /stream").accepts(way(&network).upfront());
    let server = builder().facilitator(facilitator.clone()).route(route).build().await.unwrap();
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let handler = move |paid: Paid| {
        let receiver = receiver.clone();
        async move {
            assert_eq!(paid.transaction.as_deref(), Some("fake-tx-0"));
            let receiver = receiver.lock().await.take().unwrap();
            Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
                let next = receiver.recv().await?;
                Some((next, receiver))
            }))
        }
    };
    let site = Site::serve(Router::new().route("/stream", get(handler)).layer(PaymentLayer::new(server))).await;
    let offer = site.offer("/stream").await;
    assert_eq!(offer.extra_member("paymentFlow"), Some(&json!("upfront")));
    let mut response = site.present("/stream", &pay(&offer, "n")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(receipt(response.headers()).unwrap().success);
    assert_eq!(response.headers()["cache-control"], "private");
    sender.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "one", "before the handler has said all");
    sender.send(Ok(Bytes::from_static(b"two"))).await.unwrap();
    drop(sender);
    assert_eq!(response.chunk().await.unwrap().unwrap(), "two");
    assert!(response.chunk().await.unwrap().is_none());
    assert_eq!((facilitator.verifies(), facilitator.settles()), (0, 1));
}

#[tokio::test]
async fn an_upfront_handler_that_fails_answers_with_the_receipt_and_may_be_asked_again() {
    let network = network();
    let facilitator = fake(&network);
    let route = Route::new("GET /report").accepts(way(&network).upfront());
    let server = builder().facilitator(facilitator.clone()).route(route).build().await.unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { (StatusCode::SERVICE_UNAVAILABLE, "later") } else { (StatusCode::OK, "the report") } }
    };
    let site = Site::serve(Router::new().route("/report", get(handler)).layer(PaymentLayer::new(server))).await;
    let payment = pay(&site.offer("/report").await, "n");
    let response = site.present("/report", &payment).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(receipt(response.headers()).unwrap().success);
    assert_eq!(response.text().await.unwrap(), "later");
    settle_down().await;
    let response = site.present("/report", &payment).await;
    assert_eq!((response.status(), response.text().await.unwrap()), (StatusCode::OK, "the report".to_owned()));
    assert_eq!(facilitator.moved(), 1, "paid once, served once");
    settle_down().await;
    assert_eq!(reason(site.present("/report", &payment).await.headers()), "duplicate_settlement");
}

/// Two cents a page, by the body.
#[tokio::test]
async fn prices_can_depend_on_the_body_where_it_is_read() {
    let network = network();
    let price = |request: Arc<dyn tollway_core::Request>| async move {
        let body = request.body().ok_or("the body was not read")?;
        let pages = body.iter().filter(|byte| **byte == b'p').count();
        format!("$0.{:02}", 2 * pages).parse::<Price>().map_err(|why| why.to_string())
    };
    let route = Route::new("POST /print").accepts(Way::exact(&network, PRICE, "payee").price_with(price));
    let server = builder().facilitator(fake(&network)).route(route).build().await.unwrap();
    let layer = PaymentLayer::new(server).read_bodies(8);
    let site = Site::serve(Router::new().route("/print", post(|body: String| async { body })).layer(layer)).await;
    let print = |body: &'static str, payment: Option<String>| {
        let request = plain_client().unwrap().post(site.at("/print")).body(body);
        payment.into_iter().fold(request, |request, payment| request.header(PAYMENT_SIGNATURE, payment)).send()
    };
    let offer = required(print("ppp", None).await.unwrap().headers()).unwrap().accepts.remove(0);
    assert_eq!(offer.amount.to_string(), "60000");
    let payment = tollway_http::header::encode(&pay(&offer, "n")).unwrap();
    let other = print("p", Some(payment.clone())).await.unwrap();
    assert_eq!(reason(other.headers()), "No matching payment requirements");
    let served = print("ppp", Some(payment)).await.unwrap();
    assert_eq!((served.status(), served.text().await.unwrap()), (StatusCode::OK, "ppp".to_owned()));
    assert_eq!(print("ppppppppp", None).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

async fn as_browser(site: &Site, path: &str) -> reqwest::Response {
    let request = plain_client().unwrap().get(site.at(path));
    request.header("accept", "text/html,*/*").header("user-agent", "Mozilla/5.0").send().await.unwrap()
}

#[tokio::test]
async fn browsers_get_a_page_with_every_text_escaped() {
    let network = network();
    let route = Route::new("GET /report").accepts(way(&network)).description("<script>alert('x')</script> & \"more\"");
    let server = builder().facilitator(fake(&network)).route(route).build().await.unwrap();
    let site = Site::serve(app(server)).await;
    let response = as_browser(&site, "/report?<img>=%22").await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert!(required(response.headers()).is_some(), "clients that call themselves browsers can still pay");
    let page = response.text().await.unwrap();
    assert!(page.contains("0.01 FUSD"), "in whole units: {page}");
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;more&quot;"));
    assert!(!page.contains("<script") && !page.contains("<img"));
    // Half a browser is none.
    let half = plain_client().unwrap().get(site.at("/report")).header("accept", "text/html").send().await.unwrap();
    assert_eq!(half.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn pages_and_bodies_of_ones_own() {
    let network = network();
    let facilitator = fake(&network);
    facilitator.on_settle([Answer::no("insufficient_funds")]);
    let server = shop(&network, facilitator.clone()).await;
    let layer = PaymentLayer::new(server)
        .paywall(|required: &PaymentRequired| format!("<p>{}</p>", escape_html(&required.resource.url)))
        .unpaid_body(|required| ("text/plain".to_owned(), format!("pay for {}", required.resource.url)))
        .settlement_failed_body(|receipt| {
            let why = receipt.error_reason.as_ref().map(ToString::to_string);
            ("text/plain".to_owned(), why.unwrap_or_default())
        });
    let site = Site::serve(Router::new().route("/report", get(|| async { "" })).layer(layer)).await;
    assert_eq!(as_browser(&site, "/report").await.text().await.unwrap(), "<p>https://shop.test/report</p>");
    let response = get_plain(&site.at("/report")).await;
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert_eq!(response.text().await.unwrap(), "pay for https://shop.test/report");
    let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(response.text().await.unwrap(), "insufficient_funds");
}

#[tokio::test]
async fn a_header_just_below_the_limit_is_looked_at() {
    let (site, _) = report_site().await;
    let mut payment = pay(&site.offer("/report").await, "n");
    let length = |payment: &_| tollway_http::header::encode(payment).unwrap().len();
    let room = (MAX_HEADER - length(&payment)) / 4 * 3 - 16;
    payment.other.insert("pad".to_owned(), "p".repeat(room).into());
    assert!((MAX_HEADER - 32..=MAX_HEADER).contains(&length(&payment)));
    assert_eq!(site.present("/report", &payment).await.status(), StatusCode::OK);
}

/// While no facilitator has ever answered, nothing can be sold and nothing is given away.
#[tokio::test]
async fn a_shop_whose_facilitator_is_down_comes_up_by_itself() {
    let network = network();
    let facilitator = fake(&network);
    facilitator.fail_supported(Some(FaultKind::Unreachable));
    let site = Site::serve(app(shop(&network, facilitator.clone()).await)).await;
    let response = get_plain(&site.at("/report")).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(get_plain(&site.at("/free")).await.status(), StatusCode::OK);
    facilitator.fail_supported(None);
    // Asked again after a pause, however often requests come.
    while get_plain(&site.at("/report")).await.status() != StatusCode::PAYMENT_REQUIRED {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A handler that is ready makes an answer that is ready: nothing of ours waits for anything on a free route.
#[tokio::test]
async fn free_requests_wait_for_nothing_of_ours() {
    let network = network();
    let layer = PaymentLayer::new(shop(&network, fake(&network)).await);
    let handler = service_fn(|_: Request| std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty()))));
    let mut service = layer.layer(handler);
    let request = Request::builder().uri("/free").body(Body::empty()).unwrap();
    let mut future = std::pin::pin!(service.call(request));
    assert!(futures_util::poll!(future.as_mut()).is_ready());
}
