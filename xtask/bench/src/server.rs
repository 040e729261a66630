//! `server`: a resource server in a process of its own, with a facilitator that says yes.

use crate::Load;
use crate::child::{self, Served};
use crate::drive::{self, Kind};
use crate::payments::{NETWORK, offer, sign};
use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use tollway::core::{
    Amount, AssetAmount, Caller, Outcome, PaymentPayload, PaymentRequirements, Price, Result, Settled, SupportedKind,
    SupportedResponse, Verified,
};
use tollway::{Facilitator, PaymentLayer, ResourceServer, Route, Way};

/// A facilitator that believes everything, so that only the server's own work is measured.
pub(crate) struct Yes;

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
    // What axum itself asks for the presence of any layer.
    let idle = Router::new().route("/layered", get(report)).layer(tower::layer::util::Identity::new());
    child::serve(Router::new().route("/bare", get(report)).merge(idle).merge(layered)).await
}

pub(crate) async fn run(load: Load) -> Result<(), String> {
    let count = drive::requests(load);
    eprintln!("signing {count} payments …");
    let payments = sign(count).await?;
    let headers: Vec<String> =
        payments.iter().map(tollway::http::header::encode).collect::<Result<_, _>>().map_err(|why| why.to_string())?;
    let served = Served::start(&["resource-server"])?;

    let get = |path: &str, status| {
        let url = format!("{}/{path}", served.url);
        Kind::new(status, move |http, _| http.get(&url))
    };
    let paid_url = format!("{}/paid", served.url);
    let paid = Kind::new(200, move |http, i| http.get(&paid_url).header("payment-signature", &headers[i]));
    let kinds = [get("bare", 200), get("layered", 200), get("free", 200), get("paid", 402), paid];
    let costs = drive::compare(&served, load, &kinds).await?;

    println!("requests per figure: {}, {} at once; medians of alternating rounds", load.requests, load.at_once);
    let names = [
        ("bare axum", None),
        ("a layer that does nothing", None),
        ("free route", Some(1.05)),
        ("402", Some(1.15)),
        ("paid, stub facilitator", Some(5.3)),
    ];
    let bare = costs[0].cpu_us;
    for ((name, goal), cost) in names.iter().zip(&costs) {
        let goal = goal.map(|goal| format!("   goal ≤ {goal}")).unwrap_or_default();
        println!("{name:26} {:8.1} µs CPU   {:.2} × bare axum{goal}", cost.cpu_us, cost.cpu_us / bare);
    }
    Ok(())
}
