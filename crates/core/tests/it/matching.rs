//! Matching what a client accepted against what was offered: the reference's vectors, and the attack "one-field
//! downgrade of `accepted`".

use crate::echo::any_json;
use crate::golden::{self, list, text};
use proptest::prelude::*;
use serde_json::{Value, json};
use tollway_core::{Amount, NetworkId, PaymentRequirements, matches_offer};

/// What the exact scheme on Solana declares as hints.
const SVM_HINTS: &[&str] = &["recentBlockhash", "lastValidBlockHeight"];

#[test]
fn offers_match_as_they_do_in_the_reference() {
    let golden = golden::requirement_matching();
    let mut undecodable = Vec::new();
    for (chain, hints, count) in [("evm", &[][..], 14), ("svm", SVM_HINTS, 4)] {
        let offered: PaymentRequirements = serde_json::from_value(golden[chain]["required"].clone()).unwrap();
        let cases = list(&golden[chain]["cases"]);
        assert_eq!(cases.len(), count);
        for case in cases {
            // An `accepted` of the wrong shape is refused before it can be compared; to a payer it is the same.
            let ours = match serde_json::from_value::<PaymentRequirements>(case["accepted"].clone()) {
                Ok(accepted) => matches_offer(&offered, &accepted, hints),
                Err(_) => {
                    undecodable.push(text(&case["name"]).to_owned());
                    false
                }
            };
            assert_eq!(ours, case["matches"].as_bool().unwrap(), "{chain}: {}", text(&case["name"]));
        }
    }
    assert_eq!(undecodable, ["amount-as-number", "field-undefined"]);
}

#[test]
fn a_missing_and_an_empty_extra_are_the_same_to_a_server_that_asks_for_nothing() {
    let offer = offer("1", "0xasset", "0xpayee", 60, json!({}));
    let mut accepted = offer.clone();
    accepted.extra = None;
    assert!(matches_offer(&offer, &accepted, &[]) && matches_offer(&accepted, &offer, &[]));
}

fn offer(amount: &str, asset: &str, pay_to: &str, timeout: u64, extra: Value) -> PaymentRequirements {
    let network: NetworkId = "test:1".parse().expect("a network");
    let mut offer = PaymentRequirements::new("exact", network, amount.parse().expect("an amount"), asset, pay_to);
    offer.max_timeout_seconds = timeout.try_into().expect("above zero");
    offer.extra = extra.as_object().cloned();
    offer
}

fn any_offer() -> impl Strategy<Value = PaymentRequirements> {
    let extra = prop::collection::btree_map("[a-d]", any_json(), 1..4);
    let money = any::<[u8; 32]>().prop_map(|bytes| Amount::from_be_bytes(bytes).to_string());
    (money, "0x[0-9a-fA-F]{8}", "0x[0-9a-fA-F]{8}", 1u64..100_000, extra)
        .prop_map(|(amount, asset, pay_to, timeout, extra)| offer(&amount, &asset, &pay_to, timeout, json!(extra)))
}

/// Every value inside `value` that is no object, as a JSON pointer. Members a later version adds are found by
/// themselves.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(key, inner)| leaves(inner, &format!("{at}/{key}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

/// Another value of the same type, so that the copy still decodes.
fn changed(value: &Value) -> Value {
    match value {
        Value::Null => json!(0),
        Value::Bool(was) => json!(!was),
        Value::Number(was) => match was.as_u64() {
            Some(n) => json!(n.wrapping_add(1).max(1)),
            None => json!(was.to_string()),
        },
        Value::String(was) if was.bytes().all(|b| b.is_ascii_digit()) && !was.is_empty() => json!(format!("1{was}0")),
        Value::String(was) => json!(format!("{was}x")),
        Value::Array(was) => json!([was, ["x"]]),
        Value::Object(_) => json!(["x"]),
    }
}

proptest! {
    #[test]
    fn one_field_downgrade_of_accepted(offer in any_offer()) {
        let wire = serde_json::to_value(&offer).unwrap();
        let mut pointers = Vec::new();
        leaves(&wire, "", &mut pointers);
        prop_assert!(pointers.len() >= 7, "scheme, network, amount, asset, payTo, maxTimeoutSeconds, extra");
        for pointer in pointers {
            let mut forged = wire.clone();
            let place = forged.pointer_mut(&pointer).unwrap();
            *place = changed(place);
            match serde_json::from_value::<PaymentRequirements>(forged) {
                Ok(accepted) => prop_assert!(!matches_offer(&offer, &accepted, &[]), "{} was changed unnoticed", pointer),
                // 2^256 and above is no amount at all.
                Err(_) => prop_assert_eq!(pointer, "/amount"),
            }
        }
    }

    #[test]
    fn an_amount_one_unit_lower_is_noticed(offer in any_offer()) {
        prop_assume!(!offer.amount.is_zero());
        let mut accepted = offer.clone();
        accepted.amount = offer.amount.checked_sub(Amount::from(1)).unwrap();
        prop_assert!(!matches_offer(&offer, &accepted, &[]));
    }

    #[test]
    fn a_member_left_out_is_noticed(offer in any_offer()) {
        let wire = serde_json::to_value(&offer).unwrap();
        for key in wire["extra"].as_object().unwrap().keys() {
            let mut accepted = offer.clone();
            accepted.extra.as_mut().unwrap().remove(key);
            prop_assert!(!matches_offer(&offer, &accepted, &[]), "extra.{} was dropped unnoticed", key);
            prop_assert!(matches_offer(&offer, &accepted, &[key]), "a hint may be left out");
        }
        for key in wire.as_object().unwrap().keys().filter(|key| *key != "extra") {
            let mut forged = wire.clone();
            forged.as_object_mut().unwrap().remove(key);
            prop_assert!(serde_json::from_value::<PaymentRequirements>(forged).is_err(), "{} is required", key);
        }
    }

    #[test]
    fn more_in_extra_matches_and_more_beside_it_does_not(offer in any_offer(), more in any_json()) {
        let accepted = offer.clone().with_extra("zz", more.clone());
        prop_assert!(matches_offer(&offer, &accepted, &[]));
        prop_assert!(!matches_offer(&accepted, &offer, &[]), "the other way round it is a loss");
        let mut beside = offer.clone();
        beside.other.insert("zz".to_owned(), more);
        prop_assert!(!matches_offer(&offer, &beside, &[]));
    }
}
