//! The paying client: one payment per request, typed receipts, errors that say what to do.

use crate::support::*;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get, post};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tollway_core::{
    Build, BuildContext, ClientExtension, PaymentPayload, PaymentRequired, Plugin, Result, SettleResponse, async_trait,
};
use tollway_http::header::{self, PAYMENT_REQUIRED, PAYMENT_RESPONSE, PAYMENT_SIGNATURE, SIGN_IN_WITH_X};
use tollway_http::{Client, PaymentError, PaymentMiddleware, Receipt, Represent, client, present};
use tollway_roles::PaymentClient;
use tollway_roles::client::ClientHook;
use tollway_testkit::{Answer, FakeSigner, fixtures};

async fn paying() -> Client {
    client(payer().build().await.unwrap()).unwrap()
}

/// The other way to build one: a middleware on a reqwest client that was made without us.
async fn middleware() -> Client {
    let payer = payer().build().await.unwrap();
    tollway_http::install_crypto();
    reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(PaymentMiddleware::new(payer)).build()
}

/// A server that answers by script and remembers the heads of all requests.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<Vec<(StatusCode, HeaderMap)>>>,
    heads: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Script {
    fn then(self, status: u16, headers: &[(http::HeaderName, String)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::try_from(value).unwrap()));
        self.answers.lock().unwrap().push((StatusCode::from_u16(status).unwrap(), headers.collect()));
        self
    }

    async fn serve(&self) -> Site {
        async fn answer(State(script): State<Script>, headers: HeaderMap) -> Response {
            let mut heads = script.heads.lock().unwrap();
            let answers = script.answers.lock().unwrap();
            let (status, answer) = answers.get(heads.len()).or(answers.last()).cloned().unwrap();
            heads.push(headers);
            let mut response = Response::new(Body::from("scripted"));
            *response.status_mut() = status;
            response.headers_mut().extend(answer);
            response
        }
        Site::serve(Router::new().fallback(answer).with_state(self.clone())).await
    }

    fn heads(&self) -> Vec<HeaderMap> {
        self.heads.lock().unwrap().clone()
    }

    /// How many requests carried a payment.
    fn paid(&self) -> usize {
        self.heads().iter().filter(|head| head.contains_key(PAYMENT_SIGNATURE)).count()
    }
}

fn challenge(network: &str) -> (http::HeaderName, String) {
    let required = fixtures::required("https://shop.test/", vec![fixtures::offer(network)]);
    (PAYMENT_REQUIRED, header::encode(&required).unwrap())
}

fn receipt_header(network: &str) -> (http::HeaderName, String) {
    let receipt = SettleResponse::settled(fixtures::network(network), "0xabc", Some("alice".to_owned()));
    (PAYMENT_RESPONSE, header::encode(&receipt).unwrap())
}

async fn error(client: &Client, url: &str) -> reqwest_middleware::Error {
    client.get(url).send().await.expect_err("an error")
}

#[tokio::test]
async fn pays_and_hands_over_answer_and_receipt() {
    for http in [paying().await, middleware().await] {
        let network = network();
        let facilitator = fake(&network);
        let site = Site::serve(app(shop(&network, facilitator.clone()).await)).await;
        let response = http.get(site.at("/report")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let receipt = response.extensions().get::<Receipt>().unwrap();
        assert_eq!((receipt.response().transaction.as_str(), receipt.success), ("fake-tx-0", true));
        assert_eq!(response.text().await.unwrap(), "the report");
        assert_eq!(facilitator.moved(), 1);
    }
}

#[tokio::test]
async fn what_is_free_stays_free() {
    let network = network();
    let facilitator = fake(&network);
    let site = Site::serve(app(shop(&network, facilitator.clone()).await)).await;
    let response = paying().await.get(site.at("/free")).send().await.unwrap();
    assert!(response.extensions().get::<Receipt>().is_none());
    assert_eq!((response.text().await.unwrap().as_str(), facilitator.verifies()), ("free", 0));
}

#[tokio::test]
async fn method_body_and_headers_are_sent_again_as_they_were() {
    let network = network();
    let route = tollway_roles::Route::new("POST /echo").accepts(way(&network));
    let server = builder().facilitator(fake(&network)).route(route).build().await.unwrap();
    let echo =
        |headers: HeaderMap, body: String| async move { format!("{} {body}", headers["x-mine"].to_str().unwrap()) };
    let router = Router::new().route("/echo", post(echo));
    let site = Site::serve(router.layer(tollway_http::PaymentLayer::new(server))).await;
    let request = paying().await.post(site.at("/echo?a=1")).header("x-mine", "yes").body("the body");
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "yes the body");
}

