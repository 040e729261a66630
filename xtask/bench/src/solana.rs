//! `solana`: a facilitator over HTTP in a process of its own, its chain in this one, where a transaction is confirmed
//! 500 ms after it ran. RPC round trips are counted where they arrive.

use crate::Load;
use crate::child::{self, Served};
use crate::drive::{self, Kind};
use crate::payments::{Payer, envelope};
use cpu_time::ThreadTime;
use solana_signature::Signature;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollway::core::{Amount, PaymentRequirements, Signable, Signer};
use tollway::solana::LocalKey;
use tollway::{LocalFacilitator, PaymentClient};
use tollway_devnet::solana::accounts::{CLIENT, FACILITATOR, PAY_TO};
use tollway_devnet::solana::{Devnet, USDC};

const NETWORK: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
/// Distinct payments to verify; verification keeps nothing that spares it the chain, so they may come round again.
const PAYMENTS: usize = 2_000;
/// When a transaction is confirmed.
const CONFIRMED_AFTER: Duration = Duration::from_millis(500);
/// How many settlements are in flight, and in how many rounds that is measured. The chain takes a blockhash for 150
/// transactions, so each round signs on a fresh one.
const SETTLING: [(usize, usize); 3] = [(1, 40), (16, 20), (64, 20)];
/// Rounds before them, in which the facilitator learns how long a confirmation takes.
const LEARNING: usize = 20;

/// The process under test: `solana-facilitator <rpc>`.
pub(crate) async fn facilitator(args: &[String]) -> Result<(), String> {
    let rpc = args.first().ok_or("usage: tollway-bench solana-facilitator <rpc>")?;
    let engine = LocalFacilitator::builder()
        .network(NETWORK, serde_json::json!({ "rpc": rpc }))
        .signer(NETWORK, Arc::new(LocalKey::from_text(FACILITATOR.seed_hex())?))
        .build()
        .await
        .map_err(|why| why.to_string())?;
    child::serve(tollway::http::facilitator_router(Arc::new(engine))).await
}

/// CPU of one strict ed25519 verification, in microseconds: what no verifier can do without.
async fn strict_verification() -> Result<f64, String> {
    const ROUNDS: u32 = 40;
    let key = LocalKey::from_text(CLIENT.seed_hex())?;
    let mut signed = Vec::new();
    for number in 0..=255u8 {
        // As long as the message of a payment.
        let message = vec![number; 367];
        let signature = key.sign(Signable::Message(&message)).await.map_err(|why| why.to_string())?;
        let signature: [u8; 64] = signature.try_into().map_err(|_| "a signature of another length")?;
        signed.push((message, Signature::from(signature)));
    }
    let mut spent = Duration::ZERO;
    // The first round warms up and is not counted.
    for round in 0..=ROUNDS {
        let started = ThreadTime::now();
        for (message, signature) in &signed {
            if !black_box(signature).verify(CLIENT.address.as_ref(), black_box(message)) {
                return Err("a good signature was found bad".to_owned());
            }
        }
        if round > 0 {
            spent += started.elapsed();
        }
    }
    Ok(spent.as_secs_f64() * 1e6 / (f64::from(ROUNDS) * signed.len() as f64))
}

/// Signs payments on the newest blockhash, as bodies of `/verify` and `/settle`.
async fn sign(devnet: &Devnet, client: &PaymentClient, count: usize) -> Result<Vec<String>, String> {
    let network = NETWORK.parse().map_err(|why| format!("{why}"))?;
    let offer =
        PaymentRequirements::new("exact", network, Amount::from(1000), USDC.to_string(), PAY_TO.address.to_string())
            .with_extra("feePayer", FACILITATOR.address.to_string())
            .with_extra("recentBlockhash", devnet.latest_blockhash().0);
    Ok(Payer::with(client.clone(), &offer).sign_many(count).await?.iter().map(envelope).collect())
}

/// Posts bodies all at once; gives how long each took. Every answer must hold `wanted`.
async fn post(http: &reqwest::Client, url: &str, bodies: &[String], wanted: &str) -> Result<Vec<Duration>, String> {
    let requests: Vec<_> = bodies
        .iter()
        .map(|body| {
            let request = http.post(url).header("content-type", "application/json").body(body.clone());
            tokio::spawn(async move {
                let started = Instant::now();
                let answer = request.send().await.map_err(|why| why.to_string())?;
                let text = answer.text().await.map_err(|why| why.to_string())?;
                Ok::<_, String>((started.elapsed(), text))
            })
        })
        .collect();
    let mut times = Vec::new();
    for request in requests {
        let (time, text) = request.await.map_err(|why| why.to_string())??;
        if !text.contains(wanted) {
            return Err(format!("{url} answered {text}"));
        }
        times.push(time);
    }
    Ok(times)
}

