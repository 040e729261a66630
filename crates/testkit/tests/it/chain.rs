//! The fake chain follows its scripts, and its auditor sees what really moved.

use crate::store::{Defect, Store};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tollway_core::erased::FacilitatorDyn;
use tollway_core::{
    Amount, BuildContext, ClaimRow, Failure, Ledger, LedgerHandle, Network, Outcome, PaymentRequirements, Registry,
    Result, Scope, Sent, SettleContext, SupportedKind, matches_offer,
};
use tollway_testkit::{
    FAKE, FakeChain, FakeClock, FakePayload, FakeSigner, Fate, OnSettle, OnVerify, Script, codes, conformance, fixtures,
};

conformance!(
    tollway_testkit::Conformance::of(FAKE)
        .network("fake:conformance", json!(null))
        .address("Alice")
        .shows::<FakeSigner>("fake:*")
        .shows::<FakeChain>("fake:*")
        .shows::<tollway_testkit::FakeClient>("fake:*")
        .shows::<tollway_testkit::FakeTeller>("fake:*")
        .sample({
            let offer = fixtures::offer("fake:conformance");
            let payload = FakePayload::new("alice", "note-a", &offer);
            tollway_testkit::Sample::new(offer, serde_json::to_value(payload).unwrap())
                .signature("/signature")
                .any_case("/from")
                .any_case("/nonce")
                .identity("/nonce", "note-b")
                .identity("/from", "bob")
                .optional("/script")
                .signs()
        })
);

/// A chain, its settling side and a ledger.
struct Stage {
    chain: FakeChain,
    offer: PaymentRequirements,
    side: Arc<dyn FacilitatorDyn>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<FakeClock>,
}

impl Stage {
    async fn new(id: &str) -> Self {
        let registry = Registry::builder().plugin(FAKE).build().expect("one plug-in");
        let id = fixtures::network(id);
        let clock = FakeClock::new();
        let mut cx = BuildContext::new();
        cx.clock = clock.clone();
        let network = registry.network(&id, json!({}), cx.clone()).await.expect("a network");
        let side = registry.facilitator("exact", &id, json!({}), cx.with_network(network)).await.expect("a side");
        let (offer, chain) = (fixtures::offer(id.as_str()), FakeChain::open(id));
        Self { chain, offer, side, ledger: Store::with(Defect::None), clock }
    }

    async fn settle(&self, nonce: &str, script: Script) -> Result<Outcome> {
        let payload = FakePayload::new("alice", nonce, &self.offer).scripted(script);
        let raw = fixtures::fake_payment(&self.offer, &payload);
        let open = self.side.open(&raw, &self.offer)?;
        open.check()?;
        let claim = open.claim().clone();
        let row =
            ClaimRow::new(Scope::Facilitator, claim.clone(), raw.clone(), self.offer.clone(), fixtures::caller(nonce));
        let handle = LedgerHandle::new(self.ledger.clone(), Scope::Facilitator);
        let known = handle.take(&row).await?.ticket();
        let ticket = match known {
            Some(ticket) => ticket,
            // Settled again under the ticket it has, which a facilitator would not do.
            None => handle.find(&claim.key).await?.expect("a row").row.ticket(),
        };
        open.settle(&SettleContext::new(claim, ticket, handle)).await
    }

    async fn verify(&self, nonce: &str, script: Script) -> Result<()> {
        let payload = FakePayload::new("alice", nonce, &self.offer).scripted(script);
        let raw = fixtures::fake_payment(&self.offer, &payload);
        let open = self.side.open(&raw, &self.offer)?;
        open.check()?;
        open.verify().await.map(drop)
    }

    /// What a restarted process does with what it finds in the ledger.
    async fn reconcile(&self) -> Vec<Outcome> {
        let handle = LedgerHandle::new(self.ledger.clone(), Scope::Facilitator);
        let mut outcomes = Vec::new();
        for slot in handle.open(10).await.expect("a ledger") {
            let settler = self.chain.settler().expect("a settler");
            outcomes.extend(settler.reconcile(&slot, &handle).await.expect("a chain").into_iter().map(|(_, end)| end));
        }
        outcomes
    }

    fn moved(&self) -> usize {
        self.chain.auditor().transfers().len()
    }
}

fn sent(failure: Failure) -> Sent {
    match failure {
        Failure::Fault(fault) => fault.sent,
        Failure::Rejected(rejected) => panic!("{rejected}"),
    }
}

fn code(failure: Failure) -> String {
    match failure {
        Failure::Rejected(rejected) => rejected.code.to_string(),
        Failure::Fault(fault) => panic!("{fault}"),
    }
}

#[tokio::test]
async fn a_plain_payment_moves_once_and_is_audited() {
    let stage = Stage::new("fake:plain").await;
    let outcome = stage.settle("n1", Script::well()).await.unwrap();
    assert!(matches!(outcome, Outcome::Settled(settled) if settled.payer.as_deref() == Some("alice")));
    let auditor = stage.chain.auditor();
    let (key, times) = auditor.by_key().pop_first().unwrap();
    assert_eq!((key.as_str(), times), ("fake:plain/fake/alice/n1", 1));
    assert_eq!(auditor.received("payee"), Amount::from(10_000));
    assert_eq!((auditor.settles(&key), auditor.verifies(&key), auditor.sends()), (1, 0, 1));
    auditor.assert_at_most_once();
}

