//! `session`: what coming back costs a resource server, by token and by a fresh proof, with few and with many others who
//! may come back too.

use crate::Load;
use crate::child::{self, Served};
use crate::drive::{self, Kind};
use crate::payments::{NETWORK, offer};
use crate::server::{Yes, report};
use axum::Router;
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;
use tollway::core::{AccountId, Amount, AssetAmount, PaymentRequired, Price, Secret};
use tollway::evm::LocalKey;
use tollway::http::header;
use tollway::siwx::{Entitlement, Left, MemorySessions, Nonces, Scope, SealedNonces, SessionKeys, SessionStore};
use tollway::{PaymentClient, PaymentLayer, ResourceServer, Route, Sessions, Way};
use tollway_devnet::accounts;

const ORIGIN: &str = "http://127.0.0.1";
/// Live entitlements of the two servers.
const CROWDS: [(&str, u64); 2] = [("few", 1_000), ("many", 1_000_000)];
/// Longer than any run.
const SECONDS: u64 = 7 * 24 * 3600;

/// Known to both processes, so that the driver can issue challenges without asking for each.
fn keys() -> Result<SessionKeys, String> {
    SessionKeys::new(&[Secret::new("a key for measuring with, of no worth")])
}

fn account(address: &str) -> Result<AccountId, String> {
    format!("{NETWORK}:{address}").parse().map_err(|why| format!("{why}"))
}

/// A server on which so many accounts, the client among them, may come back.
async fn site(name: &str, crowd: u64) -> Result<Router, String> {
    let pattern = format!("GET /{name}");
    let store = MemorySessions::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(|why| why.to_string())?;
    let now = now.as_secs();
    for n in 0..crowd {
        let owner = match n {
            0 => account(&accounts::CLIENT.address.to_checksum(None))?,
            n => account(&format!("0x{n:040x}"))?,
        };
        let ends = now + SECONDS + n % 1000;
        let entitlement =
            Entitlement::new(&format!("{n:032x}"), owner, Scope::route(ORIGIN, &pattern), ends, Left::Time);
        store.record(&entitlement, now).await.map_err(|why| why.to_string())?;
    }
    let sessions = Sessions::builder().store(store).keys(keys()?).build()?;
    let offer = offer()?;
    let price = Price::Asset(AssetAmount { amount: Amount::from(1000), asset: offer.asset.clone(), extra: None });
    let way = Way::exact(NETWORK, "$0.001", offer.pay_to.clone()).price(price);
    let server = ResourceServer::builder(ORIGIN)
        .facilitator(Yes)
        .use_extension("session", sessions.extension())
        .route(Route::new(&pattern).accepts(way).extension("session", json!({ "for": "1h", "token": "24h" })))
        .build()
        .await
        .map_err(|why| why.to_string())?;
    Ok(Router::new().route(&format!("/{name}"), get(report)).layer(PaymentLayer::new(server)))
}

/// The process under test.
pub(crate) async fn session_server() -> Result<(), String> {
    let mut app = Router::new().route("/bare", get(report));
    for (name, crowd) in CROWDS {
        app = app.merge(site(name, crowd).await?);
    }
    child::serve(app).await
}

/// A wallet and the challenge of one route, which it answers again and again.
struct Wallet {
    client: PaymentClient,
    required: PaymentRequired,
    nonces: SealedNonces,
}

impl Wallet {
    async fn at(url: &str) -> Result<Self, String> {
        let key = LocalKey::from_hex(&accounts::CLIENT.private_key().to_string())?;
        let client = PaymentClient::builder().signer(NETWORK, Arc::new(key)).build().await;
        let response = reqwest::get(url).await.map_err(|why| why.to_string())?;
        let challenge = response.headers().get("payment-required").ok_or("no challenge")?;
        let required = header::decode(challenge.as_bytes()).map_err(|why| why.to_string())?;
        Ok(Self { client: client.map_err(|why| why.to_string())?, required, nonces: SealedNonces::new(keys()?) })
    }

    /// A proof with a nonce of its own.
    async fn proof(&mut self) -> Result<String, String> {
        let declared = self.required.extensions.as_mut().and_then(|all| all.get_mut("sign-in-with-x"));
        let declared = declared.ok_or("the challenge offers no sign-in")?;
        let mut info = serde_json::from_value(declared["info"].clone()).map_err(|why| why.to_string())?;
        self.nonces.issue(&mut info)?;
        declared["info"] = json!(info);
        let headers = self.client.answer(&self.required, ORIGIN).await;
        headers.into_iter().next().map(|(_, proof)| proof).ok_or_else(|| "the client did not sign".to_owned())
    }
}

/// The token that a proof is answered with.
async fn token(url: &str, proof: &str) -> Result<String, String> {
    let request = reqwest::Client::new().get(url).header("sign-in-with-x", proof);
    let response = request.send().await.map_err(|why| why.to_string())?;
    let token = response.headers().get("session-token").and_then(|token| token.to_str().ok());
    let token = token.and_then(|token| token.split(';').next());
    token.map(str::to_owned).ok_or_else(|| format!("a sign-in was answered {} without a token", response.status()))
}

pub(crate) async fn run(load: Load) -> Result<(), String> {
    eprintln!("filling the stores …");
    let served = Served::start(&["session-server"])?;
    let count = drive::requests(load);
    let bare = format!("{}/bare", served.url);
    let mut names = vec!["bare axum".to_owned()];
    let mut kinds = vec![Kind::new(200, move |http, _| http.get(&bare))];
    for (name, crowd) in CROWDS {
        let url = format!("{}/{name}", served.url);
        let mut wallet = Wallet::at(&url).await?;
        let token = token(&url, &wallet.proof().await?).await?;
        eprintln!("signing {count} proofs …");
        let mut proofs = Vec::with_capacity(count);
        for _ in 0..count {
            proofs.push(wallet.proof().await?);
        }
        let (by_token, by_proof) = (url.clone(), url.clone());
        kinds.push(Kind::new(200, move |http, _| http.get(&by_token).header("session-token", &token)));
        kinds.push(Kind::new(200, move |http, i| http.get(&by_proof).header("sign-in-with-x", &proofs[i])));
        kinds.push(Kind::new(402, move |http, _| http.get(&url)));
        for what in ["token", "sign-in", "402 with a challenge to sign"] {
            names.push(format!("{what}, {crowd} entitlements"));
        }
    }
    let costs = drive::compare(&served, load, &kinds).await?;
    println!("requests per figure: {}, {} at once; medians of alternating rounds", load.requests, load.at_once);
    let bare = costs[0].cpu_us;
    for (name, cost) in names.iter().zip(&costs) {
        let goal = if name.starts_with("token") { "   goal ≤ 1.3" } else { "" };
        println!("{name:46} {:8.1} µs CPU   {:.2} × bare axum{goal}", cost.cpu_us, cost.cpu_us / bare);
    }
    Ok(())
}
