//! `verify`: a facilitator over HTTP in a process of its own, its chain in this one.

use crate::Load;
use crate::child::{self, Served};
use crate::drive::{self, Kind};
use crate::payments::{NETWORK, envelope, sign};
use cpu_time::ThreadTime;
use secp256k1::{Message, SECP256K1, SecretKey};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tollway::LocalFacilitator;
use tollway::evm::LocalKey;
use tollway_devnet::{Devnet, accounts};

/// Distinct payments; verification keeps nothing, so they may come round again.
const PAYMENTS: usize = 2_000;

/// The process under test: `facilitator <rpc>`.
pub(crate) async fn facilitator(args: &[String]) -> Result<(), String> {
    let rpc = args.first().ok_or("usage: tollway-bench facilitator <rpc>")?;
    let key = LocalKey::from_hex(&accounts::FACILITATOR.private_key().to_string())?;
    let engine = LocalFacilitator::builder()
        .network(NETWORK, serde_json::json!({ "rpc": rpc }))
        .signer(NETWORK, Arc::new(key))
        .build()
        .await
        .map_err(|why| why.to_string())?;
    child::serve(tollway::http::facilitator_router(Arc::new(engine))).await
}

/// CPU of one bare signature recovery by libsecp256k1, in microseconds: what no verifier can do without.
fn recovery() -> Result<f64, String> {
    const ROUNDS: u32 = 40;
    let secret = SecretKey::from_byte_array(accounts::CLIENT.private_key().0).map_err(|why| why.to_string())?;
    let digests: Vec<Message> = (0..=255u8).map(|i| Message::from_digest([i; 32])).collect();
    let signatures: Vec<_> = digests.iter().map(|digest| SECP256K1.sign_ecdsa_recoverable(*digest, &secret)).collect();
    let mut spent = Duration::ZERO;
    // The first round warms the library's tables and is not counted.
    for round in 0..=ROUNDS {
        let started = ThreadTime::now();
        for (digest, signature) in digests.iter().zip(&signatures) {
            let signer = SECP256K1.recover_ecdsa(black_box(*digest), black_box(signature));
            black_box(signer.map_err(|why| why.to_string())?);
        }
        if round > 0 {
            spent += started.elapsed();
        }
    }
    Ok(spent.as_secs_f64() * 1e6 / (f64::from(ROUNDS) * digests.len() as f64))
}

pub(crate) async fn run(load: Load) -> Result<(), String> {
    eprintln!("signing {PAYMENTS} payments …");
    let bodies: Arc<Vec<String>> = Arc::new(sign(PAYMENTS).await?.iter().map(envelope).collect());
    let recover_us = recovery()?;
    let devnet = Devnet::new().map_err(|why| why.to_string())?;
    let rpc = devnet.serve("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let served = Served::start(&["facilitator", &rpc.url()])?;

    println!("requests per figure: {}", load.requests);
    println!("bare signature recovery            {recover_us:8.1} µs CPU");
    for at_once in [1, load.at_once] {
        let load = Load { at_once, ..load };
        let (url, bodies) = (format!("{}/verify", served.url), bodies.clone());
        devnet.reset_calls();
        let verify = Kind::new(200, move |http, i| {
            let body = bodies[i % bodies.len()].clone();
            http.post(&url).header("content-type", "application/json").body(body)
        });
        let cost = drive::compare(&served, load, &[verify]).await?[0];
        // The warm-up is counted on both sides of the division.
        let round_trips = devnet.calls().round_trips as f64 / drive::requests(load) as f64;
        println!(
            "verify over HTTP, {at_once:3} at once       {:8.1} µs CPU   {:.2} × recovery   {round_trips:.3} RPC round trips",
            cost.cpu_us,
            cost.cpu_us / recover_us,
        );
    }
    println!("goal: at most 3.2 × recovery and 1 round trip");
    Ok(())
}