#[tokio::test]
async fn the_paid_request_says_what_deployed_clients_say() {
    let network = network();
    let script = Script::default().then(402, &[challenge(&network)]).then(200, &[receipt_header(&network)]);
    let site = script.serve().await;
    paying().await.get(site.at("/")).send().await.unwrap();
    let heads = script.heads();
    assert_eq!(heads.len(), 2);
    assert!(!heads[0].contains_key(PAYMENT_SIGNATURE));
    assert_eq!(heads[1]["access-control-expose-headers"], "PAYMENT-RESPONSE,X-PAYMENT-RESPONSE");
    let payment: PaymentPayload = header::decode(heads[1][PAYMENT_SIGNATURE].as_bytes()).unwrap();
    assert_eq!(payment.accepted, fixtures::offer(&network));
}

/// Endless 402: one payment per call, whatever is answered.
#[tokio::test]
async fn an_answer_is_an_answer() {
    let network = network();
    for (status, headers) in [(402, vec![challenge(&network)]), (402, vec![]), (500, vec![]), (200, vec![])] {
        let script = Script::default().then(402, &[challenge(&network)]).then(status, &headers);
        let site = script.serve().await;
        let response = paying().await.get(site.at("/")).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!((script.heads().len(), script.paid()), (2, 1));
        assert!(response.extensions().get::<Receipt>().is_none());
        assert_eq!(response.text().await.unwrap(), "scripted");
    }
}

