//! Sending and looking, on a chain that confirms, loses and forgets as it is told.

use super::*;
use crate::rpc::MOST_STATUSES;
use crate::test::{Script, rpc_over};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::task::JoinHandle;
use tollway_core::{LedgerHandle, Scope, SignedTx, Slot};

async fn durable(number: usize) -> Durable {
    let slot = Slot::new("solana:x".parse().unwrap(), "payer", None);
    let handle = LedgerHandle::new(Arc::new(tollway_roles::MemoryLedger::default()), Scope::Facilitator);
    handle.signed(SignedTx::new(slot, format!("signature-{number}"), vec![1]), &[]).await.unwrap()
}

/// A chain that confirms a transaction so many milliseconds after it was sent, and loses the first sends.
struct Chain {
    script: Script,
    sent: Arc<Mutex<HashMap<String, Instant>>>,
}

fn chain(latency: u64, lost: usize) -> (Chain, Arc<Confirmations>) {
    let script = Script::default();
    let sent: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let (arrived, seen) = (sent.clone(), sent.clone());
    let (mut sends, start) = (0, Instant::now());
    // What was sent is not in the parameters in a readable form: one test, one transaction, or all at once.
    script.on("sendTransaction", move |_| {
        sends += 1;
        if sends > lost {
            arrived.lock().unwrap().entry("any".to_owned()).or_insert_with(Instant::now);
        }
        Ok(json!("signature"))
    });
    script.on("getSignatureStatuses", move |params| {
        let there = seen.lock().unwrap().get("any").is_some_and(|at| at.elapsed() >= Duration::from_millis(latency));
        let status = if there { json!({ "err": null, "confirmationStatus": "confirmed" }) } else { Value::Null };
        let count = params[0].as_array().unwrap().len();
        assert!(count <= MOST_STATUSES, "{count} at once, {:?} in", start.elapsed());
        Ok(json!({ "context": { "slot": 1 }, "value": vec![status; count] }))
    });
    let rpc = rpc_over(script.clone());
    let confirmations = Confirmations::new(rpc, Duration::from_millis(100), Duration::from_secs(60));
    (Chain { script, sent }, Arc::new(confirmations))
}

#[tokio::test(start_paused = true)]
async fn one_payment_takes_a_send_and_a_few_looks() {
    let (chain, confirmations) = chain(500, 0);
    let start = Instant::now();
    assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Landed);
    assert!(start.elapsed() < Duration::from_millis(620), "{:?}", start.elapsed());
    assert_eq!(chain.script.calls("sendTransaction"), 1);
    assert_eq!(chain.script.calls("getSignatureStatuses"), 2);
}

