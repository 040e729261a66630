//! What a facilitator does with a payment before it asks anybody: decode, check every signature, derive the recipient's
//! account, name the claim; and what a client does to pay. `cargo bench -p tollway-solana --bench local`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;
use tollway_core::ResourceInfo;
use tollway_core::erased::ClientDyn;
use tollway_solana::{ExactClient, Solana};

fn local(criterion: &mut Criterion) {
    let (payment, offer) = golden("exact-svm");
    let facilitator = offline(json!({}));
    criterion.bench_function("open and check", |bencher| {
        bencher.iter(|| open(&facilitator, black_box(&payment), black_box(&offer)).unwrap());
    });

    let network = Arc::new(Solana::builder(DEVNET.parse().unwrap()).build().unwrap());
    let client = ExactClient::new(network, CLIENT.signer()).unwrap();
    let hinted = offer.with_extra("recentBlockhash", "11111111111111111111111111111111");
    let resource = ResourceInfo::new("https://shop.test/report");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    criterion.bench_function("sign", |bencher| {
        bencher.iter(|| runtime.block_on(ClientDyn::sign(&client, black_box(&hinted), &resource)).unwrap());
    });
}

criterion_group!(benches, local);
criterion_main!(benches);
