//! The resource server's promises.

use crate::support::*;
use async_trait::async_trait;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tollway_core::{FaultKind, Paid, PaymentPayload, Price, Request, Settled, SupportedKind};
use tollway_roles::server::{Canceled, Finished, Protected, ServerHook};
use tollway_roles::{Admission, MemoryLedger, Refusal, ResourceServer, Route, SetupError, Way};
use tollway_testkit::{Answer, FakeChain, FakeFacilitator, FakePayload, FakeRequest, Lie, OnSettle, Script, fixtures};

async fn served(network: &str) -> (ResourceServer, Arc<FakeFacilitator>) {
    let facilitator = FakeFacilitator::serving("exact", network);
    let server = builder().facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
    (server, facilitator)
}

#[tokio::test]
async fn one_request_is_paid_and_its_money_moves_once() {
    let network = "fake:server-paid";
    let chain = FakeChain::at(network);
    let server = builder().facilitator(local(network).await).route(route(network)).build().await.unwrap();
    assert!(matches!(server.admit(&FakeRequest::get("/other")).await, Admission::Free));

    let required = challenge(&server, "/report").await;
    assert_eq!(required.resource.url, "https://shop.test/report");
    assert_eq!(required.accepts[0].amount.to_string(), "10000");
    let payment = pay(&required.accepts[0], "n1");
    let admission = admitted(server.admit(&paid("/report", &payment)).await);
    assert_eq!(admission.payer().to_string(), "fake:server-paid:alice");
    assert!(admission.receipt().is_none(), "authorization: settled after the handler");
    let receipt = released(admission.finish(true).await);
    assert!(receipt.success && !receipt.transaction.is_empty());
    assert_eq!(chain.auditor().transfers().len(), 1);

    let again = server.admit(&paid("/report", &payment)).await;
    assert_eq!(why(again), "failed duplicate_settlement");
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_payment_many_parallel_requests_over_two_servers_on_one_store() {
    let network = "fake:server-parallel";
    let chain = FakeChain::at(network);
    let ledger = Arc::new(MemoryLedger::default());
    let facilitator = local(network).await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        let server = builder().facilitator(facilitator.clone()).ledger(ledger.clone()).route(route(network));
        servers.push(server.build().await.unwrap());
    }
    let payment = Arc::new(pay(&first_offer(&servers[0], "/report").await, "n1"));
    let (admitted_count, released_count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..1000)
        .map(|i| {
            let (server, payment) = (servers[i % 2].clone(), payment.clone());
            let (admitted_count, released_count) = (admitted_count.clone(), released_count.clone());
            tokio::spawn(async move {
                match server.admit(&paid("/report", &payment)).await {
                    Admission::Admitted(admitted) => {
                        admitted_count.fetch_add(1, Ordering::SeqCst);
                        released(admitted.finish(true).await);
                        released_count.fetch_add(1, Ordering::SeqCst);
                    }
                    refused => assert_eq!(why(refused), "failed duplicate_settlement"),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((admitted_count.load(Ordering::SeqCst), released_count.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn pay_cheap_present_at_dear() {
    let network = "fake:server-cheap";
    let facilitator = FakeFacilitator::serving("exact", network);
    let cheap = Route::new("GET /cheap").accepts(Way::exact(network, "$0.01", "payee"));
    let dear = Route::new("GET /dear").accepts(Way::exact(network, "$1", "payee"));
    let server = builder().facilitator(facilitator.clone()).route(cheap).route(dear).build().await.unwrap();
    let payment = pay(&first_offer(&server, "/cheap").await, "n1");
    let refused = server.admit(&paid("/dear", &payment)).await;
    assert_eq!(why(refused), "No matching payment requirements");
    assert_eq!(facilitator.verifies() + facilitator.settles(), 0);
}

#[tokio::test]
async fn a_refused_payment_may_be_presented_again() {
    let (server, facilitator) = served("fake:server-again").await;
    facilitator.on_verify([Answer::no("insufficient_funds"), Answer::Yes]);
    let payment = pay(&first_offer(&server, "/report").await, "n1");
    assert_eq!(why(server.admit(&paid("/report", &payment)).await), "insufficient_funds");
    released(admitted(server.admit(&paid("/report", &payment)).await).finish(true).await);
    assert_eq!(facilitator.moved(), 1);
}

#[tokio::test]
async fn a_handler_that_fails_costs_nothing() {
    let (server, facilitator) = served("fake:server-handler").await;
    let payment = pay(&first_offer(&server, "/report").await, "n1");
    let finished = admitted(server.admit(&paid("/report", &payment)).await).finish(false).await;
    assert!(matches!(finished, Finished::Release { receipt: None, .. }));
    assert_eq!(facilitator.settles(), 0);
    released(admitted(server.admit(&paid("/report", &payment)).await).finish(true).await);
}

#[tokio::test]
async fn dropping_an_admission_gives_the_claim_back() {
    let (server, _) = served("fake:server-drop").await;
    let payment = pay(&first_offer(&server, "/report").await, "n1");
    drop(admitted(server.admit(&paid("/report", &payment)).await));
    settle_down().await;
    released(admitted(server.admit(&paid("/report", &payment)).await).finish(true).await);
}

#[tokio::test(start_paused = true)]
async fn the_client_leaves_at_every_await() {
    leave_at_every_await("server-leaves", || Arc::new(MemoryLedger::default())).await;
}

#[tokio::test]
async fn an_unknown_outcome_is_pending_and_no_new_challenge() {
    let (server, facilitator) = served("fake:server-pending").await;
    facilitator.on_settle([Answer::Pending("0xabc".into())]);
    let payment = pay(&first_offer(&server, "/report").await, "n1");
    let request = paid("/report", &payment);
    match admitted(server.admit(&request).await).finish(true).await {
        Finished::Refused(Refusal::Failed(receipt)) => {
            assert_eq!(receipt.error_reason.as_ref().unwrap().as_str(), "settlement_pending");
            assert_eq!((receipt.success, receipt.transaction.as_str()), (false, "0xabc"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(facilitator.settles(), 2, "asked once more with the identical payment, and no more");

    // The same payment later: settled by now, and answered without a new one.
    facilitator.on_settle([Answer::Yes]);
    let admission = admitted(server.admit(&request).await);
    assert!(admission.receipt().is_some());
    assert!(released(admission.finish(true).await).success);
    assert_eq!(facilitator.verifies(), 1, "a payment that was sent is not verified again");
}

#[tokio::test]
async fn what_was_sent_is_not_unsent_by_a_refusal() {
    let (server, facilitator) = served("fake:server-unsent").await;
    facilitator.on_settle([Answer::Pending("0xabc".into()), Answer::no("nonce_used")]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    let finished = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(&finished, Finished::Refused(refusal) if refusal_text(refusal) == "failed settlement_pending"));
    assert_eq!(why(server.admit(&request).await), "failed settlement_pending");
}

#[tokio::test]
async fn a_dropped_answer_is_asked_for_again_as_the_same_caller() {
    let network = "fake:server-dropped";
    let chain = FakeChain::at(network);
    let facilitator = local(network).await;
    let server = builder().facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
    let offer = first_offer(&server, "/report").await;
    let script = Script { settle: vec![OnSettle::LoseAnswer], ..Script::default() };
    let payload = FakePayload::new("alice", "n1", &offer).scripted(script);
    let request = paid("/report", &fixtures::fake_payment(&offer, &payload));
    let first = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(first, Finished::Refused(_)), "nobody knows yet: {first:?}");
    chain.mine();
    facilitator.reconcile().await.unwrap();
    let receipt = released(admitted(server.admit(&request).await).finish(true).await);
    assert!(receipt.success);
    assert_eq!(chain.auditor().transfers().len(), 1);
}

#[tokio::test]
async fn a_lying_facilitator_is_not_believed() {
    for (i, lie) in [Lie::Payer, Lie::Amount, Lie::Transaction].into_iter().enumerate() {
        let (server, facilitator) = served(&format!("fake:server-lie-{i}")).await;
        facilitator.on_settle([Answer::Lie(lie)]);
        let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
        let finished = admitted(server.admit(&request).await).finish(true).await;
        assert!(matches!(finished, Finished::Refused(Refusal::Unavailable(_))), "{lie:?}: {finished:?}");
    }
}

#[tokio::test]
async fn a_facilitator_that_cannot_decide_is_no_refusal() {
    let (server, facilitator) = served("fake:server-fault").await;
    facilitator.on_verify([Answer::Fault(FaultKind::Unreachable), Answer::Yes]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    assert!(matches!(server.admit(&request).await, Admission::Refused(Refusal::Unavailable(_))));
    released(admitted(server.admit(&request).await).finish(true).await);
}

#[tokio::test(start_paused = true)]
async fn a_facilitator_that_hangs_is_given_up_on() {
    let network = "fake:server-hang";
    let facilitator = FakeFacilitator::serving("exact", network);
    let slow = builder().verify_timeout(Duration::from_secs(5)).settle_timeout(Duration::from_secs(5));
    let server = slow.facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
    let offer = first_offer(&server, "/report").await;
    facilitator.on_verify([Answer::Hang, Answer::Yes]);
    facilitator.on_settle([Answer::Hang]);
    let request = paid("/report", &pay(&offer, "n1"));
    assert!(matches!(server.admit(&request).await, Admission::Refused(Refusal::Unavailable(_))));
    let finished = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(finished, Finished::Refused(Refusal::Unavailable(_))), "{finished:?}");
}

#[tokio::test]
async fn upfront_settles_before_the_handler_and_does_not_verify() {
    let network = "fake:server-upfront";
    let facilitator = FakeFacilitator::serving("exact", network);
    let route = Route::new("GET /report").accepts(way(network).upfront());
    let server = builder().facilitator(facilitator.clone()).route(route).build().await.unwrap();
    let offer = first_offer(&server, "/report").await;
    assert_eq!(offer.extra_member("paymentFlow").unwrap(), "upfront");
    let request = paid("/report", &pay(&offer, "n1"));
    let admission = admitted(server.admit(&request).await);
    assert!(admission.receipt().is_some());
    assert_eq!((facilitator.verifies(), facilitator.settles()), (0, 1));

    // The handler fails: the payer has a receipt and may come back for what was paid.
    let failed = admission.finish(false).await;
    assert!(matches!(failed, Finished::Release { receipt: Some(_), .. }));
    settle_down().await;
    let admission = admitted(server.admit(&request).await);
    released(admission.finish(true).await);
    assert_eq!(facilitator.settles(), 1);
    assert_eq!(why(server.admit(&request).await), "failed duplicate_settlement");
}

#[tokio::test]
async fn price_and_recipient_follow_the_request() {
    let network = "fake:server-dynamic";
    let facilitator = FakeFacilitator::serving("exact", network);
    let way = way(network)
        .price_with(|request: Arc<dyn Request>| async move {
            let units: u32 = request.argument("units").map_or(Ok(1), |units| units.parse()).map_err(|_| "units")?;
            format!("$0.00{units}").parse::<Price>().map_err(|_| "price")
        })
        .pay_to_with(|request: Arc<dyn Request>| async move {
            Ok::<_, &str>(request.argument("to").map_or("payee".to_owned(), |to| to.into_owned()))
        });
    let server =
        builder().facilitator(facilitator).route(Route::new("GET /report").accepts(way)).build().await.unwrap();
    let offer = first_offer(&server, "/report?units=3&to=bob").await;
    assert_eq!((offer.amount.to_string().as_str(), offer.pay_to.as_str()), ("3000", "bob"));
    let payment = pay(&offer, "n1");
    // A payment for three units does not buy four, and not for another recipient.
    for other in ["/report?units=4&to=bob", "/report?units=3&to=eve"] {
        assert_eq!(why(server.admit(&paid(other, &payment)).await), "No matching payment requirements");
    }
    released(admitted(server.admit(&paid("/report?units=3&to=bob", &payment)).await).finish(true).await);
    let broken = server.admit(&FakeRequest::get("/report?units=x")).await;
    assert!(matches!(broken, Admission::Refused(Refusal::Internal)));
}

#[tokio::test]
async fn every_offer_the_route_can_make_is_matched_and_settled_by_who_made_it() {
    let network = "fake:server-two";
    let id = fixtures::network(network);
    let kind = |fee: &str| {
        SupportedKind::new("exact", &id, Some(serde_json::from_value(serde_json::json!({"fee": fee})).unwrap()))
    };
    let first = FakeFacilitator::named("first").kind(kind("a")).shared();
    let second = FakeFacilitator::named("second").kind(kind("a")).shared();
    let server =
        builder().facilitator(first.clone()).facilitator(second.clone()).route(route(network)).build().await.unwrap();
    let offer = first_offer(&server, "/report").await;
    released(admitted(server.admit(&paid("/report", &pay(&offer, "n1"))).await).finish(true).await);
    assert_eq!((first.moved(), second.moved()), (1, 0), "the first configured is used");
}

#[tokio::test]
async fn a_route_that_cannot_work_is_an_error_at_start() {
    let network = "fake:server-start";
    let facilitator = || FakeFacilitator::serving("exact", network);
    let build = |route: Route| builder().facilitator(facilitator()).route(route).build();
    let code = |result: Result<ResourceServer, SetupError>| match result {
        Err(SetupError::Route { code, why, .. }) => (code, why),
        other => panic!("{other:?}"),
    };
    let (missing, why) = code(build(Route::new("/a").accepts(Way::new("upto", network, "$1", "payee"))).await);
    assert_eq!(missing, Some("missing_scheme"));
    assert!(why.contains("`exact` on fake:*"), "{why}");
    let (missing, why) = code(build(Route::new("/a").accepts(Way::exact("fake:elsewhere", "$1", "payee"))).await);
    assert_eq!(missing, Some("missing_facilitator"));
    assert!(why.contains("`fake` settles exact on fake:server-start"), "{why}");
    let (_, why) = code(build(Route::new("/a").accepts(Way::exact(network, "one dollar", "payee"))).await);
    assert!(why.contains("one dollar"), "{why}");
    let (_, why) = code(build(Route::new("/a").accepts(Way::exact(network, "1 EURC", "payee"))).await);
    assert!(why.contains("EURC") && why.contains("FUSD"), "{why}");
    let (_, why) = code(build(Route::new("/a").accepts(Way::exact(network, "$1", "no address!"))).await);
    assert!(why.contains("payTo"), "{why}");
    let (_, why) = code(build(Route::new("a b c").accepts(way(network))).await);
    assert!(why.contains("GET /report"), "{why}");
    let (_, why) = code(build(Route::new("/a").accepts(way(network).extra("paymentFlow", "upfront"))).await);
    assert!(why.contains("belongs to the engine"), "{why}");
    let (_, why) = code(build(Route::new("/a").accepts(way(network)).extension("session", true.into())).await);
    assert!(why.contains("`session`"), "{why}");
    assert!(ResourceServer::builder("shop.test").registry(registry()).build().await.is_err(), "an origin has a scheme");
    assert!(ResourceServer::builder("https://shop.test/x").registry(registry()).build().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn facilitators_that_are_down_at_start_are_asked_again() {
    let network = "fake:server-late";
    let facilitator = FakeFacilitator::serving("exact", network);
    facilitator.fail_supported(Some(FaultKind::Unreachable));
    let server = builder().facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
    assert!(matches!(server.admit(&FakeRequest::get("/report")).await, Admission::Refused(Refusal::Unavailable(_))));
    facilitator.fail_supported(None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(first_offer(&server, "/report").await.scheme, "exact");
    let asked = facilitator.supporteds();
    challenge(&server, "/report").await;
    assert_eq!(facilitator.supporteds(), asked, "what they said is kept");
}

#[tokio::test]
async fn the_same_unpaid_request_gets_the_same_challenge() {
    let (server, _) = served("fake:server-kept").await;
    // The fake scheme has a hint per challenge, so its challenges are made anew; their content is the same but for it.
    let (a, b) = (challenge(&server, "/report").await, challenge(&server, "/REPORT/").await);
    assert_eq!(a.accepts[0].pay_to, b.accepts[0].pay_to);
    assert_eq!(b.resource.url, "https://shop.test/REPORT/");
}

#[derive(Default)]
struct Watch {
    seen: std::sync::Mutex<Vec<String>>,
}

impl Watch {
    fn note(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().push(what.into());
    }
}

#[async_trait]
impl ServerHook for Watch {
    async fn protected(&self, request: &dyn Request, pattern: &str) -> Protected {
        self.note(format!("protected {pattern}"));
        match request.argument("as").as_deref() {
            Some("friend") => Protected::Grant,
            Some("foe") => Protected::Abort("no foes".to_owned()),
            _ => Protected::Continue,
        }
    }

    async fn settled(&self, paid: &Paid<'_>, settled: &Settled) {
        self.note(format!("settled {} {}", paid.payer, settled.transaction));
    }

    async fn canceled(&self, _: &Paid<'_>, why: Canceled) {
        self.note(format!("canceled {why:?}"));
    }
}

#[tokio::test]
async fn hooks_see_what_happens_and_may_step_in() {
    let network = "fake:server-hooks";
    let (watch, facilitator) = (Arc::new(Watch::default()), FakeFacilitator::serving("exact", network));
    let server = builder().facilitator(facilitator).hook(watch.clone()).route(route(network)).build().await.unwrap();
    match server.admit(&FakeRequest::get("/report?as=friend")).await {
        Admission::Granted(granted) => assert!(granted.finished(true).await.is_empty()),
        other => panic!("{other:?}"),
    }
    let refused = server.admit(&FakeRequest::get("/report?as=foe")).await;
    assert!(matches!(refused, Admission::Refused(Refusal::Forbidden(why)) if why == "no foes"));
    let offer = first_offer(&server, "/report").await;
    let pay = |nonce: &str| -> PaymentPayload { pay(&offer, nonce) };
    released(admitted(server.admit(&paid("/report", &pay("n1"))).await).finish(true).await);
    admitted(server.admit(&paid("/report", &pay("n2"))).await).finish(false).await;
    drop(admitted(server.admit(&paid("/report", &pay("n3"))).await));
    settle_down().await;
    let seen = watch.seen.lock().unwrap().clone();
    let settled = "settled fake:server-hooks:alice fake-tx-0";
    for expected in ["protected GET /report", settled, "canceled HandlerFailed", "canceled Dropped"] {
        assert!(seen.iter().any(|line| line == expected), "{expected}: {seen:?}");
    }
}

#[tokio::test]
async fn memory_follows_the_rate_of_payments_not_their_number() {
    let clock = tollway_testkit::FakeClock::new();
    let network = "fake:server-memory";
    let facilitator = FakeFacilitator::serving("exact", network);
    let ledger = Arc::new(MemoryLedger::new(clock.clone()));
    let server = ResourceServer::builder(ORIGIN).registry(registry()).clock(clock.clone());
    let server = server.facilitator(facilitator).ledger(ledger.clone()).route(route(network)).build().await.unwrap();
    let offer = first_offer(&server, "/report").await;
    let mut sizes = HashSet::new();
    for round in 0..20u64 {
        for i in 0..50 {
            let dead = tollway_testkit::FakeClock::START + round * 2000 + 60;
            let payload = FakePayload::valid_until("alice", &format!("n{round}-{i}"), &offer, dead);
            let request = paid("/report", &fixtures::fake_payment(&offer, &payload));
            released(admitted(server.admit(&request).await).finish(true).await);
        }
        clock.advance(2000);
        sizes.insert(ledger.len());
    }
    assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
}
