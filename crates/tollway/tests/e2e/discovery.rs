//! Discovery over real HTTP: the recorded exchanges, and the life of a listing from one payment to the server's end.

use crate::golden::{answers_the_server, assert_same_answer, pay_the_server, recorded_at, without_incidentals};
use crate::world::{Answer, NETWORK, ORIGIN, PAYEE, World, serve};
use async_trait::async_trait;
use axum::extract::Request;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinHandle;
use tollway::core::Clock;
use tollway::discovery::probe::{Fetch, Head, SafeFetch};
use tollway::discovery::{Catalogue, CatalogueConfig, Finder, Query};
use tollway::evm::LocalKey;
use tollway::http::{self, FacilitatorRouter, PaymentLayer, RemoteFacilitator};
use tollway::{PaymentClient, ResourceServer, Route, Way};
use tollway_devnet::{Devnet, accounts};
use tollway_testkit::{FakeClock, golden};

/// Asks a recorded origin where it really listens.
struct Rerouted {
    fetch: SafeFetch,
    to: Arc<OnceLock<String>>,
}

#[async_trait]
impl Fetch for Rerouted {
    async fn head(&self, method: &str, url: &url::Url) -> Result<Head, String> {
        let there = self.to.get().ok_or("nobody listens yet")?;
        let url = url.as_str().replacen(ORIGIN, there, 1).parse().map_err(|_| "no URL")?;
        self.fetch.head(method, &url).await
    }
}

/// A chain, a facilitator with a catalogue, and what is sold.
struct Market {
    clock: Arc<FakeClock>,
    _devnet: Devnet,
    facilitator: String,
    catalogue: Catalogue,
    to: Arc<OnceLock<String>>,
}

impl Market {
    async fn at(now: u64) -> Self {
        let (clock, devnet, engine) = World::chain(now).await;
        let to: Arc<OnceLock<String>> = Arc::default();
        let fetch = Rerouted { fetch: SafeFetch::new(true).unwrap(), to: to.clone() };
        let settings: CatalogueConfig =
            serde_json::from_value(json!({ "allowLoopback": true, "deadAfter": 2 })).unwrap();
        let catalogue =
            Catalogue::builder().settings(settings).clock(clock.clone()).fetch(Arc::new(fetch)).build().unwrap();
        let engine = engine.use_extension(Arc::new(catalogue.clone())).build().await.unwrap();
        let facilitator = serve(FacilitatorRouter::local(engine).into_router()).await;
        Self { clock, _devnet: devnet, facilitator, catalogue, to }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = http::plain_client().unwrap().get(format!("{}{path}", self.facilitator)).send().await.unwrap();
        Answer::of(answer).await.json()
    }

    /// The answer of a list, once that has so many entries.
    async fn lists(&self, path: &str, list: &str, many: usize) -> Value {
        for _ in 0..1000 {
            let found = self.get(path).await;
            if found[list].as_array().is_some_and(|entries| entries.len() == many) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} does not list {many}: {}", self.get(path).await);
    }

    async fn payer(&self) -> PaymentClient {
        let key = LocalKey::from_hex(&accounts::CLIENT.private_key().to_string()).unwrap();
        PaymentClient::builder().clock(self.clock.clone()).signer(NETWORK, Arc::new(key)).build().await.unwrap()
    }
}

/// The recorded server's two listed routes.
async fn recorded_server(market: &Market) -> String {
    let weather = Route::new("GET /bazaar/weather/[city]")
        .accepts(Way::exact(NETWORK, "$0.001", PAYEE))
        .description("Weather by city")
        .mime_type("application/json")
        .service_name("Interop Weather")
        .tags(["weather", "test"])
        .icon_url("https://example.com/icon.png")
        .extension(
            "discovery",
            json!({
                "query": {
                    "example": { "units": "metric" },
                    "schema": {
                        "properties": { "units": { "type": "string", "enum": ["metric", "imperial"] } },
                        "required": ["units"],
                    },
                },
                "path": { "properties": { "city": { "type": "string" } }, "required": ["city"] },
                "output": { "example": { "city": "Paris", "degrees": 21 } },
            }),
        );
    let echo = Route::new("POST /bazaar/echo")
        .accepts(Way::exact(NETWORK, "$0.001", PAYEE))
        .description("Echo")
        .mime_type("application/json")
        .extension(
            "discovery",
            json!({
                "body": {
                    "example": { "text": "hello" },
                    "schema": { "properties": { "text": { "type": "string" } }, "required": ["text"] },
                },
                "output": { "example": { "text": "hello" } },
            }),
        );
    let server = ResourceServer::builder(ORIGIN)
        .clock(market.clock.clone())
        .facilitator(RemoteFacilitator::new(&market.facilitator).unwrap())
        .route(weather)
        .route(echo)
        .build()
        .await
        .unwrap();
    let ok = async |request: Request| Json(json!({ "ok": true, "route": request.uri().path() }));
    let app = Router::new().route("/bazaar/weather/{city}", get(ok)).route("/bazaar/echo", post(ok));
    serve(app.layer(PaymentLayer::new(server))).await
}

