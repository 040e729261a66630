//! Settlements on a chain with a block each second: how long one takes, and how many there are in a second:
//! `cargo bench -p tollway-evm --bench settle`. The chain runs in the same process.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use alloy::primitives::{B256, U256};
use async_trait::async_trait;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tollway_core::erased::{ClientDyn, FacilitatorDyn, ServerDyn};
use tollway_core::{
    Amount, ClaimKey, ClaimRow, Fault, Found, Ledger, LedgerHandle, OpenSlot, Outcome, PaymentPayload,
    PaymentRequirements, ResourceInfo, Scope, SettleContext, SignedTx, SupportedKind, Taken, Ticket,
};
use tollway_devnet::accounts::{CLIENT, FACILITATOR, PAY_TO};
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Devnet, Mining};
use tollway_evm::{Evm, ExactClient, ExactFacilitator, ExactServer, LocalKey};

/// Forgets everything.
#[derive(Default)]
struct Nothing(AtomicU64);

#[async_trait]
impl Ledger for Nothing {
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        Ok(Taken::New(row.ticket()))
    }
    async fn retake(&self, _: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
        Ok(None)
    }
    async fn find(&self, _: Scope, _: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
        Ok(None)
    }
    async fn write_signed(&self, _: &SignedTx, _: &[Ticket]) -> Result<(), Fault> {
        self.0.fetch_add(1, Relaxed);
        Ok(())
    }
    async fn resolve(&self, _: Scope, _: &[(Ticket, Outcome)]) -> Result<(), Fault> {
        Ok(())
    }
    async fn open(&self, _: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        Ok(Vec::new())
    }
}

fn key(secret: B256) -> Arc<LocalKey> {
    Arc::new(LocalKey::from_hex(&alloy::hex::encode(secret)).unwrap())
}

#[tokio::main]
async fn main() {
    let devnet = Devnet::builder().mining(Mining::Interval(Duration::from_secs(1))).build().unwrap();
    devnet.set_token_balance(USDC, CLIENT.address, U256::from(u64::MAX));
    let server = devnet.serve("127.0.0.1:0").await.unwrap();
    let id: tollway_core::NetworkId = "eip155:84532".parse().unwrap();
    let evm = Evm::builder(id.clone()).rpc(&server.url()).unwrap().block_time(Duration::from_secs(1));
    let evm = Arc::new(evm.build().unwrap());
    let side = Arc::new(ExactFacilitator::new(evm.clone(), &[key(FACILITATOR.private_key())]).unwrap());
    let client = Arc::new(ExactClient::new(evm.clone(), key(CLIENT.private_key())).unwrap());
    let (asset, pay_to) = (USDC.to_string(), PAY_TO.address.to_string());
    let draft = PaymentRequirements::new("exact", id.clone(), Amount::from(1), asset, pay_to)
        .with_timeout(NonZeroU64::new(3600).unwrap());
    let kind = SupportedKind::new("exact", &id, None);
    let offer = ServerDyn::offer(&ExactServer::new(evm), draft, &kind).unwrap();
    let ledger = LedgerHandle::new(Arc::new(Nothing::default()), Scope::Facilitator);

    for at_once in [1usize, 16, 64] {
        devnet.reset_calls();
        let begin = Instant::now();
        let workers: Vec<_> = (0..at_once)
            .map(|_| {
                let (side, client, offer, ledger) = (side.clone(), client.clone(), offer.clone(), ledger.clone());
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    while begin.elapsed() < Duration::from_secs(10) {
                        let shop = ResourceInfo::new("https://shop.test");
                        let signed = ClientDyn::sign(&*client, &offer, &shop).await.unwrap();
                        let raw = PaymentPayload::new(offer.clone(), signed.payload);
                        let start = Instant::now();
                        let open = FacilitatorDyn::open(&*side, &raw, &offer).unwrap();
                        let ticket = Ticket { key: open.claim().key.clone(), turn: 0 };
                        let cx = SettleContext::new(open.claim().clone(), ticket, ledger.clone());
                        let outcome = open.settle(&cx).await.unwrap();
                        assert!(matches!(outcome, Outcome::Settled(_)), "{outcome:?}");
                        took.push(start.elapsed());
                    }
                    took
                })
            })
            .collect();
        let mut took = Vec::new();
        for worker in workers {
            took.extend(worker.await.unwrap());
        }
        took.sort_unstable();
        let (calls, count) = (devnet.calls(), took.len());
        let rate = count as f64 / begin.elapsed().as_secs_f64();
        let per = calls.round_trips as f64 / count as f64;
        println!(
            "{at_once:>2} at once: {rate:5.1} a second, median {:4} ms, 99 of 100 within {:4} ms, {per:.2} round trips each",
            took[count / 2].as_millis(),
            took[count * 99 / 100].as_millis(),
        );
    }
}
