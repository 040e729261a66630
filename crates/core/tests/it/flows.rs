//! Every message the reference implementation sent or understood in the recorded flows: read, written back, and read
//! with members nobody knows yet.

use crate::golden;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tollway_core::{
    PaymentPayload, PaymentRequired, PaymentRequirements, SettleResponse, SupportedResponse, VerifyResponse,
};

/// Messages seen, by type.
type Seen = BTreeMap<&'static str, usize>;

/// Reads and writes a message and demands that nothing changed, also when strangers wrote into it.
fn round_trip<T: Serialize + DeserializeOwned>(name: &'static str, message: &Value, inner: &[&str], seen: &mut Seen) {
    let again = |value: &Value| match serde_json::from_value::<T>(value.clone()) {
        Ok(typed) => serde_json::to_value(typed).expect("a message can be written"),
        Err(why) => panic!("{name}: {why} in {value}"),
    };
    assert_eq!(&again(message), message, "{name} changed on its way");
    let stranger = json!({ "deep": [1, null, { "é": "\u{1F600}" }], "big": u64::MAX });
    for place in inner {
        let mut marked = message.clone();
        let targets: Vec<&mut Value> = match place.strip_suffix("/*") {
            Some(list) => marked.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten().collect(),
            None => marked.pointer_mut(place).into_iter().collect(),
        };
        for target in targets {
            target["xUnknown"] = stranger.clone();
        }
        assert_eq!(again(&marked), marked, "{name} lost an unknown member at `{place}`");
    }
    *seen.entry(name).or_default() += 1;
}

/// Sets each optional member to `null` and demands that it reads as absent, and that absent members are not written:
/// strict peers refuse a `null`.
fn null_is_absent<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(message: &Value, optional: &[&str]) {
    for key in optional {
        let (mut without, mut null) = (message.clone(), message.clone());
        without.as_object_mut().expect("an object").remove(*key);
        null[*key] = Value::Null;
        let read = |value: Value| serde_json::from_value::<T>(value).unwrap_or_else(|why| panic!("{key}: {why}"));
        let typed = read(null);
        // `SupportedResponse` writes its lists even when empty, as its peers do.
        let written = serde_json::to_value(&typed).expect("a message can be written");
        assert_ne!(written.get(*key), Some(&Value::Null), "{key} is written as null");
        assert_eq!(typed, read(without), "{key}");
    }
}

/// Finds messages wherever they are in a recording.
fn walk(value: &Value, seen: &mut Seen) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            match (key.as_str(), value) {
                ("payment-required", Value::Object(_)) => {
                    round_trip::<PaymentRequired>("PaymentRequired", value, &["", "/resource", "/accepts/*"], seen);
                    null_is_absent::<PaymentRequired>(value, &["error", "extensions"]);
                }
                ("payment-signature" | "paymentPayload", Value::Object(_)) => {
                    round_trip::<PaymentPayload>("PaymentPayload", value, &["", "/resource", "/accepted"], seen);
                    null_is_absent::<PaymentPayload>(value, &["resource", "extensions"]);
                }
                ("paymentRequirements", Value::Object(_)) => {
                    round_trip::<PaymentRequirements>("PaymentRequirements", value, &["", "/extra"], seen);
                    null_is_absent::<PaymentRequirements>(value, &["extra"]);
                }
                ("payment-response", Value::Object(_)) => settle_response(value, seen),
                ("body", Value::Object(body)) if body.contains_key("isValid") => {
                    round_trip::<VerifyResponse>("VerifyResponse", value, &[""], seen);
                    let optional = ["invalidReason", "invalidMessage", "payer", "extensions", "extra"];
                    null_is_absent::<VerifyResponse>(value, &optional);
                }
                ("body", Value::Object(body)) if body.contains_key("success") => settle_response(value, seen),
                ("body", Value::Object(body)) if body.contains_key("kinds") => {
                    round_trip::<SupportedResponse>("SupportedResponse", value, &["", "/kinds/*"], seen);
                    null_is_absent::<SupportedResponse>(value, &["extensions", "signers"]);
                }
                _ => {}
            }
            walk(value, seen);
        }),
        Value::Array(items) => items.iter().for_each(|item| walk(item, seen)),
        _ => {}
    }
}

fn settle_response(value: &Value, seen: &mut Seen) {
    round_trip::<SettleResponse>("SettleResponse", value, &[""], seen);
    let optional = ["errorReason", "errorMessage", "payer", "amount", "extensions", "extra"];
    null_is_absent::<SettleResponse>(value, &optional);
}

#[test]
fn every_message_of_every_flow_survives_reading_and_writing() {
    let mut seen = Seen::new();
    for (_, flow) in golden::flows() {
        walk(&flow, &mut seen);
    }
    // A walker that finds nothing proves nothing.
    let expected = [
        ("PaymentPayload", 12),
        ("PaymentRequired", 25),
        ("PaymentRequirements", 7),
        ("SettleResponse", 6),
        ("SupportedResponse", 1),
        ("VerifyResponse", 4),
    ];
    assert_eq!(seen, Seen::from(expected));
}

#[test]
fn a_failed_settlement_without_a_transaction_is_readable() {
    let failed = json!({ "success": false, "errorReason": "x", "transaction": null, "network": "eip155:1" });
    let failed: SettleResponse = serde_json::from_value(failed).unwrap();
    assert_eq!(failed.transaction, "");
    let written = serde_json::to_value(failed).unwrap();
    assert_eq!(written, json!({ "success": false, "errorReason": "x", "transaction": "", "network": "eip155:1" }));
}

#[test]
fn kinds_of_version_one_are_listed_and_serve_nothing_here() {
    let (_, flow) = golden::flows().into_iter().find(|(name, _)| *name == "supported").unwrap();
    let supported: SupportedResponse = serde_json::from_value(flow["response"]["body"].clone()).unwrap();
    assert_eq!(supported.kinds.len(), 5);
    let sepolia = "eip155:84532".parse().unwrap();
    assert!(supported.kind("exact", &sepolia).is_some());
    assert_eq!(supported.kind("upto", &sepolia).unwrap().extra.as_ref().unwrap().len(), 1);
    assert!(supported.kind("exact", &"eip155:8453".parse().unwrap()).is_none());
}