/// Sends what a recorded client sent, and compares the answers.
async fn replay(server: &str, name: &str) {
    let flow = golden::flow(name);
    for (i, exchange) in flow["http"].as_array().unwrap().iter().enumerate() {
        let sent = &exchange["request"];
        let method = sent["method"].as_str().unwrap().parse().unwrap();
        let url = format!("{server}{}", sent["path"].as_str().unwrap());
        let mut request = http::plain_client().unwrap().request(method, url);
        if let Some(payment) = sent["headers"]["payment-signature"].as_str() {
            request = request.header("payment-signature", payment);
        }
        if sent["body"].is_object() {
            request = request.json(&sent["body"]);
        }
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert!(!answer.headers.contains_key("extension-responses"), "not the payer's business");
        assert_same_answer(&answer, &exchange["response"], &format!("{name}, exchange {i}"));
    }
}

#[tokio::test]
async fn bazaar_flows_are_answered_and_listed_as_recorded() {
    let first = golden::flow("bazaar-get");
    let market = Market::at(recorded_at(&first)).await;
    let server = recorded_server(&market).await;
    market.to.set(server.clone()).unwrap();
    replay(&server, "bazaar-get").await;
    market.lists("/discovery/resources", "items", 1).await;
    replay(&server, "bazaar-post").await;
    let mut ours = market.lists("/discovery/resources?limit=10&offset=0", "items", 2).await;
    let mut recorded = golden::flow("discovery-resources")["response"].clone();
    for answer in [&mut ours, &mut recorded] {
        for item in answer["items"].as_array_mut().unwrap() {
            let at = item["lastUpdated"].take();
            assert_eq!(at.as_str().unwrap().len(), "2026-11-20T15:15:24.296Z".len());
        }
    }
    for item in ours["items"].as_array_mut().unwrap() {
        // What was measured stands beside what the protocol knows.
        let measured = item.as_object_mut().unwrap().remove("quality").unwrap();
        assert_eq!(measured["successRate"], 1.0);
    }
    assert_eq!(ours, recorded);
    let found = market.get("/discovery/search?query=interop+weather&network=eip155:84532").await;
    assert_eq!(found["resources"][0]["resource"], format!("{ORIGIN}/bazaar/weather/:city"));
}

#[tokio::test]
async fn bazaar_get_the_recorded_server_is_answered_as_recorded() {
    answers_recorded("bazaar-get").await;
}

#[tokio::test]
async fn bazaar_post_the_recorded_server_is_answered_as_recorded() {
    answers_recorded("bazaar-post").await;
}

/// The recorded server's calls get the recorded answers, and beside them what the extension says.
async fn answers_recorded(name: &str) {
    let flow = golden::flow(name);
    let market = Market::at(recorded_at(&flow)).await;
    for exchange in flow["facilitator"].as_array().unwrap() {
        let path = exchange["request"]["path"].as_str().unwrap();
        let request = http::plain_client().unwrap().post(format!("{}{path}", market.facilitator));
        let answer = Answer::of(request.json(&exchange["request"]["body"]).send().await.unwrap()).await;
        assert_eq!(answer.decoded("extension-responses"), json!({ "bazaar": { "status": "processing" } }), "{path}");
        let (ours, theirs) = (answer.json(), exchange["response"]["body"].clone());
        assert_eq!(without_incidentals(ours), without_incidentals(theirs), "{name} {path}");
    }
    // The same without a catalogue: a facilitator that lists nothing says nothing.
    let world = World::at(recorded_at(&flow)).await;
    answers_the_server(&world, name).await;
}

