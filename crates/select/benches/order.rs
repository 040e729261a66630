//! What choosing among 10 facilitators of 20 kinds each costs: finding who serves the scheme on the network, and putting
//! them in order. Engines do the first part once for all requests.
#![allow(missing_docs, reason = "criterion's macros make a public function of each group")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use tollway_core::{
    CallEvent, Candidate, FacilitatorCall, FacilitatorSelector, NetworkId, SupportedKind, SupportedResponse,
};
use tollway_select::{FeeConfig, LatencyConfig, LeastFee, LeastLatency, Priority, PriorityConfig};
use tollway_select::{RoundRobin, RoundRobinConfig, Weighted, WeightedConfig};

const FACILITATORS: usize = 10;

fn network(number: usize) -> NetworkId {
    format!("eip155:{number}").parse().expect("a network")
}

fn order(c: &mut Criterion) {
    let kinds = || (0..20).map(|number| SupportedKind::new("exact", &network(number), None));
    let supported = || {
        let mut supported = SupportedResponse::default();
        supported.kinds.extend(kinds());
        supported
    };
    let all: Vec<(String, SupportedResponse)> =
        (0..FACILITATORS).map(|number| (format!("facilitator-{number}"), supported())).collect();
    let wanted = network(13);
    let selectors: [(&str, Box<dyn FacilitatorSelector>); 5] = [
        ("priority", Box::new(Priority::new(PriorityConfig::default()))),
        ("latency", Box::new(LeastLatency::new(LatencyConfig::default()))),
        ("fee", Box::new(LeastFee::new(FeeConfig::default()).expect("no fees"))),
        ("round-robin", Box::new(RoundRobin::new(RoundRobinConfig::default()))),
        ("weighted", Box::new(Weighted::new(WeightedConfig::default()).expect("no weights"))),
    ];
    let mut group = c.benchmark_group("10 facilitators, 20 kinds each");
    for (name, selector) in &selectors {
        for position in 0..FACILITATORS {
            let took = Duration::from_millis(100 - position as u64);
            selector.observe(position, FacilitatorCall::Verify, CallEvent::Answered(took));
        }
        let mut candidates = Vec::with_capacity(FACILITATORS);
        group.bench_function(format!("find and order, {name}"), |b| {
            b.iter(|| {
                candidates.clear();
                for (at, (name, said)) in black_box(&all).iter().enumerate() {
                    candidates.extend(said.kind("exact", &wanted).map(|kind| Candidate::new(name, at, kind)));
                }
                selector.order(&mut candidates);
                candidates[0].position
            });
        });
        let mut candidates: Vec<_> =
            all.iter().enumerate().map(|(at, (name, said))| Candidate::new(name, at, &said.kinds[13])).collect();
        group.bench_function(format!("order, {name}"), |b| {
            b.iter(|| {
                selector.order(black_box(&mut candidates));
                candidates[0].position
            });
        });
    }
    group.finish();
}

criterion_group!(benches, order);
criterion_main!(benches);