pub(crate) async fn run(load: Load) -> Result<(), String> {
    let floor_us = strict_verification().await?;
    let devnet = Devnet::builder().confirmed_after(CONFIRMED_AFTER).build().map_err(|why| why.to_string())?;
    let rpc = devnet.serve("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let key = Arc::new(LocalKey::from_text(CLIENT.seed_hex())?);
    let client = PaymentClient::builder().signer(NETWORK, key).build().await.map_err(|why| why.to_string())?;
    let served = Served::start(&["solana-facilitator", &rpc.url()])?;

    println!("requests per figure: {}", load.requests);
    println!("strict ed25519 verification        {floor_us:8.1} µs CPU");
    verifying(load, &devnet, &client, &served, floor_us).await?;
    settling(&devnet, &client, &served).await
}

async fn verifying(
    load: Load,
    devnet: &Devnet,
    client: &PaymentClient,
    served: &Served,
    floor_us: f64,
) -> Result<(), String> {
    eprintln!("signing {PAYMENTS} payments …");
    let bodies = Arc::new(sign(devnet, client, PAYMENTS).await?);
    let url = format!("{}/verify", served.url);
    devnet.reset_calls();
    post(&reqwest::Client::new(), &url, &bodies[..1], "\"isValid\":true").await?;
    println!("verify, the first of its token     {:26} {:.3} RPC round trips", "", devnet.calls().round_trips as f64);
    for at_once in [1, load.at_once] {
        let load = Load { at_once, ..load };
        let (url, bodies) = (url.clone(), bodies.clone());
        devnet.reset_calls();
        let verify = Kind::new(200, move |http, i| {
            let body = bodies[i % bodies.len()].clone();
            http.post(&url).header("content-type", "application/json").body(body)
        });
        let cost = drive::compare(served, load, &[verify]).await?[0];
        // The warm-up is counted on both sides of the division.
        let round_trips = devnet.calls().round_trips as f64 / drive::requests(load) as f64;
        println!(
            "verify over HTTP, {at_once:3} at once       {:8.1} µs CPU   {:.2} × ed25519   {round_trips:.3} RPC round trips",
            cost.cpu_us,
            cost.cpu_us / floor_us,
        );
    }
    println!("goal: at most 100 µs and 1 round trip");
    Ok(())
}

async fn settling(devnet: &Devnet, client: &PaymentClient, served: &Served) -> Result<(), String> {
    let http = reqwest::Client::new();
    let (verify, settle) = (format!("{}/verify", served.url), format!("{}/settle", served.url));
    let settled = "\"success\":true";
    for _ in 0..LEARNING {
        post(&http, &settle, &sign(devnet, client, 1).await?, settled).await?;
    }
    println!("settled after verification, confirmed after {CONFIRMED_AFTER:?}");
    for (at_once, rounds) in SETTLING {
        let (mut times, mut calls, mut cpu) = (Vec::new(), 0, Duration::ZERO);
        for _ in 0..rounds {
            let bodies = sign(devnet, client, at_once).await?;
            post(&http, &verify, &bodies, "\"isValid\":true").await?;
            devnet.reset_calls();
            let before = served.cpu().await?;
            times.extend(post(&http, &settle, &bodies, settled).await?);
            cpu += served.cpu().await?.saturating_sub(before);
            calls += devnet.calls().round_trips;
        }
        times.sort_unstable();
        let count = times.len();
        let share = |of: usize| times[(count * of / 100).min(count - 1)].as_secs_f64() * 1e3;
        println!(
            "settle over HTTP, {at_once:3} at once       {:8.1} µs CPU   p50 {:.0} ms   p95 {:.0} ms   {:.3} RPC round trips",
            cpu.as_secs_f64() * 1e6 / count as f64,
            share(50),
            share(95),
            calls as f64 / count as f64,
        );
    }
    println!("goal: p50 at most 520 ms and 2 round trips");
    Ok(())
}