#[tokio::test]
async fn a_receipt_that_cannot_be_read_does_not_cost_the_answer() {
    let network = network();
    let broken = (PAYMENT_RESPONSE, "!!!".to_owned());
    let script = Script::default().then(402, &[challenge(&network)]).then(200, &[broken]);
    let response = paying().await.get(script.serve().await.at("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.extensions().get::<Receipt>().is_none());
}

#[tokio::test]
async fn challenges_that_cannot_be_paid_say_why() {
    let http = paying().await;
    let body_only = Script::default().then(402, &[]);
    let why = error(&http, &body_only.serve().await.at("/")).await;
    assert!(matches!(PaymentError::of(&why), Some(PaymentError::NoChallenge)));
    assert!(why.to_string().contains("PAYMENT-REQUIRED"), "{why}");
    for text in ["!!!".to_owned(), "e30=".to_owned(), "A".repeat(header::MAX_HEADER + 4)] {
        let script = Script::default().then(402, &[(PAYMENT_REQUIRED, text)]);
        let why = error(&http, &script.serve().await.at("/")).await;
        assert!(matches!(PaymentError::of(&why), Some(PaymentError::BadChallenge(_))), "{why}");
        assert_eq!(script.heads().len(), 1);
    }
    let script = Script::default().then(402, &[challenge("nowhere:1")]);
    let why = error(&http, &script.serve().await.at("/")).await;
    assert!(matches!(PaymentError::of(&why), Some(PaymentError::NotPaid(_))));
    assert!(why.to_string().contains("no key is configured for nowhere:1"), "{why}");
    assert_eq!(script.heads().len(), 1);
}

#[tokio::test]
async fn a_request_that_carries_a_payment_already() {
    let network = network();
    let script = Script::default().then(402, &[challenge(&network)]);
    let site = script.serve().await;
    for name in ["payment-signature", "x-payment"] {
        let why = paying().await.get(site.at("/")).header(name, "e30=").send().await.unwrap_err();
        assert!(matches!(PaymentError::of(&why), Some(PaymentError::AlreadyAttempted)));
        assert!(why.to_string().starts_with("Payment already attempted"), "{why}");
    }
    assert!(script.heads().is_empty());
}

/// Counts what is signed.
#[derive(Default)]
struct Journal {
    signed: Mutex<Vec<PaymentPayload>>,
    answered: Mutex<Vec<(bool, bool)>>,
}

#[async_trait]
impl ClientHook for Journal {
    async fn signed(
        &self,
        _: &tollway_roles::client::Purchase<'_>,
        payment: &PaymentPayload,
    ) -> std::result::Result<(), String> {
        self.signed.lock().unwrap().push(payment.clone());
        Ok(())
    }

    async fn answered(
        &self,
        _: &PaymentPayload,
        receipt: Option<&SettleResponse>,
        challenge: Option<&PaymentRequired>,
    ) {
        self.answered.lock().unwrap().push((receipt.is_some(), challenge.is_some()));
    }
}

async fn journaled() -> (Client, Arc<Journal>) {
    let journal = Arc::new(Journal::default());
    (client(payer().hook(journal.clone()).build().await.unwrap()).unwrap(), journal)
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_is_an_error_before_anything_is_signed() {
    let network = network();
    let (http, journal) = journaled().await;
    let body = || reqwest::Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("streamed")]));
    let script = Script::default().then(402, &[challenge(&network)]);
    let why = http.post(script.serve().await.at("/")).body(body()).send().await.unwrap_err();
    assert!(matches!(PaymentError::of(&why), Some(PaymentError::BodyNotRepeatable)));
    assert!(why.to_string().contains("bytes or text"), "{why}");
    assert!(journal.signed.lock().unwrap().is_empty());
    // Where nothing is to be paid, streams are as good as anything.
    let free = Script::default().then(200, &[]);
    assert_eq!(http.post(free.serve().await.at("/")).body(body()).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn hooks_hear_of_receipts_and_of_new_challenges() {
    let network = network();
    let (http, journal) = journaled().await;
    let happy = Script::default().then(402, &[challenge(&network)]).then(200, &[receipt_header(&network)]);
    http.get(happy.serve().await.at("/")).send().await.unwrap();
    let refused = Script::default().then(402, &[challenge(&network)]);
    http.get(refused.serve().await.at("/")).send().await.unwrap();
    assert_eq!(*journal.answered.lock().unwrap(), [(true, false), (false, true)]);
}

/// Retry after a timeout pays twice: drop every response, present the same payment, be charged once.
#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_with_the_same_payment() {
    let network = network();
    let facilitator = fake(&network);
    let server = shop(&network, facilitator.clone()).await;
    let shop = Site::serve(app(server)).await;
    let (http, journal) = journaled().await;
    // In front of the shop: forwards, and hangs up instead of passing a paid answer on, for as long as it is told to.
    let dropping = Arc::new(AtomicUsize::new(2));
    let (upstream, drops) = (shop.url.clone(), dropping.clone());
    let forward = move |headers: HeaderMap| {
        let (upstream, drops) = (upstream.clone(), drops.clone());
        async move {
            let paid = headers.contains_key(PAYMENT_SIGNATURE);
            let request = tollway_http::plain_client().unwrap().get(format!("{upstream}/report")).headers(headers);
            let answer = request.send().await.unwrap();
            if paid && drops.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left: usize| left.checked_sub(1)).is_ok()
            {
                panic!("the line goes dead");
            }
            (answer.status(), answer.headers().clone())
        }
    };
    let front = Site::serve(Router::new().route("/report", any(forward))).await;
    let why = http.get(front.at("/report")).send().await.unwrap_err();
    let lost = PaymentError::lost(&why).unwrap_or_else(|| panic!("{why}"));
    assert_eq!(lost.origin, front.url);
    assert!(why.to_string().contains("present the same payment again"), "{why}");
    let signature = lost.payment.payload["signature"].as_str().unwrap();
    assert!(!format!("{why:?} {lost:?}").contains(signature), "a payment is as good as money");
    assert!(PaymentError::lost(&present(http.get(front.at("/report")), lost).await.unwrap_err()).is_some(), "again");
    let answer = present(http.get(front.at("/report")), lost).await.unwrap();
    assert!(answer.status() == StatusCode::PAYMENT_REQUIRED, "the shop has answered, whoever heard it");
    let receipt = answer.extensions().get::<Receipt>().unwrap();
    assert_eq!(receipt.error_reason.as_ref().unwrap().as_str(), "duplicate_settlement");
    assert_eq!((facilitator.moved(), journal.signed.lock().unwrap().len()), (1, 1), "signed once, charged once");
}

