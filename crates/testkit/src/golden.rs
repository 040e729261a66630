//! Golden data recorded from the reference implementation (`@x402/core` 2.27.0): vectors of single rules, and whole
//! flows with every message.
//!
//! The keys are published throw-away keys: the accounts of anvil's well-known mnemonic, and hashes of labels. They
//! protect nothing; never send money to them.
//!
//! ```
//! use tollway_testkit::golden;
//!
//! assert_eq!(golden::vectors::money()["prices"][0]["price"], "$0.001");
//! assert_eq!(golden::flow("exact-evm-eip3009")["status"], 200);
//! assert!(golden::keys()["evm"]["client"]["address"].is_string());
//! ```

use serde_json::Value;

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("golden files are JSON")
}

/// Vectors: inputs and what the reference made of them.
pub mod vectors {
    use serde_json::Value;

    macro_rules! vectors {
        ($($(#[$doc:meta])* $name:ident = $file:literal),+ $(,)?) => {
            $($(#[$doc])* pub fn $name() -> Value {
                super::parse(include_str!(concat!("../golden/vectors/", $file, ".json")))
            })+

            /// Every vector file: its name and content.
            pub fn all() -> Vec<(&'static str, Value)> {
                vec![$(($file, $name())),+]
            }
        };
    }

    vectors! {
        /// Prices, and the amounts they become (`prices`, `tokenAmounts`, `numbers`).
        money = "money",
        /// `accepted` against the requirements, for EVM and for Solana with its dynamic members.
        requirement_matching = "requirement-matching",
        /// Extension echoes, faithful and not.
        extension_echo = "extension-echo",
        /// Pairs of values and whether they are equal.
        deep_equal = "deep-equal",
        /// Values and the header text they are written as.
        header_encoding = "header-encoding",
        /// Header texts and what each of the three headers reads in them.
        header_decoding = "header-decoding",
        /// `Cache-Control` of a handler and of its paid answer.
        cache_control = "cache-control",
        /// Route patterns, methods, paths, and the combinations that match.
        routes = "routes",
        /// Sign-ins of both chains: challenges, messages, signatures, headers.
        siwx = "siwx",
        /// The reference's table of assets by network.
        default_assets = "default-assets",
    }
}

/// The keys the flows were recorded with. Published and worthless.
pub fn keys() -> Value {
    parse(include_str!("../golden/keys.json"))
}

macro_rules! flows {
    ($($name:literal),+ $(,)?) => {
        /// Names of the recorded flows.
        pub const FLOWS: &[&str] = &[$($name),+];

        fn flow_text(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../golden/flows/", $name, ".json"))),)+
                _ => None,
            }
        }
    };
}

flows!(
    "bazaar-get",
    "bazaar-post",
    "discovery-resources",
    "dynamic-price",
    "exact-evm-eip3009",
    "exact-evm-insufficient-funds",
    "exact-evm-permit2",
    "exact-evm-permit2-eip2612",
    "exact-evm-permit2-erc20-approval",
    "exact-evm-permit2-no-allowance",
    "exact-evm-upfront",
    "exact-svm",
    "exact-svm-memo",
    "handler-fails",
    "multi-svm",
    "payment-identifier",
    "siwx-auth-only-evm",
    "siwx-auth-only-svm",
    "siwx-evm-pay",
    "siwx-evm-return",
    "siwx-svm-pay",
    "siwx-svm-return",
    "supported",
    "unpaid",
    "upto-evm-permit2",
    "upto-evm-permit2-eip2612",
    "upto-evm-zero",
);

/// A recorded flow: what went over HTTP between client and server (`http`) and between server and facilitator
/// (`facilitator`), headers raw and decoded.
///
/// # Panics
/// There is no such flow; says which there are.
pub fn flow(name: &str) -> Value {
    match flow_text(name) {
        Some(text) => parse(text),
        None => panic!("no flow `{name}` was recorded; there are {}", FLOWS.join(", ")),
    }
}
