//! A canary key: wherever somebody writes a secret by mistake, neither an error nor `Debug` repeats it.

use serde_json::{Value, json};
use tollway_core::{ClientConfig, EnvironmentSecrets, SecretRef, Secrets, SharedConfig};

const CANARY: &str = "0xc0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

fn clean(text: &str) {
    assert!(!text.contains("c0ffee"), "a secret was printed: {text}");
}

#[test]
fn a_key_written_into_a_configuration_is_not_repeated() {
    let places: [Value; 6] = [
        json!([{ "key": CANARY }]),
        json!([{ "kind": "local", "key": CANARY }]),
        json!([{ "key": { "hex": [CANARY] } }]),
        json!([{ "kind": 5, "key": CANARY }]),
        json!([CANARY]),
        json!(CANARY),
    ];
    for place in places {
        match serde_json::from_value::<ClientConfig>(json!({ "shared": { "signers": { "test:*": place } } })) {
            Ok(config) => {
                clean(&format!("{config:?}"));
                clean(&format!("{:?}", config.shared.signers));
            }
            Err(why) => clean(&why.to_string()),
        }
    }
}

#[test]
fn references_are_shown_and_literals_are_not() {
    assert_eq!(format!("{:?}", SecretRef::new("env:MY_KEY")), "env:MY_KEY");
    for literal in [CANARY, "c0ffee:c0ffee", &format!("hex:{CANARY}")] {
        let reference = SecretRef::new(literal);
        clean(&format!("{reference:?}"));
        clean(&EnvironmentSecrets.resolve(&reference).unwrap_err());
    }
    let shown = format!(
        "{:?}",
        serde_json::from_value::<SharedConfig>(json!({
            "signers": { "test:*": [{ "kind": "local", "key": "env:MY_KEY" }] }
        }))
        .unwrap()
    );
    assert!(shown.contains("local") && shown.contains("key"), "what is configured is still recognisable: {shown}");
}

#[test]
fn one_key_needs_no_list() {
    let read = |section: Value| serde_json::from_value::<SharedConfig>(json!({ "signers": { "test:1": section } }));
    let one = read(json!({ "key": "env:A" })).unwrap();
    assert_eq!(one, read(json!([{ "key": "env:A" }])).unwrap());
    assert_eq!(one.signers.values().next().unwrap(), &[tollway_core::SignerConfig::local("env:A")]);
    let again: SharedConfig = serde_json::from_value(serde_json::to_value(&one).unwrap()).unwrap();
    assert_eq!(again, one);
    let error = serde_json::from_value::<SharedConfig>(json!({ "signers": { "test": [] } })).unwrap_err().to_string();
    assert!(error.contains("`test`"), "{error}");
}
