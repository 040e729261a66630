//! Parsers meet strangers: whatever arrives, they answer and do not panic, and what they accept reads back the same.

use crate::echo::any_json;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollway_core::json::{JsonError, MAX_DEPTH, from_slice};
use tollway_core::{
    AccountId, Amount, NetworkId, NetworkPattern, PaymentPayload, PaymentRequired, PaymentRequirements, Price,
    ServerConfig, SettleResponse, SupportedResponse, VerifyResponse,
};

fn payment() -> Value {
    json!({
        "x402Version": 2,
        "resource": { "url": "https://a.example/x" },
        "accepted": {
            "scheme": "exact", "network": "test:1", "amount": "10", "asset": "coin", "payTo": "bob",
            "maxTimeoutSeconds": 60, "extra": { "name": "Coin" }
        },
        "payload": { "nonce": "1" },
        "extensions": { "x": { "info": {} } }
    })
}

#[test]
fn a_name_with_a_part_missing_is_none() {
    for bad in ["", ":", "a:", ":b", "ab", "a:*", "a b:c", "a:\n", "é:1"] {
        assert!(bad.parse::<NetworkId>().is_err(), "{bad:?}");
    }
    for bad in ["a:b", "a:b:", ":b:c", "a::c", "a:b:c d"] {
        assert!(bad.parse::<AccountId>().is_err(), "{bad:?}");
    }
    for bad in ["", "*", ":*", "*:*", "a:*:*", "a*:*"] {
        assert!(bad.parse::<NetworkPattern>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_pattern_is_for_a_whole_namespace_and_no_longer_one() {
    let pattern: NetworkPattern = "eip155:*".parse().unwrap();
    for (id, matched) in [("eip155:1", true), ("eip1559:1", false), ("eip15:1", false), ("EIP155:1", false)] {
        assert_eq!(pattern.matches(&id.parse().unwrap()), matched, "{id}");
    }
    assert!(format!("a:{}", "b".repeat(94)).parse::<NetworkId>().is_ok());
    assert!(format!("a:{}", "b".repeat(95)).parse::<NetworkId>().is_err(), "names have an end");
}

#[test]
fn errors_show_the_culprit_cut_short() {
    let long = "x".repeat(10_000);
    let error = long.parse::<NetworkId>().unwrap_err().to_string();
    assert!(error.contains("xxx") && error.len() < 200, "{error}");
    let error = long.parse::<Price>().unwrap_err().to_string();
    assert!(error.contains("xxx") && error.len() < 200, "{error}");
}

#[test]
fn amounts_on_the_wire_are_decimal_strings() {
    let above = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let bad =
        [json!("1e3"), json!("-1"), json!(above), json!(1000), json!(""), json!("0x10"), json!("1.0"), json!("01")];
    for amount in bad {
        let mut payment = payment();
        payment["accepted"]["amount"] = amount.clone();
        assert!(serde_json::from_value::<PaymentPayload>(payment).is_err(), "{amount}");
    }
}

#[test]
fn a_timeout_is_a_whole_number_above_zero() {
    for bad in [json!(0), json!(-1), json!(1.5), json!("60"), json!(null), json!(1e30)] {
        let mut payment = payment();
        payment["accepted"]["maxTimeoutSeconds"] = bad.clone();
        assert!(serde_json::from_value::<PaymentPayload>(payment).is_err(), "{bad}");
    }
}

#[test]
fn another_version_is_decoded_so_that_it_can_be_refused_by_name() {
    let mut payment = payment();
    payment["x402Version"] = json!(3);
    assert_eq!(serde_json::from_value::<PaymentPayload>(payment.clone()).unwrap().x402_version, 3);
    payment["x402Version"] = json!("2");
    assert!(serde_json::from_value::<PaymentPayload>(payment).is_err(), "a version is a number");
}

#[test]
fn a_member_said_twice_is_refused() {
    let twice = br#"{"scheme":"exact","network":"a:b","amount":"1","amount":"2","asset":"c","payTo":"p","maxTimeoutSeconds":1}"#;
    assert!(matches!(from_slice::<PaymentRequirements>(twice), Err(JsonError::Shape(_))));
}

#[test]
fn the_depth_limit_holds_at_its_edge() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(from_slice::<Value>(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(matches!(from_slice::<Value>(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonError::TooDeep)));
    let bomb = "{\"a\":".repeat(1_000_000);
    assert!(matches!(from_slice::<PaymentPayload>(bomb.as_bytes()), Err(JsonError::TooDeep)));
}

#[test]
fn malformed_text_is_syntax_even_where_a_type_is_wrong_first() {
    assert!(matches!(from_slice::<PaymentPayload>(br#"{"x402Version":"2","#), Err(JsonError::Syntax(_))));
    assert!(matches!(from_slice::<PaymentPayload>(br#"{"x402Version":"2"}"#), Err(JsonError::Shape(_))));
    assert!(matches!(from_slice::<PaymentPayload>(b"\xff\xfe"), Err(JsonError::Syntax(_))));
}

proptest! {
    #[test]
    fn no_text_panics_and_what_parses_reads_back(text in "\\PC{0,60}") {
        if let Ok(id) = text.parse::<NetworkId>() {
            prop_assert_eq!(id.to_string(), &*text);
            prop_assert_eq!(format!("{}:{}", id.namespace(), id.reference()), &*text);
        }
        if let Ok(account) = text.parse::<AccountId>() {
            prop_assert_eq!(account.to_string(), &*text);
        }
        if let Ok(pattern) = text.parse::<NetworkPattern>() {
            prop_assert_eq!(pattern.to_string(), &*text);
        }
        if let Ok(amount) = text.parse::<Amount>() {
            prop_assert_eq!(amount.to_string(), &*text);
        }
        let _ = text.parse::<Price>();
    }

    #[test]
    fn names_shaped_like_names_parse(namespace in "[a-z0-9-]{3,8}", reference in "[-_a-zA-Z0-9]{1,32}", address in "[-.%a-zA-Z0-9]{1,128}") {
        let id: NetworkId = format!("{namespace}:{reference}").parse().unwrap();
        prop_assert_eq!((id.namespace(), id.reference()), (&*namespace, &*reference));
        let account: AccountId = format!("{id}:{address}").parse().unwrap();
        prop_assert_eq!((account.network(), account.address()), (&id, &*address));
        let all: NetworkPattern = format!("{namespace}:*").parse().unwrap();
        prop_assert!(all.matches(&id) && !all.is_exact());
        let only: NetworkPattern = id.as_str().parse().unwrap();
        prop_assert!(only.matches(&id) && only.is_exact());
    }

    #[test]
    fn a_pattern_never_matches_another_namespace(a in "[a-z]{3,8}", b in "[a-z]{3,8}", reference in "[0-9]{1,5}") {
        prop_assume!(a != b);
        let pattern: NetworkPattern = format!("{a}:*").parse().unwrap();
        let stranger: NetworkId = format!("{b}:{reference}").parse().unwrap();
        prop_assert!(!pattern.matches(&stranger));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = from_slice::<PaymentRequired>(&bytes);
        let _ = from_slice::<PaymentPayload>(&bytes);
    }

    #[test]
    fn no_json_panics_in_any_place_of_a_message(junk in any_json(), place in 0usize..9) {
        let places = ["/x402Version", "/resource", "/accepted", "/accepted/network", "/accepted/extra", "/payload",
            "/extensions", "/accepted/maxTimeoutSeconds", ""];
        let mut message = payment();
        *message.pointer_mut(places[place]).unwrap() = junk;
        let bytes = serde_json::to_vec(&message).unwrap();
        if let Ok(read) = from_slice::<PaymentPayload>(&bytes) {
            let written = serde_json::to_value(&read).unwrap();
            prop_assert_eq!(serde_json::from_value::<PaymentPayload>(written).unwrap(), read);
        }
        let _ = (
            from_slice::<PaymentRequired>(&bytes), from_slice::<SettleResponse>(&bytes),
            from_slice::<VerifyResponse>(&bytes), from_slice::<SupportedResponse>(&bytes),
            from_slice::<ServerConfig>(&bytes),
        );
    }

    #[test]
    fn requirements_round_trip(amount: [u8; 32], seconds in 1u64.., extra in any_json()) {
        let network: NetworkId = "test:1".parse().unwrap();
        let offer = PaymentRequirements::new("exact", network, Amount::from_be_bytes(amount), "coin", "bob")
            .with_timeout(seconds.try_into().unwrap())
            .with_extra("more", extra);
        let bytes = serde_json::to_vec(&offer).unwrap();
        prop_assert_eq!(from_slice::<PaymentRequirements>(&bytes).unwrap(), offer);
    }
}
