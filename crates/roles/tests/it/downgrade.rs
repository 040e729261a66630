//! `accepted` with one field changed is no offer of the route, whatever the field.

use crate::support::*;
use proptest::prelude::*;
use tollway_core::PaymentRequirements;
use tollway_testkit::FakeFacilitator;

/// Changes one member of the offer, by its place in the JSON.
fn changed(offer: &PaymentRequirements, member: usize, text: &str) -> Option<PaymentRequirements> {
    let mut value = serde_json::to_value(offer).ok()?;
    let object = value.as_object_mut()?;
    let key = object.keys().nth(member % object.len())?.clone();
    let changed = match object.get(&key)? {
        serde_json::Value::String(old) if old != text => serde_json::Value::from(text),
        serde_json::Value::Number(old) => serde_json::Value::from(old.as_u64()?.saturating_add(text.len() as u64 + 1)),
        serde_json::Value::Object(_) => serde_json::json!({ "name": text }),
        _ => return None,
    };
    object.insert(key, changed);
    serde_json::from_value(value).ok().filter(|changed| changed != offer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_field_downgrade_of_accepted(member in 0usize..8, text in "[a-z0-9]{1,12}") {
        tollway_testkit::block_on(async {
            let network = "fake:downgrade";
            let facilitator = FakeFacilitator::serving("exact", network);
            let server = builder().facilitator(facilitator.clone()).route(route(network)).build().await.unwrap();
            let offer = first_offer(&server, "/report").await;
            let Some(downgraded) = changed(&offer, member, &text) else { return };
            let payment = pay(&downgraded, "n1");
            let refused = why(server.admit(&paid("/report", &payment)).await);
            assert_eq!(refused, "No matching payment requirements", "{downgraded:?}");
            assert_eq!(facilitator.verifies() + facilitator.settles(), 0);
        });
    }
}
