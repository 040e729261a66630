//! Choosing allocates nothing. A binary of its own and a single test, since the allocator that counts is the process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;
use tollway_core::{CallEvent, Candidate, FacilitatorCall, FacilitatorSelector, Fault, FaultKind, SupportedKind};
use tollway_select::{FeeConfig, LatencyConfig, LeastFee, LeastLatency, Priority, PriorityConfig};
use tollway_select::{RoundRobin, RoundRobinConfig, Weighted, WeightedConfig};

/// One request: who is asked, in which order, and what became of it.
fn choose(selector: &dyn FacilitatorSelector, candidates: &mut [Candidate<'_>], fault: &Fault) -> usize {
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
    let kind = SupportedKind::new("exact", &"eip155:8453".parse().unwrap(), None);
    let names: Vec<_> = (0..10).map(|number| format!("facilitator-{number}")).collect();
    let mut candidates: Vec<_> =
        names.iter().enumerate().map(|(at, name)| Candidate::new(name, at, &kind).preferred(at as u64 % 2)).collect();
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
        for position in 0..candidates.len() {
            selector.observe(position, FacilitatorCall::Supported, CallEvent::Asked);
        }
        choose(&**selector, &mut candidates, &fault);
        let counted = allocation_counter::measure(|| {
            for _ in 0..1000 {
                choose(&**selector, &mut candidates, &fault);
            }
        });
        assert_eq!(counted.count_total, 0);
    }
}
