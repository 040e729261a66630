//! The golden data is whole, and its encoded and decoded halves agree.

use serde_json::Value;
use tollway_testkit::golden;

#[test]
fn every_file_is_there_and_says_something() {
    assert_eq!(golden::vectors::all().len(), 10);
    for (name, vectors) in golden::vectors::all() {
        let size = vectors.as_array().map(Vec::len).or(vectors.as_object().map(serde_json::Map::len));
        assert!(size.unwrap_or(0) > 1, "{name} is empty");
    }
    for name in golden::FLOWS {
        assert_eq!(golden::flow(name)["reference"], "@x402/core 2.27.0", "{name}");
    }
}

#[test]
#[should_panic(expected = "exact-evm-eip3009")]
fn an_unknown_flow_names_those_there_are() {
    golden::flow("nothing");
}

#[test]
fn the_keys_say_that_they_are_worthless() {
    let keys = golden::keys();
    assert!(keys["note"].as_str().unwrap().contains("Never fund"));
    assert_eq!(keys["evm"]["client"]["address"], "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
}

/// Standard base64, as the headers have it.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        held = held << 6 | u32::try_from(LETTERS.iter().position(|known| *known == letter)?).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[test]
fn raw_headers_and_decoded_messages_agree() {
    fn walk(value: &Value, agreed: &mut usize) {
        if let Some(decoded) = value["decoded"].as_object() {
            for (name, message) in decoded {
                let header = value["headers"][name].as_str().expect("the raw header is there");
                let text = base64(header).expect("standard base64");
                assert_eq!(&serde_json::from_slice::<Value>(&text).expect("JSON"), message, "{name}");
                *agreed += 1;
            }
        }
        match value {
            Value::Object(members) => members.values().for_each(|inner| walk(inner, agreed)),
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, agreed)),
            _ => {}
        }
    }
    let mut agreed = 0;
    golden::FLOWS.iter().for_each(|name| walk(&golden::flow(name), &mut agreed));
    assert!(agreed > 30, "{agreed}");
    for case in golden::vectors::header_encoding().as_array().unwrap() {
        let text = base64(case["header"].as_str().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), case["value"]);
    }
}
