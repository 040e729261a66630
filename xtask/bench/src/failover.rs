//! `failover`: a resource server whose first facilitator died. What that adds to each request.

use crate::Load;
use crate::payments::{NETWORK, offer, sign};
use crate::server::Yes;
use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tollway::core::{
    Amount, AssetAmount, Caller, Outcome, PaymentPayload, PaymentRequirements, Price, Result, SupportedResponse,
    Verified,
};
use tollway::{Facilitator, PaymentLayer, RemoteFacilitator, ResourceServer, Route, Way};
use tollway_devnet::accounts;

/// What the dead facilitator's connections may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Alive until it has said once what it supports.
struct Dying {
    told: AtomicBool,
    remote: RemoteFacilitator,
}

#[async_trait]
impl Facilitator for Dying {
    fn name(&self) -> &str {
        "first"
    }

    async fn supported(&self) -> Result<SupportedResponse> {
        match self.told.swap(true, Ordering::SeqCst) {
            true => self.remote.supported().await,
            false => Yes.supported().await,
        }
    }

    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified> {
        self.remote.verify(raw, offer).await
    }

    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome> {
        self.remote.settle(raw, offer, caller).await
    }
}

/// The second, alive.
struct Alive(&'static str);

#[async_trait]
impl Facilitator for Alive {
    fn name(&self) -> &str {
        self.0
    }

    async fn supported(&self) -> Result<SupportedResponse> {
        Yes.supported().await
    }

    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified> {
        Yes.verify(raw, offer).await
    }

    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome> {
        Yes.settle(raw, offer, caller).await
    }
}

/// A place where connections are never accepted: its queue is full. It lasts as long as what this returns.
async fn black_hole() -> std::io::Result<(String, TcpListener, Vec<TcpStream>)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(1)?;
    let address = listener.local_addr()?;
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(connected?);
    }
    Ok((format!("http://{address}"), listener, waiting))
}

/// Times of all requests, in the order they were begun.
async fn measure(load: Load, first: impl Facilitator + 'static, payments: &[String]) -> Result<Vec<Duration>, String> {
    let offer = offer()?;
    let price = Price::Asset(AssetAmount { amount: Amount::from(1000), asset: offer.asset.clone(), extra: None });
    let way = Way::exact(NETWORK, "$0.001", offer.pay_to.clone()).price(price);
    let builder = ResourceServer::builder("http://127.0.0.1").facilitator(first).facilitator(Alive("second"));
    let server = builder.route(Route::new("GET /paid").accepts(way)).build().await.map_err(|why| why.to_string())?;
    let router = Router::new().route("/paid", get(|| async { "the report" })).layer(PaymentLayer::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let url = format!("http://{}/paid", listener.local_addr().map_err(|why| why.to_string())?);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let (next, http) = (Arc::new(AtomicUsize::new(0)), reqwest::Client::new());
    let payments: Arc<[String]> = payments.into();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..load.at_once {
        let (next, http, url, payments) = (next.clone(), http.clone(), url.clone(), payments.clone());
        workers.spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                let Some(payment) = payments.get(number) else { return Ok(times) };
                let begun = Instant::now();
                let answer = http.get(&url).header("payment-signature", payment).send().await;
                let answer = answer.map_err(|why| why.to_string())?;
                if answer.status() != 200 {
                    return Err(format!("request {number} was answered {}", answer.status()));
                }
                times.push((number, begun.elapsed()));
            }
        });
    }
    let mut times = Vec::new();
    while let Some(done) = workers.join_next().await {
        times.extend(done.map_err(|why| why.to_string())??);
    }
    serving.abort();
    times.sort_unstable();
    Ok(times.into_iter().map(|(_, time)| time).collect())
}

fn print(name: &str, load: Load, times: &[Duration]) {
    let slow = times.iter().filter(|time| **time >= CONNECT_TIMEOUT / 2).count();
    let (early, mut rest) = (times[..load.at_once].to_vec(), times[load.at_once..].to_vec());
    rest.sort_unstable();
    let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "{name:22} first {} at once: slowest {:6.1} ms   all others: median {:5.2} ms, slowest {:6.1} ms   above half \
         the time-out: {slow} of {}",
        load.at_once,
        millis(early.iter().max()),
        millis(rest.get(rest.len() / 2)),
        millis(rest.last()),
        times.len()
    );
}

pub(crate) async fn run(load: Load) -> Result<(), String> {
    if load.requests <= load.at_once {
        return Err("write --requests greater than --at-once".to_owned());
    }
    eprintln!("signing {} payments …", load.requests);
    let payments = sign(&accounts::CLIENT, &offer()?, load.requests).await?;
    let payments: Vec<String> =
        payments.iter().map(tollway::http::header::encode).collect::<Result<_, _>>().map_err(|why| why.to_string())?;
    let (url, _listener, _waiting) = black_hole().await.map_err(|why| why.to_string())?;
    let remote = RemoteFacilitator::builder(&url).name("remote").connect_timeout(CONNECT_TIMEOUT).build();
    let dying = Dying { told: AtomicBool::new(false), remote: remote.map_err(|why| why.to_string())? };
    println!("{} requests, {} at once; connect time-out {CONNECT_TIMEOUT:?}", load.requests, load.at_once);
    print("both alive", load, &measure(load, Alive("first"), &payments).await?);
    print("the first one dead", load, &measure(load, dying, &payments).await?);
    Ok(())
}
