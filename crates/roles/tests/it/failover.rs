//! Several facilitators: a verdict may come from any, a settlement stays where it is.

use crate::support::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollway_core::{
    CallEvent, Candidate, FacilitatorCall, FacilitatorSelector, FaultKind, Object, SupportedKind, SupportedResponse,
};
use tollway_roles::server::Finished;
use tollway_roles::{Admission, Refusal, ResourceServer, Route};
use tollway_testkit::{Answer, FakeFacilitator, FakeRequest, Lie, fixtures};

fn plain(name: &str, network: &str) -> Arc<FakeFacilitator> {
    FakeFacilitator::named(name).kind(SupportedKind::new("exact", &fixtures::network(network), None)).shared()
}

/// A facilitator whose offers name `teller`, which is its signer.
fn bound(name: &str, network: &str, teller: &str) -> Arc<FakeFacilitator> {
    let extra = Object::from_iter([("teller".to_owned(), teller.into())]);
    let mut supported = SupportedResponse::default();
    supported.kinds.push(SupportedKind::new("exact", &fixtures::network(network), Some(extra)));
    supported.signers.insert("fake:*".to_owned(), vec![teller.to_uppercase()]);
    let facilitator = FakeFacilitator::named(name).shared();
    facilitator.set_supported(supported);
    facilitator
}

async fn shop(network: &str, facilitators: &[Arc<FakeFacilitator>]) -> ResourceServer {
    let builder = facilitators.iter().fold(builder(), |builder, facilitator| builder.facilitator(facilitator.clone()));
    builder.route(route(network)).build().await.unwrap()
}

/// Everything that can go wrong with a verdict without its being one.
fn no_verdicts() -> [Answer; 5] {
    [
        Answer::Fault(FaultKind::Unreachable),
        Answer::Fault(FaultKind::Timeout),
        Answer::Fault(FaultKind::Invalid),
        Answer::Fault(FaultKind::Overloaded),
        Answer::Dropped,
    ]
}

#[tokio::test]
async fn a_verdict_may_come_from_another_who_then_settles() {
    let network = "fake:failover-verdict";
    let (first, second) = (plain("first", network), plain("second", network));
    let server = shop(network, &[first.clone(), second.clone()]).await;
    for (number, answer) in no_verdicts().into_iter().enumerate() {
        first.on_verify([answer]);
        let request = paid("/report", &pay(&first_offer(&server, "/report").await, &format!("n{number}")));
        released(admitted(server.admit(&request).await).finish(true).await);
        assert_eq!(why(server.admit(&request).await), "failed duplicate_settlement");
    }
    assert_eq!((first.settles(), second.settles(), second.moved()), (0, 5, 5));
}

