//! Whose turn it is, in a server: payments take turns, questions for the price do not.

use serde_json::{Map, json};
use std::sync::Arc;
use tollway_core::{Object, Registry, SupportedKind};
use tollway_roles::server::Finished;
use tollway_roles::{Admission, Refusal, ResourceServer, Route, Way};
use tollway_testkit::{FAKE, FakeClock, FakeFacilitator, FakePayload, FakeRequest, fixtures};

fn facilitator(name: &str, network: &str) -> Arc<FakeFacilitator> {
    FakeFacilitator::named(name).kind(SupportedKind::new("exact", &fixtures::network(network), None)).shared()
}

/// Every payment comes after a challenge, so that with two facilitators each second question is a payment.
#[tokio::test]
async fn to_be_asked_the_price_is_nobodys_turn() {
    let shares = json!({ "weights": { "one": 1, "two": 1 } });
    for (kind, section) in [("round-robin", Map::new()), ("weighted", shares.as_object().unwrap().clone())] {
        let network = format!("fake:turns-{kind}");
        let (one, two) = (facilitator("one", &network), facilitator("two", &network));
        let server = ResourceServer::builder("https://shop.test")
            .registry(Registry::builder().plugin(FAKE).plugin(tollway_select::PLUGIN).build().unwrap())
            .clock(FakeClock::new())
            .facilitator(one.clone())
            .facilitator(two.clone())
            .select(kind, Object::from_iter(section))
            .route(Route::new("GET /items/*").accepts(Way::exact(&network, "$0.01", "payee")));
        let server = server.build().await.unwrap();
        for number in 0..6 {
            let target = format!("/items/{number}");
            let offer = match server.admit(&FakeRequest::get(&target)).await {
                Admission::Refused(Refusal::Challenge(challenge)) => challenge.required().accepts[0].clone(),
                other => panic!("{other:?}"),
            };
            let payment = FakePayload::new("alice", &format!("n{number}"), &offer);
            let payment = fixtures::fake_payment(&offer, &payment);
            match server.admit(&FakeRequest::get(&target).paying(&payment)).await {
                Admission::Admitted(admitted) => {
                    assert!(matches!(admitted.finish(true).await, Finished::Release { receipt: Some(_), .. }));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((one.settles(), two.settles()), (3, 3), "{kind}");
    }
}
