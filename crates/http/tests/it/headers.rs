//! The three headers, against the recorded codec of the reference.

use proptest::prelude::*;
use serde_json::Value;
use tollway_core::{PaymentPayload, PaymentRequired, SettleResponse};
use tollway_http::HeaderError;
use tollway_http::header::{MAX_HEADER, decode, encode};
use tollway_testkit::golden::vectors;

fn rows(value: Value) -> Vec<Value> {
    value.as_array().filter(|rows| !rows.is_empty()).expect("rows").clone()
}

#[test]
fn golden_encoding() {
    for row in rows(vectors::header_encoding()) {
        let text = row["header"].as_str().unwrap();
        assert_eq!(decode::<Value>(text.as_bytes()).unwrap(), row["value"], "{row}");
        // Our own writing of it reads back the same; the order of members is nobody's business.
        assert_eq!(decode::<Value>(encode(&row["value"]).unwrap().as_bytes()).unwrap(), row["value"]);
        assert!(text.is_ascii() && encode(&row["value"]).unwrap().len() == text.len());
    }
}

#[test]
fn golden_decoding() {
    for row in rows(vectors::header_decoding()) {
        let read = decode::<Value>(row["header"].as_str().unwrap().as_bytes());
        // The reference reads all three headers alike, and so do we: one decoder.
        for kind in ["signature", "required", "response"] {
            match (&read, row[kind].get("ok")) {
                (Ok(read), Some(ok)) => assert_eq!(read, ok, "{row}"),
                (Err(_), None) => {}
                _ => panic!("{row}: {read:?}"),
            }
        }
    }
}

#[test]
fn recorded_headers_read_back_as_their_types() {
    let flow = tollway_testkit::golden::flow("exact-evm-eip3009");
    let at = |path: &str| flow.pointer(path).unwrap();
    let text = |path: &str| at(path).as_str().unwrap().as_bytes();
    let required: PaymentRequired = decode(text("/http/0/response/headers/payment-required")).unwrap();
    assert_eq!(serde_json::to_value(&required).unwrap(), *at("/http/0/response/decoded/payment-required"));
    let payment: PaymentPayload = decode(text("/http/1/request/headers/payment-signature")).unwrap();
    assert_eq!(serde_json::to_value(&payment).unwrap(), *at("/http/1/request/decoded/payment-signature"));
    let receipt: SettleResponse = decode(text("/http/1/response/headers/payment-response")).unwrap();
    assert_eq!(serde_json::to_value(&receipt).unwrap(), *at("/http/1/response/decoded/payment-response"));
}

#[test]
fn the_length_is_checked_before_anything_is_decoded() {
    let json = format!("\"{}\"", "a".repeat(MAX_HEADER));
    let long = encode(&json).unwrap();
    assert!(matches!(decode::<Value>(long.as_bytes()), Err(HeaderError::TooLong(length)) if length == long.len()));
    // Not even looked at: none of this is base64.
    assert!(matches!(decode::<Value>(&vec![b'!'; MAX_HEADER + 1]), Err(HeaderError::TooLong(_))));
    assert!(matches!(decode::<Value>(&vec![b'!'; MAX_HEADER]), Err(HeaderError::NotBase64)));
}

proptest! {
    #[test]
    fn anything_survives_the_way_there_and_back(text in ".*", number: u64) {
        let value = serde_json::json!({ "text": text, "number": number });
        prop_assert_eq!(decode::<Value>(encode(&value).unwrap().as_bytes()).unwrap(), value);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = decode::<PaymentPayload>(&bytes);
    }
}
