//! Servers on loopback, and the usual shop: `GET /report` for a cent on the fake chain.

use axum::Router;
use axum::routing::get;
use http::HeaderMap;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tollway_core::{
    Facilitator, PaymentPayload, PaymentRequired, PaymentRequirements, Plugin, Registry, SettleResponse,
};
use tollway_http::header::{self, PAYMENT_REQUIRED, PAYMENT_RESPONSE, PAYMENT_SIGNATURE};
use tollway_http::{PaymentLayer, plain_client};
use tollway_roles::client::PaymentClientBuilder;
use tollway_roles::server::ResourceServerBuilder;
use tollway_roles::{LocalFacilitator, PaymentClient, ResourceServer, Route, Way};
use tollway_testkit::{FAKE, FakeClock, FakeFacilitator, FakePayload, FakeSigner, Script, fixtures};

/// Where clients are told the shop is. Not where it is: tests must not depend on a port.
pub(crate) const ORIGIN: &str = "https://shop.test";
pub(crate) const PRICE: &str = "$0.01";

/// A network nobody else uses: one name is one world, shared by the whole process.
pub(crate) fn network() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("fake:http-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

pub(crate) fn registry() -> Registry {
    registry_with(&[])
}

pub(crate) fn registry_with(more: &[Plugin]) -> Registry {
    let builder = more.iter().fold(Registry::builder().plugin(FAKE), |builder, plugin| builder.plugin(*plugin));
    builder.build().unwrap()
}

pub(crate) fn way(network: &str) -> Way {
    Way::exact(network, PRICE, "payee")
}

pub(crate) fn builder() -> ResourceServerBuilder {
    ResourceServer::builder(ORIGIN).registry(registry()).clock(FakeClock::new())
}

/// Sells `GET /report` by this facilitator.
pub(crate) async fn shop(network: &str, facilitator: impl Facilitator + 'static) -> ResourceServer {
    let route = Route::new("GET /report").accepts(way(network));
    builder().facilitator(facilitator).route(route).build().await.unwrap()
}

pub(crate) fn fake(network: &str) -> Arc<FakeFacilitator> {
    FakeFacilitator::serving("exact", network)
}

pub(crate) async fn local(network: &str) -> LocalFacilitator {
    let builder = LocalFacilitator::builder().registry(registry()).clock(FakeClock::new());
    builder.network(network, serde_json::json!({})).build().await.unwrap()
}

/// The shop's router: one paid route, one free.
pub(crate) fn app(server: ResourceServer) -> Router {
    let router =
        Router::new().route("/report", get(|| async { "the report" })).route("/free", get(|| async { "free" }));
    router.layer(PaymentLayer::new(server))
}

pub(crate) fn payer() -> PaymentClientBuilder {
    let alice = FakeSigner::shared("alice");
    PaymentClient::builder().registry(registry()).clock(FakeClock::new()).signer("fake:*", alice)
}

/// A payment by `alice`.
pub(crate) fn pay(offer: &PaymentRequirements, nonce: &str) -> PaymentPayload {
    fixtures::fake_payment(offer, &FakePayload::new("alice", nonce, offer))
}

pub(crate) fn scripted(offer: &PaymentRequirements, nonce: &str, script: Script) -> PaymentPayload {
    fixtures::fake_payment(offer, &FakePayload::new("alice", nonce, offer).scripted(script))
}

/// A server on a port of its own; it ends with this.
pub(crate) struct Site {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub(crate) async fn serve(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The offers of the challenge at a path.
    pub(crate) async fn challenge(&self, path: &str) -> PaymentRequired {
        let response = get_plain(&self.at(path)).await;
        required(response.headers()).unwrap_or_else(|| panic!("no challenge: {}", response.status()))
    }

    pub(crate) async fn offer(&self, path: &str) -> PaymentRequirements {
        self.challenge(path).await.accepts.remove(0)
    }

    /// Presents a payment.
    pub(crate) async fn present(&self, path: &str, payment: &PaymentPayload) -> reqwest::Response {
        let http = plain_client().unwrap();
        let header = header::encode(payment).unwrap();
        http.get(self.at(path)).header(PAYMENT_SIGNATURE, header).send().await.unwrap()
    }

    /// Writes bytes to the server and reads all it answers until it closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(30), read).await.expect("the server closes");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

pub(crate) async fn get_plain(url: &str) -> reqwest::Response {
    plain_client().unwrap().get(url).send().await.unwrap()
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, name: http::HeaderName) -> Option<T> {
    Some(header::decode(headers.get(name)?.as_bytes()).unwrap())
}

pub(crate) fn required(headers: &HeaderMap) -> Option<PaymentRequired> {
    read(headers, PAYMENT_REQUIRED)
}

pub(crate) fn receipt(headers: &HeaderMap) -> Option<SettleResponse> {
    read(headers, PAYMENT_RESPONSE)
}

/// The error of an answer: of its challenge, or of its receipt.
pub(crate) fn reason(headers: &HeaderMap) -> String {
    match (required(headers), receipt(headers)) {
        (Some(required), None) => required.error.unwrap_or_default(),
        (None, Some(receipt)) => receipt.error_reason.map(|code| code.to_string()).unwrap_or_default(),
        other => panic!("neither challenge nor receipt, or both: {other:?}"),
    }
}

/// Lets tasks that were started on the side run to their end.
pub(crate) async fn settle_down() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}
