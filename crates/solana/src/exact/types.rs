//! What travels: the payload of a payment and the offer's `extra` (specification `exact` on Solana, §2 and §3).

use crate::address::parse_address;
use crate::message::{LARGEST, Malformed, Transaction};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use solana_pubkey::Pubkey;
use std::sync::OnceLock;

/// Longest memo, in bytes of UTF-8.
pub(crate) const LONGEST_MEMO: usize = 256;
/// Longest base64 of a transaction.
const LONGEST_TEXT: usize = LARGEST.div_ceil(3) * 4;

/// A transaction signed by the payer and not yet by the fee payer. On the wire `{ transaction }`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Payload {
    /// Base64 of the serialized transaction.
    pub transaction: String,
    /// The transaction, read once for all who look at the payment.
    #[serde(skip)]
    decoded: OnceLock<Result<Transaction, NotDecoded>>,
    /// What the local checks found, so that the chain's half need not do them again.
    #[serde(skip)]
    pub(crate) examined: OnceLock<Examined>,
}

/// Why a text is no transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDecoded {
    NotBase64,
    Malformed(Malformed),
}

impl std::fmt::Display for NotDecoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBase64 => f.write_str("the transaction is no base64"),
            Self::Malformed(why) => why.fmt(f),
        }
    }
}

impl Payload {
    /// A payload with its transaction in base64.
    pub fn new(transaction: impl Into<String>) -> Self {
        Self { transaction: transaction.into(), decoded: OnceLock::new(), examined: OnceLock::new() }
    }

    /// A payload of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::new(BASE64.encode(bytes))
    }

    /// The transaction.
    pub(crate) fn decoded(&self) -> Result<&Transaction, NotDecoded> {
        let decode = || {
            if self.transaction.len() > LONGEST_TEXT {
                return Err(NotDecoded::Malformed(Malformed::TooLarge));
            }
            let bytes = BASE64.decode(&self.transaction).map_err(|_| NotDecoded::NotBase64)?;
            Transaction::decode(bytes).map_err(NotDecoded::Malformed)
        };
        self.decoded.get_or_init(decode).as_ref().map_err(|why| *why)
    }
}

/// What the local checks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Examined {
    /// Which of the facilitator's keys pays the fee, and its address.
    pub(crate) signer: usize,
    pub(crate) fee_payer: Pubkey,
    /// Who pays.
    pub(crate) authority: Pubkey,
    /// The token and the program that keeps it.
    pub(crate) mint: Pubkey,
    /// Units paid.
    pub(crate) amount: u64,
    /// Index of the account that receives them.
    pub(crate) destination: u8,
    /// Names the payment: SHA-256 of the message.
    pub(crate) hash: [u8; 32],
}

/// What an offer carries in `extra`. All optional, since what is missing has codes of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Extra {
    /// Address that pays the network's fee. Anything but text counts as missing.
    #[serde(deserialize_with = "text_or_nothing")]
    pub fee_payer: Option<String>,
    /// The memo the transaction must carry, at most 256 bytes.
    pub memo: Option<String>,
    /// A blockhash to build on. A hint: anything but text counts as missing.
    #[serde(deserialize_with = "text_or_nothing")]
    pub recent_blockhash: Option<String>,
    /// The token's decimals, which some servers tell.
    pub decimals: Option<Value>,
}

impl Extra {
    /// The hint, where it is one.
    pub(crate) fn blockhash(&self) -> Option<Pubkey> {
        // A hash is written like an address.
        parse_address(self.recent_blockhash.as_deref()?)
    }
}

fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{golden_bytes, golden_payment};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_golden_payload_is_read_and_written() {
        let golden = &golden_payment("exact-svm").payload;
        let payload = Payload::deserialize(golden).unwrap();
        assert_eq!(serde_json::to_value(&payload).unwrap(), *golden);
        assert_eq!(payload.decoded().unwrap().message(), &golden_bytes("exact-svm")[129..]);
        assert_eq!(Payload::of(&golden_bytes("exact-svm")).transaction, payload.transaction);
    }

    #[test]
    fn only_whole_base64_of_a_packet_is_read() {
        let good = Payload::of(&golden_bytes("exact-svm")).transaction;
        let unpadded = good.trim_end_matches('=');
        for bad in [unpadded, &format!("{good}="), &format!(" {good}"), &good.replace('/', "_"), "%%%%", "A"] {
            assert_eq!(Payload::new(bad).decoded().unwrap_err(), NotDecoded::NotBase64, "{bad}");
        }
        let huge = Payload::new("A".repeat(10_000_000));
        assert_eq!(huge.decoded().unwrap_err(), NotDecoded::Malformed(Malformed::TooLarge));
        assert_eq!(Payload::new("").decoded().unwrap_err(), NotDecoded::Malformed(Malformed::Truncated));
    }

    #[test]
    fn hints_of_the_wrong_shape_are_no_hints() {
        let extra = |value: Value| Extra::deserialize(&value).unwrap();
        for odd in [json!(null), json!(7), json!({}), json!(["x"])] {
            let read = extra(json!({ "feePayer": odd, "recentBlockhash": odd, "lastValidBlockHeight": odd }));
            assert_eq!(read, Extra::default());
        }
        assert_eq!(extra(json!({ "recentBlockhash": "not a hash" })).blockhash(), None);
        assert!(extra(json!({ "recentBlockhash": "1".repeat(32) })).blockhash().is_some());
        assert!(Extra::deserialize(&json!({ "memo": 7 })).is_err(), "a memo must be text");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,2000}") {
            let _ = Payload::new(text).decoded();
        }
    }
}
