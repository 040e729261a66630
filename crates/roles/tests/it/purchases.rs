//! One payment buys one thing, and whoever paid gets it: across routes, payees, crashes and expiry.

use crate::support::*;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollway_core::{Caller, ErrorCode, Facilitator, Failure, Outcome, Paid, Rejected, Settled};
use tollway_roles::server::ServerHook;
use tollway_roles::{Admission, Finished, Refusal, Route, Way};
use tollway_testkit::{Answer, FakeChain, FakeClock, FakeFacilitator, FakePayload, Fate, OnSettle, Script, fixtures};

fn lost_answer() -> Script {
    Script::settle([OnSettle::LoseAnswer])
}

/// The same nonce around other terms, without the key that could sign them.
#[tokio::test]
async fn what_was_paid_and_not_delivered_buys_nothing_dearer() {
    let network = "fake:purchases-undelivered";
    let facilitator = FakeFacilitator::serving("exact", network);
    let cheap = Route::new("GET /cheap").accepts(Way::exact(network, "$0.01", "payee").upfront());
    let dear = Route::new("GET /dear").accepts(Way::exact(network, "$1", "payee"));
    let server = builder().facilitator(facilitator.clone()).route(cheap).route(dear).build().await.unwrap();
    let payment = pay(&first_offer(&server, "/cheap").await, "n1");
    drop(admitted(server.admit(&paid("/cheap", &payment)).await));
    settle_down().await;
    let dear = first_offer(&server, "/dear").await;
    let mut forged = FakePayload::new("alice", "n1", &dear);
    forged.signature = "junk".to_owned();
    let refused = server.admit(&paid("/dear", &fixtures::fake_payment(&dear, &forged))).await;
    assert_eq!(why(refused), "failed duplicate_settlement");
    // Who paid for the cheap thing still gets it.
    released(admitted(server.admit(&paid("/cheap", &payment)).await).finish(true).await);
    assert_eq!(facilitator.moved(), 1);
}