#[tokio::test(start_paused = true)]
async fn when_to_look_is_learned() {
    let (chain, confirmations) = chain(500, 0);
    let mut times = Vec::new();
    let rounds = 300;
    for number in 0..rounds {
        chain.sent.lock().unwrap().clear();
        let start = Instant::now();
        assert_eq!(confirmations.send(&durable(number).await, &Pubkey::default()).await, Fate::Landed);
        times.push(start.elapsed());
    }
    let mut last = times.split_off(100);
    last.sort();
    assert!(last[last.len() / 2] <= Duration::from_millis(520), "{:?}", last[last.len() / 2]);
    let looks = chain.script.calls("getSignatureStatuses");
    assert!(looks < rounds * 3 / 2, "{looks} looks for {rounds}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_at_once_share_their_looks() {
    let (chain, confirmations) = chain(500, 0);
    let mut tasks = Vec::new();
    for number in 0..1000 {
        let (confirmations, durable) = (confirmations.clone(), durable(number).await);
        tasks.push(tokio::spawn(async move { confirmations.send(&durable, &Pubkey::default()).await }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), Fate::Landed);
    }
    let looks = chain.script.calls("getSignatureStatuses");
    assert!(looks <= 3 * 1000usize.div_ceil(MOST_STATUSES), "{looks}");
    assert_eq!(chain.script.calls("sendTransaction"), 1000);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(chain.script.calls("getSignatureStatuses"), looks, "nobody looks when nothing waits");
}

/// A burst takes a while to send, and the last of it is confirmed as much later than the first.
#[tokio::test(start_paused = true)]
async fn a_burst_is_looked_for_when_most_of_it_is_there() {
    const BURST: usize = 64;
    let (chain, confirmations) = chain(500, 0);
    let sent = chain.sent.clone();
    chain.script.on("getSignatureStatuses", move |params| {
        let sent = sent.lock().unwrap();
        let there = |name: &Value| sent[name.as_str().unwrap()].elapsed() >= Duration::from_millis(500);
        let status = |name| there(name).then(|| json!({ "err": null, "confirmationStatus": "confirmed" }));
        let statuses: Vec<_> = params[0].as_array().unwrap().iter().map(status).collect();
        Ok(json!({ "context": { "slot": 1 }, "value": statuses }))
    });
    let mut times = Vec::new();
    for round in 0..40 {
        let mut tasks = Vec::new();
        for number in 0..BURST {
            let durable = durable(round * BURST + number).await;
            let start = Instant::now();
            chain.sent.lock().unwrap().insert(durable.tx().hash.clone(), start);
            let confirmations = confirmations.clone();
            tasks.push(tokio::spawn(async move {
                assert_eq!(confirmations.send(&durable, &Pubkey::default()).await, Fate::Landed);
                start.elapsed()
            }));
            sleep(Duration::from_millis(1)).await;
        }
        for task in tasks {
            let time = task.await.unwrap();
            times.extend((round >= 20).then_some(time));
        }
    }
    times.sort();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    let looks = chain.script.calls("getSignatureStatuses");
    assert!(median <= Duration::from_millis(540), "{median:?}, at most {last:?}");
    assert!(last <= Duration::from_millis(620), "{last:?}");
    assert!(looks <= 40 * 3, "{looks}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_transaction_is_sent_again() {
    let (chain, confirmations) = chain(500, 1);
    let start = Instant::now();
    assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Landed);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(chain.script.calls("sendTransaction"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_after_sending_is_no_refusal() {
    let (chain, confirmations) = chain(500, 0);
    let arrived = chain.sent.clone();
    chain.script.on("sendTransaction", move |_| {
        arrived.lock().unwrap().entry("any".to_owned()).or_insert_with(Instant::now);
        Err((0, "connection reset".to_owned()))
    });
    assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Landed);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_one() {
    let (chain, confirmations) = chain(500, 0);
    chain.script.on("sendTransaction", |_| Err((-32003, "signature verification failure".to_owned())));
    let fate = confirmations.send(&durable(0).await, &Pubkey::default()).await;
    assert!(matches!(fate, Fate::Refused(why) if why.contains("-32003")));
    assert_eq!(chain.script.calls("getSignatureStatuses"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_on_chain_is_told() {
    let (chain, confirmations) = chain(500, 0);
    chain.script.on("getSignatureStatuses", |_| {
        let status = json!({ "err": { "InstructionError": [2, { "Custom": 1 }] }, "confirmationStatus": "confirmed" });
        Ok(json!({ "context": { "slot": 1 }, "value": [status] }))
    });
    let fate = confirmations.send(&durable(0).await, &Pubkey::default()).await;
    assert!(matches!(fate, Fate::Failed(why) if why.contains("Custom")));
}

/// A chain whose height grows by two a second, that has not seen the transaction.
fn never(chain: &Chain, last_valid: u64) -> Arc<AtomicU64> {
    let start = Instant::now();
    let offset = Arc::new(AtomicU64::new(0));
    let (a, b) = (offset.clone(), offset.clone());
    let height = move |offset: &AtomicU64| start.elapsed().as_secs() * 2 + offset.load(Relaxed);
    chain.script.on("getBlockHeight", move |params| {
        let behind = if params[0]["commitment"] == "finalized" { 32 } else { 0 };
        Ok(json!(height(&a).saturating_sub(behind)))
    });
    chain
        .script
        .on("isBlockhashValid", move |_| Ok(json!({ "context": { "slot": 1 }, "value": height(&b) <= last_valid })));
    chain.script.on("getSignatureStatuses", |params| {
        let count = params[0].as_array().unwrap().len();
        Ok(json!({ "context": { "slot": 1 }, "value": vec![Value::Null; count] }))
    });
    offset
}

#[tokio::test(start_paused = true)]
async fn what_expired_is_known_to_have_when_its_last_block_is_final() {
    let (chain, confirmations) = chain(500, usize::MAX);
    never(&chain, 10);
    let start = Instant::now();
    confirmations.expiry.seen(&Pubkey::default());
    assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Expired);
    // Past height 10 plus the lag that is allowed for, and final: 10 + 32 + 32 blocks of half a second.
    let took = start.elapsed().as_secs();
    assert!((37..=50).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn what_could_still_land_is_unknown_and_not_expired() {
    let (chain, confirmations) = chain(500, usize::MAX);
    never(&chain, 150);
    let start = Instant::now();
    assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Unknown);
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    assert!(chain.script.calls("sendTransaction") >= 20, "it was sent again all the while");
    assert!(confirmations.waiting().transactions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn landing_in_the_last_block_is_not_missed() {
    let (chain, confirmations) = chain(500, usize::MAX);
    let offset = never(&chain, 10);
    confirmations.expiry.seen(&Pubkey::default());
    offset.store(1000, Relaxed);
    assert!(matches!(confirmations.look("s", &Pubkey::default()).await, Ok(Fate::Unknown)));
    offset.store(2000, Relaxed);
    // Seen by the first look no more than by the chain's short memory, and by the thorough one after all.
    let mut asked = 0;
    chain.script.on("getSignatureStatuses", move |params| {
        assert_eq!(params[1]["searchTransactionHistory"], true);
        asked += 1;
        let status = json!({ "err": null, "confirmationStatus": "finalized" });
        Ok(json!({ "context": { "slot": 1 }, "value": [if asked > 1 { status } else { Value::Null }] }))
    });
    assert!(matches!(confirmations.look("s", &Pubkey::default()).await, Ok(Fate::Landed)));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_for_a_while_is_asked_again() {
    let (chain, confirmations) = chain(500, 0);
    let mut failures = 5;
    let status = json!({ "err": null, "confirmationStatus": "confirmed" });
    chain.script.on("getSignatureStatuses", move |_| {
        failures -= 1;
        if failures > 0 {
            return Err((0, "connection reset".to_owned()));
        }
        Ok(json!({ "context": { "slot": 1 }, "value": [status] }))
    });
    chain.script.on("isBlockhashValid", |_| Ok(json!({ "context": { "slot": 1 }, "value": true })));
    assert_eq!(confirmations.send(&durable(0).await, &Pubkey::default()).await, Fate::Landed);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_down_is_not_flooded() {
    let (chain, confirmations) = chain(500, usize::MAX);
    never(&chain, u64::MAX);
    let script = chain.script.clone();
    chain.script.on("getSignatureStatuses", |_| Err((0, "down".to_owned())));
    let mut tasks = Vec::new();
    for number in 0..1000 {
        let (confirmations, durable) = (confirmations.clone(), durable(number).await);
        tasks.push(tokio::spawn(async move { confirmations.send(&durable, &Pubkey::default()).await }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = script.total();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let calls = script.total() - before;
    // Eight at once, four times a second, with a question for some: not a thousand every two seconds.
    assert!(calls < 1500, "{calls} calls in 20 seconds");
    tasks.iter().for_each(JoinHandle::abort);
}

#[test]
fn a_looker_that_went_with_its_runtime_is_replaced() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let first = runtime();
    let (_, confirmations) = {
        let _inside = first.enter();
        chain(500, 0)
    };
    first.block_on(async {
        let (confirmations, durable) = (confirmations.clone(), durable(0).await);
        tokio::spawn(async move { confirmations.send(&durable, &Pubkey::default()).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    assert!(confirmations.waiting().looker.is_some());
    drop(first);
    let fate = runtime().block_on(async { confirmations.send(&durable(1).await, &Pubkey::default()).await });
    assert_eq!(fate, Fate::Landed);
}
