//! `settle`: settlements on an embedded chain with a block each second, from one signer: payments that share transactions
//! beside payments that do not, beside one transaction per block.
//!
//! Chain and facilitator run in this process and speak HTTP with each other, so both are in every figure.

use crate::payments::{NETWORK, offer, sign};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tollway::core::{Caller, Outcome, PaymentPayload};
use tollway::evm::LocalKey;
use tollway::{Facilitator, LocalFacilitator};
use tollway_devnet::{Devnet, DevnetServer, Mining, accounts};

const BLOCK: Duration = Duration::from_secs(1);
/// Not counted: gas and fees are learnt, and the workers fall into step with the blocks.
const WARM_UP: Duration = Duration::from_secs(3);
/// How many are in flight.
const LOADS: [usize; 3] = [16, 64, 1000];

/// A chain and a facilitator on it.
struct Setting {
    devnet: Devnet,
    facilitator: LocalFacilitator,
    _server: DevnetServer,
}

impl Setting {
    async fn new(shared: bool) -> Result<Self, String> {
        let text = |why: &dyn std::fmt::Display| why.to_string();
        let devnet = Devnet::builder().mining(Mining::Interval(BLOCK)).build().map_err(|why| text(&why))?;
        let server = devnet.serve("127.0.0.1:0").await.map_err(|why| text(&why))?;
        let mut section = json!({ "rpc": server.url(), "blockTimeMs": 1000 });
        if !shared {
            section["batchMaxPayments"] = 1.into();
        }
        let key = LocalKey::from_hex(&accounts::FACILITATOR.private_key().to_string())?;
        let builder = LocalFacilitator::builder().network(NETWORK, section).signer(NETWORK, Arc::new(key));
        let facilitator = builder.build().await.map_err(|why| text(&why))?;
        Ok(Self { devnet, facilitator, _server: server })
    }

    /// Settles a payment; answers its transaction.
    async fn settle(&self, payment: &PaymentPayload) -> Result<String, String> {
        match self.facilitator.settle(payment, &payment.accepted, &Caller::ANONYMOUS).await {
            Ok(Outcome::Settled(settled)) => Ok(settled.transaction),
            Ok(other) => Err(format!("a payment did not settle: {other:?}")),
            Err(why) => Err(format!("a payment did not settle: {why}")),
        }
    }

    /// What a transaction used.
    fn gas(&self, hash: &str) -> Result<u64, String> {
        let params = serde_json::value::to_raw_value(&[hash]).map_err(|why| why.to_string())?;
        let answer = self.devnet.handle("eth_getTransactionReceipt", Some(&params));
        let receipt = answer.as_success().ok_or("the chain knows no receipts")?;
        let receipt: Value = serde_json::from_str(receipt.get()).map_err(|why| why.to_string())?;
        let gas = receipt["gasUsed"].as_str().and_then(|gas| gas.strip_prefix("0x")).unwrap_or_default();
        u64::from_str_radix(gas, 16).map_err(|why| format!("gasUsed of {hash}: {why}"))
    }
}

/// One settlement.
struct Done {
    at: Duration,
    took: Duration,
    transaction: String,
}

