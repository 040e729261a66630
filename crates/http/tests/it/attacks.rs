//! Attacks on a resource server, each named after its row in the list of what can go wrong.

use crate::support::*;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollway_core::{PaymentPayload, async_trait};
use tollway_http::header::{self, PAYMENT_RESPONSE, PAYMENT_SIGNATURE};
use tollway_http::{PaymentLayer, plain_client};
use tollway_roles::server::ServerHook;
use tollway_roles::{MemoryLedger, Route, Way};
use tollway_testkit::{Answer, FakeChain, Lie};
use tower::ServiceExt;

/// 1,000 copies over two servers on one store: exactly one release.
#[tokio::test(flavor = "multi_thread")]
async fn one_payment_many_parallel_requests() {
    let network = network();
    let facilitator = fake(&network);
    let ledger = Arc::new(MemoryLedger::default());
    let served = Arc::new(AtomicUsize::new(0));
    let mut sites = Vec::new();
    for _ in 0..2 {
        let route = Route::new("GET /report").accepts(way(&network));
        let server = builder().facilitator(facilitator.clone()).ledger(ledger.clone()).route(route);
        let served = served.clone();
        let handler = move || async move {
            served.fetch_add(1, Ordering::SeqCst);
            "the report"
        };
        let router = Router::new().route("/report", get(handler));
        sites.push(Site::serve(router.layer(PaymentLayer::new(server.build().await.unwrap()))).await);
    }
    let payment = header::encode(&pay(&sites[0].offer("/report").await, "n")).unwrap();
    let http = plain_client().unwrap();
    let copies = (0..1000).map(|i| {
        let request = http.get(sites[i % 2].at("/report")).header(PAYMENT_SIGNATURE, &payment);
        tokio::spawn(async move {
            let response = request.send().await.unwrap();
            (response.status(), response.text().await.unwrap())
        })
    });
    let answers: Vec<_> = join_all(copies).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|(status, _)| *status == StatusCode::OK).count(), 1);
    assert_eq!(answers.iter().filter(|(_, body)| body == "the report").count(), 1);
    assert!(answers.iter().all(|(status, _)| [StatusCode::OK, StatusCode::PAYMENT_REQUIRED].contains(status)));
    assert_eq!((served.load(Ordering::SeqCst), facilitator.moved()), (1, 1));
}

