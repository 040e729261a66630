//! `server`: a resource server in a process of its own, with a facilitator that says yes.

use crate::child::{self, Served};
use crate::payments::{NETWORK, offer, sign};
use crate::{Load, drive};
use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;
use tollway::core::{
    Amount, AssetAmount, Caller, Outcome, PaymentPayload, PaymentRequirements, Price, Result, Settled, SupportedKind,
    SupportedResponse, Verified,
};
use tollway::{Facilitator, PaymentLayer, ResourceServer, Route, Way};

/// A facilitator that believes everything, so that only the server's own work is measured.
struct Yes;

fn payer(raw: &PaymentPayload) -> String {
    raw.payload["authorization"]["from"].as_str().unwrap_or_default().to_owned()
}

#[async_trait]
impl Facilitator for Yes {
    fn name(&self) -> &str {
        "yes"
    }

    async fn supported(&self) -> Result<SupportedResponse> {
        let mut supported = SupportedResponse::default();
        if let Ok(network) = NETWORK.parse() {
            supported.kinds.push(SupportedKind::new("exact", &network, None));
        }
        Ok(supported)
    }

    async fn verify(&self, raw: &PaymentPayload, _: &PaymentRequirements) -> Result<Verified> {
        Ok(Verified::new(payer(raw)))
    }

    async fn settle(&self, raw: &PaymentPayload, _: &PaymentRequirements, _: &Caller) -> Result<Outcome> {
        Ok(Outcome::Settled(Settled::new(format!("0x{}", "ab".repeat(32)), payer(raw))))
    }
}

async fn report() -> &'static str {
    "the report"
}

/// The process under test: the same handler bare, free under the layer, and paid.
pub(crate) async fn resource_server() -> Result<(), String> {
    let offer = offer()?;
    let price = Price::Asset(AssetAmount { amount: Amount::from(1000), asset: offer.asset.clone(), extra: None });
    let way = Way::exact(NETWORK, "$0.001", offer.pay_to.clone()).price(price);
    let server = ResourceServer::builder("http://127.0.0.1")
        .facilitator(Yes)
        .route(Route::new("GET /paid").accepts(way))
        .build()
        .await
        .map_err(|why| why.to_string())?;
    let layered =
        Router::new().route("/free", get(report)).route("/paid", get(report)).layer(PaymentLayer::new(server));
    child::serve(Router::new().route("/bare", get(report)).merge(layered)).await
}

pub(crate) async fn run(load: Load) -> Result<(), String> {
    let warm = load.requests / 10 + load.at_once;
    eprintln!("signing {} payments …", load.requests + warm);
    let payments = sign(load.requests + warm).await?;
    let headers: Vec<String> =
        payments.iter().map(tollway::http::header::encode).collect::<Result<_, _>>().map_err(|why| why.to_string())?;
    let headers = Arc::new(headers);
    let served = Served::start(&["resource-server"])?;

    println!("requests per figure: {}, {} at once", load.requests, load.at_once);
    let mut bare = None;
    for (name, path, status, goal) in
        [("bare axum", "bare", 200, None), ("free route", "free", 200, Some(1.05)), ("402", "paid", 402, Some(1.15))]
    {
        let url = format!("{}/{path}", served.url);
        let cost = drive::measure(&served, load, status, move |http, _| http.get(&url)).await?;
        print(name, cost, *bare.get_or_insert(cost.cpu_us), goal);
    }
    let url = format!("{}/paid", served.url);
    let cost =
        drive::measure(&served, load, 200, move |http, i| http.get(&url).header("payment-signature", &headers[i]))
            .await?;
    print("paid, stub facilitator", cost, bare.unwrap_or(cost.cpu_us), Some(5.3));
    Ok(())
}

fn print(name: &str, cost: drive::Cost, bare: f64, goal: Option<f64>) {
    let goal = goal.map(|goal| format!("   goal ≤ {goal}")).unwrap_or_default();
    println!(
        "{name:24} {:8.1} µs CPU   {:.2} × bare axum{goal}   {:.2} s",
        cost.cpu_us,
        cost.cpu_us / bare,
        cost.wall.as_secs_f64()
    );
}