#[tokio::test]
async fn a_refusal_is_a_verdict() {
    let network = "fake:failover-refusal";
    let (first, second) = (plain("first", network), plain("second", network));
    let server = shop(network, &[first.clone(), second.clone()]).await;
    first.on_verify([Answer::no("insufficient_funds")]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    assert_eq!(why(server.admit(&request).await), "insufficient_funds");
    assert_eq!(second.verifies(), 0);
}

#[tokio::test]
async fn when_nobody_gives_a_verdict_the_payment_may_be_presented_again() {
    let network = "fake:failover-nobody";
    let both = [plain("first", network), plain("second", network)];
    let server = shop(network, &both).await;
    both.iter().for_each(|facilitator| facilitator.on_verify([Answer::Fault(FaultKind::Timeout), Answer::Yes]));
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    assert!(why(server.admit(&request).await).contains("Unavailable"));
    released(admitted(server.admit(&request).await).finish(true).await);
}

/// Hangs on the first, and does not wait for it.
#[derive(Default)]
struct Hasty(Mutex<Vec<(usize, FacilitatorCall, String)>>);

impl FacilitatorSelector for Hasty {
    fn rank(&self, _: &mut [Candidate<'_>]) {}

    fn patience(&self, _: usize) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }

    fn observe(&self, position: usize, call: FacilitatorCall, event: CallEvent<'_>) {
        let event = match event {
            CallEvent::Asked => "asked".to_owned(),
            CallEvent::Answered(took) => format!("answered in {took:?}"),
            CallEvent::Failed(why) => format!("failed: {:?}", why.kind),
            CallEvent::Late => "late".to_owned(),
            CallEvent::Dropped => "dropped".to_owned(),
            _ => "something else".to_owned(),
        };
        self.0.lock().unwrap().push((position, call, event));
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_takes_long_is_asked_of_another_too_and_the_selector_hears_all_of_it() {
    let network = "fake:failover-hedge";
    let (first, second) = (plain("first", network), plain("second", network));
    let selector = Arc::new(Hasty::default());
    let server = builder().facilitator(first.clone()).facilitator(second.clone()).selector(selector.clone());
    let server = server.route(route(network)).build().await.unwrap();
    selector.0.lock().unwrap().clear();
    first.on_verify([Answer::Hang]);
    second.on_settle([Answer::After(Duration::from_secs(2), Box::new(Answer::Yes))]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    released(admitted(server.admit(&request).await).finish(true).await);
    let heard = std::mem::take(&mut *selector.0.lock().unwrap());
    let expected = [
        (0, FacilitatorCall::Verify, "asked"),
        (1, FacilitatorCall::Verify, "asked"),
        (1, FacilitatorCall::Verify, "answered in 0ns"),
        (0, FacilitatorCall::Verify, "late"),
        (0, FacilitatorCall::Verify, "dropped"),
        (1, FacilitatorCall::Settle, "asked"),
        (1, FacilitatorCall::Settle, "answered in 2s"),
    ];
    assert_eq!(heard, expected.map(|(position, call, event)| (position, call, event.to_owned())));
    // Slow is not late: who was asked first may still be the first to answer.
    first.on_verify([Answer::After(Duration::from_millis(300), Box::new(Answer::Yes))]);
    second.on_verify([Answer::Hang]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n2"));
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!((first.settles(), second.settles()), (1, 1));
}

#[tokio::test]
async fn a_settlement_goes_elsewhere_only_if_nothing_was_sent() {
    let network = "fake:failover-unsent";
    let (first, second) = (plain("first", network), plain("second", network));
    let server = shop(network, &[first.clone(), second.clone()]).await;
    first.on_settle([Answer::Fault(FaultKind::Unreachable)]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!((second.settles(), second.moved()), (1, 1));
    assert_eq!(why(server.admit(&request).await), "failed duplicate_settlement");
}

#[tokio::test]
async fn a_settlement_that_may_have_been_sent_goes_nowhere_else() {
    let network = "fake:failover-maybe";
    let (first, second) = (plain("first", network), plain("second", network));
    let server = shop(network, &[first.clone(), second.clone()]).await;
    let answers = [Answer::Dropped, Answer::Pending("0xabc".into()), Answer::Lie(Lie::Payer), Answer::no("no_funds")];
    for (number, answer) in answers.into_iter().enumerate() {
        first.on_settle([answer]);
        let request = paid("/report", &pay(&first_offer(&server, "/report").await, &format!("n{number}")));
        let finished = admitted(server.admit(&request).await).finish(true).await;
        assert!(matches!(finished, Finished::Refused(_)), "{finished:?}");
    }
    assert_eq!(second.settles(), 0);
}

/// What the books say of a payment that went elsewhere: whoever is asked again is the one that has it.
#[tokio::test]
async fn a_payment_that_went_elsewhere_is_asked_for_there() {
    let network = "fake:failover-books";
    let (first, second) = (plain("first", network), plain("second", network));
    let server = shop(network, &[first.clone(), second.clone()]).await;
    first.on_settle([Answer::Fault(FaultKind::Unreachable), Answer::Yes]);
    second.on_settle([Answer::Dropped, Answer::Pending("0xabc".into())]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    let finished = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(finished, Finished::Refused(Refusal::Unavailable(_))), "{finished:?}");
    assert_eq!(why(server.admit(&request).await), "failed settlement_pending");
    assert_eq!((first.settles(), first.moved()), (1, 0), "not asked a second time");
    second.on_settle([Answer::Yes]);
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!(first.moved(), 0);
}

#[tokio::test]
async fn a_payment_that_names_a_signer_goes_nowhere_else() {
    let network = "fake:failover-bound";
    let (first, second) = (bound("first", network, "teller"), bound("second", network, "teller"));
    let server = shop(network, &[first.clone(), second.clone()]).await;
    first.on_settle([Answer::Fault(FaultKind::Unreachable)]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    let finished = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(finished, Finished::Refused(Refusal::Unavailable(_))), "{finished:?}");
    assert_eq!(second.settles(), 0);
}

/// Its facilitators need not say whose the account is: the scheme knows what the member means.
#[tokio::test]
async fn a_payment_that_its_scheme_binds_goes_nowhere_else_whatever_facilitators_say() {
    let network = "fake:failover-scheme-bound";
    let (first, second) = (plain("first", network), plain("second", network));
    let both = builder().facilitator(first.clone()).facilitator(second.clone());
    let bound = way(network).extra("cashier", "somebody");
    let server = both.route(Route::new("GET /report").accepts(bound)).build().await.unwrap();
    first.on_settle([Answer::Fault(FaultKind::Unreachable), Answer::Yes]);
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    let finished = admitted(server.admit(&request).await).finish(true).await;
    assert!(matches!(finished, Finished::Refused(Refusal::Unavailable(_))), "{finished:?}");
    assert_eq!(second.settles(), 0);
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!((first.moved(), second.settles()), (1, 0));
}

#[tokio::test]
async fn an_offer_remembers_its_facilitator() {
    let network = "fake:failover-remembers";
    let (first, second) = (bound("first", network, "a"), bound("second", network, "b"));
    let server = shop(network, &[first.clone(), second.clone()]).await;
    let offer = first_offer(&server, "/report").await;
    assert_eq!(offer.extra_member("teller").unwrap(), "a");
    let mut other = offer.clone();
    other.extra.as_mut().unwrap().insert("teller".to_owned(), "b".into());
    let request = paid("/report", &pay(&other, "n1"));
    released(admitted(server.admit(&request).await).finish(true).await);
    assert_eq!((first.verifies(), second.settles()), (0, 1), "an offer made a moment ago");
    first.on_verify([Answer::Fault(FaultKind::Unreachable)]);
    let request = paid("/report", &pay(&offer, "n2"));
    assert!(why(server.admit(&request).await).contains("Unavailable"), "and nobody else's");
    assert_eq!(second.verifies(), 1);
}

/// Whoever stands here is down.
#[derive(Default)]
struct Down(Mutex<Vec<usize>>);

impl FacilitatorSelector for Down {
    fn rank(&self, _: &mut [Candidate<'_>]) {}

    fn available(&self, position: usize) -> bool {
        !self.0.lock().unwrap().contains(&position)
    }
}

#[tokio::test]
async fn a_route_stays_up_while_one_facilitator_for_one_of_its_offers_lives() {
    let (here, there) = ("fake:failover-here", "fake:failover-there");
    let (first, second, third) = (bound("first", here, "a"), bound("second", here, "b"), plain("third", there));
    let down = Arc::new(Down::default());
    let builder = builder().facilitator(first).facilitator(second).facilitator(third).selector(down.clone());
    let both = Route::new("GET /report").accepts(way(here)).accepts(way(there));
    let server = builder.route(both).build().await.unwrap();
    let offered = async |positions: &[usize]| {
        *down.0.lock().unwrap() = positions.to_vec();
        let offers = challenge(&server, "/report").await.accepts;
        let shown = |offer: &tollway_core::PaymentRequirements| match offer.extra_member("teller") {
            Some(teller) => teller.as_str().unwrap().to_owned(),
            None => "there".to_owned(),
        };
        offers.iter().map(shown).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(offered(&[]).await, "a there");
    assert_eq!(offered(&[0]).await, "b there");
    assert_eq!(offered(&[0, 1]).await, "there");
    assert_eq!(offered(&[2]).await, "a");
    assert_eq!(offered(&[0, 1, 2]).await, "a there", "nothing is lost by being wrong");
    // What was offered before is taken all the same.
    let offer = first_offer(&server, "/report").await;
    *down.0.lock().unwrap() = vec![0];
    released(admitted(server.admit(&paid("/report", &pay(&offer, "n1"))).await).finish(true).await);
}

#[tokio::test]
async fn a_mistake_in_the_configuration_stops_the_start_and_a_network_fault_does_not() {
    let network = "fake:failover-start";
    let (first, second) = (plain("first", network), plain("second", network));
    let start = || builder().facilitator(first.clone()).facilitator(second.clone()).route(route(network)).build();
    for fault in [FaultKind::Unreachable, FaultKind::Timeout, FaultKind::Invalid, FaultKind::Overloaded] {
        second.fail_supported(Some(fault));
        let server = start().await.unwrap();
        first_offer(&server, "/report").await;
    }
    second.fail_supported(Some(FaultKind::Configuration));
    let why = start().await.unwrap_err().to_string();
    assert!(why.contains("second") && why.contains("scripted"), "{why}");
    let twins = builder().facilitator(plain("twin", network)).facilitator(plain("twin", network)).route(route(network));
    let why = twins.build().await.unwrap_err().to_string();
    assert!(why.contains("`twin`") && why.contains(".name("), "{why}");
}

#[tokio::test(start_paused = true)]
async fn who_failed_is_asked_soon_whether_it_is_back() {
    let network = "fake:failover-back";
    let (first, second) = (plain("first", network), plain("second", network));
    let server = shop(network, &[first.clone(), second.clone()]).await;
    first.on_verify([Answer::Fault(FaultKind::Unreachable)]);
    first.fail_supported(Some(FaultKind::Unreachable));
    let before = first.supporteds();
    let request = paid("/report", &pay(&first_offer(&server, "/report").await, "n1"));
    released(admitted(server.admit(&request).await).finish(true).await);
    let mut asked = Vec::new();
    for second in 1..=100 {
        tokio::time::advance(Duration::from_millis(950)).await;
        server.admit(&FakeRequest::get("/report")).await;
        settle_down().await;
        if first.supporteds() > before + asked.len() {
            asked.push(second);
        }
    }
    assert!(asked.len() >= 6 && asked.len() <= 8, "after 1, 2, 4 … 30 seconds: {asked:?}");
    assert!(asked.windows(3).all(|three| three[2] - three[1] >= three[1] - three[0]), "ever longer: {asked:?}");
    assert_eq!(second.supporteds(), 1);
}

#[tokio::test]
async fn one_facilitator_that_forgot_to_say_something_does_not_shut_the_others_out() {
    let network = "fake:failover-forgot";
    let (empty, whole) = (FakeFacilitator::named("empty").shared(), plain("whole", network));
    let server = shop(network, &[empty, whole]).await;
    assert!(matches!(server.admit(&FakeRequest::get("/other")).await, Admission::Free));
    first_offer(&server, "/report").await;
}
