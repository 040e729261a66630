//! `ledger`: what a facilitator needs as its books grow. The same payments are settled by one with a thousand settled
//! payments in its SQLite file, and by one with a million.

use crate::Load;
use crate::chaos::LEDGER;
use crate::child::Served;
use crate::payments::{NETWORK, envelope, offer, sign};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};
use tollway::core::{
    AccountId, BuildContext, Caller, Claim, ClaimKey, ClaimRow, Ledger, LedgerConfig, Object, Outcome, PaymentPayload,
    Scope, Settled, Ticket,
};
use tollway::{NetworkId, Registry};
use tollway_devnet::{Devnet, Mining, accounts};

/// Rows that are in the books before.
const ROWS: [usize; 2] = [1_000, 1_000_000];
/// Rows written at once, and how many writers there are.
const SHARE: usize = 64;
const WRITERS: usize = 256;

/// What was seen of one facilitator.
struct Seen {
    peak_kib: u64,
    cpu: Duration,
    took: Duration,
}

pub(crate) async fn run(load: Load) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|why| why.to_string())?;
    let mut all = Vec::with_capacity(ROWS.len());
    for rows in ROWS {
        let path = folder.path().join(format!("{rows}.db"));
        let config = LedgerConfig::new("sqlite", Object::from_iter([("path".to_owned(), json!(path))]));
        let begun = Instant::now();
        fill(&config, rows).await?;
        eprintln!("{rows} rows written in {:.0?}, {} MiB", begun.elapsed(), megabytes(&path));
        let seen = settle(&config, load).await?;
        let each = seen.cpu / u32::try_from(load.requests).unwrap_or(u32::MAX);
        println!(
            "{rows:>9} rows: peak memory {:>6} KiB, {} settlements at {} at once in {:.1?}, CPU {each:.0?} each",
            seen.peak_kib, load.requests, load.at_once, seen.took
        );
        all.push(seen);
    }
    if let [few, many] = &all[..] {
        let ratio = |many: f64, few: f64| many / few;
        println!(
            "ratio: peak memory {:.2}, CPU {:.2}",
            ratio(many.peak_kib as f64, few.peak_kib as f64),
            ratio(many.cpu.as_secs_f64(), few.cpu.as_secs_f64())
        );
    }
    Ok(())
}

fn megabytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len() / (1024 * 1024))
}

/// Settled payments, as a facilitator writes them.
async fn fill(config: &LedgerConfig, rows: usize) -> Result<(), String> {
    let registry = Registry::discover().map_err(|why| why.to_string())?;
    let ledger = registry.ledger(&config.kind, config.section.clone().into(), BuildContext::new()).await;
    let ledger = ledger.map_err(|why| why.to_string())?;
    let payment = Arc::new(sign(&accounts::CLIENT, &offer()?, 1).await?.remove(0));
    let next = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> =
        (0..WRITERS).map(|_| tokio::spawn(write(ledger.clone(), payment.clone(), next.clone(), rows))).collect();
    for writer in writers {
        writer.await.map_err(|why| why.to_string())??;
    }
    Ok(())
}

async fn write(
    ledger: Arc<dyn Ledger>,
    payment: Arc<PaymentPayload>,
    next: Arc<AtomicUsize>,
    rows: usize,
) -> Result<(), String> {
    let network: NetworkId = NETWORK.parse().map_err(|why| format!("{why}"))?;
    let payer = AccountId::new(network.clone(), &accounts::CLIENT.address.to_checksum(None));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    loop {
        let first = next.fetch_add(SHARE, Relaxed);
        if first >= rows {
            return Ok(());
        }
        let mut settled: Vec<(Ticket, Outcome)> = Vec::with_capacity(SHARE);
        for number in first..rows.min(first + SHARE) {
            let key = ClaimKey::new(&network, "eip3009", &["0xasset", "0xpayer", &format!("{number:064x}")]);
            // Of today, so that none is forgotten while this runs.
            let claim = Claim::new(key, payer.clone()).dead_after(now + 86_400);
            let row = ClaimRow::new(
                Scope::Facilitator,
                claim,
                (*payment).clone(),
                payment.accepted.clone(),
                Caller::new(format!("{number:032x}")),
            );
            let taken = ledger.take(&row).await.map_err(|why| why.to_string())?;
            let ticket = taken.ticket().ok_or("a row was there already")?;
            settled.push((ticket, Outcome::Settled(Settled::new(format!("0x{number:064x}"), payer.address()))));
        }
        ledger.resolve(Scope::Facilitator, &settled).await.map_err(|why| why.to_string())?;
    }
}

/// Settles payments by a facilitator in a process of its own.
async fn settle(config: &LedgerConfig, load: Load) -> Result<Seen, String> {
    let devnet = Devnet::builder().mining(Mining::Interval(Duration::from_millis(100))).build();
    let devnet = devnet.map_err(|why| why.to_string())?;
    let rpc = devnet.serve("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let bodies: Vec<String> = sign(&accounts::CLIENT, &offer()?, load.requests).await?.iter().map(envelope).collect();
    let text = serde_json::to_string(config).map_err(|why| why.to_string())?;
    let served = Served::start_with(&["settling", &rpc.url()], &[(LEDGER, &text)])?;
    let (begun, before) = (Instant::now(), served.cpu().await?);
    let (bodies, next, url) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)), format!("{}/settle", served.url));
    let workers: Vec<_> =
        (0..load.at_once).map(|_| tokio::spawn(present(bodies.clone(), next.clone(), url.clone()))).collect();
    for worker in workers {
        worker.await.map_err(|why| why.to_string())??;
    }
    let took = begun.elapsed();
    Ok(Seen { peak_kib: served.peak_memory()?, cpu: served.cpu().await?.saturating_sub(before), took })
}

async fn present(bodies: Arc<Vec<String>>, next: Arc<AtomicUsize>, url: String) -> Result<(), String> {
    let http = reqwest::Client::new();
    while let Some(body) = bodies.get(next.fetch_add(1, Relaxed)) {
        let request = http.post(&url).header("content-type", "application/json").body(body.clone());
        let answer = request.send().await.map_err(|why| why.to_string())?;
        let answer: Value = answer.json().await.map_err(|why| why.to_string())?;
        if answer["success"] != true {
            return Err(format!("a payment did not settle: {answer}"));
        }
    }
    Ok(())
}
