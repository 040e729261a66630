//! The facilitator's promises, on the fake chain.

use crate::support::{local, local_builder, registry};
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use tollway_core::{
    AccountId, Caller, Claim, ClaimKey, ClaimRow, Facilitator, Failure, Ledger, Outcome, PaymentPayload,
    PaymentRequirements, Rejected, Scope, codes,
};
use tollway_roles::facilitator::FacilitatorHook;
use tollway_roles::{LocalFacilitator, MemoryLedger};
use tollway_testkit::{FakeChain, FakePayload, OnSettle, Script, fixtures};

fn payment(network: &str, nonce: &str, script: Script) -> (PaymentPayload, PaymentRequirements) {
    let offer = fixtures::offer(network);
    (fixtures::fake_payment(&offer, &FakePayload::new("alice", nonce, &offer).scripted(script)), offer)
}

fn code(result: Result<impl std::fmt::Debug, Failure>) -> String {
    match result {
        Err(Failure::Rejected(why)) => why.code.to_string(),
        other => panic!("not rejected: {other:?}"),
    }
}

#[tokio::test]
async fn lists_what_was_configured_and_nothing_wider() {
    let facilitator = local("fake:facilitator-kinds").await;
    let supported = facilitator.supported().await.unwrap();
    let kinds: Vec<_> = supported.kinds.iter().map(|kind| (kind.scheme.as_str(), kind.network.as_str())).collect();
    assert_eq!(kinds, [("exact", "fake:facilitator-kinds")]);
    let (raw, offer) = payment("fake:another", "n1", Script::default());
    let why = facilitator.verify(&raw, &offer).await.unwrap_err();
    assert!(why.to_string().contains("fake:facilitator-kinds"), "{why}");
    assert_eq!(code(Err::<(), _>(why)), "invalid_network");
}