#[tokio::test]
async fn bazaar_get_the_recorded_server_is_paid_as_recorded() {
    let key = LocalKey::from_hex(&accounts::CLIENT.private_key().to_string()).unwrap();
    let clock = FakeClock::at(recorded_at(&golden::flow("bazaar-get")));
    let payer = PaymentClient::builder().clock(clock).signer(NETWORK, Arc::new(key));
    let (sent, recorded) = pay_the_server("bazaar-get", payer).await;
    assert_eq!(sent["extensions"], recorded["extensions"]);
    assert_eq!(sent["resource"], recorded["resource"]);
}

/// A server on loopback that sells the weather at a price, until it is stopped.
async fn weather(market: &Market, listener: tokio::net::TcpListener, price: &str) -> JoinHandle<()> {
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let route = Route::new("GET /weather/:city")
        .accepts(Way::exact(NETWORK, price, PAYEE))
        .description("Weather by city")
        .extension("discovery", json!({ "query": { "example": { "units": "metric" } } }));
    let server = ResourceServer::builder(origin)
        .clock(market.clock.clone())
        .facilitator(RemoteFacilitator::new(&market.facilitator).unwrap())
        .route(route)
        .build()
        .await
        .unwrap();
    let handler = async |request: Request| Json(json!({ "asked": request.uri().to_string() }));
    let app = Router::new().route("/weather/{city}", get(handler)).layer(PaymentLayer::new(server));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() })
}

#[tokio::test]
async fn a_listing_from_one_payment_to_the_servers_end() {
    let market = Market::at(FakeClock::START).await;
    market.to.set(ORIGIN.to_owned()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, origin) = (listener.local_addr().unwrap(), format!("http://{}", listener.local_addr().unwrap()));
    let server = weather(&market, listener, "$0.001").await;
    let search = "/discovery/search?query=weather";
    assert_eq!(market.get(search).await["resources"], json!([]));

    // One payment by anybody.
    let client = http::client(market.payer().await).unwrap();
    let paid = client.get(format!("{origin}/weather/Oslo?units=metric")).send().await.unwrap();
    assert_eq!(paid.status(), 200);
    let found = market.lists(search, "resources", 1).await;
    assert_eq!(found["resources"][0]["resource"], format!("{origin}/weather/:city"));
    assert_eq!(found["resources"][0]["accepts"][0]["amount"], "1000");

    // Discover, choose, pay, in one expression and within a limit.
    let finder = Finder::new([&market.facilitator]).unwrap().allow_loopback();
    let payer = market.payer().await;
    let bought = finder.call(&Query::text("weather").max_price("$0.01"), &payer).await.unwrap();
    assert_eq!(bought.response.status(), 200);
    assert!(bought.response.extensions().get::<http::Receipt>().unwrap().success);
    assert_eq!(bought.service.price_micros, Some(1000));
    assert_eq!(bought.response.json::<Value>().await.unwrap()["asked"], "/weather/Oslo?units=metric");
    let why = finder.call(&Query::text("weather").max_price("$0.0001"), &payer).await.unwrap_err();
    assert!(why.to_string().contains("nothing is listed that fits"), "{why}");

    // Another price: whoever goes by the list is not overcharged, and the list learns of it by one probe.
    stop(server).await;
    let server = weather(&market, tokio::net::TcpListener::bind(address).await.unwrap(), "$0.005").await;
    let why = finder.call(&Query::text("weather").max_price("$0.01"), &payer).await.unwrap_err();
    assert!(why.to_string().contains("more than it is listed with"), "{why}");
    market.clock.advance(3600);
    market.catalogue.round().await.unwrap();
    for _ in 0..1000 {
        if market.get(search).await["resources"][0]["accepts"][0]["amount"] == "5000" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(market.get(search).await["resources"][0]["accepts"][0]["amount"], "5000");

    // Its end.
    stop(server).await;
    for _ in 0..2 {
        market.clock.set(market.clock.now() + 3600);
        market.catalogue.round().await.unwrap();
    }
    market.lists(search, "resources", 0).await;
}

async fn stop(server: JoinHandle<()>) {
    server.abort();
    let _ = server.await;
}
