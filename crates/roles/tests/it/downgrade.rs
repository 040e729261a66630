//! `accepted` with one field changed is no offer of the route, whatever the field.

use crate::support::*;
use proptest::prelude::*;
use tollway_core::PaymentRequirements;
use tollway_roles::Route;
use tollway_testkit::FakeFacilitator;

/// The offer with one member changed to something else that could stand there.
fn changed(offer: &PaymentRequirements, member: &str, number: u32) -> PaymentRequirements {
    let mut value = serde_json::to_value(offer).unwrap();
    let place = &mut value[member];
    *place = match member {
        "amount" => number.to_string().into(),
        "network" => format!("fake:other-{number}").into(),
        "maxTimeoutSeconds" => (number + 1).into(),
        "extra" => serde_json::json!({ "name": number.to_string() }),
        _ => format!("other-{number}").into(),
    };
    serde_json::from_value(value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_field_downgrade_of_accepted(number in 0u32..9_000) {
        tollway_testkit::block_on(async {
            let network = "fake:downgrade";
            let facilitator = FakeFacilitator::serving("exact", network);
            let way = way(network).extra("name", "as it is");
            let route = Route::new("GET /report").accepts(way);
            let server = builder().facilitator(facilitator.clone()).route(route).build().await.unwrap();
            let offer = first_offer(&server, "/report").await;
            let members = serde_json::to_value(&offer).unwrap();
            let members: Vec<_> = members.as_object().unwrap().keys().cloned().collect();
            assert_eq!(members.len(), 7, "{members:?}");
            for member in members {
                let downgraded = changed(&offer, &member, number);
                if downgraded == offer {
                    continue;
                }
                let refused = why(server.admit(&paid("/report", &pay(&downgraded, "n1"))).await);
                assert_eq!(refused, "No matching payment requirements", "{downgraded:?}");
            }
            assert_eq!(facilitator.verifies() + facilitator.settles(), 0);
            released(admitted(server.admit(&paid("/report", &pay(&offer, "n1"))).await).finish(true).await);
        });
    }
}