/// A middleware outside of ours that repeats whatever fails, as retrying middlewares do.
struct Stubborn;

#[async_trait]
impl reqwest_middleware::Middleware for Stubborn {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let copy = request.try_clone().unwrap();
        match next.clone().run(request, extensions).await {
            Ok(answer) if answer.status().is_success() => Ok(answer),
            _ => next.run(copy, extensions).await,
        }
    }
}

#[tokio::test]
async fn a_middleware_that_repeats_requests_does_not_pay_twice() {
    let network = network();
    let script = Script::default().then(402, &[challenge(&network)]).then(502, &[]).then(200, &[]);
    let site = script.serve().await;
    let ours = PaymentMiddleware::new(payer().build().await.unwrap());
    tollway_http::install_crypto();
    let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(Stubborn).with(ours).build();
    assert_eq!(http.get(site.at("/")).send().await.unwrap().status(), StatusCode::OK);
    let heads = script.heads();
    assert_eq!((heads.len(), script.paid()), (3, 2));
    assert_eq!(heads[1][PAYMENT_SIGNATURE], heads[2][PAYMENT_SIGNATURE], "the same payment");
}

/// The same where the shop could not settle yet: the answer carries what to present again.
#[tokio::test]
async fn a_payment_that_is_still_pending_is_presented_again() {
    let network = network();
    let facilitator = fake(&network);
    facilitator.on_settle([Answer::Pending("0x1".into()), Answer::Pending("0x1".into()), Answer::Yes]);
    let site = Site::serve(app(shop(&network, facilitator.clone()).await)).await;
    let (http, journal) = journaled().await;
    let response = http.get(site.at("/report")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(
        response.extensions().get::<Receipt>().unwrap().error_reason.as_ref().unwrap().as_str(),
        "settlement_pending"
    );
    let again = response.extensions().get::<Represent>().unwrap().clone();
    let response = present(http.get(site.at("/report")), again).await.unwrap();
    assert_eq!((response.status(), response.text().await.unwrap()), (StatusCode::OK, "the report".to_owned()));
    assert_eq!(journal.signed.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_payment_is_presented_to_its_own_origin_only() {
    let (here, there) = (Script::default().then(200, &[]), Script::default().then(200, &[]));
    let (here_site, there_site) = (here.serve().await, there.serve().await);
    let payment = pay(&fixtures::offer(&network()), "n");
    let again = Represent::new(payment, here_site.url.clone());
    let http = paying().await;
    let why = present(http.get(there_site.at("/")), again.clone()).await.unwrap_err();
    assert!(matches!(PaymentError::of(&why), Some(PaymentError::OtherOrigin { .. })), "{why}");
    assert!(there.heads().is_empty());
    present(http.get(here_site.at("/")), again).await.unwrap();
    assert_eq!(here.paid(), 1);
}

#[tokio::test]
async fn a_payment_too_long_for_a_header_is_not_sent() {
    let network = network();
    let mut required = fixtures::required("https://shop.test/", vec![fixtures::offer(&network)]);
    let rest = header::MAX_HEADER - header::encode(&required).unwrap().len();
    // Fills the challenge's header; the payment carries the same and a signature.
    required.resource.description = Some("d".repeat(rest / 4 * 3 - 32));
    let text = header::encode(&required).unwrap();
    assert!(text.len() <= header::MAX_HEADER);
    let script = Script::default().then(402, &[(PAYMENT_REQUIRED, text)]);
    let why = error(&paying().await, &script.serve().await.at("/")).await;
    assert!(matches!(PaymentError::of(&why), Some(PaymentError::TooLong(_))), "{why}");
    assert_eq!(script.paid(), 0);
}

/// A session: a token for one origin, and an answer to challenges that declare it.
struct Session;

#[derive(Debug, Clone, Deserialize)]
struct SessionConfig {
    #[serde(default)]
    token: Option<String>,
}

struct SessionClient(SessionConfig);

impl Build for SessionClient {
    type Config = SessionConfig;

    async fn build(config: SessionConfig, _: BuildContext) -> std::result::Result<Self, String> {
        Ok(Self(config))
    }
}

#[async_trait]
impl ClientExtension for SessionClient {
    fn key(&self) -> &'static str {
        "session"
    }

    async fn prepare(&self, origin: &str, target: &str) -> Vec<(String, String)> {
        self.0.token.iter().map(|token| ("sign-in-with-x".to_owned(), format!("{token} {origin} {target}"))).collect()
    }

    async fn answer(&self, _: &PaymentRequired, origin: &str) -> Result<Vec<(String, String)>> {
        Ok(vec![("SIGN-IN-WITH-X".to_owned(), format!("proof {origin}")), ("no header".to_owned(), "\n".to_owned())])
    }
}

impl Session {
    const PLUGIN: Plugin = Plugin::new("session", "a session for tests", |registrar| {
        registrar.client_extension::<SessionClient>("session");
    });

    async fn client(token: Option<&str>) -> PaymentClient {
        let section = token.map_or(serde_json::json!({}), |token| serde_json::json!({ "token": token }));
        let builder = PaymentClient::builder().registry(registry_with(&[Self::PLUGIN])).extension("session", section);
        builder.signer("fake:*", FakeSigner::shared("alice")).build().await.unwrap()
    }
}

fn with_session(network: &str) -> (http::HeaderName, String) {
    let mut required = fixtures::required("https://shop.test/", vec![fixtures::offer(network)]);
    required.extensions = serde_json::json!({ "session": { "info": {} } }).as_object().cloned();
    (PAYMENT_REQUIRED, header::encode(&required).unwrap())
}

#[tokio::test]
async fn a_session_is_tried_once_before_paying() {
    let network = network();
    let http = client(Session::client(None).await).unwrap();
    let opened = Script::default().then(402, &[with_session(&network)]).then(200, &[]);
    let site = opened.serve().await;
    assert_eq!(http.get(site.at("/a")).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(opened.heads()[1][SIGN_IN_WITH_X], format!("proof {}", site.url));
    assert_eq!(opened.paid(), 0);

    let refused = Script::default()
        .then(402, &[with_session(&network)])
        .then(402, &[with_session(&network)])
        .then(200, &[receipt_header(&network)]);
    let site = refused.serve().await;
    let response = http.get(site.at("/a")).send().await.unwrap();
    assert!(response.extensions().get::<Receipt>().is_some());
    let heads = refused.heads();
    assert_eq!((heads.len(), refused.paid()), (3, 1));
    assert!(heads[1].contains_key(SIGN_IN_WITH_X) && !heads[2].contains_key(SIGN_IN_WITH_X), "as deployed clients do");
}

#[tokio::test]
async fn a_token_goes_with_the_first_request_to_its_origin() {
    let http = client(Session::client(Some("token")).await).unwrap();
    let script = Script::default().then(200, &[]);
    let site = script.serve().await;
    http.get(site.at("/a?b=1")).send().await.unwrap();
    assert_eq!(script.heads()[0][SIGN_IN_WITH_X], format!("token {} /a", site.url));
}

#[tokio::test]
async fn connections_are_kept_over_a_challenge() {
    let network = network();
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let required = challenge(&network);
    let handler = move |axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<std::net::SocketAddr>,
                        headers: HeaderMap| {
        seen.lock().unwrap().push(peer);
        let status =
            if headers.contains_key(PAYMENT_SIGNATURE) { StatusCode::OK } else { StatusCode::PAYMENT_REQUIRED };
        let required = required.clone();
        async move { (status, [required], "{}") }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(tollway_http::Serve::new(listener, Router::new().route("/", get(handler))).into_future());
    paying().await.get(&url).send().await.unwrap();
    server.abort();
    let peers = peers.lock().unwrap();
    assert_eq!(peers.len(), 2);
    assert_eq!(peers[0], peers[1], "one connection for both requests");
}