struct Recorder(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl ServerHook for Recorder {
    async fn settled(&self, paid: &tollway_core::Paid<'_>, _: &tollway_core::Settled) {
        self.0.lock().unwrap().push(paid.pattern.to_owned());
    }
}

/// Pay /cheap, present at /dear; record what the client says it bought.
#[tokio::test]
async fn pay_cheap_present_at_dear() {
    let network = network();
    let facilitator = fake(&network);
    let recorded = Arc::default();
    let server = builder()
        .facilitator(facilitator.clone())
        .route(Route::new("GET /cheap").accepts(way(&network)))
        .route(Route::new("GET /dear").accepts(Way::exact(&network, "$100", "payee")))
        .route(Route::new("GET /other").accepts(way(&network)))
        .hook(Arc::new(Recorder(Arc::clone(&recorded))))
        .build()
        .await
        .unwrap();
    let page = || get(|| async { "sold" });
    let router = Router::new().route("/cheap", page()).route("/dear", page()).route("/other", page());
    let site = Site::serve(router.layer(PaymentLayer::new(server))).await;
    let mut payment = pay(&site.offer("/cheap").await, "n");
    payment.resource = Some(site.challenge("/dear").await.resource);
    let response = site.present("/dear", &payment).await;
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(reason(response.headers()), "No matching payment requirements");
    assert_eq!(facilitator.verifies() + facilitator.settles(), 0);
    // Of equal price it opens either door, and the server writes down its own.
    assert_eq!(site.present("/other", &payment).await.status(), StatusCode::OK);
    assert_eq!(*recorded.lock().unwrap(), ["GET /other"]);
}

/// Settle fails after the handler ran: drain the wallet mid-handler, 0 bytes leak.
#[tokio::test]
async fn settle_fails_after_the_handler_ran() {
    let network = network();
    let chain = FakeChain::at(&network);
    chain.set_funds("alice", 10_000);
    let server = shop(&network, local(&network).await).await;
    let ran = Arc::new(AtomicUsize::new(0));
    let (at, counted) = (network.clone(), ran.clone());
    let handler = move || async move {
        FakeChain::at(&at).set_funds("alice", 0);
        counted.fetch_add(1, Ordering::SeqCst);
        ([("x-secret", "header too"), ("set-cookie", "secret=1")], "the secret report")
    };
    let site = Site::serve(Router::new().route("/report", get(handler)).layer(PaymentLayer::new(server))).await;
    let payment = header::encode(&pay(&site.offer("/report").await, "n")).unwrap();
    let request =
        format!("GET /report HTTP/1.1\r\nhost: x\r\nconnection: close\r\npayment-signature: {payment}\r\n\r\n");
    let answer = site.raw(request.as_bytes()).await;
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    assert!(answer.starts_with("HTTP/1.1 402"), "{answer}");
    assert!(!answer.contains("secret"), "not a byte of it: {answer}");
    assert!(chain.auditor().transfers().is_empty());
}

type Kept = HashMap<String, (StatusCode, HeaderMap, Bytes)>;

/// A cache that does what it is told: keeps what may be kept, by path.
#[derive(Clone)]
struct Cache {
    origin: String,
    kept: Arc<Mutex<Kept>>,
}

async fn cached(State(cache): State<Cache>, request: Request) -> Response {
    let key = request.uri().path().to_owned();
    if let Some((status, headers, body)) = cache.kept.lock().unwrap().get(&key).cloned() {
        return (status, headers, body).into_response();
    }
    let forward = plain_client().unwrap().get(format!("{}{key}", cache.origin)).headers(request.headers().clone());
    let answer = forward.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    let control = headers.get("cache-control").map_or("", |value| value.to_str().unwrap());
    if !control.split(',').any(|directive| ["private", "no-store"].contains(&directive.trim())) {
        cache.kept.lock().unwrap().insert(key, (status, headers.clone(), body.clone()));
    }
    (status, headers, body).into_response()
}

/// Caches serve paid content.
#[tokio::test]
async fn a_caching_proxy_keeps_neither_what_was_paid_nor_the_challenge() {
    let network = network();
    let server = shop(&network, fake(&network)).await;
    let page = || get(|| async { ([("cache-control", "public, max-age=600")], "the page") });
    let router = Router::new().route("/report", page()).route("/free", page());
    let site = Site::serve(router.layer(PaymentLayer::new(server))).await;
    let cache = Cache { origin: site.url.clone(), kept: Arc::default() };
    let proxy = Site::serve(Router::new().fallback(cached).with_state(cache.clone())).await;
    let offer = proxy.offer("/report").await;
    let paid = proxy.present("/report", &pay(&offer, "n")).await;
    assert_eq!(paid.status(), StatusCode::OK, "the challenge was not kept");
    assert_eq!(paid.headers()["cache-control"], "public, max-age=600, private");
    let stranger = get_plain(&proxy.at("/report")).await;
    assert_eq!(stranger.status(), StatusCode::PAYMENT_REQUIRED, "what was paid was not kept");
    get_plain(&proxy.at("/free")).await;
    assert_eq!(cache.kept.lock().unwrap().keys().collect::<Vec<_>>(), ["/free"], "the cache works");
}

/// `Host: evil`.
#[tokio::test]
async fn host_spoofing() {
    let network = network();
    let site = Site::serve(app(shop(&network, fake(&network)).await)).await;
    let request = "GET /report?q=1 HTTP/1.1\r\nhost: evil.test\r\nx-forwarded-host: evil.test\r\n\
        x-forwarded-proto: http\r\nx-forwarded-prefix: /evil\r\nforwarded: host=evil.test\r\nx-original-url: /free\r\n\
        x-rewrite-url: /free\r\nx-http-method-override: POST\r\nconnection: close\r\n\r\n";
    let answer = site.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 402"), "{answer}");
    let line = answer.lines().find_map(|line| line.strip_prefix("payment-required: ")).unwrap();
    let challenge: tollway_core::PaymentRequired = header::decode(line.as_bytes()).unwrap();
    assert_eq!(challenge.resource.url, "https://shop.test/report?q=1");
}

/// The facilitator lies: whatever it says that does not fit the payment is no payment.
#[tokio::test]
async fn a_lying_facilitator() {
    for lie in [Lie::Payer, Lie::Amount] {
        let network = network();
        let facilitator = fake(&network);
        facilitator.on_settle([Answer::Lie(lie)]);
        let site = Site::serve(app(shop(&network, facilitator.clone()).await)).await;
        let response = site.present("/report", &pay(&site.offer("/report").await, "n")).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{lie:?}");
        assert!(!response.headers().contains_key(PAYMENT_RESPONSE));
        assert!(!response.text().await.unwrap().contains("the report"));
    }
}

/// The handler panics: nothing is settled, nothing is kept, the payment is good for another try.
#[tokio::test]
async fn a_handler_that_panics() {
    let network = network();
    let facilitator = fake(&network);
    let server = shop(&network, facilitator.clone()).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { panic!("on purpose") } else { "the report" } }
    };
    let site = Site::serve(Router::new().route("/report", get(handler)).layer(PaymentLayer::new(server))).await;
    let payment = pay(&site.offer("/report").await, "n");
    let header = header::encode(&payment).unwrap();
    let broken = plain_client().unwrap().get(site.at("/report")).header(PAYMENT_SIGNATURE, header).send().await;
    assert!(broken.is_err(), "hyper closes the connection");
    settle_down().await;
    assert_eq!(facilitator.settles(), 0);
    let response = site.present("/report", &payment).await;
    assert_eq!((response.status(), facilitator.moved()), (StatusCode::OK, 1));
}