#[tokio::test]
async fn what_is_pending_buys_nothing_dearer() {
    let network = "fake:purchases-pending";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let cheap = Route::new("GET /cheap").accepts(Way::exact(network, "$0.01", "payee"));
    let dear = Route::new("GET /dear").accepts(Way::exact(network, "$1", "payee"));
    let server = builder().facilitator(facilitator.clone()).route(cheap).route(dear).build().await.unwrap();
    let payment = pay_scripted(&first_offer(&server, "/cheap").await, "n1", lost_answer());
    let finished = admitted(server.admit(&paid("/cheap", &payment)).await).finish(true).await;
    assert!(matches!(finished, Finished::Refused(_)), "{finished:?}");
    chain.mine();
    facilitator.reconcile().await.unwrap();
    let other = pay(&first_offer(&server, "/dear").await, "n1");
    assert_eq!(why(server.admit(&paid("/dear", &other)).await), "failed duplicate_settlement");
    released(admitted(server.admit(&paid("/cheap", &payment)).await).finish(true).await);
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn a_pending_payment_pays_one_payee_even_without_tokens() {
    let network = "fake:purchases-payees";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let ours = fixtures::offer(network);
    let mut theirs = ours.clone();
    theirs.pay_to = "somebody-else".to_owned();
    let first = pay_scripted(&ours, "n1", lost_answer());
    assert!(facilitator.settle(&first, &ours, &Caller::ANONYMOUS).await.is_err());
    chain.mine();
    let second = facilitator.settle(&pay(&theirs, "n1"), &theirs, &Caller::ANONYMOUS).await;
    assert!(matches!(second, Err(Failure::Rejected(_))), "{second:?}");
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn what_settled_is_answered_after_the_payment_expired() {
    let network = "fake:purchases-expired";
    let (chain, clock) = (FakeChain::at(network), FakeClock::new());
    let facilitator = local_builder(network).clock(clock.clone()).build().await.unwrap();
    let server = builder().clock(clock.clone()).facilitator(facilitator.clone()).route(route(network));
    let server = server.build().await.unwrap();
    let offer = first_offer(&server, "/report").await;
    let payload = FakePayload::valid_until("alice", "n1", &offer, FakeClock::START + 300).scripted(lost_answer());
    let request = paid("/report", &fixtures::fake_payment(&offer, &payload));
    let finished = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(finished, Finished::Refused(_)), "{finished:?}");
    chain.mine();
    facilitator.reconcile().await.unwrap();
    clock.advance(301);
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn what_was_not_delivered_is_answered_after_the_payment_expired() {
    let network = "fake:purchases-late";
    let (chain, clock) = (FakeChain::at(network), FakeClock::new());
    chain.refuse_replays();
    let facilitator = local_builder(network).clock(clock.clone()).build().await.unwrap();
    let upfront = Route::new("GET /report").accepts(way(network).upfront());
    let server = builder().clock(clock.clone()).facilitator(facilitator).route(upfront).build().await.unwrap();
    let offer = first_offer(&server, "/report").await;
    let payload = FakePayload::valid_until("alice", "n1", &offer, FakeClock::START + 60);
    let request = paid("/report", &fixtures::fake_payment(&offer, &payload));
    drop(admitted(server.admit(&request).await));
    settle_down().await;
    // Longer than finished rows are kept whose answer nobody waits for.
    clock.advance(60 + 601);
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!(chain.auditor().transfers().len(), 1);
}

struct Deny(AtomicBool);

#[async_trait]
impl ServerHook for Deny {
    async fn before_settle(&self, _: &Paid<'_>) -> Result<Option<Settled>, Rejected> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(Rejected::new(ErrorCode::new("too_many"))),
            false => Ok(None),
        }
    }
}

#[tokio::test]
async fn a_hook_does_not_unsend() {
    let network = "fake:purchases-hook";
    let (chain, facilitator, hook) = (FakeChain::at(network), local(network).await, Arc::new(Deny(false.into())));
    chain.refuse_replays();
    let server = builder().facilitator(facilitator.clone()).hook(hook.clone()).route(route(network));
    let server = server.build().await.unwrap();
    let request = paid("/report", &pay_scripted(&first_offer(&server, "/report").await, "n1", lost_answer()));
    let finished = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(finished, Finished::Refused(_)), "{finished:?}");
    chain.mine();
    facilitator.reconcile().await.unwrap();
    hook.0.store(true, Ordering::SeqCst);
    assert!(matches!(server.admit(&request).await, Admission::Refused(_)));
    hook.0.store(false, Ordering::SeqCst);
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn a_scheme_that_panics_before_signing_gives_the_claim_back() {
    let network = "fake:purchases-panic";
    let (chain, facilitator) = (FakeChain::at(network), local(network).await);
    let (offer, caller) = (fixtures::offer(network), fixtures::caller("mine"));
    let payment = pay_scripted(&offer, "n1", Script::settle([OnSettle::PanicBeforeSigned, OnSettle::Go]));
    assert!(matches!(facilitator.settle(&payment, &offer, &caller).await, Err(Failure::Fault(_))));
    assert_eq!(facilitator.reconcile().await.unwrap(), 0, "nothing was signed");
    let again = facilitator.settle(&payment, &offer, &caller).await;
    assert!(matches!(again, Ok(Outcome::Settled(_))), "{again:?}");
    assert_eq!(chain.auditor().transfers().len(), 1);
}

/// A signer's queue can be long: each caller learns of its own payment, however many wait before it.
#[tokio::test]
async fn the_last_of_many_pending_payments_is_found() {
    let network = "fake:purchases-queue";
    let (chain, facilitator, offer) = (FakeChain::at(network), local(network).await, fixtures::offer(network));
    let payment = |i: usize| pay_scripted(&offer, &format!("n{i}"), Script::fate([Fate::Waiting]));
    let caller = |i: usize| fixtures::caller(&format!("c{i}"));
    for i in 0..300 {
        let pending = facilitator.settle(&payment(i), &offer, &caller(i)).await;
        assert!(matches!(pending, Ok(Outcome::Pending { .. })), "{pending:?}");
    }
    chain.mine();
    let last = facilitator.settle(&payment(299), &offer, &caller(299)).await;
    assert!(matches!(last, Ok(Outcome::Settled(_))), "{last:?}");
    assert_eq!(chain.auditor().transfers().len(), 300);
}

#[tokio::test]
async fn a_pending_receipt_names_a_transaction() {
    let network = "fake:purchases-names";
    let facilitator = FakeFacilitator::serving("exact", network);
    facilitator.on_settle([Answer::Dropped, Answer::no("insufficient_funds")]);
    let server = builder().facilitator(facilitator).route(route(network)).build().await.unwrap();
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    let finished = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(finished, Finished::Refused(Refusal::Unavailable(_))), "{finished:?}");
    // A refusal without a transaction says nothing about the one that may be on its way.
    let again = server.admit(&request).await;
    assert!(matches!(again, Admission::Refused(Refusal::Unavailable(_))), "{again:?}");
}

#[tokio::test]
async fn an_admission_may_be_dropped_outside_of_any_runtime() {
    let network = "fake:purchases-thread";
    let facilitator = FakeFacilitator::serving("exact", network);
    let server = builder().facilitator(facilitator).route(route(network)).build().await.unwrap();
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    let admission = admitted(server.admit(&request).await);
    std::thread::spawn(move || drop(admission)).join().unwrap();
    settle_down().await;
    released(admitted(server.admit(&request).await).finish(true).await);
}

#[tokio::test]
async fn accepted_names_the_scheme_and_network_of_the_requirements() {
    let network = "fake:purchases-accepted";
    let (facilitator, offer) = (local(network).await, fixtures::offer(network));
    let code = |result: Result<_, Failure>| match result {
        Err(Failure::Rejected(why)) => why.code.to_string(),
        other => panic!("not rejected: {other:?}"),
    };
    let mut elsewhere = pay(&offer, "n1");
    elsewhere.accepted.network = fixtures::network("fake:elsewhere");
    assert_eq!(code(facilitator.verify(&elsewhere, &offer).await), "invalid_network");
    let mut otherwise = pay(&offer, "n1");
    otherwise.accepted.scheme = "upto".to_owned();
    assert_eq!(code(facilitator.verify(&otherwise, &offer).await), "invalid_scheme");
}