/// Keeps so many payments in flight for a while.
async fn load(setting: &Arc<Setting>, at_once: usize, seconds: u64) -> Result<(), String> {
    let counted = Duration::from_secs(seconds);
    let most = at_once * usize::try_from(seconds + WARM_UP.as_secs() + 2).unwrap_or(usize::MAX);
    let payments = Arc::new(sign(&accounts::CLIENT, &offer()?, most).await?);
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let (setting, payments, next) = (setting.clone(), payments.clone(), next.clone());
            tokio::spawn(async move {
                let mut done = Vec::new();
                while begin.elapsed() < WARM_UP + counted {
                    let Some(payment) = payments.get(next.fetch_add(1, Relaxed)) else { break };
                    let start = Instant::now();
                    let transaction = setting.settle(payment).await?;
                    done.push(Done { at: begin.elapsed(), took: start.elapsed(), transaction });
                }
                Ok::<_, String>(done)
            })
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    setting.devnet.reset_calls();
    tokio::time::sleep(counted).await;
    let calls = setting.devnet.calls();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.map_err(|why| why.to_string())??);
    }

    let mut took: Vec<Duration> = Vec::new();
    let mut transactions: BTreeMap<&str, u64> = BTreeMap::new();
    for done in &all {
        *transactions.entry(&done.transaction).or_default() += 1;
        if done.at >= WARM_UP && done.at < WARM_UP + counted {
            took.push(done.took);
        }
    }
    took.sort_unstable();
    let mut gas = 0;
    for hash in transactions.keys() {
        gas += setting.gas(hash)?;
    }
    let count = took.len().max(1);
    let at = |percent: usize| took.get(count * percent / 100).map_or(0, Duration::as_millis);
    println!(
        "{at_once:5} in flight  {:7.1} settles/s   p50 {:5} ms   p99 {:5} ms   {:6} gas each   {:5.1} payments per \
         transaction   {:.2} RPC calls, {:.2} round trips each",
        took.len() as f64 / counted.as_secs_f64(),
        at(50),
        at(99),
        gas / all.len().max(1) as u64,
        all.len() as f64 / transactions.len().max(1) as f64,
        calls.total() as f64 / count as f64,
        calls.round_trips as f64 / count as f64,
    );
    Ok(())
}

/// The gas of one payment where fifty wait while another is in flight.
async fn fifty(setting: &Arc<Setting>) -> Result<(), String> {
    let payments = sign(&accounts::CLIENT, &offer()?, 51).await?;
    let mut settling = Vec::new();
    for (at, payment) in payments.into_iter().enumerate() {
        let setting = setting.clone();
        settling.push(tokio::spawn(async move { setting.settle(&payment).await }));
        if at == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let mut transactions: BTreeMap<String, u64> = BTreeMap::new();
    for settling in settling {
        *transactions.entry(settling.await.map_err(|why| why.to_string())??).or_default() += 1;
    }
    for (hash, payments) in transactions {
        println!("   50 waiting    {payments:3} in one transaction: {} gas each", setting.gas(&hash)? / payments);
    }
    Ok(())
}

pub(crate) async fn run(args: &[String]) -> Result<(), String> {
    let seconds = match args {
        [] => 10,
        [flag, value] if flag == "--seconds" => {
            value.parse().map_err(|_| format!("`{value}` is no number of seconds"))?
        }
        _ => return Err("usage: tollway-bench settle [--seconds N]".to_owned()),
    };
    println!("one signer, a block each {} ms, {seconds} s each after {} s", BLOCK.as_millis(), WARM_UP.as_secs());
    println!("\none transaction per block: the next payment once the last is settled");
    load(&funded(false).await?, 1, seconds).await?;
    println!("\na transaction for each payment");
    for at_once in LOADS {
        load(&funded(false).await?, at_once, seconds).await?;
    }
    println!("\npayments share transactions");
    for at_once in LOADS {
        load(&funded(true).await?, at_once, seconds).await?;
    }
    fifty(&funded(true).await?).await?;
    println!(
        "\ngoals: 16 in flight p50 ≤ 1,100 ms; 64 in flight ≥ 60 settles/s; 1,000 in flight ≥ 500 settles/s; at 50 waiting \
         ≤ 43,000 gas each; ≤ 1 RPC call each"
    );
    Ok(())
}

/// A setting whose payer has paid the recipient before.
async fn funded(shared: bool) -> Result<Arc<Setting>, String> {
    let setting = Setting::new(shared).await?;
    let warm = sign(&accounts::CLIENT, &offer()?, 1).await?;
    setting.settle(&warm[0]).await?;
    Ok(Arc::new(setting))
}
