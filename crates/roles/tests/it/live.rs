//! Keeping up with facilitators that come, go, and change their minds.

use crate::guards::MANY;
use crate::support::*;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tollway_core::{
    Caller, Facilitator, FaultKind, Object, Outcome, PaymentPayload, PaymentRequirements, Registry, Result,
    SupportedKind, SupportedResponse, Verified,
};
use tollway_roles::{Admission, Refusal, ResourceServer, Route, Way};
use tollway_testkit::{Answer, FAKE, FakeClock, FakeFacilitator, FakeRequest, fixtures};

/// Longer than an answer of a facilitator is taken for granted.
const REFRESH: Duration = Duration::from_secs(601);
/// Longer than the pause before a silent facilitator is asked again.
const PAUSE: Duration = Duration::from_secs(31);

/// What the fake scheme does on a network, with a member that offers repeat.
fn kind(network: &str, teller: &str) -> SupportedKind {
    let extra = Object::from_iter([("teller".to_owned(), teller.into())]);
    SupportedKind::new("exact", &fixtures::network(network), Some(extra))
}

fn only(kinds: impl IntoIterator<Item = SupportedKind>) -> SupportedResponse {
    let mut supported = SupportedResponse::default();
    supported.kinds.extend(kinds);
    supported
}

fn named_other(scheme: &str, network: &str) -> Arc<FakeFacilitator> {
    FakeFacilitator::named("other").kind(SupportedKind::new(scheme, &fixtures::network(network), None)).shared()
}

/// Lets time pass, and a request come by that notices.
async fn later(server: &ResourceServer, time: Duration) {
    tokio::time::advance(time).await;
    server.admit(&FakeRequest::get("/report")).await;
    settle_down().await;
}

#[tokio::test(start_paused = true)]
async fn a_route_whose_facilitator_never_answered_is_unavailable_until_it_does() {
    let (silent, other) = ("fake:live-silent", "fake:live-other");
    let facilitator = FakeFacilitator::serving("exact", silent);
    facilitator.fail_supported(Some(FaultKind::Unreachable));
    let server = builder().facilitator(facilitator.clone()).facilitator(named_other("exact", other));
    let server = server.route(route(silent)).route(Route::new("GET /other").accepts(way(other))).build().await.unwrap();
    assert!(matches!(server.admit(&FakeRequest::get("/report")).await, Admission::Refused(Refusal::Unavailable(_))));
    assert_eq!(first_offer(&server, "/other").await.network.as_str(), other);
    facilitator.fail_supported(None);
    later(&server, PAUSE).await;
    assert_eq!(first_offer(&server, "/report").await.network.as_str(), silent);
}