/// The shop's service, for tests that drive its future themselves. Every part of it takes several polls.
async fn slow_app(network: &str) -> (Router, Arc<tollway_testkit::FakeFacilitator>) {
    async fn pause() {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
    let facilitator = fake(network);
    let slowly = || Answer::After(Duration::from_millis(2), Box::new(Answer::Yes));
    facilitator.on_verify([slowly()]);
    facilitator.on_settle([slowly()]);
    let server = shop(network, facilitator.clone()).await;
    let handler = || async {
        pause().await;
        let chunks = futures_util::stream::unfold(0, |i| async move {
            pause().await;
            (i < 3).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"part ")), i + 1))
        });
        Body::from_stream(chunks)
    };
    (Router::new().route("/report", get(handler)).layer(PaymentLayer::new(server)), facilitator)
}

fn request(payment: &PaymentPayload) -> Request {
    let header = header::encode(payment).unwrap();
    Request::builder().uri("/report").header(PAYMENT_SIGNATURE, header).body(Body::empty()).unwrap()
}

/// The client leaves: cancel at every await. The payment is never lost and never paid twice.
#[tokio::test]
async fn a_client_that_leaves_at_every_await() {
    let network = network();
    let (app, facilitator) = slow_app(&network).await;
    let site = Site::serve(app.clone()).await;
    let offer = site.offer("/report").await;
    let mut left = 0;
    for polls in 0.. {
        let payment = pay(&offer, &format!("n{polls}"));
        let mut answer = Box::pin(app.clone().oneshot(request(&payment)));
        let mut done = false;
        for _ in 0..polls {
            if futures_util::poll!(answer.as_mut()).is_ready() {
                done = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(answer);
        settle_down().await;
        let again = app.clone().oneshot(request(&payment)).await.unwrap();
        assert_eq!(facilitator.moved_for(&payment.payload), 1, "after {polls} polls");
        if done {
            assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED, "answered once, and only once");
            assert!(polls > 10, "the way is long: {polls}");
            break;
        }
        left += 1;
        assert_eq!(again.status(), StatusCode::OK, "the same payment is answered after {polls} polls");
        assert!(again.headers().contains_key(PAYMENT_RESPONSE));
        let body = axum::body::to_bytes(again.into_body(), 1000).await.unwrap();
        assert_eq!(body, "part part part ");
    }
    assert!(left > 10);
}

/// The same through a socket: the peer is gone, the settlement runs to its end, the money is answered for.
#[tokio::test]
async fn a_client_that_hangs_up_while_its_payment_settles() {
    let network = network();
    let facilitator = fake(&network);
    facilitator.on_settle([Answer::After(Duration::from_millis(300), Box::new(Answer::Yes))]);
    let site = Site::serve(app(shop(&network, facilitator.clone()).await)).await;
    let payment = pay(&site.offer("/report").await, "n");
    let header = header::encode(&payment).unwrap();
    let request = plain_client().unwrap().get(site.at("/report")).header(PAYMENT_SIGNATURE, header).send();
    let leaving = tokio::spawn(request);
    while facilitator.settles() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    leaving.abort();
    while facilitator.moved() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    settle_down().await;
    let response = site.present("/report", &payment).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(receipt(response.headers()).unwrap().success);
    assert_eq!((facilitator.settles(), facilitator.moved()), (1, 1), "from the books, not paid again");
}
