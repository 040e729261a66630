//! The fake facilitator does as it is told and remembers.

use serde_json::json;
use std::time::Duration;
use tollway_core::{
    Amount, Caller, Facilitator, Failure, FaultKind, Outcome, PaymentPayload, PaymentRequirements, Sent,
    SettleResponse, Settled, SupportedKind,
};
use tollway_testkit::{Answer, Call, FakeFacilitator, Lie, fixtures};

fn payment() -> (PaymentPayload, PaymentRequirements) {
    let offer = fixtures::offer("fake:facilitator");
    (fixtures::payment(&offer, json!({ "authorization": { "from": "alice" } })), offer)
}

fn settled(outcome: Outcome) -> Settled {
    match outcome {
        Outcome::Settled(settled) => settled,
        other => panic!("not settled: {other:?}"),
    }
}

#[tokio::test]
async fn untold_it_says_yes_and_counts() {
    let facilitator = FakeFacilitator::serving("exact", "fake:facilitator");
    let (raw, offer) = payment();
    assert_eq!(facilitator.supported().await.unwrap().kinds.len(), 1);
    assert_eq!(facilitator.verify(&raw, &offer).await.unwrap().payer.as_deref(), Some("alice"));
    let first = settled(facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await.unwrap());
    let second = settled(facilitator.settle(&raw, &offer, &Caller::new("me")).await.unwrap());
    assert_ne!(first.transaction, second.transaction, "it obeys, and whoever asks twice pays twice");
    assert_eq!((facilitator.supporteds(), facilitator.verifies(), facilitator.settles()), (1, 1, 2));
    assert_eq!(
        (facilitator.moved(), facilitator.moved_for(&raw.payload), facilitator.moved_for(&json!({}))),
        (2, 2, 0)
    );
    assert_eq!(facilitator.calls()[3], Call::Settle(raw, offer, Caller::new("me")));
    facilitator.forget_calls();
    assert!(facilitator.calls().is_empty());
}

#[tokio::test]
async fn answers_come_in_order_and_the_last_one_stays() {
    let facilitator = FakeFacilitator::serving("exact", "fake:facilitator");
    let (raw, offer) = payment();
    facilitator.on_verify([Answer::no("first"), Answer::Fault(FaultKind::Unreachable), Answer::no("last")]);
    let mut said = Vec::new();
    for _ in 0..4 {
        said.push(match facilitator.verify(&raw, &offer).await.unwrap_err() {
            Failure::Rejected(rejected) => rejected.code.to_string(),
            Failure::Fault(fault) => format!("{:?}", fault.kind),
        });
    }
    assert_eq!(said, ["first", "Unreachable", "last", "last"]);
}

#[tokio::test]
async fn a_dropped_answer_moves_money_and_says_so() {
    let facilitator = FakeFacilitator::serving("exact", "fake:facilitator");
    let (raw, offer) = payment();
    facilitator.on_settle([Answer::Fault(FaultKind::Timeout), Answer::Dropped, Answer::Pending("tx".to_owned())]);
    let fault = |failure| match failure {
        Failure::Fault(fault) => fault,
        other => panic!("{other:?}"),
    };
    let before = fault(facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await.unwrap_err());
    assert_eq!((before.sent, facilitator.moved()), (Sent::No, 0));
    let after = fault(facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await.unwrap_err());
    assert_eq!((after.sent, facilitator.moved()), (Sent::Maybe, 1));
    let pending = facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await.unwrap();
    assert_eq!(pending, Outcome::Pending { transaction: "tx".to_owned() });
}

#[tokio::test]
async fn every_lie_differs_from_the_truth() {
    let (raw, offer) = payment();
    let receipt = SettleResponse::settled(offer.network.clone(), "tx", Some("alice".to_owned()));
    for lie in Lie::ALL {
        assert_ne!(lie.bend_receipt(receipt.clone()), receipt, "{lie:?}");
        let facilitator = FakeFacilitator::serving("exact", "fake:facilitator");
        facilitator.on_settle([Answer::Lie(lie)]);
        let told = settled(facilitator.settle(&raw, &offer, &Caller::ANONYMOUS).await.unwrap());
        let mut truth = Settled::new("fake-tx-0", "alice");
        match lie {
            Lie::Payer => truth.payer = Some("somebody-else".to_owned()),
            Lie::Amount => truth = truth.amount(Amount::from(1)),
            Lie::Transaction => truth.transaction.clear(),
            _ => {}
        }
        assert_eq!(told, truth, "{lie:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_can_be_late_or_silent() {
    let facilitator = FakeFacilitator::serving("exact", "fake:facilitator");
    let (raw, offer) = payment();
    facilitator.on_verify([Answer::After(Duration::from_secs(5), Box::new(Answer::no("late"))), Answer::Hang]);
    let start = tokio::time::Instant::now();
    assert!(facilitator.verify(&raw, &offer).await.is_err());
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    let silent = tokio::time::timeout(Duration::from_secs(3600), facilitator.verify(&raw, &offer)).await;
    assert!(silent.is_err());
    assert_eq!(facilitator.verifies(), 2, "silent calls are counted too");
}

#[tokio::test]
async fn what_it_can_do_may_change_or_fail() {
    let kind = SupportedKind::new("exact", &fixtures::network("fake:facilitator"), None);
    let facilitator = FakeFacilitator::named("second").kind(kind).shared();
    assert_eq!(facilitator.name(), "second");
    facilitator.fail_supported(Some(FaultKind::Timeout));
    assert!(facilitator.supported().await.is_err());
    facilitator.fail_supported(None);
    assert_eq!(facilitator.supported().await.unwrap().kinds.len(), 1);
    facilitator.set_supported(tollway_core::SupportedResponse::default());
    assert!(facilitator.supported().await.unwrap().kinds.is_empty());
}