/// A scheme whose offers are the same for every challenge: the challenge is kept, if there is anything in it.
#[tokio::test(start_paused = true)]
async fn a_kept_challenge_makes_an_offer() {
    let (silent, other) = ("fake:live-kept", "fake:live-kept-other");
    let facilitator = FakeFacilitator::serving("plain", silent);
    facilitator.fail_supported(Some(FaultKind::Unreachable));
    let registry = Registry::builder().plugin(FAKE).plugin(MANY).build().unwrap();
    let server = ResourceServer::builder(ORIGIN).registry(registry).facilitator(facilitator.clone());
    let server = server.facilitator(named_other("plain", other));
    let way = |network| Way::new("plain", network, PRICE, "payee");
    let both = Route::new("GET /both").accepts(way(silent)).accepts(way(other));
    let server = server.route(Route::new("GET /report").accepts(way(silent))).route(both).build().await.unwrap();
    assert!(matches!(server.admit(&FakeRequest::get("/report")).await, Admission::Refused(Refusal::Unavailable(_))));
    assert_eq!(challenge(&server, "/both").await.accepts.len(), 1, "what can be paid is offered");
    facilitator.fail_supported(None);
    later(&server, PAUSE).await;
    assert_eq!(challenge(&server, "/report").await.accepts.len(), 1);
    assert_eq!(challenge(&server, "/both").await.accepts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_facilitator_that_falls_silent_keeps_its_routes_open() {
    let (network, other) = ("fake:live-falls", "fake:live-falls-other");
    let facilitator = FakeFacilitator::serving("exact", network);
    let server = builder().facilitator(facilitator.clone()).facilitator(named_other("exact", other));
    let server = server.route(route(network)).build().await.unwrap();
    facilitator.fail_supported(Some(FaultKind::Timeout));
    later(&server, REFRESH).await;
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    released(admitted(server.admit(&request).await).finish(true).await);
    later(&server, REFRESH).await;
    first_offer(&server, "/report").await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_facilitator_is_not_hammered() {
    let network = "fake:live-hammer";
    let facilitator = FakeFacilitator::serving("exact", network);
    let server = builder().facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
    facilitator.fail_supported(Some(FaultKind::Timeout));
    tokio::time::advance(REFRESH).await;
    let before = facilitator.supporteds();
    for _ in 0..200 {
        challenge(&server, "/report").await;
        settle_down().await;
    }
    let asked = facilitator.supporteds() - before;
    assert_eq!(asked, 1, "by 200 requests in 10 seconds");
    later(&server, PAUSE).await;
    assert_eq!(facilitator.supporteds() - before, 2, "and again after a pause");
}

/// A facilitator that does as told, unless it panics or hangs.
struct Moody {
    calm: Arc<FakeFacilitator>,
    panics: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

#[async_trait]
impl Facilitator for Moody {
    fn name(&self) -> &str {
        self.calm.name()
    }

    async fn supported(&self) -> Result<SupportedResponse> {
        assert!(!self.panics.load(Ordering::SeqCst), "scripted panic");
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.calm.supported().await
    }

    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified> {
        self.calm.verify(raw, offer).await
    }

    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome> {
        self.calm.settle(raw, offer, caller).await
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_waits_for_a_refresh_and_a_panic_is_not_the_last() {
    let network = "fake:live-moody";
    let calm = FakeFacilitator::named("moody").kind(kind(network, "one")).shared();
    let (panics, hangs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let moody = Moody { calm: calm.clone(), panics: panics.clone(), hangs: hangs.clone() };
    let server = builder().facilitator(moody).route(route(network)).build().await.unwrap();
    panics.store(true, Ordering::SeqCst);
    later(&server, REFRESH).await;
    panics.store(false, Ordering::SeqCst);
    hangs.store(true, Ordering::SeqCst);
    later(&server, PAUSE).await;
    let start = tokio::time::Instant::now();
    first_offer(&server, "/report").await;
    assert!(start.elapsed().is_zero(), "answered from what was said before");
    hangs.store(false, Ordering::SeqCst);
    calm.set_supported(only([kind(network, "two")]));
    // Until the attempt that hangs is given up, and the pause after it.
    later(&server, PAUSE).await;
    later(&server, PAUSE).await;
    assert_eq!(first_offer(&server, "/report").await.extra_member("teller").unwrap(), "two");
}

#[tokio::test(start_paused = true)]
async fn no_request_waits_for_a_first_answer_either() {
    let network = "fake:live-first";
    let (panics, hangs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let moody = Moody { calm: FakeFacilitator::serving("exact", network), panics, hangs: hangs.clone() };
    let server = builder().facilitator(moody).route(route(network)).build().await.unwrap();
    for _ in 0..3 {
        tokio::time::advance(PAUSE).await;
        let (start, request) = (tokio::time::Instant::now(), FakeRequest::get("/report"));
        let answers = tokio::join!(server.admit(&request), server.admit(&request));
        assert!(matches!(answers.1, Admission::Refused(Refusal::Unavailable(_))), "{answers:?}");
        assert!(start.elapsed().is_zero(), "{:?}", start.elapsed());
    }
    hangs.store(false, Ordering::SeqCst);
    tokio::time::sleep(PAUSE).await;
    first_offer(&server, "/report").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_nobody_asks_anything_is_open_once_its_facilitator_is() {
    let network = "fake:live-idle";
    let facilitator = FakeFacilitator::serving("exact", network);
    facilitator.fail_supported(Some(FaultKind::Unreachable));
    let server = builder().facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(facilitator.supporteds(), 4, "at the start, and after 1, 3 and 7 seconds");
    facilitator.fail_supported(None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    first_offer(&server, "/report").await;
    let asked = facilitator.supporteds();
    drop(server);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(facilitator.supporteds(), asked, "and nobody goes on asking");
}

/// What was a network fault at the start may turn out to be a mistake.
#[tokio::test(start_paused = true)]
async fn a_first_answer_no_route_can_work_with_is_an_error_of_the_server() {
    let network = "fake:live-first-useless";
    let facilitator = FakeFacilitator::named("f").shared();
    facilitator.fail_supported(Some(FaultKind::Unreachable));
    let server = builder().facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
    facilitator.fail_supported(None);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let admission = server.admit(&FakeRequest::get("/report")).await;
    assert!(matches!(admission, Admission::Refused(Refusal::Internal)), "{admission:?}");
    facilitator.set_supported(only([kind(network, "one")]));
    tokio::time::sleep(2 * PAUSE).await;
    first_offer(&server, "/report").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_no_route_can_work_with_changes_nothing() {
    let network = "fake:live-useless";
    let facilitator = FakeFacilitator::named("f").kind(kind(network, "one")).shared();
    let server = builder().facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
    let asked = facilitator.supporteds();
    facilitator.set_supported(only([]));
    later(&server, REFRESH).await;
    for _ in 0..20 {
        assert_eq!(first_offer(&server, "/report").await.extra_member("teller").unwrap(), "one");
        settle_down().await;
    }
    assert_eq!(facilitator.supporteds(), asked + 1);
    facilitator.set_supported(only([kind(network, "two")]));
    later(&server, PAUSE).await;
    assert_eq!(first_offer(&server, "/report").await.extra_member("teller").unwrap(), "two");
}

#[tokio::test(start_paused = true)]
async fn a_pending_payment_is_asked_of_who_has_it() {
    let network = "fake:live-pending";
    let first = FakeFacilitator::named("first").kind(kind(network, "a")).shared();
    let second = FakeFacilitator::named("second").kind(kind(network, "a")).shared();
    first.on_settle([Answer::Pending("0xabc".into())]);
    let server = builder().facilitator(first.clone()).facilitator(second.clone()).route(route(network));
    let server = server.build().await.unwrap();
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    let _ = admitted(server.admit(&request).await).finish(true).await;
    for no_more in [true, false] {
        first.set_supported(only((!no_more).then(|| kind(network, "a"))));
        first.fail_supported((!no_more).then_some(FaultKind::Timeout));
        later(&server, REFRESH).await;
        assert_eq!(why(server.admit(&request).await), "failed settlement_pending");
    }
    assert_eq!(second.settles(), 0, "the money may be on its way by the first");
}

#[tokio::test(start_paused = true)]
async fn an_offer_stays_payable_for_as_long_as_it_said_after_a_facilitator_changed() {
    let (network, clock) = ("fake:live-former", FakeClock::new());
    let facilitator = FakeFacilitator::named("f").kind(kind(network, "one")).shared();
    let priced = way(network).pay_to_with(|_| async { Ok::<_, String>("payee".to_owned()) });
    let server = builder().clock(clock.clone()).facilitator(facilitator.clone()).route(route(network));
    let server = server.route(Route::new("GET /priced").accepts(priced)).build().await.unwrap();
    let mut offers = Vec::new();
    for target in ["/report", "/priced"] {
        offers.push((target, first_offer(&server, target).await));
    }
    for (round, teller) in ["two", "three"].into_iter().enumerate() {
        facilitator.set_supported(only([kind(network, teller)]));
        later(&server, REFRESH).await;
        for (target, offer) in &offers {
            assert_eq!(first_offer(&server, target).await.extra_member("teller").unwrap(), teller);
            let request = paid(target, &pay(offer, &format!("{round}-{target}").replace('/', "")));
            released(admitted(server.admit(&request).await).finish(true).await);
        }
    }
    clock.advance(301);
    for (target, offer) in &offers {
        let late = server.admit(&paid(target, &pay(offer, "late"))).await;
        assert_eq!(why(late), "No matching payment requirements");
    }
}
