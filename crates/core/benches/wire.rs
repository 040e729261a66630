//! What reading and writing the types on the wire costs, beside serde_json's untyped value.
#![allow(missing_docs, reason = "criterion's macros make a public function of each group")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tollway_core::{Amount, Money, PaymentPayload, json, matches_offer};

const FLOW: &str = include_str!("../../testkit/golden/flows/exact-evm-eip3009.json");

fn wire(c: &mut Criterion) {
    let flow: serde_json::Value = serde_json::from_str(FLOW).expect("a golden flow is JSON");
    let recorded = &flow["http"][1]["request"]["decoded"]["payment-signature"];
    let text = recorded.to_string();
    let payment: PaymentPayload = json::from_slice(text.as_bytes()).expect("a golden payment");

    let mut group = c.benchmark_group("payment");
    group.bench_function("read as a value", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(text.as_bytes())).map(black_box));
    });
    group.bench_function("read", |b| {
        b.iter(|| json::from_slice::<PaymentPayload>(black_box(text.as_bytes())).map(black_box));
    });
    group.bench_function("write", |b| b.iter(|| serde_json::to_vec(black_box(&payment)).map(black_box)));
    group.bench_function("clone", |b| b.iter(|| black_box(&payment).clone()));
    group.bench_function("match", |b| {
        b.iter(|| matches_offer(black_box(&payment.accepted), black_box(&payment.accepted), &[]));
    });
    group.finish();

    let mut group = c.benchmark_group("amount");
    group.bench_function("read", |b| b.iter(|| black_box("1000000000000").parse::<Amount>()));
    group.bench_function("write", |b| b.iter(|| black_box(Amount::from(1_000_000_000_000)).to_string()));
    let money: Money = "$0.01".parse().expect("a price");
    group.bench_function("from a price", |b| b.iter(|| black_box(&money).to_amount(6)));
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