#[tokio::test]
async fn paying_twice_is_seen_and_can_be_refused() {
    let stage = Stage::new("fake:twice").await;
    stage.settle("n1", Script::well()).await.unwrap();
    assert_eq!(code(stage.verify("n1", Script::well()).await.unwrap_err()), codes::SPENT.as_str());
    stage.settle("n1", Script::well()).await.unwrap();
    let auditor = stage.chain.auditor();
    let audit = std::panic::catch_unwind(|| auditor.assert_at_most_once());
    assert!(audit.is_err(), "the auditor must see the second transfer");
    stage.chain.refuse_replays();
    assert_eq!(code(stage.settle("n1", Script::well()).await.unwrap_err()), codes::SPENT.as_str());
}

#[tokio::test]
async fn steps_are_taken_call_by_call() {
    let stage = Stage::new("fake:steps").await;
    let script = Script::settle([OnSettle::Unreachable, OnSettle::Refuse, OnSettle::Go]).and_fate([
        Fate::Included,
        Fate::Included,
        Fate::Reverted,
    ]);
    assert_eq!(sent(stage.settle("n", script.clone()).await.unwrap_err()), Sent::No);
    assert_eq!(code(stage.settle("n", script.clone()).await.unwrap_err()), codes::REFUSED.as_str());
    let reverted = stage.settle("n", script).await.unwrap();
    assert!(matches!(reverted, Outcome::Released(why) if why.code == codes::REVERTED && why.transaction.is_some()));
    assert_eq!(stage.moved(), 0);
    let script = Script::verify([OnVerify::Refuse, OnVerify::Unreachable, OnVerify::Check]);
    assert_eq!(code(stage.verify("v", script.clone()).await.unwrap_err()), codes::REFUSED.as_str());
    assert_eq!(sent(stage.verify("v", script.clone()).await.unwrap_err()), Sent::No);
    stage.verify("v", script).await.unwrap();
}

#[tokio::test]
async fn whatever_is_uncertain_ends_once_somebody_looks() {
    let ends: [(Script, bool); 4] =
        Script::uncertain().map(|(name, script)| (script, name != "the transaction is dropped"));
    for (number, (script, moves)) in ends.into_iter().enumerate() {
        let stage = Stage::new(&format!("fake:uncertain-{number}")).await;
        match stage.settle("n", script).await {
            Ok(Outcome::Pending { .. }) => {}
            Ok(other) => panic!("{number}: {other:?}"),
            Err(failure) => assert_eq!(sent(failure), Sent::Maybe, "{number}"),
        }
        stage.chain.mine();
        let outcomes = stage.reconcile().await;
        match outcomes.as_slice() {
            [Outcome::Settled(_)] => assert!(moves, "{number}"),
            [Outcome::Released(why)] => assert!(!moves && why.code == codes::DROPPED, "{number}"),
            other => panic!("{number}: {other:?}"),
        }
        assert_eq!(stage.moved(), usize::from(moves), "{number}");
        stage.reconcile().await;
        assert_eq!(stage.moved(), usize::from(moves), "{number}: the same bytes again move nothing");
    }
}

#[tokio::test]
async fn a_crash_stops_where_it_says_and_reconciling_finishes() {
    // Signed transactions in the ledger, transfers before and after a restart.
    let expected = [(0, 0, 0), (1, 0, 1), (1, 1, 1)];
    for ((name, script), (signed, before, after)) in Script::crashes().into_iter().zip(expected) {
        let stage = Stage::new(&format!("fake:crash-{signed}-{before}")).await;
        let killed = tokio::time::timeout(Duration::from_millis(50), stage.settle("n", script)).await;
        assert!(killed.is_err(), "{name}: it must not answer");
        assert_eq!(stage.ledger.open(10).await.unwrap().len(), signed, "{name}");
        assert_eq!(stage.moved(), before, "{name}");
        stage.reconcile().await;
        assert_eq!(stage.moved(), after, "{name}");
        stage.chain.auditor().assert_at_most_once();
    }
}

#[tokio::test]
async fn panics_are_panics_and_lies_are_told() {
    let stage = Arc::new(Stage::new("fake:lies").await);
    for step in [OnSettle::PanicBeforeSigned, OnSettle::PanicSent] {
        let stage = stage.clone();
        let nonce = format!("{step:?}");
        let panicked = tokio::spawn(async move { stage.settle(&nonce, Script::settle([step])).await }).await;
        assert!(panicked.unwrap_err().is_panic());
    }
    assert_eq!(stage.moved(), 1);
    let lied = |outcome: Outcome| match outcome {
        Outcome::Settled(settled) => (settled.payer, settled.amount),
        other => panic!("{other:?}"),
    };
    let payer = lied(stage.settle("a", Script::settle([OnSettle::LiePayer])).await.unwrap());
    assert_eq!(payer, (Some("somebody-else".to_owned()), None));
    let amount = lied(stage.settle("b", Script::settle([OnSettle::LieAmount])).await.unwrap());
    assert_eq!(amount, (Some("alice".to_owned()), Some(Amount::from(1))));
    let before = stage.moved();
    lied(stage.settle("c", Script::settle([OnSettle::LieSettled])).await.unwrap());
    assert_eq!(stage.moved(), before, "it said so and moved nothing");
}

