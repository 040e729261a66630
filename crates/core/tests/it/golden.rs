//! The golden files, recorded from the reference implementation (`@x402/core` 2.27.0).

use serde_json::Value;

macro_rules! golden {
    ($($name:ident = $path:literal),+ $(,)?) => {$(
        pub(crate) fn $name() -> Value {
            let text = include_str!(concat!("../../../testkit/golden/", $path, ".json"));
            serde_json::from_str(text).expect("golden files are JSON")
        }
    )+};
}

golden! {
    money = "vectors/money",
    requirement_matching = "vectors/requirement-matching",
    extension_echo = "vectors/extension-echo",
    deep_equal = "vectors/deep-equal",
    default_assets = "vectors/default-assets",
}

/// Every recorded flow.
pub(crate) fn flows() -> Vec<(&'static str, Value)> {
    macro_rules! flows {
        ($($name:literal),+ $(,)?) => {
            vec![$(($name, serde_json::from_str(include_str!(concat!("../../../testkit/golden/flows/", $name, ".json")))
                .expect("golden files are JSON"))),+]
        };
    }
    flows!(
        "dynamic-price",
        "exact-evm-eip3009",
        "exact-evm-insufficient-funds",
        "exact-evm-upfront",
        "handler-fails",
        "supported",
        "unpaid",
    )
}

/// The elements of an array in a golden file.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

/// A text in a golden file.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
