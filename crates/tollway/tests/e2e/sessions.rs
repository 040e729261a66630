//! Sessions over real HTTP: what travels in headers, who sees it, and what a browser may read.

use crate::world::{Answer, NETWORK, PAYEE, World, serve};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tollway::evm::LocalKey;
use tollway::http::{self, Client, Paid, PaymentLayer, RemoteFacilitator, Session};
use tollway::{PaymentClient, ResourceServer, Route, Sessions, Way};
use tollway_devnet::accounts;
use tollway_testkit::FakeClock;

/// A server on loopback that is reached by its own name, so that clients sign for it.
struct Site {
    world: World,
    url: String,
    sessions: Sessions,
}

impl Site {
    async fn with(section: Value) -> Self {
        let world = World::at(FakeClock::START).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sessions = Sessions::builder().clock(world.clock.clone()).build().unwrap();
        let route = Route::new("GET /report").accepts(Way::exact(NETWORK, "$0.001", PAYEE));
        let server = ResourceServer::builder(&url)
            .clock(world.clock.clone())
            .facilitator(RemoteFacilitator::new(&world.facilitator).unwrap())
            .use_extension("session", sessions.extension())
            .route(route.extension("session", section))
            .build()
            .await
            .unwrap();
        let who = async |paid: Option<Paid>, session: Option<Session>, headers: HeaderMap| {
            let names = ["payment-signature", "sign-in-with-x", "session-token"];
            let seen: Vec<_> = names.into_iter().filter(|name| headers.contains_key(*name)).collect();
            let fails = headers.contains_key("x-fail");
            let status = if fails { StatusCode::IM_A_TEAPOT } else { StatusCode::OK };
            let paid = paid.map(|paid| paid.payer.to_string());
            (status, Json(json!({ "paid": paid, "session": session.map(|s| s.account.to_string()), "seen": seen })))
        };
        let app = Router::new().route("/report", get(who)).layer(PaymentLayer::new(server));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { world, url, sessions }
    }

    async fn client(&self) -> Client {
        let key = LocalKey::from_hex(&accounts::CLIENT.private_key().to_string()).unwrap();
        let payer = PaymentClient::builder().clock(self.world.clock.clone()).signer("eip155:*", Arc::new(key));
        http::client(payer.build().await.unwrap()).unwrap()
    }

    async fn visit(&self, client: &Client, fails: bool) -> Answer {
        let request = client.get(format!("{}/report", self.url));
        let request = if fails { request.header("x-fail", "1") } else { request };
        Answer::of(request.send().await.unwrap()).await
    }
}

fn payer() -> Value {
    json!(format!("{NETWORK}:{}", accounts::CLIENT.address))
}

#[tokio::test]
async fn a_handler_learns_who_came_and_never_sees_how() {
    let site = Site::with(json!({ "calls": 3, "token": "15m" })).await;
    let client = site.client().await;
    let paid = site.visit(&client, false).await;
    assert_eq!(paid.json(), json!({ "paid": payer(), "session": null, "seen": [] }));
    assert!(paid.headers["session-token"].contains("; max-age=900"));
    // By the token, then, with another client, by a proof.
    let again = site.visit(&client, false).await;
    assert_eq!(again.json(), json!({ "paid": null, "session": payer(), "seen": [] }));
    assert_eq!(again.headers["cache-control"], "private");
    assert!(!again.headers.contains_key("payment-response"));
    let other = site.client().await;
    let proven = site.visit(&other, false).await;
    assert_eq!((proven.status, proven.json()["session"].clone()), (200, payer()));
    assert_eq!(proven.headers["cache-control"], "private");
    assert_eq!(site.world.paid_to_payee(), 1000);
    // A handler that fails has not served: the call is given back.
    assert_eq!(site.visit(&client, true).await.status, 418);
    assert_eq!(site.visit(&client, false).await.json()["session"], payer());
    assert_eq!(site.visit(&client, false).await.json()["paid"], payer(), "the three are used up");
    assert_eq!(site.world.paid_to_payee(), 2000);
}

#[tokio::test]
async fn an_ended_session_is_paid_for_again() {
    let site = Site::with(json!({ "for": "1h" })).await;
    let client = site.client().await;
    for _ in 0..4 {
        assert_eq!(site.visit(&client, false).await.status, 200);
    }
    assert_eq!(site.world.paid_to_payee(), 1000);
    let account = payer().as_str().unwrap().parse().unwrap();
    assert_eq!(site.sessions.entitlements(&account).await.unwrap().len(), 1);
    site.world.clock.advance(3600);
    assert_eq!(site.visit(&client, false).await.json()["paid"], payer());
    assert_eq!(site.world.paid_to_payee(), 2000);
}

/// A redirect must not carry a session to a stranger.
#[tokio::test]
async fn a_redirect_carries_no_session_to_another_origin() {
    let thief: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = thief.clone();
    let elsewhere = serve(Router::new().fallback(async move |headers: HeaderMap| {
        log.lock().unwrap().extend(headers.keys().map(ToString::to_string));
        "stolen"
    }))
    .await;
    let to = format!("{elsewhere}/report");
    let site = serve(Router::new().fallback(async move |headers: HeaderMap| {
        assert_eq!(headers["session-token"], "secret");
        (StatusCode::TEMPORARY_REDIRECT, [("location", to.clone())])
    }))
    .await;
    http::install_crypto();
    let key = LocalKey::from_hex(&accounts::CLIENT.private_key().to_string()).unwrap();
    let payer = PaymentClient::builder().signer("eip155:*", Arc::new(key)).build().await.unwrap();
    payer.opened(&site, &[("session-token".to_owned(), "secret; max-age=60".to_owned())]).await;
    let answer = http::client(payer).unwrap().get(format!("{site}/report")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 307, "handed to the caller as it is");
    assert!(thief.lock().unwrap().is_empty(), "{thief:?}");
}
