//! `verify`: a facilitator over HTTP in a process of its own, its chain in this one.

use crate::Load;
use crate::child::{self, Served};
use crate::drive::{self, Kind};
use crate::methods::{METHODS, Named};
use crate::payments::{NETWORK, envelope};
use cpu_time::ThreadTime;
use secp256k1::{Message, SECP256K1, SecretKey};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tollway::LocalFacilitator;
use tollway::evm::LocalKey;
use tollway_devnet::contracts::addresses::WALLET_1271_FACTORY;
use tollway_devnet::{Devnet, accounts};

/// Distinct payments; verification keeps nothing, so they may come round again.
const PAYMENTS: usize = 2_000;

/// The process under test: `facilitator <rpc>`, with `catalogue` as one that lists services.
pub(crate) async fn facilitator(args: &[String]) -> Result<(), String> {
    let rpc = args.first().ok_or("usage: tollway-bench facilitator <rpc>")?;
    let key = LocalKey::from_hex(&accounts::FACILITATOR.private_key().to_string())?;
    let mut engine = LocalFacilitator::builder()
        .network(NETWORK, serde_json::json!({ "rpc": rpc, "erc6492Factories": [WALLET_1271_FACTORY] }))
        .signer(NETWORK, Arc::new(key));
    if args.get(1).is_some_and(|more| more == "catalogue") {
        engine = engine.extension("bazaar", serde_json::json!({}));
    }
    let engine = engine.build().await.map_err(|why| why.to_string())?;
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

/// The methods that `--method` names, and the other arguments.
fn methods(args: &[String]) -> Result<(Vec<Named>, Vec<String>), String> {
    let mut rest = args.to_vec();
    let Some(at) = rest.iter().position(|arg| arg == "--method") else { return Ok((METHODS[..1].to_vec(), rest)) };
    let named = rest.drain(at..rest.len().min(at + 2)).nth(1).unwrap_or_default();
    let chosen: Vec<_> = METHODS.into_iter().filter(|(name, _)| named == *name || named == "all").collect();
    match chosen.is_empty() {
        true => Err(format!("--method is one of {}, all", METHODS.map(|(name, _)| name).join(", "))),
        false => Ok((chosen, rest)),
    }
}

/// Measures what `args` ask for. An error where a valid payment took more than one round trip.
pub(crate) async fn run(args: &[String]) -> Result<(), String> {
    let (methods, rest) = methods(args)?;
    let load = Load::parse(&rest, 20_000)?;
    let recover_us = recovery()?;
    let devnet = Devnet::new().map_err(|why| why.to_string())?;
    let rpc = devnet.serve("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let served = Served::start(&["facilitator", &rpc.url()])?;

    println!("requests per figure: {}", load.requests);
    println!("bare signature recovery                     {recover_us:8.1} µs CPU");
    let mut dear = Vec::new();
    for (name, method) in methods {
        eprintln!("signing {PAYMENTS} payments by {name} …");
        let bodies: Arc<Vec<String>> = Arc::new(method.sign(&devnet, PAYMENTS).await?.iter().map(envelope).collect());
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
                "verify {name:15}, {at_once:3} at once       {:8.1} µs CPU   {:.2} × recovery   {round_trips:.3} RPC round trips",
                cost.cpu_us,
                cost.cpu_us / recover_us,
            );
            if round_trips > 1.0 {
                dear.push(name);
            }
        }
    }
    println!("goal: 1 round trip; by eip3009 at most 3.2 × recovery");
    match dear.is_empty() {
        true => Ok(()),
        false => Err(format!("more than one round trip: {}", dear.join(", "))),
    }
}