#[tokio::test(start_paused = true)]
async fn delays_and_silence() {
    let stage = Stage::new("fake:slow").await;
    let start = tokio::time::Instant::now();
    stage.settle("n", Script::well().delayed(1500)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(1500));
    let silent = stage.verify("m", Script::verify([OnVerify::Hang]));
    assert!(tokio::time::timeout(Duration::from_secs(999), silent).await.is_err());
}

#[tokio::test]
async fn a_drained_wallet_cannot_pay() {
    let stage = Stage::new("fake:drained").await;
    stage.chain.set_funds("Alice", 10_000);
    stage.verify("n", Script::well()).await.unwrap();
    stage.chain.set_funds("alice", 9_999);
    assert_eq!(code(stage.settle("n", Script::well()).await.unwrap_err()), "insufficient_funds");
    stage.chain.set_funds("alice", 15_000);
    stage.settle("n", Script::well()).await.unwrap();
    assert_eq!(code(stage.verify("m", Script::well()).await.unwrap_err()), "insufficient_funds");
}

#[tokio::test]
async fn time_and_signatures_are_checked_locally() {
    let stage = Stage::new("fake:local").await;
    let refused = |payload: FakePayload, offer: &PaymentRequirements| {
        let payment = fixtures::fake_payment(offer, &payload);
        let opened = stage.side.open(&payment, offer).and_then(|open| open.check());
        opened.unwrap_err().code.to_string()
    };
    let genuine = FakePayload::new("alice", "n", &stage.offer);
    let mut forged = genuine.clone();
    forged.from = "bob".to_owned();
    assert_eq!(refused(forged, &stage.offer), codes::INVALID_SIGNATURE.as_str());
    let mut dearer = stage.offer.clone();
    dearer.amount = Amount::from(10_001);
    assert_eq!(refused(genuine.clone(), &dearer), codes::INVALID_SIGNATURE.as_str());
    let mut other_asset = stage.offer.clone();
    other_asset.asset = "unknown".to_owned();
    assert_eq!(refused(genuine.clone(), &other_asset), "invalid_payment_requirements");
    stage.clock.advance(7200);
    assert_eq!(refused(genuine, &stage.offer), codes::EXPIRED.as_str());
}

#[tokio::test]
async fn clients_sign_what_the_chain_or_their_section_says() {
    let registry = Registry::builder().plugin(FAKE).build().unwrap();
    let id = fixtures::network("fake:client");
    let network = registry.network(&id, json!({}), BuildContext::new()).await.unwrap();
    let cx = BuildContext::new().with_network(network).with_signers(vec![FakeSigner::shared("alice")]);
    let (offer, resource) = (fixtures::offer("fake:client"), fixtures::resource("https://a.example/"));
    let client = registry.client("exact", &id, json!({}), cx.clone()).await.unwrap();
    FakeChain::at("fake:client").script(Script::fate([Fate::Waiting]));
    let signed = client.sign(&offer, &resource).await.unwrap();
    assert_eq!(signed.payload["script"], json!({ "fate": ["waiting"] }));
    let section = json!({ "script": { "settle": ["loseAnswer"] } });
    let scripted = registry.client("exact", &id, section, cx).await.unwrap();
    let signed = scripted.sign(&offer, &resource).await.unwrap();
    assert_eq!(signed.payload["script"], json!({ "settle": ["loseAnswer"] }));
    let misspelt = json!({ "script": { "setle": [] } });
    assert!(registry.client("exact", &id, misspelt, BuildContext::new()).await.is_err());
}

#[tokio::test]
async fn servers_copy_the_teller_and_refresh_their_hints() {
    let registry = Registry::builder().plugin(FAKE).build().unwrap();
    let id = fixtures::network("fake:server");
    let network = registry.network(&id, json!({}), BuildContext::new()).await.unwrap();
    let cx = BuildContext::new().with_network(network);
    let server = registry.server("exact", &id, json!({ "hints": true }), cx).await.unwrap();
    let extra = json!({ "teller": "t1" }).as_object().cloned();
    let made = server.offer(fixtures::offer("fake:server"), &SupportedKind::new("exact", &id, extra)).unwrap();
    assert_eq!(made.extra_member("teller"), Some(&json!("t1")));
    let (mut a, mut b) = (made.clone(), made);
    server.refresh(&mut a);
    server.refresh(&mut b);
    assert_ne!(a, b, "hints are fresh");
    assert!(matches_offer(&a, &b, server.dynamic_extra()) && !matches_offer(&a, &b, &[]));
}
