//! Choosing allocates nothing. A binary of its own and a single test, since the allocator that counts is the process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;
use tollway_core::{
    CallEvent, Candidate, FacilitatorCall, FacilitatorSelector, Fault, FaultKind, NetworkId, SupportedKind,
    SupportedResponse,
};
use tollway_select::{FeeConfig, LatencyConfig, LeastFee, LeastLatency, Priority, PriorityConfig};
use tollway_select::{RoundRobin, RoundRobinConfig, Weighted, WeightedConfig};

const FACILITATORS: usize = 10;
const KINDS: usize = 20;

fn network(number: usize) -> NetworkId {
    format!("eip155:{number}").parse().unwrap()
}

/// One request: who can serve it, who is asked, in which order, and what became of it.
fn choose<'a>(
    selector: &dyn FacilitatorSelector,
    all: &'a [(String, SupportedResponse)],
    wanted: &NetworkId,
    candidates: &mut Vec<Candidate<'a>>,
    fault: &Fault,
) -> usize {
    candidates.clear();
    for (at, (name, said)) in all.iter().enumerate() {
        let kind = said.kind("exact", wanted);
        candidates.extend(kind.map(|kind| Candidate::new(name, at, kind).preferred(at as u64 % 2)));
    }
    assert_eq!(candidates.len(), FACILITATORS);
    selector.order(candidates);
    let first = candidates[0].position;
    assert!(selector.patience(first).is_some());
    selector.observe(first, FacilitatorCall::Verify, CallEvent::Asked);
    let event = if first == 3 { CallEvent::Failed(fault) } else { CallEvent::Answered(Duration::from_millis(9)) };
    selector.observe(first, FacilitatorCall::Verify, event);
    first
}

#[test]
fn choosing_allocates_nothing_after_the_first_time() {
    let mut supported = SupportedResponse::default();
    supported.kinds.extend((0..KINDS).map(|number| SupportedKind::new("exact", &network(number), None)));
    let all: Vec<_> = (0..FACILITATORS).map(|number| (format!("facilitator-{number}"), supported.clone())).collect();
    let wanted = network(KINDS - 1);
    let mut candidates = Vec::new();
    let fault = Fault::new(FaultKind::Unreachable, "test");
    let selectors: [Box<dyn FacilitatorSelector>; 5] = [
        Box::new(Priority::new(PriorityConfig::default())),
        Box::new(LeastLatency::new(LatencyConfig::default())),
        Box::new(LeastFee::new(FeeConfig::default()).unwrap()),
        Box::new(RoundRobin::new(RoundRobinConfig::default())),
        Box::new(Weighted::new(WeightedConfig::default()).unwrap()),
    ];
    // The counter counts.
    assert!(allocation_counter::measure(|| drop(std::hint::black_box(Box::new(7)))).count_total > 0);
    for selector in &selectors {
        for position in 0..FACILITATORS {
            selector.observe(position, FacilitatorCall::Supported, CallEvent::Asked);
        }
        choose(&**selector, &all, &wanted, &mut candidates, &fault);
        let counted = allocation_counter::measure(|| {
            for _ in 0..1000 {
                choose(&**selector, &all, &wanted, &mut candidates, &fault);
            }
        });
        assert_eq!(counted.count_total, 0);
    }
}
