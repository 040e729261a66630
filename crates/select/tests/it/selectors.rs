//! In which order each selector asks.

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tollway_core::{
    BuildContext, CallEvent, Candidate, FacilitatorCall, FacilitatorSelector, Fault, FaultKind, PartKind, Registry,
    SupportedKind,
};
use tollway_testkit::fixtures;

const NAMES: [&str; 3] = ["a", "b", "c"];

async fn made(name: &str, section: Value) -> Result<Arc<dyn FacilitatorSelector>, String> {
    let registry = Registry::builder().plugin(tollway_select::PLUGIN).build().unwrap();
    registry.selector(name, section, BuildContext::new()).await.map_err(|why| why.to_string())
}

fn order(selector: &dyn FacilitatorSelector, preferences: [u64; 3]) -> String {
    let kind = SupportedKind::new("exact", &fixtures::network("fake:select"), None);
    let candidates = NAMES.iter().zip(preferences).enumerate();
    let candidates = candidates.map(|(at, (name, preferred))| Candidate::new(name, at, &kind).preferred(preferred));
    let mut candidates: Vec<_> = candidates.collect();
    selector.order(&mut candidates);
    candidates.iter().map(|candidate| candidate.name).collect()
}

fn times(selector: &dyn FacilitatorSelector, times: usize) -> String {
    (0..times).map(|_| order(selector, [0; 3]).remove(0)).collect()
}

fn verified(selector: &dyn FacilitatorSelector, position: usize, millis: u64) {
    let answered = CallEvent::Answered(Duration::from_millis(millis));
    selector.observe(position, FacilitatorCall::Verify, answered);
}

fn gone(selector: &dyn FacilitatorSelector, position: usize) {
    let fault = Fault::new(FaultKind::Unreachable, "test");
    selector.observe(position, FacilitatorCall::Verify, CallEvent::Failed(&fault));
}

#[tokio::test]
async fn priority_is_the_order_given() {
    assert_eq!(order(&*made("priority", json!({})).await.unwrap(), [0; 3]), "abc");
    assert_eq!(order(&*made("priority", json!({ "order": ["c", "a"] })).await.unwrap(), [0; 3]), "cab");
}

#[tokio::test]
async fn the_quickest_first_and_the_unknown_before() {
    let selector = made("latency", json!({})).await.unwrap();
    verified(&*selector, 0, 300);
    verified(&*selector, 1, 100);
    assert_eq!(order(&*selector, [0; 3]), "cba");
    verified(&*selector, 2, 200);
    assert_eq!(order(&*selector, [0; 3]), "bca");
    let firsts = times(&*selector, 1024);
    let count = |name| firsts.matches(name).count();
    assert_eq!((count("a"), count("b"), count("c")), (8, 1008, 8), "the others are tried now and then");
}

#[tokio::test]
async fn the_cheapest_first_in_dollars() {
    let section = json!({ "fees": { "a": "$0.0010", "b": "$0.001", "c": "$0.0009" } });
    assert_eq!(order(&*made("fee", section).await.unwrap(), [0; 3]), "cab");
    let section = json!({ "fees": { "c": "$5" } });
    assert_eq!(order(&*made("fee", section).await.unwrap(), [0; 3]), "cab", "who says no fee comes last");
    let why = made("fee", json!({ "fees": { "a": "1 EURC" } })).await.err().unwrap();
    assert!(why.contains("fees.a") && why.contains("EURC") && why.contains("dollars"), "{why}");
}

#[tokio::test]
async fn each_in_turn() {
    let selector = made("round-robin", json!({})).await.unwrap();
    assert_eq!(times(&*selector, 6), "abcabc");
    gone(&*selector, 1);
    let turns = times(&*selector, 6);
    assert!(turns == "acacac" || turns == "cacaca", "{turns}: nobody gets the turns of one that is down");
}

#[tokio::test]
async fn by_shares_evenly_mixed() {
    let selector = made("weighted", json!({ "weights": { "a": 5, "b": 1, "c": 0 } })).await.unwrap();
    let firsts = times(&*selector, 12);
    let count = |name| firsts.matches(name).count();
    assert_eq!((count("a"), count("b"), count("c")), (10, 2, 0));
    assert!(!firsts.contains("bb") && firsts[..6].contains('b'), "{firsts}");
    gone(&*selector, 0);
    assert_eq!(times(&*selector, 3), "bbb");
    gone(&*selector, 1);
    assert_eq!(times(&*selector, 2), "cc", "with no share it is the last resort");
    let why = made("weighted", json!({ "weights": { "a": 1_000_001 } })).await.err().unwrap();
    assert!(why.contains("weights.a"), "{why}");
}

#[tokio::test]
async fn health_outranks_preferences_and_preferences_outrank_the_policy() {
    for name in ["priority", "latency", "fee", "round-robin", "weighted"] {
        let selector = made(name, json!({})).await.unwrap();
        for position in 0..3 {
            verified(&*selector, position, 10 + position as u64);
        }
        assert!(order(&*selector, [0, 0, 1]).starts_with('c'), "{name}");
        gone(&*selector, 2);
        assert!(order(&*selector, [0, 1, 2]).starts_with('b'), "{name}");
        assert!(order(&*selector, [0, 1, 2]).ends_with('c'), "{name}: it stays the last resort");
    }
}

#[tokio::test]
async fn every_example_is_accepted_and_a_misspelt_key_is_not() {
    let registry = Registry::builder().plugin(tollway_select::PLUGIN).build().unwrap();
    assert_eq!(registry.parts().len(), 5);
    for part in registry.parts() {
        assert_eq!(part.kind(), PartKind::Selector);
        let example: Value = serde_json::from_str(part.example()).unwrap();
        part.try_config(example, BuildContext::new()).await.unwrap();
        for wrong in [json!({ "__unknown__": 1 }), json!({ "health": { "__unknown__": 1 } })] {
            let why = part.try_config(wrong, BuildContext::new()).await.unwrap_err();
            assert!(why.contains("__unknown__"), "{part:?}: {why}");
        }
    }
}