#[tokio::test]
async fn versions_schemes_and_shapes_have_their_codes() {
    let facilitator = local("fake:facilitator-codes").await;
    let (mut raw, mut offer) = payment("fake:facilitator-codes", "n1", Script::default());
    raw.x402_version = 3;
    assert_eq!(code(facilitator.verify(&raw, &offer).await), "invalid_x402_version");
    raw.x402_version = 2;
    raw.payload = json!({ "nonsense": 1 });
    assert_eq!(code(facilitator.verify(&raw, &offer).await), "invalid_payload");
    assert_eq!(code(facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await), "invalid_payload");
    offer.scheme = "upto".to_owned();
    assert_eq!(code(facilitator.verify(&raw, &offer).await), "unsupported_scheme");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_one_settlement() {
    let network = "fake:facilitator-thousand";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let (raw, offer) = payment(network, "n1", Script { delay_ms: 20, ..Script::default() });
    let tasks: Vec<_> = (0..1000)
        .map(|i| {
            let (facilitator, raw, offer) = (facilitator.clone(), raw.clone(), offer.clone());
            tokio::spawn(async move { facilitator.settle(&raw, &offer, &fixtures::caller(&format!("c{i}"))).await })
        })
        .collect();
    let (mut settled, mut duplicates) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(Outcome::Settled(_)) => settled += 1,
            other => {
                assert_eq!(code(other), "duplicate_settlement");
                duplicates += 1;
            }
        }
    }
    assert_eq!((settled, duplicates), (1, 999));
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_caller_gets_the_same_answer_and_nobody_else() {
    let network = "fake:facilitator-same";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let (raw, offer) = payment(network, "n1", Script { delay_ms: 20, ..Script::default() });
    let caller = fixtures::caller("mine");
    let both = tokio::join!(facilitator.settle(&raw, &offer, &caller), facilitator.settle(&raw, &offer, &caller));
    let (Ok(Outcome::Settled(a)), Ok(Outcome::Settled(b))) = both else { panic!("{both:?}") };
    assert_eq!(a, b);
    let later = facilitator.settle(&raw, &offer, &caller).await;
    assert!(matches!(later, Ok(Outcome::Settled(c)) if c == a));
    for other in [fixtures::caller("other"), Caller::ANONYMOUS] {
        assert_eq!(code(facilitator.settle(&raw, &offer, &other).await), "duplicate_settlement");
    }
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_the_settlement() {
    let network = "fake:facilitator-leaves";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let (raw, offer) = payment(network, "n1", Script { delay_ms: 30, ..Script::default() });
    let caller = fixtures::caller("mine");
    let early = tokio::time::timeout(std::time::Duration::from_millis(5), facilitator.settle(&raw, &offer, &caller));
    assert!(early.await.is_err());
    assert!(matches!(facilitator.settle(&raw, &offer, &caller).await, Ok(Outcome::Settled(_))));
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn a_lost_send_is_pending_and_the_reconciler_sends_the_same_bytes() {
    let network = "fake:facilitator-lost";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let script = Script { settle: vec![OnSettle::LoseSend], ..Script::default() };
    let (raw, offer) = payment(network, "n1", script);
    let first = facilitator.settle(&raw, &offer, &fixtures::caller("mine")).await;
    assert!(matches!(first, Err(Failure::Fault(_))), "{first:?}");
    assert!(chain.auditor().transfers().is_empty());
    chain.mine();
    facilitator.reconcile().await.unwrap();
    chain.mine();
    facilitator.reconcile().await.unwrap();
    let later = facilitator.settle(&raw, &offer, &fixtures::caller("mine")).await;
    assert!(matches!(later, Ok(Outcome::Settled(_))), "{later:?}");
    assert_eq!(chain.auditor().transfers().len(), 1);
    chain.auditor().assert_at_most_once();
}

#[tokio::test]
async fn a_caller_without_a_token_is_told_of_a_pending_outcome_once() {
    let network = "fake:facilitator-anonymous";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let script = Script { settle: vec![OnSettle::LoseAnswer], ..Script::default() };
    let (raw, offer) = payment(network, "n1", script);
    assert!(facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await.is_err());
    chain.mine();
    let again = facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await;
    assert!(matches!(again, Ok(Outcome::Settled(_))), "{again:?}");
    assert_eq!(code(facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await), "duplicate_settlement");
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn a_scheme_that_panics_leaves_the_claim_for_the_reconciler() {
    let network = "fake:facilitator-panics";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let script = Script { settle: vec![OnSettle::PanicSent], ..Script::default() };
    let (raw, offer) = payment(network, "n1", script);
    let caller = fixtures::caller("mine");
    assert!(matches!(facilitator.settle(&raw, &offer, &caller).await, Err(Failure::Fault(_))));
    chain.mine();
    assert_eq!(facilitator.reconcile().await.unwrap(), 1, "it no longer counts as under way");
    let again = facilitator.settle(&raw, &offer, &caller).await;
    assert!(matches!(again, Ok(Outcome::Settled(_))), "{again:?}");
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn a_refused_settlement_may_be_tried_again() {
    let network = "fake:facilitator-refused";
    let facilitator = local(network).await;
    let script = Script { settle: vec![OnSettle::Refuse, OnSettle::Go], ..Script::default() };
    let (raw, offer) = payment(network, "n1", script);
    assert_eq!(code(facilitator.settle(&raw, &offer, &fixtures::caller("a")).await), "fake_refused");
    let again = facilitator.settle(&raw, &offer, &fixtures::caller("b")).await;
    assert!(matches!(again, Ok(Outcome::Settled(_))), "{again:?}");
}

struct DenyList;

#[async_trait]
impl FacilitatorHook for DenyList {
    async fn before_verify(&self, _: &PaymentPayload, offer: &PaymentRequirements) -> Result<(), Rejected> {
        match offer.pay_to == "mallory" {
            true => Err(Rejected::new(codes::INVALID_PAYMENT_REQUIREMENTS)),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn hooks_may_refuse() {
    let network = "fake:facilitator-hooks";
    let facilitator = LocalFacilitator::builder().registry(registry()).network(network, json!({}));
    let facilitator =
        facilitator.clock(tollway_testkit::FakeClock::new()).hook(Arc::new(DenyList)).build().await.unwrap();
    let (raw, mut offer) = payment(network, "n1", Script::default());
    assert!(facilitator.verify(&raw, &offer).await.is_ok());
    offer.pay_to = "mallory".to_owned();
    assert_eq!(code(facilitator.verify(&raw, &offer).await), "invalid_payment_requirements");
}

#[tokio::test]
async fn a_facilitator_without_networks_is_refused_with_advice() {
    let why = LocalFacilitator::builder().registry(registry()).build().await.unwrap_err().to_string();
    assert!(why.contains(".network("), "{why}");
    let unknown = LocalFacilitator::builder().registry(registry()).network("eip155:1", json!({})).build().await;
    let why = unknown.unwrap_err().to_string();
    assert!(why.contains("fake:*") && why.contains("use <crate> as _;"), "{why}");
}

/// Two processes on one ledger, as far as they can be played in one.
async fn two(network: &str) -> (LocalFacilitator, LocalFacilitator, Arc<MemoryLedger>) {
    let first = Arc::new(MemoryLedger::default());
    let second = Arc::new(first.beside());
    let one = local_builder(network).ledger(first.clone()).build().await.unwrap();
    (one, local_builder(network).ledger(second).build().await.unwrap(), first)
}

#[tokio::test]
async fn a_payment_is_handed_to_the_process_that_holds_its_signer() {
    let network = "fake:facilitator-handed";
    let chain = FakeChain::at(network);
    let (first, second, ledger) = two(network).await;
    for (facilitator, nonce) in [(&first, "n1"), (&second, "n2"), (&second, "n3"), (&first, "n4")] {
        let (raw, offer) = payment(network, nonce, Script::default());
        let settled = facilitator.settle(&raw, &offer, &fixtures::caller(nonce)).await;
        assert!(matches!(settled, Ok(Outcome::Settled(_))), "{nonce}: {settled:?}");
    }
    let (raw, offer) = payment(network, "poor", Script { settle: vec![OnSettle::Refuse], ..Script::default() });
    let refused = second.settle(&raw, &offer, &fixtures::caller("poor")).await;
    assert!(matches!(refused, Err(Failure::Rejected(_))), "{refused:?}");
    assert_eq!(chain.auditor().transfers().len(), 4);

    // The holder dies; what is presented from now on is signed by whoever is left.
    ledger.leave();
    let (raw, offer) = payment(network, "n5", Script::default());
    let settled = second.settle(&raw, &offer, &fixtures::caller("n5")).await;
    assert!(matches!(settled, Ok(Outcome::Settled(_))), "{settled:?}");
    chain.auditor().assert_at_most_once();
}

#[tokio::test]
async fn a_payment_comes_back_when_the_process_it_was_handed_to_dies() {
    let network = "fake:facilitator-handed-back";
    let chain = FakeChain::at(network);
    let first = MemoryLedger::default();
    let second = Arc::new(first.beside());
    // A process that holds the signer and does nothing.
    let (raw, offer) = payment(network, "n1", Script::default());
    tollway_core::Ledger::hold(&first, &offer.network, "fake-teller").await.unwrap();
    let facilitator = local_builder(network).ledger(second).build().await.unwrap();
    let settling = tokio::spawn(async move { facilitator.settle(&raw, &offer, &fixtures::caller("mine")).await });
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert!(!settling.is_finished() && chain.auditor().transfers().is_empty());
    drop(first);
    let settled = settling.await.unwrap();
    assert!(matches!(settled, Ok(Outcome::Settled(_))), "{settled:?}");
    assert_eq!(chain.auditor().transfers().len(), 1);
}

/// The process that has a payment dies before it signed, while another waits for its outcome: nobody knows, once, and then
/// whoever is asked takes it up. So does what was answered as unknown before it was signed.
#[tokio::test]
async fn a_payment_that_nobody_signed_is_taken_up_when_it_is_presented_again() {
    let network = "fake:facilitator-taken-up";
    let chain = FakeChain::at(network);
    for (nonce, caller) in [("n1", fixtures::caller("mine")), ("n2", Caller::ANONYMOUS)] {
        let first = MemoryLedger::default();
        let second = Arc::new(first.beside());
        let (raw, offer) = payment(network, nonce, Script::default());
        let key = ClaimKey::new(&offer.network, "fake", &["alice", nonce]);
        let claim = Claim::new(key, AccountId::new(offer.network.clone(), "alice"));
        let row = ClaimRow::new(Scope::Facilitator, claim, raw.clone(), offer.clone(), caller.clone());
        let ticket = Ledger::take(&first, &row).await.unwrap().ticket().unwrap();
        let facilitator = local_builder(network).ledger(second.clone()).build().await.unwrap();
        if nonce == "n1" {
            let settling = facilitator.settle(&raw, &offer, &caller);
            let dying = async {
                tokio::time::sleep(std::time::Duration::from_millis(60)).await;
                first.leave();
            };
            let (unknown, ()) = tokio::join!(settling, dying);
            assert!(matches!(unknown, Err(Failure::Fault(_))), "{unknown:?}");
        } else {
            let unknown = Outcome::Pending { transaction: String::new() };
            second.resolve(Scope::Facilitator, &[(ticket, unknown)]).await.unwrap();
        }
        let stranger = facilitator.settle(&raw, &offer, &fixtures::caller("another")).await;
        assert_eq!(code(stranger), "duplicate_settlement");
        let settled = facilitator.settle(&raw, &offer, &caller).await;
        assert!(matches!(settled, Ok(Outcome::Settled(_))), "{nonce}: {settled:?}");
    }
    assert_eq!(chain.auditor().transfers().len(), 2);
    chain.auditor().assert_at_most_once();
}

#[tokio::test]
async fn a_token_used_for_another_payment_is_a_conflict() {
    let network = "fake:facilitator-token";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let (raw, offer) = payment(network, "n1", Script::default());
    let caller = fixtures::caller("mine");
    let first = facilitator.settle(&raw, &offer, &caller).await.unwrap();
    assert_eq!(facilitator.settle(&raw, &offer, &caller).await.unwrap(), first, "a repeat has the same answer");
    let (other, offer) = payment(network, "n2", Script::default());
    assert_eq!(code(facilitator.settle(&other, &offer, &caller).await), "idempotency_key_reused");
    assert_eq!(chain.auditor().transfers().len(), 1);
}
